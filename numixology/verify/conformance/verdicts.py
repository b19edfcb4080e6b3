"""What the kit says of a backend: a verdict per tensor, stage and backend, and figures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from ...errors import EXIT_CODES
from ...notebook import report_html
from ...text import columns, counted, filled, for_json
from .formats import format_of
from .sizes import LETTERS
from .stages import STAGES

__all__ = [
    "NEAREST",
    "Comparison",
    "ConformanceReport",
    "Diagnosis",
    "Outcome",
    "StageReport",
]

Outcome: TypeAlias = Literal["pass", "known", "fail", "inconclusive", "not covered"]


class Comparison(NamedTuple):
    """One tensor of one case.

    Attributes:
        case: its name.
        kind: what its inputs are like.
        tensor: ``"output"``, or the name of the input whose gradient it is.
        error: how far off it was at most, in roundings of its scale.
        bound: how far off it may be.
        outcome: ``"pass"``, ``"fail"``, or ``"known"``: outside the bound, but within that of a
            profile which the backend declares.
        profile: which profile that was.
        place: where it was farthest off.
        got: what the backend says there.
        true: what is true there.
        detectable: the smallest error, relative to the tensor's largest entry, that would have
            been caught there.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform
        >>> (stage,) = conform(Textbook(), stages=["token_mix"], seeds=1, quick=True).stages
        >>> one = stage.comparisons[0]
        >>> one.case, one.tensor, one.error, one.bound, one.ratio, one.outcome
        ('token_mix/plain/0', 'output', 0.0, 0.0, 0.0, 'pass')
    """

    case: str
    kind: str
    tensor: str
    error: float
    bound: float
    outcome: Outcome
    profile: str
    place: tuple[int, ...]
    got: float
    true: float
    detectable: float

    @property
    def ratio(self) -> float:
        """The error by the bound; infinite where nothing was allowed."""
        if self.bound:
            return self.error / self.bound
        return math.inf if self.error else 0.0

    @property
    def label(self) -> str:
        """What reports call the tensor: ``output``, or ``x.grad`` for the gradient by x."""
        return self.tensor if self.tensor == "output" else f"{self.tensor}.grad"


class Diagnosis(NamedTuple):
    """The known bug that comes nearest to what a backend computes.

    Attributes:
        bug: its name.
        description: what it does.
        distance: how far the backend is from it, relative to how far it is from the truth.
        runner_up: the next one.
        code: the call of :func:`.make_case` that makes the case in which it shows best.
        by: how it was found: by its ``"value"``; by the value of some tensors, which are named,
            such as ``"the output"``; by the ``"size"`` of its errors, for one whose digits are
            those of chance; as a breach of a ``"contract"``; by ``"chance"``, since no two calls
            agree; a network by its ``"part"`` that fails too; or, if empty, not really.
        rest: what is to be said of the other tensors.
        where: in which rows and columns it goes wrong.
        edge: from which size on.
        shape: the smallest at which it does, such as ``"B=1,T=1,D=1025"``.

    Example:
        >>> from numixology.verify.conformance import Diagnosis
        >>> print(Diagnosis("no-bias", "the bias is dropped", 2e-7, "the mean is kept", ""))
        matches: the bias is dropped (no-bias), explains all of the difference
    """

    bug: str
    description: str
    distance: float
    runner_up: str
    code: str
    by: str = "value"
    rest: str = ""
    where: str = ""
    edge: str = ""
    shape: str = ""

    @property
    def places(self) -> list[str]:
        """Where it goes wrong, in sentences; from which size on is said by ``edge``."""
        smallest = f"the smallest shape that fails is {self.shape}" if self.shape else ""
        return [text for text in (self.where, smallest) if text]

    @property
    def named(self) -> bool:
        """Whether a known bug is the answer, and no more than near it."""
        return bool(self.by) and self.bug not in ("unsteady", "broken-contract")

    def __str__(self) -> str:
        if not self.by and self.distance >= NEAREST:
            return "no known bug comes near"
        known = "no bug" if self.bug == "broken-contract" else self.by
        share = 100 * (1 - self.distance)
        said = _SAID.get(known, _SAID["tensors"]).format(
            self,
            named=f"{self.description} ({self.bug})",
            share=f"{share:.3g} %" if share < 99.9 else "all",
        )
        return f"{said}; {self.rest}" if self.rest else said


#: What is said of a bug, by how it was found.
_SAID = {
    "value": "matches: {named}, explains {share} of the difference",
    "tensors": "matches in {0.by}: {named}, explains {share} of the difference",
    "part": "{0.description}",
    "no bug": "no known bug does so: {0.description}",
    "size": "matches by the size of its errors: {named}",
    "contract": "matches by the promise that it breaks: {named}",
    "chance": "matches in that no two calls agree: {named}",
    "": (
        "no known bug comes near; the nearest leaves {0.distance:.0%} of the difference "
        "unexplained: {named}"
    ),
}
#: What leaves this share of a difference unexplained is not even worth mentioning.
NEAREST = 0.95


class StageReport(NamedTuple):
    """What was found of one stage.

    Attributes:
        stage: its name.
        outcome: ``"pass"``, ``"known"``, ``"fail"``, ``"inconclusive"`` or ``"not covered"``.
        comparisons: every tensor of every case.
        broken: which contracts were.
        remarks: what else there is to say: what was not covered, and what it was measured to do.
        detectable: what would have been caught in every tensor, relative to its largest entry.
        diagnosis: the known bug that comes nearest, if the stage fails and one does.
        sizes: the smallest and the largest of each letter that was judged.
        excuse: the profiles that are not declared and would excuse all that fails.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform
        >>> (stage,) = conform(Textbook("float32"), stages=["softmax"], seeds=1, quick=True).stages
        >>> stage.outcome, stage.broken, stage.detectable < 1e-5
        ('pass', (), True)
    """

    stage: str
    outcome: Outcome
    comparisons: Sequence[Comparison] = ()
    broken: Sequence[str] = ()
    remarks: Sequence[str] = ()
    detectable: float = math.nan
    diagnosis: Diagnosis | None = None
    sizes: Mapping[str, tuple[int, int]] = {}
    excuse: str = ""

    @property
    def notes(self) -> list[str]:
        """What there is to say of it that is no failure, in sentences."""
        found = [*self.remarks]
        for name in sorted({one.profile for one in self.comparisons if one.profile}):
            count = sum(one.profile == name for one in self.comparisons)
            found.append(f"{counted(count, 'tensor')} beyond the bound as the profile {name} says")
        return found

    @property
    def worst(self) -> Comparison | None:
        """The comparison that came nearest to its bound, or went farthest beyond."""
        failed = [one for one in self.comparisons if one.outcome == self.outcome]
        return max(failed or self.comparisons, key=lambda one: one.ratio, default=None)


class ConformanceReport(NamedTuple):
    """What the kit found; it is true if the backend conforms, and prints readably.

    Attributes:
        backend: the name of it.
        dtype: its format.
        accumulation: the dtype in which it forms sums.
        profile: which of :data:`.PROFILES` it declares.
        stages: what was found of each.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform
        >>> report = conform(Textbook("float32"), stages=["gelu"], seeds=1, quick=True)
        >>> bool(report), report.verdict, report.exit_code, report.first_failure
        (True, 'pass', 0, None)
        >>> print(report.summary)
        PASS: 1 of ... stages covered, 16 tensors compared
    """

    backend: str
    dtype: str
    accumulation: str
    profile: Sequence[str]
    stages: Sequence[StageReport]

    @property
    def verdict(self) -> str:
        """``"pass"``, ``"fail"``, ``"inconclusive"`` or ``"unsupported"``."""
        outcomes = {one.outcome for one in self.stages}
        if "fail" in outcomes:
            return "fail"
        if "inconclusive" in outcomes:
            return "inconclusive"
        return "pass" if outcomes & {"pass", "known"} else "unsupported"

    @property
    def exit_code(self) -> int:
        """0 for a pass, 1 for a failure, 3 if nothing was proved, 4 if no stage is supported."""
        return EXIT_CODES[self.verdict]

    @property
    def not_covered(self) -> list[str]:
        """The stages of which nothing is known, not being supported, or not asked for."""
        covered = {one.stage for one in self.stages if one.outcome != "not covered"}
        return [name for name in STAGES if name not in covered]

    @property
    def summary(self) -> str:
        """The verdict, and how much was looked at."""
        compared = sum(len(one.comparisons) for one in self.stages)
        failing = [one for one in self.stages if one.outcome == "fail"]
        excuses = {one.excuse for one in failing}
        excuse = f", excused by the profile {' and '.join(sorted(excuses))} if declared"
        return (
            f"{self.verdict.upper()}: {len(STAGES) - len(self.not_covered)} of {len(STAGES)} "
            f"stages covered, {compared} tensors compared"
            + (excuse if failing and "" not in excuses else "")
        )

    @property
    def first_failure(self) -> StageReport | None:
        """The first stage that fails; those it is made of come before it."""
        return next((one for one in self.stages if one.outcome == "fail"), None)

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def __str__(self) -> str:
        failing = [line for one in self.stages if one.outcome == "fail" for line in _failure(one)]
        rows = _rows(self)
        table = ["", columns(_HEADINGS, rows, "<<>>><", 80)] if rows else []
        unit = f"errors are in units of rounding error (1 = 2^-{format_of(self.dtype).digits})"
        legend = ["", "ratio is error / bound; above 1 fails", unit, _DETECTS] if rows else []
        notes = [filled(text) for text in _notes(self)]
        about = f"{self.backend}: {self.dtype}, sums in {self.accumulation}"
        return "\n".join([filled(self.summary), filled(about), *failing, *table, *legend, *notes])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return report_html(self)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON, which has no NaN and no infinity: they are words."""
        more = {name: getattr(self, name) for name in ("verdict", "exit_code", "not_covered")}
        found = for_json(self)
        stages = found.pop("stages")
        return {**found, **more, "stages": stages}


def _failure(one: StageReport) -> list[str]:
    """What is wrong with a stage, where, which known bug does so, and what makes the case."""
    worst, found = one.worst, one.diagnosis
    said = [text for text in one.broken if found is None or text != found.description]
    if worst is not None and worst.outcome == "fail":
        place = f"{worst.label}{list(worst.place)} of {worst.case}"
        said.insert(0, f"{place} is {worst.got:.9g}; it should be {worst.true:.9g}")
    if found:  # what an author looks for stands first
        said = [*filter(None, [found.edge]), *said, str(found), *found.places]
    if one.excuse:
        said.append(f"the profile {one.excuse} would excuse all of it; declare it if it is meant")
    if found and found.code:
        said.append(f"a case that shows it: {found.code}")
    return ["", f"{one.stage} fails", *(filled(text, 2) for text in said)]


def _notes(report: ConformanceReport) -> Iterator[str]:
    """What else there is to say, in paragraphs."""
    sizes = {k: [one.sizes[k] for one in report.stages if k in one.sizes] for k in LETTERS}
    ranges = [
        f"{letter} {min(low for low, _ in each):,} to {max(high for _, high in each):,}"
        for letter, each in sizes.items()
        if each
    ]
    if ranges:
        large = any(each.kind == "kernel" for one in report.stages for each in one.comparisons)
        rest = "" if large else "; the sizes at which kernels break were left out"
        yield f"Sizes: {', '.join(ranges)}{rest}"
    said: dict[str, list[str]] = {}  # what is said of several stages is said once
    for one in report.stages:
        for text in one.notes:
            said.setdefault(text, []).append(one.stage)
    covered = [one.stage for one in report.stages if one.outcome != "not covered"]
    for text, stages in said.items():
        who = "all" if len(stages) > 3 and stages == covered else ", ".join(stages)
        yield f"{who}: {text}"
    if report.not_covered:
        yield f"Not covered: {', '.join(report.not_covered)}"


#: Of the table.
_HEADINGS = ("stage", "outcome", "cases", "ratio", "detects", "nearest its bound")
_DETECTS = "detects: the smallest error that would be caught, relative to the largest entry"


def _rows(report: ConformanceReport) -> list[tuple[str, ...]]:
    """The table, a row for every stage of which something was compared."""
    rows: list[tuple[str, ...]] = []
    for one in report.stages:
        if (worst := one.worst) is not None:
            known = sum(c.outcome == "known" for c in one.comparisons)
            rows.append(
                (
                    one.stage,
                    one.outcome + (f" ({known})" if known else ""),
                    str(len({c.case for c in one.comparisons})),
                    f"{worst.ratio:.2g}",
                    "" if math.isnan(one.detectable) else f"{one.detectable:.0e}",
                    f"{worst.label} ({worst.kind})",
                )
            )
    return rows
