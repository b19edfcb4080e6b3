"""What goes wrong in several bugs: digits, gradients and parts that are lost."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor, leaf
from ..formats import format_of
from ..textbook import Textbook, straight_through
from .registry import Row

__all__ = ["GRADIENTS", "MISREAD", "cast", "chance", "constant", "exponentials", "in_format",
           "kept_part", "only", "silu_slope", "tiles", "variance_within", "whole",
           "whole_rows"]  # fmt: skip


def constant(x: Any) -> Any:
    """A tensor without a gradient, and anything else as it is."""
    return x.detach() if isinstance(x, Tensor) else x


def chance(s: Textbook) -> np.random.Generator:
    """Numbers that are others at every call, but the same for every new backend."""
    calls = s.__dict__["calls"] = s.__dict__.get("calls", 0) + 1
    return np.random.default_rng(calls)


def exponentials(x: Tensor) -> Tensor:
    """exp(x - max), over the last axis."""
    return F.exp(x - F.max(x, axis=-1, keepdims=True))


def silu_slope(y: Tensor) -> Tensor:
    """The slope of SiLU."""
    return F.sigmoid(y) * (1 + F.clip(y, -1e3, 1e3) * F.sigmoid(-y))


def tiles(x: Tensor, length: int) -> list[Tensor]:
    """Parts of the last axis that have that length, but for the last."""
    return [x[..., i : i + length] for i in range(0, x.shape[-1], length)]


def variance_within(s: Textbook, parts: list[Tensor]) -> Tensor:
    """The variance within parts of a row, without that between their means."""
    h = F.concatenate([one - s.mean(one) for one in parts], axis=-1)
    return s.mean(h * h)


def only(x: Tensor, mask: Array) -> Tensor:
    """``x`` where the mask says so, and else zero."""
    kept: Tensor = F.where(np.broadcast_to(mask, x.shape), x, 0.0)
    return kept


def kept_part(*index: slice) -> Callable[[Tensor], Tensor]:
    """What keeps a part of a tensor, and leaves zero elsewhere."""

    def part(x: Tensor) -> Tensor:
        mask = np.zeros(x.shape, np.bool_)
        mask[index] = True
        return only(x, mask)

    return part


def whole(length: int) -> int:
    """Down to a multiple of four; what is shorter is done whole."""
    return length // 4 * 4 or length


def whole_rows(y: Tensor) -> Tensor:
    """The tokens below a multiple of four, all rows of the batch in one, the others zero."""
    rows = y.size // y.shape[-1]
    return only(y, (np.arange(rows) < whole(rows)).reshape(*y.shape[:-1], 1))


def in_format(x: Tensor, kind: str) -> Tensor:
    """``x`` as a number of another format, with a gradient as if nothing had been rounded."""
    fraction, exponent = np.frexp(x.data)
    short = np.ldexp(np.round(np.ldexp(fraction, 11)), exponent - 11)
    rounded = short if kind == "tf32" else format_of(kind).stored(x.data)
    return straight_through(leaf(rounded.astype(x.dtype)), x)


def cast(x: Any, kind: str) -> Any:
    """``x`` as a number of another format, and its gradient too, as autograd has it of a cast."""
    return Textbook(kind, "float64").store(x) if isinstance(x, Tensor) else x


#: How a parameter is misread; from the fifth row on, how anything is along its first axis.
MISREAD: list[Row] = [
    ("{0}-missing", lambda b: 0 * b),
    ("{0}-twice", lambda b: 2 * b),
    ("{0}-halved", lambda b: 0.5 * b),
    ("{0}-negated", operator.neg),
    ("{0}-read-backwards", lambda b: b[::-1]),
    ("{0}-read-one-early", lambda b: b[np.arange(len(b)) - 1]),
    ("{0}-read-one-late", lambda b: b[(np.arange(len(b)) + 1) % len(b)]),
    ("{0}-averaged", lambda b: 0 * b + b.mean(0, keepdims=True)),
    ("first-of-{0}-for-all", lambda b: 0 * b + b[:1]),
    ("last-of-{0}-for-all", lambda b: 0 * b + b[-1:]),
]
#: How a gradient goes wrong, by the part of the output that it is the gradient of.
GRADIENTS: list[Row] = [
    ("{0}-gradient-of-first-row-only", kept_part(np.s_[:1])),
    ("{0}-gradient-of-last-row-only", kept_part(np.s_[-1:])),
    ("{0}-gradient-of-last-token-of-rows", kept_part(np.s_[:], np.s_[-1:])),
    ("{0}-gradient-of-very-last-token", kept_part(np.s_[-1:], np.s_[-1:])),
    ("{0}-gradient-of-tokens-up-to-a-multiple-of-four", whole_rows),
    ("{0}-gradient-averaged-over-batch", lambda y: y / len(y)),
    ("{0}-gradient-averaged-over-row", lambda y: y / y.shape[-2]),
    ("{0}-gradient-averaged", lambda y: y / (y.size // y.shape[-1])),
    ("{0}-gradient-missing", constant),
    ("{0}-gradient-negated", operator.neg),
]
