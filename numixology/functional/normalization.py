"""LayerNorm makes every row one of mean 0 and variance 1, RMSNorm of mean square 1; both scale it.

A row is what lies along the last axis. The helpers and the rules take arrays and tensors alike, so
the rules can be differentiated again. ct is the cotangent of y; h and std, or h and rms, are what
``normalized`` or ``scaled`` returned, handed on by :func:`.sharing`. float32 is calculated in
float64 and rounded once.
"""

from typing import Any

import numpy as np

from ..array import A, Array, shape_of, upcast
from ..errors import ArgumentError, DTypeError, ShapeError, shown
from ._computed import sharing

__all__ = ["layer_norm", "rms_norm"]


def mean(x: A) -> A:
    """Σ x / D of every row."""
    return x.sum(axis=-1, keepdims=True) / x.shape[-1]


def center(x: A) -> A:
    """x - mean(x), to the last digits, in rows of mean 1e8 too.

    The mean is rounded, so every entry of d is off by the same small number, which is mean(d).
    Taking that off as well costs little, and makes exactly 0 of a constant row.
    """
    d = x - mean(x)
    return d - mean(d)


def normalized(x: A, eps: float) -> dict[str, A]:
    """h = (x - mean) / std, where std = √(var + eps) and var = mean((x - mean)²)."""
    d = center(upcast(x))
    std = (mean(d * d) + eps) ** 0.5
    return {"h": d / std, "std": std}


@sharing(normalized)
def _layer_norm(
    x: Array, weight: Array | float, bias: Array | float, *, eps: float, h: Array, std: Array
) -> Array:
    return (h * weight + bias).astype(np.result_type(x, weight, bias), copy=False)


@_layer_norm.vjp("x")
def _layer_norm_dx(ct: A, y: A, x: A, weight: A, bias: A, *, eps: float, h: A, std: A) -> A:
    """Moving x by u moves h by (u - mean(u) - h mean(h u)) / std: a symmetric matrix times u.

    So the rule is the same expression, with ct · weight, the cotangent of h, in place of u.
    """
    c = center(upcast(ct) * weight)
    return (c - h * mean(c * h)) / std


@_layer_norm.vjp("weight")
def _layer_norm_dweight(ct: A, y: A, x: A, weight: A, bias: A, *, eps: float, h: A, std: A) -> A:
    return ct * h  # (..., D), which the tape sums over the rows


@_layer_norm.vjp("bias")
def _layer_norm_dbias(ct: A, y: A, x: A, weight: A, bias: A, *, eps: float, h: A, std: A) -> A:
    return ct


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

    Edge values: a row that holds NaN or an infinity is NaN throughout, as is its gradient; so is a
    constant row where eps is 0. Where squares leave the range, the variance is infinite or 0.

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
    _check("layer_norm", x, eps, weight=weight, bias=bias)
    scale, shift = 1.0 if weight is None else weight, 0.0 if bias is None else bias
    y: A = _layer_norm(x, scale, shift, eps=eps)
    return y


def scaled(x: A, eps: float) -> dict[str, A]:
    """h = x / rms, where rms = √(mean(x²) + eps)."""
    d = upcast(x)
    rms = (mean(d * d) + eps) ** 0.5
    return {"h": d / rms, "rms": rms}


@sharing(scaled)
def _rms_norm(x: Array, weight: Array | float, *, eps: float, h: Array, rms: Array) -> Array:
    return (h * weight).astype(np.result_type(x, weight), copy=False)


@_rms_norm.vjp("x")
def _rms_norm_dx(ct: A, y: A, x: A, weight: A, *, eps: float, h: A, rms: A) -> A:
    """Moving x by u moves h by (u - h mean(h u)) / rms: again a symmetric matrix times u."""
    c = upcast(ct) * weight
    return (c - h * mean(c * h)) / rms


@_rms_norm.vjp("weight")
def _rms_norm_dweight(ct: A, y: A, x: A, weight: A, *, eps: float, h: A, rms: A) -> A:
    return ct * h  # (..., D), which the tape sums over the rows


def rms_norm(x: A, weight: A | None = None, eps: float = 1e-5) -> A:
    """y = x / √(mean(x²) + eps) · weight over the last axis.

    Args:
        x: (..., D), floating-point.
        weight: (D,) or None for ones.
        eps: added to the mean of the squares; at least 0.

    Returns:
        (..., D), of the dtype that NumPy gives to the product of both.

    Edge values: a row that holds NaN is NaN throughout, as is a row of zeros where eps is 0. An
    infinity is NaN, and what is finite beside it 0. Where squares leave the range, their mean is
    infinite or 0.

    Raises:
        As :func:`layer_norm`.

    Source: Zhang and Sennrich 2019, equation 4 (arXiv 1910.07467).

    Example:
        >>> import numixology as nx
        >>> nx.functional.rms_norm(nx.tensor([[1.0, -1.0, 7.0, 7.0]]), eps=0.0)
        Tensor([[ 0.2, -0.2,  1.4,  1.4]], from=rms_norm)
    """
    _check("rms_norm", x, eps, weight=weight)
    y: A = _rms_norm(x, 1.0 if weight is None else weight, eps=eps)
    return y


def _check(taker: str, x: Any, eps: float, **parameters: Any) -> None:
    shape = shape_of(x, taker)
    if not shape or shape[-1] == 0:
        invariant = f"{taker} needs a last axis of at least one feature"
        raise ShapeError(invariant, f"shape {shape}", "pass x of shape (..., D)")
    if x.dtype.kind not in "fc":
        invariant = f"{taker} takes floating-point rows"
        raise DTypeError(invariant, str(x.dtype), "use .astype('float64')")
    for name, value in parameters.items():
        if value is not None and shape_of(value, taker) != shape[-1:]:
            invariant = f"the {name} of {taker} has shape {shape[-1:]}, as x has features"
            instead = "check which axis holds the features"
            raise ShapeError(invariant, str(value.shape), instead)
    check_eps(eps)


def check_eps(eps: float) -> None:
    """Raise unless what a norm adds to the variance is at least 0."""
    if not eps >= 0:
        raise ArgumentError("eps must be at least 0", shown(eps), "use a small number such as 1e-5")
