"""Real differences: slopes at steps h, h/4, h/16, … along a line, extrapolated to h = 0.

Central ones give the slope; one-sided ones differ where f has a kink. They lose digits, and lose
nothing else: whatever f does, they see it. So they are what is left where f cannot be run on
complex numbers, and they tell whether a complex step can be believed.

A long step may pass over something small. If shorter steps contradict what was extrapolated, and
not by rounding, it is done again from there. A step that leads out of the domain of f is shortened.
"""

import math
from typing import NamedTuple

import numpy as np

from ...array import Array
from .problems import Problem

__all__ = ["Slopes", "is_staircase", "jumps", "persists", "real_noise", "real_slopes"]

#: The longest step, relative to the inputs, how many there are, and how often the longest is
#: shortened to fit into the domain.
_LONGEST, _LEVELS, _SHORTER = 0.02, 10, 40
#: The shortest step, in roundings of the inputs.
_SHORTEST = 2.0**7
#: How much shorter a step is that puts a kink to the test, and steps that only rounding sees.
_NEARER, _HARDLY_SHORTER = 4.0**-7, (0.993, 0.983, 0.971)
#: The step, in parts of the inputs' size, over which slopes must persist.
_SHORT = {"float64": 2.0**-30, "float32": 2.0**-12}
#: When a slope has settled, relative to it: the central one, those of one side, and not at all.
_SETTLED, _SETTLED_ONE_SIDED, _UNSETTLED = 1e-8, 1e-6, 1e-3
#: By what part of the larger one two slopes differ at a kink.
_KINK = {"float64": 1e-7, "float32": 5e-2}
_TINY = {"float64": 2.0**-1074, "float32": 2.0**-149}


class Slopes(NamedTuple):
    """Extrapolated slopes along a line, each with its error estimate."""

    central: float
    error: float
    left: float
    right: float
    side_error: float
    precision: str

    @property
    def kink(self) -> bool:
        """Whether the slopes on both sides differ by more than their error estimates."""
        limit = _KINK[self.precision] * max(abs(self.left), abs(self.right))
        return abs(self.left - self.right) > limit + 10 * self.side_error


def real_slopes(problem: Problem, v: Array, u: Array) -> Slopes:
    """The slopes of ⟨v, f⟩ along u: the central one and those of both sides."""
    return _ladder(problem, v, u).slopes


def persists(problem: Problem, v: Array, u: Array, slopes: Slopes) -> bool:
    """Whether slopes that have settled are those of short steps too, as far as rounding lets see.

    Long steps may meet the same phase of a wave, or see a jump as a slope.
    """
    line = _Line(problem, v, u, float(problem.sizes[u != 0].max()))
    h = line.reach * _SHORT[problem.precision]
    short = line.measured(h)
    expected = slopes.central, slopes.left, slopes.right
    largest = max(map(abs, expected))
    coarse = 20 * short.rounding + 20 * line.eps * largest * line.reach / h
    jump = abs(slopes.right - slopes.left) if slopes.kink else largest
    sides = range(1, 3) if slopes.kink else range(3)
    return all(abs(short.slopes[i] - expected[i]) <= 0.01 * jump + coarse for i in sides)


def real_noise(problem: Problem, v: Array, u: Array) -> float:
    """By how much the central slope is another over steps that are hardly other ones.

    Steps that are exactly a quarter of each other may be rounded alike, or meet the same point of a
    wave, and seem to have settled. If so, nothing is known of the slope, and this is infinite.
    """
    return _ladder(problem, v, u).noise()


def is_staircase(problem: Problem, v: Array, u: Array, claimed: float) -> bool:
    """Whether the slope along u may be that of a single step of a staircase, made by rounding.

    1 + erf(x) near -6 changes in steps of 1e-16. Long differences cross many of them, and come
    nearer to the slope that is claimed; over short ones the two slopes differ by less than a step.
    """
    ladder = _ladder(problem, v, u)
    line, short = ladder.line, ladder.central.best
    step = 8 * line.eps * max(1.0, line.reach) * float(np.abs(v).max())
    long = line.measured(_LONGEST * line.reach).slopes[0]
    nearer = abs(long - claimed) < abs(long - short)
    return nearer and abs(claimed - short) * ladder.rungs[-1].h <= step


def jumps(problem: Problem, v: Array, u: Array) -> bool:
    """Whether f jumps here along u: a far shorter step changes it as much."""
    line = _Line(problem, v, u, float(problem.sizes[u != 0].max()))
    shortest = line.shortest or _SHORTEST * line.eps * line.reach
    near, nearer = (line.measured(times * shortest) for times in (256, 16))
    return any(
        abs(short * nearer.h) > max(0.9 * abs(long * near.h), 100 * nearer.rounding * nearer.h)
        for long, short in zip(near.slopes[1:], nearer.slopes[1:], strict=True)
    )


def _ladder(problem: Problem, v: Array, u: Array) -> "_Ladder":
    """A ladder that begins at the size of the inputs; else one at that of the very entries."""
    moving = u != 0
    reach = float(problem.sizes[moving].max(initial=0)) or 1.0
    own = float(np.abs(problem.x[moving] / u[moving]).max(initial=0))
    ladder = _settled(_Line(problem, v, u, reach))
    if ladder.is_unsettled() and 0 < own < 1e-3 * reach:
        nearer = _settled(_Line(problem, v, u, own))
        ladder = ladder if nearer.is_unsettled() else nearer
    return ladder


def _settled(line: "_Line") -> "_Ladder":
    top = line.measured(_LONGEST * line.reach)
    for _ in range(_SHORTER):
        if math.isfinite(top.slopes[0]):
            break
        top = line.measured(top.h / 4)  # the step was too long for the domain of f
    ladder = _Ladder(line, top)
    while finer := ladder.finer():
        below = _Ladder(line, finer)
        if ladder.is_kink_of(below):
            break
        ladder = below
    return ladder


class _Measured(NamedTuple):
    """Slopes over one step: central, to the left and to the right, and what rounding does to it."""

    h: float
    slopes: tuple[float, float, float]
    rounding: float


class _Line:
    """⟨v, f⟩ along one line, over steps of any length."""

    def __init__(self, problem: Problem, v: Array, u: Array, reach: float) -> None:
        self.problem, self.v, self.u, self.reach = problem, v, u, reach
        self.x = problem.x
        self.middle = float(v @ problem.y)
        self.eps = float(np.finfo(problem.precision).eps)
        self.rounding = self.eps * float(np.abs(v) @ np.abs(problem.y))
        self.rounding += _TINY[problem.precision] * (1.0 + v.size)
        moving = u != 0
        #: Of shorter steps too much is rounded away where they are added to the inputs.
        own = float(np.abs(self.x[moving] / u[moving]).max(initial=0))
        self.shortest = _SHORTEST * self.eps * own

    def measured(self, h: float) -> _Measured:
        """The slopes over a step of h."""
        before, after = self._end(-h), self._end(h)
        middle = self.middle
        slopes = (after - before) / (2 * h), (middle - before) / h, (after - middle) / h
        # f is rounded at the ends of a step, and so are they.
        steep = max(map(abs, slopes))
        ends = self.eps * (abs(before) + abs(after) + steep * self.reach)
        return _Measured(h, slopes, (self.rounding + ends) / h)

    def _end(self, h: float) -> float:
        try:
            return float(self.v @ self.problem.run(self.x + h * self.u).values)
        except Exception:  # whatever f raises outside of its domain
            return math.nan


class _Table:
    """Slopes at h, h/4, h/16, … extrapolated to h = 0 (Ridders 1982).

    The best entry is the most settled one: ``error`` is by how much it differs from its
    neighbors, and what rounding does to a difference over that step.
    """

    def __init__(self, factor: int) -> None:
        self.factor, self.row = factor, list[float]()
        self.best, self.error = math.nan, math.inf

    def add(self, slope: float, rounding: float) -> None:
        previous, self.row = self.row, [slope]
        for k, coarser in enumerate(previous):
            finer = self.row[k] + (self.row[k] - coarser) / (self.factor ** (k + 1) - 1)
            self.row.append(finer)
            estimate = max(abs(finer - self.row[k]), abs(finer - coarser)) + rounding
            if estimate < self.error:
                self.best, self.error = finer, estimate


class _Ladder:
    """Slopes at h, h/4, h/16, … along a line, extrapolated until they settle."""

    def __init__(self, line: _Line, top: _Measured) -> None:
        self.line, self.settled = line, False
        self.tables = self.central, self.left, self.right = _Table(16), _Table(4), _Table(4)
        self.rungs = list[_Measured]()
        self._add(top)
        while not (self.settled or self._is_done()):
            self._add(line.measured(self.rungs[-1].h / 4))
        if top.h < 4 * line.shortest or (not self.settled and self.is_unsettled()):
            self.refuse()

    @property
    def slopes(self) -> Slopes:
        """The best of each table."""
        central, left, right = self.tables
        error, precision = left.error + right.error, self.line.problem.precision
        return Slopes(central.best, central.error, left.best, right.best, error, precision)

    def refuse(self) -> None:
        """Trust none of the slopes."""
        for table in self.tables:
            table.error = math.inf

    def finer(self) -> _Measured | None:
        """A shorter step that contradicts these slopes, if there is one.

        A slope comes closer to its limit as the step shrinks. One that stays away, or goes, shows
        something that longer steps have passed over, or is rounded. What is rounded wavers: over
        a step that is hardly another it is another slope.
        """
        before, probe = self.rungs[-2:]
        if self.settled:
            if not self.slopes.kink:
                return None
            before, probe = probe, self.line.measured(max(probe.h * _NEARER, self.line.shortest))
        places = [i for i in range(3) if self._stays_away(i, before, probe)]
        if not places:
            return None
        spreads = self._spreads(probe)
        wide = any(self._distance(i, probe) > 8 * spreads[i] for i in places)
        return probe if wide else None

    def is_kink_of(self, below: "_Ladder") -> bool:
        """Whether shorter steps lead to one side of a kink, and are too short to tell its slope."""
        low, high = sorted((self.left.best, self.right.best))
        slack = 2 / _SHORTEST * self._scale()  # what rounding does to the shortest step
        between = low - slack <= below.central.best <= high + slack
        return self.settled and between and below.central.error > _SETTLED_ONE_SIDED * self._scale()

    def noise(self) -> float:
        """By how much a slope that seemed to have settled is another over hardly shorter steps."""
        before, last = self.rungs[-2:]
        spread = self._spreads(last)[0]
        if not self.settled or spread <= self._distance(0, before):
            return 0.0
        return math.inf if spread > self._coarse() else spread

    def _spreads(self, here: _Measured) -> list[float]:
        nearby = [here, *(self.line.measured(here.h * part) for part in _HARDLY_SHORTER)]
        slopes = np.array([one.slopes for one in nearby])
        return [float(one) for one in np.ptp(slopes, axis=0)]

    def _add(self, here: _Measured) -> None:
        self.rungs.append(here)
        for table, slope, times in zip(self.tables, here.slopes, (1, 2, 2), strict=True):
            table.add(slope, times * here.rounding)
        self.settled = len(self.rungs) > 2 and self._is_settled()

    def _is_done(self) -> bool:
        short = self.rungs[-1].h < 4 * self.line.shortest
        return len(self.rungs) == _LEVELS or (short and len(self.rungs) > 2)

    def _scale(self) -> float:
        return max(abs(table.best) for table in self.tables)

    def _is_settled(self) -> bool:
        worst = max(self.left.error, self.right.error)
        scale = self._scale()
        return self.central.error <= _SETTLED * scale and worst <= _SETTLED_ONE_SIDED * scale

    def is_unsettled(self) -> bool:
        """Whether neither the central slope nor one side has settled."""
        worst = max(self.left.error, self.right.error)
        return self.central.error > self._coarse() and worst > _UNSETTLED * self._scale()

    def _coarse(self) -> float:
        """What may be left of a slope that has not settled, or of one that is but rounding."""
        lost = 100 * self.line.rounding / (_LONGEST * self.line.reach)
        return _UNSETTLED * abs(self.central.best) + lost

    def _stays_away(self, i: int, before: _Measured, probe: _Measured) -> bool:
        away, table = self._distance(i, probe), self.tables[i]
        return away > 10 * (table.error + probe.rounding) and 2 * away > self._distance(i, before)

    def _distance(self, i: int, here: _Measured) -> float:
        return abs(here.slopes[i] - self.tables[i].best)
