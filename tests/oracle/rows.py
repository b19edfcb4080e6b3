"""What is calculated row by row: softmax and its logarithms, LayerNorm and RMSNorm.

A row is a list of numbers. ``*_gradient`` takes the cotangent first and is the product of it with
the textbook Jacobian, written out.
"""

from typing import Any

import mpmath as mp
from oracle.arithmetic import UNIT, Bounded, dot, error_of, rounded, through, total, value_of

Row = list[Any]

# LayerNorm's output may be 5e-16 of the row's largest entry off: half of it is this, in the
# normalized row, and the other half the two roundings of scale and shift.
NORMALIZED = mp.mpf("2.5e-16")


def softmax(x: Row) -> Row:
    """p_i = exp(x_i) / Σ_j exp(x_j); both are divided by the largest of the exponentials."""
    largest = max(x, key=value_of)
    e = [through(mp.exp, one - largest, 1) for one in x]
    return [one / total(e) for one in e]


def softmax_gradient(ct: Row, x: Row) -> Row:
    """∂p_j/∂x_i = p_j (δ_ij - p_i), so dx_i = p_i (ct_i - Σ_j ct_j p_j)."""
    p = softmax(x)
    mean = dot(ct, p)
    return [one * (c - mean) for one, c in zip(p, ct, strict=True)]


def logsumexp(x: Row) -> mp.mpf:
    """ln Σ_j exp(x_j)."""
    return mp.log(mp.fsum(mp.exp(one) for one in x))


def logsumexp_gradient(ct: mp.mpf, x: Row) -> Row:
    """∂/∂x_i ln Σ_j exp(x_j) = p_i."""
    return [ct * one for one in softmax(x)]


def log_softmax(x: Row) -> Row:
    """x_i - ln Σ_j exp(x_j)."""
    return [one - logsumexp(x) for one in x]


def log_softmax_gradient(ct: Row, x: Row) -> Row:
    """∂y_j/∂x_i = δ_ij - p_i."""
    return [c - p * total(ct) for c, p in zip(ct, softmax(x), strict=True)]


def normalized(x: Row, eps: float) -> tuple[Row, Any]:
    """h_i = (x_i - mean) / √(var + eps) with the biased variance, and 1 / √(var + eps).

    For numbers with a bound the derivatives pass it on:
    ∂h_j/∂x_i = (δ_ij - 1/D - h_j h_i / D) / √(var + eps), ∂rstd/∂x_i = -rstd² h_i / D.
    """
    values, count = [value_of(one) for one in x], len(x)
    mean = mp.fsum(values) / count
    variance = mp.fsum((one - mean) ** 2 for one in values) / count
    rstd = 1 / mp.sqrt(variance + mp.mpf(eps))
    h = [(one - mean) * rstd for one in values]
    if not any(isinstance(one, Bounded) for one in x):
        return h, rstd
    own = NORMALIZED * max(abs(one) for one in h)
    errors = [
        mp.fsum(
            abs((i == j) - mp.mpf(1) / count - h[j] * h[i] / count) * rstd * error_of(x[i])
            for i in range(count)
        )
        for j in range(count)
    ]
    spread = mp.fsum(abs(h[i]) * error_of(x[i]) for i in range(count)) * rstd**2 / count
    return (
        [Bounded(one, error + own) for one, error in zip(h, errors, strict=True)],
        rounded(rstd, spread + 3 * UNIT * rstd),
    )


def layer_norm(x: Row, weight: Row, bias: Row, eps: float) -> Row:
    """y_i = h_i weight_i + bias_i."""
    h, _ = normalized(x, eps)
    return [one * w + b for one, w, b in zip(h, weight, bias, strict=True)]


def layer_norm_gradient(ct: Row, x: Row, weight: Row, eps: float) -> tuple[Row, Row]:
    """dx, and this row's share of dweight; its share of dbias is ct itself.

    dx_i = Σ_j ct_j weight_j ∂h_j/∂x_i = rstd (g_i - mean(g) - h_i mean(g h)), g = ct weight.
    """
    h, rstd = normalized(x, eps)
    g = [c * w for c, w in zip(ct, weight, strict=True)]
    mean_g = total(g) / len(x)
    mean_gh = dot(g, h) / len(x)
    dx = [(one - mean_g - here * mean_gh) * rstd for one, here in zip(g, h, strict=True)]
    return dx, [c * here for c, here in zip(ct, h, strict=True)]


def of_square_1(x: Row, eps: float) -> tuple[Row, Any]:
    """h_i = x_i / rms, and rms = √(mean(x²) + eps), which is rounded correctly or by a unit."""
    rms = through(mp.sqrt, dot(x, x) / len(x) + mp.mpf(eps), 1)
    return [one / rms for one in x], rms


def rms_norm(x: Row, weight: Row, eps: float) -> Row:
    """y_i = h_i weight_i."""
    h, _ = of_square_1(x, eps)
    return [one * w for one, w in zip(h, weight, strict=True)]


def rms_norm_gradient(ct: Row, x: Row, weight: Row, eps: float) -> tuple[Row, Row]:
    """dx, and this row's share of dweight.

    ∂h_j/∂x_i = (δ_ij - h_j h_i / D) / rms, so dx_i = (g_i - h_i mean(g h)) / rms, g = ct weight.
    """
    h, rms = of_square_1(x, eps)
    g = [c * w for c, w in zip(ct, weight, strict=True)]
    mean_gh = dot(g, h) / len(x)
    dx = [(one - here * mean_gh) / rms for one, here in zip(g, h, strict=True)]
    return dx, [c * here for c, here in zip(ct, h, strict=True)]
