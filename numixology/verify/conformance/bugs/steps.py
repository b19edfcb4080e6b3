"""What several bugs are made of: fewer digits, and gradients that count only in part."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor, leaf
from ..formats import format_of
from ..textbook import Textbook, straight_through
from .registry import Override

__all__ = [
    "averaged", "chance", "constant", "exponentials", "first_row", "gradient_by", "gradient_of",
    "in_buffer", "in_digits", "in_format", "instead", "last_row", "last_token", "nothing",
    "of_output", "only", "part_of", "rounded_up", "silu_slope", "scaled_gradient", "whole",
    "whole_rows",
]  # fmt: skip


def instead(compute: Callable[..., Tensor]) -> Override:
    """An override that computes something else of the arguments, and stores it."""
    return lambda s, f, *args: s.store(compute(*args))


def of_output(change: Callable[..., Any]) -> Override:
    """An override that changes what comes out."""
    return lambda s, f, *args: change(f(*args))


def gradient_of(compute: Callable[..., Tensor]) -> Override:
    """The right value, with the gradient of something else of the arguments."""
    return lambda s, f, *args: straight_through(f(*args), s.store(compute(*args)))


def gradient_by(place: int) -> Callable[[Override], Override]:
    """The right value, with another gradient of one argument: that of what an override computes."""

    def wrap(like: Override) -> Override:
        def override(s: Textbook, f: Callable[..., Tensor], *args: Any) -> Tensor:
            if args[place] is None:
                return f(*args)
            others = [constant(x) if i == place else x for i, x in enumerate(args)]
            alone = [x if i == place else constant(x) for i, x in enumerate(args)]
            return straight_through(f(*args), f(*others) + s.store(like(s, f, *alone)))

        return override

    return wrap


def part_of(place: int) -> Callable[[Callable[[Tensor], Tensor]], Override]:
    """The right value, with the gradient of one argument by a part of the output."""
    return lambda part: gradient_by(place)(lambda s, f, *args: part(f(*args)))


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
    return F.exp(x - F.max(x, axis=-1, keepdims=True).detach())


def silu_slope(y: Tensor) -> Tensor:
    """The slope of SiLU."""
    return F.sigmoid(y) * (1 + F.clip(y, -1e3, 1e3) * F.sigmoid(-y))


def in_format(x: Tensor, kind: str) -> Tensor:
    """``x`` as a number of another format, with a gradient as if nothing had been rounded."""
    return straight_through(leaf(format_of(kind).stored(x.data).astype(x.dtype)), x)


def in_digits(x: Tensor, digits: int) -> Tensor:
    """``x`` to that many binary digits, with a gradient as if nothing had been rounded."""
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


def averaged(x: Tensor) -> Tensor:
    """``x`` by the number of tokens."""
    return x / (x.size // x.shape[-1])


def nothing(x: Tensor) -> Tensor:
    """What has no gradient."""
    return x.detach()


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


def whole_rows(y: Tensor) -> Tensor:
    """The tokens below a multiple of four, all rows of the batch in one, the others zero."""
    rows = y.size // y.shape[-1]
    return only(y, (np.arange(rows) < whole(rows)).reshape(*y.shape[:-1], 1))
