"""Activations: ReLU, sigmoid, tanh, SiLU, GELU in both forms, and softplus.

SiLU and both GELUs are one family, x·g(x) with a gate g between 0 and 1, and slope g(x) + x g'(x).
The forward has the slope at hand and keeps it; where nothing is recorded, it computes the value
alone.
"""

import math
from typing import Literal

import numpy as np

from ..arithmetic import clip, less_equal, where
from ..array import A, Array
from ..errors import ArgumentError
from ..primitives import primitive
from . import _logistic
from ._gaussian import gelu as gelu_values
from .special import kept_slope_dx, normal_cdf, normal_pdf

__all__ = [
    "gelu",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]

_ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


@primitive
def relu(x: Array) -> Array:
    """max(x, 0), elementwise; its derivative at 0 is taken as 0.

    Args:
        x: any shape and dtype.

    Returns:
        The shape and dtype of ``x``; NaN stays NaN.

    Edge values: 0 at -inf and inf at inf, where the derivatives are 0 and 1.

    Source: guide, Feed Forward Network Flow.

    Example:
        >>> import numixology as nx
        >>> nx.functional.relu(nx.tensor([-1.0, 0.0, 2.0]))
        Tensor([0., 0., 2.], from=relu)
    """
    return np.where(x.real <= 0, 0, x) if np.iscomplexobj(x) else np.maximum(x, 0)


@relu.vjp("x")
def relu_dx(ct: A, y: A, x: A) -> A:
    return where(less_equal(x, 0), 0.0, ct)


def _sigmoid_slope(x: A) -> tuple[A]:
    return (sigmoid(x) * sigmoid(-x),)


@primitive(keeps=_sigmoid_slope, alone=lambda x: _logistic.sigmoid(x, 1)[0])
def sigmoid(x: Array) -> tuple[Array, tuple[Array]]:
    """σ(x) = 1 / (1 + e⁻ˣ), elementwise.

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Edge values: 0 and 1 at the infinities, where the derivative is 0; NaN stays NaN.

    Raises:
        DTypeError: booleans, or numbers of more than 64 bits.

    Example:
        >>> import numixology as nx
        >>> nx.functional.sigmoid(nx.tensor([-800.0, 0.0, 2.0]))
        Tensor([0.        , 0.5       , 0.88079708], from=sigmoid)
    """
    y, slope = _logistic.sigmoid(x)
    return y, (slope,)


@primitive(
    np.tanh,
    keeps=lambda x: (4 * sigmoid(2 * x) * sigmoid(-2 * x),),
    alone=lambda x: _logistic.tanh(x, 1)[0],
)
def tanh(x: Array) -> tuple[Array, tuple[Array]]:
    """tanh x, elementwise; its slope is sech² x = 4 σ(2x) σ(-2x), not 1 - tanh² x.

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Edge values: -1 and 1 at the infinities, where the derivative is 0; -0 and NaN stay what they
    are.

    Raises:
        DTypeError: booleans, or numbers of more than 64 bits.

    Example:
        >>> import numixology as nx
        >>> nx.functional.tanh(nx.tensor([-20.0, 0.0, 0.5]))
        Tensor([-1.        ,  0.        ,  0.46211716], from=tanh)
    """
    y, slope = _logistic.tanh(x)
    return y, (slope,)


@primitive(
    keeps=lambda x: (sigmoid(x) + clip(x, -1e3, 1e3) * sigmoid(x) * sigmoid(-x),),
    alone=lambda x: _logistic.silu(x, 1)[0],
)
def silu(x: Array) -> tuple[Array, tuple[Array]]:
    """SiLU(x) = x σ(x), elementwise; also called swish. Its slope is σ(x) + x σ(x) σ(-x).

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Edge values: -0 at -inf and inf at inf, where the derivatives are 0 and 1; -0 and NaN stay what
    they are.

    Raises:
        DTypeError: booleans, or numbers of more than 64 bits.

    Source: guide, Feed Forward Network Flow; Elfwing, Uchibe and Doya 2017, equation 8
    (arXiv 1702.03118).

    Example:
        >>> import numixology as nx
        >>> nx.functional.silu(nx.tensor([-1.0, 0.0, 1.0]))
        Tensor([-0.26894142,  0.        ,  0.73105858], from=silu)
    """
    y, slope = _logistic.silu(x)
    return y, (slope,)


@primitive(
    keeps=lambda x: (normal_cdf(x) + clip(x, -1e3, 1e3) * normal_pdf(x),),
    alone=lambda x: gelu_values(x, 1)[0],
)
def _gelu(x: Array) -> tuple[Array, tuple[Array]]:
    y, slope = gelu_values(x)
    return y, (slope,)


def _tanh_gate(x: A) -> tuple[A, A]:
    """The argument 2u of the gate σ(2u) = ½ (1 + tanh u), and its derivative."""
    scale = 2 * _ROOT_TWO_OVER_PI
    x2 = x * x
    return scale * x * (1 + _CUBIC * x2), scale * (1 + 3 * _CUBIC * x2)


def _gelu_tanh_slope(x: A) -> tuple[A]:
    x = clip(x, -1e3, 1e3)  # beyond, every gate is flat, and inf · 0 shall be 0, not NaN
    inner, inner_slope = _tanh_gate(x)
    return (sigmoid(inner) + x * sigmoid(inner) * sigmoid(-inner) * inner_slope,)


@primitive(keeps=_gelu_tanh_slope, alone=lambda x: _logistic.gelu_tanh(x, 1)[0])
def _gelu_tanh(x: Array) -> tuple[Array, tuple[Array]]:
    y, slope = _logistic.gelu_tanh(x)
    return y, (slope,)


def gelu(x: A, approximate: Literal["none", "tanh"] = "none") -> A:
    """GELU(x) = x Φ(x), elementwise.

    With ``approximate="tanh"``: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), computed as
    x σ(2√(2/π) (x + 0.044715 x³)), which is the same without a difference in the left tail.

    Args:
        x: any shape, floating-point.
        approximate: ``"none"`` for the exact form, ``"tanh"`` for the approximation.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Edge values: -0 at -inf and inf at inf, where the derivatives are 0 and 1; -0 and NaN stay what
    they are. This holds for both forms.

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
    if approximate == "none":
        return _gelu(x)
    if approximate == "tanh":
        return _gelu_tanh(x)
    raise ArgumentError("approximate is 'none' or 'tanh'", repr(approximate), "use one of the two")


@primitive(keeps=lambda x: (sigmoid(x),), alone=lambda x: _logistic.softplus(x, 1)[0])
def softplus(x: Array) -> tuple[Array, tuple[Array]]:
    """ln(1 + eˣ), elementwise; its slope is σ(x).

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Raises:
        DTypeError: booleans, or numbers of more than 64 bits.

    Example:
        >>> import numixology as nx
        >>> nx.functional.softplus(nx.tensor([-800.0, 0.0, 800.0]))
        Tensor([0.00000000e+00, 6.93147181e-01, 8.00000000e+02], from=softplus)
    """
    y, slope = _logistic.softplus(x)
    return y, (slope,)


for _smooth in (sigmoid, tanh, silu, _gelu, _gelu_tanh, softplus):
    _smooth.vjp("x")(kept_slope_dx)
