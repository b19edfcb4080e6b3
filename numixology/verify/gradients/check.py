"""The gradient check: a gradient is compared with the slopes of the function itself.

1. A cotangent v is drawn at random. Whatever f returns, ⟨v, f(x)⟩ is a single number, and what a
   vjp returns for v is the gradient of that number by x.
2. The slopes of the same number are measured along every coordinate of x: by complex steps, which
   are exact to rounding (:mod:`.slopes`), or by real differences where f does not carry a complex
   step to its outputs (:mod:`.ladders`). :mod:`.plans` chooses between the two.
3. Every entry of the gradient is compared with its own slope (:mod:`.comparisons`). The two may
   differ by what rounding can do there (:mod:`.doubts`); at a kink the entry may lie anywhere
   between the slopes of both sides (:mod:`.kinks`). Where outputs differ much in size, a second
   cotangent gives them equal weight.
4. Wrong gradients are made from the one that agreed (zero, negated, scaled, rolled). If the same
   comparison would accept one of them, nothing was proved.

``_checked`` takes these steps in order; ``_compared`` is 2 and 3, ``_blind`` is 4. Before an entry
is called wrong, :mod:`.rechecks` asks what else may explain the difference.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...array import Array, ignoring_fp_errors
from ...errors import GradientError
from ...nn import Module
from .asking import Method, Options, stream, with_parameters
from .comparisons import Comparison, compared
from .contracts import broken, changed, repeated
from .executors import Executor
from .nothing import nothing_proved
from .plans import Plan, cotangents, planned
from .problems import Problem, Unfit, second_order
from .rechecks import cap_limits, recheck
from .reporting import blank, filled, remarks, wrong, wrong_at_ties
from .reports import GradcheckReport, Kink, Verdict

__all__ = ["GradcheckReport", "Kink", "Verdict", "gradcheck"]

_CONTRADICTED = (
    "real steps call the gradient wrong and complex ones right: either real ones pass over "
    "something small here, or an operation drops the imaginary part; try other inputs"
)


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
    strict: bool = False,
    nondet_tol: float = 0.0,
    check_jvp: Callable[..., Any] | None = None,
) -> GradcheckReport:
    """Compare the gradient of ``fn`` with differences of ``fn`` itself.

    Which gradient? With ``vjp`` the one that it returns. Without, the one that numixology's tape
    returns for ``fn``, by the rules of its primitives; a gradient that you wrote elsewhere is then
    not checked.

    The check also fails a gradient that depends on how its inputs or its cotangent lie in memory
    (Fortran-ordered, strided, repeated by a stride of zero, read-only), that writes into them,
    that does not grow with the cotangent, or that ``nx.jvp`` contradicts. At a kink, where a
    function has two slopes, the report gives both, and a gradient between them is right.

    Args:
        fn: a function of tensors that returns a tensor, or a module, whose parameters are then
            inputs too, after the others, in the order of ``named_parameters()``; with ``vjp`` a
            function of NumPy arrays that returns an array. It may return tuples, lists and dicts
            of them.
        *inputs: what to call it with: arrays, tensors, numbers or lists, or tuples, lists and dicts
            of arrays. Floating-point ones are differentiated, others (ids, masks) are handed over
            as they are.
        vjp: a hand-written gradient to check instead of the tape's:
            ``vjp(cotangent, *inputs)`` returns one array per floating-point input, or just the
            array if there is one; None for an input that has no gradient. The cotangent has the
            structure of what ``fn`` returns. It is called on its own, so a layer that remembers
            what its forward saw must run that forward again.
        method: ``"complex"`` steps, ``"central"`` differences, or ``"auto"``: complex where
            ``fn`` can be run on complex numbers and keeps their derivative.
        order: 1 for the gradient; 2 for the gradient of ⟨w, gradient⟩ with a random w.
        rng: a seed or Generator for the cotangents and directions.
        tolerance: the largest error that passes, relative to the largest entry of each input's
            gradient. By default every entry has its own limit: what rounding can do there, and in
            addition 1e-6 of its slope for central differences; in float32 1e-4 of it for complex
            steps, 2e-2 for central differences.
        fast: compare four random directions through all inputs at once, not every coordinate;
            the error is then relative to the gradient's Euclidean norm, where the gradient of
            every input is weighted by the input's largest entry.
        raise_on_failure: raise GradientError with the report unless the check passes.
        executor: a :class:`concurrent.futures.Executor` over which the coordinates are spread;
            for one of processes ``fn`` must be picklable.
        strict: fail a gradient whose formula loses digits that ``fn`` keeps, as 1 - y² does for
            tanh; by default such a gradient passes, and the reason says how far it is right.
        nondet_tol: by how much two calls may differ, relative to the largest number that they
            return: 0 unless a function adds up in random order, as atomics of a GPU do.
        check_jvp: a hand-written forward derivative: ``check_jvp(tangent, *inputs)`` returns J u in
            the structure of what ``fn`` returns. The tangent u is one array, or a tuple of arrays
            if several inputs are differentiated. ⟨v, J u⟩ must be ⟨v J, u⟩.

    Returns:
        A :class:`.GradcheckReport`: ``passed``, ``verdict``, ``max_error``, ``detectable`` and
        more. The verdict is ``"inconclusive"`` where nothing was proved: a gradient that is zero
        everywhere, a function that underflows or is random, complex steps that are not finite where
        it is, differences that do not settle wherever they disagree with the gradient, or wrong
        gradients that this check would have accepted.

    Raises:
        ArgumentError: an unknown method or order, no seed, or a tolerance that is not positive.
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
        x[0] is at a kink: slope 0 below, 1.40288 above, gradient 0
    """
    options = Options(method, order, tolerance, fast, strict, nondet_tol, check_jvp, executor)
    options.refuse(vjp)
    rng, names = stream(rng), list[str]()
    given: Sequence[Any] = inputs
    if isinstance(fn, Module):
        fn, given, names = with_parameters(fn, inputs)
    with ignoring_fp_errors():
        problem = Problem(fn, vjp, given, rng, names)
        if order == 2:
            problem = second_order(problem, rng.standard_normal(problem.y.size))
        report = _checked(problem, options)
    if raise_on_failure and not report:
        raise GradientError(
            "a gradient must say what the function does",
            str(report),
            "compare the two values there",
        )
    return report


def _checked(problem: Problem, options: Options) -> GradcheckReport:
    """The report of one check: steps 1 to 4, unless a gradient cannot be compared at all."""
    v = problem.rng.standard_normal(problem.y.size)
    try:
        if early := _not_compared(problem, v, options):
            return blank(problem, options, *early)
    except Unfit as unfit:
        return blank(problem, options, "fail", str(unfit))
    options = options._replace(fast=options.fast and bool(np.isfinite(problem.gradient(v)).all()))
    comparison = _compared(problem, v, options)
    if options.fast and len(comparison.wrong()):  # every coordinate says more than four lines
        options = options._replace(fast=False)
        comparison = _compared(problem, v, options)
    report = filled(comparison)
    verdict, reason = _verdict(comparison, report.detectable)
    for _ in range(0 if verdict == "pass" else 16):  # fn may be random in a few of its calls only
        if early := _repeats(problem, v, options):
            verdict, reason = early
            break
    return report._replace(verdict=verdict, reason=reason)


def _not_compared(problem: Problem, v: Array, options: Options) -> tuple[Verdict, str] | None:
    """Verdict and reason if there is nothing to compare, or no use in it, else None."""
    if reason := changed(problem, v):
        return "fail", f"{reason}: a gradient must leave its arguments alone"
    for what, numbers in (("an input that is moved", problem.x), ("fn", problem.y)):
        if not np.isfinite(numbers).all():
            return "inconclusive", f"{what} is not finite here; try other inputs"
    if early := _repeats(problem, v, options):
        return early
    problem.leave_out_what_has_no_gradient(v)
    if not problem.places:
        return "inconclusive", "vjp returns no gradient, so nothing was compared"
    if not problem.x.size:
        return "inconclusive", "the inputs are empty, so nothing was compared"
    return None


def _repeats(problem: Problem, v: Array, options: Options) -> tuple[Verdict, str] | None:
    """Verdict and reason if two calls with the same arguments differ, else None."""
    reason, remembers = repeated(problem, v, options.nondet_tol)
    if remembers:
        return "fail", f"{reason}: {remembers}"
    if reason:
        remedy = "call .eval() on the module, fix its seed, or set nondet_tol="
        return "inconclusive", f"{reason}: the function is random; {remedy}"
    return None


def _compared(problem: Problem, v: Array, options: Options) -> Comparison:
    """Steps 2 and 3: measure the slopes, and compare the gradient with them."""
    plan = planned(problem, v, options.method)
    problem.still = [*plan.kinks, *plan.jumps]  # where a rounding leads to another slope
    comparison = _by_steps(problem, v, plan, options)
    if plan.doubted and len(comparison.wrong()):  # complex steps may call it right
        other = _by_steps(problem, v, planned(problem, v, "complex"), options)
        if other.measured.carried and not (len(other.wrong()) or other.unknown):
            comparison.unknown = dict.fromkeys(range(len(comparison.lines)), _CONTRADICTED)
    return comparison


def _by_steps(problem: Problem, v: Array, plan: Plan, options: Options) -> Comparison:
    """The comparison by the steps of this plan."""
    comparison = compared(problem, plan, cotangents(problem, v, plan.method), options)
    if not options.fast and (len(comparison.wrong()) or plan.method == "central"):
        recheck(comparison)
    if options.tolerance is None:
        cap_limits(comparison)
    return comparison


def _verdict(comparison: Comparison, detectable: float) -> tuple[Verdict, str]:
    """The verdict on a comparison, and the reason."""
    if len(comparison.wrong()):
        return "fail", wrong(comparison)
    unknown = next(iter(comparison.unknown.values()), "")
    if reason := nothing_proved(comparison) or unknown or _blind(comparison):
        return "inconclusive", reason
    if reason := wrong_at_ties(comparison):
        return "fail", reason
    v, gradient = comparison.cotangents[0], comparison.gradients[0]
    jvp = comparison.options.check_jvp
    promise, not_run = broken(comparison.problem, v, gradient, detectable, jvp)
    if promise:
        return "fail", promise
    said = "".join(f" ({one})" for one in remarks(comparison) + not_run)
    return "pass", f"the gradient agrees, and wrong ones were rejected{said}"


def _blind(comparison: Comparison) -> str:
    """Step 4: which wrong gradient the same comparison would accept; empty if it rejects all."""
    for which, part in comparison.parts:
        smooth = comparison.smooth[part]  # at a kink a zero may be right
        ours, limits, slopes = (
            one[0, part][smooth]
            for one in (comparison.ours, comparison.limits, comparison.measured.slopes)
        )
        of = "" if comparison.options.fast else f" of {comparison.problem.names[which]}"
        for mutant, other in _mutants(ours, limits):
            if not (np.abs(other - slopes) > limits).any():
                return f"a {mutant} gradient{of} would pass too; try other inputs"
    return ""


def _mutants(gradient: Array, limits: Array) -> list[tuple[str, Array]]:
    """Wrong gradients made from this one, with their names: a check must reject every one."""
    if not gradient.any():
        return []
    most, limit = np.abs(gradient).max(), limits.max()
    rolled = np.roll(gradient, 1)
    mutants = [
        ("zero", 0 * gradient),
        ("negated", -gradient),
        ("scaled", gradient * (1 + 10 * limit / most)),
    ]
    if np.abs(rolled - gradient).max() > 10 * limit:
        mutants.append(("rolled", rolled))
    return mutants
