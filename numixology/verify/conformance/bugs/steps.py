"""What several bugs are made of: fewer digits, and gradients that count only in part."""

from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....array import Array, ignoring_fp_errors
from ....tensors import Tensor, leaf
from ..formats import format_of
from ..textbook import straight_through
from .registry import Override

__all__ = [
    "exponentials",
    "first_row",
    "gradient_of",
    "in_digits",
    "in_format",
    "instead",
    "last_row",
    "last_token",
    "only",
    "rounded_up",
    "scaled_gradient",
    "whole",
    "whole_rows",
]


def instead(compute: Callable[..., Tensor]) -> Override:
    """An override that computes something else of x, and stores it."""
    return lambda s, right, x: s.store(compute(x))


def gradient_of(compute: Callable[..., Tensor]) -> Override:
    """An override with the right value, and the gradient of something else of x."""
    return lambda s, right, x: straight_through(right(x), s.store(compute(x)))


def exponentials(x: Tensor) -> Tensor:
    """exp(x - max), over the last axis."""
    return F.exp(x - F.max(x, axis=-1, keepdims=True).detach())


def in_format(x: Tensor, kind: str) -> Tensor:
    """``x`` as a number of another format, with a gradient as if nothing had been rounded."""
    return straight_through(leaf(format_of(kind).stored(x.data).astype(x.dtype)), x)


def in_digits(x: Tensor, digits: int) -> Tensor:
    """``x`` to that many binary digits, with a gradient as if nothing had been rounded."""
    with ignoring_fp_errors():
        fraction, exponent = np.frexp(x.data)
        rounded = np.ldexp(np.round(np.ldexp(fraction, digits)), exponent - digits)
        rounded = np.where(np.isfinite(x.data), rounded, x.data)
    return straight_through(leaf(rounded.astype(x.dtype)), x)


def scaled_gradient(x: Tensor, factor: Tensor | float) -> Tensor:
    """``x``, whose gradient is too large by a factor."""
    return straight_through(x, x * factor)


def only(x: Tensor, mask: Array) -> Tensor:
    """``x`` where the mask says so, and else zero."""
    kept: Tensor = F.where(np.broadcast_to(mask, x.shape), x, 0.0)
    return kept


def first_row(x: Tensor) -> Tensor:
    """The first row of the batch, the others zero."""
    return only(x, _at(x, slice(0, 1)))


def last_row(x: Tensor) -> Tensor:
    """The last row of the batch, the others zero."""
    return only(x, _at(x, slice(-1, None)))


def last_token(x: Tensor) -> Tensor:
    """The last token of the last row of the batch, everything else zero."""
    return only(x, _at(x, (slice(-1, None), slice(-1, None))))


def _at(x: Tensor, index: slice | tuple[slice, slice]) -> Array:
    mask = np.zeros(x.shape, np.bool_)
    mask[index] = True
    return mask


def rounded_up(length: int, multiple: int) -> int:
    """The next multiple."""
    return -(-length // multiple) * multiple


def whole(length: int) -> int:
    """Down to a multiple of four; what is shorter is done whole."""
    return length // 4 * 4 or length


def whole_rows(y: Tensor) -> Array:
    """Which of the tokens, all rows of the batch in one, lie below a multiple of four."""
    rows = y.size // y.shape[-1]
    return (np.arange(rows) < whole(rows)).reshape(*y.shape[:-1], 1)
