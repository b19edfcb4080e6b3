"""Softmax and its two logarithms, along one axis.

All three subtract the largest value first, so that no exponential overflows. What is left of 1 for
the winner, the element with the largest value, is the sum of the others' shares and never a
difference: where the winner stands 60 above the rest, 1 - p is 1e-26 and has all its digits.
"""

from typing import Any

import numpy as np

from ..array import A, Array, keepdims_shape, real_part, shape_of, upcast
from ..errors import ShapeError
from ..primitives import primitive
from ._pairs import difference

__all__ = ["log_softmax", "logsumexp", "softmax"]

# ln 2 cut after 32 bits, so that a small multiple of the first part is exact, and the rest.
_LN2_HIGH = 0.6931471803691238
_LN2_LOW = 1.9082149292705877e-10


def _winner(x: Any, axis: int) -> Array:
    """1 at the first largest value along ``axis``, else 0; a constant as far as slopes go."""
    values = real_part(upcast(np.asarray(x)))
    winner = np.zeros(values.shape, values.dtype)
    place = np.expand_dims(np.argmax(values, axis), axis)
    np.put_along_axis(winner, place, 1, axis)
    return winner


def _exponentials(x: Array, winner: Array, axis: int) -> tuple[Array, Array, Array]:
    """The largest x, x less it, and the exponentials of that.

    Where x - largest is -700, its rounding is half an ulp of 700 and would be hundreds of ulp of
    the exponential, so what it lost is made good: e^{z + lost} = e^z (1 + lost).
    """
    largest = np.add.reduce(np.where(winner, x, 0), axis=axis, keepdims=True)
    z, lost = difference(x, largest)
    e = np.exp(z)
    return largest, z, e + np.where(e == 0, 0, e * lost)


def _others(e: Array, winner: Array, axis: int) -> Array:
    """Σ e without the winner's own, which is 1; NaN in a row that has an infinite winner or NaN.

    NumPy adds in pairs, which keeps the error small, along an axis that is contiguous.
    """
    along = np.ascontiguousarray(np.moveaxis(e - winner, axis, -1))
    return np.expand_dims(np.add.reduce(along, axis=-1), axis)


def _as_given(y: Array, x: Array) -> Array:
    """y in the dtype of x, unless that is an integer's."""
    return y.astype(x.dtype, copy=False) if x.dtype.kind in "fc" else y


def _keeps_shares(x: A, *, axis: int) -> tuple[Array, A]:
    return _winner(x, axis), _softmax(upcast(x), axis=axis)


def _keeps_wider_shares(x: A, *, axis: int) -> tuple[Array, A | None]:
    """None for the shares where the output itself has all their digits."""
    wide = upcast(x)
    return _winner(x, axis), None if wide is x else _softmax(wide, axis=axis)


@primitive(keeps=_keeps_wider_shares)
def _softmax(x: Array, *, axis: int) -> tuple[Array, tuple[Array, Array | None]]:
    winner, wide = _winner(x, axis), upcast(x)
    _, _, e = _exponentials(wide, winner, axis)
    p = e / (1 + _others(e, winner, axis))
    return _as_given(p, x), (winner, None if wide is x else p)


@_softmax.vjp("x")
def _softmax_dx(ct: A, y: A, x: A, *, axis: int, kept: tuple[Array, A | None]) -> A:
    winner, wider = kept
    p = y if wider is None else wider
    c = ct - (ct * winner).sum(axis=axis, keepdims=True)  # 0 for the winner
    return p * (c - (c * p).sum(axis=axis, keepdims=True))


def softmax(x: A, axis: int = -1) -> A:
    """y_i = e^{x_i} / Σ_j e^{x_j} along ``axis``.

    Args:
        x: at least one axis, floating-point.
        axis: the axis whose values add up to 1.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Edge values: -inf has the share 0. A row that holds NaN or +inf, or nothing but -inf, has no
    shares: it is NaN throughout, as is its gradient.

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


@primitive(keeps=_keeps_shares)
def _log_softmax(x: Array, *, axis: int) -> tuple[Array, tuple[Array, Array]]:
    winner = _winner(x, axis)
    _, z, e = _exponentials(upcast(x), winner, axis)
    others = _others(e, winner, axis)
    return _as_given(z - np.log1p(others), x), (winner, e / (1 + others))


@_log_softmax.vjp("x")
def _log_softmax_dx(ct: A, y: A, x: A, *, axis: int, kept: tuple[Array, A]) -> A:
    """ct - p Σ ct, which for the winner is (1 - p) ct - p Σ ct of the others."""
    winner, p = kept
    ct = upcast(ct)
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

    Edge values: -inf gives -inf. A row that holds NaN or +inf, or nothing but -inf, is NaN
    throughout, as is its gradient.

    Raises:
        ShapeError: no such axis, or one of length 0.
        DTypeError: ``x`` is neither an array nor a tensor.

    Example:
        >>> import numixology as nx
        >>> nx.functional.log_softmax(nx.tensor([0.0, 0.0]))
        Tensor([-0.69314718, -0.69314718], from=log_softmax)
    """
    return _log_softmax(x, axis=_filled_axis(x, axis, "log_softmax"))


def _plus_log(largest: Array, others: Array) -> Array:
    """largest + ln(1 + others), which may nearly cancel.

    With 1 + others near 2ⁿ the logarithm is n ln 2 and a small rest, so that nothing has been
    rounded to the size of the logarithm when the two meet.
    """
    n = np.rint(np.log2(1 + real_part(others)))
    power = np.exp2(np.where(np.isfinite(n), n, 0))
    rest = np.log1p((others - (power - 1)) / power)
    near = (largest + n * _LN2_HIGH) + (n * _LN2_LOW + rest)
    return np.where(np.isfinite(largest), near, largest)


def _keeps_share(x: A, *, axis: int, keepdims: bool) -> tuple[A]:
    return (_softmax(upcast(x), axis=axis),)


@primitive(keeps=_keeps_share)
def _logsumexp(x: Array, *, axis: int, keepdims: bool) -> tuple[Array, tuple[Array]]:
    winner = _winner(x, axis)
    largest, _, e = _exponentials(upcast(x), winner, axis)
    others = _others(e, winner, axis)
    y = _as_given(_plus_log(largest, others), x)
    return (y if keepdims else np.squeeze(y, axis)), (e / (1 + others),)


@_logsumexp.vjp("x")
def _logsumexp_dx(ct: A, y: A, x: A, *, axis: int, keepdims: bool, kept: tuple[A]) -> A:
    (share,) = kept
    return ct.reshape(keepdims_shape(x.shape, axis)) * share


def logsumexp(x: A, axis: int = -1, keepdims: bool = False) -> A:
    """ln Σ_j e^{x_j} along ``axis``.

    Args:
        x: at least one axis, floating-point.
        axis: the axis to sum over.
        keepdims: leave that axis in, at length one.

    Returns:
        The shape of ``x`` without that axis, of its dtype; float64 for integers.

    Edge values: -inf adds nothing. A row of nothing but -inf gives -inf, one with +inf gives +inf
    and one with NaN gives NaN; the gradient is the softmax, so it is NaN in these three.

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
