"""Activations, elementwise: ReLU, sigmoid, tanh, softplus, SiLU, and GELU in both forms.

They take arrays and tensors of any shape, and numbers; float32 and float64 are kept, and integers
become float64 (ReLU keeps every dtype). Booleans, and numbers of more than 64 bits, are a
DTypeError. NaN stays NaN.

Each function is written as its equation, and so is its slope, directly below; see
:func:`.computed_by` for what computes them to the last digits. At the infinities all have their
limits, and their slopes too. Only under ``create_graph=True``, where the slope's equation is
recorded as it stands, the gated ones (SiLU and GELU) have NaN there, which is ∞ · 0, and tanh-GELU
wherever x² overflows; near a zero of the slope it has the digits of plain arithmetic.
"""

import math
from typing import Literal

import numpy as np

from .. import numerics
from ..arithmetic import less_equal, where
from ..array import A, Array, real_part
from ..checks import one_of
from ..primitives import implements, primitive
from ._computed import computed_by
from .elementary import exp, log1p
from .special import normal_cdf, normal_pdf

__all__ = ["gelu", "relu", "sigmoid", "silu", "softplus", "tanh"]

_ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)


@primitive
def relu(x: Array) -> Array:
    """max(x, 0); its derivative at 0 is taken as 0.

    Source: guide, Feed Forward Network Flow.

    Example:
        >>> import numixology as nx
        >>> nx.functional.relu(nx.tensor([-1.0, 0.0, 2.0]))
        Tensor([0., 0., 2.], from=relu)
    """
    return np.where(real_part(x) <= 0, 0, x)


@relu.vjp("x")
def _relu_dx(ct: A, y: A, x: A) -> A:
    return where(less_equal(x, 0), 0.0, ct)


@computed_by(numerics.sigmoid)
def sigmoid(x: Array) -> Array:
    """σ(x) = 1 / (1 + e⁻ˣ).

    Example:
        >>> import numixology as nx
        >>> nx.functional.sigmoid(nx.tensor([-800.0, 0.0, 2.0]))
        Tensor([0.        , 0.5       , 0.88079708], from=sigmoid)
    """
    return 1 / (1 + exp(-x))


@sigmoid.vjp("x")
def _sigmoid_dx(ct: A, y: A, x: A) -> A:
    return ct * _sigmoid_slope(x)


@primitive
def _sigmoid_slope(x: Array) -> Array:
    """σ'(x) = σ(x) σ(-x), and not σ (1 - σ), which is 0 from x = 38 on."""
    return sigmoid(x) * sigmoid(-x)


@_sigmoid_slope.vjp("x")
def _sigmoid_slope_dx(ct: A, y: A, x: A) -> A:
    return -ct * y * tanh(x / 2)  # σ(-x) - σ(x), without the difference


@implements(np.tanh)
@computed_by(numerics.tanh)
def tanh(x: Array) -> Array:
    """tanh x; its slope is sech² x = 4 σ'(2x), and not 1 - tanh² x, which is 0 from x = 19 on.

    Example:
        >>> import numixology as nx
        >>> nx.functional.tanh(nx.tensor([-20.0, 0.0, 0.5]))
        Tensor([-1.        ,  0.        ,  0.46211716], from=tanh)
    """
    return np.tanh(x)


@tanh.vjp("x")
def _tanh_dx(ct: A, y: A, x: A) -> A:
    return ct * 4 * _sigmoid_slope(2 * x)


@computed_by(numerics.softplus)
def softplus(x: Array) -> Array:
    """ln(1 + eˣ).

    Example:
        >>> import numixology as nx
        >>> nx.functional.softplus(nx.tensor([-800.0, 0.0, 800.0]))
        Tensor([0.00000000e+00, 6.93147181e-01, 8.00000000e+02], from=softplus)
    """
    return log1p(exp(x))


@softplus.vjp("x")
def _softplus_dx(ct: A, y: A, x: A) -> A:
    return ct * sigmoid(x)


@computed_by(numerics.silu)
def silu(x: Array) -> Array:
    """SiLU(x) = x σ(x), also called swish; -0 at -inf.

    Source: guide, Feed Forward Network Flow; Elfwing, Uchibe and Doya 2017, equation 8
    (arXiv 1702.03118).

    Example:
        >>> import numixology as nx
        >>> nx.functional.silu(nx.tensor([-1.0, 0.0, 1.0]))
        Tensor([-0.26894142,  0.        ,  0.73105858], from=silu)
    """
    return x * sigmoid(x)


@silu.vjp("x")
def _silu_dx(ct: A, y: A, x: A) -> A:
    return ct * (sigmoid(x) + x * _sigmoid_slope(x))


def gelu(x: A, approximate: Literal["none", "tanh"] = "none") -> A:
    """GELU(x) = x Φ(x), or with ``approximate="tanh"`` ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))).

    Args:
        x: any shape, floating-point.
        approximate: ``"none"`` for the exact form, ``"tanh"`` for the approximation.

    Returns:
        The shape and dtype of ``x``; float64 for integers. Both forms are -0 at -inf.

    Raises:
        ArgumentError: another word for ``approximate``.
        DTypeError: booleans, or numbers of more than 64 bits.

    Source: guide, Feed Forward Network Flow; Hendrycks and Gimpel 2016, section 2
    (arXiv 1606.08415).

    Example:
        >>> import numixology as nx
        >>> nx.functional.gelu(nx.tensor([-30.0, -1.0, 1.0]))
        Tensor([-1.47201418e-196, -1.58655254e-001,  8.41344746e-001], from=gelu)
        >>> nx.functional.gelu(nx.tensor([-1.0, 1.0]), approximate="tanh")
        Tensor([-0.15880801,  0.84119199], from=gelu_tanh)
    """
    one_of("approximate", approximate, ("none", "tanh"))
    return _gelu(x) if approximate == "none" else _gelu_tanh(x)


@computed_by(numerics.gelu)
def _gelu(x: Array) -> Array:
    return x * normal_cdf(x)


@_gelu.vjp("x")
def _gelu_dx(ct: A, y: A, x: A) -> A:
    return ct * (normal_cdf(x) + x * normal_pdf(x))


@computed_by(numerics.gelu_tanh)
def _gelu_tanh(x: Array) -> Array:
    return x * sigmoid(_twice_u(x))  # ½ (1 + tanh u) = σ(2u)


@_gelu_tanh.vjp("x")
def _gelu_tanh_dx(ct: A, y: A, x: A) -> A:
    w = _twice_u(x)
    slope_of_w = 2 * _ROOT_TWO_OVER_PI * (1 + 3 * 0.044715 * x * x)
    return ct * (sigmoid(w) + x * _sigmoid_slope(w) * slope_of_w)


def _twice_u(x: A) -> A:
    return 2 * _ROOT_TWO_OVER_PI * (x + 0.044715 * x * x * x)
