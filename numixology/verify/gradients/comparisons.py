"""The comparison of a gradient with the slopes of its function, line by line."""

import math
from dataclasses import dataclass, field

import numpy as np

from ...array import Array
from .asking import Options
from .doubts import limits
from .kinks import kink_of
from .ladders import real_slopes
from .lines import Lines, coordinates, directions
from .plans import Plan, relative
from .problems import Problem
from .slopes import Measured, complex_slopes, measured

__all__ = ["AGREES", "DIRECTIONS", "Comparison", "compared", "see_kink"]

#: How closely a real slope agrees with a gradient that it supports.
AGREES = {"float64": 1e-6, "float32": 2e-2}
#: Up to what part of an input's largest slope real steps see nothing.
_SMALL = 1e-8
#: How many random lines the fast mode takes.
DIRECTIONS = 4


@dataclass
class Comparison:
    """The gradient and the slopes, for each cotangent (rows) and line (columns).

    Attributes:
        ours: the slopes that the gradient claims.
        measured: those of the function; at a kink the gradient may lie between two of them.
        limits: how far apart the two may be.
        scale: the largest slope of each line's input, in parts of which errors are told.
        unknown: why nothing is known of some lines.
        lost: how far off the gradient is where its formula loses digits, in parts of a slope.
    """

    problem: Problem
    options: Options
    plan: Plan
    lines: Lines
    cotangents: Array
    gradients: Array
    ours: Array
    measured: Measured
    limits: Array
    scale: Array
    unknown: dict[int, str] = field(default_factory=dict)
    kinks: dict[int, tuple[float, float]] = field(default_factory=dict)
    lost: float = 0.0

    @property
    def errors(self) -> Array:
        """How far the gradient is from the slopes, or from the interval between them."""
        apart = np.maximum(self.measured.lower - self.ours, self.ours - self.measured.upper)
        return np.where(np.isnan(apart), np.inf, np.maximum(apart, 0))

    @property
    def ratios(self) -> Array:
        """The errors, in units of their limits."""
        limits = np.fmax(self.limits, 5e-324)  # a NaN limits nothing
        return np.asarray(self.errors / limits)

    @property
    def smooth(self) -> Array:
        """The lines that meet no kink."""
        return np.asarray((self.measured.lower == self.measured.upper).all(axis=0))

    @property
    def rounded_to_single(self) -> bool:
        """Whether the gradient is one of float32 where the function is one of float64."""
        gradient, slopes = self.gradients[0], self.measured.slopes[0]
        with np.errstate(all="ignore"):
            rounded = np.array_equal(gradient, gradient.astype(np.float32))
        rounded = rounded and self.problem.precision == "float64"
        return rounded and np.allclose(self.ours[0], slopes, rtol=1e-5, atol=0)

    def wrong(self) -> Array:
        """The lines whose errors exceed their limits, the worst first."""
        worst = self.ratios.max(axis=0, initial=0)
        worst[list(self.unknown)] = 0
        order = np.argsort(-worst, kind="stable")
        return np.asarray(order[worst[order] > 1])

    @property
    def worst(self) -> tuple[int, int]:
        """The cotangent and line of the largest error in units of its limit."""
        wrong = self.wrong()
        among = wrong[:1] if len(wrong) else np.arange(len(self.lines))
        row, k = np.unravel_index(
            np.argmax(self.ratios[:, among]), (len(self.cotangents), len(among))
        )
        return int(row), int(among[k])

    @property
    def parts(self) -> list[tuple[int, slice]]:
        """The lines that belong to each input; in fast mode all of them to all."""
        if self.options.fast:
            return [(self.problem.places[0], slice(None))]
        pairs = zip(self.problem.places, self.problem.stretches, strict=True)
        return [(which, one) for which, one in pairs if one.stop > one.start]

    def direction(self, k: int) -> Array:
        """The k-th line."""
        return self.lines.direction(k, self.problem.x.size)


def compared(problem: Problem, plan: Plan, cotangents: Array, options: Options) -> Comparison:
    """Measure all slopes, and set the limits on how far the gradient may be from them."""
    lines = _few(problem, plan) if options.fast else coordinates(problem)
    gradients = np.stack([problem.gradient(v) for v in cotangents])
    found = measured(problem, cotangents, lines, plan.method, options.executor)
    ours = np.stack([lines.along(g) for g in gradients])
    scale = np.zeros(ours.shape)
    if options.fast:
        sizes = np.where(problem.x != 0, np.abs(problem.x), problem.sizes)
        norm = float(np.linalg.norm(gradients[0] * (sizes / problem.sizes.max())))
        scale[:] = np.fmax(norm, np.abs(found.slopes).max(axis=1, keepdims=True))
    else:
        sizes = np.fmax(np.abs(found.upper), np.abs(found.lower))
        sizes = np.where(np.isfinite(sizes), sizes, 0)
        for stretch in problem.stretches:
            scale[:, stretch] = sizes[:, stretch].max(axis=1, initial=0, keepdims=True)
    allowed = limits(problem, cotangents, gradients, lines, found, plan.method)
    if plan.method == "central":
        allowed = np.maximum(allowed, _SMALL * scale)
    if options.tolerance is not None:
        allowed = options.tolerance * scale
    comparison = Comparison(
        problem, options, plan, lines, cotangents, gradients, ours, found, allowed, scale
    )
    for i, j in enumerate(plan.kinks):
        see_kink(comparison, DIRECTIONS + i if options.fast else j, j)
    return comparison


def _few(problem: Problem, plan: Plan) -> Lines:
    """Random lines through all that is at no kink, and the coordinates of what is at one."""
    many, kinks = [relative(problem) for _ in range(DIRECTIONS)], list(plan.kinks)
    units = [problem.unit(j) for j in kinks]
    rows = np.stack([*many, *units])
    rows[:DIRECTIONS, kinks] = 0
    return directions(problem, rows)


def see_kink(comparison: Comparison, k: int, j: int) -> bool:
    """Look for a kink at number j, line k: there a gradient may lie between two slopes."""
    problem, found = comparison.problem, comparison.measured
    if comparison.plan.tied:
        line = comparison.lines.only(np.array([k]))
        both = complex_slopes(problem, comparison.cotangents, line, sides=True)
        found.lower[:, k], found.upper[:, k] = both.lower[:, 0], both.upper[:, 0]
        right = float(both.slopes[0, 0])
        comparison.kinks[j] = float(both.lower[0, 0] + both.upper[0, 0]) - right, right
        return True
    u = comparison.direction(k)
    slopes = kink_of(problem, comparison.cotangents[0], u)
    if slopes is None:
        return False
    for row, v in enumerate(comparison.cotangents):
        one = slopes if row == 0 else real_slopes(problem, v, u)
        complex_one = float(found.slopes[row, k])
        ends = [one.left, one.right]
        if comparison.plan.method == "complex" and math.isfinite(complex_one):
            ends.append(complex_one)  # real steps are long, and the kink may only be near
        found.lower[row, k], found.upper[row, k] = min(ends), max(ends)
        closely = 10 * AGREES[problem.precision] * max(abs(one.left), abs(one.right))
        comparison.limits[row, k] = max(comparison.limits[row, k], closely)
    comparison.kinks[j] = slopes.left, slopes.right
    return True
