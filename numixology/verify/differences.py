"""Differences of a function along lines: complex steps, extrapolated real ones, and kinks.

A cotangent v makes of any function the single number ⟨v, f(x)⟩. The sharpest difference of it is
the complex step: for analytic f,

    ∂⟨v, f⟩/∂x_j = Im ⟨v, f(x + i h e_j)⟩ / h + O(h²),

without any subtraction, so h can be as small as 2⁻⁶⁶ of x_j and the result is exact to rounding.
(In float32 it is 2⁻²⁴, which is as exact there and underflows later. An entry above 1 is stepped as
if it were 1, since functions have a scale of their own, and one below 2⁻¹⁰⁰ of its input's largest,
2⁻³⁰ in float32, as if it were that large.)
Where f cannot be run on complex numbers, differences at steps h, h/4, h/16, … are extrapolated to
h = 0 instead: central ones for the slope, and one-sided ones, which differ where f has a kink.
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

from ..array import Array, DTypeLike, quietly
from ..errors import DTypeError
from ..tensors import Tensor, leaf
from ..transforms import pull
from .executors import Executor

__all__ = [
    "Differences",
    "Slopes",
    "Subject",
    "complex_slope",
    "real_slopes",
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
_LEVELS = 10
_SHORTER = 40
_AT_ONCE = 8

#: When a real difference has settled well enough, and one-sided ones, relative to the slope.
_SETTLED, _SETTLED_ONE_SIDED = 1e-8, 1e-6
#: And when it has not settled at all.
_UNSETTLED = 1e-3
#: By what part of the larger one two one-sided slopes differ at a kink.
_KINK = {"float64": 1e-4, "float32": 5e-2}

#: Up to how many roundings of ⟨v, f⟩, seen as a slope, a gradient may be nothing but rounding.
_ROUNDINGS = {"complex": 1e2, "central": 1e4}


class Subject:
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
        return _numbers(output.value, "fn")

    def outputs(self, wrapped: Sequence[Any]) -> list[Array]:
        """The outputs whose derivative is checked, from wrapped arguments, real or complex."""
        output = self.fn(*wrapped)
        value = self._value(output)
        if self.order == 1:
            return [value]
        seed = leaf(self.first.astype(value.dtype))
        return [one.value for one in _gradients(output, seed, [wrapped[i] for i in self.places])]

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
        return [value, *(one.value for one in found)]

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

    def nearby(self) -> tuple[list[Array], Array]:
        """All arguments and the cotangent, with every number moved by one rounding."""

        def moved(x: Array) -> Array:
            ulp = np.finfo(x.dtype).eps * self.rng.choice([-1.0, 1.0], x.shape)
            return np.asarray(x * (1 + ulp), x.dtype)

        return self.arguments([moved(point) for point in self.points]), moved(self.first)

    def moved(self) -> "Subject":
        """The same function at inputs that are one rounding away."""
        arguments, _ = self.nearby()
        twin = copy.copy(self)
        twin.points = [arguments[place] for place in self.places]
        return twin

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

    def noise(self, method: str) -> list[float]:
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


def unit(subject: Subject, which: int, j: int) -> list[Array | None]:
    """The direction of one coordinate of one input."""
    directions: list[Array | None] = [None] * len(subject.points)
    one = directions[which] = np.zeros(subject.points[which].shape)
    one.flat[j] = 1
    return directions


def complex_slope(
    subject: Subject, directions: Sequence[Array | None], step: float = 1.0
) -> tuple[float, float]:
    """The slope of ⟨v, f⟩ by a complex step, and how far roundings of its terms may move it."""
    h = step * _LINE_STEP[subject.precision] * min(1.0, subject.reach(directions))
    moved = [point.astype(_complex_dtype(point)) for point in subject.points]
    for point, direction in zip(moved, directions, strict=True):
        if direction is not None:
            point += (1j * h) * direction
    imaginary = [output.imag[np.newaxis] for output in subject.run(moved)]
    slopes, doubts = _pairings(subject, imaginary, np.array([h]))
    return float(slopes[0]), float(doubts[0])


def _tiny(subject: Subject, v: Array) -> float:
    """What terms that underflow lose, in units of the rounding of those that do not."""
    return _TINY[subject.precision] / float(np.finfo(subject.precision).eps) * (1.0 + v.size)


class Slopes(NamedTuple):
    """Extrapolated real slopes along a line, each with its doubt."""

    central: float
    doubt: float
    left: float
    right: float
    side_doubt: float
    precision: str

    @property
    def kink(self) -> bool:
        """Whether the slopes on both sides differ by more than their doubts."""
        limit = _KINK[self.precision] * max(abs(self.left), abs(self.right))
        return abs(self.left - self.right) > limit + 10 * self.side_doubt


class _Table:
    """Slopes at h, h/4, h/16, … extrapolated to h = 0 (Ridders 1982).

    The best entry is the most settled one: ``doubt`` is by how much it differs from its
    neighbours, and what rounding does to a difference over that step.
    """

    def __init__(self, factor: int) -> None:
        self.factor, self.row = factor, list[float]()
        self.best, self.doubt = math.nan, math.inf

    def add(self, slope: float, rounding: float) -> None:
        previous, self.row = self.row, [slope]
        for k, coarser in enumerate(previous):
            finer = self.row[k] + (self.row[k] - coarser) / (self.factor ** (k + 1) - 1)
            self.row.append(finer)
            doubt = max(abs(finer - self.row[k]), abs(finer - coarser)) + rounding
            if doubt < self.doubt:
                self.best, self.doubt = finer, doubt


def real_slopes(subject: Subject, directions: Sequence[Array | None]) -> Slopes:
    """The central slope along a line and the two one-sided ones, by real differences."""
    reach = subject.reach(directions)
    h = first = 0.02 * reach
    arrays = subject.arguments()
    wrapped = subject.wrapped(arrays, tracked=subject.order == 2)
    moving = [
        (arrays[place], point, u)
        for place, point, u in zip(subject.places, subject.points, directions, strict=True)
        if u is not None
    ]

    def end(h: float) -> float:
        for array, point, u in moving:
            array[...] = point + h * u
        return float(subject.pairing(subject.outputs(wrapped)))

    def ends(h: float) -> tuple[float, float]:
        return end(-h), end(h)

    before, after = ends(h)
    for _ in range(_SHORTER):
        if math.isfinite(after - before):
            break
        h /= 4  # the step was too long for the function's domain
        before, after = ends(h)
    eps = float(np.finfo(subject.precision).eps)
    central, left, right = tables = _Table(16), _Table(4), _Table(4)
    for level in range(_LEVELS):
        slopes = (
            (after - before) / (2 * h),
            (subject.middle - before) / h,
            (after - subject.middle) / h,
        )
        # The function is rounded at its ends, and so are they.
        steep = max(map(abs, slopes))
        rounding = (subject.rounding + eps * (abs(before) + abs(after) + steep * reach)) / h
        central.add(slopes[0], rounding)
        left.add(slopes[1], 2 * rounding)
        right.add(slopes[2], 2 * rounding)
        scale = max(abs(table.best) for table in tables)
        if (
            level > 1
            and central.doubt <= _SETTLED * scale
            and max(left.doubt, right.doubt) <= _SETTLED_ONE_SIDED * scale
        ):
            break
        h /= 4
        before, after = ends(h)
    else:
        lost = 100 * subject.rounding / first
        if (
            central.doubt > _UNSETTLED * abs(central.best) + lost
            and max(left.doubt, right.doubt) > _UNSETTLED * scale
        ):
            central.doubt = left.doubt = math.inf
    doubt = left.doubt + right.doubt
    return Slopes(central.best, central.doubt, left.best, right.best, doubt, subject.precision)


def _complex_dtype(point: Array) -> DTypeLike:
    return np.complex64 if point.dtype == np.float32 else np.complex128


# Along every coordinate -------------------------------------------------------------


class Differences(NamedTuple):
    """One slope per coordinate of an input, and how far off each may be."""

    slopes: Array
    doubts: Array


def slopes_of(subject: Subject, method: str, executor: Executor | None) -> list[Differences]:
    """The slope along every coordinate of every input, by complex or central differences."""
    found = [Differences(np.empty(p.shape), np.empty(p.shape)) for p in subject.points]
    total = sum(point.size for point in subject.points)
    workers = 4 * (os.cpu_count() or 1)
    length = _AT_ONCE if executor is None else -(-total // workers) or 1
    stretches = [
        _Stretch(which, start, min(start + length, point.size))
        for which, point in enumerate(subject.points)
        for start in range(0, point.size, length)
    ]
    with _Progress(total) as progress:
        for stretch, slopes, doubts in _differenced(subject, method, stretches, executor):
            one, piece = found[stretch.which], slice(stretch.start, stretch.stop)
            one.slopes.reshape(-1)[piece], one.doubts.reshape(-1)[piece] = slopes, doubts
            progress.add(len(slopes))
    return found


class _Stretch(NamedTuple):
    """Some neighbouring coordinates of an input."""

    which: int
    start: int
    stop: int


def _differenced(
    subject: Subject, method: str, stretches: Sequence[_Stretch], executor: Executor | None
) -> Iterator[tuple[_Stretch, Array, Array]]:
    """Slopes and doubts of every stretch, here or wherever the executor runs them."""
    along = _along_complex if method == "complex" else _along_real
    if executor is None:
        for stretch in stretches:
            yield stretch, *along(subject, *stretch)
        return
    _ = subject.middle, subject.rounding  # once, not once per worker
    submitted = [(one, executor.submit(_elsewhere, along, subject, one)) for one in stretches]
    for stretch, future in submitted:
        yield stretch, *future.result()


def slopes_along(
    subject: Subject,
    method: str,
    lines: Sequence[Sequence[Array | None]],
    executor: Executor | None,
) -> tuple[Array, Array]:
    """The slope along each line, and how far off it may be."""
    along = complex_slope if method == "complex" else _central_slope
    if executor is None:
        found = [along(subject, line) for line in lines]
    else:
        _ = subject.middle, subject.rounding
        submitted = [executor.submit(_elsewhere, along, subject, [line]) for line in lines]
        found = [future.result() for future in submitted]
    slopes, doubts = np.array(found).T
    return slopes, doubts


def _central_slope(subject: Subject, line: Sequence[Array | None]) -> tuple[float, float]:
    found = real_slopes(subject, line)
    return found.central, found.doubt


def _elsewhere(along: Callable[..., Any], subject: Subject, what: Sequence[Any]) -> Any:
    """A stretch or a line in whatever thread or process this is."""
    with quietly():
        return along(subject, *what)


def _along_real(subject: Subject, which: int, start: int, stop: int) -> tuple[Array, Array]:
    found = [real_slopes(subject, unit(subject, which, j)) for j in range(start, stop)]
    return np.array([one.central for one in found]), np.array([one.doubt for one in found])


def _along_complex(subject: Subject, which: int, start: int, stop: int) -> tuple[Array, Array]:
    """Complex steps, one coordinate after the other; nothing else is written to in between."""
    point = subject.points[which]
    least = _LEAST[subject.precision] * subject.sizes[which]
    sizes = np.maximum(np.abs(point.reshape(-1)[start:stop]), least).astype(np.float64)
    h = _STEP[subject.precision] * np.minimum(sizes, 1)
    moved = subject.arguments([one.astype(_complex_dtype(one)) for one in subject.points])
    wrapped = subject.wrapped(moved, tracked=subject.order == 2)
    flat = moved[subject.places[which]].reshape(-1)
    imaginary = [np.empty((stop - start, *v.shape), v.dtype) for v in subject.cotangents]
    for k, j in enumerate(range(start, stop)):
        here = flat[j]
        flat[j] = complex(here.real, h[k])
        for part, output in zip(imaginary, subject.outputs(wrapped), strict=True):
            part[k] = output.imag  # a copy, since a function may return its very input
        flat[j] = here
    return _pairings(subject, imaginary, h)


def _pairings(subject: Subject, imaginary: Sequence[Array], h: Array) -> tuple[Array, Array]:
    """The slopes ⟨v, Im output⟩ / h, and how far roundings of their terms may move them."""
    slopes, terms = np.zeros((2, len(h)))
    for v, part in zip(subject.cotangents, imaginary, strict=True):
        products = (v * part).reshape(len(h), -1)
        slopes += products.sum(axis=1)
        terms += np.abs(products).sum(axis=1) + _tiny(subject, v)
    return slopes / h, float(np.finfo(subject.precision).eps) * terms / h


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
