"""What arguments may be: dtypes, values, operands, gradients, state, axes, lengths and indices.

A check returns its argument in the one form that the calculation understands, or raises an error.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .array import Array, DTypeLike, Shape, ignoring_fp_errors
from .autograd import Node
from .errors import (
    ArgumentError,
    DTypeError,
    IndexRangeError,
    ShapeError,
    StateDictError,
    TapeError,
    nearest,
    shown,
)
from .primitives import as_array, as_constant

__all__ = [
    "DTYPES", "as_cotangent", "as_dtype", "as_integer", "as_integers", "as_mask", "as_operand",
    "as_values", "cast", "axis_or_dim", "check_like", "checked_axes", "checked_axis",
    "fitting_state", "is_operand", "one_of", "plain_index", "positive", "resolved",
]  # fmt: skip

# Dtypes and values

#: The dtypes that tensors have.
DTYPES = tuple(np.dtype(t) for t in (np.float64, np.float32, np.int64, np.int32, np.bool_))


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """``dtype`` as one of the five that tensors have."""
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except (TypeError, ValueError, RecursionError) as error:
        raise _bad_dtype(shown(dtype)) from error
    if found not in DTYPES:
        raise _bad_dtype(str(found))
    return found


def _bad_dtype(received: str) -> DTypeError:
    return DTypeError(
        "tensors hold float64, float32, int64, int32 or bool", received, "convert it first"
    )


def cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """Values outside float32's range become infinite; a NaN or infinity is not an integer."""
    with ignoring_fp_errors():
        if dtype.kind == "i" and array.dtype.kind in "fiu" and array.size:
            # Python compares its integers with floats exactly: the largest int64 is no float64.
            info, low, high = np.iinfo(dtype), array.min().item(), array.max().item()
            if not (info.min - 1 < low and high < info.max + 1):
                raise ArgumentError(
                    f"values must fit {dtype}", f"values from {low} to {high}", "clip them first"
                )
        return array.astype(dtype)


def as_values(data: Any, dtype: DTypeLike | None) -> Array:
    """A fresh array of one of the five dtypes, with what a new tensor shall hold."""
    if isinstance(data, Node):
        if data.requires_grad:
            past = "a tensor that requires a gradient"
            raise TapeError("nx.tensor copies values, not their past", past, "call detach() first")
        data = data.data
    if hasattr(data, "mask") and isinstance(data, np.ma.MaskedArray):
        raise DTypeError("a tensor has a value everywhere", "a masked array", "use .filled(...)")
    array = np.array(as_array(data, "nx.tensor"))
    if array.dtype.kind not in "fiub":
        raise _bad_dtype(str(array.dtype))
    if dtype is None:
        return array.astype(as_dtype(array.dtype), copy=False)
    return cast(array, as_dtype(dtype))


# What stands beside a tensor

_OPERANDS = (Node, np.ndarray, bool, int, float, complex, np.generic, list, tuple)


def is_operand(other: object) -> bool:
    """Whether a calculation with tensors may be tried with it."""
    return isinstance(other, _OPERANDS)


def as_operand(other: Any) -> Any:
    """What stands beside a tensor: numbers stay weak, lists become arrays."""
    if isinstance(other, (Node, float, int)):
        return other
    if not is_operand(other):
        raise DTypeError(
            "an operand is a tensor, an array or a number", type(other).__name__, "convert it"
        )
    array = np.asarray(as_constant(other, "an operand"))
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise DTypeError("an operand must hold real numbers", str(array.dtype), "convert it first")
    return array


def as_mask(other: Any) -> Any:
    """An operand of ``& | ^ ~``, which is boolean."""
    mask = as_operand(other)
    dtype = getattr(mask, "dtype", np.dtype(type(mask)))
    if dtype != np.bool_:
        raise DTypeError(
            "& | ^ ~ combine boolean tensors", str(dtype), "compare first, as in (x > 0) & (x < 1)"
        )
    return mask


def check_like(given: Any, of: Any, name: str) -> None:
    """The gradient or the data of a tensor has its dtype and its shape."""
    if given.dtype != of.dtype:
        raise DTypeError(
            f"the {name} has the tensor's dtype {of.dtype}", str(given.dtype), "use .astype(...)"
        )
    if given.shape != of.shape:
        raise ShapeError(
            f"the {name} has the tensor's shape {of.shape}", str(given.shape), "reshape it first"
        )


def as_cotangent(gradient: Any, output: Any) -> Any:
    """``gradient`` as the cotangent of ``output``, a node or an array.

    Raises:
        TapeError: the output does not require a gradient.
        ShapeError: left out where the output has many elements, or of another shape.
        DTypeError: of another dtype.
    """
    if not output.requires_grad:
        raise TapeError(
            "a backward starts from a tensor computed from one that requires a gradient",
            f"a tensor of shape {output.shape} with requires_grad=False",
            "pass requires_grad=True when making the inputs, and leave nx.no_grad()",
        )
    if gradient is None:
        if output.size != 1:
            raise ShapeError(
                "a backward without a gradient starts from a single number",
                f"shape {output.shape}",
                "reduce it first, or pass a gradient of that shape",
            )
        return np.ones(output.shape, output.dtype)
    if isinstance(gradient, (bool, int, float)) and output.ndim == 0:
        return np.array(gradient, output.dtype)
    if not isinstance(gradient, Node):
        gradient = np.asarray(as_constant(gradient, "a backward"))
    check_like(gradient, output, "gradient")
    return gradient


def fitting_state(state: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Array]:
    """Copies of the entries of a state dict, each in the dtype of what it is to replace.

    Args:
        state: an entry for every name of ``own``, and no other.
        own: what is there now, by name: arrays or tensors.

    Raises:
        StateDictError: names are missing or unknown, or entries do not fit; it lists all of them.
    """
    problems = [f"missing {name}" for name in own if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in own]
    fitting: dict[str, Array] = {}
    for name in filter(state.__contains__, own):
        shape, dtype = own[name].shape, own[name].dtype
        try:
            values = np.array(state[name])
        except (TypeError, ValueError):
            values = np.array(None)
        fits = np.can_cast(values.dtype, dtype, "same_kind")
        if not fits or (values.dtype.kind == "b") != (dtype.kind == "b"):
            problems.append(f"{name} of dtype {values.dtype}, not {dtype}")
        elif values.shape != shape:
            problems.append(f"{name} of shape {values.shape}, not {shape}")
        else:
            with ignoring_fp_errors():  # what float32 cannot hold becomes infinite
                fitting[name] = values.astype(dtype)
    if problems:
        invariant = "a state dict has one entry of the right shape per parameter"
        instead = "compare its names with state_dict(); nothing was loaded"
        raise StateDictError(invariant, "; ".join(problems), instead)
    return fitting


# Words, sizes, axes, lengths and indices


def one_of(name: str, word: Any, words: Iterable[str]) -> None:
    """Raise unless the word is one of those known."""
    if word not in words:
        *others, last = map(repr, words)
        raise ArgumentError(
            f"{name} is {', '.join(others)} or {last}",
            shown(word),
            nearest(word, words, "use one of them"),
        )


def positive(**sizes: Any) -> tuple[int, ...]:
    """Sizes by their names, in their order, as Python's integers, which never overflow."""
    for name, size in sizes.items():
        whole = hasattr(size, "__index__") and not isinstance(size, (bool, np.bool_))
        if not whole or operator.index(size) < 1:
            raise ArgumentError(f"{name} is a positive integer", shown(size), "use e.g. 8")
    return tuple([operator.index(size) for size in sizes.values()])


def as_integer(value: Any, what: str) -> int:
    """An integer, also NumPy's or a tensor's, as Python's, which does not overflow."""
    try:
        return operator.index(value)
    except TypeError as error:
        raise DTypeError(f"{what} must be an integer", shown(value), "use an int") from error


def as_integers(lengths: Sequence[Any], what: str = "a length") -> Shape:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    if len(lengths) == 1:
        (only,) = lengths
        if isinstance(only, list | tuple) or (isinstance(only, np.ndarray) and only.ndim == 1):
            lengths = list(only)
    return tuple([as_integer(n, what) for n in lengths])


def checked_axis(dim: Any, ndim: int) -> int:
    """``dim`` counted from 0."""
    axis = as_integer(dim, "an axis")
    if not -ndim <= axis < ndim:
        raise ShapeError(
            f"an axis of a tensor of {ndim} dimensions lies from {-ndim} to {ndim - 1}",
            str(axis),
            "count the axes again",
        )
    return axis % ndim


def checked_axes(axis: Any, ndim: int) -> Shape:
    """One axis or several, each counted from 0."""
    named = axis if isinstance(axis, list | tuple) else (axis,)
    axes = tuple([checked_axis(one, ndim) for one in named])
    if len(set(axes)) < len(axes):
        raise ShapeError("axes must differ", shown(axis), "name each axis once")
    return axes


def axis_or_dim(axis: Any, dim: Any) -> Any:
    """What NumPy's name or torch's name for the same argument was given, or None."""
    if axis is not None and dim is not None:
        both = f"{shown(axis)} and {shown(dim)}"
        raise ArgumentError("axis and dim mean the same", both, "give one of them")
    return axis if dim is None else dim


def resolved(lengths: Sequence[Any], old: Shape, asked: str) -> Shape:
    """The shape of ``lengths``, numbers or one sequence, with its -1 worked out."""
    shape = as_integers(lengths)
    size = math.prod(old)
    if min(shape, default=0) >= 0 and math.prod(shape) == size:
        return shape
    known = math.prod(n for n in shape if n != -1)
    if shape.count(-1) == 1 and min(shape) == -1 and known and size % known == 0:
        return tuple(size // known if n == -1 else n for n in shape)
    raise ShapeError(
        f"{asked}{shape} must keep the {size} values of shape {old}",
        f"{size} values in groups of {known}" if -1 in shape else f"{known} values",
        "give lengths whose product is that number; at most one may be -1",
    )


def plain_index(index: Any) -> Any:
    """A NumPy index: whatever holds many places becomes an array, copied, since it may change."""
    if isinstance(index, tuple):
        return tuple(_places(one) for one in index)
    return _places(index)


def _places(index: Any) -> Any:
    if isinstance(index, slice):
        bounds = (index.start, index.stop, index.step)
        return slice(*[n if n is None else as_integer(n, "a bound of a slice") for n in bounds])
    if index is None or index is Ellipsis or isinstance(index, (int, np.integer)):
        return index
    try:
        places = np.array(index.data if isinstance(index, Node) else index)
    except (ValueError, TypeError) as error:
        raise IndexRangeError(
            "an index array holds integers or booleans", "lists of unequal lengths", "pad them"
        ) from error
    if places.size == 0 and places.dtype.kind == "f":
        places = places.astype(np.int64)
    if places.dtype.kind not in "iub":
        raise IndexRangeError(
            "an index array holds integers or booleans", str(places.dtype), "convert it first"
        )
    return places
