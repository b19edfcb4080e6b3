"""The functions of one number and their slopes, each by a textbook formula.

The formulas are chosen so that no digits cancel in the tails: erfc instead of 1 - erf, and
1 / (1 + e⁻ˣ) instead of ½ (1 + tanh(x/2)). Next to a zero of a slope 16 of the 50 digits do.
"""

from collections.abc import Callable
from typing import NamedTuple

import mpmath as mp


def erf(x: mp.mpf) -> mp.mpf:
    return mp.erf(x)


def erf_slope(x: mp.mpf) -> mp.mpf:
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def sigmoid(x: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-x))


def sigmoid_slope(x: mp.mpf) -> mp.mpf:
    return mp.exp(-x) / (1 + mp.exp(-x)) ** 2


def tanh(x: mp.mpf) -> mp.mpf:
    return mp.tanh(x)


def tanh_slope(x: mp.mpf) -> mp.mpf:
    return 1 / mp.cosh(x) ** 2


def relu(x: mp.mpf) -> mp.mpf:
    return x if x > 0 else mp.mpf(0)


def relu_slope(x: mp.mpf) -> mp.mpf:
    return mp.mpf(1 if x > 0 else 0)


def silu(x: mp.mpf) -> mp.mpf:
    return x * sigmoid(x)


def silu_slope(x: mp.mpf) -> mp.mpf:
    return sigmoid(x) * (1 + x * sigmoid(-x))


def normal_cdf(x: mp.mpf) -> mp.mpf:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def normal_pdf(x: mp.mpf) -> mp.mpf:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def gelu(x: mp.mpf) -> mp.mpf:
    return x * normal_cdf(x)


def gelu_slope(x: mp.mpf) -> mp.mpf:
    return normal_cdf(x) + x * normal_pdf(x)


def gelu_tanh(x: mp.mpf) -> mp.mpf:
    """½ x (1 + tanh u) with u = √(2/π) (x + 0.044715 x³); and ½ (1 + tanh u) = σ(2u)."""
    u = mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)
    return x * sigmoid(2 * u)


def gelu_tanh_slope(x: mp.mpf) -> mp.mpf:
    u = mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)
    du = mp.sqrt(2 / mp.pi) * (1 + 3 * mp.mpf("0.044715") * x**2)
    return sigmoid(2 * u) + x * sigmoid_slope(2 * u) * 2 * du


def softplus(x: mp.mpf) -> mp.mpf:
    return mp.log1p(mp.exp(x))


class Function(NamedTuple):
    """A function, its slope, and how many units in the last place each may be off in float64."""

    value: Callable[[mp.mpf], mp.mpf]
    slope: Callable[[mp.mpf], mp.mpf]
    value_ulps: int
    slope_ulps: int


FUNCTIONS = {
    "erf": Function(erf, erf_slope, 2, 4),
    "sigmoid": Function(sigmoid, sigmoid_slope, 2, 4),
    "tanh": Function(tanh, tanh_slope, 2, 4),
    "relu": Function(relu, relu_slope, 0, 0),
    "silu": Function(silu, silu_slope, 4, 8),
    "gelu": Function(gelu, gelu_slope, 4, 8),
    "gelu_tanh": Function(gelu_tanh, gelu_tanh_slope, 4, 8),
    "softplus": Function(softplus, sigmoid, 4, 4),
}
