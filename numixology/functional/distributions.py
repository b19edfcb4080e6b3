"""Softmax and its two logarithms, along one axis.

They take arrays and tensors of at least one axis, and return the dtype of ``x``: float32 is
calculated in float64 and rounded once, and integers become float64. An axis that is not there, or
has no values, is a ShapeError; what is neither an array nor a tensor, a DTypeError.

The largest value is subtracted first, so that no exponential overflows. The first element that has
it is called the winner, and its exponential is 1. What it leaves of the whole is the sum of the
others, never a difference: where it stands 60 above the rest, 1 - p is 1e-26 and has its digits.
"""

from typing import Any

import numpy as np

from ..array import A, Array, keepdims_shape, real_part, shape_of, upcast
from ..checks import checked_axis
from ..errors import ShapeError
from ..primitives import primitive

__all__ = ["log_softmax", "logsumexp", "softmax"]


def largest(x: Array, axis: int) -> Array:
    """max x along ``axis``."""
    values: Array = real_part(x).max(axis=axis, keepdims=True)
    return values


def argmax_mask(x: Any, axis: int) -> Array:
    """1 for the winner along ``axis``, else 0: a constant as far as derivatives go."""
    values = real_part(np.asarray(x))
    mask = np.zeros(values.shape)
    np.put_along_axis(mask, values.argmax(axis=axis, keepdims=True), 1.0, axis)
    return mask


def sum_of_others(z: Array, axis: int) -> Array:
    """Σ e^z along ``axis`` without the winner's own, which is e⁰ = 1."""
    total: Array = (np.exp(z) - argmax_mask(z, axis)).sum(axis=axis, keepdims=True)
    return total


@primitive
def _softmax(x: Array, *, axis: int) -> Array:
    z = upcast(x)
    e = np.exp(z - largest(z, axis))
    return _rounded(e / e.sum(axis=axis, keepdims=True), x)


@_softmax.vjp("x")
def _softmax_dx(ct: A, y: A, x: A, *, axis: int) -> A:
    """p (ct - Σ ct p); a shift of ct changes nothing, and by the winner's it keeps all digits."""
    wide = upcast(x)
    p = y if wide is x else _softmax(wide, axis=axis)
    c = ct - (ct * argmax_mask(x, axis)).sum(axis=axis, keepdims=True)
    return p * (c - (c * p).sum(axis=axis, keepdims=True))


def softmax(x: A, axis: int = -1) -> A:
    """y_i = e^{x_i} / Σ_j e^{x_j} along ``axis``.

    -inf has the share 0. A row that holds NaN or +inf, or nothing but -inf, has no shares: it is
    NaN throughout, as is its gradient.

    Args:
        x: any shape, floating-point.
        axis: the axis whose values add up to 1.

    Returns:
        The shape of ``x``.

    Source: guide, Complexity Comparison (attention weights).

    Example:
        >>> import numixology as nx
        >>> nx.functional.softmax(nx.tensor([1000.0, 1000.0, 1000.0 - 800.0]))
        Tensor([0.5, 0.5, 0. ], from=softmax)
    """
    return _softmax(x, axis=_filled_axis(x, axis, "softmax"))


@primitive
def _log_softmax(x: Array, *, axis: int) -> Array:
    wide = upcast(x)
    z = wide - largest(wide, axis)
    return _rounded(z - np.log1p(sum_of_others(z, axis)), x)


@_log_softmax.vjp("x")
def _log_softmax_dx(ct: A, y: A, x: A, *, axis: int) -> A:
    """ct - p Σ ct, as (ct - mask Σ ct) - (p - mask) Σ ct."""
    p, c, mask = _softmax(upcast(x), axis=axis), upcast(ct), argmax_mask(x, axis)
    total = c.sum(axis=axis, keepdims=True)
    return _balanced(c, mask, axis) - _balanced(p, mask, axis) * total


def _balanced(v: A, mask: Array, axis: int) -> A:
    """v - mask Σ v: the winner's becomes minus the sum of the others, so that no digit is lost."""
    others = v * (1 - mask)
    balanced: A = others - mask * others.sum(axis=axis, keepdims=True)
    return balanced


def log_softmax(x: A, axis: int = -1) -> A:
    """y_i = x_i - ln Σ_j e^{x_j} along ``axis``.

    -inf gives -inf. A row that holds NaN or +inf, or nothing but -inf, is NaN throughout, as is its
    gradient.

    Args:
        x: any shape, floating-point.
        axis: the axis whose exponentials add up to 1.

    Returns:
        The shape of ``x``.

    Example:
        >>> import numixology as nx
        >>> nx.functional.log_softmax(nx.tensor([0.0, 0.0]))
        Tensor([-0.69314718, -0.69314718], from=log_softmax)
    """
    return _log_softmax(x, axis=_filled_axis(x, axis, "log_softmax"))


@primitive
def _logsumexp(x: Array, *, axis: int, keepdims: bool) -> Array:
    z = upcast(x)
    m = largest(z, axis)
    m = np.where(np.isfinite(m) & (np.abs(m) > 500), m, 0)  # nearer, exponentials are in range
    y = m + np.log(np.exp(z - m).sum(axis=axis, keepdims=True))
    return _rounded(y if keepdims else y.squeeze(axis), x)


@_logsumexp.vjp("x")
def _logsumexp_dx(ct: A, y: A, x: A, *, axis: int, keepdims: bool) -> A:
    p = _softmax(upcast(x), axis=axis)
    return ct.reshape(keepdims_shape(x.shape, axis)) * p


def logsumexp(x: A, axis: int = -1, keepdims: bool = False) -> A:
    """ln Σ_j e^{x_j} along ``axis``.

    -inf adds nothing. A row of nothing but -inf gives -inf, one with +inf gives +inf and one with
    NaN gives NaN; the gradient is the softmax, so it is NaN in these three.

    Args:
        x: any shape, floating-point.
        axis: the axis to sum over.
        keepdims: leave that axis in, at length one.

    Returns:
        The shape of ``x`` without that axis.

    Example:
        >>> import numixology as nx
        >>> nx.functional.logsumexp(nx.tensor([1000.0, 1000.0]))
        Tensor(1000.69314718, from=logsumexp)
    """
    return _logsumexp(x, axis=_filled_axis(x, axis, "logsumexp"), keepdims=keepdims)


def _filled_axis(x: Any, axis: int, name: str) -> int:
    shape = shape_of(x, name)
    axis = checked_axis(axis, len(shape))
    if shape[axis] == 0:
        invariant = f"{name} needs an axis with at least one value"
        instead = "name another axis, or check the input first"
        raise ShapeError(invariant, f"axis {axis} of shape {shape}", instead)
    return axis


def _rounded(y: Array, x: Array) -> Array:
    """y in the dtype of x, if that is floating-point."""
    return y.astype(x.dtype, copy=False) if x.dtype.kind in "fc" else y
