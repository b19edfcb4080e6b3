"""Softmax and its two logarithms, along one axis.

All three subtract the largest value first, so that no exponential overflows. What is left of 1 for
the winner, the element with the largest value, is the sum of the others' shares and never a
difference: where the winner stands 60 above the rest, 1 - p is 1e-26 and has all its digits.
"""

from typing import Any

import numpy as np

from ..array import A, Array, kept_shape, real_part, shape_of
from ..autograd import primitive
from ..errors import ShapeError
from .elementary import exp

__all__ = ["log_softmax", "logsumexp", "softmax"]


def _winner(x: Any, axis: int) -> Array:
    """1 at the first largest value along ``axis``, else 0; a constant as far as slopes go."""
    values = real_part(np.asarray(x))
    winner = np.zeros(values.shape, values.dtype)
    place = np.expand_dims(np.argmax(values, axis), axis)
    np.put_along_axis(winner, place, 1, axis)
    return winner


def _keeps_winner(x: A, *, axis: int) -> tuple[Array]:
    return (_winner(x, axis),)


def _shifted(x: Array, winner: Array, axis: int) -> tuple[Array, Array]:
    """The winner, 0 in its place where it is infinite or NaN, and x less it."""
    largest = np.add.reduce(np.where(winner, x, 0), axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    return largest, x - largest


def _shares(e: Array, axis: int) -> Array:
    """e / Σ e."""
    shares: Array = e / np.add.reduce(e, axis=axis, keepdims=True)
    return shares


def _log_sum(e: Array, winner: Array, axis: int) -> Array:
    """ln Σ e, where the winner's own e is 1 unless the row is infinite or NaN."""
    others = np.add.reduce(np.where(winner, 0, e), axis=axis, keepdims=True)
    own = np.add.reduce(np.where(winner, e, 0), axis=axis, keepdims=True)
    return np.where(own == 1, np.log1p(others), np.log(own + others))


@primitive(keeps=_keeps_winner)
def _softmax(x: Array, *, axis: int) -> tuple[Array, tuple[Array]]:
    winner = _winner(x, axis)
    _, z = _shifted(x, winner, axis)
    return _shares(np.exp(z), axis), (winner,)


@_softmax.vjp("x")
def _softmax_dx(ct: A, y: A, x: A, *, axis: int, kept: tuple[Array]) -> A:
    (winner,) = kept
    c = ct - (ct * winner).sum(axis=axis, keepdims=True)  # 0 for the winner
    return y * (c - (c * y).sum(axis=axis, keepdims=True))


def softmax(x: A, axis: int = -1) -> A:
    """y_i = e^{x_i} / Σ_j e^{x_j} along ``axis``.

    Args:
        x: at least one axis, floating-point.
        axis: the axis whose values add up to 1.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Raises:
        ShapeError: no such axis, or one of length 0.
        DTypeError: ``x`` is neither an array nor a tensor.

    Source: guide, Complexity Comparison (attention weights).

    Example:
        >>> import numixology as nx
        >>> nx.functional.softmax(nx.tensor([1000.0, 1000.0, 1000.0 - 800.0]))
        Tensor([0.5, 0.5, 0. ], from=softmax)
    """
    return _softmax(x, axis=_filled_axis(x, axis, "softmax"))


@primitive(keeps=_keeps_winner)
def _log_softmax(x: Array, *, axis: int) -> tuple[Array, tuple[Array]]:
    winner = _winner(x, axis)
    _, z = _shifted(x, winner, axis)
    return z - _log_sum(np.exp(z), winner, axis), (winner,)


@_log_softmax.vjp("x")
def _log_softmax_dx(ct: A, y: A, x: A, *, axis: int, kept: tuple[Array]) -> A:
    """ct - p Σ ct, which for the winner is (1 - p) ct - p Σ ct of the others."""
    (winner,) = kept
    p = exp(y)
    others = ((1 - winner) * p).sum(axis=axis, keepdims=True)
    ct_others = ((1 - winner) * ct).sum(axis=axis, keepdims=True)
    ct_winner = (winner * ct).sum(axis=axis, keepdims=True)
    dx: A = (1 - winner) * (ct - p * (ct_others + ct_winner))
    dx = dx + winner * (others * ct - p * ct_others)
    return dx


def log_softmax(x: A, axis: int = -1) -> A:
    """y_i = x_i - ln Σ_j e^{x_j} along ``axis``.

    Args:
        x: at least one axis, floating-point.
        axis: the axis whose exponentials add up to 1.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Raises:
        ShapeError: no such axis, or one of length 0.
        DTypeError: ``x`` is neither an array nor a tensor.

    Example:
        >>> import numixology as nx
        >>> nx.functional.log_softmax(nx.tensor([0.0, 0.0]))
        Tensor([-0.69314718, -0.69314718], from=log_softmax)
    """
    return _log_softmax(x, axis=_filled_axis(x, axis, "log_softmax"))


def _keeps_share(x: A, *, axis: int, keepdims: bool) -> tuple[A]:
    return (_softmax(x, axis=axis),)


@primitive(keeps=_keeps_share)
def _logsumexp(x: Array, *, axis: int, keepdims: bool) -> tuple[Array, tuple[Array]]:
    winner = _winner(x, axis)
    largest, z = _shifted(x, winner, axis)
    e = np.exp(z)
    y = largest + _log_sum(e, winner, axis)
    return (y if keepdims else np.squeeze(y, axis)), (_shares(e, axis),)


@_logsumexp.vjp("x")
def _logsumexp_dx(ct: A, y: A, x: A, *, axis: int, keepdims: bool, kept: tuple[A]) -> A:
    (share,) = kept
    return ct.reshape(kept_shape(x.shape, axis)) * share


def logsumexp(x: A, axis: int = -1, keepdims: bool = False) -> A:
    """ln Σ_j e^{x_j} along ``axis``.

    Args:
        x: at least one axis, floating-point.
        axis: the axis to sum over.
        keepdims: leave that axis in, at length one.

    Returns:
        The shape of ``x`` without that axis, of its dtype; float64 for integers.

    Raises:
        ShapeError: no such axis, or one of length 0.
        DTypeError: ``x`` is neither an array nor a tensor.

    Example:
        >>> import numixology as nx
        >>> nx.functional.logsumexp(nx.tensor([1000.0, 1000.0]))
        Tensor(1000.69314718, from=logsumexp)
    """
    return _logsumexp(x, axis=_filled_axis(x, axis, "logsumexp"), keepdims=keepdims)


def _filled_axis(x: Any, axis: int, name: str) -> int:
    shape = shape_of(x, name)
    ndim = len(shape)
    if not -ndim <= axis < ndim or shape[axis] == 0:
        raise ShapeError(
            f"{name} needs an axis with at least one value",
            f"axis {axis} of shape {shape}",
            "name another axis, or check the input first",
        )
    return axis % ndim
