"""The comparison of a gradient with the slopes of its function, entry by entry.

An entry may be farther from its slope than its limit. Before it is called wrong,
``second_thoughts`` asks: how far does rounding go there in more tries, does the formula of the
gradient lose digits that the function keeps, is there a kink, and do real differences agree with
the gradient although complex steps do not?
"""

import math
from dataclasses import dataclass, field

import numpy as np

from ...array import Array
from .doubts import formula, inside, limits, wider
from .executors import Executor
from .kinks import kink_of
from .ladders import persists, real_noise, real_slopes
from .lines import Lines
from .plans import Plan
from .problems import Problem
from .slopes import Measured, complex_slopes, measured

__all__ = ["Comparison", "compared", "mind_what_is_vague", "second_thoughts"]

#: So many numbers that seem wrong are looked at again, then so many if those were right, then all.
_AGAIN = 2, 14, 48
#: How many roundings of the outputs, seen as a slope, are no slope.
_ROUNDINGS = 100
#: A doubt larger than this part of a gradient's largest entry decides nothing.
_DOUBTFUL = {
    ("complex", "float64"): 1e-6,
    ("central", "float64"): 1e-5,
    ("complex", "float32"): 0.02,
    ("central", "float32"): 0.1,
}
_VAGUE = {
    "complex": "rounding alone moves the gradient by {:.1e} here; try other inputs",
    "central": "real differences are only good to {:.1e} here; try other inputs, and float64 "
    "throughout",
}
#: How closely a real slope agrees with a gradient that it supports.
_AGREES = {"float64": 1e-6, "float32": 2e-2}
_CONTRADICTED = (
    "real steps call the gradient right and complex ones wrong: either real ones pass over "
    "something small here, or an operation drops the imaginary part; try other inputs"
)
_UNSEEN = (
    "complex steps call the gradient wrong by less than real ones can see, and an operation may "
    "have dropped the imaginary part; keep fn in NumPy's own functions, or try other inputs"
)
_UNSETTLED = "real differences do not settle here; try other inputs"
_NOT_FINITE = "fn is finite here, and not in complex steps; leave method= out, or try other inputs"


@dataclass
class Comparison:
    """The gradient and the slopes, for each cotangent (rows) and line (columns).

    Attributes:
        ours: the slopes that the gradient claims.
        found: those of the function; at a kink the gradient may lie between two of them.
        limits: how far apart the two may be.
        scale: the largest slope of each line's input, in parts of which errors are told.
        unknown: why nothing is known of some lines.
        lost: how far off the gradient is where its formula loses digits, in parts of a slope.
    """

    problem: Problem
    plan: Plan
    lines: Lines
    cotangents: Array
    gradients: Array
    ours: Array
    found: Measured
    limits: Array
    scale: Array
    tolerance: float | None
    unknown: dict[int, str] = field(default_factory=dict)
    kinks: dict[int, tuple[float, float]] = field(default_factory=dict)
    lost: float = 0.0

    @property
    def errors(self) -> Array:
        """How far the gradient is from the slopes, or from the interval between them."""
        apart = np.maximum(self.found.lower - self.ours, self.ours - self.found.upper)
        return np.where(np.isnan(apart), np.inf, np.maximum(apart, 0))

    @property
    def ratios(self) -> Array:
        """The errors, in units of their limits."""
        limits = np.fmax(self.limits, 5e-324)  # a NaN limits nothing
        return np.asarray(self.errors / limits)

    @property
    def smooth(self) -> Array:
        """The lines that meet no kink."""
        return np.asarray((self.found.lower == self.found.upper).all(axis=0))

    @property
    def rounded_to_single(self) -> bool:
        """Whether the gradient is one of float32 where the function is one of float64."""
        gradient = self.gradients[0]
        with np.errstate(all="ignore"):
            rounded = np.array_equal(gradient, gradient.astype(np.float32))
        close = (
            np.allclose(self.ours[0], self.found.slopes[0], rtol=1e-5, atol=0) if rounded else False
        )
        return self.problem.precision == "float64" and close

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

    def parts(self, fast: bool) -> list[tuple[int, slice]]:
        """The lines that belong to each input; in fast mode all of them to all."""
        if fast:
            return [(self.problem.places[0], slice(None))]
        pairs = zip(self.problem.places, self.problem.stretches, strict=True)
        return [(which, one) for which, one in pairs if one.stop > one.start]

    def direction(self, k: int) -> Array:
        """The k-th line."""
        return self.lines.direction(k, self.problem.x.size)


def compared(
    problem: Problem,
    plan: Plan,
    lines: Lines,
    cotangents: Array,
    norm: float | None,
    tolerance: float | None,
    executor: Executor | None,
) -> Comparison:
    """Measure all slopes, and set the limits on how far the gradient may be from them."""
    gradients = np.stack([problem.gradient(v) for v in cotangents])
    found = measured(problem, cotangents, lines, plan.method, executor)
    allowed = limits(problem, cotangents, gradients, lines, found, plan.method)
    ours = np.stack([lines.along(g) for g in gradients])
    if norm is None:
        scale = np.zeros(ours.shape)
        sizes = np.fmax(np.abs(found.upper), np.abs(found.lower))
        sizes = np.where(np.isfinite(sizes), sizes, 0)
        for stretch in problem.stretches:
            scale[:, stretch] = sizes[:, stretch].max(axis=1, initial=0, keepdims=True)
    else:
        scale = np.fmax(norm, np.abs(found.slopes).max(axis=1, keepdims=True)) + 0 * ours
    comparison = Comparison(
        problem, plan, lines, cotangents, gradients, ours, found, allowed, scale, tolerance
    )
    if tolerance is not None:
        comparison.limits = tolerance * scale
    fixed = len(lines) - len(plan.kinks)
    for i, j in enumerate(plan.kinks):
        _see_kink(comparison, j if lines.places.ndim == 1 else fixed + i, j)
    return comparison


def _see_kink(comparison: Comparison, k: int, j: int) -> bool:
    """Look for a kink at number j, line k: there a gradient may lie between two slopes."""
    problem, found = comparison.problem, comparison.found
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
        closely = 10 * _AGREES[problem.precision] * max(abs(one.left), abs(one.right))
        comparison.limits[row, k] = max(comparison.limits[row, k], closely)
    comparison.kinks[j] = slopes.left, slopes.right
    return True


# Second thoughts -------------------------------------------------------------------------


def second_thoughts(comparison: Comparison, strict: bool) -> None:
    """Ask more where the gradient seems wrong, the worst first, until one line is proved wrong."""
    _mind_what_is_not_finite(comparison)
    if comparison.plan.method == "central":
        _mind_what_does_not_settle(comparison)
    _mind_what_is_rounding(comparison)
    for count in (*_AGAIN, len(comparison.lines)):
        these = comparison.wrong()[:count]
        if comparison.tolerance is None and len(these):
            _widen(comparison, these)
            if comparison.plan.method == "complex":
                _mind_rounding_inside(comparison, these)
            if not strict:
                _excuse_the_formula(comparison, these)
        for k in np.intersect1d(these, comparison.wrong()).tolist():
            _look_closer(comparison, k)
        if len(np.intersect1d(these, comparison.wrong())):
            return


def mind_what_is_vague(comparison: Comparison) -> None:
    """Cap the limits; an entry that agrees only within a wider limit is unknown, not right."""
    problem, method = comparison.problem, comparison.plan.method
    most = _DOUBTFUL[method, problem.precision] * comparison.scale
    vague = (comparison.limits > most) & comparison.smooth
    for row, k in np.argwhere(vague & (comparison.errors > most)).tolist():
        part = float(comparison.limits[row, k] / (comparison.scale[row, k] or 1.0))
        if comparison.errors[row, k] <= comparison.limits[row, k]:
            comparison.unknown.setdefault(k, _VAGUE[method].format(part))
    comparison.limits[:] = np.where(vague, most, comparison.limits)


def _mind_what_is_rounding(comparison: Comparison) -> None:
    """Where gradient and slope are both below the rounding of the outputs, nothing is known."""
    problem = comparison.problem
    eps = float(np.finfo(problem.precision).eps)
    for k in comparison.wrong().tolist():
        u = comparison.direction(k)
        moved = float(np.abs(np.where(problem.x != 0, problem.x, problem.sizes) * u).max())
        wrong = comparison.ratios[:, k] > 1
        rounding = _ROUNDINGS * eps * np.abs(comparison.cotangents) @ np.abs(problem.y)
        sizes = np.maximum(np.abs(comparison.ours[:, k]), np.abs(comparison.found.slopes[:, k]))
        apart = comparison.errors[:, k] > 1e-6 * sizes  # what is no rounding agrees more closely
        small = ((sizes * moved <= rounding) & apart)[wrong].all()
        if small and not _is_steady(comparison, k):
            name = problem.names[problem.where(int(np.argmax(np.abs(u))))[0]]
            comparison.unknown[k] = (
                f"the gradient of {name} is no larger than rounding, which proves nothing"
            )


def _is_steady(comparison: Comparison, k: int) -> bool:
    """Whether complex steps give the same slope again, as those of a small term do."""
    problem, plan, lines = comparison.problem, comparison.plan, comparison.lines.only(np.array([k]))
    if plan.method == "central" or not comparison.found.slopes[:, k].all():
        return False
    v, gradient = comparison.cotangents[0], comparison.gradients[0]
    slope = comparison.found.slopes[0, k]
    noise = wider(problem, v, gradient, lines, np.array([slope]), plan.method)
    return bool(noise[0] <= 0.1 * abs(slope))


def _look_closer(comparison: Comparison, k: int) -> None:
    """Look for a kink by real steps; else ask them whether they agree with the gradient."""
    if k in comparison.kinks:
        return
    carried = comparison.plan.method == "complex" and comparison.problem.carry
    if carried or not _see_kink(comparison, k, k):
        _ask_real_steps(comparison, k)


def _mind_what_is_not_finite(comparison: Comparison) -> None:
    slopes = np.isfinite(comparison.found.slopes).all(axis=0)
    ours = np.isfinite(comparison.ours).all(axis=0)
    for k in np.flatnonzero(~slopes & ours).tolist():
        comparison.unknown[k] = _NOT_FINITE if comparison.plan.method == "complex" else _UNSETTLED


def _mind_what_does_not_settle(comparison: Comparison) -> None:
    """Nothing is known of a slope that has not settled, nor of one that wavers."""
    errors = comparison.found.errors.max(axis=0, initial=0)
    for k in np.flatnonzero(~np.isfinite(errors)).tolist():
        comparison.unknown[k] = _UNSETTLED
    for k in comparison.wrong()[: sum(_AGAIN)].tolist():
        row = int(np.argmax(comparison.ratios[:, k]))
        line = comparison.problem, comparison.cotangents[row], comparison.direction(k)
        noise = real_noise(*line)
        coarse = _DOUBTFUL["central", comparison.problem.precision] * float(comparison.scale[0, k])
        if not (math.isfinite(noise) and persists(*line, real_slopes(*line))):
            comparison.unknown[k] = _UNSETTLED
        elif noise >= float(comparison.errors[row, k]) or errors[k] > coarse:
            good = max(noise, float(errors[k])) / (float(comparison.scale[0, k]) or 1.0)
            comparison.unknown[k] = _VAGUE["central"].format(good)


def _widen(comparison: Comparison, wrong: Array) -> None:
    """Add to the limits what more tries show of rounding: some, and many where these come near."""
    problem, method = comparison.problem, comparison.plan.method
    for row, v in enumerate(comparison.cotangents):
        gradient, slopes = comparison.gradients[row], comparison.found.slopes[row]
        before = comparison.limits[row].copy()
        few = wider(problem, v, gradient, comparison.lines.only(wrong), slopes[wrong], method)
        comparison.limits[row, wrong] += few
        near = wrong[comparison.errors[row, wrong] <= 100 * comparison.limits[row, wrong]]
        near = near[comparison.errors[row, near] > comparison.limits[row, near]]
        if len(near):
            lines = comparison.lines.only(near)
            more = wider(problem, v, gradient, lines, slopes[near], method, tries=16)
            wider_yet = np.maximum(comparison.limits[row, near], before[near] + more)
            comparison.limits[row, near] = wider_yet


def _mind_rounding_inside(comparison: Comparison, wrong: Array) -> None:
    """Add to the limits what roundings inside the function do to its slopes."""
    moves = inside(comparison.problem, comparison.cotangents, comparison.lines.only(wrong))
    comparison.limits[:, wrong] += 4 * moves


def _excuse_the_formula(comparison: Comparison, wrong: Array) -> None:
    """Widen the limits by what the formula of the gradient loses; note how far off it is."""
    if comparison.problem.on_tape or comparison.rounded_to_single:
        return
    lines = comparison.lines.only(wrong)
    for row, v in enumerate(comparison.cotangents):
        moves = 4 * formula(comparison.problem, v, lines)
        errors, allowed = comparison.errors[row, wrong], comparison.limits[row, wrong]
        fits = (errors > allowed) & (errors <= allowed + moves)
        comparison.limits[row, wrong] += np.where(fits, moves, 0)
        parts = errors / np.maximum(np.abs(comparison.found.slopes[row, wrong]), 5e-324)
        comparison.lost = max(comparison.lost, float(parts[fits].max(initial=0)))


def _ask_real_steps(comparison: Comparison, k: int) -> None:
    """If real differences agree with the gradient, and complex steps do not, nothing is known."""
    if comparison.plan.method == "central":
        return
    problem, row = comparison.problem, int(np.argmax(comparison.ratios[:, k]))
    u = comparison.direction(k)
    real = real_slopes(problem, comparison.cotangents[row], u)
    ours = float(comparison.ours[row, k])
    allowed = _AGREES[problem.precision] * abs(real.central) + 10 * real.error
    error = float(comparison.errors[row, k])
    if not abs(real.central - ours) <= allowed:
        return
    confirmed = 10 * comparison.plan.known * float(comparison.scale[row, k])
    if allowed < error and persists(problem, comparison.cotangents[row], u, real):
        comparison.unknown[k] = _CONTRADICTED
    elif error <= confirmed:
        comparison.unknown[k] = _UNSEEN
