"""Differences of a function along lines: complex steps, extrapolated real ones, and kinks.

A cotangent v makes of any function the single number ⟨v, f(x)⟩. The sharpest difference of it is
the complex step: for analytic f,

    ∂⟨v, f⟩/∂x_j = Im ⟨v, f(x + i h e_j)⟩ / h + O(h²),

without any subtraction, so h can be as small as 2⁻⁶⁶ of x_j and the result is exact to rounding.
(In float32 it is 2⁻²⁴, which is as exact there and underflows later. An entry above 1 is stepped as
if it were 1, since functions have a scale of their own, and one below 2⁻¹⁰⁰ of its input's largest,
2⁻³⁰ in float32, as if it were that large.)
Where f cannot be run on complex numbers, differences at steps h, h/4, h/16, … are extrapolated to
h = 0 instead: central ones for the slope, and one-sided ones, which differ where f has a kink. If
shorter steps contradict what was extrapolated, and not by rounding, it is done again from there.
"""

import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..array import Array, DTypeLike, ignoring_fp_errors
from ..errors import DTypeError
from ..tensors import Tensor, leaf
from ..transforms import pull
from .executors import Executor

__all__ = [
    "Differences",
    "Slopes",
    "Problem",
    "complex_slope",
    "distances",
    "jumps",
    "real_slopes",
    "real_noise",
    "slopes_along",
    "slopes_of",
    "unit",
]

_STEP = {"float64": 2.0**-66, "float32": 2.0**-24}
#: The same along a line through many entries, small ones among them.
_LINE_STEP = {"float64": 2.0**-126, "float32": 2.0**-40}
#: An entry is stepped as if it were at least this part of its input's largest one.
_LEAST = {"float64": 2.0**-100, "float32": 2.0**-30}
_TINY = {"float64": 2.0**-1074, "float32": 2.0**-149}
#: The longest real step, relative to the inputs, how many there are, and how often the longest is
#: shortened to fit into the domain.
_LONGEST, _LEVELS, _SHORTER = 0.02, 10, 40
#: The shortest real step, in roundings of the inputs.
_SHORTEST = 2.0**7
#: How much shorter a step is that puts a kink to the test, and steps that only rounding sees.
_NEARER, _HARDLY_SHORTER = 4.0**-7, (0.993, 0.983, 0.971)
#: So many coordinates share copies of the inputs; fewer where their outputs, all kept, are large.
_AT_ONCE, _KEPT = (8, 64), 2**18

#: When a real difference has settled well enough, and one-sided ones, relative to the slope.
_SETTLED, _SETTLED_ONE_SIDED = 1e-8, 1e-6
#: And when it has not settled at all.
_UNSETTLED = 1e-3
#: By what part of the larger one two one-sided slopes differ at a kink.
_KINK = {"float64": 1e-4, "float32": 5e-2}

#: Up to how many roundings of ⟨v, f⟩, seen as a slope, a gradient may be nothing but rounding.
_ROUNDINGS = {"complex": 1e2, "central": 1e4}


class Problem:
    """The function under check, as a map from its floating-point inputs to a list of arrays.

    For order 1 the map is f itself. For order 2 it is the gradient of ⟨v, f⟩ for a fixed random
    v, so that what is checked is the gradient of ⟨w, gradient⟩.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        vjp: Callable[..., Any] | None,
        values: list[Array],
        rng: "np.random.Generator",
        order: int,
        names: Sequence[str] = (),
    ) -> None:
        self.fn, self.vjp, self.values, self.order, self.rng = fn, vjp, values, order, rng
        unnamed = len(values) - len(names)
        self.names = [
            f"inputs[{i}]" if i < unnamed else f"inputs[{i}] ({names[i - unnamed]})"
            for i in range(len(values))
        ]
        self.on_tape = vjp is None
        self.places = [i for i, one in enumerate(values) if one.dtype.kind == "f"]
        self.points = [values[i] for i in self.places]
        self.precision = "float32" if any(p.dtype == np.float32 for p in self.points) else "float64"
        output = self.output(self.arguments())
        if output.dtype.kind == "c":
            raise DTypeError("fn must be real", str(output.dtype), "check its parts one by one")
        self.first = rng.standard_normal(output.shape).astype(output.dtype)  # v
        self.cotangents = [self.first]
        if order == 2:
            self.cotangents = [
                rng.standard_normal(one.shape).astype(one.dtype) for one in self.points
            ]

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to call the function: neither the vjp nor the generator."""
        return self.__dict__ | {"vjp": None, "rng": None}

    def name(self, which: int) -> str:
        """What to call one of the floating-point inputs."""
        return self.names[self.places[which]]

    def arguments(self, points: Sequence[Array] | None = None) -> list[Array]:
        """Copies of all arguments of f, the floating-point ones at ``points``."""
        everything = [one.copy() for one in self.values]
        for place, point in zip(self.places, points or (), strict=points is not None):
            everything[place] = point.copy()
        return everything

    def wrapped(self, arguments: Sequence[Array], tracked: bool = False) -> list[Any]:
        """The arguments as f wants them: tensors around these very arrays, or the arrays."""
        if not self.on_tape:
            return list(arguments)
        return [
            leaf(one, requires_grad=tracked and i in self.places) for i, one in enumerate(arguments)
        ]

    def output(self, arguments: Sequence[Array]) -> Array:
        """f itself."""
        return self._value(self.fn(*self.wrapped(arguments)))

    def _value(self, output: Any) -> Array:
        if not self.on_tape:
            return _numbers(output, "fn")
        if not isinstance(output, Tensor):
            raise DTypeError(
                "the function must return a tensor",
                type(output).__name__,
                "keep the calculation in tensors, or give vjp= for a function of arrays",
            )
        return _numbers(output.data, "fn")

    def outputs(self, wrapped: Sequence[Any]) -> list[Array]:
        """The outputs whose derivative is checked, from wrapped arguments, real or complex."""
        output = self.fn(*wrapped)
        value = self._value(output)
        if self.order == 1:
            return [value]
        seed = leaf(self.first.astype(value.dtype))
        return [one.data for one in _gradients(output, seed, [wrapped[i] for i in self.places])]

    def run(self, points: Sequence[Array]) -> list[Array]:
        """The same, at the given points."""
        return self.outputs(self.wrapped(self.arguments(points), tracked=self.order == 2))

    def gradient(
        self, arguments: Sequence[Array] | None = None, cotangent: Array | None = None
    ) -> list[Array]:
        """The gradient to check: by the tape, by the tape of a tape, or by the user's vjp.

        The arrays given are handed over as they are, in their layout.
        """
        arguments = self.arguments() if arguments is None else arguments
        cotangent = self.first.copy() if cotangent is None else cotangent
        if self.vjp is None:
            return self._of_tape(arguments, cotangent)[1:]
        found = self.vjp(cotangent, *arguments)
        found = found if isinstance(found, list | tuple) else [found]
        return [_numbers(g, "vjp") for g in found]

    def both(self, arguments: Sequence[Array], cotangent: Array) -> list[Array]:
        """The output and the gradient; the tape gives both at once."""
        if self.vjp is None:
            return self._of_tape(arguments, cotangent)
        return [self.output(arguments), *self.gradient(arguments, cotangent)]

    def _of_tape(self, arguments: Sequence[Array], cotangent: Array) -> list[Array]:
        wrapped = self.wrapped(arguments, tracked=True)
        tracked = [wrapped[i] for i in self.places]
        output = self.fn(*wrapped)
        value = self._value(output)
        found = _gradients(output, leaf(cotangent), tracked, create_graph=self.order == 2)
        if self.order == 2:
            total = leaf(np.zeros((), output.dtype))
            for g, w in zip(found, self.cotangents, strict=True):
                total = total + (g * w).sum()
            found = _gradients(total, leaf(np.ones((), total.dtype)), tracked)
        return [value, *(one.data for one in found)]

    def pairing(self, outputs: Sequence[Array]) -> Any:
        """Σ ⟨v, output⟩."""
        return sum((v * out).sum() for v, out in zip(self.cotangents, outputs, strict=True))

    @cached_property
    def sizes(self) -> list[float]:
        """How far an input can be moved: its largest entry, or if it is zero that of the others."""
        own = [float(np.abs(point).max(initial=0)) for point in self.points]
        usual = min(1.0, max(own)) or 1.0
        return [one or usual for one in own]

    @cached_property
    def weights(self) -> list[float]:
        """The same, relative to the largest of all inputs."""
        return [size / max(self.sizes) for size in self.sizes]

    def reach(self, directions: Sequence[Array | None]) -> float:
        """The largest size of the inputs that move."""
        moving = zip(self.sizes, directions, strict=True)
        return max((size for size, u in moving if u is not None), default=1.0)

    def direction(self, which: int) -> Array:
        """Random signs, and sizes near 1 of which no two are alike, so that no errors cancel."""
        shape = self.points[which].shape
        return np.asarray(self.rng.choice([-1.0, 1.0], shape) * self.rng.uniform(0.5, 1.5, shape))

    def relative(self, which: int) -> Array:
        """A direction in which every entry moves in proportion to its size, zeros most of all."""
        sizes, most = np.abs(self.points[which]), self.sizes[which]
        return self.direction(which) * np.where(sizes > 0, sizes, most) / most

    def nearby(self, some: bool = False) -> tuple[list[Array], Array]:
        """All arguments and the cotangent, with every number, or some, moved by one rounding."""
        moves = [-1.0, 0.0, 1.0] if some else [-1.0, 1.0]

        def moved(x: Array) -> Array:
            ulp = np.finfo(x.dtype).eps * self.rng.choice(moves, x.shape)
            return np.asarray(x * (1 + ulp), x.dtype)

        return self.arguments([moved(point) for point in self.points]), moved(self.first)

    def moved(self) -> "Problem":
        """The same function at inputs that are one rounding away."""
        arguments, _ = self.nearby()
        twin = copy.copy(self)
        twin.points = [arguments[place] for place in self.places]
        return twin

    def a_step_away(self, part: float = _LONGEST) -> "Problem":
        """The same function where every input is moved by a part of its size.

        By default that is as much as the longest real step.
        """
        values = list(self.values)
        for i, (place, point) in enumerate(zip(self.places, self.points, strict=True)):
            step = part * self.sizes[i] * self.relative(i)
            values[place] = np.asarray(point + step, point.dtype)
        return Problem(self.fn, self.vjp, values, self.rng, self.order)

    @cached_property
    def here(self) -> list[Array]:
        """The outputs at the inputs."""
        return [np.array(one) for one in self.run(self.points)]

    @cached_property
    def middle(self) -> float:
        """Σ ⟨v, output⟩ at the inputs."""
        return float(self.pairing(self.here))

    @cached_property
    def rounding(self) -> float:
        """How far the roundings of its terms move Σ ⟨v, output⟩."""
        terms = [np.abs(v * y).sum() for v, y in zip(self.cotangents, self.here, strict=True)]
        return float(np.finfo(self.precision).eps * sum(terms))

    @cached_property
    def underflow(self) -> float:
        """How far terms that underflow move Σ ⟨v, output⟩."""
        return _TINY[self.precision] * sum(1.0 + v.size for v in self.cotangents)

    def rounding_slopes(self, method: str) -> list[float]:
        """What many such roundings look like as a slope, for every input."""
        rounding = _ROUNDINGS[method] * self.rounding
        return [rounding / size for size in self.sizes]


def _numbers(found: Any, giver: str) -> Array:
    """What a function of the user's returned, as an array of numbers that can be compared."""
    try:
        array = np.asarray(found)
    except ValueError:  # sequences of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fciub" or (giver == "vjp" and array.dtype.kind == "c"):
        kind = type(found).__name__ if array.dtype.kind == "O" else str(array.dtype)
        instead = "return one array" + (" per floating-point input" if giver == "vjp" else "")
        if array.dtype.kind == "c":  # what a complex step has left behind
            instead = "a vjp that uses what fn stored must call fn itself first"
        raise DTypeError(f"{giver} must return arrays of real numbers", kind, instead)
    return array.astype(np.float64) if array.dtype.kind in "iub" else array


def _gradients(
    output: Tensor, seed: Tensor, arguments: Sequence[Tensor], create_graph: bool = False
) -> list[Tensor]:
    """The gradient by every argument, zeros where the output does not depend on it."""
    found = pull([output], [seed], arguments, create_graph) if output.requires_grad else []
    found = found or [None] * len(arguments)
    return [
        leaf(np.zeros(one.shape, one.dtype)) if g is None else g
        for one, g in zip(arguments, found, strict=True)
    ]


# Along one line ---------------------------------------------------------------------


def unit(problem: Problem, which: int, j: int) -> list[Array | None]:
    """The direction of one coordinate of one input."""
    directions: list[Array | None] = [None] * len(problem.points)
    one = directions[which] = np.zeros(problem.points[which].shape)
    one.flat[j] = 1
    return directions


def complex_slope(
    problem: Problem, directions: Sequence[Array | None], step: float = 1.0
) -> tuple[float, float]:
    """The slope of ⟨v, f⟩ by a complex step, and how far roundings of its terms may move it."""
    reach = min(1.0, problem.reach(directions))
    h = step * max(_LINE_STEP[problem.precision] * reach, _least_step(problem, reach))
    moved = [point.astype(_complex_dtype(point)) for point in problem.points]
    for point, direction in zip(moved, directions, strict=True):
        if direction is not None:
            point += (1j * h) * direction
    imaginary = [output.imag[np.newaxis] for output in problem.run(moved)]
    slopes, estimates = _pairings(problem, imaginary, np.array([h]))
    return float(slopes[0]), float(estimates[0])


def _least_step(problem: Problem, sizes: Any) -> Any:
    """The smallest number with all its digits, but none so large that its square would count."""
    floats = np.finfo(problem.precision)
    return np.minimum(float(floats.tiny), math.sqrt(floats.eps) * sizes)


def _tiny(problem: Problem, v: Array) -> float:
    """What terms that underflow lose, in units of the rounding of those that do not."""
    return _TINY[problem.precision] / float(np.finfo(problem.precision).eps) * (1.0 + v.size)


class Slopes(NamedTuple):
    """Extrapolated real slopes along a line, each with its error estimate."""

    central: float
    error_estimate: float
    left: float
    right: float
    side_error_estimate: float
    precision: str

    @property
    def kink(self) -> bool:
        """Whether the slopes on both sides differ by more than their error estimates."""
        limit = _KINK[self.precision] * max(abs(self.left), abs(self.right))
        return abs(self.left - self.right) > limit + 10 * self.side_error_estimate


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


class _Measured(NamedTuple):
    """Slopes over one step: central, to the left and to the right, and what rounding does to it."""

    h: float
    slopes: tuple[float, float, float]
    rounding: float


class _Line:
    """The function along one line, over steps of any length."""

    def __init__(self, problem: Problem, directions: Sequence[Array | None]) -> None:
        self.problem, self.reach = problem, problem.reach(directions)
        self.eps = float(np.finfo(problem.precision).eps)
        arrays = problem.arguments()
        self.wrapped = problem.wrapped(arrays, tracked=problem.order == 2)
        self.moving = [
            (arrays[place], point, u)
            for place, point, u in zip(problem.places, problem.points, directions, strict=True)
            if u is not None
        ]
        sizes = (np.abs(point[u != 0] / u[u != 0]) for _, point, u in self.moving)
        own = max((float(one.max(initial=0)) for one in sizes), default=0.0)
        #: Of shorter steps too much is rounded away where they are added to the inputs.
        self.shortest = _SHORTEST * self.eps * own

    def measured(self, h: float) -> _Measured:
        """The slopes over a step of h."""
        before, after, middle = self._end(-h), self._end(h), self.problem.middle
        slopes = (after - before) / (2 * h), (middle - before) / h, (after - middle) / h
        # The function is rounded at its ends, and so are they.
        steep = max(map(abs, slopes))
        ends = self.eps * (abs(before) + abs(after) + steep * self.reach)
        return _Measured(h, slopes, (self.problem.rounding + self.problem.underflow + ends) / h)

    def _end(self, h: float) -> float:
        for array, point, u in self.moving:
            array[...] = point + h * u
        return float(self.problem.pairing(self.problem.outputs(self.wrapped)))


class _Ladder:
    """Slopes at h, h/4, h/16, … along a line, extrapolated until they settle."""

    def __init__(self, line: _Line, top: _Measured) -> None:
        self.line, self.settled = line, False
        self.tables = self.central, self.left, self.right = _Table(16), _Table(4), _Table(4)
        self.rungs = list[_Measured]()
        self._add(top)
        while not (self.settled or self._is_done()):
            self._add(line.measured(self.rungs[-1].h / 4))
        if top.h < 4 * line.shortest or (not self.settled and self._is_unsettled()):
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

    def _is_unsettled(self) -> bool:
        worst = max(self.left.error, self.right.error)
        return self.central.error > self._coarse() and worst > _UNSETTLED * self._scale()

    def _coarse(self) -> float:
        """What may be left of a slope that has not settled, or of one that is but rounding."""
        problem = self.line.problem
        lost = 100 * (problem.rounding + problem.underflow) / (_LONGEST * self.line.reach)
        return _UNSETTLED * abs(self.central.best) + lost

    def _stays_away(self, i: int, before: _Measured, probe: _Measured) -> bool:
        away, table = self._distance(i, probe), self.tables[i]
        return away > 10 * (table.error + probe.rounding) and 2 * away > self._distance(i, before)

    def _distance(self, i: int, here: _Measured) -> float:
        return abs(here.slopes[i] - self.tables[i].best)


def real_slopes(
    problem: Problem, directions: Sequence[Array | None], longest: float = _LONGEST
) -> Slopes:
    """The central slope along a line and the two one-sided ones, by real differences.

    The longest step is that part of the inputs' size.
    """
    return _ladder(problem, directions, longest).slopes


def jumps(problem: Problem, directions: Sequence[Array | None]) -> bool:
    """Whether the function jumps here along a line: a far shorter step changes it as much."""
    line = _Line(problem, directions)
    near, nearer = (line.measured(times * line.shortest) for times in (256, 16))
    return any(
        abs(short * nearer.h) > max(0.9 * abs(long * near.h), 100 * nearer.rounding * nearer.h)
        for long, short in zip(near.slopes[1:], nearer.slopes[1:], strict=True)
    )


def distances(problem: Problem) -> list[float]:
    """Distances, as parts of the inputs, that have room for some real steps, the longest first."""
    shortest = 64 * _SHORTEST * float(np.finfo(problem.precision).eps)
    count = 1 + int(math.log(_LONGEST / shortest, 16))
    return [_LONGEST / 16.0**k for k in range(count)]


def real_noise(problem: Problem, directions: Sequence[Array | None]) -> float:
    """By how much the central slope is another over steps that are hardly other ones.

    Steps that are exactly a quarter of each other may be rounded alike, or meet the same point of a
    wave, and seem to have settled. If so, nothing is known of the slope, and this is infinite.
    """
    return _ladder(problem, directions).noise()


def _ladder(
    problem: Problem, directions: Sequence[Array | None], longest: float = _LONGEST
) -> _Ladder:
    line = _Line(problem, directions)
    top = line.measured(longest * line.reach)
    for _ in range(_SHORTER):
        if math.isfinite(top.slopes[0]):
            break
        top = line.measured(top.h / 4)  # the step was too long for the function's domain
    ladder = _Ladder(line, top)
    while finer := ladder.finer():
        below = _Ladder(line, finer)
        if ladder.is_kink_of(below):
            break
        ladder = below
    return ladder


def _complex_dtype(point: Array) -> DTypeLike:
    return np.complex64 if point.dtype == np.float32 else np.complex128


# Along every coordinate -------------------------------------------------------------


class Differences(NamedTuple):
    """One slope per coordinate of an input, and how far off each may be."""

    slopes: Array
    error_estimates: Array


def slopes_of(problem: Problem, method: str, executor: Executor | None) -> list[Differences]:
    """The slope along every coordinate of every input, by complex or central differences."""
    found = [Differences(np.empty(p.shape), np.empty(p.shape)) for p in problem.points]
    total = sum(point.size for point in problem.points)
    workers = 4 * (os.cpu_count() or 1)
    outputs = sum(v.size for v in problem.cotangents) or 1
    at_once = int(np.clip(_KEPT // outputs, *_AT_ONCE))
    length = at_once if executor is None else -(-total // workers) or 1
    stretches = [
        _Stretch(which, start, min(start + length, point.size))
        for which, point in enumerate(problem.points)
        for start in range(0, point.size, length)
    ]
    with _Progress(total) as progress:
        for stretch, slopes, estimates in _differenced(problem, method, stretches, executor):
            one, piece = found[stretch.which], slice(stretch.start, stretch.stop)
            one.slopes.reshape(-1)[piece] = slopes
            one.error_estimates.reshape(-1)[piece] = estimates
            progress.add(len(slopes))
    return found


class _Stretch(NamedTuple):
    """Some neighboring coordinates of an input."""

    which: int
    start: int
    stop: int


def _differenced(
    problem: Problem, method: str, stretches: Sequence[_Stretch], executor: Executor | None
) -> Iterator[tuple[_Stretch, Array, Array]]:
    """Slopes and error estimates of every stretch, here or wherever the executor runs them."""
    along = _along_complex if method == "complex" else _along_real
    if executor is None:
        for stretch in stretches:
            yield stretch, *along(problem, *stretch)
        return
    _ = problem.middle, problem.rounding, problem.underflow  # once, not once per worker
    submitted = [(one, executor.submit(_elsewhere, along, problem, one)) for one in stretches]
    for stretch, future in submitted:
        yield stretch, *future.result()


def slopes_along(
    problem: Problem,
    method: str,
    lines: Sequence[Sequence[Array | None]],
    executor: Executor | None,
) -> tuple[Array, Array]:
    """The slope along each line, and how far off it may be."""
    along = complex_slope if method == "complex" else _central_slope
    if executor is None:
        found = [along(problem, line) for line in lines]
    else:
        _ = problem.middle, problem.rounding, problem.underflow
        submitted = [executor.submit(_elsewhere, along, problem, [line]) for line in lines]
        found = [future.result() for future in submitted]
    slopes, estimates = np.array(found).T
    return slopes, estimates


def _central_slope(problem: Problem, line: Sequence[Array | None]) -> tuple[float, float]:
    found = real_slopes(problem, line)
    return found.central, found.error_estimate


def _elsewhere(along: Callable[..., Any], problem: Problem, what: Sequence[Any]) -> Any:
    """A stretch or a line in whatever thread or process this is."""
    with ignoring_fp_errors():
        return along(problem, *what)


def _along_real(problem: Problem, which: int, start: int, stop: int) -> tuple[Array, Array]:
    found = [real_slopes(problem, unit(problem, which, j)) for j in range(start, stop)]
    return np.array([one.central for one in found]), np.array([one.error_estimate for one in found])


def _along_complex(problem: Problem, which: int, start: int, stop: int) -> tuple[Array, Array]:
    """Complex steps, one coordinate after the other; nothing else is written to in between."""
    point = problem.points[which]
    least = _LEAST[problem.precision] * problem.sizes[which]
    sizes = np.maximum(np.abs(point.reshape(-1)[start:stop]), least).astype(np.float64)
    sizes = np.minimum(sizes, 1)
    h = np.maximum(_STEP[problem.precision] * sizes, _least_step(problem, sizes))
    moved = problem.arguments([one.astype(_complex_dtype(one)) for one in problem.points])
    wrapped = problem.wrapped(moved, tracked=problem.order == 2)
    flat = moved[problem.places[which]].reshape(-1)
    imaginary = [np.empty((stop - start, *v.shape), v.dtype) for v in problem.cotangents]
    for k, j in enumerate(range(start, stop)):
        here = flat[j]
        flat[j] = complex(here.real, h[k])
        for part, output in zip(imaginary, problem.outputs(wrapped), strict=True):
            part[k] = output.imag  # a copy, since a function may return its very input
        flat[j] = here
    return _pairings(problem, imaginary, h)


def _pairings(problem: Problem, imaginary: Sequence[Array], h: Array) -> tuple[Array, Array]:
    """The slopes ⟨v, Im output⟩ / h, and how far roundings of their terms may move them."""
    slopes, terms = np.zeros((2, len(h)))
    for v, part in zip(problem.cotangents, imaginary, strict=True):
        products = (v * part).reshape(len(h), -1)
        slopes += products.sum(axis=1)
        terms += np.abs(products).sum(axis=1) + _tiny(problem, v)
    return slopes / h, float(np.finfo(problem.precision).eps) * terms / h


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

    def add(self, more: int) -> None:
        """Count what is done, and say so at most ten times per second."""
        self.done += more
        if time.monotonic() - self.begun > 2 and sys.stderr.isatty():
            self.shown = True
            self.begun += 0.1
            line = f"gradcheck: {self.done} of {self.total} derivatives"
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
