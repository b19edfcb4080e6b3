r"""The error function and the Gaussian: Φ, its density φ, and erf.

Φ(x) = ½ (1 + erf(x/√2)) is the weight that GELU gives to its input. The values come from
``_gaussian``, where the approximation is derived.
"""

import math

from ..arithmetic import clip
from ..array import A, Array
from ..primitives import primitive
from . import _gaussian
from .elementary import exp

__all__ = ["erf", "normal_cdf", "normal_pdf"]

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


@primitive(
    keeps=lambda x: (_TWO_OVER_ROOT_PI * exp(-(x * x)),),
    alone=lambda x: _gaussian.erf(x, 1)[0],
)
def erf(x: Array) -> tuple[Array, tuple[Array]]:
    """erf(x) = 2/√π ∫₀ˣ exp(-t²) dt, elementwise.

    Args:
        x: any shape, floating-point. Complex arrays give the analytic continuation near the
            real axis, for complex-step differentiation.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Edge values: -1 and 1 at the infinities, where the derivative is 0; -0 and NaN stay what they
    are.

    Raises:
        DTypeError: booleans, or numbers of more than 64 bits.

    Source: NIST Digital Library of Mathematical Functions, equation 7.2.1.

    Example:
        >>> import numixology as nx
        >>> nx.functional.erf(nx.tensor([0.0, 0.5, 1.0]))
        Tensor([0.        , 0.52049988, 0.84270079], from=erf)
    """
    y, slope = _gaussian.erf(x)
    return y, (slope,)


def _density(x: A) -> tuple[A]:
    return (normal_pdf(x),)


@primitive(keeps=_density, alone=lambda x: _gaussian.gaussian(x, 1)[0])
def normal_cdf(x: Array) -> tuple[Array, tuple[Array]]:
    """Φ(x) = ½ (1 + erf(x/√2)), elementwise, with every digit of its left tail.

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Raises:
        DTypeError: booleans, or numbers of more than 64 bits.

    Example:
        >>> import numixology as nx
        >>> nx.functional.normal_cdf(nx.tensor([-30.0, 0.0, 1.0]))
        Tensor([4.90671393e-198, 5.00000000e-001, 8.41344746e-001], from=normal_cdf)
    """
    cdf, pdf = _gaussian.gaussian(x)
    return cdf, (pdf,)


@erf.vjp("x")
@normal_cdf.vjp("x")
def kept_slope_dx(ct: A, y: A, x: A, *, kept: tuple[A]) -> A:
    """The rule of every function whose forward keeps its slope."""
    (slope,) = kept
    return ct * slope


@primitive
def normal_pdf(x: Array) -> Array:
    """φ(x) = exp(-x²/2) / √(2π), elementwise.

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Raises:
        DTypeError: booleans, or numbers of more than 64 bits.

    Example:
        >>> import numixology as nx
        >>> nx.functional.normal_pdf(nx.tensor([0.0, 1.0]))
        Tensor([0.39894228, 0.24197072], from=normal_pdf)
    """
    _, pdf = _gaussian.gaussian(x)
    return pdf


@normal_pdf.vjp("x")
def normal_pdf_dx(ct: A, y: A, x: A) -> A:
    return -ct * clip(x, -1e3, 1e3) * y  # ∞ · 0 shall be 0, not NaN
