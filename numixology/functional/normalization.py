"""LayerNorm: every row to mean 0 and variance 1, then scaled and shifted."""

from typing import Any

import numpy as np

from ..array import Array, shape_of
from ..autograd import primitive
from ..errors import ArgumentError, ShapeError
from ..tensors import A
from .elementary import sqrt

__all__ = ["layer_norm"]


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
    n = x.shape[-1]
    h = x - x[..., :1]  # exact where a row is nearly constant
    h -= np.add.reduce(h, axis=-1, keepdims=True) / n
    h -= np.add.reduce(h, axis=-1, keepdims=True) / n  # what the first mean rounded away
    rstd = 1 / np.sqrt(np.add.reduce(h * h, axis=-1, keepdims=True) / n + eps)
    h *= rstd
    y = h if weight is None else h * weight
    if bias is not None:
        y = y + bias
    return y, (h, rstd)


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
        ArgumentError: eps is negative or not a number.

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
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape[-1:]:
            raise ShapeError(
                f"the {name} of layer_norm has shape {shape[-1:]}, as x has features",
                str(value.shape),
                "check which axis holds the features",
            )
    if not eps >= 0:
        raise ArgumentError("eps must be at least 0", str(eps), "use a small number such as 1e-5")
