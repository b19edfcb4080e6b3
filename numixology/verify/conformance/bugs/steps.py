"""What goes wrong in several bugs: digits, gradients and parts that are lost."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor, leaf
from ..formats import format_of
from ..textbook import Textbook, straight_through

__all__ = ["cast", "chance", "constant", "exponentials", "in_buffer", "in_format", "kept_part",
           "only", "parts", "silu_slope", "tiles", "variance_within", "whole",
           "whole_rows"]  # fmt: skip


def constant(x: Any) -> Any:
    """A tensor without a gradient, and anything else as it is."""
    return x.detach() if isinstance(x, Tensor) else x


def chance(s: Textbook) -> np.random.Generator:
    """Numbers that are others at every call, but the same for every new backend."""
    calls = s.__dict__["calls"] = s.__dict__.get("calls", 0) + 1
    return np.random.default_rng(calls)


def in_buffer(s: Textbook, name: str, x: Array, add: bool = False) -> Array:
    """A result in a buffer of the backend's own, in place of what that held or added to it."""
    buffers = s.__dict__.setdefault("buffers", {})
    kept: Array = buffers.setdefault((name, x.shape), np.zeros_like(x))
    kept[...] = x + kept if add else x
    return kept


def exponentials(x: Tensor) -> Tensor:
    """exp(x - max), over the last axis."""
    return F.exp(x - F.max(x, axis=-1, keepdims=True))


def silu_slope(y: Tensor) -> Tensor:
    """The slope of SiLU."""
    return F.sigmoid(y) * (1 + F.clip(y, -1e3, 1e3) * F.sigmoid(-y))


def tiles(x: Tensor, length: int) -> list[Tensor]:
    """Parts of the last axis that have that length, but for the last."""
    return [x[..., i : i + length] for i in range(0, x.shape[-1], length)]


def parts(x: Tensor, number: int) -> list[Tensor]:
    """So many parts of the last axis, or as many as it is long, of nearly one length."""
    split = np.array_split(np.arange(x.shape[-1]), min(number, x.shape[-1]))
    return [x[..., i[0] : i[-1] + 1] for i in split]


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
    if kind != "tf32":
        return straight_through(leaf(format_of(kind).stored(x.data).astype(x.dtype)), x)
    fraction, exponent = np.frexp(x.data)
    rounded = np.ldexp(np.round(np.ldexp(fraction, 11)), exponent - 11)
    return straight_through(leaf(np.where(np.isfinite(x.data), rounded, x.data).astype(x.dtype)), x)


def cast(x: Any, kind: str) -> Any:
    """``x`` as a number of another format, and its gradient too, as autograd has it of a cast."""
    return Textbook(kind, "float64").store(x) if isinstance(x, Tensor) else x
