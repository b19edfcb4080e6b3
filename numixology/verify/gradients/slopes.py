"""The slopes of ⟨v, f⟩ along many lines, by complex steps where f can be run on complex numbers.

For an analytic f the imaginary part of f(x + i h u) / h is the slope along u, but for h² times a
third derivative: nothing is subtracted, so h can be as small as 2⁻⁶⁶ of x_j and the slope is exact
to rounding. (In float32 it is 2⁻²⁴, which is as exact there and underflows later. An entry above 1
is stepped as if it were 1, since functions have a scale of their own, and a zero as if it were
2⁻¹⁰⁰ of its input's largest entry, 2⁻³⁰ in float32.)
"""

import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from ..arrays.steps import along
from .executors import Executor
from .ladders import real_slopes
from .problems import Problem

__all__ = ["Lines", "Measured", "complex_slopes", "coordinates", "directions", "measured"]

_STEP = {"float64": 2.0**-66, "float32": 2.0**-24}
#: The same along a line through many entries, small ones among them.
_LINE_STEP = {"float64": 2.0**-126, "float32": 2.0**-40}
#: A zero is stepped as if it were this part of its input's largest entry.
_LEAST = {"float64": 2.0**-100, "float32": 2.0**-30}
_TINY = {"float64": 2.0**-1074, "float32": 2.0**-149}
#: So many lines are given to a worker at once.
_AT_ONCE = 16


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

    def only(self, these: Array) -> "Lines":
        """Some of the lines."""
        return Lines(self.places[these], self.steps[these])


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


class Measured(NamedTuple):
    """Slopes along lines, for each of some cotangents: arrays of shape (cotangents, lines).

    Attributes:
        slopes: of ⟨v, f⟩; those above, where there is a kink.
        errors: how far off each may be by itself: what underflow takes, or real steps leave.
        terms: Σ_k |v_k ∂f_k/∂u|, of which rounding is a part.
        lower, upper: the slopes of both sides, smaller and larger, where there is a kink.
        carried: whether f carried every step to its outputs (see :mod:`.steps`).
    """

    slopes: Array
    errors: Array
    terms: Array
    lower: Array
    upper: Array
    carried: bool = True

    @property
    def kinks(self) -> Array:
        """Which lines meet a kink."""
        apart = 2.0**-40 * np.maximum(self.terms, np.abs(self.slopes))
        return np.asarray((self.upper - self.lower > apart + 8 * self.errors).any(axis=0))


def complex_slopes(
    problem: Problem, cotangents: Array, lines: Lines, sides: bool = False, x: Array | None = None
) -> Measured:
    """Slopes by complex steps; of both sides of a kink if asked.

    What a kink contributes to one output may lie anywhere between the two slopes of that output.
    """
    x = problem.x if x is None else x
    rows, errors, carried = [], [], True
    for k, h in enumerate(lines.steps):
        u = lines.direction(k, x.size)
        above, kept = _slope(problem, x, u, h, sides)
        below = _slope(problem, x, u, -h, sides)[0] if sides else above
        products = cotangents * above, cotangents * below
        rows.append(
            (
                products[0].sum(axis=1),
                np.abs(products).max(axis=0).sum(axis=1),
                np.minimum(*products).sum(axis=1),
                np.maximum(*products).sum(axis=1),
            )
        )
        errors.append(_TINY[problem.precision] * (1.0 + cotangents.shape[1]) / h)
        carried = carried and kept
    slopes, terms, lower, upper = np.array(rows).reshape(len(lines), 4, -1).transpose(1, 2, 0)
    return Measured(slopes, np.array(errors) + 0 * slopes, terms, lower, upper, carried)


def _slope(problem: Problem, x: Array, u: Array, h: float, leads: bool) -> tuple[Array, bool]:
    """The slope of every output, on the branch that the step leads to unless f jumps there."""
    z = x + (1j * h) * u
    if leads:
        with along():
            y, carried = problem.run(z)
        if np.allclose(y.real, problem.y, rtol=1e-6, atol=0):
            return y.imag / h, carried
    y, carried = problem.run(z)
    return y.imag / h, carried


def central_slopes(problem: Problem, cotangents: Array, lines: Lines) -> Measured:
    """Slopes by real differences, and what they are good to."""
    rows = []
    for k in range(len(lines)):
        u = lines.direction(k, problem.x.size)
        for v in cotangents:
            one = real_slopes(problem, v, u)
            rows.append((one.central, one.error, abs(one.central), one.central, one.central))
    table = np.array(rows).reshape(len(lines), len(cotangents), 5).transpose(2, 1, 0)
    return Measured(*table)


def measured(
    problem: Problem,
    cotangents: Array,
    lines: Lines,
    method: str,
    executor: Executor | None,
) -> Measured:
    """Slopes along all lines, here or spread over the workers of an executor."""
    along = complex_slopes if method == "complex" else central_slopes
    length = _AT_ONCE if executor is None else -(-len(lines) // (4 * (os.cpu_count() or 1))) or 1
    parts = [
        lines.only(np.arange(a, min(a + length, len(lines)))) for a in range(0, len(lines), length)
    ]
    with _Progress(len(lines)) as progress:
        found = list(progress.through(_each(along, problem, cotangents, parts, executor)))
    slopes, errors, terms, lower, upper = (
        np.concatenate(one, axis=1) for one in zip(*(part[:5] for part in found), strict=True)
    )
    return Measured(slopes, errors, terms, lower, upper, all(one.carried for one in found))


def _each(
    along: Any,
    problem: Problem,
    cotangents: Array,
    parts: Sequence[Lines],
    executor: Executor | None,
) -> Iterator[Measured]:
    if executor is None:
        yield from (along(problem, cotangents, one) for one in parts)
        return
    jobs = [executor.submit(_elsewhere, along, problem, cotangents, one) for one in parts]
    yield from (one.result() for one in jobs)


def _elsewhere(along: Any, *arguments: Any) -> Measured:
    """Some of the lines, in whatever thread or process this is."""
    with ignoring_fp_errors():
        found: Measured = along(*arguments)
        return found


class _Progress:
    """One line that overwrites itself, on a terminal only, once two seconds have passed."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.shown = total, 0, False
        self.begun = time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def through(self, parts: Iterator[Measured]) -> Iterator[Measured]:
        """Count what is done, and say so at most ten times per second."""
        for part in parts:
            yield part
            self.done += part.slopes.shape[1]
            if time.monotonic() - self.begun > 2 and sys.stderr.isatty():
                self.shown = True
                self.begun += 0.1
                line = f"gradcheck: {self.done} of {self.total} derivatives"
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
