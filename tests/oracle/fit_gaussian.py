"""Derive every constant of ``numixology/numerics/gaussian.py`` that is not a round number.

Three functions are interpolated at Chebyshev nodes in 60-digit arithmetic:

- ``TAIL``: (1 + t) R(t) in u = (t - MIDDLE) / (t + MIDDLE) for t in [0, FAR], where
  R(t) = exp(t²/2) Q(t) is the tail of the normal distribution without its exponential; and
  ``SINGLE_TAIL``, the same for t in [0, SINGLE_FAR] in the digits of float32;
- ``CENTER``: erf(x) / x - 1 in x² for |x| in [0, EDGE];
- ``SLOPE``: (Q(t) - t phi(t)) / (t - ROOT) in t - ROOT for |t - ROOT| <= REACH, where ROOT is
  the zero of the numerator.

Each result is rounded to double once, at the end; a constant that is needed beyond double is a
pair, the double and what it leaves. Run the script to print the literals; run it with ``--check``
to compare them with those in the module (exit status 1 if any differs).
"""

import sys
from pathlib import Path

import mpmath as mp
from literals import interpolate, literal, pair, run

DIGITS = 60
MIDDLE = 5.5  # of all n/128 that need no higher degree, one with TAIL_0 close to a double
FAR = 39.0  # from t = 38.6 on, Q(t) is 0 in double precision
SINGLE_FAR = 15.0  # and from t = 14.2 on in single precision
EDGE = 1.0
REACH = 0.25
TAIL_DEGREE = 22
SINGLE_DEGREE = 11  # off by 3e-10
CENTER_DEGREE = 12
SLOPE_DEGREE = 13  # odd, so that no node is 0, where the quotient is 0 / 0

MODULE = Path(__file__).resolve().parents[2] / "numixology" / "numerics" / "gaussian.py"


def tail(t: mp.mpf) -> mp.mpf:
    """Q(t), the probability of a standard normal number above t."""
    return mp.erfc(t / mp.sqrt(2)) / 2


def u(t: float) -> mp.mpf:
    """The variable of the tail's polynomials."""
    return (t - mp.mpf(MIDDLE)) / (t + mp.mpf(MIDDLE))


def scaled_tail(u: mp.mpf) -> mp.mpf:
    """(1 + t) R(t) at t = MIDDLE (1 + u) / (1 - u)."""
    t = MIDDLE * (1 + u) / (1 - u)
    return (1 + t) * mp.exp(t * t / 2) * tail(t)


def center(square: mp.mpf) -> mp.mpf:
    """erf(x) / x - 1 at x = sqrt(square)."""
    x = mp.sqrt(square)
    return mp.erf(x) / x - 1


def slope(t: mp.mpf) -> mp.mpf:
    """Q(t) - t phi(t), the slope of x Phi(x) at x = -t."""
    return tail(t) - t * mp.npdf(t)


def fit() -> dict[str, list[float]]:
    """The constants by the names they have in the module."""
    root = mp.findroot(slope, (mp.mpf("0.75"), mp.mpf("0.76")), solver="anderson")
    polynomials = {
        "TAIL": interpolate(scaled_tail, mp.mpf(-1), u(FAR), TAIL_DEGREE),
        "SINGLE_TAIL": interpolate(scaled_tail, mp.mpf(-1), u(SINGLE_FAR), SINGLE_DEGREE),
        "CENTER": interpolate(center, mp.mpf(0), mp.mpf(EDGE) ** 2, CENTER_DEGREE),
        "SLOPE": interpolate(
            lambda d: slope(root + d) / d, -mp.mpf(REACH), mp.mpf(REACH), SLOPE_DEGREE
        ),
    }
    constants = {name: [float(c) for c in poly] for name, poly in polynomials.items()}
    return {"PEAK": [float(mp.npdf(0))], "ROOT": pair(root), **constants}


def literals() -> dict[str, str]:
    """Every assignment of the module, by name."""
    with mp.workdps(DIGITS):
        return {name: literal(name, values) for name, values in fit().items()}


if __name__ == "__main__":
    sys.exit(run("Fit the constants of gaussian.py.", MODULE, literals))
