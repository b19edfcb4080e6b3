"""What a comparison becomes in a report: its figures, and what is wrong in words."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...array import Array
from .asking import Options
from .comparisons import Comparison
from .doubts import WIDENED
from .hints import hint
from .kinks import slack, ties
from .problems import Problem
from .reports import GradcheckReport, Kink

__all__ = ["DIRECTIONS", "blank", "filled", "torn", "wrong"]

#: How many random lines the fast mode takes.
DIRECTIONS = 4


def blank(problem: Problem, options: Options) -> GradcheckReport:
    """A report before anything was compared: all that is known without a comparison."""
    return GradcheckReport(
        "fail",
        math.nan,
        options.tolerance or math.nan,
        "complex" if options.method == "auto" else options.method,
        options.order,
        DIRECTIONS if options.fast else problem.x.size,
        None,
        "",
        why="nothing was differenced",
        names=tuple(problem.names),
        fast=options.fast,
        gradient="tape" if problem.vjp is None else "vjp",
        differentiated=tuple(problem.places),
    )


def filled(found: Comparison, report: GradcheckReport, options: Options) -> GradcheckReport:
    """The report with the figures of a comparison."""
    problem, fast = found.problem, report.fast
    row, k = found.worst
    scale = float(found.scale[row, k]) or 1.0
    wrong = len(found.wrong()) > 0
    theirs = np.clip(found.ours[row, k], found.found.lower[row, k], found.found.upper[row, k])
    which, index = (0, (k,)) if fast else problem.where(k)
    errors = np.where(np.isfinite(found.errors[0]), found.errors[0], 0)
    sizes = np.maximum(found.scale[0], np.abs(found.found.upper - found.found.lower)[0])
    scales = np.where(sizes > 0, sizes, 1)

    def largest(those: Array, at_kinks: Any = 0.0, part: slice = slice(None)) -> float:
        """The largest of them, at kinks of others, relative to the gradient's largest entry."""
        return float((np.where(found.smooth, those, at_kinks) / scales)[part].max(initial=0))

    tied = 4 * slack(problem, found.found.terms[0], found.plan.tied)
    widened = 1 if options.tolerance or found.plan.method == "central" else WIDENED
    caught = [
        max(largest(widened * found.limits[0] + errors, tied, part), found.plan.known)
        * (2 if fast else 1)
        for _, part in found.parts(fast)
    ]
    return report._replace(
        max_error=float(found.errors[row, k]) / scale if wrong else largest(errors),
        tolerance=found.tolerance
        or (float(found.limits[row, k]) / scale if wrong else largest(found.limits[0])),
        method=found.plan.method,
        why=found.plan.why,
        worst=(which, index, float(found.ours[row, k]), float(theirs)),
        detectable=max(caught, default=math.inf),
        by_input=tuple(caught),
        kinks=tuple(_kinks(found)),
    )


def _kinks(found: Comparison) -> Iterator[Kink]:
    problem, gradient = found.problem, found.gradients[0]
    for j, (left, right) in sorted(found.kinks.items()):
        which, index = problem.where(j)
        yield Kink(which, index, left, right, float(gradient[j]), problem.names[which])


def wrong(found: Comparison) -> str:
    """The reason of a failure: which input's gradient is wrong, and which mistake it looks like."""
    _, k = found.worst
    problem, v, gradient = found.problem, found.cotangents[0], found.gradients[0]
    name = problem.names[problem.where(k)[0]]
    if not np.isfinite(found.ours[:, k]).all():
        return f"the gradient of {name} is not finite everywhere"
    mask = np.isin(np.arange(len(found.lines)), found.wrong())
    said = hint(problem, v, gradient, found.found.slopes[0], mask)
    if found.rounded_to_single:
        said = "it is rounded to float32"
    return f"the gradient of {name} is wrong" + (f": {said}" if said else "")


def torn(found: Comparison) -> str:
    """Which numbers at a kink have gradients that do not add up to the slope along them all."""
    problem = found.problem
    if len(found.kinks) < 2:
        return ""
    apart = ties(problem, found.cotangents[0], found.gradients[0], found.kinks, found.plan.tied)
    if apart is None:
        return ""
    group, ours, theirs = apart
    named = " and ".join(problem.named(j) for j in group[:3])
    digits = 6 if f"{ours:.6g}" != f"{theirs:.6g}" else 17
    return (
        f"the gradients at a tie are wrong: moved together, {named} have the slope "
        f"{theirs:.{digits}g}, and their gradients add up to {ours:.{digits}g}"
    )
