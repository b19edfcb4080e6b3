"""The words for plain NumPy data that every room uses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token, copy_context
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import DTypeError

__all__ = [
    "Array",
    "DTypeLike",
    "Scalar",
    "Shape",
    "axes_of",
    "kept_shape",
    "quietly",
    "real_part",
    "shape_of",
    "speak",
    "whisper",
]

#: A NumPy array of any dtype.
Array: TypeAlias = NDArray[Any]
#: The lengths of an array's axes.
Shape: TypeAlias = tuple[int, ...]
#: A single number, Python's or NumPy's.
Scalar: TypeAlias = bool | int | float | complex | np.generic


def axes_of(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes that ``axis`` names, counted from 0; ``None`` names all of them."""
    if axis is None:
        return tuple(range(ndim))
    named = (axis,) if isinstance(axis, int) else axis
    return tuple(one % ndim for one in named) if ndim else ()


def kept_shape(shape: Shape, axis: int | tuple[int, ...] | None) -> Shape:
    """``shape`` with the axes that a reduction removes left in at length one."""
    gone = axes_of(axis, len(shape))
    return tuple(1 if i in gone else length for i, length in enumerate(shape))


def shape_of(x: Any, taker: str) -> Shape:
    """The shape of an array or tensor; ``taker`` is the function that was given it.

    Raises:
        DTypeError: it is neither.
    """
    try:
        return x.shape  # type: ignore[no-any-return]
    except AttributeError:
        raise DTypeError(
            f"{taker} takes arrays or tensors",
            type(x).__name__,
            "convert it with np.asarray or nx.tensor",
        ) from None


def real_part(x: Array) -> Array:
    """``x`` itself, or the real part of complex data: what a branch may look at.

    Complex-step differentiation carries the derivative in the imaginary part, which must not
    decide which side of a kink a value is on.
    """
    return x.real if np.iscomplexobj(x) else x


def _whisper_and_speak() -> tuple[Callable[[], Token[Any]], Callable[[Token[Any]], None]]:
    """Set and reset the context variable in which NumPy keeps ``errstate`` to 'ignore'.

    Entering ``np.errstate`` costs as much as three additions of small arrays; setting the one
    variable behind it costs a tenth of that. It is found by looking at what ``np.errstate``
    changes, and a test holds the two equal. A NumPy without such a variable is left as loud as
    it is.
    """
    before = copy_context()
    with np.errstate(all="ignore"):
        inside = copy_context()
    changed = [(v, inside[v]) for v in inside if v not in before or inside[v] is not before[v]]
    nothing: tuple[ContextVar[Any], Any] = (ContextVar("errstate"), None)
    variable, ignore = changed[0] if changed else nothing
    return partial(variable.set, ignore), variable.reset


#: From ``token = whisper()`` to ``speak(token)`` infinities and NaN propagate as IEEE 754 says,
#: without warnings.
whisper, speak = _whisper_and_speak()


@contextmanager
def quietly() -> Iterator[None]:
    """Whisper inside the ``with`` block."""
    token = whisper()
    try:
        yield
    finally:
        speak(token)
