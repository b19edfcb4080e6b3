"""How a function is to be differenced: which steps can be believed here, and where it has kinks.

Complex steps are exact to rounding, but only where every operation keeps the derivative of a
complex number, which ``np.abs`` and ``np.var`` do not. So along a random line per input they are
compared with real differences, which lose nothing and see less. Where real steps cannot tell, the
two are compared nearby, at ever shorter distances from the inputs.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..array import Array
from .differences import Subject, complex_slope, distances, real_slopes, unit

__all__ = ["TOLERANCES", "Plan", "keeps_nearby", "planned", "without"]

#: Limits on the error relative to the gradient's largest entry, by method and precision; that of
#: complex steps in float64 is computed, and at most this.
TOLERANCES = {
    ("complex", "float64"): 1e-6,
    ("complex", "float32"): 1e-4,
    ("central", "float64"): 1e-6,
    ("central", "float32"): 2e-2,
}
_DROPS = "drops the imaginary part, such as abs, var or norm"
#: How closely a complex step agrees with a real difference that claims to be exact.
_KEEPS = {"float64": 1e-10, "float32": 2e-2}


class Plan(NamedTuple):
    """How the function is to be differenced, why so, and where it has kinks."""

    method: str
    why: str
    kinks: list[dict[int, tuple[float, float]]]  # per input: coordinate -> slopes below and above
    blurred: bool = False  # whether a real difference did not settle


def planned(subject: Subject, method: str, fast: bool) -> Plan:
    """Look for kinks, and for what breaks complex steps, along one random line per input.

    The fast mode tries one line through all inputs first.
    """
    kinks: list[dict[int, tuple[float, float]]] = [{} for _ in subject.points]
    smooth = fast and method != "central" and _is_analytic(subject)
    lines = [] if smooth else _lines(subject, method, kinks)
    blurred = any(math.isinf(doubt) for _, (_, _, doubt) in lines)
    if method != "auto":
        return Plan(method, "it was asked for", kinks, blurred)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept = {i: _is_kept(subject, i, *along, kinks) for i, along in lines}
    except Exception as error:  # whatever fn raises on complex numbers
        return Plan("central", f"complex steps raised {type(error).__name__}", kinks)
    for i in (i for i, keeps in kept.items() if not keeps):
        why = f"{subject.name(i)} passes through an operation that {_DROPS}"
        if not math.isfinite(dict(lines)[i][1]):
            why = f"fn is not finite around {subject.name(i)}"
        return Plan("central", why, kinks)
    told = all(_is_settled(subject, *real) for _, (_, *real) in lines)
    if not told and not _keeps_around(subject):
        return Plan("central", f"nearby, fn passes through an operation that {_DROPS}", kinks)
    why = "fn runs on complex numbers and keeps their derivative"
    return Plan("complex", why, kinks, blurred)


def _lines(
    subject: Subject, method: str, kinks: list[dict[int, tuple[float, float]]]
) -> list[tuple[int, tuple[list[Array | None], float, float]]]:
    """A line per input with the real slope along it and its doubt; kinks are noted and left out."""
    found: list[tuple[int, tuple[list[Array | None], float, float]]] = []
    for i in range(len(subject.points)):
        line: list[Array | None] = [None] * len(subject.points)
        line[i] = subject.relative(i)
        try:
            real = real_slopes(subject, line)
            if real.kink:
                kinks[i] = _kinks_of(subject, i)
                line[i] = without(kinks[i], line[i])
                real = real_slopes(subject, line)
        except Exception:  # whatever fn raises nearby
            if method != "complex":
                raise
            continue
        found.append((i, (line, real.central, real.doubt)))
    return found


def _is_analytic(subject: Subject) -> bool:
    """Whether a line through all inputs shows no kink and keeps the derivative."""
    line = [subject.relative(i) * weight for i, weight in enumerate(subject.weights)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            real = real_slopes(subject, line)
            settled = not real.kink and _is_settled(subject, real.central, real.doubt)
            return settled and _keeps_derivative(subject, line, real.central, real.doubt)
    except Exception:  # whatever fn raises nearby, or on complex numbers
        return False


def _is_kept(
    subject: Subject,
    which: int,
    line: list[Array | None],
    real: float,
    doubt: float,
    kinks: list[dict[int, tuple[float, float]]],
) -> bool:
    """Whether complex steps in an input keep the derivative.

    Where they nearly do, a kink too small for the line may be what sets them apart. Those are
    noted and left out.
    """
    if _keeps_derivative(subject, line, real, doubt):
        return True
    if not _keeps_derivative(subject, line, real, doubt, TOLERANCES["central", subject.precision]):
        return False
    kinks[which] = _kinks_of(subject, which)
    line[which] = without(kinks[which], line[which])
    again = real_slopes(subject, line)
    return _keeps_derivative(subject, line, again.central, again.doubt)


def _is_settled(subject: Subject, real: float, doubt: float) -> bool:
    """Whether a real difference can tell if complex steps keep the derivative."""
    return doubt <= TOLERANCES["central", subject.precision] * abs(real)


def _keeps_derivative(
    subject: Subject,
    line: Sequence[Array | None],
    real: float,
    doubt: float,
    closely: float | None = None,
) -> bool:
    """Whether a complex step along a line agrees with real differences.

    As closely as those can tell: a small term whose imaginary part is lost is lost all the same.
    """
    slope, _ = complex_slope(subject, line)
    limit = (closely or _KEEPS[subject.precision]) * max(abs(slope), abs(real))
    return abs(slope - real) <= limit + 10 * doubt


def keeps_nearby(subject: Subject) -> bool:
    """Whether complex steps keep the derivative nearby, of all inputs of which they seem not to."""
    near = subject.a_step_away()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for here, there in zip(*(_all_lines(one) for one in (subject, near)), strict=True):
                if not _keeps_derivative(near, *there):
                    return False
                if not _is_settled(near, *there[1:]) and not _keeps_derivative(subject, *here):
                    return False
    except Exception:  # whatever fn raises there, or on complex numbers
        return False
    return _keeps_around(subject)


def _keeps_around(subject: Subject) -> bool:
    """Whether complex steps keep the derivative wherever real ones can see that, ever closer.

    What loses it may be small, such as a narrow bump with ``np.abs`` in it, and nothing of it is
    left further away. So steps are as short as the distance.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return all(_keeps_at(subject, part) for part in distances(subject))
    except Exception:  # whatever fn raises there, or on complex numbers
        return False


def _keeps_at(subject: Subject, part: float) -> bool:
    """Whether complex steps keep the derivative where all inputs are moved by this part."""
    near, closely = subject.a_step_away(part), TOLERANCES["central", subject.precision]
    for i in range(len(near.points)):
        line: list[Array | None] = [None] * len(near.points)
        line[i] = near.relative(i)
        real = real_slopes(near, line, part / 4)
        if not real.kink and not _keeps_derivative(near, line, real.central, real.doubt, closely):
            return False
    return True


def _all_lines(subject: Subject) -> list[tuple[list[Array | None], float, float]]:
    return [along for _, along in _lines(subject, "central", [{} for _ in subject.points])]


def _kinks_of(subject: Subject, which: int) -> dict[int, tuple[float, float]]:
    """Every coordinate of an input along which the function has a kink."""
    found = {}
    for j in range(subject.points[which].size):
        slopes = real_slopes(subject, unit(subject, which, j))
        if slopes.kink:
            found[j] = slopes.left, slopes.right
    return found


def without(kinks: dict[int, tuple[float, float]], direction: Any) -> Array:
    """A direction that moves no coordinate at a kink."""
    smooth = np.array(direction)
    smooth.flat[list(kinks)] = 0
    return smooth
