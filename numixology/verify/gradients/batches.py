"""Slopes along many lines by one call of f, where f accepts a leading axis.

Copies of x lie along that axis, each stepped along another line u_k; inputs of fewer axes than
others get axes of length 1 after it, so that they broadcast as before. f may mix the copies, as a
mean over its first axis would. So the slopes J u_k are tested: along the line Σ_k c_k u_k, with
random c and x in its own shape, the slope must be Σ_k c_k J u_k. Slopes that were computed before c
was drawn agree with that by chance alone unless each of them is right (Freivalds 1977).
"""

import numpy as np

from ...array import Array
from .lines import Lines, directions
from .problems import Outputs, Problem

__all__ = ["batch"]

#: How many roundings of the sum the two slopes may be apart, and what no rounding explains.
_ROUNDINGS, _MIXED = 64, 2.0**20
#: c, before every line is given the same weight: no function knows these numbers.
_RANDOM = np.random.default_rng(0x6E78).uniform(0.5, 1.5, 64) * np.resize([1, -1], 64)
#: The smallest weight of a line, relative to the largest.
_LEAST = 1e-100


def batch(problem: Problem, x: Array, lines: Lines) -> Outputs | None:
    """The slope of every output along every line, (lines, outputs); None if f takes no batch."""
    count, outputs = len(lines), problem.y.size
    if not problem.batches or count == 1:
        return None
    z, h = np.empty((count, x.size), complex), lines.steps[:, None]
    z.real, z.imag = x, [step * lines.direction(k, x.size) for k, step in enumerate(lines.steps)]
    try:
        slopes = problem.run(z).values.reshape(count, outputs).imag / h
        sizes = np.abs(slopes).max(axis=1)
        weights = _RANDOM[:count] / np.maximum(sizes, max(_LEAST * sizes.max(), 5e-324))
        weights /= np.abs(weights).max()
        (line,), (step,) = directions(problem, weights[None] @ (z.imag / h))
        along, carried = problem.run(x + 1j * step * line)
    except Exception:  # whatever f raises for shapes that it does not expect
        problem.batches = False
        return None
    apart = np.abs(along.imag / step - weights @ slopes)
    rounding = np.finfo(problem.precision).eps * (np.abs(weights) @ np.abs(slopes))
    problem.batches = bool((apart <= _MIXED * rounding).all())  # else it is not tried again
    return Outputs(slopes, carried) if (apart <= _ROUNDINGS * rounding).all() else None
