"""Bugs of linear layers, forward and backward."""

from collections.abc import Callable
from functools import partial

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import Override, but, table
from .steps import first_row, in_digits, in_format, last_row, last_token, only, whole, whole_rows

__all__ = ["BUGS"]


class _InParts(Textbook):
    """The right value, with a gradient put together from three parts."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = super().linear(x, weight, bias)
        like = self.by_x(x, weight.detach()) + self.by_weight(x.detach(), weight)
        if bias is not None:
            like = like + self.by_bias(bias + 0 * y.detach())
        return straight_through(y, self.store(like))

    def by_x(self, x: Tensor, weight: Tensor) -> Tensor:
        """What has the gradient of the input."""
        return self.product(x, weight)

    def by_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """What has the gradient of the weight."""
        return self.product(x, weight)

    def by_bias(self, bias: Tensor) -> Tensor:
        """What has the gradient of the bias."""
        return bias


def _transposed(weight: Tensor) -> Tensor:
    """A square weight transposed; another as it is, since its shape would not fit."""
    return weight.T if weight.shape[0] == weight.shape[1] else weight


def _whole_columns(y: Tensor) -> Tensor:
    return only(y, np.arange(y.shape[-1]) < whole(y.shape[-1]))


def _with_bias(other: Callable[[Tensor], Tensor]) -> Override:
    """An override that adds something else in place of the bias."""
    return lambda s, right, x, weight, bias=None: right(
        x, weight, None if bias is None else other(bias)
    )


def _of_output(change: Callable[[Tensor], Tensor]) -> Override:
    """An override that changes the output."""
    return lambda s, right, *args, **named: change(right(*args, **named))


def _bias_for_first_row(
    s: Textbook, right: object, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    y = s.product(x, weight)
    return s.store(y if bias is None else y + first_row(bias + 0 * y.detach()))


def _coarse(round_off: Callable[[Tensor], Tensor]) -> Override:
    """An override that rounds both factors first."""
    return lambda s, right, x, weight: right(round_off(x), round_off(weight))


def _sums_in(kind: str) -> Override:
    """An override that keeps the sums over two halves of the terms, and theirs, in a format."""

    def product(s: Textbook, right: Callable[..., Tensor], x: Tensor, weight: Tensor) -> Tensor:
        order = s.shuffled(x.shape[-1])
        halves = np.array_split(order, min(2, len(order)))
        total, *rest = [in_format(right(x[..., some], weight[:, some]), kind) for some in halves]
        for one in rest:
            total = in_format(total + one, kind)
        return total

    return product


_bugs = partial(table, "linear", "linear")

BUGS = [
    *_bugs("product", [
        ("weight-transposed", "A square weight is multiplied without being transposed",
         lambda s, right, x, weight: right(x, _transposed(weight))),
        ("depth-tail-dropped", "the terms of the sum beyond a multiple of four are left out",
         lambda s, right, x, weight: right(
             x[..., : (terms := whole(x.shape[-1]))], weight[:, :terms])),
        ("column-tail-dropped", "the columns of the product beyond a multiple of four stay zero",
         lambda s, right, x, weight: _whole_columns(right(x, weight))),
    ]),
    *_bugs("linear", [
        ("row-tail-dropped", "the tokens beyond a multiple of four are not computed and stay zero",
         lambda y: only(y, whole_rows(y))),
        ("last-token-dropped", "the last token is not computed and stays zero",
         lambda y: y - last_token(y)),
        ("last-row-dropped", "the last row of the batch is not computed and stays zero",
         lambda y: y - last_row(y)),
    ], wrap=_of_output),
    *_bugs("linear", [
        ("bias-missing", "the bias is not added", lambda bias: None),
        ("bias-twice", "the bias is added twice", lambda bias: 2 * bias),
        ("bias-subtracted", "the bias is subtracted", lambda bias: -bias),
        ("first-bias-for-all", "the bias's first entry is added to every column",
         lambda bias: bias[:1]),
    ], wrap=_with_bias),
    *_bugs("linear", [
        ("bias-for-first-row", "the bias is added to the first row of the batch only",
         _bias_for_first_row),
    ]),
    *_bugs("product", [
        ("tf32-inputs", "the factors are rounded to the eleven digits of TF32",
         lambda x: in_digits(x, 11), "float64", "float32"),
        ("bfloat16-inputs", "the factors are rounded to bfloat16",
         lambda x: in_format(x, "bfloat16"), *but("bfloat16")),
        ("float16-inputs", "the factors are rounded to float16, where large ones overflow",
         lambda x: in_format(x, "float16"), *but("float16")),
        ("float32-inputs", "the factors are rounded to float32",
         lambda x: in_format(x, "float32"), "float64"),
    ], wrap=_coarse),
    *_bugs("product", [
        ("bfloat16-sums", "the sums are kept in bfloat16", "bfloat16", *but("bfloat16")),
        ("float16-sums", "the sums are kept in float16, where large ones overflow", "float16",
         "float64", "float32"),
        ("float32-sums", "the sums are kept in float32", "float32", "float64"),
    ], wrap=_sums_in, noisy=True),
    # The backward
    *_bugs("by_x", [
        ("input-gradient-transposed",
         "the input's gradient multiplies by the transpose of a square weight",
         lambda s, right, x, weight: right(x, _transposed(weight))),
        ("input-gradient-tail-dropped",
         "the input's gradient leaves out the columns beyond a multiple of four",
         lambda s, right, x, weight: _whole_columns(right(x, weight))),
        ("input-gradient-with-magnitudes", "the input's gradient multiplies by |weight|",
         lambda s, right, x, weight: right(x, F.abs(weight))),
    ], base=_InParts),
    *_bugs("by_weight", [
        ("weight-gradient-transposed", "the gradient of a square weight comes out transposed",
         lambda s, right, x, weight: right(x, _transposed(weight))),
        ("weight-gradient-tail-dropped",
         "the weight's gradient leaves out the tokens beyond a multiple of four",
         lambda s, right, x, weight: only(y := right(x, weight), whole_rows(y))),
        ("weight-gradient-overwritten",
         "the weight's gradient is assigned, not added: the last row of the batch remains",
         lambda s, right, x, weight: last_row(right(x, weight))),
        ("weight-gradient-of-first-row-only",
         "the weight's gradient comes from the first row of the batch only",
         lambda s, right, x, weight: first_row(right(x, weight))),
        ("weight-gradient-over-batch-averaged",
         "the weight's gradient is divided by the size of the batch",
         lambda s, right, x, weight: right(x, weight) / len(x)),
        ("weight-gradient-of-bfloat16-input", "the input is saved for the backward in bfloat16",
         lambda s, right, x, weight: right(in_format(x, "bfloat16"), weight), *but("bfloat16")),
    ], base=_InParts),
    *_bugs("by_bias", [
        ("bias-gradient-of-last-token", "the bias's gradient is the last token's, not the sum",
         lambda s, right, bias: last_token(bias)),
        ("bias-gradient-of-first-row",
         "the bias's gradient comes from the first row of the batch only",
         lambda s, right, bias: first_row(bias)),
        ("bias-gradient-averaged", "the bias's gradient is an average over the tokens, not a sum",
         lambda s, right, bias: bias / (bias.size // bias.shape[-1])),
        ("bias-gradient-missing", "the bias gets no gradient",
         lambda s, right, bias: bias.detach()),
    ], base=_InParts),
]  # fmt: skip
