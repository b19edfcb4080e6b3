"""What the ready adapters share: networks made of layers, sizes of a case, and parameter names."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ....array import Array
from ....errors import ShapeError
from ..stages import NETWORKS, Inputs, depth_of, part, stage_of

__all__ = ["Layers", "Sizes", "arrays_of", "authors_names", "parameters_of", "sizes_of", "wanted"]


class Layers:
    """A library's layers, and the networks that they make.

    A subclass writes the layers in its library's own functions. What they take and return may be
    anything that the library calculates with, also the names of a graph's nodes.
    """

    def run(self, stage: str, p: Inputs) -> Any:
        """A stage on the library's arrays."""
        compute: Callable[..., Any] = getattr(self, stage_of(stage).name)
        return compute(p) if stage in NETWORKS else compute(**p)

    # Layers, for the subclass to write

    def embedding(self, ids: Any, weight: Any) -> Any:
        """weight[ids]."""
        raise NotImplementedError

    def token_mix(self, x: Any, num_heads: int) -> Any:
        """(B, T, H, d) to (B, H, T, d), regrouped H chunks per token."""
        raise NotImplementedError

    def layer_norm(self, x: Any, weight: Any, bias: Any, eps: float) -> Any:
        """(x - mean) / √(var + eps) · weight + bias."""
        raise NotImplementedError

    def linear(self, x: Any, weight: Any, bias: Any = None) -> Any:
        """x weightᵀ + bias."""
        raise NotImplementedError

    def gelu(self, x: Any) -> Any:
        """x Φ(x)."""
        raise NotImplementedError

    def gelu_tanh(self, x: Any) -> Any:
        """½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
        raise NotImplementedError

    def silu(self, x: Any) -> Any:
        """x σ(x)."""
        raise NotImplementedError

    def softmax(self, x: Any) -> Any:
        """exp(x) / Σ exp(x)."""
        raise NotImplementedError

    def plus(self, x: Any, y: Any) -> Any:
        """x + y."""
        return x + y

    def times(self, x: Any, y: Any) -> Any:
        """x · y."""
        return x * y

    # Networks

    def feed_forward(self, p: Inputs) -> Any:
        """x + linear2(gelu(linear1(norm(x))))."""
        h = self.layer_norm(p["x"], p["norm.weight"], p["norm.bias"], p["eps"])
        h = self.gelu(self.linear(h, p["linear1.weight"], p["linear1.bias"]))
        return self.plus(p["x"], self.linear(h, p["linear2.weight"], p["linear2.bias"]))

    def swiglu_feed_forward(self, p: Inputs) -> Any:
        """x + w2(silu(w1(norm(x))) · w3(norm(x)))."""
        h = self.layer_norm(p["x"], p["norm.weight"], p["norm.bias"], p["eps"])
        gate, up = self.silu(self.linear(h, p["w1.weight"])), self.linear(h, p["w3.weight"])
        return self.plus(p["x"], self.linear(self.times(gate, up), p["w2.weight"]))

    def block(self, p: Inputs) -> Any:
        """feed_forward(norm(x + token_mix(x)))."""
        mixed = self.plus(p["x"], self.token_mix(p["x"], p["num_heads"]))
        y = self.layer_norm(mixed, p["mixer.norm.weight"], p["mixer.norm.bias"], p["eps"])
        return self.feed_forward(part(p, "ffn", x=y))

    def model(self, p: Inputs) -> Any:
        """The blocks of token_embedding[ids] + position_embedding."""
        tokens = self.embedding(p["ids"], p["token_embedding.weight"])
        x = self.plus(tokens, p["position_embedding.weight"])
        for i in range(depth_of(p)):
            x = self.block(part(p, f"blocks.{i}", x=x))
        return x


class Sizes(NamedTuple):
    """How large a case is: with what an author's module or function is built.

    What a stage does not have is 0, as the number of words where there is no embedding.

    Attributes:
        batch: B, the number of sequences.
        tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, the number of heads.
        ff_dim: F, or the outputs of a linear layer.
        vocab_size: V, the number of ids.
        num_layers: how many blocks a model has.
        eps: of every LayerNorm.

    Example:
        >>> from numixology.verify.conformance.adapters import Sizes
        >>> sizes = Sizes(batch=2, tokens=3, hidden_dim=10, eps=1e-5)
        >>> sizes.hidden_dim, sizes.vocab_size
        (10, 0)
    """

    batch: int = 0
    tokens: int = 0
    hidden_dim: int = 0
    num_heads: int = 0
    ff_dim: int = 0
    vocab_size: int = 0
    num_layers: int = 0
    eps: float = 0.0


_LETTERS = {"B": "batch", "T": "tokens", "D": "hidden_dim", "F": "ff_dim", "V": "vocab_size"}


def sizes_of(stage: str, inputs: Inputs) -> Sizes:
    """The sizes of a case, read off the shapes of its inputs."""
    found: dict[str, Any] = {name: inputs[name] for name in ("eps", "num_heads") if name in inputs}
    if stage == "model":
        found["num_layers"] = depth_of(inputs)
    for name, axes in stage_of(stage).inputs.items():
        if axes != "()":
            shape = inputs[name.replace(".i.", ".0.")].shape
            letters = axes.strip("(,)").split(", ")
            found |= {_LETTERS[axis]: n for axis, n in zip(letters, shape, strict=True)}
    return Sizes(**found)


def arrays_of(inputs: Inputs) -> dict[str, Array]:
    """The floating-point arrays among the inputs: those that have gradients."""
    return {
        name: value
        for name, value in inputs.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    }


def parameters_of(inputs: Inputs) -> dict[str, Array]:
    """The floating-point arrays besides x."""
    return {name: value for name, value in arrays_of(inputs).items() if name != "x"}


def authors_names(ours: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """What an author calls each of our parameters; without an entry in ``names``, the same.

    An ``i`` between dots stands for the number of every block, on both sides.
    """
    found = {}
    for name in ours:
        parts = name.split(".")
        number = parts[1] if parts[0] == "blocks" else ""
        general = ".".join(["blocks", "i", *parts[2:]]) if number else name
        theirs = names.get(name) or names.get(general, general)
        found[name] = ".".join(number or one if one == "i" else one for one in theirs.split("."))
    return found


def wanted(output: Any, shape: tuple[int, ...]) -> None:
    """Refuse an output that no cotangent of the case fits.

    Raises:
        ShapeError: it has another shape.
    """
    if tuple(output.shape) != shape:
        raise ShapeError(
            f"the output has the shape of its cotangent, {shape}",
            str(tuple(output.shape)),
            "return the stage's own output, batch first",
        )
