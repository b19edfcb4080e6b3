"""The gradient check: does a gradient say what the function does?

A cotangent v is drawn at random, which makes of any function the single number ⟨v, f(x)⟩. Its
gradient by x is what a vjp returns for v, and also what differences of f itself show. The sharpest
difference is the complex step: for analytic f,

    ∂⟨v, f⟩/∂x_j = Im ⟨v, f(x + i h e_j)⟩ / h + O(h²),

without any subtraction, so h can be as small as 2⁻⁶⁶ of x and the result is exact to rounding.
(In float32 it is 2⁻²⁴, which is as exact there and underflows later.)
Where f cannot be run on complex numbers, central differences at steps h, h/4, h/16, … are
extrapolated to h = 0 instead.

A check that cannot fail proves nothing. So a pass also requires that wrong gradients made from
the right one (zero, negated, rolled, scaled) are rejected by the same comparison.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ..array import Array, DTypeLike, quietly
from ..errors import ArgumentError, DTypeError, GradientError
from ..tensors import Tensor, leaf
from ..transforms import pull

__all__ = ["GradcheckReport", "Verdict", "gradcheck"]

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive"]
Method: TypeAlias = Literal["auto", "complex", "central"]

#: Limits on the error relative to the gradient's largest entry, by method and precision.
TOLERANCES = {
    ("complex", "float64"): 1e-12,
    ("complex", "float32"): 1e-4,
    ("central", "float64"): 1e-6,
    ("central", "float32"): 2e-2,
}
#: An input, an index into it, the gradient there and the difference there.
Place: TypeAlias = tuple[int, tuple[int, ...], float, float]

_STEP = {"float64": 2.0**-66, "float32": 2.0**-24}
_DIRECTIONS = 4
_LEVELS = 10
_SHORTER = 40

#: Up to how many roundings of ⟨v, f⟩, seen as a slope, a gradient may be nothing but rounding.
_ROUNDINGS = {"complex": 1e2, "central": 1e4}


class GradcheckReport(NamedTuple):
    """What :func:`.gradcheck` found; it is true if the check passed, and prints readably.

    Attributes:
        verdict: ``"pass"``, ``"fail"`` or ``"inconclusive"``.
        max_error: how far the gradient is from the difference at most, relative to the largest
            entry of that input's gradient.
        tolerance: the limit on it. A smaller error would not have been noticed.
        method: ``"complex"`` or ``"central"``.
        order: 1, or 2 for the gradient of the gradient.
        coordinates: how many derivatives were compared.
        worst: input, index, gradient and difference where they are farthest apart.
        reason: why the verdict is what it is, in a sentence.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> report = nx.gradcheck(np.exp, np.ones(2), vjp=lambda ct, x: 2 * ct * np.exp(x))
        >>> bool(report), report.verdict, report.method, report.coordinates
        (False, 'fail', 'complex', 2)
        >>> report.reason
        'the gradient of inputs[0] is wrong'
    """

    verdict: Verdict
    max_error: float
    tolerance: float
    method: str
    order: int
    coordinates: int
    worst: Place | None
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the verdict is ``"pass"``."""
        return self.verdict == "pass"

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [
            f"gradcheck: {self.verdict.upper()}: {self.reason}",
            f"  order {self.order}, {self.method} step, {self.coordinates} derivatives",
            f"  largest error {self.max_error:.1e} of the gradient's largest entry, "
            f"limit {self.tolerance:.1e}",
        ]
        if self.worst is not None:
            which, index, ours, theirs = self.worst
            lines.append(
                f"  farthest apart at inputs[{which}]{list(index)}: "
                f"gradient {ours:.17g}, difference {theirs:.17g}"
            )
        return "\n".join(lines)


def gradcheck(
    fn: Callable[..., Any],
    *inputs: Any,
    vjp: Callable[..., Any] | None = None,
    method: Method = "auto",
    order: int = 1,
    rng: "np.random.Generator | int" = 0,
    tolerance: float | None = None,
    fast: bool = False,
    raise_on_failure: bool = False,
) -> GradcheckReport:
    """Compare the gradient of ``fn`` with differences of ``fn`` itself.

    Args:
        fn: a function of tensors that returns a tensor; with ``vjp`` a function of NumPy arrays
            that returns an array.
        *inputs: what to call it with: arrays, tensors, numbers or lists. Floating-point ones are
            differentiated, others (ids, masks) are handed over as they are.
        vjp: a hand-written gradient to check instead of the tape's:
            ``vjp(cotangent, *inputs)`` returns one array per floating-point input, or just the
            array if there is one.
        method: ``"complex"`` steps, ``"central"`` differences, or ``"auto"``: complex where
            ``fn`` can be run on complex numbers and keeps their derivative.
        order: 1 for the gradient; 2 for the gradient of ⟨w, gradient⟩ with a random w.
        rng: a seed or Generator for the cotangents and directions.
        tolerance: the largest error that passes, relative to the largest entry of each input's
            gradient; by default 1e-12 for complex steps and 1e-6 for central differences in
            float64.
        fast: compare four random directions through all inputs at once, not every coordinate;
            the error is then relative to the gradient's Euclidean norm.
        raise_on_failure: raise GradientError with the report unless the check passes.

    Returns:
        A :class:`.GradcheckReport`: ``passed``, ``verdict``, ``max_error`` and more. The verdict
        is ``"inconclusive"`` where nothing was proved: a gradient that is zero everywhere, a
        function that is random, or wrong gradients that this check would have accepted.

    Raises:
        ArgumentError: an unknown method or order, or a tolerance that is not positive.
        DTypeError: no floating-point input or a half-precision one, or ``fn`` or ``vjp`` returns
            something else than said above.
        GradientError: the check did not pass and ``raise_on_failure`` is set.

    Source: Squire and Trapp 1998, "Using complex variables to estimate derivatives of real
    functions".

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> report = nx.gradcheck(nx.functional.gelu, np.linspace(-3.0, 3.0, 7))
        >>> report.passed, report.method
        (True, 'complex')
        >>> wrong = nx.gradcheck(np.exp, np.ones(3), vjp=lambda ct, x: ct * np.exp(x) * 1.000001)
        >>> wrong.verdict
        'fail'
    """
    if method not in ("auto", "complex", "central"):
        raise ArgumentError(
            "method is 'auto', 'complex' or 'central'", repr(method), "use one of them"
        )
    if order not in (1, 2) or (order == 2 and vjp is not None):
        raise ArgumentError(
            "order is 1 or, without vjp=, 2", repr(order), "check a vjp of your own as order 1"
        )
    if tolerance is not None and not tolerance > 0:
        raise ArgumentError(
            "tolerance is positive", repr(tolerance), "leave it out for the default"
        )
    values = [_as_values(one) for one in inputs]
    if not any(one.dtype.kind == "f" for one in values):
        raise DTypeError(
            "gradcheck needs a floating-point input", _dtypes(values), "convert one to float64"
        )
    if not all(one.dtype in (np.float64, np.float32) for one in values if one.dtype.kind == "f"):
        raise DTypeError(
            "floating-point inputs are float64 or float32",
            _dtypes(values),
            "convert them with astype",
        )
    # A stream of its own: the cotangent must not be the input that the same seed has drawn.
    seed = rng.integers(2**63) if isinstance(rng, np.random.Generator) else rng
    with quietly():
        subject = _Subject(fn, vjp, values, np.random.default_rng((int(seed), 0x6E78)), order)
        report = _checked(subject, method, tolerance, fast)
    if raise_on_failure and not report:
        raise GradientError(
            "a gradient must say what the function does",
            str(report),
            "compare the two values there",
        )
    return report


class _Subject:
    """The function under check, as a map from its floating-point inputs to a list of arrays.

    For order 1 the map is f itself. For order 2 it is the gradient of ⟨v, f⟩ for a fixed random
    v, so that what is checked is the gradient of ⟨w, gradient⟩.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        vjp: Callable[..., Any] | None,
        values: list[Array],
        rng: np.random.Generator,
        order: int,
    ) -> None:
        self.fn, self.vjp, self.values, self.order, self.rng = fn, vjp, values, order, rng
        self.places = [i for i, one in enumerate(values) if one.dtype.kind == "f"]
        self.points = [values[i] for i in self.places]
        self.precision = "float32" if any(p.dtype == np.float32 for p in self.points) else "float64"
        output, _ = self._call(self.points, tracked=False)
        if output.dtype.kind == "c":
            raise DTypeError("fn must be real", str(output.dtype), "check its parts one by one")
        self.first = rng.standard_normal(output.shape).astype(output.dtype)  # v
        self.cotangents = [self.first]
        if order == 2:
            self.cotangents = [
                rng.standard_normal(one.shape).astype(one.dtype) for one in self.points
            ]

    def _call(self, points: Sequence[Array], tracked: bool) -> tuple[Any, list[Tensor]]:
        """f at the given points, and its differentiated arguments; plain arrays under ``vjp=``."""
        everything: list[Any] = [one.copy() for one in self.values]
        for place, point in zip(self.places, points, strict=True):
            everything[place] = point.copy()
        if self.vjp is not None:
            return _numbers(self.fn(*everything), "fn"), []
        everything = [
            leaf(one, requires_grad=tracked and i in self.places)
            for i, one in enumerate(everything)
        ]
        output = self.fn(*everything)
        if not isinstance(output, Tensor):
            raise DTypeError(
                "the function must return a tensor",
                type(output).__name__,
                "keep the calculation in tensors, or give vjp= for a function of arrays",
            )
        _numbers(output.value, "fn")
        return output, [everything[place] for place in self.places]

    def run(self, points: Sequence[Array]) -> list[Array]:
        """The outputs whose derivative is checked, on real or complex arrays."""
        output, arguments = self._call(points, tracked=self.order == 2)
        if self.order == 1:
            return [output.value if isinstance(output, Tensor) else output]
        seed = leaf(self.first.astype(output.dtype))
        return [one.value for one in _gradients(output, seed, arguments)]

    def gradient(self) -> list[Array]:
        """The gradient to check: by the tape, by the tape of a tape, or by the user's vjp."""
        if self.vjp is not None:
            found = self.vjp(self.first.copy(), *[one.copy() for one in self.values])
            found = found if isinstance(found, list | tuple) else [found]
            return [_numbers(g, "vjp") for g in found]
        output, arguments = self._call(self.points, tracked=True)
        found = _gradients(output, leaf(self.first), arguments, create_graph=self.order == 2)
        if self.order == 2:
            total = leaf(np.zeros((), output.dtype))
            for g, w in zip(found, self.cotangents, strict=True):
                total = total + (g * w).sum()
            found = _gradients(total, leaf(np.ones((), total.dtype)), arguments)
        return [one.value for one in found]

    def pairing(self, outputs: Sequence[Array]) -> Any:
        """Σ ⟨v, output⟩."""
        return sum((v * out).sum() for v, out in zip(self.cotangents, outputs, strict=True))

    @cached_property
    def rounding(self) -> float:
        """How far the roundings of its terms move Σ ⟨v, output⟩."""
        outputs = self.run(self.points)
        terms = [np.abs(v * y).sum() for v, y in zip(self.cotangents, outputs, strict=True)]
        return float(np.finfo(self.precision).eps * sum(terms))

    def noise(self, method: str) -> list[float]:
        """What many such roundings look like as a slope, for every input."""
        rounding = _ROUNDINGS[method] * self.rounding
        return [rounding / _largest([point], [point]) for point in self.points]


def _numbers(found: Any, giver: str) -> Array:
    """What a function of the user's returned, as an array of numbers that can be compared."""
    try:
        array = np.asarray(found)
    except ValueError:  # sequences of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fciub" or (giver == "vjp" and array.dtype.kind == "c"):
        kind = type(found).__name__ if array.dtype.kind == "O" else str(array.dtype)
        raise DTypeError(
            f"{giver} must return arrays of real numbers",
            kind,
            "return one array" + (" per floating-point input" if giver == "vjp" else ""),
        )
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


def _checked(
    subject: _Subject, method: str, tolerance: float | None, fast: bool
) -> GradcheckReport:
    """Refuse what cannot be compared; compare the rest."""
    method, remark = _choose(subject, method)
    limit = tolerance or TOLERANCES[method, subject.precision]
    count = _DIRECTIONS if fast else sum(point.size for point in subject.points)

    def report(verdict: Verdict, reason: str) -> GradcheckReport:
        return GradcheckReport(
            verdict, math.nan, limit, method, subject.order, count, None, reason + remark
        )

    def is_random(difference: float) -> GradcheckReport:
        return report(
            "inconclusive",
            f"two calls differ by {difference:.1e}: the function is random; "
            "call .eval() on the module, or fix its seed",
        )

    difference = _repetition(subject)
    if difference:
        return is_random(difference)
    ours = subject.gradient()
    shapes, wanted = [one.shape for one in ours], [one.shape for one in subject.points]
    if shapes != wanted:
        return report("fail", f"the gradients have shapes {shapes}, and the inputs {wanted}")
    theirs = [] if fast else [_differences(subject, method, i) for i in range(len(ours))]
    noise = subject.noise(method)
    if fast:
        ours, theirs, noise = _directional(subject, method, ours, noise)
    verdict, reason, error, worst = _judged(ours, theirs, noise, limit)
    if verdict == "fail":
        for difference in (_repetition(subject) for _ in range(16)):  # random, but seldom
            if difference:
                return is_random(difference)
    return GradcheckReport(
        verdict, error, limit, method, subject.order, count, worst, reason + remark
    )


def _judged(
    ours: Sequence[Array], theirs: Sequence[Array], noise: Sequence[float], limit: float
) -> tuple[Verdict, str, float, Place | None]:
    """The verdict, its reason, the largest error and where it is."""
    errors = [_error(a, b) for a, b in zip(ours, theirs, strict=True)]
    zero = [  # to rounding, which has no sign and no digits to agree in
        error > limit and max(np.abs(a).max(initial=0), np.abs(b).max(initial=0)) <= rounding
        for a, b, error, rounding in zip(ours, theirs, errors, noise, strict=True)
    ]

    def badness(i: int) -> tuple[bool, float]:
        return not zero[i], math.inf if math.isnan(errors[i]) else errors[i]

    which = max(range(len(errors)), key=badness)
    error, worst = errors[which], _farthest(which, ours[which], theirs[which])
    if not all(np.isfinite(one).all() for one in (*ours, *theirs)):
        return "fail", f"the gradient of inputs[{which}] is not finite everywhere", error, worst
    if error > limit and not zero[which]:
        return "fail", f"the gradient of inputs[{which}] is wrong", error, worst
    if not any(one.size for one in ours):
        return "inconclusive", "the inputs are empty, so nothing was compared", error, worst
    for i, (mine, difference) in enumerate(zip(ours, theirs, strict=True)):
        if zero[i] or (mine.size and not mine.any()):
            reason = f"the gradient of inputs[{i}] is zero, which proves nothing"
            return "inconclusive", reason, error, worst
        for name, wrong in _mutants(mine, limit):
            if not _error(wrong, difference) > limit:
                reason = f"a {name} gradient of inputs[{i}] would pass too"
                return "inconclusive", reason, error, worst
    return "pass", "the gradient agrees, and wrong ones were rejected", error, worst


def _mutants(gradient: Array, limit: float) -> list[tuple[str, Array]]:
    """Wrong gradients that a check worth its name rejects."""
    if gradient.size == 0:
        return []
    scaled = gradient * (1 + 10 * limit)
    found = [("zero", 0 * gradient), ("negated", -gradient), ("scaled", scaled)]
    rolled = np.roll(gradient, 1)
    if np.abs(rolled - gradient).max() > 10 * limit * np.abs(gradient).max():
        found.append(("rolled", rolled))
    return found


def _error(ours: Array, theirs: Array) -> float:
    """The largest difference, relative to the largest entry."""
    if ours.size == 0:
        return 0.0
    scale = float(np.abs(theirs).max())
    difference = float(np.abs(ours - theirs).max())
    return difference / scale if scale else (0.0 if difference == 0 else math.inf)


def _farthest(which: int, ours: Array, theirs: Array) -> Place | None:
    if ours.size == 0:
        return None
    distance = np.abs(ours - theirs)
    index = np.unravel_index(
        int(np.argmax(np.where(np.isnan(distance), np.inf, distance))), ours.shape
    )
    place = tuple(int(i) for i in index)
    return which, place, float(ours[place]), float(theirs[place])


def _choose(subject: _Subject, method: str) -> tuple[str, str]:
    """The method to use, and a remark for the report."""
    if method != "auto":
        return method, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept = [_keeps_derivative(subject, i) for i in range(len(subject.points))]
    except Exception as error:  # whatever fn raises on complex numbers
        return "central", f" (central differences: complex steps raised {type(error).__name__})"
    if not all(kept):
        return (
            "central",
            f" (central differences: inputs[{kept.index(False)}] passes through an operation that "
            "drops the imaginary part, such as abs, var or norm)",
        )
    return "complex", ""


def _keeps_derivative(subject: _Subject, which: int) -> bool:
    """Whether a complex step along a random direction agrees with real differences.

    As closely as those can tell: a small term whose imaginary part is lost is lost all the same.
    """
    directions: list[Any] = [None] * len(subject.points)
    directions[which] = subject.rng.choice([-1.0, 1.0], subject.points[which].shape)
    complex_slope = _complex_step(subject, directions)
    real_slope, doubt = _extrapolated(subject, directions)
    scale = max(abs(complex_slope), abs(real_slope))
    limit = TOLERANCES["central", subject.precision] * scale
    return abs(complex_slope - real_slope) <= limit + 10 * doubt


def _repetition(subject: _Subject) -> float:
    """By how much two calls differ, relative to the output's largest entry."""
    for one, other in zip(subject.run(subject.points), subject.run(subject.points), strict=True):
        if not np.array_equal(one, other, equal_nan=True):
            return float(np.abs(one - other).max() / (np.abs(one).max() or 1))
    return 0.0


def _differences(subject: _Subject, method: str, which: int) -> Array:
    """One difference per coordinate of an input."""
    unit = np.zeros(subject.points[which].shape)
    slopes = np.empty(unit.shape)
    for j in range(unit.size):
        unit.flat[j] = 1
        slopes.flat[j] = _along(subject, method, which, unit)
        unit.flat[j] = 0
    return slopes


def _directional(
    subject: _Subject, method: str, gradients: Sequence[Array], noise: Sequence[float]
) -> tuple[list[Array], list[Array], list[float]]:
    """Slopes along random signed directions through all inputs: by the gradient, by difference.

    Both are divided by the gradient's norm, which is what such a slope is on average; so is the
    noise in them.
    """
    norm = math.sqrt(sum(float((g * g).sum()) for g in gradients)) or 1.0
    ours, theirs = np.empty(_DIRECTIONS), np.empty(_DIRECTIONS)
    for k in range(_DIRECTIONS):
        signs = [subject.rng.choice([-1.0, 1.0], point.shape) for point in subject.points]
        ours[k] = sum((g * u).sum() for g, u in zip(gradients, signs, strict=True)) / norm
        theirs[k] = _along(subject, method, None, *signs) / norm
    size = sum(point.size for point in subject.points)
    return [ours], [theirs], [max(noise) * math.sqrt(size) / norm]


def _along(subject: _Subject, method: str, which: int | None, *direction: Array) -> float:
    """The slope of ⟨v, f⟩ along a direction through one input, or through all of them."""
    directions: list[Any] = [None] * len(subject.points)
    if which is None:
        directions = list(direction)
    else:
        directions[which] = direction[0]
    if method == "complex":
        return _complex_step(subject, directions)
    return _extrapolated(subject, directions)[0]


def _complex_step(subject: _Subject, directions: Sequence[Array | None]) -> float:
    h = _STEP[subject.precision] * _largest(subject.points, directions)
    moved = [point.astype(_complex_dtype(point)) for point in subject.points]
    for point, direction in zip(moved, directions, strict=True):
        if direction is not None:
            point += (1j * h) * direction
    return float(np.imag(subject.pairing(subject.run(moved))) / h)


def _extrapolated(subject: _Subject, directions: Sequence[Array | None]) -> tuple[float, float]:
    """Central differences at h, h/4, h/16, …, extrapolated to h = 0 (Ridders 1982).

    Returns the most settled entry of the table, and its doubt: by how much it differs from its
    neighbours, and what rounding does to a difference over that step.
    """
    h = 0.02 * _largest(subject.points, directions)
    slope = _central(subject, directions, h)
    for _ in range(_SHORTER):
        if math.isfinite(slope):
            break
        h /= 4  # the step was too long for the function's domain
        slope = _central(subject, directions, h)
    best, doubt = math.nan, math.inf
    row = [slope]
    for level in range(1, _LEVELS):
        previous, row = row, [_central(subject, directions, h / 4**level)]
        rounding = subject.rounding / (h / 4**level)
        for k, coarser in enumerate(previous):
            row.append(row[k] + (row[k] - coarser) / (16 ** (k + 1) - 1))
            change = max(abs(row[k + 1] - row[k]), abs(row[k + 1] - coarser))
            if change + rounding < doubt:
                best, doubt = row[k + 1], change + rounding
    return best, doubt


def _central(subject: _Subject, directions: Sequence[Array | None], h: float) -> float:
    ends = []
    for sign in (1, -1):
        moved = [
            point if u is None else (point + sign * h * u).astype(point.dtype)
            for point, u in zip(subject.points, directions, strict=True)
        ]
        ends.append(float(subject.pairing(subject.run(moved))))
    return (ends[0] - ends[1]) / (2 * h)


def _largest(points: Sequence[Array], directions: Sequence[Array | None]) -> float:
    """The largest entry of the inputs that move, or 1 if all are zero."""
    moving = [p for p, u in zip(points, directions, strict=True) if u is not None and p.size]
    return max((float(np.abs(point).max()) for point in moving), default=0.0) or 1.0


def _complex_dtype(point: Array) -> DTypeLike:
    return np.complex64 if point.dtype == np.float32 else np.complex128


def _as_values(one: Any) -> Array:
    """A copy of an input's values."""
    return np.array(one.value if isinstance(one, Tensor) else one)


def _dtypes(values: Sequence[Array]) -> str:
    return ", ".join(str(one.dtype) for one in values) or "none"
