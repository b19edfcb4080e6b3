"""Bugs of the feed-forward networks, the block and the model, whose parts are right."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..stages import Inputs, part
from ..textbook import Textbook, straight_through
from .registry import Override, table
from .steps import first_row, last_row

__all__ = ["BUGS"]


def _dropped(x: Tensor, seed: tuple[int, ...] | None = None) -> Tensor:
    """A tenth of the numbers zero, the others larger."""
    kept = np.random.default_rng(seed).random(x.shape) >= 0.1
    return x * (kept / 0.9).astype(x.dtype)


def _gated_gradient_of_sigmoid(
    s: Textbook, right: Callable[..., Tensor], gate: Tensor, up: Tensor
) -> Tensor:
    like = s.silu(gate).detach() * up + F.sigmoid(gate) * up.detach()
    return straight_through(right(gate, up), s.store(like))


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


def _other_positions(other: Callable[..., Tensor]) -> Override:
    """An override that adds other positions, made of the right ones and of the ids."""
    return lambda s, right, ids, tokens, positions: s.residual(
        y := s.embedding(ids, tokens), other(positions, ids) + 0 * y.detach()
    )


def _position_gradient(like: Callable[[Tensor], Tensor]) -> Override:
    """The right value, with another gradient of the positions, which come a row of the batch."""
    return lambda s, right, ids, tokens, positions: straight_through(
        y := right(ids, tokens, positions),
        s.embedding(ids, tokens) + like(positions[: ids.shape[1]] + 0 * y.detach()),
    )


_networks = partial(table, "networks", "feed_forward swiglu_feed_forward")
_feed_forward = partial(table, "networks", "feed_forward")
_swiglu = partial(table, "networks", "swiglu_feed_forward")
_block = partial(table, "networks", "block")
_model = partial(table, "networks", "model")

BUGS = [
    *_networks("residual", [
        ("residual-missing", "the input is not added back", lambda s, right, x, y: y),
        ("residual-halved", "half of the input is added back",
         lambda s, right, x, y: right(0.5 * x, y)),
        ("residual-twice", "the input is added back twice", lambda s, right, x, y: right(2 * x, y)),
        ("residual-averaged", "the input and the branch are averaged, not added",
         lambda s, right, x, y: right(x, y) / 2),
        ("residual-subtracted", "the branch is subtracted from the input",
         lambda s, right, x, y: right(x, -y)),
        ("residual-gradient-dropped",
         "the gradient of the residual path is overwritten by that of the branch",
         lambda s, right, x, y: right(x.detach(), y)),
    ]),
    *_networks("first_norm", [
        ("branch-gradient-dropped",
         "the gradient of the branch is overwritten by that of the residual path",
         lambda s, right, p: right({**p, "x": p["x"].detach()})),
        ("pre-norm-missing", "the branch starts from the input as it is, without the norm",
         lambda s, right, p: p["x"]),
        ("normed-twice", "the norm is applied twice",
         lambda s, right, p: right({**p, "x": right(p)})),
    ]),
    *_networks("around", [
        ("residual-of-the-normed", "the normed input is added back, not the input",
         lambda s, right, p, branch: s.residual(h := s.first_norm(p), branch(p, h))),
        ("post-norm-for-pre-norm", "the norm comes last, after the sum: norm(x + branch(x))",
         lambda s, right, p, branch: s.first_norm(
             {**p, "x": s.residual(p["x"], branch(p, p["x"]))})),
        ("norm-of-the-branch", "the norm stands after the branch: x + norm(branch(x))",
         lambda s, right, p, branch: s.residual(
             p["x"], s.first_norm({**p, "x": branch(p, p["x"])}))),
    ]),
    *_feed_forward("activation", [
        ("tanh-gelu-inside", "the network's activation is GELU in the form with tanh",
         lambda s, right, x: s.gelu_tanh(x)),
        ("silu-inside", "the network's activation is SiLU", lambda s, right, x: s.silu(x)),
        ("relu-inside", "the network's activation is ReLU", lambda s, right, x: F.relu(x)),
        ("activation-missing", "the network has no activation", lambda s, right, x: x),
    ]),
    *_feed_forward("branch", [
        ("activation-twice", "the activation is applied again after the second layer",
         lambda s, right, p, h: s.activation(right(p, h))),
        ("activation-at-the-end", "the activation follows the second layer, not the first",
         lambda s, right, p, h: _activation_last(s, p, h)),
        ("first-bias-missing", "the first layer has no bias",
         lambda s, right, p, h: right({**p, "linear1.bias": None}, h)),
        ("second-bias-missing", "the second layer has no bias",
         lambda s, right, p, h: right({**p, "linear2.bias": None}, h)),
        ("weights-tied", "the second layer's weight is the transpose of the first's",
         lambda s, right, p, h: right({**p, "linear2.weight": p["linear1.weight"].T}, h)),
    ]),
    *_feed_forward("dropout", [
        ("dropout-active",
         "dropout zeroes a tenth of the numbers, though the network is evaluated",
         lambda s, right, x: _dropped(x)),
    ], unsteady=True),
    *_feed_forward("dropout", [
        ("dropout-scaled", "dropout still multiplies by 1 / (1 - p), though it drops nothing",
         lambda s, right, x: x / 0.9),
        ("dropout-scaled-down", "dropout multiplies by 1 - p, as if training had not scaled",
         lambda s, right, x: x * 0.9),
        ("dropout-in-backward",
         "the backward applies a dropout mask, though the forward applied none",
         lambda s, right, x: straight_through(x, _dropped(x, x.shape))),
    ]),
    *_swiglu("gated", [
        ("gate-and-up-swapped", "the activation is on w3, and w1 is what it multiplies",
         lambda s, right, gate, up: right(up, gate)),
        ("activation-of-product", "the activation comes after the product: silu(w1(h) · w3(h))",
         lambda s, right, gate, up: s.silu(gate * up)),
        ("both-activated", "the activation is on w1 and on w3",
         lambda s, right, gate, up: right(gate, s.silu(up))),
        ("gate-not-activated", "there is no activation: w1(h) · w3(h)",
         lambda s, right, gate, up: s.store(gate * up)),
        ("gelu-gate", "the gate is GELU, as in GEGLU",
         lambda s, right, gate, up: s.store(s.gelu(gate) * up)),
        ("sigmoid-gate", "the gate is the sigmoid, as in GLU",
         lambda s, right, gate, up: s.store(F.sigmoid(gate) * up)),
        ("relu-gate", "the gate is ReLU, as in ReGLU",
         lambda s, right, gate, up: s.store(F.relu(gate) * up)),
        ("up-missing", "the gate is not multiplied by w3(h)",
         lambda s, right, gate, up: s.silu(gate)),
        ("gate-and-up-added", "the gate and w3(h) are added, not multiplied",
         lambda s, right, gate, up: s.store(s.silu(gate) + up)),
        ("gate-gradient-of-sigmoid", "the gate's backward is that of the sigmoid",
         _gated_gradient_of_sigmoid),
    ]),
    *_swiglu("gated_branch", [
        ("up-of-the-input", "w3 is applied to the input before the norm",
         lambda s, right, p, h, k: right(p, h, p["x"])),
        ("gate-and-up-shared", "w1 serves for w3 too",
         lambda s, right, p, h, k: right({**p, "w3.weight": p["w1.weight"]}, h, k)),
        ("gate-and-up-interleaved",
         "the rows of w1 and w3 are taken as interleaved, as in one packed weight",
         lambda s, right, p, h, k: right(_interleaved(p), h, k)),
        ("up-gradient-dropped",
         "the normed input's gradient counts the gate's path only, not that of w3",
         lambda s, right, p, h, k: right(p, h, k.detach())),
        ("gate-gradient-dropped",
         "the normed input's gradient counts the path of w3 only, not the gate's",
         lambda s, right, p, h, k: right(p, h.detach(), k)),
    ]),
    *_block("mixed", [
        ("mixer-residual-missing", "the mixer's input is not added back: norm(token_mix(x))",
         lambda s, right, x, num_heads: s.token_mix(x, num_heads)),
        ("mixer-missing", "nothing is mixed: the block is norm and feed-forward network",
         lambda s, right, x, num_heads: x),
        ("mixer-residual-halved", "half of the mixer's input is added back",
         lambda s, right, x, num_heads: s.residual(0.5 * x, s.token_mix(x, num_heads))),
        ("mixer-residual-gradient-dropped",
         "the gradient of the mixer's residual path is overwritten by that of the mixing",
         lambda s, right, x, num_heads: s.residual(x.detach(), s.token_mix(x, num_heads))),
        ("mixing-gradient-dropped",
         "the gradient of the mixing is overwritten by that of the mixer's residual path",
         lambda s, right, x, num_heads: s.residual(x, s.token_mix(x.detach(), num_heads))),
    ]),
    *_block("mixer", [
        ("mixer-residual-after-norm",
         "the mixer's input is added after the norm: x + norm(token_mix(x))",
         lambda s, right, x, num_heads, norm: s.residual(
             x, s.mixer_norm(s.token_mix(x, num_heads), norm))),
        ("mixer-residual-around-norm",
         "the mixer's input is added once more after the norm: x + norm(x + token_mix(x))",
         lambda s, right, x, num_heads, norm: s.residual(x, right(x, num_heads, norm))),
        ("mixer-pre-norm", "the mixer's norm comes first: x + token_mix(norm(x))",
         lambda s, right, x, num_heads, norm: s.residual(
             x, s.token_mix(s.mixer_norm(x, norm), num_heads))),
        ("mixer-norm-missing",
         "the mixer has no norm: the feed-forward network sees x + token_mix(x)",
         lambda s, right, x, num_heads, norm: s.mixed(x, num_heads)),
        ("one-head-too-few", "the block mixes with one head whatever it is told",
         lambda s, right, x, num_heads, norm: right(x, 1, norm)),
    ]),
    *_block("block", [
        ("norms-shared", "the mixer's norm serves for the feed-forward network too",
         lambda s, right, p: right({**p, **_norm(p, "mixer", "ffn")})),
        ("norms-swapped", "the two norms have each other's parameters",
         lambda s, right, p: right({**p, **_norm(p, "mixer", "ffn"), **_norm(p, "ffn", "mixer")})),
        ("feed-forward-first", "the feed-forward network comes before the mixer",
         lambda s, right, p: _mixer(s, p, s.feed_forward(part(p, "ffn", x=p["x"])))),
        ("feed-forward-missing", "the block ends after the mixer",
         lambda s, right, p: _mixer(s, p, p["x"])),
        ("feed-forward-beside",
         "the feed-forward network runs on the block's input, beside the mixer",
         lambda s, right, p: s.residual(_mixer(s, p, p["x"]), _branch(s, p, p["x"]))),
        ("residual-from-the-block-input",
         "the second residual adds the block's input, not the mixer's output",
         lambda s, right, p: s.residual(p["x"], _branch(s, p, _mixer(s, p, p["x"])))),
    ]),
    *_model("layers", [
        ("first-block-for-all", "every block has the parameters of the first",
         lambda s, right, depth: [0] * depth),
        ("last-block-skipped", "the last block is left out",
         lambda s, right, depth: range(depth - 1)),
        ("blocks-reversed", "the blocks run in reverse order",
         lambda s, right, depth: reversed(range(depth))),
        ("blocks-on-the-embedding",
         "the last block starts from the embedding, not from what the block before it returned",
         lambda s, right, depth: [depth - 1]),
        ("tape-cut-between-blocks",
         "no gradient passes from the last block to what comes before it",
         {"layer": lambda s, right, p, i, x: right(p, i, x.detach())}),
    ]),
    *_model("embedded", [
        ("positions-missing", "the positions are not added", lambda positions, ids: 0 * positions),
        ("positions-shifted", "the positions are off by one, and wrap around",
         lambda positions, ids: positions[np.roll(np.arange(ids.shape[1]), 1)]),
        ("positions-reversed", "the positions count from the end",
         lambda positions, ids: positions[::-1]),
        ("positions-from-one", "the positions count from one, and the last is cut to the table",
         lambda positions, ids: positions[np.minimum(
             np.arange(1, ids.shape[1] + 1), ids.shape[1] - 1)]),
        ("first-position-for-all", "every token gets the first position",
         lambda positions, ids: positions[:1]),
        ("positions-twice", "the positions are added twice", lambda positions, ids: 2 * positions),
    ], wrap=_other_positions),
    *_model("embedded", [
        ("position-gradient-of-first-row",
         "the positions' gradient comes from the first row of the batch only", first_row),
        ("position-gradient-overwritten",
         "the positions' gradient is assigned, not added: the last row of the batch remains",
         last_row),
        ("position-gradient-averaged",
         "the positions' gradient is an average over the batch, not a sum",
         lambda positions: positions / len(positions)),
        ("positions-not-trained", "the positions get no gradient",
         lambda positions: positions.detach()),
    ], wrap=_position_gradient),
    *_model("embedded", [
        ("embedding-scaled-in-model",
         "the token embeddings are multiplied by √D before the positions are added",
         lambda s, right, ids, tokens, positions: right(
             ids, math.sqrt(tokens.shape[-1]) * tokens, positions)),
        ("embedding-not-trained", "the token embeddings get no gradient",
         lambda s, right, ids, tokens, positions: right(ids, tokens.detach(), positions)),
        ("positions-of-first-row", "the positions are added to the first row of the batch only",
         lambda s, right, ids, tokens, positions: s.residual(
             y := s.embedding(ids, tokens), first_row(positions + 0 * y.detach()))),
    ]),
]  # fmt: skip
