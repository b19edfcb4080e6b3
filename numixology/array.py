"""The words for NumPy data that every room uses, and what is common to arrays and tensors."""

import math
from contextvars import ContextVar, copy_context
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import DTypeError

__all__ = [
    "A", "Array", "ArrayOrTensor", "Axis", "Carrier", "DTypeLike", "Scalar", "Setting", "Shape",
    "ERRSTATE", "IGNORE", "flatten_leading", "ignoring_fp_errors", "keepdims_shape",
    "normalize_axes", "real_part", "shape_of", "upcast",
]  # fmt: skip

#: A NumPy array of any dtype.
Array: TypeAlias = NDArray[Any]
#: The lengths of an array's axes.
Shape: TypeAlias = tuple[int, ...]
#: A single number, Python's or NumPy's.
Scalar: TypeAlias = bool | int | float | complex | np.generic
#: One axis, several, or all (None).
Axis: TypeAlias = int | tuple[int, ...] | None


class ArrayOrTensor(Protocol):
    """What arrays and tensors have in common: with the primitives, all that a rule may use.

    What else the two share by name, like ``transpose`` or ``max``, means one thing in NumPy and
    another in torch.
    """

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""

    @property
    def size(self) -> int:
        """The number of values."""

    @property
    def T(self) -> Self:
        """The same values with the axes in reverse order."""

    def reshape(self, shape: Any, /, *lengths: Any) -> Self:
        """The same values, in the same order, under another shape."""

    def sum(self, *, axis: Any = ..., keepdims: bool = ...) -> Self:
        """The sum over ``axis``."""

    def astype(self, dtype: Any, /) -> Self:
        """The values in another dtype."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Self: ...
    def __neg__(self) -> Self: ...
    def __add__(self, other: Any, /) -> Self: ...
    def __radd__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __rsub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: Any, /) -> Self: ...
    def __rmul__(self, other: Any, /) -> Self: ...
    def __truediv__(self, other: Any, /) -> Self: ...
    def __rtruediv__(self, other: Any, /) -> Self: ...
    def __pow__(self, other: Any, /) -> Self: ...
    def __rpow__(self, other: Any, /) -> Self: ...
    def __matmul__(self, other: Any, /) -> Self: ...


#: Arrays in, arrays out; tensors in, tensors out.
A = TypeVar("A", bound=ArrayOrTensor)


class Carrier(np.ndarray[Any, Any]):
    """An array that carries a derivative with its values: the one subclass that tensors hold."""


def normalize_axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes that ``axis`` names, counted from 0; ``None`` names all of them."""
    if axis is None:
        return tuple(range(ndim))
    named = axis if isinstance(axis, tuple) else (axis,)
    return tuple(one % ndim for one in named) if ndim else ()


def keepdims_shape(shape: Shape, axis: int | tuple[int, ...] | None) -> Shape:
    """``shape`` with the axes that a reduction removes left in at length one."""
    gone = normalize_axes(axis, len(shape))
    return tuple(1 if i in gone else length for i, length in enumerate(shape))


def shape_of(x: Any, taker: str) -> Shape:
    """The shape of an array or tensor; ``taker`` is the function that was given it.

    Raises:
        DTypeError: it is neither.
    """
    try:
        return x.shape  # type: ignore[no-any-return]
    except AttributeError:
        what, instead = type(x).__name__, "convert it with np.asarray or nx.tensor"
        raise DTypeError(f"{taker} takes arrays or tensors", what, instead) from None


def real_part(x: Array) -> Array:
    """``x`` itself, or the real part of complex data: what a branch may look at.

    Complex-step differentiation carries the derivative in the imaginary part, which must not
    decide which side of a kink a value is on.
    """
    return x.real if np.iscomplexobj(x) else x


def flatten_leading(x: A) -> A:
    """``x`` with all axes but the last in one: (N, features)."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def upcast(x: A) -> A:
    """``x`` in double precision, or more if it has it: what is narrower shall be rounded once."""
    if x.dtype.char in "dDgG" or x.dtype.kind not in "iufc":
        return x
    return x.astype(np.result_type(x.dtype, np.float64))


class Setting:
    """A context variable with another value inside the ``with`` block, in this thread or task only.

    It is set back to the value that it had, so a generator may leave the block in another thread
    than it entered it in. An interrupt leaves nothing behind, even just before ``__exit__`` begins.
    """

    __slots__ = ("before", "value", "variable")

    def __init__(self, variable: ContextVar[Any], value: Any) -> None:
        self.variable, self.value = variable, value
        self.before: list[Any] = []  # one for each time that it is entered

    def __enter__(self) -> None:
        self.before.append(self.variable.get())
        self.variable.set(self.value)

    def __exit__(self, *error: object) -> None:
        self.variable.set(self.before[-1])
        self.before.pop()

    def __del__(self) -> None:
        before = getattr(self, "before", None)
        if before and before[0] is not self.value and self.variable.get() is self.value:
            self.variable.set(before[0])  # an interrupt kept __exit__ from ending


def _found_errstate() -> tuple[ContextVar[Any], Any]:
    """The context variable in which NumPy keeps ``np.errstate``, and its value for 'ignore'.

    Entering ``np.errstate`` costs as much as three additions of small arrays; setting the one
    variable behind it costs a tenth of that. It is found by looking at what ``np.errstate``
    changes, and a test holds the two equal. A NumPy without such a variable stays as loud as it is.
    """
    before = copy_context()
    with np.errstate(all="ignore"):
        inside = copy_context()
    changed = ((v, inside[v]) for v in inside if v not in before or inside[v] is not before[v])
    return next(changed, (ContextVar("errstate", default=None), None))


#: Set to ``IGNORE``, infinities and NaN propagate as IEEE 754 says, without warnings.
ERRSTATE, IGNORE = _found_errstate()


def ignoring_fp_errors() -> Setting:
    """Let infinities and NaN propagate without warnings inside the ``with`` block."""
    return Setting(ERRSTATE, IGNORE)
