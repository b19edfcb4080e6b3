"""LayerNorm: every row to mean 0 and variance 1, then scaled and shifted.

Real rows are calculated with more digits than one number has wherever two of them nearly cancel.
Complex ones, which only differentiate by complex steps, follow the equations plainly: the slope in
an imaginary part needs no such care, and then a check of the gradient rests on other code than it.
"""

import math
from typing import Any

import numpy as np

from ..array import A, Array, flatten_leading, real_part, shape_of, upcast
from ..errors import ArgumentError, DTypeError, ShapeError
from ..primitives import primitive
from ..shapes import contiguous
from ._pairs import cut, difference, dot, halves, quotient, root, row_exponent, row_sum

__all__ = ["layer_norm"]


# Outside, the squares of deviations come close to where doubles end: digits are lost, then all.
_SMALL, _LARGE = 1e-140, 1e145


def _normalised(x: A, weight: A | None, bias: A | None, *, eps: float) -> tuple[A, A]:
    """h = (x - mean) / √(var + eps), and √(var + eps), of arrays or of tensors.

    float32 is calculated in float64, to be rounded once at the end.
    """
    x = upcast(x)
    d = centred(x)
    deviation = row_deviation(d, eps=eps)
    size = real_part(np.asarray(deviation))
    safe = (size < _LARGE) & (size > _SMALL)
    if not safe.all():  # powers of two round nothing
        largest = np.maximum(np.abs(real_part(np.asarray(x))), math.sqrt(eps))
        exponent = np.where(safe, 0, -row_exponent(largest))
        d = centred(_times_two_to(x, exponent))
        deviation = row_deviation(d, eps=np.ldexp(eps, 2 * exponent))
        return d / deviation, _times_two_to(deviation, -exponent)
    return d / deviation, deviation


def _times_two_to(x: A, exponent: Array) -> A:
    """x · 2ⁿ in two steps, since 2ⁿ alone may leave the range."""
    half = exponent // 2
    scaled: A = x * np.ldexp(1.0, half) * np.ldexp(1.0, exponent - half)
    return scaled


@primitive
def centred(x: Array) -> Array:
    """x - mean of every row, to the last digit: also near 0, and in rows of mean 1e8.

    The first mean is rounded. What it leaves is therefore added up with twice the digits, and its
    own mean, which is as small as a rounding, subtracted with what the first difference lost.
    """
    n, first = x.shape[-1], x[..., :1]
    mean = first + np.add.reduce(x - first, axis=-1, keepdims=True) / n  # exact in constant rows
    if np.iscomplexobj(x):
        d = x - mean
        plain: Array = d - np.add.reduce(d, axis=-1, keepdims=True) / n
        return plain
    d, lost = difference(x, mean)
    high, low = row_sum(d)
    rest = (high + (low + np.add.reduce(lost, axis=-1, keepdims=True))) / n
    exact: Array = d + (lost - rest)
    return exact


@centred.vjp("x")
def centred_dx(ct: A, y: A, x: A) -> A:
    dx: A = centred(ct)  # the mapping is its own transpose
    return dx


@primitive
def row_deviation(d: Array, *, eps: Any) -> Array:
    """√(Σ d² / n + eps) of every row, rounded about once, for its error is one of the whole row."""
    if np.iscomplexobj(d):
        plain: Array = np.sqrt(np.add.reduce(d * d, axis=-1, keepdims=True) / d.shape[-1] + eps)
        return plain
    squares, low = dot(d, d)
    n = np.array(float(d.shape[-1]))
    total, lost = difference(squares, -n * eps)
    return root(quotient((total, low + lost), (n, np.zeros(()))))


@row_deviation.vjp("d")
def row_deviation_dd(ct: A, y: A, d: A, *, eps: Any) -> A:
    return ct * d / (d.shape[-1] * y)


@primitive
def beside(c: Array, h: Array, q: Array) -> Array:
    """c without its part along h: c - k h of every row, where k = Σ c h / (Σ h² + n q).

    The two nearly cancel where c lies along h, so k and k h have more digits than one number.
    """
    if np.iscomplexobj(c) or np.iscomplexobj(h):
        total = np.add.reduce(h * h, axis=-1, keepdims=True) + h.shape[-1] * q
        plain: Array = c - np.add.reduce(c * h, axis=-1, keepdims=True) / total * h
        return plain
    exponent = row_exponent(c)
    c = _times_two_to(c, -exponent)  # so that nothing overflows on the way
    squares, low = dot(h, h)
    total, lost = difference(squares, -h.shape[-1] * q)
    k, more = quotient(dot(c, h), (total, low + lost))
    k_high, k_low = halves(k)
    h_high, h_low = cut(h, 26)
    y = (c - k_high * h_high) - (k_high * h_low + (k_low + more) * h)
    return _times_two_to(y, exponent)


@beside.vjp("c")
def beside_dc(ct: A, y: A, c: A, h: A, q: A) -> A:
    dc: A = beside(ct, h, q)  # the mapping is its own transpose
    return dc


@beside.vjp("h")
def beside_dh(ct: A, y: A, c: A, h: A, q: A) -> A:
    total = _row_sum(h * h) + h.shape[-1] * q
    k, along = _row_sum(c * h) / total, _row_sum(ct * h) / total
    return along * (2 * k * h - c) - k * ct


@beside.vjp("q")
def beside_dq(ct: A, y: A, c: A, h: A, q: A) -> A:
    total = _row_sum(h * h) + h.shape[-1] * q
    return _row_sum(c * h) / total * (_row_sum(ct * h) / total) * h.shape[-1]


def _row_sum(x: A) -> A:
    return x.sum(axis=-1, keepdims=True)


@primitive(keeps=_normalised)
def _layer_norm(
    x: Array, weight: Array | None, bias: Array | None, *, eps: float
) -> tuple[Array, tuple[Array, Array]]:
    h, deviation = _normalised(x, weight, bias, eps=eps)
    y = h if weight is None else h * weight
    if bias is not None:
        y = y + bias
    given = [p for p in (x, weight, bias) if p is not None]
    return y.astype(np.result_type(*given), copy=False), (h, deviation)


@_layer_norm.vjp("x")
def _layer_norm_dx(
    ct: A, y: A, x: A, weight: A | None, bias: A | None, *, eps: float, kept: tuple[A, A]
) -> A:
    """With dh = ct · weight: dx = (dh - mean(dh) - h · mean(dh · h)) / √(var + eps).

    The last mean is Σ c h / D of c = dh - mean(dh), since h adds up to 0; and D = Σ h² + D q with
    q = eps / (var + eps), in which form a rounding of h has no effect on how much is subtracted.
    """
    h, deviation = kept
    dh = upcast(ct) if weight is None else upcast(ct) * weight
    return beside(centred(dh), h, eps / deviation / deviation) / deviation


@_layer_norm.vjp("weight")
def _layer_norm_dweight(
    ct: A, y: A, x: A, weight: A, bias: A | None, *, eps: float, kept: tuple[A, A]
) -> A:
    h, _ = kept
    return _over_rows(ct * h)


@_layer_norm.vjp("bias")
def _layer_norm_dbias(
    ct: A, y: A, x: A, weight: A | None, bias: A, *, eps: float, kept: tuple[A, A]
) -> A:
    return _over_rows(upcast(ct))


def _over_rows(terms: A) -> A:
    """(D,): Σ over all axes but the last, which NumPy adds in pairs where they are contiguous."""
    return contiguous(flatten_leading(terms).T).sum(axis=-1)


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
    constant row where eps is 0.

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
