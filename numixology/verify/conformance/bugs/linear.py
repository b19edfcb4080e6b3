"""Bugs of linear layers, forward and backward."""

from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import Override, but, table
from .steps import (
    averaged,
    first_row,
    gradient_by,
    in_digits,
    in_format,
    last_row,
    last_token,
    nothing,
    of_output,
    only,
    part_of,
    whole,
    whole_rows,
)  # fmt: skip

__all__ = ["BUGS"]


def _transposed(weight: Tensor) -> Tensor:
    """A square weight transposed; another as it is, since its shape would not fit."""
    return weight.T if weight.shape[0] == weight.shape[1] else weight


def _whole_columns(y: Tensor) -> Tensor:
    return only(y, np.arange(y.shape[-1]) < whole(y.shape[-1]))


def _with_bias(other: Callable[[Tensor], Tensor | None]) -> Override:
    """An override that adds something else in place of the bias."""
    return lambda s, f, x, w, b: f(x, w, None if b is None else other(b))


def _coarse(round_off: Callable[[Tensor], Tensor]) -> Override:
    """An override that rounds both factors first."""
    return lambda s, f, x, w: f(round_off(x), round_off(w))


def _sums_in(kind: str, parts: int = 2) -> Override:
    """An override that keeps the sums over parts of the terms, and theirs, in a format."""

    def product(s: Textbook, f: Override, x: Tensor, w: Tensor) -> Tensor:
        order = s.shuffled(x.shape[-1])
        split = np.array_split(order, min(parts, len(order)))
        total, *rest = [in_format(f(x[..., some], w[:, some]), kind) for some in split]
        for one in rest:
            total = in_format(total + one, kind)
        return total

    return product


BUGS = table("linear", [
    ("linear", "product"),
    ("weight-transposed", lambda s, f, x, w: f(x, _transposed(w)),
     "A square weight is multiplied without being transposed"),
    ("depth-tail-dropped",
     lambda s, f, x, w: f(x[..., : (terms := whole(x.shape[-1]))], w[:, :terms]),
     "the terms of the sum beyond a multiple of four are left out"),
    ("column-tail-dropped", lambda s, f, x, w: _whole_columns(f(x, w)),
     "the columns of the product beyond a multiple of four stay zero"),
    ("linear", "linear", of_output),
    ("row-tail-dropped", whole_rows,
     "the tokens beyond a multiple of four are not computed and stay zero"),
    ("last-token-dropped", lambda y: y - last_token(y),
     "the last token is not computed and stays zero"),
    ("last-row-dropped", lambda y: y - last_row(y),
     "the last row of the batch is not computed and stays zero"),
    ("linear", "linear", _with_bias),
    ("bias-missing", lambda b: None, "the bias is not added"),
    ("bias-twice", lambda b: 2 * b, "the bias is added twice"),
    ("bias-subtracted", lambda b: -b, "the bias is subtracted"),
    ("last-bias-for-all", lambda b: b[-1:], "the bias's last entry is added to every column"),
    ("first-bias-for-all", lambda b: b[:1], "the bias's first entry is added to every column"),
    ("linear", "linear"),
    ("bias-for-first-row",
     lambda s, f, x, w, b: f(x, w) if b is None else s.store(
         (y := s.product(x, w)) + first_row(b + 0 * y.detach())),
     "the bias is added to the first row of the batch only"),
    ("linear", "product", _coarse),
    ("tf32-inputs", lambda x: in_digits(x, 11),
     "the factors are rounded to the eleven digits of TF32", "float64", "float32"),
    ("bfloat16-inputs", lambda x: in_format(x, "bfloat16"),
     "the factors are rounded to bfloat16", *but("bfloat16")),
    ("float16-inputs", lambda x: in_format(x, "float16"),
     "the factors are rounded to float16, where large ones overflow", *but("float16")),
    ("float32-inputs", lambda x: in_format(x, "float32"),
     "the factors are rounded to float32", "float64"),
    ("linear", "product"),
    ("weight-in-bfloat16", lambda s, f, x, w: f(x, in_format(w, "bfloat16")),
     "the weight is kept in bfloat16", *but("bfloat16")),
    ("weight-in-float16", lambda s, f, x, w: f(x, in_format(w, "float16")),
     "the weight is kept in float16", "float64", "float32"),
    ("bfloat16-sums", _sums_in("bfloat16"),
     "the sums are kept in bfloat16", *but("bfloat16"), "noisy"),
    ("float16-sums", _sums_in("float16"),
     "the sums are kept in float16, where large ones overflow", "float64", "float32", "noisy"),
    ("bfloat16-accumulator", _sums_in("bfloat16", 64),
     "the sum is bfloat16, to which the terms are added in turn", *but("bfloat16"), "noisy"),
    ("float16-accumulator", _sums_in("float16", 64),
     "the sum is float16, to which the terms are added in turn", "float64", "float32", "noisy"),
    ("float32-sums", _sums_in("float32"), "the sums are kept in float32", "float64", "noisy"),
    ("linear", "linear"),
    ("tf32-in-backward",
     lambda s, f, x, w, b: straight_through(f(x, w, b), f(in_digits(x, 11), in_digits(w, 11), b)),
     "the factors of both gradients are rounded to TF32", "float64", "float32"),
    ("linear", "linear", gradient_by(0)),
    ("input-gradient-transposed", lambda s, f, x, w, b: s.product(x, _transposed(w)),
     "the input's gradient multiplies by the transpose of a square weight"),
    ("input-gradient-tail-dropped", lambda s, f, x, w, b: _whole_columns(f(x, w)),
     "the input's gradient leaves out the columns beyond a multiple of four"),
    ("input-gradient-with-magnitudes", lambda s, f, x, w, b: f(x, F.abs(w)),
     "the input's gradient multiplies by |weight|"),
    ("linear", "linear", gradient_by(1)),
    ("weight-gradient-transposed", lambda s, f, x, w, b: f(x, _transposed(w)),
     "the gradient of a square weight comes out transposed"),
    ("weight-gradient-of-bfloat16-input", lambda s, f, x, w, b: f(in_format(x, "bfloat16"), w),
     "the input is saved for the backward in bfloat16", *but("bfloat16")),
    ("linear", "linear", part_of(1)),
    ("weight-gradient-tail-dropped", whole_rows,
     "the weight's gradient leaves out the tokens beyond a multiple of four"),
    ("weight-gradient-overwritten", last_row,
     "the weight's gradient is assigned, not added: the last row of the batch remains"),
    ("weight-gradient-of-first-row-only", first_row,
     "the weight's gradient comes from the first row of the batch only"),
    ("weight-gradient-over-batch-averaged", lambda y: y / len(y),
     "the weight's gradient is divided by the size of the batch"),
    ("weight-gradient-over-tokens-averaged", averaged,
     "the weight's gradient is an average over the tokens, not a sum"),
    ("linear-weight-gradient-of-last-token", last_token,
     "the weight's gradient is the last token's"),
    ("linear-weight-gradient-missing", nothing, "the weight gets no gradient"),
    ("linear", "linear", part_of(2)),
    ("bias-gradient-of-last-row", last_row,
     "the bias's gradient comes from the last row of the batch only"),
    ("bias-gradient-over-batch-averaged", lambda y: y / len(y),
     "the bias's gradient is divided by the size of the batch"),
    ("bias-gradient-of-last-token", last_token,
     "the bias's gradient is the last token's, not the sum"),
    ("bias-gradient-of-first-row", first_row,
     "the bias's gradient comes from the first row of the batch only"),
    ("bias-gradient-averaged", averaged,
     "the bias's gradient is an average over the tokens, not a sum"),
    ("bias-gradient-missing", nothing, "the bias gets no gradient"),
])  # fmt: skip
