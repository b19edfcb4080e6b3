"""Bugs of the token mixer, forward and backward."""

import operator

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from .registry import but, table
from .steps import first_row, gradient_by, in_format, last_row, nothing, part_of

__all__ = ["BUGS"]


def _interleaved(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    return x.reshape(B, T, D // num_heads, num_heads).permute(0, 1, 3, 2)


def _inverse(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    return x.reshape(B, num_heads, T, D // num_heads).permute(0, 2, 1, 3).reshape(B, T, D)


def _shifted(heads: Tensor, shape: tuple[int, ...]) -> Tensor:
    B, H, T, d = heads.shape
    chunks = heads.reshape(B, H * T, d)
    return chunks[:, np.roll(np.arange(H * T), 1)].reshape(shape)


def _as_it_lies(x: Array) -> Array:
    """The memory under an array, read as if there were no gaps and the last axis were dense."""
    memory = np.asarray(x if x.base is None else x.base).ravel(order="K")
    return np.resize(memory, x.shape)  # a stride of 0 leaves fewer numbers there


BUGS = table("mixing", [
    ("token_mix", "permute"),
    ("mixer-identity", lambda s, f, heads: heads,
     "the axes are not permuted, or permuted back before the merge: the input comes out"),
    ("merged-token-major", lambda s, f, heads: heads.permute(0, 1, 3, 2),
     "the mixed chunks are merged from (B, T, d, H)"),
    ("mixed-across-batch", lambda s, f, heads: heads.permute(2, 0, 1, 3),
     "the heads come to lie before the batch, so that its rows mix"),
    ("tokens-lead-the-batch", lambda s, f, heads: heads.permute(1, 0, 2, 3),
     "the tokens come to lie before the batch, so that its rows mix"),
    ("heads-reversed", lambda s, f, heads: f(heads)[:, ::-1], "the heads lie in reverse order"),
    ("tokens-reversed", lambda s, f, heads: f(heads)[:, :, ::-1],
     "the tokens of a head lie in reverse order"),
    ("tokens-averaged", lambda s, f, heads: 0 * (y := f(heads)) + y.mean(2, keepdims=True),
     "every token of a head is the average of all"),
    ("heads-averaged", lambda s, f, heads: 0 * (y := f(heads)) + y.mean(1, keepdims=True),
     "every head is the average of all"),
    ("first-head-for-all", lambda s, f, heads: 0 * (y := f(heads)) + y[:, :1],
     "every head is the first"),
    ("columns-reversed", lambda s, f, heads: f(heads)[..., ::-1],
     "the columns of every chunk lie in reverse order"),
    ("last-head-forgotten",
     lambda s, f, heads: F.concatenate([(mixed := f(heads))[:, :-1], 0 * mixed[:, -1:]], axis=1),
     "the last head stays zero"),
    ("token_mix", "merge"),
    ("merged-column-first", lambda s, f, heads, shape: heads.permute(0, 1, 3, 2).reshape(shape),
     "the chunks of a head are merged with their columns leading: D is transposed with T"),
    ("chunks-shifted", lambda s, f, heads, shape: _shifted(heads, shape),
     "every chunk lies one place farther on"),
    ("token_mix", "token_mix"),
    ("heads-interleaved", {"partition": lambda s, f, x, H: _interleaved(x, H)},
     "D is split as (d, H), so that a head takes every H-th column"),
    ("mixer-inverse", lambda s, f, x, H: _inverse(x, H),
     "the inverse permutation: (B, H, T, d) to (B, T, H, d)"),
    ("first-token-not-mixed", lambda s, f, x, H: F.concatenate([x[:, :1], f(x, H)[:, 1:]], axis=1),
     "the first token keeps its own chunks"),
    ("first-row-for-all", lambda s, f, x, H: f(x[np.zeros(len(x), np.int64)], H),
     "every row of the batch gets the first row's tokens"),
    ("last-row-for-all", lambda s, f, x, H: f(x[np.full(len(x), len(x) - 1)], H),
     "every row of the batch gets the last row's tokens"),
    ("mixed-tokens-reversed", lambda s, f, x, H: f(x, H)[:, ::-1],
     "the mixed tokens come out in reverse order"),
    ("mixed-twice", lambda s, f, x, H: f(f(x, H), H), "the tokens are mixed twice"),
    ("mixed-in-bfloat16", lambda s, f, x, H: in_format(f(x, H), "bfloat16"),
     "the tokens pass through bfloat16 on their way", *but("bfloat16")),
    ("mixed-in-float16", lambda s, f, x, H: in_format(f(x, H), "float16"),
     "the tokens pass through float16 on their way", "float64", "float32"),
    ("token_mix", "token_mix", gradient_by(0)),
    ("mixer-gradient-not-permuted", lambda s, f, x, H: x,
     "the gradient is handed on without being permuted back"),
    ("mixer-gradient-permuted-forward", lambda s, f, x, H: _inverse(x, H),
     "the gradient is permuted as the input was, not back"),
    ("token_mix", "token_mix", part_of(0)),
    ("mixer-gradient-missing", nothing, "no gradient passes through the mixer"),
    ("mixer-gradient-of-first-row", first_row, "only the first row of the batch gets a gradient"),
    ("mixer-gradient-of-last-row", last_row, "only the last row of the batch gets a gradient"),
    ("mixer-gradient-averaged", lambda y: y / len(y),
     "the gradient is divided by the size of the batch"),
    ("mixer-gradient-negated", operator.neg, "the gradient has the wrong sign"),
    ("token_mix layer_norm softmax", "wrapped"),
    ("strides-ignored", lambda s, f, inputs: f({**inputs, "x": _as_it_lies(inputs["x"])}),
     "an input with gaps, or in Fortran's order, is read as if it were contiguous"),
    ("token_mix linear gelu", "vjp"),
    ("cotangent-strides-ignored", lambda s, f, stage, inputs, ct: f(stage, inputs, _as_it_lies(ct)),
     "A cotangent with gaps, or in Fortran's order, is read as if it were contiguous"),
])  # fmt: skip
