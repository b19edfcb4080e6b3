"""Every stage and case of a backend as a test: ``pytest --numixology-backend my_backend.py``.

:mod:`numixology.pytest_plugin` has pytest load this module when the option is given, and only then.
"""

from collections.abc import Callable, Generator, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from ...errors import NumixologyError
from ...text import columns
from . import STAGES, Case, StageReport, adapters, conform
from .adapter import Declaration
from .calling import answered
from .kit import Plan, cases_for
from .verdicts import failure_of

__all__ = ["Backend", "Check"]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Collect the backend after the files of the session."""
    report = yield
    if isinstance(collector, pytest.Session) and report.passed:
        name = collector.config.getoption("numixology_backend")
        backend = Backend.from_parent(collector, name=name, nodeid=name)
        report.result = [*(report.result or ()), backend]
    return report


class Backend(pytest.Collector):
    """The tests of one backend."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """One test per case, and a few per stage."""
        option = self.config.getoption
        self.plan = Plan(option("numixology_seeds"), option("numixology_quick"))
        self.report: Callable[[str], StageReport] = cache(self._report)
        try:
            self.adapter = adapters.load(self.name)
            self.about = Declaration(self.adapter)
            tests = [*self._tests()] if self.about.stages else []
        except NumixologyError as error:
            raise self.CollectError(str(error)) from error
        if not tests:
            raise self.CollectError(f"{self.name} supports no stage, so there is nothing to check")
        return [
            Check.from_parent(self, name=f"numixology[{name}]", case=name, judge=judge)
            for name, judge in tests
        ]

    def _tests(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Names, and what is wrong, if anything is; what cannot be judged is skipped."""
        for stage in STAGES:
            if stage not in self.about.stages:
                yield stage, partial(_skipped, stage, "the adapter does not support it")
                continue
            for case in cases_for(self.about, stage, self.plan):
                yield case.name, partial(self._wrong, case)
            yield f"{stage}/promises", partial(self._broken, stage)
            yield f"{stage}/null mutants", partial(self._blind, stage)
            if not self.about.has_vjp:
                name = f"{stage}/gradients"
                yield name, partial(_skipped, name, "the adapter has no vjp")

    def _report(self, stage: str) -> StageReport:
        """What was found of a stage, when the first test asks for it."""
        seeds, quick, *_ = self.plan
        report = conform(self.adapter, stages=[stage], seeds=seeds, quick=quick)
        (found,) = report.loading(self.name).stages
        return found

    def _wrong(self, case: Case) -> str:
        """Every tensor of a case is within its bound."""
        report = self.report(case.stage)
        compared = [one for one in report.comparisons if one.case == case.name]
        rows = []
        for one in (one for one in compared if one.outcome == "fail"):
            sizes = f"{one.error:.3g} {one.bound:.3g} {one.ratio:.2g}".split()
            rows.append((f"{one.label}{[*one.place]}", f"{one.got:.9g}", f"{one.true:.9g}", *sizes))
        if rows:
            said, code = failure_of(report)
            heads = ("farthest off at", "is", "truly", "error", "bound", "ratio")
            table = columns(heads, rows, "<>>>>>"), "error and bound in units of rounding error"
            return "\n".join(("beyond the bound", *table, *said, code))
        if compared:
            return ""
        answer = answered(self.adapter, case, self.about.has_vjp)  # once more, to see why not
        if answer.refused:
            _skipped(case.name, answer.refused)
        if answer.error:
            raise answer.error
        return answer.fault

    def _broken(self, stage: str) -> str:
        """The backend keeps its promises."""
        return "\n".join(self.report(stage).broken)

    def _blind(self, stage: str) -> str:
        """Wrong results would have been rejected by some case; otherwise nothing is proved."""
        blind = self.report(stage).blind
        return f"INCONCLUSIVE: {blind} would have passed too" if blind else ""


def _skipped(what: str, why: str) -> str:
    pytest.skip(f"{what} is not covered: {why}")


class Check(pytest.Item):
    """One test of a backend, which fails with a report and not with our own lines."""

    parent: Backend

    def __init__(self, *, case: str, judge: Callable[[], str], **how: Any) -> None:
        super().__init__(**how)
        self.case, self.judge = case, judge

    def runtest(self) -> None:
        """Fail with what is wrong."""
        if text := self.judge():
            about = self.parent.about
            who = f"{about.name} ({about.dtype}, sums in {about.accumulation})"
            pytest.fail(f"{who}, {self.case}: {text}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the test is, for reports."""
        return self.path, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Of what a backend raises, the part of the traceback that is its own."""
        ours = answered.__code__.co_filename
        calls = [i for i, entry in enumerate(excinfo.traceback) if str(entry.path) == ours]
        if own := excinfo.traceback[calls[-1] + 1 :] if calls else None:
            excinfo.traceback = own
        return super().repr_failure(excinfo, style)
