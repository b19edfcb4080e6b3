"""The kit: every case to the backend, every answer beside the truth, and a verdict."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from ...array import Array, ignoring_fp_errors
from .adapter import Declaration, declared
from .bounds import Measured, Prepared, measured, prepared, true_tensors
from .calling import answered
from .contracts import contracts_of
from .diagnosis import Lineup, diagnose
from .scales import PROFILES
from .stages import STAGES, stage_of
from .verdicts import Comparison, ConformanceReport, Outcome, StageReport

__all__ = [
    "blind_spots",
    "compared",
    "conform",
    "detectable_in",
    "examined",
    "excused",
    "judged",
    "outcome_of",
]

Progress = Callable[[str], None]


def conform(
    adapter: Any,
    *,
    stages: Sequence[str] | None = None,
    seeds: int = 3,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> ConformanceReport:
    """Is this backend right, and if not, what is wrong with it?

    Args:
        adapter: what speaks for the backend; see :class:`.Adapter`.
        stages: which to look at; by default all. Those that the adapter does not support are
            reported as not covered.
        seeds: how many cases of every kind.
        executor: over which the stages are spread; the adapter must be picklable for one of
            processes.
        progress: called with the name of every stage when it is done.

    Returns:
        A :class:`.ConformanceReport`: ``verdict``, ``stages``, ``first_failure``, ``exit_code``.

    Raises:
        ArgumentError: no such stage.
        DTypeError: the adapter lacks something, or names something unknown.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform
        >>> report = conform(Textbook("float32"), stages=["token_mix", "gelu"], seeds=1)
        >>> report.verdict, [one.outcome for one in report.stages]
        ('pass', ['pass', 'pass'])
    """
    about = declared(adapter)
    names = [stage_of(name).name for name in stages or STAGES]
    names = [name for name in STAGES if name in names]
    reports: list[StageReport] = []
    for one in _each(adapter, about, names, seeds, executor):
        reports.append(one)
        if progress is not None:
            progress(one.stage)
    return ConformanceReport(about.name, about.dtype, about.accumulation, about.profile, reports)


def _each(
    adapter: Any, about: Declaration, names: Sequence[str], seeds: int, executor: Executor | None
) -> Iterator[StageReport]:
    if executor is None:
        for name in names:
            yield _stage(adapter, name, seeds)
        return
    futures = [executor.submit(_stage, adapter, name, seeds) for name in names]
    for future in futures:
        yield future.result()


def _stage(adapter: Any, name: str, seeds: int) -> StageReport:
    about = declared(adapter)
    if name not in about.stages:
        return StageReport(name, "not covered")
    return examined(adapter, prepared(about.dtype, about.accumulation, [name], seeds))


def examined(adapter: Any, cases: Sequence[Prepared], lineup: Lineup | None = None) -> StageReport:
    """One stage: every case and every contract, and if it fails, the known bug that it has.

    Args:
        adapter: what speaks for the backend.
        cases: all of one stage.
        lineup: what known bugs make of these cases, if several backends are examined on them.
    """
    about = declared(adapter)
    stage = cases[0].case.stage
    comparisons: list[Comparison] = []
    answers: list[dict[str, Array]] = []
    refusals: tuple[str, ...] = ()
    backward = about.has_vjp
    for one in cases:
        results, fault, refused, _ = answered(adapter, one.case, backward)
        if refused and not results:
            return StageReport(stage, "not covered", remarks=(refused,))
        if refused:
            backward, refusals = False, (f"its gradients are not covered: {refused}",)
        if fault:
            comparisons += _every_tensor(one, results, about)
            fault = f"{fault} (on {one.case.name})"
            found = diagnose(adapter, cases, (fault,), lineup)  # the other cases too
            return StageReport(stage, "fail", comparisons, (fault,), diagnosis=found)
        answers.append(results)
        comparisons += _every_tensor(one, results, about)
    broken, remarks, properties = contracts_of(adapter, cases, backward)
    remarks = (*remarks, *refusals)
    if not about.has_vjp:
        remarks = (*remarks, "its gradients are not covered: the adapter has no vjp")
    blind = blind_spots(cases, comparisons)
    outcome = outcome_of(comparisons, broken=bool(broken), unproved=bool(blind))
    found = diagnose(adapter, cases, broken, lineup, answers) if outcome == "fail" else None
    if found and not found.named:
        remarks = (*remarks, *excused(cases, answers, about.profile))
    return StageReport(
        stage,
        outcome,
        comparisons,
        broken,
        remarks,
        ", ".join(blind),
        detectable_in(comparisons),
        found,
        properties,
    )


def excused(
    cases: Sequence[Prepared], answers: Sequence[Mapping[str, Array]], profile: Sequence[str]
) -> list[str]:
    """What to say if profiles that are not declared would excuse every tensor that fails.

    Args:
        cases: with their scales under every profile.
        answers: what the backend returned for each.
        profile: which profiles it declares.

    Returns:
        A remark, or none.
    """
    found = [
        _excusing(one, tensor, results[tensor], profile)
        for one, results in zip(cases, answers, strict=True)
        for tensor in one.bounds
        if tensor in results and compared(one, tensor, results[tensor], profile).outcome == "fail"
    ]
    if not found or "" in found:
        return []
    names = " and ".join(f"'{name}'" for name in PROFILES if name in found)
    return [
        f"all tensors beyond their bounds ({len(found)}) would be known differences under the "
        f"profile {names}; declare it if that is meant"
    ]


def _excusing(one: Prepared, tensor: str, got: Array, profile: Sequence[str]) -> str:
    """The first profile that, with those declared, would excuse a tensor, if there is one."""
    for name in PROFILES:
        if compared(one, tensor, got, [name, *profile]).outcome == "known":
            return name
    return ""


def outcome_of(comparisons: Sequence[Comparison], *, broken: bool, unproved: bool) -> Outcome:
    """The outcome of a stage from those of its tensors, its contracts, and what was not proved."""
    outcomes = {one.outcome for one in comparisons}
    if broken or "fail" in outcomes:
        return "fail"
    if unproved:
        return "inconclusive"
    return "known" if "known" in outcomes else "pass"


def judged(adapter: Any, one: Prepared) -> tuple[list[Comparison], str]:
    """Every tensor of a case beside the truth, or what is misshapen about the answer."""
    about = declared(adapter)
    results, fault, _, error = answered(adapter, one.case, about.has_vjp)
    if error:
        raise error
    return _every_tensor(one, results, about), fault


def _every_tensor(
    one: Prepared, results: Mapping[str, Array], about: Declaration
) -> list[Comparison]:
    tensors = [tensor for tensor in one.bounds if tensor in results]
    return [compared(one, tensor, results[tensor], about.profile) for tensor in tensors]


def compared(one: Prepared, tensor: str, got: Array, profile: Sequence[str]) -> Comparison:
    """One tensor beside the truth; outside its bound it may be within that of a profile."""
    dtype, bound = one.case.dtype, one.bounds[tensor]
    true = true_tensors(one.truth)[tensor]
    found = measured(got, true, one.scales[tensor], dtype)
    outcome: Outcome = "pass" if found.error <= bound else "fail"
    known = ""
    if outcome == "fail" and profile:  # each profile alone, then all of them
        for names in (*([name] for name in profile), profile):
            wide = np.max([one.wide(name)[tensor] for name in names], axis=0)
            if not known and measured(got, true, wide, dtype).error <= bound:
                outcome, known = "known", " and ".join(names)
    return Comparison(
        one.case.name,
        one.case.kind,
        tensor,
        found.error,
        bound,
        outcome,
        known,
        found.place,
        found.got,
        found.true,
        _smallest(one, tensor, found, true),
    )


def _smallest(one: Prepared, tensor: str, found: Measured, true: Array) -> float:
    """The error of the largest entry that would have been caught, relative to it."""
    if not true.size or not np.abs(true).max():
        return np.inf
    j = np.unravel_index(int(np.argmax(np.abs(true))), true.shape)
    unit = measured(true + one.scales[tensor], true, one.scales[tensor], one.case.dtype).error
    with ignoring_fp_errors():  # what is far off on huge numbers is infinitely far off
        allowed = (one.bounds[tensor] + found.error) / unit if unit else 0.0
        return float(max(allowed * one.scales[tensor][j] / abs(true[j]), 2**-53))


def blind_spots(cases: Sequence[Prepared], comparisons: Sequence[Comparison]) -> list[str]:
    """The wrong results that no case of a stage would have rejected, such as "a zero output"."""
    accepted: dict[tuple[str, str], bool] = {}
    by_name = {one.case.name: one for one in cases}
    for one in comparisons:
        _try_nulls(by_name[one.case], one, accepted)
    return [f"a {null} {tensor}" for (tensor, null), always in accepted.items() if always]


def _try_nulls(
    one: Prepared, comparison: Comparison, accepted: dict[tuple[str, str], bool]
) -> None:
    """Note which wrong results, made from the right one, no case has rejected so far."""
    tensor = comparison.tensor
    true = true_tensors(one.truth)[tensor]
    finite = true if np.isfinite(true).all() else np.zeros_like(true)  # which tells nothing
    with ignoring_fp_errors():
        scaled = finite * (1 + 10 * min(comparison.detectable, 1.0))
    nulls = {"zero": 0 * finite, "negated": -finite, "rolled": np.roll(finite, 1), "scaled": scaled}
    for name, null in nulls.items():
        error = measured(null, finite, one.scales[tensor], one.case.dtype).error
        rejected = error > comparison.bound
        accepted[tensor, name] = accepted.get((tensor, name), True) and not rejected


def detectable_in(comparisons: Sequence[Comparison]) -> float:
    """What would have been caught in every tensor: the best case of each, the worst tensor."""
    best: dict[str, float] = {}
    for one in comparisons:
        best[one.tensor] = min(best.get(one.tensor, np.inf), one.detectable)
    return max(best.values(), default=np.nan)
