"""The same values under another shape, order or dtype, and parts of them.

Everywhere ``x`` is an array or a tensor of any shape and dtype, and the result is of its dtype.
Axes count from 0, or from the end if negative.

Raises:
    ShapeError: an axis that is not there or named twice, or lengths that do not fit.
    DTypeError: an axis or a length that is not an integer.

A rule is ``rule(ct, y, *arguments)``: the cotangent of the output, the output, and the arguments.
Operations that only move numbers are linear, and the rule of a linear map is its transpose.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .array import A, Array, Axis, DTypeLike, Shape, shape_of
from .autograd import Node
from .checks import as_dtype, as_integers, axis_or_dim, cast, checked_axes, checked_axis, resolved
from .errors import ShapeError
from .primitives import implements, primitive

__all__ = [
    "astype", "broadcast_to", "contiguous", "expand_dims", "getitem", "reshape", "scatter",
    "squeeze", "transpose",
]  # fmt: skip


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
        x: an array or a tensor.
        shape: the new lengths, or one number; one of them may be -1, for what is left.

    Returns:
        A view where strides can express it, else a copy.

    Source: guide, Token Mixer Step-by-Step (Step 1: Head Partitioning).

    Example:
        >>> import numixology as nx
        >>> nx.functional.reshape(nx.tensor([1, 2, 3, 4, 5, 6]), (2, -1))
        Tensor([[1, 2, 3],
                [4, 5, 6]], from=reshape)
    """
    return _reshape(x, shape=resolved((shape,), shape_of(x, "reshape"), "reshape"))


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
        x: an array or a tensor.
        axes: every axis of ``x`` once; None for the reverse order.

    Returns:
        A view in that order.

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
        invariant = f"the order of {ndim} axes names each of them once"
        raise ShapeError(invariant, str(named), f"use a permutation of {tuple(range(ndim))}")
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
        x: an array, a tensor or a number.
        shape: the lengths wanted, or one number.

    Returns:
        A view that cannot be written to.

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
        x: an array or a tensor.
        axis: one axis, several as a tuple, or None for every axis of length one.
        dim: torch's name for ``axis``.

    Returns:
        A view without those axes.

    Example:
        >>> import numixology as nx
        >>> nx.functional.squeeze(nx.tensor([[[1.0, 2.0]]]), 0).shape
        (1, 2)
    """
    shape, axis = shape_of(x, "squeeze"), axis_or_dim(axis, dim)
    if axis is None:
        return reshape(x, [n for n in shape if n != 1])
    gone = checked_axes(axis, len(shape))
    if any(shape[i] != 1 for i in gone):
        invariant = "squeeze removes axes of length one"
        raise ShapeError(invariant, f"axis {axis} of shape {shape}", "use reshape")
    return reshape(x, [n for i, n in enumerate(shape) if i not in gone])


@implements(np.expand_dims)
def expand_dims(x: A, axis: int | Sequence[int]) -> A:
    """x with an axis of length one wherever ``axis`` says, counted in the result.

    Args:
        x: an array or a tensor.
        axis: one place or several.

    Returns:
        A view with those axes where strides can express it, else a copy.

    Example:
        >>> import numixology as nx
        >>> nx.functional.expand_dims(nx.tensor([1.0, 2.0]), 0).shape
        (1, 2)
    """
    places = axis if isinstance(axis, (list, tuple)) else (axis,)
    lengths = iter(shape_of(x, "expand_dims"))
    ndim = x.ndim + len(places)
    new = checked_axes(places, ndim)
    return reshape(x, tuple(1 if i in new else next(lengths) for i in range(ndim)))


@primitive
def _contiguous(x: Array) -> Array:
    return np.array(x, order="C", subok=True)


@_contiguous.vjp("x")
def _contiguous_dx(ct: A, y: A, x: A) -> A:
    return ct


def contiguous(x: A) -> A:
    """x itself if its values lie in memory in order, else a copy in which they do.

    Args:
        x: an array or a tensor.

    Returns:
        The shape and dtype of ``x``.

    Source: guide, Implementation Tips (Memory Optimization).

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).T
        >>> x.stride(), nx.functional.contiguous(x).stride()
        ((1, 3), (2, 1))
    """
    shape_of(x, "contiguous")
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
        x: an array or a tensor.
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
    shape_of(x, "astype")
    return x if x.dtype.kind == "c" else _astype(x, dtype=as_dtype(dtype))


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
    y = np.zeros(shape, np.float64 if x.dtype == np.float32 else x.dtype)  # for long sums
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, np.ndarray) and part.dtype != np.bool_ for part in parts):
        np.add.at(y, index, x.astype(y.dtype, copy=False))  # the same place may be named twice
    else:
        y[index] = x
    return y.astype(x.dtype, copy=False).view(type(x))


@scatter.vjp("x")
def scatter_dx(ct: A, y: A, x: A, *, index: Any, shape: Shape) -> A:
    return getitem(ct, index=index)
