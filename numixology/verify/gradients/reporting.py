"""What a comparison becomes in a report: its figures, and what is wrong in words."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...array import Array
from .asking import Options
from .comparisons import DIRECTIONS, Comparison
from .doubts import WIDENED
from .hints import hint
from .kinks import slack, ties
from .problems import Problem
from .reports import GradcheckReport, Kink, Verdict

__all__ = ["blank", "filled", "remarks", "wrong", "wrong_at_ties"]


def blank(
    problem: Problem, options: Options, verdict: Verdict = "fail", reason: str = ""
) -> GradcheckReport:
    """A report before anything was compared: all that is known without a comparison."""
    return GradcheckReport(
        verdict,
        math.nan,
        options.tolerance or math.nan,
        "complex" if options.method == "auto" else options.method,
        options.order,
        DIRECTIONS if options.fast else problem.x.size,
        None,
        reason,
        why="nothing was differenced",
        names=tuple(problem.names),
        fast=options.fast,
        gradient="tape" if problem.vjp is None else "vjp",
        differentiated=tuple(problem.places),
    )


def filled(comparison: Comparison) -> GradcheckReport:
    """A report with the figures of a comparison."""
    problem, options, plan = comparison.problem, comparison.options, comparison.plan
    measured, (row, k) = comparison.measured, comparison.worst
    scale = float(comparison.scale[row, k]) or 1.0
    wrong = len(comparison.wrong()) > 0
    theirs = np.clip(comparison.ours[row, k], measured.lower[row, k], measured.upper[row, k])
    which, index = (0, (k,)) if options.fast else problem.where(k)
    errors = np.where(np.isfinite(comparison.errors[0]), comparison.errors[0], 0)
    sizes = np.maximum(comparison.scale[0], np.abs(measured.upper - measured.lower)[0])
    scales = np.where(sizes > 0, sizes, 1)

    def largest(those: Array, at_kinks: Any = 0.0, part: slice = slice(None)) -> float:
        """The largest of them, at kinks of others, relative to the gradient's largest entry."""
        return float((np.where(comparison.smooth, those, at_kinks) / scales)[part].max(initial=0))

    tied = 4 * slack(problem, measured.terms[0], plan.tied)
    widened = 1 if options.tolerance or plan.method == "central" else WIDENED
    caught = [
        max(largest(widened * comparison.limits[0] + errors, tied, part), plan.known)
        * (2 if options.fast else 1)
        for _, part in comparison.parts
    ]
    return blank(problem, options)._replace(
        max_error=float(comparison.errors[row, k]) / scale if wrong else largest(errors),
        tolerance=options.tolerance
        or (float(comparison.limits[row, k]) / scale if wrong else largest(comparison.limits[0])),
        method=plan.method,
        why=plan.why,
        worst=(which, index, float(comparison.ours[row, k]), float(theirs)),
        detectable=max(caught, default=math.inf),
        by_input=tuple(caught),
        kinks=tuple(_kinks(comparison)),
    )


def _kinks(comparison: Comparison) -> Iterator[Kink]:
    problem, gradient = comparison.problem, comparison.gradients[0]
    for j, (left, right) in sorted(comparison.kinks.items()):
        which, index = problem.where(j)
        yield Kink(which, index, left, right, float(gradient[j]), problem.names[which])


def wrong(comparison: Comparison) -> str:
    """The reason of a failure: which input's gradient is wrong, and which mistake it looks like."""
    _, k = comparison.worst
    problem, v, gradient = comparison.problem, comparison.cotangents[0], comparison.gradients[0]
    name = problem.names[problem.where(k)[0]]
    if not np.isfinite(comparison.ours[:, k]).all():
        return f"the gradient of {name} is not finite everywhere"
    mask = np.isin(np.arange(len(comparison.lines)), comparison.wrong())
    said = hint(problem, v, gradient, comparison.measured.slopes[0], mask)
    if comparison.rounded_to_single:
        said = "it is rounded to float32"
    return f"the gradient of {name} is wrong" + (f"; {said}" if said else "")


def wrong_at_ties(comparison: Comparison) -> str:
    """Which numbers at a kink have gradients that do not add up to the slope along them all."""
    problem, kinks = comparison.problem, comparison.kinks
    if len(kinks) < 2:
        return ""
    v, gradient, tied = comparison.cotangents[0], comparison.gradients[0], comparison.plan.tied
    apart = ties(problem, v, gradient, kinks, tied)
    if apart is None:
        return ""
    group, ours, theirs = apart
    named = " and ".join(problem.named(j) for j in group[:3])
    digits = 6 if f"{ours:.6g}" != f"{theirs:.6g}" else 17
    return (
        f"the gradients at a tie are wrong: moved together, {named} have the slope "
        f"{theirs:.{digits}g}, and their gradients add up to {ours:.{digits}g}"
    )


def remarks(comparison: Comparison) -> list[str]:
    """What a gradient that passes is not: right to the last digit, or on both sides of a jump."""
    problem, found = comparison.problem, list[str]()
    if lost := comparison.lost:
        found.append(f"right to {lost:.0e} here: the formula of the gradient loses digits")
    if jumps := dict.fromkeys(problem.names[problem.where(j)[0]] for j in comparison.plan.jumps):
        found.append(f"fn jumps at {', '.join(jumps)}: this is the gradient of one side")
    return found
