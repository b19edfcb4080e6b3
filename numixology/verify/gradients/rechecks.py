"""What else may explain a gradient that is farther from a slope than its limit.

How far does rounding go there in more tries, does the formula of the gradient lose digits that the
function keeps, is there a kink, and do real differences agree with the gradient although complex
steps do not? An entry is wrong only where none of this explains the distance.
"""

import math

import numpy as np

from ...array import Array
from .comparisons import AGREES, Comparison, see_kink
from .doubts import formula, inside, wavering
from .ladders import is_staircase, persists, real_noise, real_slopes

__all__ = ["cap_limits", "recheck"]

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


def recheck(comparison: Comparison) -> None:
    """Ask more where the gradient seems wrong, the worst first, until one line is proved wrong."""
    _mark_what_is_not_finite(comparison)
    if comparison.plan.method == "central":
        _mark_what_does_not_settle(comparison)
    _mark_what_is_rounding(comparison)
    for count in (*_AGAIN, len(comparison.lines)):
        these = comparison.wrong()[:count]
        if comparison.options.tolerance is None and len(these):
            _widen(comparison, these)
            if comparison.plan.method == "complex":
                _add_rounding_inside(comparison, these)
            if not comparison.options.strict:
                _excuse_the_formula(comparison, these)
        for k in np.intersect1d(these, comparison.wrong()).tolist():
            _look_closer(comparison, k)
        if len(np.intersect1d(these, comparison.wrong())):
            return


def cap_limits(comparison: Comparison) -> None:
    """Cap the limits; an entry that agrees only within a wider limit is unknown, not right."""
    problem, method = comparison.problem, comparison.plan.method
    most = _DOUBTFUL[method, problem.precision] * comparison.scale
    vague = (comparison.limits > most) & comparison.smooth
    for row, k in np.argwhere(vague & (comparison.errors > most)).tolist():
        part = float(comparison.limits[row, k] / (comparison.scale[row, k] or 1.0))
        if comparison.errors[row, k] <= comparison.limits[row, k]:
            comparison.unknown.setdefault(k, _VAGUE[method].format(part))
    comparison.limits[:] = np.where(vague, most, comparison.limits)


def _mark_what_is_rounding(comparison: Comparison) -> None:
    """Where gradient and slope are both below the rounding of the outputs, nothing is known."""
    problem = comparison.problem
    eps = float(np.finfo(problem.precision).eps)
    for k in comparison.wrong().tolist():
        u = comparison.direction(k)
        moved = float(np.abs(np.where(problem.x != 0, problem.x, problem.sizes) * u).max())
        wrong = comparison.ratios[:, k] > 1
        rounding = _ROUNDINGS * eps * np.abs(comparison.cotangents) @ np.abs(problem.y)
        sizes = np.maximum(np.abs(comparison.ours[:, k]), np.abs(comparison.measured.slopes[:, k]))
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
    if plan.method == "central" or not comparison.measured.slopes[:, k].all():
        return False
    v, gradient = comparison.cotangents[0], comparison.gradients[0]
    slope = comparison.measured.slopes[0, k]
    noise = wavering(problem, v, gradient, lines, np.array([slope]), plan.method)
    return bool(noise[0] <= 0.1 * abs(slope))


def _look_closer(comparison: Comparison, k: int) -> None:
    """Look for a kink by real steps; else ask them whether they agree with the gradient."""
    if k in comparison.kinks:
        return
    carried = comparison.plan.method == "complex" and comparison.problem.carry
    if carried or not see_kink(comparison, k, k):
        _ask_real_steps(comparison, k)


def _mark_what_is_not_finite(comparison: Comparison) -> None:
    slopes = np.isfinite(comparison.measured.slopes).all(axis=0)
    ours = np.isfinite(comparison.ours).all(axis=0)
    for k in np.flatnonzero(~slopes & ours).tolist():
        comparison.unknown[k] = _NOT_FINITE if comparison.plan.method == "complex" else _UNSETTLED


def _mark_what_does_not_settle(comparison: Comparison) -> None:
    """Nothing is known of a slope that has not settled, nor of one that wavers."""
    errors = comparison.measured.errors.max(axis=0, initial=0)
    for k in np.flatnonzero(~np.isfinite(errors)).tolist():
        comparison.unknown[k] = _UNSETTLED
    for k in comparison.wrong()[: sum(_AGAIN)].tolist():
        row = int(np.argmax(comparison.ratios[:, k]))
        line = comparison.problem, comparison.cotangents[row], comparison.direction(k)
        noise = real_noise(*line)
        coarse = _DOUBTFUL["central", comparison.problem.precision] * float(comparison.scale[0, k])
        settled = math.isfinite(noise) and persists(*line, real_slopes(*line))
        if not settled or is_staircase(*line, float(comparison.ours[row, k])):
            comparison.unknown[k] = _UNSETTLED
        elif noise >= float(comparison.errors[row, k]) or errors[k] > coarse:
            good = max(noise, float(errors[k])) / (float(comparison.scale[0, k]) or 1.0)
            comparison.unknown[k] = _VAGUE["central"].format(good)


def _widen(comparison: Comparison, wrong: Array) -> None:
    """Add to the limits what some tries show of rounding, or many where that comes near."""
    problem, method = comparison.problem, comparison.plan.method
    lines = comparison.lines.only(wrong)
    for row, v in enumerate(comparison.cotangents):
        gradient, slopes = comparison.gradients[row], comparison.measured.slopes[row, wrong]
        exceeded, errors = comparison.limits[row, wrong], comparison.errors[row, wrong]
        wide = exceeded + wavering(problem, v, gradient, lines, slopes, method)
        near = np.flatnonzero((wide < errors) & (errors <= 100 * wide))
        if len(near):
            some = lines.only(near), slopes[near]
            more = wavering(problem, v, gradient, *some, method, tries=16)
            wide[near] = np.maximum(wide[near], exceeded[near] + more)
        comparison.limits[row, wrong] = wide


def _add_rounding_inside(comparison: Comparison, wrong: Array) -> None:
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
        parts = errors / np.maximum(np.abs(comparison.measured.slopes[row, wrong]), 5e-324)
        comparison.lost = max(comparison.lost, float(parts[fits].max(initial=0)))


def _ask_real_steps(comparison: Comparison, k: int) -> None:
    """If real differences agree with the gradient, and complex steps do not, nothing is known."""
    if comparison.plan.method == "central":
        return
    problem, row = comparison.problem, int(np.argmax(comparison.ratios[:, k]))
    u = comparison.direction(k)
    real = real_slopes(problem, comparison.cotangents[row], u)
    ours = float(comparison.ours[row, k])
    allowed = AGREES[problem.precision] * abs(real.central) + 10 * real.error
    error = float(comparison.errors[row, k])
    if not abs(real.central - ours) <= allowed:
        return
    confirmed = 10 * comparison.plan.known * float(comparison.scale[row, k])
    if allowed < error and persists(problem, comparison.cotangents[row], u, real):
        comparison.unknown[k] = _CONTRADICTED
    elif error <= confirmed:
        comparison.unknown[k] = _UNSEEN
