"""The normal distribution, GELU and erf in plain arrays, accurate far into the tails.

GELU is x Φ(x), and its slope is Φ(x) + x φ(x).  Far to the left both are tiny, and 1 + erf, the
textbook way to Φ, has rounded to 0 long before.  So everything here starts from the tail: for
t = |x|,

    Q(t) = Φ(-t) = exp(-t²/2) R(t),      φ(t) = exp(-t²/2) / √(2π).

**The ratio R** is smooth and falls slowly, from 1/2 at 0 to 1 / (t √(2π)) far out.  Hence
(1 + t) R(t) stays between 0.39 and 0.53, and in u = (t - m) / (t + m), which maps t ≥ 0 to
-1 ≤ u < 1, one polynomial gives it for all t.  Its constant term far outweighs the others, so that
their rounding hardly matters; what is lost in the last sum and in the division by 1 + t is
computed and carried along.

**The exponential** would turn an error of one ulp in t²/2 = 700 into hundreds.  Let T be t
rounded to 20 binary places.  Then T² is exact, and

    exp(-t²/2) = exp(-T²/2) (1 + expm1((T - t) (T + t) / 2)).

**Two places cancel**, and a polynomial of their own takes over there: 1 - 2 Q(√2 x) = erf(x) for
|x| < 1, and the slope Q(t) - t φ(t) of GELU at x = -t around its zero, t = 0.7517915...

Each step is analytic within its piece, and pieces are chosen by real parts alone.  So for a
complex x + ih with a tiny h, the imaginary part is h times the derivative.  float32 is computed in
float64 and rounded once.

The constants come from Chebyshev interpolation in 60 digits, `tests/oracle/fit_gaussian.py`.
Sources: W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23
(1969), for the split of the square; M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation
of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞", Math. Comp. 36 (1981), for the variable u.
"""

from collections.abc import Iterator

import numpy as np

from ..array import Array
from ._kernels import (
    ONE,
    constants,
    distance,
    either,
    exponential,
    in_chunks,
    polynomial,
    ramp,
)

__all__ = ["erf", "gaussian", "gelu"]

TWO, MINUS_ONE, MINUS_HALF = constants(2.0, -1.0, -0.5)
# Adding 1.5 * 2**(52 - n), and taking it away again, rounds a smaller number to n binary places.
TO_20_PLACES, TO_26_PLACES = constants(1.5 * 2**32, 1.5 * 2**26)

FAR = np.array(39.0)  # from t = 38.6 on, Q and φ are 0 in double precision
MIDDLE = np.array(5.5)  # m, chosen so that TAIL_0 is a double to within 0.03 ulp
EDGE = np.array(1.0)  # where the piece of erf around 0 ends
REACH = np.array(0.1875)  # of the piece around the zero of GELU's slope
ROOT_2 = np.array(1.4142135623730951)
TWO_OVER_ROOT_PI = np.array(1.1283791670955126)
# expm1 of what is left of an exponent, below 2⁻¹⁴: the fourth power is out of sight.
EXPM1 = constants(1 / 6, 0.5, 1.0)

# PEAK, φ(0), and ROOT, the zero of Q(t) - t φ(t): each a double and what it leaves out.
# Polynomials, from the highest power down to the first, and the constant term X_0 apart:
#   TAIL: (1 + t) R(t) in u;  CENTRE: erf(x) / x - 1 in x²;
#   SLOPE: (Q(t) - t φ(t)) / (t - ROOT) in t - ROOT.
PEAK = constants(
    0.3989422804014327,
    -2.49232720227773e-17,
)
ROOT = constants(
    0.7517915246935645,
    -1.4956759177009883e-17,
)
TAIL = constants(
    -1.1554336766981895e-09,
    -4.1077760395592395e-09,
    6.1126146290250285e-09,
    3.485396198387217e-08,
    -4.268097555572283e-08,
    -2.153447164532296e-07,
    4.4827072714366284e-07,
    1.0599735290378628e-06,
    -4.693547418897976e-06,
    -4.850201721187797e-07,
    3.88585958569742e-05,
    -9.055953300042241e-05,
    -8.147078571875421e-05,
    0.0011587134513102938,
    -0.004252400932548748,
    0.010221481363315651,
    -0.018229966318938872,
    0.02430507846625988,
    -0.021413634567725992,
    0.002215025124791275,
    0.03618652602924562,
    -0.08833898904448793,
)
TAIL_0 = np.array(0.45722751116333127)
CENTRE = constants(
    5.957176147748911e-11,
    -1.1372848856791674e-09,
    1.4659775274047436e-08,
    -1.6350312701054695e-07,
    1.6461000484121368e-06,
    -1.4925595266831182e-05,
    0.0001205533111164271,
    -0.000854832698083379,
    0.0052239776248180145,
    -0.026866170645076792,
    0.11283791670954879,
    -0.3761263890318375,
)
CENTRE_0 = np.array(0.1283791670955126)
SLOPE = constants(
    -1.1168740228603108e-05,
    -8.534620974406548e-05,
    0.00018633794128868772,
    0.0007447947237287656,
    -0.002239538035172195,
    -0.004539227794127403,
    0.019421679837917972,
    0.014771522143425959,
    -0.11400823329722089,
    0.018199676398685603,
    0.388284982990552,
)
SLOPE_0 = np.array(-0.43149399231404695)


def gaussian(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the distribution function and the density of the standard normal distribution.

    .. math:: \Phi(x) = \tfrac12 \operatorname{erfc}(-x / \sqrt 2), \qquad
              \varphi(x) = \exp(-x^2 / 2) / \sqrt{2\pi}

    Either is within 3 ulp wherever it is not 0, its subnormal values included.  But x Φ(x) formed
    from them is 20 ulp off where Φ is subnormal, and Φ(x) + x φ(x) has 11 ulp at 0.1 from its zero
    at -0.7518, 70 at 0.01 and no digit at the zero; :func:`gelu` has neither weakness.

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for Φ alone.

    Returns:
        Φ(x) and φ(x), each of the shape and dtype of x.
    """
    return in_chunks(_gaussian, x, parts)


def gelu(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the Gaussian error linear unit and its slope.

    .. math:: y = x \Phi(x), \qquad y' = \Phi(x) + x \varphi(x)

    The value is within 3 ulp and the slope within 5, next to the slope's zero and in the tails too.

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for y alone.

    Returns:
        y and y', each of the shape and dtype of x.  At minus infinity they are -0.0 and 0.

    Source: D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.
    """
    return in_chunks(_gelu, x, parts)


def erf(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the error function, within 1.5 ulp, and its slope, within 3.

    .. math:: y = \frac{2}{\sqrt\pi} \int_0^x \exp(-s^2) \, ds, \qquad
              y' = \frac{2}{\sqrt\pi} \exp(-x^2)

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for y alone.

    Returns:
        y and y', each of the shape and dtype of x; a zero keeps its sign.

    Source: NIST Digital Library of Mathematical Functions, 7.2.1, https://dlmf.nist.gov/7.2.E1.
    """
    return in_chunks(_erf, x, parts)


def _gaussian(x: Array) -> Iterator[Array]:
    exponent, rest, ratio = _factors(distance(x, FAR))
    head = np.exp(exponent)
    yield either(x, head * ratio)
    yield head * _density(rest)


def _gelu(x: Array) -> Iterator[Array]:
    t = distance(x, FAR)
    exponent, rest, ratio = _factors(t)
    head, last = exponential(exponent)  # where head * last is subnormal, last is applied last
    yield ramp(x) - head * (t * ratio) * last  # x Φ(x) = max(x, 0) - t Q(t)
    slope = head * (ratio - t * _density(rest)) * last  # Q(t) - t φ(t)
    near = np.flatnonzero(np.abs(t.real - ROOT[0]) < REACH)
    d = (t[near] - ROOT[0]) - ROOT[1]
    slope[near] = d * (SLOPE_0 + polynomial(d, SLOPE))
    yield either(x, slope)


def _erf(x: Array) -> Iterator[Array]:
    t = distance(x, FAR)
    exponent, rest = _exponential(t, _rounded(t), MINUS_ONE)
    head = np.exp(exponent)
    bell = head + head * rest  # exp(-t²)
    z = t * ROOT_2
    value = ONE - TWO * bell * (TAIL_0 + _scaled_tail(z)) / (ONE + z)
    near = np.flatnonzero(t.real < EDGE)
    t = t[near]
    value[near] = t + t * (CENTRE_0 + polynomial(t * t, CENTRE))
    yield value * np.copysign(ONE, x.real)
    yield TWO_OVER_ROOT_PI * bell


def _factors(t: Array) -> tuple[Array, Array, Array]:
    """Return (exponent, rest, ratio): Q(t) = exp(exponent) ratio, φ(t) = exp(exponent) _density.

    The exponential is common to both, so that its error does not disturb their comparison.
    """
    rounded = _rounded(t)
    exponent, rest = _exponential(t, rounded, MINUS_HALF)
    high, low = _ratio(t, rounded)
    return exponent, rest, high + (low + (high + low) * rest)


def _density(rest: Array) -> Array:
    """Return (1 + rest) / √(2π)."""
    density: Array = PEAK[0] + (PEAK[1] + PEAK[0] * rest)
    return density


def _exponential(t: Array, rounded: Array, factor: Array) -> tuple[Array, Array]:
    """Return (exponent, rest): exp(factor t²) = exp(exponent) (1 + rest), the exponent exact."""
    exponent = factor * (rounded * rounded)
    return exponent, polynomial(factor * ((t - rounded) * (t + rounded)), EXPM1)


def _ratio(t: Array, rounded: Array) -> tuple[Array, Array]:
    """Return R(t) as (high, low): a real number of 26 binary places, and the rest."""
    b = _scaled_tail(t)
    total = TAIL_0 + b
    lost = b - (total - TAIL_0)  # total + lost = TAIL_0 + b exactly
    inverse = ONE / (ONE + t)
    high = ((total * inverse).real + TO_26_PLACES) - TO_26_PLACES
    remainder = total - high * (ONE + rounded)  # exact, as high and rounded are short
    return high, (remainder + (lost - high * (t - rounded))) * inverse


def _scaled_tail(t: Array) -> Array:
    """Return (1 + t) R(t) - TAIL_0."""
    return polynomial((t - MIDDLE) / (t + MIDDLE), TAIL)


def _rounded(t: Array) -> Array:
    """Return the real part of t to 20 binary places."""
    return (t.real + TO_20_PLACES) - TO_20_PLACES
