"""Bugs of the token mixer, forward and backward."""

from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from .families import GRADIENTS, MISREAD, each, in_formats
from .overrides import gradient_by, of_output, output, part_of
from .registry import Override, table
from .steps import kept_part

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
    return chunks[:, np.arange(H * T) - 1].reshape(shape)


def _rolled(heads: Tensor) -> Tensor:
    T, H = heads.shape[1:3]
    return heads[:, (np.arange(T)[:, None] - np.arange(H)) % T, np.arange(H)]


def _as_it_lies(x: Array) -> Array:
    """The memory under an array, read as if there were no gaps and the last axis were dense."""
    memory = np.asarray(x if x.base is None else x.base).ravel(order="K")
    return np.resize(memory, x.shape)  # a stride of 0 leaves fewer numbers there


def _along(axis: int) -> Callable[[Callable[[Tensor], Tensor]], Override]:
    """Overrides that misread what comes out along an axis."""
    return lambda read: of_output(lambda y: read(y.transpose(0, axis)).transpose(0, axis))


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
    ("heads-rolled", lambda s, f, heads: _rolled(heads),
     "head h is rolled by h tokens, and not permuted"),
    ("token_mix", "permute", of_output),
    ("last-head-stays-zero", lambda y: y - kept_part(np.s_[:], np.s_[-1:])(y)),
    ("token_mix", "permute", _along(1)),
    *each(MISREAD[4:], "heads"),
    ("token_mix", "permute", _along(2)),
    *each(MISREAD[4:], "tokens-of-a-head"),
    ("token_mix", "permute", _along(3)),
    *each(MISREAD[4:], "columns-of-a-chunk"),
    ("token_mix", "token_mix", _along(0)),
    *each(MISREAD[4:], "batch"),
    ("token_mix", "merge"),
    ("merged-column-first", lambda s, f, heads, shape: heads.permute(0, 1, 3, 2).reshape(shape),
     "the chunks of a head are merged with their columns leading: D is transposed with T"),
    ("chunks-one-place-on", lambda s, f, heads, shape: _shifted(heads, shape)),
    ("token_mix", "token_mix"),
    ("heads-interleaved", {"partition": lambda s, f, x, H: _interleaved(x, H)},
     "D is split as (d, H), so that a head takes every H-th column"),
    ("mixer-inverse", lambda s, f, x, H: _inverse(x, H),
     "the inverse permutation: (B, H, T, d) to (B, T, H, d)"),
    ("first-token-not-mixed", lambda s, f, x, H: F.concatenate([x[:, :1], f(x, H)[:, 1:]], axis=1)),
    ("mixed-tokens-reversed", lambda s, f, x, H: f(x, H)[:, ::-1]),
    ("mixed-twice", lambda s, f, x, H: f(f(x, H), H)),
    *in_formats("mixed-in-{}", output, "bfloat16 float16"),
    ("token_mix", "token_mix", gradient_by(0)),
    ("mixer-gradient-not-permuted", lambda s, f, x, H: x, "its gradient is not permuted back"),
    ("mixer-gradient-permuted-as-the-input", lambda s, f, x, H: _inverse(x, H)),
    ("token_mix", "token_mix", part_of(0)),
    *each(GRADIENTS, "mixer"),
    ("token_mix layer_norm softmax", "wrapped"),
    ("strides-ignored", lambda s, f, inputs: f({**inputs, "x": _as_it_lies(inputs["x"])}),
     "an input with gaps, or in Fortran's order, is read as if it were contiguous"),
    ("token_mix linear gelu", "vjp"),
    ("cotangent-strides-ignored", lambda s, f, stage, inputs, ct: f(stage, inputs, _as_it_lies(ct)),
     "A cotangent with gaps, or in Fortran's order, is read as if it were contiguous"),
])  # fmt: skip
