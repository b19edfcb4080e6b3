"""The gradient check: does a gradient say what the function does?

A cotangent v is drawn at random, which makes of any function the single number ⟨v, f(x)⟩. Its
gradient by x is what a vjp returns for v, and also what differences of f itself show: complex
steps where f runs on complex numbers, extrapolated real differences elsewhere (see
:mod:`numixology.verify.differences`).

How large may the difference of the two be? In float64 complex steps are exact to rounding, so the
limit is what rounding can do, measured at the inputs. With ε = 2⁻⁵², relative to the largest entry
of a gradient, it is

    4 (8 ε + √n ε + s) + 8 t,

where n is the size of the largest array, since a sum of n terms is rounded √n times over, s is how
far the gradient moves when every number in the inputs and the cotangent is moved by one rounding,
the largest of several tries, and t is ε times the sum of the absolute terms |v_k ∂f_k/∂x_j|, the
largest over j, with what underflow may take from them. For most functions of small arrays that is
1e-14, for a block 3e-14. Over the functions and modules of this package the difference is at most
0.6 (8 ε + s), and the limit has room for seven times that. A larger difference may be rounding
inside the function that its gradient does not have: then complex steps with other h waver there,
and four times that is added. Where all this exceeds 1e-6 rounding alone decides, and the check
says so. In float32, and for real differences, the limits are fixed.

At a kink a function has two slopes. Any gradient between them is right there.

A check that cannot fail proves nothing. So a pass also requires that wrong gradients made from
the right one (zero, negated, rolled, scaled) are rejected by the same comparison.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ..array import Array, quietly
from ..errors import ArgumentError, DTypeError, GradientError
from ..nn import Module, functional_call
from ..tensors import Tensor
from .contracts import both_sides, changed, layouts, repeated
from .differences import (
    Differences,
    Subject,
    complex_slope,
    largest,
    real_slopes,
    slopes_of,
    unit,
)
from .reports import GradcheckReport, Kink, Place, Verdict

__all__ = ["GradcheckReport", "Kink", "Verdict", "gradcheck"]

Method: TypeAlias = Literal["auto", "complex", "central"]

#: Limits on the error relative to the gradient's largest entry, by method and precision; that of
#: complex steps in float64 is computed, and at most this.
TOLERANCES = {
    ("complex", "float64"): 1e-6,
    ("complex", "float32"): 1e-4,
    ("central", "float64"): 1e-6,
    ("central", "float32"): 2e-2,
}
_EPS = 2.0**-52
_DIRECTIONS = 4
_TRIES = 4
_CLOSER = 64
#: Two gradients that are nothing but rounding do not agree as closely as this.
_AGREE = 1e-6


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
    executor: Executor | None = None,
) -> GradcheckReport:
    """Compare the gradient of ``fn`` with differences of ``fn`` itself.

    It also fails a gradient that depends on how its inputs or its cotangent lie in memory
    (Fortran-ordered, strided, repeated by a stride of zero, read-only), that writes into them,
    or that ``nx.jvp`` contradicts. At a kink, where a function has two slopes, the report gives
    both, and a gradient between them is right.

    Args:
        fn: a function of tensors that returns a tensor, or a module, whose parameters are then
            inputs too, after the others, in the order of ``named_parameters()``; with ``vjp`` a
            function of NumPy arrays that returns an array.
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
            gradient; by default what rounding can do there, often about 1e-14, for complex steps
            in float64, and 1e-6 for central differences.
        fast: compare four random directions through all inputs at once, not every coordinate;
            the error is then relative to the gradient's Euclidean norm.
        raise_on_failure: raise GradientError with the report unless the check passes.
        executor: a :class:`concurrent.futures.Executor` over which the coordinates are spread;
            for one of processes ``fn`` must be picklable.

    Returns:
        A :class:`.GradcheckReport`: ``passed``, ``verdict``, ``max_error``, ``detectable`` and
        more. The verdict is ``"inconclusive"`` where nothing was proved: a gradient that is zero
        everywhere, a function that is random, or wrong gradients that this check would have
        accepted.

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
        >>> (kink,) = nx.gradcheck(nx.functional.relu, np.array([0.0, 1.0])).kinks
        >>> print(kink)
        inputs[0][0] is at a kink: slope 0 below, 1.40288 above, gradient 0
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
    if isinstance(fn, Module):
        fn, inputs = _with_parameters(fn, inputs)
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
        subject = Subject(fn, vjp, values, np.random.default_rng((int(seed), 0x6E78)), order)
        report = _checked(subject, method, tolerance, fast, executor)
    if raise_on_failure and not report:
        raise GradientError(
            "a gradient must say what the function does",
            str(report),
            "compare the two values there",
        )
    return report


def _with_parameters(
    module: Module, inputs: tuple[Any, ...]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    parameters = dict(module.named_parameters())
    function = _WithParameters(module, len(inputs), tuple(parameters))
    return function.run, (*inputs, *parameters.values())


class _WithParameters(NamedTuple):
    """A module as a function of its inputs and, after them, its parameters."""

    module: Module
    arity: int
    names: tuple[str, ...]

    def run(self, *values: Any) -> Any:
        """Call the module with these inputs and parameters."""
        parameters = dict(zip(self.names, values[self.arity :], strict=True))
        return functional_call(self.module, parameters, *values[: self.arity])


class _Plan(NamedTuple):
    """How the function is to be differenced, why so, and where it has kinks."""

    method: str
    why: str
    remark: str
    kinks: list[dict[int, tuple[float, float]]]  # per input: coordinate -> slopes below and above


def _checked(
    subject: Subject,
    method: str,
    tolerance: float | None,
    fast: bool,
    executor: Executor | None,
) -> GradcheckReport:
    """Refuse what cannot be compared; compare the rest."""
    count = _DIRECTIONS if fast else sum(point.size for point in subject.points)
    blank = GradcheckReport(
        "fail",
        math.nan,
        tolerance or math.nan,
        "complex" if method == "auto" else method,
        subject.order,
        count,
        None,
        "",
        why="nothing was differenced",
    )

    def is_random(difference: str) -> GradcheckReport:
        reason = (
            f"{difference}: the function is random; call .eval() on the module, or fix its seed"
        )
        return blank._replace(verdict="inconclusive", reason=reason)

    if names := changed(subject):
        return blank._replace(reason=f"{names}: a gradient must leave its arguments alone")
    if difference := repeated(subject):
        return is_random(difference)
    ours = subject.gradient()
    shapes, wanted = [one.shape for one in ours], [one.shape for one in subject.points]
    if shapes != wanted:
        reason = f"the gradients have shapes {shapes}, and the inputs {wanted}"
        return blank._replace(reason=reason)
    report = _compared(subject, _planned(subject, method), ours, tolerance, fast, executor, blank)
    if report.verdict == "fail":
        for difference in (repeated(subject) for _ in range(16)):  # random, but seldom
            if difference:
                return is_random(difference)
    return report


def _compared(
    subject: Subject,
    plan: _Plan,
    ours: list[Array],
    tolerance: float | None,
    fast: bool,
    executor: Executor | None,
    blank: GradcheckReport,
) -> GradcheckReport:
    """The gradient beside the differences, and the report on both."""
    gradient, kinks = ours, plan.kinks
    noise = subject.noise(plan.method)
    if fast:
        masks = [_without(kinks[i], np.ones(p.shape)) for i, p in enumerate(subject.points)]
        ours, found, noise, lines = _directional(subject, plan.method, gradient, masks, noise)
    else:
        found, lines = slopes_of(subject, plan.method, executor), []
    bound = 0.0
    if plan.method == "complex":
        bound = _bound(subject, gradient, ours, found, noise, kinks, fast)
        bound += 4 * _wavering(subject, ours, found, lines, bound)
    limit = tolerance or TOLERANCES[plan.method, subject.precision]
    if tolerance is None and plan.method == "complex" and subject.precision == "float64":
        limit = min(bound, limit)
    if not fast:
        _look_closer(subject, gradient, found, noise, kinks, limit)
        for i, places in enumerate(kinks):
            for j, (left, right) in places.items():  # between both slopes a gradient is right
                kink = Kink(i, (), left, right, float(ours[i].flat[j]))
                inside = _between(kink, subject.precision)
                nearest = sorted((left, right, kink.gradient))[1]
                found[i].slopes.flat[j] = kink.gradient if inside else nearest
                found[i].doubts.flat[j] = 0
    verdict, reason, error, worst = _judged(subject, ours, found, noise, limit, kinks)
    listed = tuple(
        Kink(subject.places[i], _index(subject.points[i], j), *sides, float(gradient[i].flat[j]))
        for i, places in enumerate(kinks)
        for j, sides in sorted(places.items())
    )
    outside = [kink for kink in listed if not _between(kink, subject.precision)]
    if verdict == "pass" and outside:
        verdict, reason = "fail", f"the gradient of inputs[{outside[0].input}] is wrong"
    if verdict == "fail" and math.isfinite(error):
        doubt = max(_relative(one.doubts, one.slopes) for one in found)
        if plan.method == "central" and limit < error <= 10 * doubt:
            verdict = "inconclusive"
            reason = f"real differences are only good to {doubt:.1e} here"
        elif tolerance is None and limit < error <= bound:
            verdict = "inconclusive"
            reason = f"rounding alone moves the gradient by {bound:.1e} here"
    remarks = [plan.remark] + [f"; {kink}" for kink in listed[:1]]
    if len(listed) > 1:
        remarks.append(f" (and {len(listed) - 1} more)")
    if verdict == "pass":
        for wrong, remark in (
            layouts(subject, limit),
            both_sides(subject, gradient, limit),
        ):
            if wrong:
                verdict, reason = "fail", wrong
                break
            remarks.append(f" ({remark})" if remark else "")
    hidden = (
        error
        if plan.method == "complex"
        else max(error, *(_relative(one.doubts, one.slopes) for one in found))
    )
    return blank._replace(
        verdict=verdict,
        max_error=error,
        tolerance=limit,
        method=plan.method,
        worst=worst,
        reason=reason + "".join(remarks),
        # A direction moves each coordinate by half a unit at least.
        detectable=(limit + hidden) * (2 if fast else 1),
        why=plan.why,
        kinks=listed,
    )


# How -----------------------------------------------------------------------------------


def _planned(subject: Subject, method: str) -> _Plan:
    """Look for kinks, and for what breaks complex steps, along one random line per input."""
    kinks: list[dict[int, tuple[float, float]]] = [{} for _ in subject.points]
    lines: list[tuple[list[Array | None], float, float]] = []
    for i in range(len(subject.points)):
        line = [None] * i + [subject.direction(i)] + [None] * (len(subject.points) - i - 1)
        try:
            real = real_slopes(subject, line)
            if real.kink:
                kinks[i] = _kinks_of(subject, i)
                line[i] = _without(kinks[i], line[i])
                real = real_slopes(subject, line)
        except Exception:  # whatever fn raises nearby
            if method != "complex":
                raise
            continue
        lines.append((line, real.central, real.doubt))
    if method != "auto":
        return _Plan(method, "it was asked for", "", kinks)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept = [_keeps_derivative(subject, *line) for line in lines]
    except Exception as error:  # whatever fn raises on complex numbers
        why = f"complex steps raised {type(error).__name__}"
        return _Plan("central", why, f" (central differences: {why})", kinks)
    if not all(kept):
        why = (
            f"inputs[{subject.places[kept.index(False)]}] passes through an operation that "
            "drops the imaginary part, such as abs, var or norm"
        )
        return _Plan("central", why, f" (central differences: {why})", kinks)
    return _Plan("complex", "fn runs on complex numbers and keeps their derivative", "", kinks)


def _keeps_derivative(
    subject: Subject, line: Sequence[Array | None], real: float, doubt: float
) -> bool:
    """Whether a complex step along a line agrees with real differences.

    As closely as those can tell: a small term whose imaginary part is lost is lost all the same.
    """
    slope, _ = complex_slope(subject, line)
    limit = TOLERANCES["central", subject.precision] * max(abs(slope), abs(real))
    return abs(slope - real) <= limit + 10 * doubt


def _kinks_of(subject: Subject, which: int) -> dict[int, tuple[float, float]]:
    """Every coordinate of an input along which the function has a kink."""
    found = {}
    for j in range(subject.points[which].size):
        slopes = real_slopes(subject, unit(subject, which, j))
        if slopes.kink:
            found[j] = slopes.left, slopes.right
    return found


def _without(kinks: dict[int, tuple[float, float]], direction: Any) -> Array:
    """A direction that moves no coordinate at a kink."""
    smooth = np.array(direction)
    smooth.flat[list(kinks)] = 0
    return smooth


def _look_closer(
    subject: Subject,
    ours: Sequence[Array],
    found: Sequence[Differences],
    noise: Sequence[float],
    kinks: Sequence[dict[int, tuple[float, float]]],
    limit: float,
) -> None:
    """Where gradient and difference disagree there may be a kink that no random line showed."""
    for i, (gradient, one) in enumerate(zip(ours, found, strict=True)):
        distance = np.abs(gradient - one.slopes)
        distance.flat[list(kinks[i])] = 0
        allowed = max(limit * float(np.abs(one.slopes).max(initial=0)), noise[i])
        for j in np.argsort(-distance, axis=None)[:_CLOSER]:
            if not distance.flat[j] > allowed:
                break
            slopes = real_slopes(subject, unit(subject, i, int(j)))
            if not slopes.kink:
                break
            kinks[i][int(j)] = slopes.left, slopes.right


def _between(kink: Kink, precision: str) -> bool:
    """Whether the gradient at a kink is one of its slopes, or lies between them."""
    nearest = sorted((kink.left, kink.right, kink.gradient))[1]
    slack = 10 * TOLERANCES["central", precision] * max(abs(kink.left), abs(kink.right))
    return abs(kink.gradient - nearest) <= slack


def _directional(
    subject: Subject,
    method: str,
    gradients: Sequence[Array],
    masks: Sequence[Array],
    noise: Sequence[float],
) -> tuple[list[Array], list[Differences], list[float], list[Sequence[Array | None]]]:
    """Slopes along random directions through all inputs: by the gradient, by difference.

    Both are divided by the gradient's norm, which is what such a slope is on average; so is the
    noise in them.
    """
    norm = _norm(gradients) or 1.0
    ours = np.empty(_DIRECTIONS)
    found = Differences(np.empty(_DIRECTIONS), np.empty(_DIRECTIONS))
    lines: list[Sequence[Array | None]] = []
    for k in range(_DIRECTIONS):
        along = [subject.direction(i) * mask for i, mask in enumerate(masks)]
        lines.append(along)
        products = [g * u for g, u in zip(gradients, along, strict=True)]
        ours[k] = sum(p.sum() for p in products) / norm
        if method == "complex":
            slope, doubt = complex_slope(subject, along)
            doubt = max(doubt, _EPS * float(sum(np.abs(p).sum() for p in products)))
        else:
            slope, doubt = real_slopes(subject, along)[:2]
        found.slopes[k], found.doubts[k] = slope / norm, doubt / norm
    size = sum(point.size for point in subject.points)
    return [ours], [found], [max(noise) * math.sqrt(size) / norm], lines


# How close -----------------------------------------------------------------------------


def _bound(
    subject: Subject,
    gradient: Sequence[Array],
    ours: Sequence[Array],
    found: Sequence[Differences],
    noise: Sequence[float],
    kinks: Sequence[dict[int, tuple[float, float]]],
    fast: bool,
) -> float:
    """How far rounding may take the gradient from complex steps: the formula above."""
    moves: list[list[Array]] = []
    for _ in range(_TRIES):
        nearby = subject.gradient(*subject.nearby())
        moves.append([_without(k, a - b) for a, b, k in zip(nearby, gradient, kinks, strict=True)])
    scales = [float(np.abs(one.slopes).max(initial=0)) or 1.0 for one in found]
    if fast:
        norm = _norm(gradient) or 1.0
        shifts = [max(_norm(move) for move in moves) / norm / scales[0]]
    else:
        shifts = [
            max(float(np.abs(move[i]).max(initial=0)) for move in moves) / scale
            for i, scale in enumerate(scales)
        ]
    longest = max(one.size for one in (*subject.points, subject.first))
    bounds = [
        4 * (8 * _EPS + math.sqrt(longest) * _EPS + shift)
        + 8 * float(one.doubts.max(initial=0)) / scale
        for mine, one, shift, scale, rounding in zip(
            ours, found, shifts, scales, noise, strict=True
        )
        if not _is_rounding(mine, one.slopes, rounding)
    ]
    return max((bound for bound in bounds if math.isfinite(bound)), default=32 * _EPS)


def _wavering(
    subject: Subject,
    ours: Sequence[Array],
    found: Sequence[Differences],
    lines: Sequence[Sequence[Array | None]],
    bound: float,
) -> float:
    """By how much complex steps with other h differ where they disagree with the gradient.

    Something may cancel inside the function that does not in its gradient, as the shift of
    logsumexp does. Nothing is repeated where rounding already explains the disagreement.
    """
    worst = 0.0
    for i, (mine, one) in enumerate(zip(ours, found, strict=True)):
        error = _error(mine, one.slopes)
        if not bound < error < TOLERANCES["complex", subject.precision]:
            continue
        j = int(np.argmax(np.abs(mine - one.slopes)))
        line = lines[j] if lines else unit(subject, i, j)
        slopes = [
            complex_slope(subject, line, subject.rng.uniform(0.5, 1))[0] for _ in range(2 * _TRIES)
        ]
        spread = (max(slopes) - min(slopes)) / (max(map(abs, slopes)) or 1.0)
        spread *= float(abs(one.slopes.flat[j]) / np.abs(one.slopes).max())
        if 8 * spread > error:
            worst = max(worst, spread)
    return worst


def _judged(
    subject: Subject,
    ours: Sequence[Array],
    found: Sequence[Differences],
    noise: Sequence[float],
    limit: float,
    kinks: Sequence[dict[int, tuple[float, float]]],
) -> tuple[Verdict, str, float, Place | None]:
    """The verdict, its reason, the largest error and where it is."""
    theirs = [one.slopes for one in found]
    errors = [_error(a, b) for a, b in zip(ours, theirs, strict=True)]
    zero = [  # to rounding, which has no sign and no digits to agree in
        error > limit and _is_rounding(a, b, rounding)
        for a, b, error, rounding in zip(ours, theirs, errors, noise, strict=True)
    ]

    def badness(i: int) -> tuple[bool, float]:
        return not zero[i], math.inf if math.isnan(errors[i]) else errors[i]

    which = max(range(len(errors)), key=badness)
    name = f"inputs[{subject.places[which]}]"
    error = errors[which]
    worst = _farthest(subject.places[which], ours[which], theirs[which])
    if not all(np.isfinite(one).all() for one in (*ours, *theirs)):
        itself = "" if np.isfinite(subject.middle) else ", and neither is the function"
        return "fail", f"the gradient of {name} is not finite everywhere{itself}", error, worst
    if error > limit and not zero[which]:
        return "fail", f"the gradient of {name} is wrong", error, worst
    if not any(one.size for one in ours):
        return "inconclusive", "the inputs are empty, so nothing was compared", error, worst
    for i, (mine, difference) in enumerate(zip(ours, theirs, strict=True)):
        name = f"inputs[{subject.places[i]}]"
        if zero[i] or (mine.size and not mine.any() and not kinks[i]):
            ignored = not mine.any() and _ignores(subject, i)
            cause = "the function ignores it" if ignored else "it is zero by construction"
            reason = f"the gradient of {name} is zero, which proves nothing: {cause}"
            return "inconclusive", reason, error, worst
        for wrong, gradient in _mutants(mine, limit):
            if not _error(gradient, difference) > limit:
                reason = f"a {wrong} gradient of {name} would pass too"
                return "inconclusive", reason, error, worst
    return "pass", "the gradient agrees, and wrong ones were rejected", error, worst


def _ignores(subject: Subject, which: int) -> bool:
    """Whether moving an input leaves every output as it is, to the last bit."""
    moved = list(subject.points)
    h = 0.02 * largest([moved[which]], [moved[which]])
    moved[which] = (moved[which] + h * subject.direction(which)).astype(moved[which].dtype)
    pairs = zip(subject.run(moved), subject.run(subject.points), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def _mutants(gradient: Array, limit: float) -> list[tuple[str, Array]]:
    """Wrong gradients that a check worth its name rejects."""
    if not gradient.any():
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


def _is_rounding(ours: Array, theirs: Array, rounding: float) -> bool:
    """Whether a gradient is nothing but rounding: small by both accounts, without agreement."""
    size = max(float(np.abs(one).max(initial=0)) for one in (ours, theirs))
    return size <= rounding and not _error(ours, theirs) <= _AGREE


def _relative(doubts: Array, slopes: Array) -> float:
    """The largest doubt, relative to the largest entry."""
    return float(doubts.max(initial=0)) / (float(np.abs(slopes).max(initial=0)) or 1.0)


def _norm(gradients: Sequence[Array]) -> float:
    """The Euclidean norm of all of them, without overflow or underflow."""
    scale = max((float(np.abs(g).max(initial=0)) for g in gradients), default=0.0)
    if not scale or not math.isfinite(scale):
        return scale
    return scale * math.sqrt(sum(float(((g / scale) ** 2).sum()) for g in gradients))


def _farthest(which: int, ours: Array, theirs: Array) -> Place | None:
    if ours.size == 0:
        return None
    distance = np.abs(ours - theirs)
    j = int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))
    place = _index(ours, j)
    return which, place, float(ours[place]), float(theirs[place])


def _index(array: Array, j: int) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(j, array.shape))


def _as_values(one: Any) -> Array:
    """A copy of an input's values."""
    return np.array(one.value if isinstance(one, Tensor) else one)


def _dtypes(values: Sequence[Array]) -> str:
    return ", ".join(str(one.dtype) for one in values) or "none"
