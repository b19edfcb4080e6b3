"""The networks, put together from layers that a backend writes.

Here they stand a second time; ``nn`` has the first. A module calculates on tensors or arrays of
float64 and float32. What is composed here calculates with anything that has these layers: with
torch's tensors, JAX's arrays, names of nodes in a graph, and numbers of a format that NumPy lacks.
Every step has a method, so that a known bug or a rewrite overrides that step alone.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic

from ...array import A
from .stages import FEED_FORWARDS, NETWORKS, Inputs, depth_of, part, stage_of

__all__ = ["Networks"]


class Networks(Generic[A]):
    """A backend's layers, and the networks that they make.

    A subclass writes the layers, which take and return whatever the backend calculates with.
    """

    embedding: Callable[..., A]  # (ids, weight)
    layer_norm: Callable[..., A]  # (x, weight, bias, eps)
    rms_norm: Callable[..., A]  # (x, weight, eps)
    linear: Callable[..., A]  # (x, weight, bias=None)
    per_token_linear: Callable[..., A]  # (x, weight, bias=None)
    gelu: Callable[..., A]  # (x)
    gelu_tanh: Callable[..., A]
    silu: Callable[..., A]
    relu: Callable[..., A]
    softmax: Callable[..., A]

    def run(self, stage: str, p: Inputs) -> A:
        """A stage on what the backend calculates with."""
        if stage == "mixer":
            return self.mixer(p["x"], p["num_heads"], part(p, "norm"))
        compute: Callable[..., A] = getattr(self, stage_of(stage).name)
        return compute(p) if stage in NETWORKS else compute(**p)

    def token_mix(self, x: Any, num_heads: int) -> Any:
        """(B, T, H, d) to (B, H, T, d), regrouped H chunks per token."""
        return self.merge(self.permute(self.partition(x, num_heads)), x.shape)

    def partition(self, x: Any, num_heads: int) -> Any:
        """(B, T, D) to (B, T, H, d)."""
        B, T, D = x.shape
        return x.reshape(B, T, num_heads, D // num_heads)

    def permute(self, heads: Any) -> Any:
        """(B, T, H, d) to (B, H, T, d)."""
        return heads.swapaxes(1, 2)

    def merge(self, heads: Any, shape: tuple[int, ...]) -> Any:
        """Back to (B, T, D), in the order in which the chunks now lie."""
        return heads.reshape(*shape)

    def token_revert(self, x: Any, num_heads: int) -> Any:
        """Back: (B, T, D) is (B, H, T, d), and (B, T, H, d) is merged."""
        B, T, D = x.shape
        return self.merge(self.permute(x.reshape(B, num_heads, T, D // num_heads)), x.shape)

    def residual(self, x: A, y: A) -> A:
        """x + y."""
        return x + y

    def dropout(self, x: A) -> A:
        """Nothing: a backend is checked as it evaluates."""
        return x

    # Feed-forward networks

    def feed_forward(self, p: Inputs) -> A:
        """x + linear2(gelu(linear1(norm(x))))."""
        return self.around(p, self.branch)

    def swiglu_feed_forward(self, p: Inputs) -> A:
        """x + w2(silu(w1(norm(x))) · w3(norm(x)))."""
        return self.around(p, lambda p, h: self.gated_branch(p, h, h))

    def per_token_feed_forward(self, p: Inputs) -> A:
        """x_t + linear2_t(gelu(linear1_t(norm(x_t))))."""
        return self.around({**p, "ffn": "per_token"}, self.branch)

    def per_token_swiglu(self, p: Inputs) -> A:
        """x_t + w2_t(silu(w1_t(norm(x_t))) · w3_t(norm(x_t)))."""
        return self.around(
            {**p, "ffn": "per_token_swiglu"}, lambda p, h: self.gated_branch(p, h, h)
        )

    def layer_of(self, p: Inputs) -> Callable[..., A]:
        """What a network is made of: a linear layer for all tokens, or one for each."""
        return self.per_token_linear if "per_token" in p.get("ffn", "") else self.linear

    def around(self, p: Inputs, branch: Callable[[Inputs, A], A]) -> A:
        """x + branch(norm(x)), or norm(x + branch(x))."""
        if p.get("norm") in ("post", "bare_mix"):
            return self.first_norm({**p, "x": self.residual(p["x"], branch(p, p["x"]))})
        return self.residual(p["x"], branch(p, self.first_norm(p)))

    def first_norm(self, p: Inputs) -> A:
        """norm(x)."""
        return self.layer_norm(p["x"], p["norm.weight"], p["norm.bias"], p["eps"])

    def branch(self, p: Inputs, h: A) -> A:
        """linear2(gelu(linear1(h)))."""
        linear = self.layer_of(p)
        h = linear(h, p["linear1.weight"], p["linear1.bias"])
        h = getattr(self, p["activation"])(h) if "activation" in p else self.activation(h)
        return self.dropout(linear(self.dropout(h), p["linear2.weight"], p["linear2.bias"]))

    def activation(self, x: A) -> A:
        """What stands between the two layers."""
        return self.gelu(x)

    def gated_branch(self, p: Inputs, h: A, k: A) -> A:
        """w2(silu(w1(h)) · w3(k)), where k is h."""
        linear = self.layer_of(p)
        return linear(
            self.gated(linear(h, p["w1.weight"]), linear(k, p["w3.weight"])), p["w2.weight"]
        )

    def gated(self, gate: A, up: A) -> A:
        """silu(gate) · up."""
        return self.silu(gate) * up

    # The block

    def block(self, p: Inputs) -> A:
        """feed_forward(mixer(x)), and where the mixer is bare, one residual around both."""
        y = self.mixer(p["x"], p["num_heads"], part(p, "mixer.norm"))
        q, ffn = part(p, "ffn", x=y), p.get("ffn", "standard")
        if p.get("norm") == "bare_mix":
            h = self.gated_branch(q, y, y) if "swiglu" in ffn else self.branch(q, y)
            return self.first_norm({**q, "x": self.residual(p["x"], h)})
        network: Callable[[Inputs], A] = getattr(self, FEED_FORWARDS[ffn])
        return network(q)

    def mixer(self, x: A, num_heads: int, norm: Inputs) -> A:
        """norm(x + token_mix(x)), x + token_mix(norm(x)), or norm(token_mix(x))."""
        placement = norm.get("norm")
        if placement == "pre":
            return self.residual(x, self.token_mix(self.mixer_norm(x, norm), num_heads))
        if placement == "bare_mix":
            return self.mixer_norm(self.token_mix(x, num_heads), norm)
        return self.mixer_norm(self.mixed(x, num_heads), norm)

    def mixed(self, x: A, num_heads: int) -> A:
        """x + token_mix(x)."""
        return self.residual(x, self.token_mix(x, num_heads))

    def mixer_norm(self, y: A, norm: Inputs) -> A:
        """norm(y)."""
        return self.layer_norm(y, norm["weight"], norm["bias"], norm["eps"])

    # TokenMixer-Large

    def mixer_large(self, p: Inputs) -> A:
        """m = h + F(norm(h)) with h = token_mix(x), then x + G(norm(token_revert(m)))."""
        x, H = p["x"], p["num_heads"]
        h = self.grouped(self.token_mix(x, H), H)
        m = self.ungrouped(self.large_network(part(p, "mixed"), h, h), x)
        return self.large_network(part(p, "reverted"), self.token_revert(m, H), x)

    def grouped(self, x: A, num_heads: int) -> A:
        """(B, T, D) to (B, H, TD/H)."""
        B, T, D = x.shape
        return x.reshape(B, num_heads, T * D // num_heads)

    def ungrouped(self, h: A, x: A) -> A:
        """(B, H, TD/H) to the (B, T, D) of x."""
        return h.reshape(*x.shape)

    def large_network(self, p: Inputs, h: A, to: A) -> A:
        """to + G(norm(h)), or norm(to + G(h))."""
        q = {**p, "ffn": "per_token_swiglu"}
        if p.get("large_norm") == "outside":
            return self.large_norm(self.residual(to, self.gated_branch(q, h, h)), p)
        normed = self.large_norm(h, p)
        return self.residual(to, self.gated_branch(q, normed, normed))

    def large_norm(self, x: A, p: Inputs) -> A:
        """norm(x)."""
        return self.rms_norm(x, p["norm.weight"], p["eps"])

    # The model

    def model(self, p: Inputs) -> A:
        """The blocks of token_embedding[ids] + position_embedding."""
        x = self.embedded(p["ids"], p["token_embedding.weight"], p["position_embedding.weight"])
        for i in self.layers(depth_of(p)):
            x = self.layer(p, i, x)
        return x

    def embedded(self, ids: Any, tokens: A, positions: A) -> A:
        """tokens[ids] + positions."""
        return self.residual(self.embedding(ids, tokens), positions)

    def layers(self, depth: int) -> Iterable[int]:
        """Which blocks run, in their order."""
        return range(depth)

    def layer(self, p: Inputs, i: int, x: A) -> A:
        """The i-th block of x."""
        return self.block(part(p, f"blocks.{i}", x=x))
