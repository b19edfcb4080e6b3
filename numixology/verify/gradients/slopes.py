"""The slopes of ⟨v, f⟩ along many lines, by complex steps where f can be run on complex numbers.

For an analytic f the imaginary part of f(x + i h u) / h is the slope along u, but for h² times a
third derivative: nothing is subtracted, so h can be as small as :mod:`.lines` makes it, and the
slope is exact to rounding.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from ...errors import ArgumentError
from ..arrays.steps import along
from .batches import batch
from .executors import Executor
from .ladders import real_slopes
from .lines import Lines
from .problems import Outputs, Problem

__all__ = ["Measured", "complex_slopes", "measured"]

_TINY = {"float64": 2.0**-1074, "float32": 2.0**-149}
#: So many numbers of x or of y are measured together, of so many lines at most: few calls where f
#: takes a batch, and where it does not, progress to show.
_NUMBERS, _IN_BATCHES, _IN_CALLS = 2**19, 64, 16


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
    rows, carried = [], True
    for some in lines.parts(_at_once(problem)):
        above = None if sides else batch(problem, x, some)
        above = above or _one_by_one(problem, x, some, some.steps, sides)
        one = other = cotangents[:, None] * above.values
        if sides:
            other = cotangents[:, None] * _one_by_one(problem, x, some, -some.steps, sides).values
        terms = np.maximum(np.abs(one), np.abs(other)).sum(axis=-1)
        ends = np.minimum(one, other).sum(axis=-1), np.maximum(one, other).sum(axis=-1)
        rows.append((one.sum(axis=-1), terms, *ends))
        carried = carried and above.carried
    slopes, terms, lower, upper = (np.concatenate(part, axis=1) for part in zip(*rows, strict=True))
    errors = _TINY[problem.precision] * (1.0 + cotangents.shape[1]) / lines.steps
    return Measured(slopes, errors + 0 * slopes, terms, lower, upper, carried)


def _at_once(problem: Problem) -> int:
    most = _IN_BATCHES if problem.batches else _IN_CALLS
    return max(1, min(most, _NUMBERS // max(problem.x.size, problem.y.size, 1)))


def _one_by_one(problem: Problem, x: Array, lines: Lines, steps: Array, sides: bool) -> Outputs:
    """The slope of every output along every line, (lines, outputs), by a call of f for each."""
    found = [_slope(problem, x, lines.direction(k, x.size), h, sides) for k, h in enumerate(steps)]
    return Outputs(np.stack([one.values for one in found]), all(one.carried for one in found))


def _slope(problem: Problem, x: Array, u: Array, h: float, leads: bool) -> Outputs:
    """The slope of every output, on the branch that the step leads to unless f jumps there."""
    z = x + (1j * h) * u
    if leads:
        with along():
            y, carried = problem.run(z)
        if np.allclose(y.real, problem.y, rtol=1e-6, atol=0):
            return Outputs(y.imag / h, carried)
    y, carried = problem.run(z)
    return Outputs(y.imag / h, carried)


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
    by_worker = -(-len(lines) // (4 * (os.cpu_count() or 1))) or 1
    length = _at_once(problem) if executor is None else by_worker
    parts = list(lines.parts(length))
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
    try:
        yield from (one.result() for one in jobs)
    except Exception as error:  # PicklingError, AttributeError or TypeError, as Python's version is
        if "pickle" not in str(error):
            raise
        invariant, instead = "fn can be sent to other processes", "write it with def in a module"
        raise ArgumentError(invariant, str(error), f"{instead}, or use threads") from error


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
