r"""The logistic function and its kin, accurate far into the tails.

Everything is made of one exponential that cannot overflow: for t = |x| and e = exp(-t),

    σ(-t) = e / (1 + e),      σ(t) = 1 - σ(-t),
    σ'(x) = e / (1 + e)²,      softplus(x) = max(x, 0) + ln(1 + e).

The slope of tanh x is 4 σ'(2x).  No 1 - σ(t) and no 1 - tanh² is taken where it is small, for these
round to 0 where the truth is far from it.

**SiLU and tanh-GELU** are x σ(w(x)) with an odd, increasing w: w(x) = x for SiLU, and
w(x) = a x + b x³ with a = 2√(2/π), b = 0.044715 a for tanh-GELU, as ½ (1 + tanh u) = σ(2u).
With e = exp(-w(t)), to the left, at x = -t,

    y = -t e / (1 + e),      y' = e / (1 + e)² · (1 + e - t w'(t));

and to the right y(t) = t + y(-t), y'(t) = 1 - y'(-t).  Two things need care.

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

The constants come from 60 digits, `tests/oracle/fit_logistic.py`.  Source: W. J. Cody,
"Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), for the split of
an exponent.
"""

from collections.abc import Iterator

import numpy as np

from ..array import Array
from .kernels import Kernel, decay, either, ramp

__all__ = ["gelu_tanh", "sigmoid", "silu", "softplus", "tanh"]

SILU_FAR = 800.0  # from t = 752 on, SiLU and its slope are 0 to the left
GELU_FAR = 22.0  # and from t = 21.5 on, those of tanh-GELU
TO_9_PLACES = 1.5 * 2**43  # added and taken away again, it rounds to 9 binary places

# r, the zero of the slope: a double and what it leaves out; exp(-w(r)), moved by a unit or two in
# the last place, so that the slope at 0 is 1/2 exactly; and r².
SILU_ROOT = (1.2784645427610737, 1.0946994183093437e-16)
SILU_EXP = 0.2784645427610739
GELU_ROOT = (0.7524614220710163, -3.635560509207687e-17)
GELU_EXP = 0.2919552119147671
GELU_SQUARE = 0.5661981917051361
# a and b, and the pairs (A, a - A) and (B, b - B).
LINEAR = 1.5957691216057308
CUBIC = 0.07135481627260025
LINEAR_PARTS = (1.5957691216026433, 3.0874305383944692e-12)
CUBIC_PARTS = (0.07135009765625, 4.718616350248776e-06)


def smaller(e: Array) -> Array:
    """e / (1 + e), written so that the error of a rounded 1 + e counts only times e."""
    result: Array = e - e * (e / (1.0 + e))
    return result


def _sigmoid(x: Array) -> Iterator[Array]:
    e = np.exp(-np.abs(x))
    yield either(x, smaller(e))
    yield e / (1.0 + e * (2.0 + e))  # (1 + e)² with less rounding


def _tanh(x: Array) -> Iterator[Array]:
    yield np.tanh(x)
    e = np.exp(-2.0 * np.abs(x))
    yield 4.0 * e / (1.0 + e * (2.0 + e))


def _softplus(x: Array) -> Iterator[Array]:
    e = np.exp(-np.abs(x))
    yield np.maximum(x, 0.0) + np.log1p(e)
    yield either(x, smaller(e))


def _silu(x: Array) -> Iterator[Array]:
    t = np.minimum(np.abs(x), SILU_FAR)
    e, last = decay(t)
    yield ramp(x) - t * e / (1.0 + e) * last
    d = (SILU_ROOT[0] - t) + SILU_ROOT[1]
    balance = SILU_EXP * np.expm1(d) + d
    yield either(x, e * balance / (1.0 + e) ** 2 * last)


def _gelu_tanh(x: Array) -> Iterator[Array]:
    t = np.minimum(np.abs(x), GELU_FAR)
    exponent, rest = split(t)
    e, last = decay(exponent)
    e = e + e * np.expm1(-rest)
    yield ramp(x) - t * e / (1.0 + e) * last
    d = (GELU_ROOT[0] - t) + GELU_ROOT[1]
    curved = CUBIC * (t * (t + GELU_ROOT[0]) + GELU_SQUARE)
    balance = GELU_EXP * np.expm1(d * (LINEAR + curved)) + d * (LINEAR + 3.0 * curved)
    yield either(x, e * balance / (1.0 + e) ** 2 * last)


def split(t: Array) -> tuple[Array, Array]:
    """(exponent, rest): w(t) = exponent + rest, the exponent exact, the rest below 0.2."""
    short = (t + TO_9_PLACES) - TO_9_PLACES
    square = short * short
    cube = square * short
    rest = LINEAR_PARTS[1] * short + CUBIC_PARTS[1] * cube
    rest += (t - short) * (LINEAR + CUBIC * (t * (t + short) + square))
    return LINEAR_PARTS[0] * short + CUBIC_PARTS[0] * cube, rest


#: σ within 2 ulp; its slope within 4.
sigmoid = Kernel(_sigmoid)
#: tanh, NumPy's own, and its slope within 4 ulp.
tanh = Kernel(_tanh)
#: ln(1 + eˣ) and its slope σ, both within 2 ulp.
softplus = Kernel(_softplus)
#: x σ(x) within 4 ulp; its slope within 8, next to its zero and in the tails too.
silu = Kernel(_silu)
#: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), as accurate.
gelu_tanh = Kernel(_gelu_tanh)
