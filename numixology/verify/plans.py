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
from .differences import Problem, complex_slope, distances, real_slopes, unit

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


def planned(problem: Problem, method: str, fast: bool) -> Plan:
    """Look for kinks, and for what breaks complex steps, along one random line per input.

    The fast mode tries one line through all inputs first.
    """
    kinks: list[dict[int, tuple[float, float]]] = [{} for _ in problem.points]
    smooth = fast and method != "central" and _is_analytic(problem)
    lines = [] if smooth else _lines(problem, method, kinks)
    blurred = any(math.isinf(estimate) for _, (_, _, estimate) in lines)
    if method != "auto":
        return Plan(method, "it was asked for", kinks, blurred)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept = {i: _is_kept(problem, i, *along, kinks) for i, along in lines}
    except Exception as error:  # whatever fn raises on complex numbers
        return Plan("central", f"complex steps raised {type(error).__name__}", kinks)
    for i in (i for i, keeps in kept.items() if not keeps):
        why = f"{problem.name(i)} passes through an operation that {_DROPS}"
        if not math.isfinite(dict(lines)[i][1]):
            why = f"fn is not finite around {problem.name(i)}"
        return Plan("central", why, kinks)
    told = all(_is_settled(problem, *real) for _, (_, *real) in lines)
    if not told and not _keeps_around(problem):
        return Plan("central", f"nearby, fn passes through an operation that {_DROPS}", kinks)
    why = "fn runs on complex numbers and keeps their derivative"
    return Plan("complex", why, kinks, blurred)


def _lines(
    problem: Problem, method: str, kinks: list[dict[int, tuple[float, float]]]
) -> list[tuple[int, tuple[list[Array | None], float, float]]]:
    """A line per input, its real slope and error estimate; kinks are noted and left out."""
    found: list[tuple[int, tuple[list[Array | None], float, float]]] = []
    for i in range(len(problem.points)):
        line: list[Array | None] = [None] * len(problem.points)
        line[i] = problem.relative(i)
        try:
            real = real_slopes(problem, line)
            if real.kink:
                kinks[i] = _kinks_of(problem, i)
                line[i] = without(kinks[i], line[i])
                real = real_slopes(problem, line)
        except Exception:  # whatever fn raises nearby
            if method != "complex":
                raise
            continue
        found.append((i, (line, real.central, real.error_estimate)))
    return found


def _is_analytic(problem: Problem) -> bool:
    """Whether a line through all inputs shows no kink and keeps the derivative."""
    line = [problem.relative(i) * weight for i, weight in enumerate(problem.weights)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            real = real_slopes(problem, line)
            settled = not real.kink and _is_settled(problem, real.central, real.error_estimate)
            return settled and _keeps_derivative(problem, line, real.central, real.error_estimate)
    except Exception:  # whatever fn raises nearby, or on complex numbers
        return False


def _is_kept(
    problem: Problem,
    which: int,
    line: list[Array | None],
    real: float,
    estimate: float,
    kinks: list[dict[int, tuple[float, float]]],
) -> bool:
    """Whether complex steps in an input keep the derivative.

    Where they nearly do, a kink too small for the line may be what sets them apart. Those are
    noted and left out.
    """
    if _keeps_derivative(problem, line, real, estimate):
        return True
    if not _keeps_derivative(
        problem, line, real, estimate, TOLERANCES["central", problem.precision]
    ):
        return False
    kinks[which] = _kinks_of(problem, which)
    line[which] = without(kinks[which], line[which])
    again = real_slopes(problem, line)
    return _keeps_derivative(problem, line, again.central, again.error_estimate)


def _is_settled(problem: Problem, real: float, estimate: float) -> bool:
    """Whether a real difference can tell if complex steps keep the derivative."""
    return estimate <= TOLERANCES["central", problem.precision] * abs(real)


def _keeps_derivative(
    problem: Problem,
    line: Sequence[Array | None],
    real: float,
    estimate: float,
    closely: float | None = None,
) -> bool:
    """Whether a complex step along a line agrees with real differences.

    As closely as those can tell: a small term whose imaginary part is lost is lost all the same.
    """
    slope, _ = complex_slope(problem, line)
    limit = (closely or _KEEPS[problem.precision]) * max(abs(slope), abs(real))
    return abs(slope - real) <= limit + 10 * estimate


def keeps_nearby(problem: Problem) -> bool:
    """Whether complex steps keep the derivative nearby, of all inputs of which they seem not to."""
    near = problem.a_step_away()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for here, there in zip(*(_all_lines(one) for one in (problem, near)), strict=True):
                if not _keeps_derivative(near, *there):
                    return False
                if not _is_settled(near, *there[1:]) and not _keeps_derivative(problem, *here):
                    return False
    except Exception:  # whatever fn raises there, or on complex numbers
        return False
    return _keeps_around(problem)


def _keeps_around(problem: Problem) -> bool:
    """Whether complex steps keep the derivative wherever real ones can see that, ever closer.

    What loses it may be small, such as a narrow bump with ``np.abs`` in it, and nothing of it is
    left further away. So steps are as short as the distance.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return all(_keeps_at(problem, part) for part in distances(problem))
    except Exception:  # whatever fn raises there, or on complex numbers
        return False


def _keeps_at(problem: Problem, part: float) -> bool:
    """Whether complex steps keep the derivative where all inputs are moved by this part."""
    near, closely = problem.a_step_away(part), TOLERANCES["central", problem.precision]
    for i in range(len(near.points)):
        line: list[Array | None] = [None] * len(near.points)
        line[i] = near.relative(i)
        real = real_slopes(near, line, part / 4)
        if not real.kink and not _keeps_derivative(
            near, line, real.central, real.error_estimate, closely
        ):
            return False
    return True


def _all_lines(problem: Problem) -> list[tuple[list[Array | None], float, float]]:
    return [along for _, along in _lines(problem, "central", [{} for _ in problem.points])]


def _kinks_of(problem: Problem, which: int) -> dict[int, tuple[float, float]]:
    """Every coordinate of an input along which the function has a kink."""
    found = {}
    for j in range(problem.points[which].size):
        slopes = real_slopes(problem, unit(problem, which, j))
        if slopes.kink:
            found[j] = slopes.left, slopes.right
    return found


def without(kinks: dict[int, tuple[float, float]], direction: Any) -> Array:
    """A direction that moves no coordinate at a kink."""
    smooth = np.array(direction)
    smooth.flat[list(kinks)] = 0
    return smooth
