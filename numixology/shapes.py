"""The same values under another shape, order or dtype, and parts of them.

A rule is ``rule(ct, y, *arguments)``: the cotangent of the output, the output, and the arguments.
Last come the checks of axes, lengths and indices, which the later rooms share.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .array import A, Array, Axis, DTypeLike, Shape, shape_of
from .autograd import Node
from .dtypes import as_dtype, cast
from .errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from .primitives import implements, primitive

__all__ = [
    "astype",
    "broadcast_to",
    "checked_axes",
    "checked_axis",
    "contiguous",
    "either_name",
    "getitem",
    "plain_index",
    "reshape",
    "resolved",
    "scatter",
    "squeeze",
    "transpose",
    "as_integers",
]


@primitive
def _reshape(x: Array, *, shape: Shape) -> Array:
    return np.reshape(x, shape)


@_reshape.vjp("x")
def _reshape_dx(ct: A, y: A, x: A, *, shape: Shape) -> A:
    return ct.reshape(x.shape)


@implements(np.reshape)
def reshape(x: A, shape: int | Sequence[int]) -> A:
    """The same values, in the same order, under another shape.

    Args:
        x: an array or a tensor of any shape and dtype.
        shape: the new lengths, or one number; one of them may be -1, for what is left.

    Returns:
        That shape, of the dtype of ``x``; a view where strides can express it, else a copy.

    Raises:
        ShapeError: another number of values, or more than one -1.
        DTypeError: a length that is not an integer.

    Source: guide, Token Mixer Step-by-Step (Step 1: Head Partitioning).

    Example:
        >>> import numixology as nx
        >>> nx.functional.reshape(nx.tensor([1, 2, 3, 4, 5, 6]), (2, -1))
        Tensor([[1, 2, 3],
                [4, 5, 6]], from=reshape)
    """
    old = shape_of(x, "reshape")
    return _reshape(x, shape=resolved(as_integers((shape,)), old, "reshape"))


@primitive
def _transpose(x: Array, *, axes: Shape) -> Array:
    return np.transpose(x, axes)


@_transpose.vjp("x")
def _transpose_dx(ct: A, y: A, x: A, *, axes: Shape) -> A:
    return _transpose(ct, axes=tuple(np.argsort(axes)))


@implements(np.transpose)
def transpose(x: A, axes: Sequence[int] | None = None) -> A:
    """The axes in another order: axis i of the result is axis ``axes[i]`` of x.

    Args:
        x: an array or a tensor of any shape and dtype.
        axes: every axis of ``x`` once; None for the reverse order.

    Returns:
        A view in that order, of the dtype of ``x``.

    Raises:
        ShapeError: an axis that is missing, named twice or not there.
        DTypeError: an axis that is not an integer.

    Source: guide, Token Mixer Step-by-Step (Step 2: Permutation).

    Example:
        >>> import numixology as nx
        >>> nx.functional.transpose(nx.tensor([[1, 2, 3], [4, 5, 6]]), (1, 0))
        Tensor([[1, 4],
                [2, 5],
                [3, 6]], from=transpose)
    """
    ndim = len(shape_of(x, "transpose"))
    if axes is None:
        return _transpose(x, axes=tuple(range(ndim))[::-1])
    named = order = tuple(axes) if isinstance(axes, (list, tuple)) else as_integers((axes,))
    if sorted(order) != [*range(ndim)]:
        order = tuple([checked_axis(axis, ndim) for axis in order])
    if len(order) != ndim or len(set(order)) != ndim:
        raise ShapeError(
            f"the order of {ndim} axes names each of them once",
            str(named),
            f"use a permutation of {tuple(range(ndim))}",
        )
    return _transpose(x, axes=order)


@primitive(broadcasts=True)
def _broadcast_to(x: Array, *, shape: Shape) -> Array:
    return np.broadcast_to(x, shape)


@_broadcast_to.vjp("x")
def _broadcast_to_dx(ct: A, y: A, x: A, *, shape: Shape) -> A:
    return ct


@implements(np.broadcast_to)
def broadcast_to(x: A, shape: int | Sequence[int]) -> A:
    """x repeated along axes of length one, and along new leading axes, up to ``shape``.

    Args:
        x: any shape and dtype.
        shape: the lengths wanted, or one number.

    Returns:
        That shape, of the dtype of ``x``; a view that cannot be written to.

    Raises:
        ShapeError: ``x`` does not broadcast to ``shape``.
        DTypeError: a length that is not an integer.

    Example:
        >>> import numixology as nx
        >>> nx.functional.broadcast_to(nx.tensor([1.0, 2.0]), (2, 2))
        Tensor([[1., 2.],
                [1., 2.]], from=broadcast_to)
    """
    return _broadcast_to(x, shape=as_integers((shape,)))


@implements(np.squeeze)
def squeeze(x: A, axis: Axis = None, *, dim: Axis = None) -> A:
    """x without its axes of length one, or without those of them that ``axis`` names.

    Args:
        x: an array or a tensor of any shape and dtype.
        axis: one axis, several as a tuple, or None for every axis of length one.
        dim: torch's name for ``axis``.

    Returns:
        The shape without those axes, of the dtype of ``x``.

    Raises:
        ShapeError: an axis of another length, one that is not there, or one named twice.
        DTypeError: an axis that is not an integer.
        ArgumentError: both ``axis`` and ``dim`` are given.

    Example:
        >>> import numixology as nx
        >>> nx.functional.squeeze(nx.tensor([[[1.0, 2.0]]]), 0).shape
        (1, 2)
    """
    axis = either_name("axis", axis, "dim", dim)
    if axis is None:
        return reshape(x, [n for n in x.shape if n != 1])
    gone = checked_axes(axis, x.ndim)
    if any(x.shape[i] != 1 for i in gone):
        raise ShapeError(
            "squeeze removes axes of length one", f"axis {axis} of shape {x.shape}", "use reshape"
        )
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in gone])


@primitive
def _contiguous(x: Array) -> Array:
    return np.array(x, order="C")


@_contiguous.vjp("x")
def _contiguous_dx(ct: A, y: A, x: A) -> A:
    return ct


def contiguous(x: A) -> A:
    """x itself if its values lie in memory in order, else a copy in which they do.

    Args:
        x: an array or a tensor of any shape and dtype.

    Returns:
        The shape and dtype of ``x``.

    Source: guide, Implementation Tips (Memory Optimization).

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).T
        >>> x.stride(), nx.functional.contiguous(x).stride()
        ((1, 3), (2, 1))
    """
    values: Any = x.data if isinstance(x, Node) else x
    return x if values.flags.c_contiguous else _contiguous(x)


@primitive
def _astype(x: Array, *, dtype: np.dtype[Any]) -> Array:
    return x.astype(dtype) if np.iscomplexobj(x) else cast(x, dtype)


@_astype.vjp("x")
def _astype_dx(ct: A, y: A, x: A, *, dtype: np.dtype[Any]) -> A:
    return ct.astype(x.dtype)


def astype(x: A, dtype: DTypeLike) -> A:
    """A copy of the values in another of the five dtypes; the cotangent comes back in x's own.

    From floating-point to integers what follows the point is cut off, and what float32 cannot
    hold becomes infinite. Complex arrays are returned as they are.

    Args:
        x: an array or a tensor of any shape.
        dtype: float64, float32, int64, int32 or bool, or its name.

    Returns:
        The shape of ``x``, of that dtype; integers and booleans carry no gradient.

    Raises:
        DTypeError: another dtype.
        ArgumentError: a NaN, an infinity or a number that does not fit the integers asked for.

    Example:
        >>> import numixology as nx
        >>> nx.functional.astype(nx.tensor([1.7, -1.7]), "int64")
        Tensor([ 1, -1], from=astype)
    """
    if x.dtype.kind == "c":
        return x
    return _astype(x, dtype=as_dtype(dtype))


@primitive
def getitem(x: Array, *, index: Any) -> Array:
    """x[index], NumPy's indexing: integers, slices, None, Ellipsis, integer arrays, masks."""
    part: Array = x[index]
    return part


@getitem.vjp("x")
def getitem_dx(ct: A, y: A, x: A, *, index: Any) -> A:
    return scatter(ct, index=index, shape=x.shape)


@primitive
def scatter(x: Array, *, index: Any, shape: Shape) -> Array:
    """Zeros of the given shape with x added at ``index``: the transpose of ``getitem``."""
    y = np.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, np.ndarray) and part.dtype != np.bool_ for part in parts):
        np.add.at(y, index, x)  # an index array may name an element twice
    else:
        y[index] = x
    return y


@scatter.vjp("x")
def scatter_dx(ct: A, y: A, x: A, *, index: Any, shape: Shape) -> A:
    return getitem(ct, index=index)


# Axes, lengths and indices


def _integer(value: Any, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise DTypeError(f"{what} must be an integer", repr(value), "use an int") from error


def checked_axis(dim: int, ndim: int) -> int:
    """``dim`` counted from 0."""
    axis = _integer(dim, "an axis")
    if not -ndim <= axis < ndim:
        raise ShapeError(
            f"an axis of a tensor of {ndim} dimensions lies from {-ndim} to {ndim - 1}",
            str(dim),
            "count the axes again",
        )
    return axis % ndim


def checked_axes(axis: Any, ndim: int) -> Shape:
    """One axis or several, each counted from 0."""
    named = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    axes = tuple(checked_axis(one, ndim) for one in named)
    if len(set(axes)) < len(axes):
        raise ShapeError("axes must differ", str(axis), "name each axis once")
    return axes


def either_name(name: str, value: Any, other_name: str, other: Any) -> Any:
    """What one of two names for the same argument was given, or None."""
    if value is not None and other is not None:
        raise ArgumentError(
            f"{name} and {other_name} mean the same", f"{value} and {other}", "give one of them"
        )
    return value if other is None else other


def as_integers(lengths: Sequence[Any]) -> Shape:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    if len(lengths) == 1 and isinstance(lengths[0], list | tuple):
        lengths = lengths[0]
    return tuple(_integer(n, "a length") for n in lengths)


def resolved(shape: Shape, old: Shape, asked: str) -> Shape:
    """``shape`` with its -1 worked out."""
    size = math.prod(old)
    known = math.prod(n for n in shape if n != -1)
    unknown = shape.count(-1)
    works = (size == known) if not unknown else (unknown == 1 and known and size % known == 0)
    if not works or any(n < -1 for n in shape):
        raise ShapeError(
            f"{asked}{shape} must keep the {size} values of shape {old}",
            f"{known} values" if not unknown else f"{size} values in groups of {known}",
            "give lengths whose product is that number; at most one may be -1",
        )
    return tuple(size // known if n == -1 else n for n in shape)


def plain_index(index: Any) -> Any:
    """A NumPy index: whatever holds many places becomes an array, copied, since it may change."""
    if isinstance(index, tuple):
        return tuple(_places(one) for one in index)
    return _places(index)


def _places(index: Any) -> Any:
    if isinstance(index, Node):
        index = index.data
    if not (index is None or index is Ellipsis or isinstance(index, (int, np.integer, slice))):
        try:
            index = np.array(index)
        except ValueError as error:
            raise IndexRangeError(
                "an index array holds integers or booleans", "lists of unequal lengths", "pad them"
            ) from error
        if index.size == 0 and index.dtype.kind == "f":
            index = index.astype(np.int64)
        if index.dtype.kind not in "iub":
            raise IndexRangeError(
                "an index array holds integers or booleans", str(index.dtype), "convert it first"
            )
    return index
