"""LayerNorm: every row to mean 0 and variance 1, then scaled and shifted."""

from typing import Any

import numpy as np

from ..array import Array, real_part, shape_of
from ..autograd import primitive
from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensors import A
from .elementary import sqrt

__all__ = ["layer_norm"]


#: Variances beyond these have lost digits to underflow, or all of them to overflow.
_SMALL, _LARGE = 1e-280, 1e290


def _normalised(x: A, weight: A | None, bias: A | None, *, eps: float) -> tuple[A, A]:
    """h = (x - mean) / √(var + eps) and 1 / √(var + eps), as the textbook writes them."""
    centred = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    variance = (centred * centred).sum(axis=-1, keepdims=True) / x.shape[-1]
    rstd = 1 / sqrt(variance + eps)
    return centred * rstd, rstd


@primitive(keeps=_normalised)
def _layer_norm(
    x: Array, weight: Array | None, bias: Array | None, *, eps: float
) -> tuple[Array, tuple[Array, Array]]:
    wide = x.astype(np.result_type(x.dtype, np.float64), copy=False)  # float32 is rounded once
    h, variance = _centred(wide)
    rstd = 1 / np.sqrt(variance + eps)
    h *= rstd
    unsafe = ~(variance < _LARGE)
    if eps < _SMALL:
        unsafe |= variance < _SMALL
    if unsafe.any():
        h_scaled, rstd_scaled = _rescaled(wide, eps)
        h, rstd = np.where(unsafe, h_scaled, h), np.where(unsafe, rstd_scaled, rstd)
    y = h if weight is None else h * weight
    if bias is not None:
        y = y + bias
    dtype = np.result_type(x, *(p for p in (weight, bias) if p is not None))
    return y.astype(dtype, copy=False), (h, rstd)


def _centred(x: Array) -> tuple[Array, Array]:
    """x - mean and the variance of every row, as true for rows of mean 1e8 as for others."""
    n, first = x.shape[-1], x[..., :1]
    mean = first + np.add.reduce(x - first, axis=-1, keepdims=True) / n  # exact in constant rows
    h = x - mean
    h -= np.add.reduce(h, axis=-1, keepdims=True) / n  # what the mean's rounding left
    return h, np.add.reduce(h * h, axis=-1, keepdims=True) / n


def _rescaled(x: Array, eps: float) -> tuple[Array, Array]:
    """h and 1 / √(var + eps) of rows whose squares leave the range, scaled by powers of two."""
    largest = np.maximum.reduce(np.abs(real_part(x)), axis=-1, keepdims=True)
    exponent = np.frexp(np.where(np.isfinite(largest), largest, 1))[1]
    h, variance = _centred(_times_two_to(x, -exponent))
    rstd = 1 / np.sqrt(variance + np.ldexp(eps, -2 * exponent))
    return h * rstd, _times_two_to(rstd, -exponent)


def _times_two_to(x: Array, exponent: Array) -> Array:
    """x · 2ⁿ in two steps, since 2ⁿ alone may leave the range."""
    half = exponent // 2
    scaled: Array = x * np.ldexp(1.0, half) * np.ldexp(1.0, exponent - half)
    return scaled


@_layer_norm.vjp("x")
def _layer_norm_dx(
    ct: A, y: A, x: A, weight: A | None, bias: A | None, *, eps: float, kept: tuple[A, A]
) -> A:
    h, rstd = kept
    dh = ct if weight is None else ct * weight
    mean_dh: A = dh.sum(axis=-1, keepdims=True) / x.shape[-1]
    mean_dh_h: A = (dh * h).sum(axis=-1, keepdims=True) / x.shape[-1]
    dx: A = (dh - mean_dh - h * mean_dh_h) * rstd
    return dx


@_layer_norm.vjp("weight")
def _layer_norm_dweight(
    ct: A, y: A, x: A, weight: A, bias: A | None, *, eps: float, kept: tuple[A, A]
) -> A:
    h, _ = kept
    dweight: A = (ct * h).sum(axis=tuple(range(x.ndim - 1)))  # (D,)
    return dweight


@_layer_norm.vjp("bias")
def _layer_norm_dbias(
    ct: A, y: A, x: A, weight: A | None, bias: A, *, eps: float, kept: tuple[A, A]
) -> A:
    dbias: A = ct.sum(axis=tuple(range(x.ndim - 1)))  # (D,)
    return dbias


def layer_norm(x: A, weight: A | None = None, bias: A | None = None, eps: float = 1e-5) -> A:
    """y = (x - mean) / √(var + eps) · weight + bias over the last axis.

    mean = Σ x / D and var = Σ (x - mean)² / D, the biased variance.

    Args:
        x: (..., D), floating-point.
        weight: (D,) or None for ones.
        bias: (D,) or None for zeros.
        eps: added to the variance; at least 0.

    Returns:
        (..., D), of the dtype of ``x``. A constant row gives ``bias``.

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
