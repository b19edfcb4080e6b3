"""Sums, extrema and products over axes, with their gradients.

What all reductions share:

Args:
    x: an array or a tensor of any shape and dtype.
    axis: one axis, several as a tuple, or None for all of them.
    keepdims: leave those axes in, at length one.
    dim, keepdim: torch's names for ``axis`` and ``keepdims``.

Returns:
    The shape of ``x`` without those axes, and its dtype.

Raises:
    ShapeError: no such axis, or one named twice.
    DTypeError: an axis that is not an integer.
    ArgumentError: both ``axis`` and ``dim`` are given.

A rule is ``rule(ct, y, *arguments)``: the cotangent of the output, the output, and the arguments.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import divide, equal, multiply, subtract
from .array import A, Array, Axis, keepdims_shape, normalize_axes, shape_of
from .checks import axis_or_dim, checked_axes, checked_axis
from .primitives import implements, primitive
from .shapes import astype, broadcast_to, getitem, reshape, transpose

__all__ = ["cumsum", "max", "mean", "min", "prod", "sum", "var"]

# NumPy's own, under types that leave ``keepdims`` open until the call.
_add_reduce: Callable[..., Array] = np.add.reduce
_maximum_reduce: Callable[..., Array] = np.maximum.reduce
_minimum_reduce: Callable[..., Array] = np.minimum.reduce


@primitive
def _sum(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    in_pairs = axis == (x.ndim - 1,) and x.flags.c_contiguous  # as NumPy adds what lies in a row
    if x.dtype == np.float32 and not in_pairs:
        return _add_reduce(x, axis=axis, keepdims=keepdims, dtype=np.float64).astype(np.float32)
    return _add_reduce(x, axis=axis, keepdims=keepdims)


@_sum.vjp("x")
def _sum_dx(ct: A, y: A, x: A, *, axis: Axis, keepdims: bool) -> A:
    return broadcast_to(ct.reshape(keepdims_shape(x.shape, axis)), x.shape)


@implements(np.sum)
def sum(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """Σ x over ``axis``; 0 of no values, and int64 of int32 and booleans.

    Example:
        >>> import numixology as nx
        >>> nx.functional.sum(nx.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
        Tensor([4., 6.], from=sum)
    """
    return _sum(x, axis=_axes_reduced(x, axis, dim), keepdims=keepdims or keepdim)


@implements(np.mean)
def mean(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """Σ x / n over ``axis``, of n values each; NaN of none, and float64 of integers and booleans.

    Example:
        >>> import numixology as nx
        >>> nx.functional.mean(nx.tensor([[1.0, 2.0], [3.0, 5.0]]), axis=1, keepdims=True)
        Tensor([[1.5],
                [4. ]], from=divide)
    """
    axis = _axes_reduced(x, axis, dim)
    if x.dtype.kind in "iub":
        x = astype(x, np.float64)  # whose sum does not overflow
    return divide(sum(x, axis, keepdims or keepdim), _count(x, axis))


@implements(np.var)
def var(
    x: A,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    ddof: int = 0,
    dim: Axis = None,
    keepdim: bool = False,
) -> A:
    """Σ (x - mean)² / (n - ddof) over ``axis``, of n values each; infinite or NaN where n ≤ ddof.

    Args:
        ddof: 0, NumPy's default, for the biased variance; 1, torch's, for the unbiased one.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([1.0, 2.0, 3.0, 6.0])
        >>> nx.functional.var(x).item(), nx.functional.var(x, ddof=1).item()
        (3.5, 4.666666666666667)
    """
    axis = _axes_reduced(x, axis, dim)
    count = _count(x, axis) - ddof
    centered = subtract(x, mean(x, axis, keepdims=True))
    squares = sum(multiply(centered, centered), axis, keepdims or keepdim)
    return divide(squares, count if count > 0 else 0)


@primitive
def _max(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    return _maximum_reduce(x, axis=axis, keepdims=keepdims)


@primitive
def _min(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    return _minimum_reduce(x, axis=axis, keepdims=keepdims)


@_max.vjp("x")
@_min.vjp("x")
def extremum_dx(ct: A, y: A, x: A, *, axis: Axis, keepdims: bool) -> A:
    """Where several values are the extremum, they share the cotangent equally."""
    shape = keepdims_shape(x.shape, axis)
    chosen = equal(x, y.reshape(shape)).astype(ct.dtype)
    return ct.reshape(shape) * chosen / sum(chosen, axis, keepdims=True)


@implements(np.max, np.amax)
def max(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """The largest x over ``axis``, of at least one; equal values share its gradient equally.

    Returns:
        The values alone, without their indices; NaN where any of them is.

    Example:
        >>> import numixology as nx
        >>> nx.functional.max(nx.tensor([[1.0, 5.0], [3.0, 2.0]]), axis=1)
        Tensor([5., 3.], from=max)
    """
    return _max(x, axis=_axes_reduced(x, axis, dim), keepdims=keepdims or keepdim)


@implements(np.min, np.amin)
def min(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """The smallest x over ``axis``, of at least one; equal values share its gradient equally.

    Returns:
        The values alone, without their indices; NaN where any of them is.

    Example:
        >>> import numixology as nx
        >>> nx.functional.min(nx.tensor([[1.0, 5.0], [3.0, 2.0]]), axis=1)
        Tensor([1., 2.], from=min)
    """
    return _min(x, axis=_axes_reduced(x, axis, dim), keepdims=keepdims or keepdim)


@implements(np.prod)
def prod(
    x: A, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False
) -> A:
    """Π x over ``axis``: multiplied in pairs, then pairs of pairs, so that zeros do no harm.

    Returns:
        As of a sum; the product of no values is 1, and int64 of int32 and booleans.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([2.0, 0.0, 3.0], requires_grad=True)
        >>> nx.functional.prod(x).backward()
        >>> x.grad
        Tensor([0., 6., 0.])
    """
    gone = normalize_axes(_axes_reduced(x, axis, dim), x.ndim)
    shape = keepdims_shape(x.shape, gone)
    kept = [i for i in range(x.ndim) if i not in gone]
    rows, lengths = _count(x, gone), [x.shape[i] for i in kept]
    x = transpose(x, (*gone, *kept)).reshape(rows, *lengths)
    if x.dtype.kind in "iub":
        x = astype(x, np.int64)
    if len(x) == 0:
        x = sum(x, 0, keepdims=True) + 1
    odd: list[A] = []  # rows that had no partner
    while len(x) > 1:
        half = len(x) // 2
        odd += [x[2 * half :]] if len(x) % 2 else []
        x = multiply(x[:half], x[half : 2 * half])  # (n // 2, ...)
    for row in odd:
        x = multiply(x, row)
    return x.reshape(shape if keepdims or keepdim else tuple(lengths))


@primitive
def _cumsum(x: Array, *, axis: int) -> Array:
    return np.add.accumulate(x, axis=axis)


@_cumsum.vjp("x")
def _cumsum_dx(ct: A, y: A, x: A, *, axis: int) -> A:
    backwards = (slice(None),) * axis + (slice(None, None, -1),)
    return getitem(_cumsum(getitem(ct, index=backwards), axis=axis), index=backwards)


@implements(np.cumsum)
def cumsum(x: A, axis: int | None = None, *, dim: int | None = None) -> A:
    """y_i = x_0 + … + x_i along ``axis``.

    Args:
        axis: one axis; None for all values in order, as one sequence.

    Returns:
        The shape of ``x``, or (size,) for None; of its dtype, and int64 for int32 and booleans.

    Example:
        >>> import numixology as nx
        >>> nx.functional.cumsum(nx.tensor([1.0, 2.0, 3.0]))
        Tensor([1., 3., 6.], from=cumsum)
    """
    axis = axis_or_dim(axis, dim)
    ndim = len(shape_of(x, "cumsum"))
    if axis is None:
        return _cumsum(reshape(x, -1), axis=0)
    return _cumsum(x, axis=checked_axis(axis, ndim))


def _axes_reduced(x: Any, axis: Axis, dim: Axis) -> Axis:
    """The axes to reduce, checked, counted from 0."""
    axis = axis_or_dim(axis, dim)
    ndim = len(shape_of(x, "a reduction"))
    return None if axis is None else checked_axes(axis, ndim)


def _count(x: Any, axis: Axis) -> int:
    """How many values each result is made from."""
    return math.prod(x.shape[i] for i in normalize_axes(axis, x.ndim))
