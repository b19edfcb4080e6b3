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
and four times that is added. Or it is rounding that moves only where some numbers are moved and
others stay; that is added likewise. Where all this exceeds 1e-6 rounding alone decides, and the
check says so. In float32, and for real differences, the limits are fixed.

Real differences may pass over something small: they are taken at shorter steps while those show
another slope (see :func:`.differences.real_slopes`). Before they alone call a gradient wrong,
complex steps are asked nearby, at many distances, and if they keep the derivative there, at the
inputs themselves. Should they agree with the gradient, the two contradict each other, and the
verdict is that nothing is known: something small may as well hide an operation that loses the
imaginary part.

At a kink a function has two slopes. Any gradient between them is right there. Where the function
jumps, complex steps stay on one side and real ones do not settle; the report says so.

A check that cannot fail proves nothing. So a pass also requires that wrong gradients made from
the right one (zero, negated, rolled, scaled) are rejected by the same comparison.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ..array import Array, ignoring_fp_errors
from ..errors import ArgumentError, DTypeError, GradientError
from ..nn import Module
from ..nn.stateless import replaced
from ..primitives import as_array
from ..tensors import Tensor
from .contracts import both_sides, changed, layouts, linear, repeated
from .differences import (
    Differences,
    Problem,
    complex_slope,
    jumps,
    real_noise,
    real_slopes,
    slopes_along,
    slopes_of,
    unit,
)
from .executors import Executor
from .plans import TOLERANCES, Plan, keeps_nearby, planned, without
from .reports import GradcheckReport, Kink, Place, Verdict

__all__ = ["GradcheckReport", "Kink", "Verdict", "gradcheck"]

Method: TypeAlias = Literal["auto", "complex", "central"]

_EPS = 2.0**-52
_DIRECTIONS = 4
_TRIES = 4
_CLOSER = 64
_CONTRADICTED = (
    "real steps call the gradient wrong and complex ones right: either real ones pass over "
    "something small here, or an operation drops the imaginary part; try other inputs"
)
_NOT_FINITE = "fn is finite here, and not in complex steps; leave method= out, or try other inputs"
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

    Which gradient? With ``vjp`` the one that it returns; without, the one that numixology's tape
    returns for ``fn``, by the rules of the primitives in it, and no other function is looked at.

    It also fails a gradient that depends on how its inputs or its cotangent lie in memory
    (Fortran-ordered, strided, repeated by a stride of zero, read-only), that writes into them,
    that does not grow with the cotangent, or that ``nx.jvp`` contradicts. At a kink, where a
    function has two slopes, the report gives both, and a gradient between them is right.

    Args:
        fn: a function of tensors that returns a tensor, or a module, whose parameters are then
            inputs too, after the others, in the order of ``named_parameters()``; with ``vjp`` a
            function of NumPy arrays that returns an array.
        *inputs: what to call it with: arrays, tensors, numbers or lists. Floating-point ones are
            differentiated, others (ids, masks) are handed over as they are.
        vjp: a hand-written gradient to check instead of the tape's:
            ``vjp(cotangent, *inputs)`` returns one array per floating-point input, or just the
            array if there is one. It is called on its own, so a layer that remembers what its
            forward saw must run that forward again.
        method: ``"complex"`` steps, ``"central"`` differences, or ``"auto"``: complex where
            ``fn`` can be run on complex numbers and keeps their derivative.
        order: 1 for the gradient; 2 for the gradient of ⟨w, gradient⟩ with a random w.
        rng: a seed or Generator for the cotangents and directions.
        tolerance: the largest error that passes, relative to the largest entry of each input's
            gradient; by default what rounding can do there, often about 1e-14, for complex steps
            in float64, and 1e-6 for central differences. If any input is float32, 1e-4 and 2e-2.
        fast: compare four random directions through all inputs at once, not every coordinate;
            the error is then relative to the gradient's Euclidean norm, where the gradient of
            every input is weighted by the input's largest entry.
        raise_on_failure: raise GradientError with the report unless the check passes.
        executor: a :class:`concurrent.futures.Executor` over which the coordinates are spread;
            for one of processes ``fn`` must be picklable.

    Returns:
        A :class:`.GradcheckReport`: ``passed``, ``verdict``, ``max_error``, ``detectable`` and
        more. The verdict is ``"inconclusive"`` where nothing was proved: a gradient that is zero
        everywhere, a function that underflows or is random, complex steps that are not finite where
        it is, differences that do not settle wherever they disagree with the gradient, or wrong
        gradients that this check would have accepted.

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
    _refuse_options(method, order, vjp, tolerance)
    names: list[str] = []
    if isinstance(fn, Module):
        parameters = dict(fn.named_parameters())
        names, arity = list(parameters), len(inputs)
        fn, inputs = _WithParameters(fn, arity, names).run, (*inputs, *parameters.values())
    values = _floating(inputs)
    with ignoring_fp_errors():
        problem = Problem(fn, vjp, values, _stream(rng), order, names)
        report = _checked(problem, method, tolerance, fast, executor)
    if raise_on_failure and not report:
        raise GradientError(
            "a gradient must say what the function does",
            str(report),
            "compare the two values there",
        )
    return report


def _refuse_options(
    method: Method, order: int, vjp: Callable[..., Any] | None, tolerance: float | None
) -> None:
    """Refuse what no check can be made of."""
    if method not in ("auto", "complex", "central"):
        raise ArgumentError(
            "method is 'auto', 'complex' or 'central'", repr(method), "use one of them"
        )
    if order not in (1, 2) or (order == 2 and vjp is not None):
        raise ArgumentError(
            "order is 1 or, without vjp=, 2",
            repr(order),
            "check a vjp of your own as order 1, or make it the rule of a primitive",
        )
    if tolerance is not None and not tolerance > 0:
        raise ArgumentError(
            "tolerance is positive", repr(tolerance), "leave it out for the default"
        )


def _floating(inputs: Sequence[Any]) -> list[Array]:
    """Copies of the inputs' values, some of which are float64 or float32."""
    values = [
        np.array(one.data if isinstance(one, Tensor) else as_array(one, "gradcheck"))
        for one in inputs
    ]
    floating = [one.dtype for one in values if one.dtype.kind == "f"]
    received = ", ".join(str(one.dtype) for one in values) or "none"
    if not floating:
        raise DTypeError(
            "gradcheck needs a floating-point input", received, "convert one to float64"
        )
    if not all(one in (np.float64, np.float32) for one in floating):
        raise DTypeError(
            "floating-point inputs are float64 or float32", received, "convert them with astype"
        )
    return values


def _stream(rng: "np.random.Generator | int") -> "np.random.Generator":
    """A stream of its own: the cotangent must not be the input that the same seed has drawn."""
    seed = rng.integers(2**63) if isinstance(rng, np.random.Generator) else rng
    return np.random.default_rng((int(seed), 0x6E78))


class _WithParameters:
    """A module as a function of its inputs and, after them, its parameters."""

    def __init__(self, module: Module, arity: int, names: Sequence[str]) -> None:
        self.module, self.arity, self.names = module, arity, names
        self.latest: tuple[tuple[Any, ...], Module] = ((), module)

    def run(self, *values: Any) -> Any:
        """Call the module with these inputs and parameters."""
        given = values[self.arity :]
        bound, module = self.latest  # together, since other threads may bind others meanwhile
        if not bound or any(a is not b for a, b in zip(given, bound, strict=True)):
            module = replaced(self.module, dict(zip(self.names, given, strict=True)))
            self.latest = (given, module)
        return module(*values[: self.arity])


def _checked(
    problem: Problem,
    method: str,
    tolerance: float | None,
    fast: bool,
    executor: Executor | None,
) -> GradcheckReport:
    """Refuse what cannot be compared; compare the rest."""
    blank = _blank(problem, method, tolerance, fast)
    if names := changed(problem):
        return blank._replace(reason=f"{names}: a gradient must leave its arguments alone")
    difference, ours = repeated(problem)
    if difference:
        return _random(blank, difference)
    shapes, wanted = [one.shape for one in ours], [one.shape for one in problem.points]
    if shapes != wanted:
        reason = (
            f"the gradients have shapes {shapes}, and the inputs {wanted}: "
            "there must be one per floating-point input, of its shape"
        )
        return blank._replace(reason=reason)
    report = _looked_at(problem, ours, method, tolerance, executor, blank)
    if report.verdict != "pass":
        for difference, _ in (repeated(problem) for _ in range(16)):  # random, but seldom
            if difference:
                return _random(blank, difference)
    return report


def _blank(problem: Problem, method: str, tolerance: float | None, fast: bool) -> GradcheckReport:
    """What a report says before anything was looked at."""
    return GradcheckReport(
        "fail",
        math.nan,
        tolerance or math.nan,
        "complex" if method == "auto" else method,
        problem.order,
        _DIRECTIONS if fast else sum(point.size for point in problem.points),
        None,
        "",
        why="nothing was differenced",
        names=tuple(problem.names),
        fast=fast,
        gradient="tape" if problem.vjp is None else "vjp",
        differentiated=tuple(problem.places),
    )


def _random(blank: GradcheckReport, difference: str) -> GradcheckReport:
    reason = f"{difference}: the function is random; call .eval() on the module, or fix its seed"
    return blank._replace(verdict="inconclusive", reason=reason)


def _looked_at(
    problem: Problem,
    ours: list[Array],
    method: str,
    tolerance: float | None,
    executor: Executor | None,
    blank: GradcheckReport,
) -> GradcheckReport:
    """The gradient beside differences, more than once before it is called wrong."""

    def compared(plan: Plan) -> GradcheckReport:
        return _compared(problem, plan, ours, tolerance, executor, blank)

    report = compared(planned(problem, method, blank.fast))
    if blank.fast and report.verdict == "fail":  # one line may have shown too little
        report = compared(planned(problem, method, fast=False))
    if report.verdict == "fail" and report.method == "central" and keeps_nearby(problem):
        second = compared(planned(problem, "complex", fast=False))
        if second.max_error <= second.tolerance:
            if second.verdict == "fail":  # the values agree, and yet a promise is broken
                return report._replace(reason=second.reason)
            return report._replace(verdict="inconclusive", reason=_CONTRADICTED)
    return report


class _Comparison(NamedTuple):
    """The gradient beside the differences.

    In fast mode ``ours`` and ``found`` are slopes along random lines, and else the gradient itself
    and one slope per coordinate.
    """

    problem: Problem
    plan: Plan
    gradient: list[Array]
    ours: list[Array]
    found: list[Differences]
    rounding: list[float]
    lines: list[Sequence[Array | None]]


class _Judgment(NamedTuple):
    """A verdict and its reason, the largest error, where it is, and of which input it is."""

    verdict: Verdict
    reason: str
    error: float
    worst: Place | None
    which: int


def _compared(
    problem: Problem,
    plan: Plan,
    gradient: list[Array],
    tolerance: float | None,
    executor: Executor | None,
    blank: GradcheckReport,
) -> GradcheckReport:
    """The gradient beside the differences, and the report on both."""
    fast = blank.fast
    rounding = problem.rounding_slopes(plan.method)
    if fast:
        comparison = _directional(problem, plan, gradient, rounding, executor)
    else:
        found = slopes_of(problem, plan.method, executor)
        comparison = _Comparison(problem, plan, gradient, gradient, found, rounding, [])
    bounds, limit = _limits(comparison, tolerance)
    if not fast:
        _look_closer(comparison, limit)
        _settle_kinks(comparison, limit)
    estimate = max(_relative(one.error_estimates, one.slopes) for one in comparison.found)
    estimate = estimate if plan.method == "central" else 0.0
    kinks = tuple(kink for kink, _, _ in _all_kinks(comparison))
    judged = _with_kinks(_judged(comparison, limit), comparison, limit)
    if judged.verdict == "fail" and limit < judged.error:
        bound = bounds[judged.which] if tolerance is None else 0.0
        if excuse := _excuse(comparison, judged, limit, estimate, bound):
            judged = judged._replace(verdict="inconclusive", reason=excuse)
    remarks: list[str] = []
    if judged.verdict == "pass":
        wrong, notes = _promises(comparison, limit)
        judged = judged._replace(verdict="fail", reason=wrong) if wrong else judged
        remarks = notes + _jumping(comparison)
    # A direction moves each coordinate by half a unit at least.
    detectable = (limit + max(judged.error, estimate)) * (2 if fast else 1)
    return blank._replace(
        verdict=judged.verdict,
        max_error=judged.error,
        tolerance=limit,
        method=plan.method,
        worst=judged.worst,
        reason=judged.reason + "".join(remarks),
        detectable=detectable,
        why=plan.why,
        kinks=kinks,
    )


def _jumping(comparison: _Comparison) -> list[str]:
    """Where the function jumps, so that its gradient is that of one side alone."""
    problem, names = comparison.problem, list[str]()
    for i in range(len(problem.points)) if comparison.plan.blurred else ():
        line: list[Array | None] = [None] * len(problem.points)
        line[i] = problem.relative(i)
        names += [problem.name(i)] * jumps(problem, line)
    remark = f" (fn jumps at {', '.join(names)}: this is the gradient of one side)"
    return [remark] if names else []


def _excuse(
    comparison: _Comparison, judged: _Judgment, limit: float, estimate: float, bound: float
) -> str:
    """Why a gradient that disagrees with the differences may be right all the same, if so."""
    plan = comparison.plan
    if not all(np.isfinite(one).all() for one in (*comparison.ours, *_slopes(comparison))):
        return ""
    if plan.method == "central" and _in_doubt(comparison, limit):
        told = limit < estimate < math.inf
        good = f"are only good to {estimate:.1e}" if told else "do not settle"
        return f"real differences {good} here; try other inputs, and float64 throughout"
    if plan.method == "complex" and plan.blurred and (lost := _is_lost(comparison)):
        return f"complex steps {lost}, and real differences do not settle; try other inputs"
    if judged.error <= bound:
        return f"rounding alone moves the gradient by {bound:.1e} here; try other inputs"
    return ""


def _in_doubt(comparison: _Comparison, limit: float) -> bool:
    """Whether real differences are uncertain wherever they disagree with the gradient."""
    problem, lines = comparison.problem, comparison.lines
    norm = _norm(comparison.gradient, problem.weights) or 1.0 if lines else 1.0
    for i, (ours, (slopes, estimates)) in enumerate(
        zip(comparison.ours, comparison.found, strict=True)
    ):
        distance = np.abs(ours - slopes)
        wrong = distance > np.maximum(limit * float(np.abs(slopes).max(initial=0)), 10 * estimates)
        for j in np.flatnonzero(wrong):
            line = lines[j] if lines else unit(problem, i, int(j))
            if distance.flat[j] * norm > real_noise(problem, line):
                return False
    return True


def _is_lost(comparison: _Comparison) -> str:
    """What complex steps show of the imaginary part being lost, where real ones do not settle."""
    if not any(one.any() for one in _slopes(comparison)):
        return "change nothing"
    return "" if keeps_nearby(comparison.problem) else "lose the derivative nearby"


def _limits(comparison: _Comparison, tolerance: float | None) -> tuple[list[float], float]:
    """What rounding can do to each complex step here, and the largest error that passes."""
    method, precision = comparison.plan.method, comparison.problem.precision
    bounds = [0.0] * len(comparison.ours)
    if method == "complex":
        bound = _bound(comparison)
        bounds = [bound + 4 * noise for noise in _noise(comparison, bound)]
    limit = tolerance or TOLERANCES[method, precision]
    if tolerance is None and method == "complex" and precision == "float64":
        limit = min(max(bounds), limit)
    return bounds, limit


def _promises(comparison: _Comparison, limit: float) -> tuple[str, list[str]]:
    """Which promise of a gradient is broken, if any, and what could not be compared."""
    remarks: list[str] = []
    for wrong, remark in (
        layouts(comparison.problem, limit, together=bool(comparison.lines)),
        (linear(comparison.problem, comparison.gradient, limit), ""),
        both_sides(comparison.problem, comparison.gradient, limit),
    ):
        if wrong:
            return wrong, remarks
        remarks.append(f" ({remark})" if remark else "")
    return "", remarks


# How -----------------------------------------------------------------------------------


def _look_closer(comparison: _Comparison, limit: float) -> None:
    """Where gradient and difference disagree there may be a kink that no random line showed."""
    problem, kinks = comparison.problem, comparison.plan.kinks
    for i, (gradient, one) in enumerate(zip(comparison.ours, comparison.found, strict=True)):
        distance = np.abs(gradient - one.slopes)
        distance.flat[list(kinks[i])] = 0
        allowed = max(limit * float(np.abs(one.slopes).max(initial=0)), comparison.rounding[i])
        for j in np.argsort(-distance, axis=None)[:_CLOSER]:
            if not distance.flat[j] > allowed:
                break
            slopes = real_slopes(problem, unit(problem, i, int(j)))
            if not slopes.kink:
                break
            kinks[i][int(j)] = slopes.left, slopes.right


def _settle_kinks(comparison: _Comparison, limit: float) -> None:
    """Between both slopes a gradient is right: there the difference is what it says."""
    for kink, i, j in _all_kinks(comparison):
        nearest = sorted((kink.left, kink.right, kink.gradient))[1]
        right = _is_right(comparison, kink, i, j, limit)
        comparison.found[i].slopes.flat[j] = kink.gradient if right else nearest
        comparison.found[i].error_estimates.flat[j] = 0


def _is_right(comparison: _Comparison, kink: Kink, i: int, j: int, limit: float) -> bool:
    """Whether a gradient at a kink lies between its slopes, or is what a complex step says.

    Real steps are long. They may have met a kink that is only near.
    """
    if _between(kink, comparison.problem.precision):
        return True
    if comparison.plan.method != "complex":
        return False
    slope, _ = complex_slope(comparison.problem, unit(comparison.problem, i, j))
    scale = float(np.abs(comparison.gradient[i]).max())
    return abs(kink.gradient - slope) <= limit * scale


def _all_kinks(comparison: _Comparison) -> Iterator[tuple[Kink, int, int]]:
    """Every kink, with its input among the floating-point ones, and its place in it."""
    problem = comparison.problem
    for i, places in enumerate(comparison.plan.kinks):
        for j, slopes in sorted(places.items()):
            place, gradient = _index(problem.points[i], j), float(comparison.gradient[i].flat[j])
            yield Kink(problem.places[i], place, *slopes, gradient, problem.name(i)), i, j


def _with_kinks(judged: _Judgment, comparison: _Comparison, limit: float) -> _Judgment:
    """A gradient that lies outside the two slopes is wrong, however small both are."""
    for kink, i, j in _all_kinks(comparison) if judged.verdict == "pass" else ():
        if not _is_right(comparison, kink, i, j, limit):
            return judged._replace(verdict="fail", reason=f"the gradient of {kink.name} is wrong")
    return judged


def _between(kink: Kink, precision: str) -> bool:
    """Whether the gradient at a kink is one of its slopes, or lies between them."""
    nearest = sorted((kink.left, kink.right, kink.gradient))[1]
    slack = 10 * TOLERANCES["central", precision] * max(abs(kink.left), abs(kink.right))
    return abs(kink.gradient - nearest) <= slack


def _directional(
    problem: Problem,
    plan: Plan,
    gradient: list[Array],
    rounding: Sequence[float],
    executor: Executor | None,
) -> _Comparison:
    """Slopes along random directions through all inputs: by the gradient, by difference.

    Every input moves in proportion to its size. The slopes are divided by the gradient's norm with
    the same weights, which is what such a slope is on average; so is the rounding in them.
    """
    weights = problem.weights
    norm = _norm(gradient, weights) or 1.0
    lines: list[Sequence[Array | None]] = [
        [
            without(kinks, weight * problem.direction(i))
            for i, (kinks, weight) in enumerate(zip(plan.kinks, weights, strict=True))
        ]
        for _ in range(_DIRECTIONS)
    ]
    slopes, estimates = slopes_along(problem, plan.method, lines, executor)
    ours = np.empty(_DIRECTIONS)
    for k, line in enumerate(lines):
        products = [g * u for g, u in zip(gradient, line, strict=True)]
        ours[k] = sum(p.sum() for p in products)
        if plan.method == "complex":
            estimates[k] = max(estimates[k], _EPS * float(sum(np.abs(p).sum() for p in products)))
    size = sum(point.size for point in problem.points)
    found = Differences(slopes / norm, estimates / norm)
    spread = max(n * w for n, w in zip(rounding, weights, strict=True)) * math.sqrt(size) / norm
    return _Comparison(problem, plan, gradient, [ours / norm], [found], [spread], lines)


# How close -----------------------------------------------------------------------------


def _bound(comparison: _Comparison) -> float:
    """How far rounding may take the gradient from complex steps: the formula above."""
    problem, gradient, found = comparison.problem, comparison.gradient, comparison.found
    moves: list[list[Array]] = []
    for _ in range(_TRIES):
        nearby = zip(
            problem.gradient(*problem.nearby()), gradient, comparison.plan.kinks, strict=True
        )
        moves.append([without(kinks, moved - here) for moved, here, kinks in nearby])
    scales = [float(np.abs(one.slopes).max(initial=0)) or 1.0 for one in found]
    if comparison.lines:
        weights = problem.weights
        norm = _norm(gradient, weights) or 1.0
        shifts = [max(_norm(move, weights) for move in moves) / norm / scales[0]]
    else:
        shifts = [
            max(float(np.abs(move[i]).max(initial=0)) for move in moves) / scale
            for i, scale in enumerate(scales)
        ]
    longest = max(one.size for one in (*problem.points, problem.first))
    bounds = [
        4 * (8 * _EPS + math.sqrt(longest) * _EPS + shift)
        + 8 * float(one.error_estimates.max(initial=0)) / scale
        for mine, one, shift, scale, rounding in zip(
            comparison.ours, found, shifts, scales, comparison.rounding, strict=True
        )
        if not _is_rounding(mine, one.slopes, rounding)
    ]
    return max((bound for bound in bounds if math.isfinite(bound)), default=32 * _EPS)


def _noise(comparison: _Comparison, bound: float) -> list[float]:
    """By how much the complex steps of each input waver where they disagree with the gradient.

    Something may cancel inside the function that does not in its gradient, as the shift of
    logsumexp does, or the gradient be nothing but rounding. Then other h, or inputs moved by one
    rounding, give another slope. Nothing is repeated where rounding already explains the
    disagreement.
    """
    problem, lines, found = comparison.problem, comparison.lines, [0.0] * len(comparison.ours)
    for i, (mine, one) in enumerate(zip(comparison.ours, comparison.found, strict=True)):
        distance = np.abs(mine - one.slopes)
        if not bound < _error(mine, one.slopes) or not np.isfinite(distance).all():
            continue
        j = int(np.argmax(distance))
        line = lines[j] if lines else unit(problem, i, j)
        slopes = [complex_slope(problem, line)[0]] + [
            slope
            for _ in range(_TRIES)
            for slope in (
                complex_slope(problem, line, problem.rng.uniform(0.5, 1))[0],
                complex_slope(problem.moved(), line)[0],
            )
        ]
        unit_of = abs(float(one.slopes.flat[j]) / slopes[0]) if lines and slopes[0] else 1.0
        spread = (max(slopes) - min(slopes)) * unit_of
        if 2 * (unsteady := _unsteady(comparison, i, j)) > distance.flat[j]:
            spread = max(spread, unsteady)
        if 8 * spread > distance.flat[j]:
            scale = float(np.abs(one.slopes).max())
            found[i] = spread / scale if scale else math.inf
    return found


def _unsteady(comparison: _Comparison, which: int, j: int) -> float:
    """By how much what is compared moves there when some of the numbers are moved by one rounding.

    All of them together may move as one, and what is rounded in their mean would stay the same.
    """
    problem = comparison.problem
    found = []
    for _ in range(4 * _TRIES):
        gradient = problem.gradient(*problem.nearby(some=True))
        if comparison.lines:
            norm = _norm(comparison.gradient, problem.weights) or 1.0
            pairs = zip(gradient, comparison.lines[j], strict=True)
            found.append(sum(float((g * u).sum()) for g, u in pairs if u is not None) / norm)
        else:
            found.append(float(gradient[which].flat[j]))
    return max(found) - min(found)


def _judged(comparison: _Comparison, limit: float) -> _Judgment:
    """The verdict, its reason, the largest error and where it is."""
    problem, ours = comparison.problem, comparison.ours
    theirs = _slopes(comparison)
    errors = [_error(a, b) for a, b in zip(ours, theirs, strict=True)]
    zero = [  # to rounding, which has no sign and no digits to agree in
        error > limit and (_is_rounding(a, b.slopes, rounding) or _underflows(a, b, rounding))
        for a, b, error, rounding in zip(
            ours, comparison.found, errors, comparison.rounding, strict=True
        )
    ]

    def badness(i: int) -> tuple[bool, float]:
        return not zero[i], math.inf if math.isnan(errors[i]) else errors[i]

    which = max(range(len(errors)), key=badness)
    error = errors[which]
    worst = _farthest(problem.places[which], ours[which], theirs[which])

    def judgment(verdict: Verdict, reason: str) -> _Judgment:
        return _Judgment(verdict, reason, error, worst, which)

    known = bool(np.isfinite(problem.middle))
    if not all(np.isfinite(one).all() for one in (*ours, *theirs)):
        if (
            known
            and comparison.plan.method == "complex"
            and all(np.isfinite(g).all() for g in ours)
        ):
            return judgment("inconclusive", _NOT_FINITE)
        itself = "" if known else ", and neither is the function: try other inputs"
        return judgment("fail", f"{_called(comparison, which)} is not finite everywhere{itself}")
    if error > limit and not zero[which]:
        return judgment("fail", f"{_called(comparison, which)} is wrong")
    if reason := _empty_or_zero(comparison, zero) or _blind(comparison, limit):
        return judgment("inconclusive", reason)
    return judgment("pass", "the gradient agrees, and wrong ones were rejected")


def _slopes(comparison: _Comparison) -> list[Array]:
    return [one.slopes for one in comparison.found]


def _called(comparison: _Comparison, which: int, article: str = "the") -> str:
    """What was compared: the gradient of one input, or in fast mode of all of them together."""
    one = "" if comparison.lines else f" of {comparison.problem.name(which)}"
    return f"{article} gradient{one}"


def _empty_or_zero(comparison: _Comparison, zero: Sequence[bool]) -> str:
    """Why there was nothing to compare, if so."""
    if not any(one.size for one in comparison.gradient):
        return "the inputs are empty, so nothing was compared"
    for i, gradient in enumerate(comparison.gradient):
        nothing = gradient.size and not gradient.any() and not comparison.plan.kinks[i]
        k = 0 if comparison.lines else i
        if nothing or zero[k]:
            name = comparison.problem.name(i)
            if gradient.any() and _underflows(
                comparison.ours[k], comparison.found[k], comparison.rounding[k]
            ):
                return f"fn underflows, and shows no gradient of {name}; try larger inputs"
            if gradient.any():
                return f"the gradient of {name} is no larger than rounding, which proves nothing"
            cause = "it is zero by construction"
            if _ignores(comparison.problem, i):
                cause = "the function ignores it"
                if comparison.problem.order == 2:
                    cause = "the first gradient does not depend on it; check a square of fn"
            return f"the gradient of {name} is zero, which proves nothing: {cause}"
    return ""


def _blind(comparison: _Comparison, limit: float) -> str:
    """Which wrong gradient would have been accepted, if any."""
    for i, (mine, one) in enumerate(zip(comparison.ours, comparison.found, strict=True)):
        for wrong, gradient in _mutants(mine, limit):
            if not _error(gradient, one.slopes) > limit:
                return f"{_called(comparison, i, f'a {wrong}')} would pass too; try other inputs"
    return ""


def _ignores(problem: Problem, which: int) -> bool:
    """Whether moving an input leaves every output as it is, to the last bit."""
    moved = list(problem.points)
    step = 0.02 * problem.sizes[which] * problem.direction(which)
    moved[which] = (moved[which] + step).astype(moved[which].dtype)
    pairs = zip(problem.run(moved), problem.run(problem.points), strict=True)
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


def _underflows(ours: Array, found: Differences, rounding: float) -> bool:
    """Whether underflow, and not rounding, may have taken a gradient from its differences."""
    lost = np.where(np.isfinite(found.error_estimates), 8 * found.error_estimates, 0)
    taken = not found.slopes.any() and bool((np.abs(ours) <= lost).all())
    return taken and not _is_rounding(ours, found.slopes, rounding)


def _relative(estimates: Array, slopes: Array) -> float:
    """The largest error estimate, relative to the largest entry."""
    return float(estimates.max(initial=0)) / (float(np.abs(slopes).max(initial=0)) or 1.0)


def _norm(gradients: Sequence[Array], weights: Sequence[float]) -> float:
    """The Euclidean norm of all of them, each weighted, without overflow or underflow."""
    weighted = [g * w for g, w in zip(gradients, weights, strict=True)]
    scale = max((float(np.abs(g).max(initial=0)) for g in weighted), default=0.0)
    if not scale or not math.isfinite(scale):
        return scale
    return scale * math.sqrt(sum(float(((g / scale) ** 2).sum()) for g in weighted))


def _farthest(which: int, ours: Array, theirs: Array) -> Place | None:
    if ours.size == 0:
        return None
    distance = np.abs(ours - theirs)
    j = int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))
    place = _index(ours, j)
    return which, place, float(ours[place]), float(theirs[place])


def _index(array: Array, j: int) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(j, array.shape))
