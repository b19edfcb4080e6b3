"""Derive every constant of ``numixology/numerics/logistic.py`` that is not a round number.

Each is a real number, evaluated with 60 digits and rounded to double once, at the end. One that is
needed beyond double is a pair, the double and what it leaves.

- ``LINEAR`` and ``CUBIC``: a = 2 √(2/π) and b = 0.044715 a, of w(t) = a t + b t³; and the pairs
  ``LINEAR_PARTS`` and ``CUBIC_PARTS``, whose first parts have so few binary places that they
  times t and t³ are exact for t < 22 of 9 binary places;
- ``SILU_ROOT`` and ``GELU_ROOT``: the zeros of 1 + exp(-w(t)) - t w'(t), with w(t) = t for SiLU;
- ``SILU_EXP`` and ``GELU_EXP``: exp(-w(t)) there; ``GELU_SQUARE``: the root's square.

The two exponentials are moved by a few units in the last place, which the slopes hardly feel: then
the slope at 0 comes out as 1/2 exactly, also where expm1 is off by one unit.

Run the script to print the literals; run it with ``--check`` to compare them with those in the
module (exit status 1 if any differs).
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath as mp
from literals import literal, pair, run

DIGITS = 60
LINEAR_PLACES = 34  # binary places of the first part of a: with the 9 of t they make 43
CUBIC_PLACES = 16  # and of b: with the 27 of t³ the same, and w(22) < 2¹⁰ fills the other 10 bits

MODULE = Path(__file__).resolve().parents[2] / "numixology" / "numerics" / "logistic.py"


def moved(value: mp.mpf, units: int) -> list[float]:
    """The double nearest to value, moved by so many units in its last place."""
    nearest = float(value)
    return [nearest + units * math.ulp(nearest)]


def root(w: Callable[[mp.mpf], mp.mpf], dw: Callable[[mp.mpf], mp.mpf]) -> mp.mpf:
    """The zero of 1 + exp(-w(t)) - t w'(t), which falls for all t > 0."""
    return mp.findroot(
        lambda t: 1 + mp.exp(-w(t)) - t * dw(t),
        (mp.mpf("0.5"), mp.mpf("1.5")),
        solver="anderson",
    )


def constants() -> dict[str, list[float]]:
    """The constants by the names they have in the module."""
    a = 2 * mp.sqrt(2 / mp.pi)
    b = mp.mpf("0.044715") * a
    silu = root(lambda t: t, lambda t: mp.mpf(1))
    gelu = root(lambda t: a * t + b * t**3, lambda t: a + 3 * b * t**2)
    return {
        "SILU_ROOT": pair(silu),
        "SILU_EXP": moved(mp.exp(-silu), 2),
        "LINEAR": [float(a)],
        "CUBIC": [float(b)],
        "LINEAR_PARTS": pair(a, LINEAR_PLACES),
        "CUBIC_PARTS": pair(b, CUBIC_PLACES),
        "GELU_ROOT": pair(gelu),
        "GELU_SQUARE": [float(gelu**2)],
        "GELU_EXP": moved(mp.exp(-a * gelu - b * gelu**3), -1),
    }


def literals() -> dict[str, str]:
    """Every assignment of the module, by name."""
    with mp.workdps(DIGITS):
        return {name: literal(name, values) for name, values in constants().items()}


if __name__ == "__main__":
    sys.exit(run("Derive the constants of logistic.py.", MODULE, literals))
