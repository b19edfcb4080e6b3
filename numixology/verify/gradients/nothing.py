"""Gradients that agree and prove nothing: those that are zero, or no larger than rounding."""

import numpy as np

from ...array import Array
from .comparisons import Comparison
from .problems import Problem

__all__ = ["nothing_proved"]

#: Up to how many roundings of ⟨v, f⟩, seen as a slope, a gradient may be nothing but rounding.
_ROUNDINGS = {"complex": 1e2, "central": 1e4}
#: Two gradients that are nothing but rounding do not agree as closely as this.
_AGREE = 1e-6


def nothing_proved(comparison: Comparison) -> str:
    """Why there was nothing to compare, if so."""
    problem = comparison.problem
    for which, stretch in zip(problem.places, problem.stretches, strict=True):
        gradient, name = comparison.gradients[0, stretch], problem.names[which]
        at_kinks = any(stretch.start <= j < stretch.stop for j in comparison.kinks)
        if not gradient.size or at_kinks:
            continue
        part = slice(None) if comparison.options.fast else stretch
        ours, slopes = comparison.ours[0, part], comparison.measured.slopes[0, part]
        if not gradient.any():
            return f"the gradient of {name} is zero, which proves nothing: {_why(problem, stretch)}"
        if is_rounding(comparison, ours, slopes, stretch):
            return f"the gradient of {name} is no larger than rounding, which proves nothing"
        if underflows(ours, slopes, comparison.measured.errors[0, part]):
            return f"fn underflows, and shows no gradient of {name}; try larger inputs"
    return ""


def is_rounding(comparison: Comparison, ours: Array, slopes: Array, stretch: slice) -> bool:
    """Whether a gradient is nothing but rounding: it and its slopes are tiny, and disagree."""
    problem, v = comparison.problem, comparison.cotangents[0]
    rounding = float(np.finfo(problem.precision).eps) * float(np.abs(v) @ np.abs(problem.y))
    least = _ROUNDINGS[comparison.plan.method] * rounding / float(problem.sizes[stretch].max())
    most = max(float(np.abs(one).max(initial=0)) for one in (ours, slopes))
    return most <= least and not np.abs(ours - slopes).max() <= _AGREE * np.abs(slopes).max()


def underflows(ours: Array, slopes: Array, errors: Array) -> bool:
    """Whether underflow may have taken a gradient from its slopes."""
    lost = np.where(np.isfinite(errors), 8 * errors, 0)
    return not slopes.any() and bool(ours.any()) and bool((np.abs(ours) <= lost).all())


def _why(problem: Problem, stretch: slice) -> str:
    """Why a gradient is zero: whether moving the input leaves every output, to the last bit."""
    x = problem.x.copy()
    x[stretch] += 0.02 * problem.sizes[stretch] * problem.rng.uniform(0.5, 1.5, x[stretch].size)
    if not np.array_equal(problem.run(x).values, problem.y):
        return "it is zero by construction"
    if problem.second:
        return "the first gradient does not depend on it; check a square of fn"
    return "the function ignores it here"
