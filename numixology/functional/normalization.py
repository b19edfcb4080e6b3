"""LayerNorm: every row to mean 0 and variance 1, then scaled and shifted."""

from typing import Any

import numpy as np

from ..array import A, Array, real_part, shape_of
from ..autograd import primitive
from ..errors import ArgumentError, DTypeError, ShapeError
from .elementary import sqrt

__all__ = ["layer_norm"]


# Squares below 1e-280 or above 1e290 are close to where doubles end: digits are lost, then all.
_SMALL, _LARGE = 1e-280, 1e290


def _normalised(x: A, weight: A | None, bias: A | None, *, eps: float) -> tuple[A, A]:
    """h = (x - mean) / √(var + eps), and 1 / √(var + eps), of arrays or of tensors."""
    h, variance = _centred(x)
    size = real_part(np.asarray(variance))
    safe = (size < _LARGE) & (size + eps > _SMALL)
    if safe.all():
        rstd = 1 / sqrt(variance + eps)
        return h * rstd, rstd
    exponent = np.where(safe, 0, -_row_exponent(real_part(np.asarray(x))))
    h, variance = _centred(_times_two_to(x, exponent))  # powers of two round nothing
    rstd = 1 / sqrt(variance + np.ldexp(eps, 2 * exponent))
    return h * rstd, _times_two_to(rstd, exponent)


def _centred(x: A) -> tuple[A, A]:
    """x - mean and the variance of every row, as true for rows of mean 1e8 as for others."""
    n, first = x.shape[-1], x[..., :1]
    mean = first + (x - first).sum(axis=-1, keepdims=True) / n  # exact in constant rows
    h = x - mean
    h = h - h.sum(axis=-1, keepdims=True) / n  # what the mean's rounding left
    return h, (h * h).sum(axis=-1, keepdims=True) / n


def _row_exponent(x: Array) -> Array:
    """The power of two just above the largest entry of every row."""
    largest = np.maximum.reduce(np.abs(x), axis=-1, keepdims=True)
    exponent: Array = np.frexp(np.where(np.isfinite(largest), largest, 1))[1]
    return exponent


def _times_two_to(x: A, exponent: Array) -> A:
    """x · 2ⁿ in two steps, since 2ⁿ alone may leave the range."""
    half = exponent // 2
    scaled: A = x * np.ldexp(1.0, half) * np.ldexp(1.0, exponent - half)
    return scaled


@primitive(keeps=_normalised)
def _layer_norm(
    x: Array, weight: Array | None, bias: Array | None, *, eps: float
) -> tuple[Array, tuple[Array, Array]]:
    wide = x.astype(np.float64) if x.dtype == np.float32 else x  # float32 is rounded once
    h, rstd = _normalised(wide, weight, bias, eps=eps)
    y = h if weight is None else h * weight
    if bias is not None:
        y = y + bias
    if wide is not x:
        given = [p for p in (x, weight, bias) if p is not None]
        y = y.astype(np.result_type(*given), copy=False)
    return y, (h, rstd)


@_layer_norm.vjp("x")
def _layer_norm_dx(
    ct: A, y: A, x: A, weight: A | None, bias: A | None, *, eps: float, kept: tuple[A, A]
) -> A:
    """With dh = ct · weight: dx = (dh - mean(dh) - h · mean(dh · h)) / √(var + eps)."""
    h, rstd = kept
    dh = ct if weight is None else ct * weight
    mean_dh = dh.sum(axis=-1, keepdims=True) / x.shape[-1]
    mean_dh_h = (dh * h).sum(axis=-1, keepdims=True) / x.shape[-1]
    return (dh - mean_dh - h * mean_dh_h) * rstd


@_layer_norm.vjp("weight")
def _layer_norm_dweight(
    ct: A, y: A, x: A, weight: A, bias: A | None, *, eps: float, kept: tuple[A, A]
) -> A:
    h, _ = kept
    return (ct * h).sum(axis=tuple(range(x.ndim - 1)))  # (D,)


@_layer_norm.vjp("bias")
def _layer_norm_dbias(
    ct: A, y: A, x: A, weight: A | None, bias: A, *, eps: float, kept: tuple[A, A]
) -> A:
    return ct.sum(axis=tuple(range(x.ndim - 1)))  # (D,)


def layer_norm(x: A, weight: A | None = None, bias: A | None = None, eps: float = 1e-5) -> A:
    """y = (x - mean) / √(var + eps) · weight + bias over the last axis.

    mean = Σ x / D and var = Σ (x - mean)² / D, the biased variance.

    Args:
        x: (..., D), floating-point.
        weight: (D,) or None for ones.
        bias: (D,) or None for zeros.
        eps: added to the variance; at least 0.

    Returns:
        (..., D), of the dtype that NumPy gives to the sum of all three. A constant row gives
        ``bias``.

    Raises:
        ShapeError: no last axis, or one of length 0, or a weight or bias of another shape.
        ArgumentError: eps is negative or NaN.
        DTypeError: ``x`` is neither an array nor a tensor, or not floating-point.

    Source: Ba, Kiros and Hinton 2016, equation 4 (arXiv 1607.06450); guide, Residual +
    Normalization.

    Example:
        >>> import numixology as nx
        >>> nx.functional.layer_norm(nx.tensor([[1.0, 2.0, 3.0, 6.0]]), eps=0.0)
        Tensor([[-1.06904497, -0.53452248,  0.        ,  1.60356745]], from=layer_norm)
    """
    _check(x, weight, bias, eps)
    return _layer_norm(x, weight, bias, eps=eps)


def _check(x: Any, weight: Any, bias: Any, eps: float) -> None:
    shape = shape_of(x, "layer_norm")
    if not shape or shape[-1] == 0:
        raise ShapeError(
            "layer_norm needs a last axis of at least one feature",
            f"shape {shape}",
            "pass x of shape (..., D)",
        )
    if x.dtype.kind not in "fc":
        raise DTypeError(
            "layer_norm takes floating-point rows", str(x.dtype), "use .astype('float64')"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape[-1:]:
            raise ShapeError(
                f"the {name} of layer_norm has shape {shape[-1:]}, as x has features",
                str(value.shape),
                "check which axis holds the features",
            )
    if not eps >= 0:
        raise ArgumentError("eps must be at least 0", str(eps), "use a small number such as 1e-5")
