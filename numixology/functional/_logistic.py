r"""The logistic function and its kin in plain arrays, accurate far into the tails.

Everything is made of one exponential that cannot overflow: for t = |x| and e = exp(-t),

    σ(-t) = e / (1 + e) = e - e (e / (1 + e)),      σ(t) = 1 - σ(-t),
    σ'(x) = e / (1 + e)²,      softplus(x) = max(x, 0) + ln(1 + e).

The slope of tanh x is 4 σ'(2x), and tanh t is 1 - 2 σ(-2t) for t > 9/16; nearer to 0, where that
difference would cancel, it is t plus t times a polynomial in t².  No 1 - σ(t) and no 1 - tanh² is
taken where it is small, for these round to 0 where the truth is far from it.

**SiLU and tanh-GELU** are x σ(w(x)) with an odd, increasing w: w(x) = x for SiLU, and
w(x) = a x + b x³ with a = 2√(2/π), b = 0.044715 a for tanh-GELU, as ½ (1 + tanh u) = σ(2u).
With e = exp(-w(t)), to the left, at x = -t,

    y = -t e / (1 + e),      y' = e / (1 + e)² · (1 + e - t w'(t));

and to the right y(t) = t + y(-t), y'(t) = 1 - y'(-t).  Three things need care.

*The zero of the slope* is where 1 + e = t w'(t), at one t = r.  Take 1 + exp(-w(r)) - r w'(r) = 0
away from the last factor, the balance, and with d = r - t it reads

    balance = exp(-w(r)) (exp(w(r) - w(t)) - 1) + (r w'(r) - t w'(t)),
    w(r) - w(t) = d (a + b (t² + t r + r²)),      r w'(r) - t w'(t) = d (a + 3 b (t² + t r + r²)).

Both terms have the sign of d, and expm1 gives the first.  So nothing cancels any more, at no t,
if only d is formed from an r of twice the digits of a double.

*The exponent* w may be 700, and an error of one ulp there would be one of hundreds in e.  Let T be
t rounded to 9 binary places, and let A and B be a and b to 34 and 16 places.  Then A T + B T³ is
exact, and

    w(t) = A T + B T³ + rest,
    rest = (a - A) T + (b - B) T³ + (t - T) (a + b (t² + t T + T²)).

The rest is below 0.2, and exp(-w) = exp(-A T - B T³) (1 + expm1(-rest)).  That a and b are real
numbers, not doubles, is taken care of along the way.

*Subnormal numbers* have few digits.  Where e would be one, e is the product of exp(-700) and a
second exponential, and the second is applied last, so that only the result is rounded to them.

Each step is analytic within its piece, and pieces are chosen by real parts alone.  So for a
complex x + ih with a tiny h, the imaginary part is h times the derivative.  float32 is computed in
float64 and rounded once.

The constants come from 60 digits, `tests/oracle/fit_logistic.py`.  Source: W. J. Cody,
"Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), for the split of
an exponent.
"""

from collections.abc import Iterator

import numpy as np

from ..array import Array
from ._kernels import (
    HALF,
    ONE,
    constants,
    distance,
    either,
    exponential,
    in_chunks,
    polynomial,
    ramp,
)

__all__ = ["gelu_tanh", "sigmoid", "silu", "softplus", "tanh"]

TWO, THREE, FOUR, MINUS_TWO = constants(2.0, 3.0, 4.0, -2.0)
# Adding 1.5 * 2**(52 - n), and taking it away again, rounds a smaller number to n binary places.
TO_9_PLACES = np.array(1.5 * 2**43)

SILU_FAR = np.array(800.0)  # from t = 752 on, SiLU and its slope are 0 to the left
GELU_FAR = np.array(22.0)  # and from t = 21.5 on, those of tanh-GELU
TANH_FAR = np.array(400.0)  # from t = 373 on, the slope of tanh is 0
TANH_EDGE = np.array(0.5625)  # where the piece of tanh around 0 ends

# r, the zero of the slope: a double and what it leaves out; exp(-w(r)), moved by a unit or two in
# the last place, so that the slope at 0 is 1/2 exactly; and r².
SILU_ROOT = constants(1.2784645427610737, 1.0946994183093437e-16)
SILU_EXP = np.array(0.2784645427610739)
GELU_ROOT = constants(0.7524614220710163, -3.635560509207687e-17)
GELU_EXP = np.array(0.2919552119147671)
GELU_SQUARE = np.array(0.5661981917051361)
# tanh(t) / t - 1 in t², from the highest power down to the first.
TANH = constants(
    -2.0026740085317684e-05,
    8.426522203958066e-05,
    -0.00023410556936672797,
    0.0005887537111834804,
    -0.0014556239774192678,
    0.003592105532132769,
    -0.008863234021529514,
    0.021869488476962563,
    -0.0539682539670594,
    0.13333333333332392,
    -0.3333333333333333,
)
# a and b, and the pairs (A, a - A) and (B, b - B).
LINEAR = np.array(1.5957691216057308)
CUBIC = np.array(0.07135481627260025)
LINEAR_PARTS = constants(1.5957691216026433, 3.0874305383944692e-12)
CUBIC_PARTS = constants(0.07135009765625, 4.718616350248776e-06)


def sigmoid(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the logistic function and its slope.

    .. math:: y = \frac{1}{1 + \exp(-x)}, \qquad y' = y (1 - y)

    The value is within 2 ulp and the slope within 3.

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for y alone.

    Returns:
        y and y', each of the shape and dtype of x.
    """
    return in_chunks(_sigmoid, x, parts)


def tanh(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the hyperbolic tangent and its slope.

    .. math:: y = \tanh x, \qquad y' = \frac{1}{\cosh^2 x}

    The value is within 1.5 ulp and the slope within 3.

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for y alone.

    Returns:
        y and y', each of the shape and dtype of x; a zero keeps its sign.
    """
    return in_chunks(_tanh, x, parts)


def softplus(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the integral of the logistic function, and that function as its slope.

    .. math:: y = \ln(1 + \exp x), \qquad y' = \frac{1}{1 + \exp(-x)}

    Both are within 2 ulp.

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for y alone.

    Returns:
        y and y', each of the shape and dtype of x.
    """
    return in_chunks(_softplus, x, parts)


def silu(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the sigmoid linear unit and its slope.

    .. math:: y = x \sigma(x), \qquad y' = \sigma(x) (1 + x \sigma(-x))

    The value is within 3 ulp and the slope within 6, next to the slope's zero and in the tails too.

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for y alone.

    Returns:
        y and y', each of the shape and dtype of x.  At minus infinity they are -0.0 and 0.

    Source: S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", arXiv:1702.03118, equations 8 and 9.
    """
    return in_chunks(_silu, x, parts)


def gelu_tanh(x: Array, parts: int = 2) -> tuple[Array, ...]:
    r"""Return the approximation of GELU by tanh, and the slope of that approximation.

    .. math:: y = \tfrac12 x \left(1 + \tanh\left(\sqrt{2 / \pi}
              \left(x + 0.044715 \, x^3\right)\right)\right)

    The value is within 4 ulp and the slope within 7, next to the slope's zero and in the tails too.

    Args:
        x: Floating-point or complex array of any shape.
        parts: 1 for y alone.

    Returns:
        y and y', each of the shape and dtype of x.  At minus infinity they are -0.0 and 0.

    Source: D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.
    """
    return in_chunks(_gelu_tanh, x, parts)


def _sigmoid(x: Array) -> Iterator[Array]:
    e = np.exp(_below(x))
    yield either(x, _smaller(e))
    yield e / _squared(e)


def _tanh(x: Array) -> Iterator[Array]:
    t = distance(x, TANH_FAR)
    e = np.exp(MINUS_TWO * t)
    value = ONE - TWO * _smaller(e)
    near = np.flatnonzero(t.real < TANH_EDGE)
    t = t[near]
    value[near] = t + t * polynomial(t * t, TANH)
    yield value * np.copysign(ONE, x.real)
    yield FOUR * e / _squared(e)


def _softplus(x: Array) -> Iterator[Array]:
    e = np.exp(_below(x))
    yield ramp(x) + _log_1_plus(e)
    yield either(x, _smaller(e))


def _silu(x: Array) -> Iterator[Array]:
    t = distance(x, SILU_FAR)
    head, last = exponential(-t)
    yield _gated(x, t, head, last)
    d = (SILU_ROOT[0] - t) + SILU_ROOT[1]
    balance = SILU_EXP * np.expm1(d) + d
    yield _gated_slope(x, head, last, balance)


def _gelu_tanh(x: Array) -> Iterator[Array]:
    t = distance(x, GELU_FAR)
    exponent, rest = _split(t)
    head, last = exponential(exponent)
    head = head + head * np.expm1(rest)
    yield _gated(x, t, head, last)
    d = (GELU_ROOT[0] - t) + GELU_ROOT[1]
    curved = CUBIC * (t * (t + GELU_ROOT[0]) + GELU_SQUARE)
    balance = GELU_EXP * np.expm1(d * (LINEAR + curved)) + d * (LINEAR + THREE * curved)
    yield _gated_slope(x, head, last, balance)


def _gated(x: Array, t: Array, head: Array, last: Array) -> Array:
    """Return x σ(w(x)), where exp(-w(t)) = head last, and last is 1 or head is tiny."""
    gated: Array = ramp(x) - t * _smaller(head) * last
    return gated


def _gated_slope(x: Array, head: Array, last: Array, balance: Array) -> Array:
    """Return the slope of x σ(w(x)), where the balance is 1 + e - t w'(t)."""
    return either(x, head * balance / _squared(head) * last)


def _split(t: Array) -> tuple[Array, Array]:
    """Return (exponent, rest): -w(t) = exponent + rest, the exponent exact, the rest below 0.2."""
    rounded = (t.real + TO_9_PLACES) - TO_9_PLACES
    square = rounded * rounded
    cube = square * rounded
    rest = (rounded - t) * (LINEAR + CUBIC * (t * (t + rounded) + square))
    rest = rest - (LINEAR_PARTS[1] * rounded + CUBIC_PARTS[1] * cube)
    return -(LINEAR_PARTS[0] * rounded + CUBIC_PARTS[0] * cube), rest


def _below(x: Array) -> Array:
    """Return -|x|; of a complex x, ±x with a negative real part."""
    if x.dtype.kind == "c":
        return np.where(np.signbit(x.real), x, -x)
    below: Array = -np.abs(x)
    return below


def _smaller(e: Array) -> Array:
    """Return e / (1 + e) so that the error of a rounded 1 + e counts only times e."""
    smaller: Array = e - e * (e / (ONE + e))
    return smaller


def _squared(e: Array) -> Array:
    """Return (1 + e)², with a smaller error than the square of a rounded 1 + e."""
    squared: Array = ONE + e * (TWO + e)
    return squared


def _log_1_plus(e: Array) -> Array:
    """Return ln(1 + e); NumPy's own log1p of a complex e loses the digits of a small one."""
    if e.dtype.kind != "c":
        return np.log1p(e)
    square = e.real * (TWO + e.real) + e.imag * e.imag  # |1 + e|² - 1
    logarithm: Array = HALF * np.log1p(square) + 1j * np.arctan2(e.imag, ONE + e.real)
    return logarithm
