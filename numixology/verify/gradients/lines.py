"""Lines through x along which slopes are measured, and how far a complex step goes along each.

In float64 an entry x_j is stepped by 2⁻⁶⁶ of itself, in float32 by 2⁻²⁴, which is as exact there
and underflows later. An entry above 1 is stepped as if it were 1, since functions have a scale of
their own, and a zero as if it were 2⁻¹⁰⁰ of the largest entry of its input, 2⁻³⁰ in float32.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...array import Array
from .problems import Problem

__all__ = ["Lines", "coordinates", "directions"]

_STEP = {"float64": 2.0**-66, "float32": 2.0**-24}
#: The same along a line through many entries, small ones among them.
_LINE_STEP = {"float64": 2.0**-126, "float32": 2.0**-40}
#: A zero is stepped as if it were this part of its input's largest entry.
_LEAST = {"float64": 2.0**-100, "float32": 2.0**-30}


class Lines(NamedTuple):
    """Directions u in which x is moved, and how far in complex steps.

    Attributes:
        places: the coordinate of each line, or the lines themselves, one per row.
        steps: h for each.
    """

    places: Array
    steps: Array

    def __len__(self) -> int:
        return len(self.steps)

    def direction(self, k: int, size: int) -> Array:
        """u of the k-th line."""
        if self.places.ndim == 2:
            return np.asarray(self.places[k])
        u = np.zeros(size)
        u[self.places[k]] = 1
        return u

    def along(self, gradient: Array) -> Array:
        """The slopes that a gradient claims."""
        if self.places.ndim == 2:
            return np.asarray(self.places @ gradient)
        return np.asarray(gradient[self.places])

    def only(self, these: Array | slice) -> "Lines":
        """Some of the lines."""
        return Lines(self.places[these], self.steps[these])

    def parts(self, length: int) -> Iterator["Lines"]:
        """The lines, so many at a time."""
        yield from (self.only(slice(a, a + length)) for a in range(0, len(self), length))


def coordinates(problem: Problem) -> Lines:
    """Every coordinate of x."""
    x, sizes, precision = problem.x, problem.sizes, problem.precision
    own = np.minimum(np.where(x != 0, np.abs(x), _LEAST[precision] * sizes), 1)
    return Lines(np.arange(x.size), np.maximum(_STEP[precision] * own, _least(problem, own)))


def directions(problem: Problem, lines: Array) -> Lines:
    """Lines through many entries of x."""
    sizes = np.where(lines != 0, problem.sizes, 0).max(axis=1, initial=0)
    reach = np.minimum(1.0, np.where(sizes > 0, sizes, 1))
    steps = np.maximum(_LINE_STEP[problem.precision] * reach, _least(problem, reach))
    return Lines(lines, steps)


def _least(problem: Problem, sizes: Array) -> Array:
    """The smallest number with all its digits, but none so large that its square would count."""
    floats = np.finfo(problem.precision)
    return np.minimum(float(floats.tiny), math.sqrt(floats.eps) * sizes)
