r"""The normal distribution, GELU and erf, accurate far into the tails.

GELU is x Φ(x), and its slope is Φ(x) + x φ(x).  Far to the left both are tiny, and 1 + erf, the
textbook way to Φ, has rounded to 0 long before.  So everything here starts from the tail: for
t = |x|,

    Q(t) = Φ(-t) = exp(-t²/2) R(t),      φ(t) = exp(-t²/2) / √(2π).

**The ratio R** is smooth and falls slowly, from 1/2 at 0 to 1 / (t √(2π)) far out.  Hence
(1 + t) R(t) stays between 0.39 and 0.53, and in u = (t - m) / (t + m), which maps t ≥ 0 to
-1 ≤ u < 1, one polynomial gives it for all t.

**The exponential** would turn an error of one ulp in t²/2 = 700 into hundreds.  Let T be t
rounded to 20 binary places.  Then T² is exact, and

    exp(-t²/2) = exp(-T²/2) (1 + expm1((T - t) (T + t) / 2)).

**Two places cancel**, and a polynomial of their own takes over there: 1 - 2 Q(√2 x) = erf(x) for
|x| < 1, and the slope Q(t) - t φ(t) of GELU at x = -t around its zero, t = 0.7517915...

**float32** is computed in float64, where it needs few digits: half the degree, and no splitting.

The constants come from Chebyshev interpolation in 60 digits, `tests/oracle/fit_gaussian.py`.
Sources: W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23
(1969), for the split of the square; M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation
of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞", Math. Comp. 36 (1981), for the variable u.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import numpy as np

from ..array import Array
from .kernels import Kernel, constants, decay, either, polynomial, ramp

__all__ = ["erf", "gelu", "normal_cdf", "normal_pdf"]

FAR = 39.0  # from t = 38.6 on, Q and φ are 0 in double precision
MIDDLE = 5.5  # m
EDGE = 1.0  # where the piece of erf around 0 ends
REACH = 0.25  # of the piece around the zero of GELU's slope
TO_20_PLACES = 1.5 * 2**32  # added and taken away again, it rounds to 20 binary places
ROOT_2, TWO_OVER_ROOT_PI = 1.4142135623730951, 1.1283791670955126

# PEAK is φ(0); ROOT is the zero of Q(t) - t φ(t), a double and what it leaves out.
# Polynomials, the highest power first:
#   TAIL and for float32 SINGLE_TAIL: (1 + t) R(t) in u;  CENTER: erf(x) / x - 1 in x²;
#   SLOPE: (Q(t) - t φ(t)) / (t - ROOT) in t - ROOT.
PEAK = 0.3989422804014327
ROOT = (0.7517915246935645, -1.4956759177009883e-17)
TAIL = constants(
    -1.1554336766981895e-09, -4.1077760395592395e-09, 6.1126146290250285e-09, 3.485396198387217e-08,
    -4.268097555572283e-08, -2.153447164532296e-07, 4.4827072714366284e-07, 1.0599735290378628e-06,
    -4.693547418897976e-06, -4.850201721187797e-07, 3.88585958569742e-05, -9.055953300042241e-05,
    -8.147078571875421e-05, 0.0011587134513102938, -0.004252400932548748, 0.010221481363315651,
    -0.018229966318938872, 0.02430507846625988, -0.021413634567725992, 0.002215025124791275,
    0.03618652602924562, -0.08833898904448793, 0.45722751116333127,
)  # fmt: skip
SINGLE_TAIL = constants(
    -0.00015444248338850684, -0.00010474527876222438, 0.001180942640000128, -0.00423428675606644,
    0.01022101725069376, -0.018233431623119054, 0.024304573444173572, -0.021413392521698722,
    0.0022150749847785517, 0.03618652085364953, -0.08833899011022527, 0.45722751117644744,
)  # fmt: skip
CENTER = constants(
    5.957176147748911e-11, -1.1372848856791674e-09, 1.4659775274047436e-08, -1.6350312701054695e-07,
    1.6461000484121368e-06, -1.4925595266831182e-05, 0.0001205533111164271, -0.000854832698083379,
    0.0052239776248180145, -0.026866170645076792, 0.11283791670954879, -0.3761263890318375,
    0.1283791670955126,
)  # fmt: skip
SLOPE = constants(
    4.3245394812467823e-07, 7.624737760330687e-06, -1.1214345457569661e-05, -8.614887475855903e-05,
    0.00018633974472956073, 0.0007448263873892628, -0.0022395380680403495, -0.00453922836926059,
    0.01942167983818872, 0.014771522148141621, -0.1140082332972217, 0.01819967639867149,
    0.388284982990552, -0.4314939923140469,
)  # fmt: skip

#: (factor, t) -> (head, last): exp(-factor t²) = head last, where last is 1 unless it is subnormal.
Bell: TypeAlias = Callable[[float, Array], tuple[Array, Array]]


def bell(factor: float, t: Array) -> tuple[Array, Array]:
    """exp(-factor t²), for a factor of 1/2 or 1."""
    short = (t + TO_20_PLACES) - TO_20_PLACES
    head, last = decay(factor * (short * short))
    return head + head * np.expm1(factor * ((short - t) * (short + t))), last


def single_bell(factor: float, t: Array) -> tuple[Array, Array]:
    """The same for float32, where all is 0 before this loses digits that matter."""
    return np.exp(-factor * (t * t)), np.array(1.0)


def ratio(t: Array, tail: tuple[Array, ...]) -> Array:
    """R(t)."""
    result: Array = polynomial((t - MIDDLE) / (t + MIDDLE), tail) / (1.0 + t)
    return result


def _normal_cdf(x: Array, bell: Bell, tail: tuple[Array, ...]) -> Iterator[Array]:
    t = np.minimum(np.abs(x), FAR)
    head, last = bell(0.5, t)
    yield either(x, ratio(t, tail) * head * last)
    yield PEAK * head * last


def _normal_pdf(x: Array, bell: Bell, tail: tuple[Array, ...]) -> Iterator[Array]:
    t = np.minimum(np.abs(x), FAR)
    head, last = bell(0.5, t)
    yield PEAK * head * last
    yield np.copysign(t, -x) * PEAK * head * last


def _gelu(x: Array, bell: Bell, tail: tuple[Array, ...]) -> Iterator[Array]:
    t = np.minimum(np.abs(x), FAR)
    head, last = bell(0.5, t)
    r = ratio(t, tail)
    yield ramp(x) - t * r * head * last  # x Φ(x) = max(x, 0) - t Q(t)
    slope = (r - PEAK * t) * head * last  # Q(t) - t φ(t)
    near = np.flatnonzero(np.abs(t - ROOT[0]) < REACH)
    d = (t[near] - ROOT[0]) - ROOT[1]
    slope[near] = d * polynomial(d, SLOPE)
    yield either(x, slope)


def _erf(x: Array, bell: Bell, tail: tuple[Array, ...]) -> Iterator[Array]:
    t = np.minimum(np.abs(x), FAR)
    head, last = bell(1.0, t)
    value = 1.0 - 2.0 * head * ratio(ROOT_2 * t, tail)
    near = np.flatnonzero(t < EDGE)
    t = t[near]
    value[near] = t + t * polynomial(t * t, CENTER)
    yield np.copysign(value, x)
    yield TWO_OVER_ROOT_PI * head * last


def _kernel(steps: Callable[..., Iterator[Array]]) -> Kernel:
    return Kernel(
        partial(steps, bell=bell, tail=TAIL),
        single=partial(steps, bell=single_bell, tail=SINGLE_TAIL),
    )


#: Φ within 4 ulp; its slope φ within 3.
normal_cdf = _kernel(_normal_cdf)
#: φ within 3 ulp; its slope -x φ(x) within 4.
normal_pdf = _kernel(_normal_pdf)
#: x Φ(x) within 4 ulp; its slope within 8, next to its zero and in the tails too.
gelu = _kernel(_gelu)
#: erf within 2 ulp; its slope within 4.
erf = _kernel(_erf)
