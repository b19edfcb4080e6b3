"""Bugs of the token mixer, forward and backward."""

from collections.abc import Callable
from functools import partial

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from ..textbook import straight_through
from .registry import Override, but, table
from .steps import first_row, in_format

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
    memory = x if x.base is None else x.base
    return np.asarray(memory).ravel(order="K")[: x.size].reshape(x.shape)


def _gradient(like: Callable[..., Tensor]) -> Override:
    """The right value, with the gradient of something else, made of x, heads and the value."""
    return lambda s, right, x, num_heads: straight_through(
        y := right(x, num_heads), like(x, num_heads, y)
    )


_bugs = partial(table, "mixing", "token_mix")

BUGS = [
    *_bugs("permute", [
        ("mixer-identity",
         "the axes are not permuted, or permuted back before the merge: the input comes out",
         lambda s, right, heads: heads),
        ("merged-token-major", "the mixed chunks are merged from (B, T, d, H)",
         lambda s, right, heads: heads.permute(0, 1, 3, 2)),
        ("mixed-across-batch", "the heads come to lie before the batch, so that its rows mix",
         lambda s, right, heads: heads.permute(2, 0, 1, 3)),
        ("tokens-lead-the-batch", "the tokens come to lie before the batch, so that its rows mix",
         lambda s, right, heads: heads.permute(1, 0, 2, 3)),
        ("heads-reversed", "the heads lie in reverse order",
         lambda s, right, heads: right(heads)[:, ::-1]),
        ("tokens-reversed", "the tokens of a head lie in reverse order",
         lambda s, right, heads: right(heads)[:, :, ::-1]),
        ("columns-reversed", "the columns of every chunk lie in reverse order",
         lambda s, right, heads: right(heads)[..., ::-1]),
        ("last-head-forgotten", "the last head stays zero",
         lambda s, right, heads: F.concatenate(
             [(mixed := right(heads))[:, :-1], 0 * mixed[:, -1:]], axis=1)),
    ]),
    *_bugs("merge", [
        ("merged-column-first",
         "the chunks of a head are merged with their columns leading: D is transposed with T",
         lambda s, right, heads, shape: heads.permute(0, 1, 3, 2).reshape(shape)),
        ("chunks-shifted", "every chunk lies one place farther on",
         lambda s, right, heads, shape: _shifted(heads, shape)),
    ]),
    *_bugs("token_mix", [
        ("heads-interleaved", "D is split as (d, H), so that a head takes every H-th column",
         {"partition": lambda s, right, x, num_heads: _interleaved(x, num_heads)}),
        ("mixer-inverse", "the inverse permutation: (B, H, T, d) to (B, T, H, d)",
         lambda s, right, x, num_heads: _inverse(x, num_heads)),
        ("first-token-not-mixed", "the first token keeps its own chunks",
         lambda s, right, x, num_heads: F.concatenate(
             [x[:, :1], right(x, num_heads)[:, 1:]], axis=1)),
        ("first-row-for-all", "every row of the batch gets the first row's tokens",
         lambda s, right, x, num_heads: right(x[np.zeros(len(x), np.int64)], num_heads)),
        ("mixed-twice", "the tokens are mixed twice",
         lambda s, right, x, num_heads: right(right(x, num_heads), num_heads)),
        ("mixed-in-bfloat16", "the tokens pass through bfloat16 on their way",
         lambda s, right, x, num_heads: in_format(right(x, num_heads), "bfloat16"),
         *but("bfloat16")),
    ]),
    *_bugs("token_mix", [
        ("mixer-gradient-not-permuted", "the gradient is handed on without being permuted back",
         lambda x, num_heads, y: x),
        ("mixer-gradient-permuted-forward", "the gradient is permuted as the input was, not back",
         lambda x, num_heads, y: _inverse(x, num_heads)),
        ("mixer-gradient-missing", "no gradient passes through the mixer",
         lambda x, num_heads, y: 0 * x),
        ("mixer-gradient-of-first-row", "only the first row of the batch gets a gradient",
         lambda x, num_heads, y: first_row(y)),
        ("mixer-gradient-negated", "the gradient has the wrong sign",
         lambda x, num_heads, y: -y),
    ], wrap=_gradient),
    *table("mixing", "token_mix layer_norm softmax", "wrapped", [
        ("strides-ignored",
         "an input with gaps, or in Fortran's order, is read as if it were contiguous",
         lambda s, right, inputs: right({**inputs, "x": _as_it_lies(inputs["x"])})),
    ]),
    *table("mixing", "token_mix linear gelu", "vjp", [
        ("cotangent-strides-ignored",
         "A cotangent with gaps, or in Fortran's order, is read as if it were contiguous",
         lambda s, right, stage, inputs, ct: right(stage, inputs, _as_it_lies(ct))),
    ]),
]  # fmt: skip
