"""Where a function has two slopes, and which gradients are right there.

At a kink of one number any gradient between the two slopes is right. Where several numbers meet at
one kink, as the entries that tie for a maximum, moving them together may leave the kink: then there
is one slope, and the gradients must add up to it. So numbers at kinks are moved in pairs and all
together: all by the same, or each in inverse proportion to the jump of its slope.
"""

import itertools
from typing import Any

import numpy as np

from ...array import Array
from .ladders import Slopes, persists, real_slopes
from .lines import directions
from .problems import Problem
from .slopes import complex_slopes

__all__ = ["kink_of", "kinked", "slack", "ties"]

#: So many numbers at kinks are moved in pairs.
_PAIRED = 24
#: How many roundings of a slope by complex steps make no difference.
_ROUNDINGS = 1e4
#: How closely real slopes are known along a line that leaves a kink.
_CLOSE = {"float64": 1e-5, "float32": 5e-2}


def kink_of(problem: Problem, v: Array, u: Array) -> Slopes | None:
    """The slopes of a kink along u by real steps, if there is one.

    A kink is believed where its two slopes persist at short steps; what is only curved, or jumps,
    has others there.
    """
    slopes = real_slopes(problem, v, u)
    return slopes if slopes.kink and persists(problem, v, u, slopes) else None


def kinked(problem: Problem, v: Array, stretch: slice) -> list[int]:
    """The coordinates of a stretch of x at which real steps show a kink."""
    every = range(stretch.start, stretch.stop)
    return [j for j in every if kink_of(problem, v, problem.unit(j))]


def ties(
    problem: Problem,
    v: Array,
    gradient: Array,
    kinks: dict[int, tuple[float, float]],
    carried: bool,
) -> tuple[list[int], float, float] | None:
    """Numbers that kinks join, what their gradients add up to, and what they must; None if right.

    ``kinks`` has the slopes of both sides at every number. Where the slope along several is the sum
    of their own the kinks are apart, and nothing follows.
    """
    places = [j for j, (left, right) in kinks.items() if left != right]
    groups = [list(pair) for pair in itertools.combinations(places[:_PAIRED], 2)]
    groups += [places] if len(places) > 2 else []
    groups += _alike(problem, places)
    for group, alike in itertools.product(groups, (False, True)):
        jumps = np.array([kinks[j][1] - kinks[j][0] for j in group])
        u = np.zeros(problem.x.size)
        u[group] = np.sign(jumps) if alike else 1 / jumps
        u /= np.abs(u).max()
        left, right, low, high, known = _sides(problem, v, u, carried)
        apart = [sum(u[j] * kinks[j][int(u[j] * side > 0)] for j in group) for side in (-1, 1)]
        ours = float(gradient @ u)
        if abs(left - apart[0]) <= known and abs(right - apart[1]) <= known:
            continue
        if not low - known <= ours <= high + known:
            return group, ours, low if ours < low else high
    return None


def _alike(problem: Problem, places: list[int]) -> list[list[int]]:
    """Groups of three and more whose numbers are equal."""
    found: dict[float, list[int]] = {}
    for j in places:
        found.setdefault(float(problem.x[j]), []).append(j)
    return [group for group in found.values() if len(group) > 2]


def slack(problem: Problem, size: Any, carried: bool) -> Any:
    """How closely slopes of this size are known along lines that leave a kink."""
    eps = float(np.finfo(problem.precision).eps)
    return (_ROUNDINGS * eps if carried else _CLOSE[problem.precision]) * size


def _sides(
    problem: Problem, v: Array, u: Array, carried: bool
) -> tuple[float, float, float, float, float]:
    """The slopes along u on both sides, what lies between, and how closely that is known."""
    if carried:
        found = complex_slopes(problem, v[None], directions(problem, u[None]), sides=True)
        low, high, right = (float(one[0, 0]) for one in (found.lower, found.upper, found.slopes))
        known = slack(problem, float(found.terms[0, 0]), True) + 8 * float(found.errors[0, 0])
        return low + high - right, right, low, high, known
    slopes = real_slopes(problem, v, u)
    low, high = sorted((slopes.left, slopes.right))
    known = slack(problem, max(abs(low), abs(high)), False) + 10 * slopes.side_error
    return slopes.left, slopes.right, low, high, known
