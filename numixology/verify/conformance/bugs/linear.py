"""Bugs of linear layers, forward and backward."""

from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .families import GRADIENTS, MISREAD, each, in_formats
from .overrides import arguments, gradient_by, of_output, part_of
from .registry import Override, table
from .steps import in_format, kept_part, only, whole, whole_rows

__all__ = ["BUGS"]


def _transposed(weight: Tensor) -> Tensor:
    """A square weight transposed; another as it is, since its shape would not fit."""
    return weight.T if weight.shape[0] == weight.shape[1] else weight


def _whole_columns(y: Tensor) -> Tensor:
    return only(y, np.arange(y.shape[-1]) < whole(y.shape[-1]))


def _with_bias(other: Callable[[Tensor], Tensor]) -> Override:
    """An override that adds something else in place of the bias."""
    return lambda s, f, x, w, b: f(x, w, None if b is None else other(b))


def _sums_in(parts: int) -> Callable[[str], Override]:
    """Overrides that keep the sums over parts of the terms, and theirs, in a format."""

    def in_kind(kind: str) -> Override:
        def product(s: Textbook, f: Override, x: Tensor, w: Tensor) -> Tensor:
            order = s.shuffled(x.shape[-1])
            split = np.array_split(order, min(parts, len(order)))
            total, *rest = [in_format(f(x[..., some], w[:, some]), kind) for some in split]
            for one in rest:
                total = in_format(total + one, kind)
            return total

        return product

    return in_kind


def _backward_in(kind: str) -> Override:
    rounded = arguments(0, 1)(kind)
    return lambda s, f, *args: straight_through(f(*args), rounded(s, f, *args))


BUGS = table("linear", [
    ("linear", "product"),
    ("weight-transposed", lambda s, f, x, w: f(x, _transposed(w)),
     "A square weight is multiplied without being transposed"),
    ("weight-reshaped", lambda s, f, x, w: f(x, w.reshape(w.shape[::-1]).T),
     "the weight is reshaped to (D, F), not transposed"),
    ("depth-tail-dropped", lambda s, f, x, w: f(x[..., : (n := whole(x.shape[-1]))], w[:, :n]),
     "the terms of the sum beyond a multiple of four are left out"),
    ("column-tail-dropped", lambda s, f, x, w: _whole_columns(f(x, w)),
     "the columns of the product beyond a multiple of four stay zero"),
    *in_formats("factors-in-{}", arguments(0, 1), "tf32 bfloat16 float16 float32"),
    *in_formats("weight-in-{}", arguments(1), "bfloat16 float16"),
    *in_formats("{}-sums", _sums_in(2), "bfloat16 float16 float32", "sums are kept in {}", "noisy"),
    *in_formats("{}-accumulator", _sums_in(64), "bfloat16 float16",
                "the sum is {}, to which the terms are added in turn", "noisy"),
    ("linear", "linear", of_output),
    ("row-tail-dropped", whole_rows, "the tokens beyond a multiple of four stay zero"),
    ("last-token-stays-zero", lambda y: y - kept_part(np.s_[-1:], np.s_[-1:])(y)),
    ("last-row-stays-zero", lambda y: y - kept_part(np.s_[-1:])(y)),
    ("linear", "linear", _with_bias),
    *each(MISREAD, "bias"),
    ("linear", "linear"),
    ("bias-added-to-first-row-only",
     lambda s, f, x, w, b: f(x, w) if b is None else s.store(
         (y := s.product(x, w)) + kept_part(np.s_[:1])(b + 0 * y.detach()))),
    *in_formats("factors-of-gradients-in-{}", _backward_in, "tf32"),
    ("linear", "linear", gradient_by(0)),
    ("input-gradient-transposed", lambda s, f, x, w, b: s.product(x, _transposed(w)),
     "the input's gradient multiplies by the transpose of a square weight"),
    ("input-gradient-tail-dropped", lambda s, f, x, w, b: _whole_columns(f(x, w)),
     "the input's gradient leaves out the columns beyond a multiple of four"),
    ("input-gradient-with-magnitudes-of-weight", lambda s, f, x, w, b: f(x, F.abs(w))),
    *in_formats("input-gradient-with-weight-in-{}", arguments(1), "bfloat16 float16"),
    ("linear", "linear", gradient_by(1)),
    ("weight-gradient-transposed", lambda s, f, x, w, b: f(x, _transposed(w)),
     "the gradient of a square weight comes out transposed"),
    *in_formats("weight-gradient-with-input-in-{}", arguments(0), "bfloat16 float16"),
    ("linear", "linear", part_of(1)),
    *each(GRADIENTS, "weight"),
    ("linear", "linear", part_of(2)),
    *each(GRADIENTS, "bias"),
])  # fmt: skip
