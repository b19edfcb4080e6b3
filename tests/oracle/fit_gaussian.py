"""Derive every constant of ``numixology/functional/_gaussian.py`` that is not a round number.

Three functions are interpolated at Chebyshev nodes in 60-digit arithmetic:

- ``TAIL``: (1 + t) R(t) in u = (t - MIDDLE) / (t + MIDDLE) for t in [0, FAR], where
  R(t) = exp(t²/2) Q(t) is the tail of the normal distribution without its exponential;
- ``CENTRE``: erf(x) / x - 1 in x² for |x| in [0, EDGE];
- ``SLOPE``: (Q(t) - t phi(t)) / (t - ROOT) in t - ROOT for |t - ROOT| <= REACH, where ROOT is
  the zero of the numerator.

Each result is rounded to double once, at the end; a constant that is needed beyond double is a
pair, the double and what it leaves. Run the script to print the literals; run it with ``--check``
to compare them with those in the module (exit status 1 if any differs).
"""

import sys
from pathlib import Path

import mpmath as mp
from literals import interpolate, run

DIGITS = 60
MIDDLE = 5.5  # of all n/128 that need no higher degree, one with TAIL_0 close to a double
FAR = 39.0  # from t = 38.6 on, Q(t) is 0 in double precision
EDGE = 1.0
REACH = 0.1875
TAIL_DEGREE = 22
CENTRE_DEGREE = 12
SLOPE_DEGREE = 11  # odd, so that no node is 0, where the quotient is 0 / 0

MODULE = Path(__file__).resolve().parents[2] / "numixology" / "functional" / "_gaussian.py"


def tail(t: mp.mpf) -> mp.mpf:
    """Q(t), the probability of a standard normal number above t."""
    return mp.erfc(t / mp.sqrt(2)) / 2


def scaled_tail(u: mp.mpf) -> mp.mpf:
    """(1 + t) R(t) at t = MIDDLE (1 + u) / (1 - u)."""
    t = MIDDLE * (1 + u) / (1 - u)
    return (1 + t) * mp.exp(t * t / 2) * tail(t)


def centre(square: mp.mpf) -> mp.mpf:
    """erf(x) / x - 1 at x = sqrt(square)."""
    x = mp.sqrt(square)
    return mp.erf(x) / x - 1


def slope(t: mp.mpf) -> mp.mpf:
    """Q(t) - t phi(t), the slope of x Phi(x) at x = -t."""
    return tail(t) - t * mp.npdf(t)


def pair(value: mp.mpf) -> list[float]:
    """The double nearest to value, and the double nearest to what is left."""
    high = float(value)
    return [high, float(value - mp.mpf(high))]


def fit() -> dict[str, list[float]]:
    """The constants by the names they have in the module."""
    root = mp.findroot(slope, (mp.mpf("0.75"), mp.mpf("0.76")), solver="anderson")
    u_far = (FAR - mp.mpf(MIDDLE)) / (FAR + mp.mpf(MIDDLE))
    polynomials = {
        "TAIL": interpolate(scaled_tail, mp.mpf(-1), u_far, TAIL_DEGREE),
        "CENTRE": interpolate(centre, mp.mpf(0), mp.mpf(EDGE) ** 2, CENTRE_DEGREE),
        "SLOPE": interpolate(
            lambda d: slope(root + d) / d, -mp.mpf(REACH), mp.mpf(REACH), SLOPE_DEGREE
        ),
    }
    constants = {"PEAK": pair(mp.npdf(0)), "ROOT": pair(root)}
    for name, coefficients in polynomials.items():
        *rest, constant = [float(c) for c in coefficients]
        constants[name] = rest
        constants[f"{name}_0"] = [constant]
    return constants


def literal(name: str, values: list[float]) -> str:
    """The assignment as the module has it."""
    if len(values) == 1:
        return f"{name} = np.array({values[0]!r})\n"
    lines = "".join(f"    {value!r},\n" for value in values)
    return f"{name} = constants(\n{lines})\n"


def literals() -> dict[str, str]:
    """Every assignment of the module, by name."""
    with mp.workdps(DIGITS):
        return {name: literal(name, values) for name, values in fit().items()}


if __name__ == "__main__":
    sys.exit(run("Fit the constants of _gaussian.py.", MODULE, literals))
