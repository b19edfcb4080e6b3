"""Every stage and case of a backend as a test: ``pytest --numixology-backend my_backend.py``.

:mod:`numixology.pytest_plugin` has pytest load this module when the option is given, and only then.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ...errors import NumixologyError
from ...text import columns
from . import STAGES, Case, Comparison, StageReport, adapters, conform
from .adapter import declared
from .calling import answered, output_of
from .kit import Plan, cases_for
from .verdicts import failure_of

__all__ = ["Backend", "CaseTest", "NotCovered", "NullMutantsTest", "PromisesTest"]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Collect the backend after the files of the session."""
    report = yield
    if isinstance(collector, pytest.Session) and report.passed:
        name = collector.config.getoption("numixology_backend")
        report.result = [
            *(report.result or ()),
            Backend.from_parent(collector, name=name, nodeid=name),
        ]
    return report


class Backend(pytest.Collector):
    """The tests of one backend."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.adapter: Any = None
        self._reports: dict[str, StageReport] = {}

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """One test per case, and a few per stage."""
        try:
            self.adapter = adapters.load(self.name)
            tests = [*self._tests()]
        except NumixologyError as error:
            raise self.CollectError(str(error)) from error
        if all(isinstance(test, NotCovered) for test in tests):
            raise self.CollectError(f"{self.name} supports no stage, so there is nothing to check")
        return [*tests]

    def _tests(self) -> Iterator["_Test"]:
        about = declared(self.adapter)
        for stage in STAGES:
            if stage not in about.stages:
                yield self._test(NotCovered, stage, why="the adapter does not support it")
                continue
            for case in self.cases(stage):
                yield self._test(CaseTest, case.name)
            yield self._test(PromisesTest, f"{stage}/promises")
            yield self._test(NullMutantsTest, f"{stage}/null mutants")
            if not about.has_vjp:
                yield self._test(NotCovered, f"{stage}/gradients", why="the adapter has no vjp")

    def _test(self, kind: type["_Test"], case: str, **more: Any) -> "_Test":
        test: _Test = kind.from_parent(self, name=f"numixology[{case}]", case=case, **more)
        return test

    def cases(self, stage: str) -> Iterator[Case]:
        """What the backend is asked at a stage."""
        return cases_for(declared(self.adapter), stage, self._plan)

    @property
    def _plan(self) -> Plan:
        option = self.config.getoption
        return Plan(option("numixology_seeds"), option("numixology_quick"))

    def report(self, stage: str) -> StageReport:
        """What was found of a stage, when the first test asks for it."""
        if stage not in self._reports:
            plan = self._plan
            report = conform(self.adapter, stages=[stage], seeds=plan.seeds, quick=plan.quick)
            (self._reports[stage],) = report.loading(self.name).stages
        return self._reports[stage]


class _Test(pytest.Item):
    """A test of a backend."""

    parent: Backend

    def __init__(self, *, case: str, **how: Any) -> None:
        super().__init__(**how)
        self.case = case

    @property
    def report(self) -> StageReport:
        """Of the stage."""
        return self.parent.report(self.case.partition("/")[0])

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the test is, for reports."""
        return self.path, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Of what a backend raises, the part of the traceback that is its own."""
        ours = output_of.__code__.co_filename
        calls = [i for i, entry in enumerate(excinfo.traceback) if str(entry.path) == ours]
        if own := excinfo.traceback[calls[-1] + 1 :] if calls else None:
            excinfo.traceback = own
        return super().repr_failure(excinfo, style)

    def fail(self, text: str) -> NoReturn:
        """Fail with a report, not with our own lines."""
        about = declared(self.parent.adapter)
        who = f"{about.name} ({about.dtype}, sums in {about.accumulation})"
        pytest.fail(f"{who}, {self.case}: {text}", pytrace=False)


class CaseTest(_Test):
    """Every tensor of a case is within its bound."""

    def runtest(self) -> None:
        """Look the case up in the report."""
        found = [one for one in self.report.comparisons if one.case == self.case]
        if failed := [one for one in found if one.outcome == "fail"]:
            said, code = failure_of(self.report)
            self.fail("\n".join(("beyond the bound", _table(failed), *said, code)))
        if not found:
            self._explained()

    def _explained(self) -> None:
        """Why nothing was compared: ask once more."""
        stage, adapter = self.case.partition("/")[0], self.parent.adapter
        (case,) = (one for one in self.parent.cases(stage) if one.name == self.case)
        answer = answered(adapter, case, declared(adapter).has_vjp)
        if answer.refused:
            pytest.skip(f"{self.case} is not covered: {answer.refused}")
        if answer.error:
            raise answer.error
        self.fail(answer.fault)


class PromisesTest(_Test):
    """The backend keeps its promises."""

    def runtest(self) -> None:
        """Look them up in the report."""
        if self.report.broken:
            self.fail("\n".join(self.report.broken))


class NullMutantsTest(_Test):
    """Wrong results would have been rejected by some case; otherwise nothing is proved."""

    def runtest(self) -> None:
        """Look it up in the report."""
        if self.report.blind:
            self.fail(f"INCONCLUSIVE: {self.report.blind} would have passed too")


class NotCovered(_Test):
    """Something of which nothing is known, which is no pass."""

    def __init__(self, *, why: str, **how: Any) -> None:
        super().__init__(**how)
        self.why = why

    def runtest(self) -> None:
        """Skip."""
        pytest.skip(f"{self.case} is not covered: {self.why}")


def _table(failed: list[Comparison]) -> str:
    rows = [
        (
            f"{one.label}{list(one.place)}",
            f"{one.got:.9g}",
            f"{one.true:.9g}",
            f"{one.error:.3g}",
            f"{one.bound:.3g}",
            f"{one.ratio:.2g}",
        )
        for one in failed
    ]
    return (
        columns(("farthest off at", "is", "truly", "error", "bound", "ratio"), rows, "<>>>>>")
        + "\nerror and bound in units of rounding"
    )
