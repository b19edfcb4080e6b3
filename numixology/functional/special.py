r"""The error function and the Gaussian: Φ, its density φ, and erf, elementwise.

They take arrays and tensors of any shape, and numbers; float32 and float64 are kept, and integers
become float64. Booleans, and numbers of more than 64 bits, are a DTypeError. NaN stays NaN.

Each function is written as its equation, and so is its slope, directly below; see
:func:`.computed_by` for what computes them to the last digits. Where only an integral defines a
function, its value near the real axis is that on the axis and its slope times the rest.
"""

import math

from .. import numerics
from ..array import A, Array
from ._computed import computed_by
from .elementary import exp

__all__ = ["erf", "normal_cdf", "normal_pdf"]


@computed_by(numerics.normal_pdf)
def normal_pdf(x: Array) -> Array:
    """φ(x) = exp(-x²/2) / √(2π).

    Edge values: 0 at the infinities. Its slope is 0 there too, and under ``create_graph=True``
    NaN, which is ∞ · 0.

    Example:
        >>> import numixology as nx
        >>> nx.functional.normal_pdf(nx.tensor([0.0, 1.0]))
        Tensor([0.39894228, 0.24197072], from=normal_pdf)
    """
    return exp(-x * x / 2) / math.sqrt(2 * math.pi)


@normal_pdf.vjp("x")
def _normal_pdf_dx(ct: A, y: A, x: A) -> A:
    return -ct * x * y


@computed_by(numerics.normal_cdf)
def normal_cdf(x: Array) -> Array:
    """Φ(x) = ∫ φ(t) dt from -∞ to x, which is ½ (1 + erf(x/√2)), with every digit of its left tail.

    Example:
        >>> import numixology as nx
        >>> nx.functional.normal_cdf(nx.tensor([-30.0, 0.0, 1.0]))
        Tensor([4.90671393e-198, 5.00000000e-001, 8.41344746e-001], from=normal_cdf)
    """
    return numerics.near_the_real_axis(x, numerics.normal_cdf, normal_pdf.forward)


@normal_cdf.vjp("x")
def _normal_cdf_dx(ct: A, y: A, x: A) -> A:
    return ct * normal_pdf(x)


@computed_by(numerics.erf)
def erf(x: Array) -> Array:
    """erf(x) = 2/√π ∫ exp(-t²) dt from 0 to x.

    Edge values: -1 and 1 at the infinities, where the slope is 0; -0 stays -0.

    Source: NIST Digital Library of Mathematical Functions, equation 7.2.1.

    Example:
        >>> import numixology as nx
        >>> nx.functional.erf(nx.tensor([0.0, 0.5, 1.0]))
        Tensor([0.        , 0.52049988, 0.84270079], from=erf)
    """
    return numerics.near_the_real_axis(x, numerics.erf, _bell)


@erf.vjp("x")
def _erf_dx(ct: A, y: A, x: A) -> A:
    return ct * _bell(x)


def _bell(x: A) -> A:
    return 2 / math.sqrt(math.pi) * exp(-x * x)
