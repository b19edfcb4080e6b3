"""Bugs of the feed-forward networks, the block and the model, whose parts are right."""

import math

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..stages import Inputs, part
from ..textbook import Textbook, straight_through
from .registry import Override, but, table
from .steps import chance, first_row, in_format, last_row, nothing, part_of, silu_slope

__all__ = ["BUGS"]


def _dropped(x: Tensor, rng: np.random.Generator) -> Tensor:
    """A tenth of the numbers zero, the others larger."""
    return x * ((rng.random(x.shape) >= 0.1) / 0.9).astype(x.dtype)


def _interleaved(p: Inputs) -> Inputs:
    packed = F.concatenate([p["w1.weight"], p["w3.weight"]])
    return {**p, "w1.weight": packed[::2], "w3.weight": packed[1::2]}


def _activation_last(s: Textbook, p: Inputs, h: Tensor) -> Tensor:
    h = s.linear(h, p["linear1.weight"], p["linear1.bias"])
    return s.activation(s.linear(h, p["linear2.weight"], p["linear2.bias"]))


def _norm(p: Inputs, source: str, target: str) -> Inputs:
    """The parameters of one norm under the names of another."""
    return {f"{target}.norm.{name}": p[f"{source}.norm.{name}"] for name in ("weight", "bias")}


def _mixer(s: Textbook, p: Inputs, x: Tensor) -> Tensor:
    return s.mixer(x, p["num_heads"], part(p, "mixer.norm"))


def _branch(s: Textbook, p: Inputs, x: Tensor) -> Tensor:
    q = part(p, "ffn", x=x)
    return s.branch(q, s.first_norm(q))


def _other_positions(other: Override) -> Override:
    """An override that adds other positions, made of the right ones and of the ids."""
    return lambda s, f, ids, tokens, positions: s.residual(
        y := s.embedding(ids, tokens), other(positions, ids) + 0 * y.detach()
    )


BUGS = table("networks", [
    ("feed_forward swiglu_feed_forward", "residual"),
    ("residual-missing", lambda s, f, x, y: y, "the input is not added back"),
    ("residual-halved", lambda s, f, x, y: f(0.5 * x, y), "half of the input is added back"),
    ("residual-twice", lambda s, f, x, y: f(2 * x, y), "the input is added back twice"),
    ("residual-averaged", lambda s, f, x, y: f(x, y) / 2,
     "the input and the branch are averaged, not added"),
    ("residual-subtracted", lambda s, f, x, y: f(x, -y), "the branch is subtracted from the input"),
    ("residual-gradient-dropped", lambda s, f, x, y: f(x.detach(), y),
     "the gradient of the residual path is overwritten by that of the branch"),
    ("residual-in-bfloat16", lambda s, f, x, y: in_format(f(x, y), "bfloat16"),
     "what a layer hands to the next is bfloat16", *but("bfloat16")),
    ("residual-of-first-token", lambda s, f, x, y: f(x[:, :1], y),
     "the first token is added back to all"),
    ("feed_forward swiglu_feed_forward", "first_norm"),
    ("branch-gradient-dropped", lambda s, f, p: f({**p, "x": p["x"].detach()}),
     "the gradient of the branch is overwritten by that of the residual path"),
    ("pre-norm-missing", lambda s, f, p: p["x"],
     "the branch starts from the input as it is, without the norm"),
    ("normed-twice", lambda s, f, p: f({**p, "x": f(p)}), "the norm is applied twice"),
    ("feed_forward swiglu_feed_forward", "around"),
    ("residual-of-the-normed",
     lambda s, f, p, branch: s.residual(h := s.first_norm(p), branch(p, h)),
     "the normed input is added back, not the input"),
    ("post-norm-for-pre-norm",
     lambda s, f, p, branch: s.first_norm({**p, "x": s.residual(p["x"], branch(p, p["x"]))}),
     "the norm comes last, after the sum: norm(x + branch(x))"),
    ("norm-of-the-branch",
     lambda s, f, p, branch: s.residual(p["x"], s.first_norm({**p, "x": branch(p, p["x"])})),
     "the norm stands after the branch: x + norm(branch(x))"),
    ("feed_forward", "activation"),
    ("tanh-gelu-inside", lambda s, f, x: s.gelu_tanh(x),
     "the network's activation is GELU in the form with tanh"),
    ("silu-inside", lambda s, f, x: s.silu(x), "the network's activation is SiLU"),
    ("relu-inside", lambda s, f, x: F.relu(x), "the network's activation is ReLU"),
    ("activation-missing", lambda s, f, x: x, "the network has no activation"),
    ("inner-kept-in-bfloat16", lambda s, f, x: in_format(f(x), "bfloat16"),
     "inner features pass through bfloat16", *but("bfloat16")),
    ("feed_forward", "branch"),
    ("activation-twice", lambda s, f, p, h: s.activation(f(p, h)),
     "the activation is applied again after the second layer"),
    ("activation-at-the-end", lambda s, f, p, h: _activation_last(s, p, h),
     "the activation follows the second layer, not the first"),
    ("first-bias-missing", lambda s, f, p, h: f({**p, "linear1.bias": None}, h),
     "the first layer has no bias"),
    ("second-bias-missing", lambda s, f, p, h: f({**p, "linear2.bias": None}, h),
     "the second layer has no bias"),
    ("weights-tied", lambda s, f, p, h: f({**p, "linear2.weight": p["linear1.weight"].T}, h),
     "the second layer's weight is the transpose of the first's"),
    ("feed_forward", "dropout"),
    ("dropout-active", lambda s, f, x: _dropped(x, chance(s)),
     "dropout zeroes a tenth of the numbers, though the network is evaluated", "unsteady"),
    ("dropout-scaled", lambda s, f, x: x / 0.9,
     "dropout still multiplies by 1 / (1 - p), though it drops nothing"),
    ("dropout-scaled-down", lambda s, f, x: x * 0.9,
     "dropout multiplies by 1 - p, as if training had not scaled"),
    ("dropout-in-backward",
     lambda s, f, x: straight_through(x, _dropped(x, np.random.default_rng(x.shape))),
     "the backward applies a dropout mask, though the forward applied none"),
    ("swiglu_feed_forward", "gated"),
    ("gate-and-up-swapped", lambda s, f, g, u: f(u, g),
     "the activation is on w3, and w1 is what it multiplies"),
    ("activation-of-product", lambda s, f, g, u: s.silu(g * u),
     "the activation comes after the product: silu(w1(h) · w3(h))"),
    ("both-activated", lambda s, f, g, u: f(g, s.silu(u)),
     "the activation is on w1 and on w3"),
    ("gate-not-activated", lambda s, f, g, u: s.store(g * u),
     "there is no activation: w1(h) · w3(h)"),
    ("gelu-gate", lambda s, f, g, u: s.store(s.gelu(g) * u),
     "the gate is GELU, as in GEGLU"),
    ("sigmoid-gate", lambda s, f, g, u: s.store(F.sigmoid(g) * u),
     "the gate is the sigmoid, as in GLU"),
    ("relu-gate", lambda s, f, g, u: s.store(F.relu(g) * u),
     "the gate is ReLU, as in ReGLU"),
    ("up-missing", lambda s, f, g, u: s.silu(g), "the gate is not multiplied by w3(h)"),
    ("gate-and-up-added", lambda s, f, g, u: s.store(s.silu(g) + u),
     "the gate and w3(h) are added, not multiplied"),
    ("gate-and-up-gradients-swapped",
     lambda s, f, g, u: straight_through(f(g, u), s.store(
         s.silu(g).detach() * g + (silu_slope(g) * u).detach() * u)),
     "the gradients of the gate and of w3(h) are exchanged"),
    ("up-gradient-without-activation",
     lambda s, f, g, u: straight_through(f(g, u), s.store(
         s.silu(g) * u.detach() + g.detach() * u)),
     "the gradient of w3(h) multiplies by the gate before its activation"),
    ("gate-gradient-of-sigmoid",
     lambda s, f, g, u: straight_through(
         f(g, u), s.store(s.silu(g).detach() * u + F.sigmoid(g) * u.detach())),
     "the gate's backward is that of the sigmoid"),
    ("inner-in-float16", lambda s, f, g, u: in_format(f(g, u), "float16"),
     "inner features pass through float16, beyond whose range they are infinite",
     "float64", "float32"),
    ("inner-in-bfloat16", lambda s, f, g, u: in_format(f(g, u), "bfloat16"),
     "inner features pass through bfloat16", *but("bfloat16")),
    ("swiglu_feed_forward", "vjp"),
    ("gate-and-up-weight-gradients-swapped",
     lambda s, f, *args: {
         **(g := f(*args)), "w1.weight": g["w3.weight"], "w3.weight": g["w1.weight"]},
     "the gradients of w1 and w3 are exchanged"),
    ("swiglu_feed_forward", "gated_branch"),
    ("up-of-the-input", lambda s, f, p, h, k: f(p, h, p["x"]),
     "w3 is applied to the input before the norm"),
    ("gate-and-up-shared", lambda s, f, p, h, k: f({**p, "w3.weight": p["w1.weight"]}, h, k),
     "w1 serves for w3 too"),
    ("gate-and-up-interleaved", lambda s, f, p, h, k: f(_interleaved(p), h, k),
     "the rows of w1 and w3 are taken as interleaved, as in one packed weight"),
    ("up-gradient-dropped", lambda s, f, p, h, k: f(p, h, k.detach()),
     "the normed input's gradient counts the gate's path only, not that of w3"),
    ("gate-gradient-dropped", lambda s, f, p, h, k: f(p, h.detach(), k),
     "the normed input's gradient counts the path of w3 only, not the gate's"),
    ("mixer block", "mixed"),
    ("mixer-residual-missing", lambda s, f, x, H: s.token_mix(x, H),
     "the mixer's input is not added back: norm(token_mix(x))"),
    ("mixer-missing", lambda s, f, x, H: x,
     "nothing is mixed: the block is norm and feed-forward network"),
    ("mixer-residual-halved", lambda s, f, x, H: s.residual(0.5 * x, s.token_mix(x, H)),
     "half of the mixer's input is added back"),
    ("mixer-residual-gradient-dropped",
     lambda s, f, x, H: s.residual(x.detach(), s.token_mix(x, H)),
     "the gradient of the mixer's residual path is overwritten by that of the mixing"),
    ("mixing-gradient-dropped", lambda s, f, x, H: s.residual(x, s.token_mix(x.detach(), H)),
     "the gradient of the mixing is overwritten by that of the mixer's residual path"),
    ("mixer block", "mixer"),
    ("mixer-residual-after-norm",
     lambda s, f, x, H, norm: s.residual(x, s.mixer_norm(s.token_mix(x, H), norm)),
     "the mixer's input is added after the norm: x + norm(token_mix(x))"),
    ("mixer-residual-around-norm", lambda s, f, x, H, norm: s.residual(x, f(x, H, norm)),
     "the mixer's input is added once more after the norm: x + norm(x + token_mix(x))"),
    ("mixer-pre-norm",
     lambda s, f, x, H, norm: s.residual(x, s.token_mix(s.mixer_norm(x, norm), H)),
     "the mixer's norm comes first: x + token_mix(norm(x))"),
    ("mixer-norm-missing", lambda s, f, x, H, norm: s.mixed(x, H),
     "the mixer has no norm: the feed-forward network sees x + token_mix(x)"),
    ("one-head-too-few", lambda s, f, x, H, norm: f(x, 1, norm),
     "the block mixes with one head whatever it is told"),
    ("block", "block"),
    ("norms-shared", lambda s, f, p: f({**p, **_norm(p, "mixer", "ffn")}),
     "the mixer's norm serves for the feed-forward network too"),
    ("norms-swapped",
     lambda s, f, p: f({**p, **_norm(p, "mixer", "ffn"), **_norm(p, "ffn", "mixer")}),
     "the two norms have each other's parameters"),
    ("feed-forward-first", lambda s, f, p: _mixer(s, p, s.feed_forward(part(p, "ffn", x=p["x"]))),
     "the feed-forward network comes before the mixer"),
    ("feed-forward-missing", lambda s, f, p: _mixer(s, p, p["x"]),
     "the block ends after the mixer"),
    ("feed-forward-beside", lambda s, f, p: s.residual(_mixer(s, p, p["x"]), _branch(s, p, p["x"])),
     "the feed-forward network runs on the block's input, beside the mixer"),
    ("residual-from-the-block-input",
     lambda s, f, p: s.residual(p["x"], _branch(s, p, _mixer(s, p, p["x"]))),
     "the second residual adds the block's input, not the mixer's output"),
    ("model", "layers"),
    ("first-block-for-all", lambda s, f, depth: [0] * depth,
     "every block has the parameters of the first"),
    ("last-block-skipped", lambda s, f, depth: range(depth - 1), "the last block is left out"),
    ("blocks-reversed", lambda s, f, depth: reversed(range(depth)),
     "the blocks run in reverse order"),
    ("blocks-on-the-embedding", lambda s, f, depth: [depth - 1],
     "the last block starts from the embedding, not from what the block before it returned"),
    ("tape-cut-between-blocks", {"layer": lambda s, f, p, i, x: f(p, i, x.detach())},
     "no gradient passes from the last block to what comes before it"),
    ("model", "embedded", _other_positions),
    ("positions-missing", lambda positions, ids: 0 * positions, "the positions are not added"),
    ("positions-shifted", lambda positions, ids: positions[np.roll(np.arange(ids.shape[1]), 1)],
     "the positions are off by one, and wrap around"),
    ("positions-reversed", lambda positions, ids: positions[::-1],
     "the positions count from the end"),
    ("positions-from-one",
     lambda positions, ids: positions[np.minimum(np.arange(1, ids.shape[1] + 1), ids.shape[1] - 1)],
     "the positions count from one, and the last is cut to the table"),
    ("first-position-for-all", lambda positions, ids: positions[:1],
     "every token gets the first position"),
    ("last-position-for-all", lambda positions, ids: positions[-1:],
     "every token gets the last position"),
    ("positions-averaged", lambda positions, ids: positions.mean(0, keepdims=True),
     "every token gets the average of the positions"),
    ("positions-halved", lambda positions, ids: 0.5 * positions, "half of the positions is added"),
    ("positions-twice", lambda positions, ids: 2 * positions, "the positions are added twice"),
    ("model", "embedded", part_of(2)),
    ("position-gradient-of-first-row", first_row,
     "the positions' gradient comes from the first row of the batch only"),
    ("position-gradient-overwritten", last_row,
     "the positions' gradient is assigned, not added: the last row of the batch remains"),
    ("position-gradient-averaged", lambda y: y / len(y),
     "the positions' gradient is an average over the batch, not a sum"),
    ("positions-not-trained", nothing, "the positions get no gradient"),
    ("model", "embedded"),
    ("embedding-scaled-in-model",
     lambda s, f, ids, tokens, positions: f(ids, math.sqrt(tokens.shape[-1]) * tokens, positions),
     "the token embeddings are multiplied by √D before the positions are added"),
    ("embedding-not-trained",
     lambda s, f, ids, tokens, positions: f(ids, tokens.detach(), positions),
     "the token embeddings get no gradient"),
    ("positions-of-first-row",
     lambda s, f, ids, tokens, positions: s.residual(
         y := s.embedding(ids, tokens), first_row(positions + 0 * y.detach())),
     "the positions are added to the first row of the batch only"),
])  # fmt: skip
