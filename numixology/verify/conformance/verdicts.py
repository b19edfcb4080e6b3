"""What the kit says of a backend: a verdict per tensor, stage and backend, and figures."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from ...errors import EXIT_CODES
from ...text import columns
from ..reports import plain
from .stages import STAGES

__all__ = [
    "LOADING",
    "Comparison",
    "ConformanceReport",
    "Diagnosis",
    "Outcome",
    "StageReport",
]

Outcome: TypeAlias = Literal["pass", "known", "fail", "inconclusive", "not covered"]

#: Of lines to paste, the one that says where the backend comes from.
LOADING = 'my_backend = adapters.load("my_backend.py")'


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
        >>> (stage,) = conform(Textbook("float32"), stages=["token_mix"], seeds=1).stages
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
        code: lines of Python that show the difference.
        by: how it was found: by its ``"value"``; by the value of some tensors, which are named,
            such as ``"the output"``; by the ``"size"`` of its errors, for one whose digits are
            those of chance; as a breach of a ``"contract"``; by ``"chance"``, since no two calls
            agree; a network by its ``"part"`` that fails too; by the ``"relation"`` to the truth,
            which no known bug has; or, if empty, not really.
        rest: what is to be said of the other tensors.
        where: in which rows and columns it goes wrong.
        edge: from which size on.
        shape: the smallest at which it does, such as ``"B=1,T=1,D=1025"``.

    Example:
        >>> from numixology.verify.conformance import Diagnosis
        >>> print(Diagnosis("no-bias", "the bias is dropped", 2e-7, "the mean is kept", ""))
        matches: the bias is dropped (no-bias), all but 2e-05 % of the difference
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
        """Where it goes wrong, in sentences."""
        smallest = f"the smallest shape that fails is {self.shape}" if self.shape else ""
        return [text for text in (self.edge, self.where, smallest) if text]

    @property
    def named(self) -> bool:
        """Whether a known bug is the answer, and no more than near it."""
        unknown = self.by in ("", "relation") or self.bug in ("unsteady", "broken-contract")
        return not unknown

    def __str__(self) -> str:
        named = f"{self.description} ({self.bug})"
        if self.by == "value":
            return f"matches: {named}, all but {100 * self.distance:.2g} % of the difference"
        if self.bug == "broken-contract":
            return f"no known bug does so: {self.description}"
        if self.by in ("part", "relation"):
            return f"{_BY[self.by]}{self.description}"
        if self.by in _BY:
            return f"{_BY[self.by]}: {named}"
        if self.by:
            left = f"all but {100 * self.distance:.2g} % of the difference"
            return "; ".join(filter(None, (f"matches in {self.by}: {named}, {left}", self.rest)))
        if self.distance >= _NOTHING:
            return "no known bug comes near"
        left = f"{self.distance:.0%} of the difference unexplained"
        return f"no known bug comes near; the nearest leaves {left}: {named}"


_BY = {
    "part": "",
    "relation": "no known bug comes near, but ",
    "size": "matches by the size of its errors",
    "contract": "matches by the promise that it breaks",
    "chance": "matches in that no two calls agree",
}
#: What leaves this share of a difference unexplained is not even worth mentioning.
_NOTHING = 0.95


class StageReport(NamedTuple):
    """What was found of one stage.

    Attributes:
        stage: its name.
        outcome: ``"pass"``, ``"known"``, ``"fail"``, ``"inconclusive"`` or ``"not covered"``.
        comparisons: every tensor of every case.
        broken: which contracts were.
        remarks: what else there is to say.
        blind: which wrong results would have been accepted by every case.
        detectable: what would have been caught in every tensor, relative to its largest entry.
        diagnosis: the known bug that comes nearest, if the stage fails and one does.
        sizes: the smallest and the largest of each letter that was judged.
        refused: what the backend does not cover, and why.
        properties: what it was measured to do, which is no fault.

    Example:
        >>> from numixology.verify.conformance import Textbook, conform
        >>> (stage,) = conform(Textbook("float32"), stages=["softmax"], seeds=1).stages
        >>> stage.outcome, stage.broken, stage.blind, stage.detectable < 1e-6
        ('pass', (), '', True)
    """

    stage: str
    outcome: Outcome
    comparisons: Sequence[Comparison] = ()
    broken: Sequence[str] = ()
    remarks: Sequence[str] = ()
    blind: str = ""
    detectable: float = math.nan
    diagnosis: Diagnosis | None = None
    sizes: Mapping[str, tuple[int, int]] = MappingProxyType({})
    refused: Sequence[str] = ()
    properties: Sequence[str] = ()

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
        >>> report = conform(Textbook("float32"), stages=["gelu"], seeds=1)
        >>> bool(report), report.verdict, report.exit_code, report.first_failure
        (True, 'pass', 0, None)
        >>> print(report.summary)
        PASS: 1 of 13 stages covered, 22 tensors compared
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
        return (
            f"{self.verdict.upper()}: {len(STAGES) - len(self.not_covered)} of {len(STAGES)} "
            f"stages covered, {compared} tensors compared"
        )

    @property
    def first_failure(self) -> StageReport | None:
        """The first stage that fails; those it is made of come before it."""
        return next((one for one in self.stages if one.outcome == "fail"), None)

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def __str__(self) -> str:
        lines = [
            f"{self.backend}: {self.dtype}, sums in {self.accumulation}",
            "",
            _table([_row(one) for one in self.stages]),
            "",
            "error and bound in roundings of each number's scale, "
            f"of which one is 2^{_exponent(self.dtype)}",
            "ratio is error / bound, and above 1 fails; x.grad is the gradient by x",
            self.summary,
        ]
        if self.not_covered:
            lines.append(_filled(f"Not covered: {', '.join(self.not_covered)}"))
        for one in self.stages:
            lines += _notes(one)
        if first := self.first_failure:
            lines += ["", f"First failing stage: {first.stage}"]
            if first.diagnosis:
                lines += [str(first.diagnosis), *first.diagnosis.places, "", first.diagnosis.code]
        return "\n".join(lines)

    def loading(self, target: str) -> "ConformanceReport":
        """The same report, whose lines to paste load the backend from where it was found.

        Args:
            target: what :func:`.adapters.load` takes.

        Returns:
            A new report.

        Example:
            >>> from numixology.verify.conformance import BUGS, conform
            >>> report = conform(BUGS["sigmoid-missing"].make(), stages=["silu"], seeds=1)
            >>> print(report.loading("mine.py").first_failure.diagnosis.code)
            from numixology.verify.conformance import adapters, make_case, truth_of
            my_backend = adapters.load("mine.py")
            case = ...
        """
        line = LOADING.replace('"my_backend.py"', json.dumps(target, ensure_ascii=False))
        return self._replace(stages=[_loading(one, line) for one in self.stages])

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON, which has no NaN and no infinity: they are words."""
        return {
            "backend": self.backend,
            "dtype": self.dtype,
            "accumulation": self.accumulation,
            "profile": list(self.profile),
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "not_covered": self.not_covered,
            "stages": [plain(one) for one in self.stages],
        }


_HEADINGS = (
    "stage",
    "outcome",
    "cases",
    "known",
    "worst tensor",
    "error",
    "bound",
    "ratio",
    "detects",
)


def _exponent(dtype: str) -> int:
    return {"float64": -53, "float32": -24, "float16": -11, "bfloat16": -8}[dtype]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A row per stage; the column of known differences only if there are any."""
    shown = [
        i for i, name in enumerate(_HEADINGS) if name != "known" or any(row[i] for row in rows)
    ]
    return columns(
        [_HEADINGS[i] for i in shown],
        [[row[i] for i in shown] for row in rows],
        "".join("<<>><>>>>"[i] for i in shown),
    )


def _filled(text: str) -> str:
    return textwrap.fill(text, 88, subsequent_indent="  ")


def _loading(one: StageReport, line: str) -> StageReport:
    if one.diagnosis is None:
        return one
    code = one.diagnosis.code.replace(f"# {LOADING}", line)
    return one._replace(diagnosis=one.diagnosis._replace(code=code))


def _row(one: StageReport) -> tuple[str, ...]:
    worst = one.worst
    if worst is None:
        return (one.stage, one.outcome, *("",) * 7)
    known = sum(c.outcome == "known" for c in one.comparisons)
    return (
        one.stage,
        one.outcome,
        str(len({c.case for c in one.comparisons})),
        str(known or ""),
        f"{worst.label} ({worst.kind})",
        f"{worst.error:.3g}",
        f"{worst.bound:.3g}",
        f"{worst.ratio:.2g}",
        "" if math.isnan(one.detectable) else f"{one.detectable:.1e}",
    )


def _notes(one: StageReport) -> list[str]:
    said = (*one.broken, *one.remarks, *one.refused, *one.properties)
    lines = [f"  {one.stage}: {text}" for text in said]
    if one.blind:
        lines.append(f"  {one.stage}: {one.blind} would have passed too")
    profiles = sorted({c.profile for c in one.comparisons if c.profile})
    for name in profiles:
        count = sum(c.profile == name for c in one.comparisons)
        lines.append(f"  {one.stage}: {count} tensors differ as the profile '{name}' says")
    worst = one.worst
    if one.outcome == "fail" and worst is not None and worst.outcome == "fail":
        lines.append(
            f"  {one.stage}: {worst.label}{list(worst.place)} of {worst.case} is {worst.got:.9g}, "
            f"and truly {worst.true:.9g}"
        )
    return lines
