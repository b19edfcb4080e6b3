"""Which steps a check takes, complex or real ones, and where the function has kinks.

A complex step that f carries from its inputs to its outputs is believed (see :mod:`.steps`). Where
the outputs are plain complex numbers, as those of JAX or torch are, an operation such as abs may
have dropped the step. So along a random line per input it is compared with real differences, which
drop nothing, but are less exact.
"""

import math
import warnings
from typing import NamedTuple

import numpy as np

from ...array import Array
from ..arrays.steps import met
from .doubts import moved
from .kinks import kinked
from .ladders import Slopes, jumps, persists, real_slopes
from .lines import coordinates, directions
from .problems import Problem
from .slopes import Measured, complex_slopes

__all__ = ["Plan", "cotangents", "planned", "relative"]

_KEEPS_IT = "fn runs on complex numbers and keeps their derivative"
_DROPS = "drops the imaginary part, such as abs, var or norm"
#: When real differences have settled, and how closely they agree with a step that is believed.
_SETTLED = {"float64": 1e-6, "float32": 2e-2}
_BELIEVED = {"float64": 1e-9, "float32": 2e-2}
#: And with one that may have been dropped.
_KEEPS = {"float64": 1e-10, "float32": 2e-2}
#: When they contradict one that is exactly zero, as where another library drops the step.
_MOVES = 0.05
#: From what ratio of their derivatives on outputs are made alike by a second cotangent.
_UNLIKE = 100.0


class Plan(NamedTuple):
    """Which steps to take, why, and what was seen of f in deciding this.

    Attributes:
        method: ``"complex"`` or ``"central"``.
        why: why that one.
        kinks: coordinates at which real differences show a kink.
        tied: whether f met equal numbers where it has a kink, and steps of both sides show it.
        jumps: coordinates at which f jumps, so that the gradient is that of one side.
        doubted: whether real differences contradict steps that f seems to carry.
        known: how closely real differences confirm the steps, 0 where that is not needed.
    """

    method: str
    why: str
    kinks: tuple[int, ...] = ()
    tied: bool = False
    known: float = 0.0
    doubted: bool = False
    jumps: tuple[int, ...] = ()


def relative(problem: Problem, stretch: slice = slice(None)) -> Array:
    """A random line: every number moves in proportion to itself, a zero to its input's largest."""
    x, sizes, rng = problem.x, problem.sizes, problem.rng
    sign = rng.choice([-1.0, 1.0], x.size) * rng.uniform(0.5, 1.5, x.size)
    line = np.zeros(x.size)
    line[stretch] = (sign * np.where(x != 0, np.abs(x), sizes))[stretch]
    return line / (float(sizes[stretch].max(initial=0)) or 1.0)


def planned(problem: Problem, v: Array, method: str) -> Plan:
    """Try a line per input; note kinks, which steps can be believed, and float32 inside."""
    if problem.precision == "float64" and _is_single(problem):
        problem.precision = "float32"
    plan = _planned(problem, v, method)
    if problem.precision == "float32" and all(one.dtype == np.float64 for one in problem.points):
        return plan._replace(why=f"{plan.why}; fn computes in float32")
    return plan


def _is_single(problem: Problem) -> bool:
    """Whether all that f returns is rounded to float32, also beside the inputs."""
    near = [problem.x * (1 + part * problem.rng.random(problem.x.size)) for part in (1e-6, 1e-2)]
    try:
        outputs = [problem.y, *(problem.run(x).values for x in near)]
    except Exception:  # outside of its domain
        return False
    digits = np.frexp(np.concatenate(outputs))[0] * 2.0**18
    fine = (digits != np.rint(digits)).any()  # and on no coarser grid, as what cancels is
    return bool(fine) and all(np.array_equal(y, y.astype(np.float32)) for y in outputs)


def _planned(problem: Problem, v: Array, method: str) -> Plan:
    lines = [(one, relative(problem, one)) for one in problem.stretches if one.stop > one.start]
    real = [(one, u, real_slopes(problem, v, u)) for one, u in lines]
    plain_kinks = [j for one, _, slopes in real if slopes.kink for j in kinked(problem, v, one)]
    if method == "central":
        return Plan("central", "it was asked for", tuple(plain_kinks), doubted=True)
    try:
        with warnings.catch_warnings(), met() as seen:
            warnings.simplefilter("error")
            carried = problem.batches = _along(problem, v, relative(problem)).carried
            if seen.precision == "float32":
                problem.precision = "float32"
            tied = carried and seen.ties > 0
            kinks = _tied(problem, v) if tied else [] if carried and problem.carry else plain_kinks
            steep = [(one, u) for one, u, slopes in real if math.isinf(slopes.error)]
            jumping = [one for one, u in steep if jumps(problem, v, u)]
            places = [j for one in jumping for j in range(one.start, one.stop)]
            places = [j for j in places if jumps(problem, v, problem.unit(j))]
            plan = Plan("complex", _KEEPS_IT, tuple(kinks), tied, jumps=tuple(places))
            if method == "complex":
                return plan._replace(why="it was asked for")
            for one, u, slopes in real if not problem.kept else ():
                lost = _lost(problem, v, one, u, slopes, carried, kinks)
                if isinstance(lost, str):
                    return Plan("central", lost, tuple(plain_kinks), doubted=carried)
                plan = plan._replace(known=max(plan.known, lost))
            return plan
    except Exception as error:  # whatever fn raises on complex numbers
        if problem.carry:
            problem.carry = False
            return _planned(problem, v, method)
        if method == "complex":
            raise
        return Plan("central", f"complex steps raised {type(error).__name__}", tuple(plain_kinks))


def _tied(problem: Problem, v: Array) -> list[int]:
    """The coordinates along which steps of both sides have two slopes."""
    found = complex_slopes(problem, v[None], coordinates(problem), sides=True)
    return [int(j) for j in np.flatnonzero(found.kinks)]


def _lost(
    problem: Problem,
    v: Array,
    stretch: slice,
    u: Array,
    real: Slopes,
    carried: bool,
    kinks: list[int],
) -> str | float:
    """Why complex steps cannot be believed along a line, or how closely they are confirmed."""
    name = problem.names[problem.where(stretch.start)[0]]
    found = _along(problem, v, u, carried)
    slope = float(found.slopes[0, 0])
    if not math.isfinite(slope):
        return f"complex steps are not finite around {name}"
    if carried:
        closely, low, high = _BELIEVED[problem.precision], found.lower[0, 0], found.upper[0, 0]
    else:
        closely, low, high = _KEEPS[problem.precision], slope, slope
        if real.kink:
            u = u.copy()
            u[kinks] = 0
            real = real_slopes(problem, v, u)
            low = high = slope = float(_along(problem, v, u).slopes[0, 0])
    settled = _SETTLED[problem.precision] if carried or slope else _MOVES
    if not real.error <= settled * abs(real.central):
        return 0.0  # real differences cannot tell
    away = max(low - real.central, real.central - high)
    if away <= closely * max(abs(slope), abs(real.central)) + 10 * real.error:
        return 0.0 if carried else max(away, real.error) / (abs(slope) or 1.0)
    if carried and not persists(problem, v, u, real):
        return 0.0
    return f"{name} passes through an operation that {_DROPS}"


def _along(problem: Problem, v: Array, u: Array, sides: bool = False) -> Measured:
    return complex_slopes(problem, v[None], directions(problem, u[None]), sides)


def cotangents(problem: Problem, v: Array, method: str) -> Array:
    """v alone, or where outputs differ much in size also a second one that weighs them equally.

    A real step loses what is much smaller, and takes v alone.
    """
    if method == "central":
        return v[None]
    rows = np.zeros(v.size)
    for stretch in problem.stretches:
        u = relative(problem, stretch)
        here, there = (_rows(problem, x, u) for x in (problem.x, moved(problem, problem.x)))
        rows = np.maximum(rows, np.abs(here) - 64 * np.abs(there - here))
    most = rows.max(initial=0)
    if not np.isfinite(most) or not most or rows.min() * _UNLIKE > most:
        return v[None]
    alike = v * np.where(rows > 0, most / np.where(rows > 0, rows, 1), 1)
    return np.stack([v, alike])


def _rows(problem: Problem, x: Array, u: Array) -> Array:
    """How every output changes along u."""
    h = float(directions(problem, u[None]).steps[0])
    return problem.run(x + 1j * h * u).values.imag / h
