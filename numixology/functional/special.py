r"""The error function and the Gaussian: Φ, its density φ, and erf.

Φ(x) = ½ (1 + erf(x/√2)) is the weight that GELU gives to its input. The values come from
``_gaussian``, where the approximation is derived.
"""

import math

from ..array import Array
from ..autograd import primitive
from ..tensors import A, clip
from ._gaussian import erf as _erf_values
from ._gaussian import gaussian
from .elementary import exp

__all__ = ["erf", "normal_cdf", "normal_pdf"]

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


@primitive
def erf(x: Array) -> Array:
    """erf(x) = 2/√π ∫₀ˣ exp(-t²) dt, elementwise.

    Args:
        x: any shape, floating-point. Complex arrays give the analytic continuation near the
            real axis, for complex-step differentiation.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Source: NIST Digital Library of Mathematical Functions, equation 7.2.1.

    Example:
        >>> import numixology as nx
        >>> nx.functional.erf(nx.tensor([0.0, 0.5, 1.0]))
        Tensor([0.        , 0.52049988, 0.84270079], from=erf)
    """
    return _erf_values(x)


@erf.vjp("x")
def erf_dx(ct: A, y: A, x: A) -> A:
    return ct * _TWO_OVER_ROOT_PI * exp(-(x * x))


@primitive
def normal_cdf(x: Array) -> Array:
    """Φ(x) = ½ (1 + erf(x/√2)), elementwise, with every digit of its left tail.

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Example:
        >>> import numixology as nx
        >>> nx.functional.normal_cdf(nx.tensor([-30.0, 0.0, 1.0]))
        Tensor([4.90671393e-198, 5.00000000e-001, 8.41344746e-001], from=normal_cdf)
    """
    cdf, _ = gaussian(x)
    return cdf


@normal_cdf.vjp("x")
def normal_cdf_dx(ct: A, y: A, x: A) -> A:
    return ct * normal_pdf(x)


@primitive
def normal_pdf(x: Array) -> Array:
    """φ(x) = exp(-x²/2) / √(2π), elementwise.

    Args:
        x: any shape, floating-point.

    Returns:
        The shape and dtype of ``x``; float64 for integers.

    Example:
        >>> import numixology as nx
        >>> nx.functional.normal_pdf(nx.tensor([0.0, 1.0]))
        Tensor([0.39894228, 0.24197072], from=normal_pdf)
    """
    _, pdf = gaussian(x)
    return pdf


@normal_pdf.vjp("x")
def normal_pdf_dx(ct: A, y: A, x: A) -> A:
    return -ct * clip(x, -1e3, 1e3) * y  # ∞ · 0 shall be 0, not NaN
