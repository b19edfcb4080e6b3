"""The kit: every case to the backend, every answer beside the truth, and a verdict."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...array import Array, ignoring_fp_errors
from ...errors import ArgumentError
from .adapter import Declaration
from .bounds import Judged, Prepared, in_groups, judged
from .calling import Answer, answered, called
from .cases import Case, cases_of
from .contracts import contracts_of
from .diagnosis import Lineup, diagnose
from .formats import format_of
from .scales import PROFILES
from .sizes import LETTERS, Sizes, sizes_in
from .stages import STAGES, parts_of, stage_of
from .verdicts import Comparison, ConformanceReport, Diagnosis, Outcome, StageReport

__all__ = ["Found", "compared", "comparisons_of", "conform", "examined"]

#: Called with a stage and the share of the run that is done.
Progress = Callable[[str, float], None]
#: Cases of so few numbers, and those that fail, are kept for the contracts and the diagnosis.
_SMALL = 4096


def conform(
    adapter: Any,
    *,
    stages: Sequence[str] | None = None,
    seeds: int = 3,
    quick: bool = False,
    shapes: Sequence[Mapping[str, int]] = (),
    repeat: int = 1,
    progress: Progress | None = None,
) -> ConformanceReport:
    """Is this backend right, and if not, what is wrong with it?

    Args:
        adapter: what speaks for the backend; see :class:`.Adapter`.
        stages: which to look at; by default all. Those that the adapter does not support are
            reported as not covered.
        seeds: how many cases of every kind the quick set has.
        quick: leave out the kernel set, the large cases at the sizes where kernels break.
        shapes: sizes of your own, such as ``{"B": 64, "T": 16, "D": 768, "H": 16, "F": 3072}``;
            every stage is run at them, beside those that the adapter lists.
        repeat: how often one case is called to look for races.
        progress: called before each stage, with its name and the share of the run that is done.

    Returns:
        A :class:`.ConformanceReport`: ``verdict``, ``stages``, ``first_failure``, ``exit_code``.

    Raises:
        ArgumentError: no such stage, or no seeds.
        DTypeError: the adapter lacks something, or names something unknown.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform
        >>> report = conform(Textbook("float32"), stages=["token_mix", "gelu"], quick=True)
        >>> report.verdict, [one.outcome for one in report.stages]
        ('pass', ['pass', 'pass'])
    """
    about = Declaration(adapter)
    wanted = {stage_of(name).name for name in stages or STAGES}
    names = [name for name in STAGES if name in wanted]
    if seeds < 1:
        raise ArgumentError("seeds is a positive integer", str(seeds), "choose 1 or more")
    asked = partial(cases_of, seeds=seeds, quick=quick)
    reports: list[StageReport] = []
    for i, name in enumerate(names):
        if progress:
            progress(name, i / len(names))
        part = Declaration(about.by_stage.get(name, about))
        of_part = partial(asked, shapes=(*shapes, *part.shapes))
        reports.append(_stage(part, name, of_part, repeat, reports))
    return ConformanceReport(about.name, about.dtype, about.accumulation, about.profile, reports)


def _stage(
    about: Declaration,
    name: str,
    asked: Callable[..., Iterator[Case]],
    repeat: int,
    earlier: Sequence[StageReport],
) -> StageReport:
    if name not in about.stages:
        return StageReport(name, "not covered")
    cases = asked(name, about.dtype, requires=about.requires, options=about.options)
    found = Found(about)
    found.ask(in_groups(cases, about.accumulation, about.rounds == "once"))
    if "H" not in about.requires and found.refuses_other_heads():
        report = _stage(about.as_many_heads(), name, asked, repeat, earlier)
        if report.comparisons:
            refused = f"T other than H is not covered: {found.faults[0][1]}"
            return report._replace(remarks=(refused, *report.remarks))
    return found.report(None, repeat, earlier)


def examined(adapter: Any, cases: Iterable[Prepared], lineup: Lineup | None = None) -> StageReport:
    """One stage: every case and every contract, and if it fails, the known bug that it has.

    Args:
        adapter: what speaks for the backend.
        cases: all of one stage.
        lineup: what known bugs make of these cases, if several backends are examined on them.
    """
    found = Found(Declaration(adapter))
    found.ask(cases)
    return found.report(lineup)


class Found:
    """What was found of a stage, case by case.

    Args:
        about: the backend, and what it says of itself.
    """

    def __init__(self, about: Declaration) -> None:
        self.about = about
        self.stage = ""
        self.kept: list[Prepared] = []
        self.answers: list[dict[str, Array]] = []
        self.comparisons: list[Comparison] = []
        self.faults: list[tuple[Case, str]] = []
        self.refused = Counter[str]()
        self.judged: list[tuple[Sizes, bool]] = []  # the sizes of every case, and if it fails

    def ask(self, cases: Iterable[Prepared]) -> None:
        """Judge what the backend says of cases."""
        for one in cases:
            self.add(one, answered(self.about, one.case, self.about.has_vjp))

    def add(self, one: Prepared, answer: Answer) -> None:
        """Judge an answer."""
        self.stage = one.case.stage
        if answer.refused:
            what = "its gradients are" if answer.results else "cases are"
            self.refused[f"{what} not covered: {answer.refused}"] += 1
        elif answer.fault:
            self.faults.append((one.case, answer.fault))
        compared = comparisons_of(one, answer.results, self.about.profile)
        fails = any(comparison.outcome == "fail" for comparison in compared)
        if compared:
            self.comparisons += compared
            self.judged.append((sizes_in(self.stage, one.case.inputs), fails))
        small = compared and one.truth.output.size <= _SMALL
        if fails or small or (answer.fault and len(self.faults) == 1):  # a diagnosis starts there
            self.kept.append(one)
            self.answers.append(answer.results)

    def report(
        self,
        lineup: Lineup | None = None,
        repeat: int = 1,
        earlier: Sequence[StageReport] = (),
    ) -> StageReport:
        """The verdict on the stage.

        Args:
            lineup: what known bugs make of the cases, if that is known.
            repeat: how often one case is called to look for races.
            earlier: what was found of other stages: a network may fail as a part of it does.
        """
        remarks, compared, about = [*self._remarks()], self.comparisons, self.about
        if not compared and not self.faults:
            return StageReport(self.stage, "not covered", remarks=remarks)
        broken: Sequence[str] = ()
        if self.faults:
            case, fault = self.faults[0]
            broken = (f"{fault} (on {case.name})",)
        elif about.forward:
            gradients = any(one.tensor != "output" for one in compared)
            broken, more = contracts_of(about, self.kept, gradients, repeat)
            remarks += more
        detects = detectable_in(compared)
        blind = [called(tensor) for tensor, least in detects.items() if least >= 1]
        remarks += [f"a zero {tensor} would have passed too" for tensor in blind]
        outcomes = {one.outcome for one in compared}
        outcome: Outcome = "known" if "known" in outcomes else "pass"
        if broken or "fail" in outcomes:
            outcome = "fail"
        elif blind:
            outcome = "inconclusive"
        sizes = {
            letter: (min(each), max(each))
            for letter in LETTERS
            if (each := [sizes[letter] for sizes, _ in self.judged if letter in sizes])
        }
        least = max(detects.values(), default=np.nan)
        report = StageReport(self.stage, outcome, compared, broken, remarks, least, None, sizes)
        if outcome != "fail" or not self.kept:
            return report
        failing = [one.stage for one in earlier if one.outcome == "fail" and not one.excuse]
        for part in parts_of(self.stage, self.kept[0].case.inputs):
            if part in failing:
                said = f"its part {part} fails too: begin there"
                return report._replace(diagnosis=Diagnosis(part, said, 0, "", "", "part"))
        adapter, promises = (about, broken) if about.forward else (None, ())
        diagnosis = diagnose(adapter, self.kept, promises, lineup, self.answers, about.profile)
        unnamed = diagnosis and not diagnosis.named and not broken
        return report._replace(diagnosis=diagnosis, excuse=self._excuse() if unnamed else "")

    def _excuse(self) -> str:
        """The profiles not declared that would excuse every tensor that fails, if they would."""
        found = set[str]()
        for one, results in zip(self.kept, self.answers, strict=True):
            each = judged(one.under(self.about.profile), results)
            excuses = each.excuses([name] for name in PROFILES)
            found |= {excuses.get(tensor, "") for tensor in each.failing}
        return "" if "" in found else " and ".join(name for name in PROFILES if name in found)

    def refuses_other_heads(self) -> bool:
        """Whether there are faults, and all of them are where T ≠ H."""
        refusing = [sizes_in(case.stage, case.inputs) for case, _ in self.faults]
        return bool(refusing) and all(one.get("H", one["T"]) != one["T"] for one in refusing)

    def _remarks(self) -> Iterator[str]:
        if rules := self.about.requires:
            said = ", ".join(f"{letter}: {rule}" for letter, rule in rules.items())
            yield f"only sizes with {said} are covered"
        yield from (f"{n} {text}" if "cases" in text else text for text, n in self.refused.items())
        if not self.about.has_vjp:
            yield "its gradients are not covered: the adapter has no vjp"
        mixing = [(one, fails) for one, fails in self.judged if one["T"] > 1 < one.get("H", 1)]
        square = {fails for one, fails in mixing if one["H"] == one["T"]}
        if (square, {fails for one, fails in mixing if one["H"] != one["T"]}) == ({False}, {True}):
            yield (
                "it is right wherever T = H: if it has as many heads as tokens, let the adapter "
                'say heads = "tokens"'
            )


def comparisons_of(
    one: Prepared, results: Mapping[str, Array], profile: Sequence[str]
) -> list[Comparison]:
    """Every tensor that a backend returned beside the truth."""
    each = judged(one, results)
    excuses = each.excuses((*([name] for name in profile), profile))
    return [compared(tensor, excuses.get(name, "")) for name, tensor in each.tensors.items()]


def compared(one: Judged, known: str = "") -> Comparison:
    """One tensor beside the truth; outside its bound it may be within that of a profile."""
    case, worst = one.one.case, one.worst
    outcome: Outcome = "known" if known else "fail" if one.fails else "pass"
    beside = worst.error, one.bound, outcome, known, *worst[1:]
    return Comparison(case.name, case.kind, one.tensor, *beside, _smallest(one))


def _smallest(one: Judged) -> float:
    """The error of the largest entry that would have been caught, relative to it."""
    sizes = np.abs(one.true)
    if not 0 < sizes.max(initial=0) < np.inf:
        return np.inf
    j = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    allowed = (one.bound + one.worst.error) * format_of(one.one.case.dtype).unit
    with ignoring_fp_errors():  # what is far off on huge numbers is infinitely far off
        return float(max(allowed * one.scale[j] / sizes[j], 2**-53))


def detectable_in(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """What would have been caught in every tensor, in the case that shows it best."""
    found: dict[str, float] = {}
    for one in comparisons:
        found[one.tensor] = min(one.detectable, found.get(one.tensor, np.inf))
    return found
