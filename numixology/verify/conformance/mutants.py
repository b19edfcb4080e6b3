"""The kit against itself: every known bug must be caught and named, every rewrite must pass."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

from ...errors import EXIT_CODES, ArgumentError
from ...text import columns
from .bounds import Prepared, prepared
from .bugs import BUGS, bugs_of
from .diagnosis import Lineup
from .formats import format_of
from .kit import examined
from .rewrites import REWRITES
from .stages import STAGES
from .textbook import Textbook

__all__ = ["Check", "MutantReport", "Trial", "try_mutants"]

#: Mutants add up in another order than the bugs that they are compared with.
_ORDER = 5


class Trial(NamedTuple):
    """One bug at one stage.

    Attributes:
        bug: its name.
        family: the module that it is in.
        stage: where it was tried.
        killed: whether the kit said fail.
        taken_for: the bug that was named; empty if none came near.
        nearest: the one that came nearest, near or not.
        distance: how far that was.
    """

    bug: str
    family: str
    stage: str
    killed: bool
    taken_for: str
    nearest: str
    distance: float


class Check(NamedTuple):
    """One rewrite at one stage.

    Attributes:
        rewrite: its name.
        stage: where it was tried.
        comparisons: how many tensors were compared.
        alarms: what was wrongly found wrong.
        ratio: how near to its bound an error came at most; 0 for one that declares a profile.
    """

    rewrite: str
    stage: str
    comparisons: int
    alarms: tuple[str, ...]
    ratio: float


class MutantReport(NamedTuple):
    """What the kit makes of known bugs and of legitimate rewrites; it prints readably.

    It is true if every bug was caught and no rewrite was called wrong.

    Attributes:
        dtype: the format.
        seeds: how many cases of every kind there were.
        trials: one for each bug and each stage where it shows first.
        checks: one for each rewrite and each stage where it makes a difference.

    Example:
        >>> from numixology.verify.conformance import try_mutants
        >>> report = try_mutants("float32", seeds=1, bugs=["tanh-for-erf"])
        >>> bool(report), report.killed, report.named, report.survivors, report.comparisons
        (True, 1, 1, [], 0)
    """

    dtype: str
    seeds: int
    trials: Sequence[Trial]
    checks: Sequence[Check]

    @property
    def survivors(self) -> list[Trial]:
        """The bugs that passed."""
        return [one for one in self.trials if not one.killed]

    @property
    def misnamed(self) -> list[Trial]:
        """The bugs that were caught, and taken for another or for none."""
        return [one for one in self.trials if one.killed and one.taken_for != one.bug]

    @property
    def killed(self) -> int:
        """How many bugs were caught, each counted at each of its stages."""
        return len(self.trials) - len(self.survivors)

    @property
    def named(self) -> int:
        """How many of them were named right."""
        return self.killed - len(self.misnamed)

    @property
    def comparisons(self) -> int:
        """How many tensors of rewrites were compared."""
        return sum(one.comparisons for one in self.checks)

    @property
    def alarms(self) -> list[str]:
        """What was wrongly found wrong with rewrites."""
        return [text for one in self.checks for text in one.alarms]

    @property
    def closest(self) -> Check | None:
        """The rewrite that came nearest to a bound."""
        return max(self.checks, key=lambda one: one.ratio, default=None)

    @property
    def exit_code(self) -> int:
        """0 if every bug was caught and no rewrite was called wrong, else 1."""
        return EXIT_CODES["pass" if self else "fail"]

    def __bool__(self) -> bool:
        return not self.survivors and not self.alarms

    def __str__(self) -> str:
        lines = [
            f"{self.dtype}: known bugs, each as a backend at the stages where it shows first",
            "",
            columns(("family", "tried", "caught", "named"), [*self._rows()], "<>>>"),
        ]
        lines += [f"survives: {one.bug} ({one.stage})" for one in self.survivors]
        lines += [
            f"misnamed: {one.bug} ({one.stage}) is taken for {one.taken_for or 'none'}, "
            f"the nearest is {one.nearest}"
            for one in self.misnamed
        ]
        if self.checks:
            rewrites = len({one.rewrite for one in self.checks})
            lines += [
                "",
                f"{rewrites} legitimate rewrites: {self.comparisons} tensors compared, "
                f"{len(self.alarms)} false alarms",
            ]
            lines += [f"false alarm: {text}" for text in self.alarms]
        if self.closest:
            lines.append(
                f"nearest to its bound: {self.closest.rewrite} ({self.closest.stage}), "
                f"at {self.closest.ratio:.2g} of it"
            )
        return "\n".join(lines)

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        for family in [*dict.fromkeys(one.family for one in self.trials), "all"]:
            own = [one for one in self.trials if family in (one.family, "all")]
            caught = [one for one in own if one.killed]
            right = [one for one in caught if one.taken_for == one.bug]
            yield family, str(len(own)), str(len(caught)), str(len(right))

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON."""
        closest = self.closest
        return {
            "dtype": self.dtype,
            "seeds": self.seeds,
            "tried": len(self.trials),
            "killed": self.killed,
            "named": self.named,
            "survivors": [{"bug": one.bug, "stage": one.stage} for one in self.survivors],
            "misnamed": [
                {"bug": one.bug, "stage": one.stage, "taken_for": one.taken_for}
                for one in self.misnamed
            ],
            "rewrites": len({one.rewrite for one in self.checks}),
            "comparisons": self.comparisons,
            "alarms": self.alarms,
            "largest_ratio": closest.ratio if closest else None,
        }


def try_mutants(
    dtype: str = "float64",
    *,
    seeds: int = 3,
    bugs: Sequence[str] | None = None,
    executor: Executor | None = None,
    progress: Callable[[str], None] | None = None,
) -> MutantReport:
    """Run the kit on backends that are known to be wrong, and on others that are known to be right.

    Args:
        dtype: a key of :data:`.FORMATS`.
        seeds: how many cases of every kind.
        bugs: the names of some bugs; by default all of them, and the rewrites.
        executor: over which the stages are spread.
        progress: called with the name of every stage when it is done.

    Returns:
        A :class:`.MutantReport`: ``survivors``, ``misnamed``, ``alarms``.

    Raises:
        ArgumentError: no such bug.
        DTypeError: no such format.

    Example:
        >>> from numixology.verify.conformance import try_mutants
        >>> report = try_mutants("float32", seeds=1, bugs=["tanh-for-erf", "mixer-identity"])
        >>> [(one.stage, one.killed, one.taken_for) for one in report.trials]
        [('token_mix', True, 'mixer-identity'), ('gelu', True, 'tanh-for-erf')]
    """
    name = format_of(dtype).name
    for bug in bugs or ():
        if bug not in BUGS:
            raise ArgumentError("a bug is one of BUGS", repr(bug), "look there for its name")
    wanted = None if bugs is None else tuple(bugs)
    trials: list[Trial] = []
    checks: list[Check] = []
    for stage, (tried, checked) in _each(name, seeds, wanted, executor):
        trials += tried
        checks += checked
        if progress is not None:
            progress(stage)
    return MutantReport(name, seeds, trials, checks)


_Found = tuple[list[Trial], list[Check]]


def _each(
    dtype: str, seeds: int, bugs: Sequence[str] | None, executor: Executor | None
) -> Iterator[tuple[str, _Found]]:
    if executor is None:
        for stage in STAGES:
            yield stage, _stage(dtype, stage, seeds, bugs)
        return
    longest_first = reversed(STAGES)
    futures = {one: executor.submit(_stage, dtype, one, seeds, bugs) for one in longest_first}
    for stage in STAGES:
        yield stage, futures[stage].result()


def _stage(dtype: str, stage: str, seeds: int, bugs: Sequence[str] | None) -> _Found:
    """Every bug and every rewrite at one stage; an executor may run it in another process."""
    mutants = [bug for bug in bugs_of(stage, dtype) if bugs is None or bug.name in bugs]
    rewrites = [one for one in REWRITES.values() if bugs is None and stage in one.stages]
    if not mutants and not rewrites:
        return [], []
    accumulation = Textbook(dtype).accumulation
    cases = prepared(dtype, accumulation, [stage], seeds)
    lineup = Lineup(cases, accumulation)
    trials = [
        _tried(bug.name, bug.family, bug.make(dtype, accumulation, _ORDER), cases, lineup)
        for bug in mutants
    ]
    return trials, [_checked(one.name, one.make(dtype), cases) for one in rewrites]


def _tried(
    name: str, family: str, backend: Textbook, cases: Sequence[Prepared], lineup: Lineup
) -> Trial:
    report = examined(backend, cases, lineup)
    found = report.diagnosis
    return Trial(
        name,
        family,
        report.stage,
        report.outcome == "fail",
        found.bug if found and found.by else "",
        found.bug if found else "",
        found.distance if found else 1.0,
    )


def _checked(name: str, backend: Textbook, cases: Sequence[Prepared]) -> Check:
    report = examined(backend, cases)
    wrong = [
        f"{name}: {one.tensor} of {one.case} is off by {one.error:.3g}, {one.bound:.3g} is allowed"
        for one in report.comparisons
        if one.outcome == "fail"
    ]
    wrong += [f"{name}: {text} ({report.stage})" for text in report.broken]
    if report.outcome == "inconclusive":
        wrong.append(f"{name}: {report.blind} would have passed too ({report.stage})")
    ratio = max((0.0 if backend.profile else one.ratio for one in report.comparisons), default=0.0)
    return Check(name, report.stage, len(report.comparisons), tuple(wrong), ratio)
