"""Every stage and case of a backend as a test: ``pytest --numixology-backend my_backend.py``.

:mod:`numixology.pytest_plugin` has pytest load this module when the option is given, and only then.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ...errors import NumixologyError
from ...text import columns
from . import STAGES, Comparison, adapters
from .adapter import declared
from .bounds import Prepared, prepared
from .calling import output_of
from .cases import every_case
from .contracts import contracts_of
from .kit import blind_spots, judged

__all__ = ["Backend", "CaseTest", "ContractsTest", "NotCovered", "NullMutantsTest"]


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
        self._prepared: dict[str, list[Prepared]] = {}

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
        about, seeds = declared(self.adapter), self.config.getoption("numixology_seeds")
        for stage in STAGES:
            if stage not in about.stages:
                yield self._test(NotCovered, stage, why="the adapter does not support it")
                continue
            for case in every_case(stage, about.dtype, seeds):
                yield self._test(CaseTest, case.name)
            yield self._test(ContractsTest, f"{stage}/contracts")
            yield self._test(NullMutantsTest, f"{stage}/null mutants")
            if not about.has_vjp:
                yield self._test(NotCovered, f"{stage}/gradients", why="the adapter has no vjp")

    def _test(self, kind: type["_Test"], case: str, **more: Any) -> "_Test":
        test: _Test = kind.from_parent(self, name=f"numixology[{case}]", case=case, **more)
        return test

    def prepared(self, stage: str) -> list[Prepared]:
        """The cases of a stage with their bounds, made when the first test asks for them."""
        if stage not in self._prepared:
            about, seeds = declared(self.adapter), self.config.getoption("numixology_seeds")
            self._prepared[stage] = prepared(about.dtype, about.accumulation, [stage], seeds)
        return self._prepared[stage]


class _Test(pytest.Item):
    """A test of a backend."""

    parent: Backend

    def __init__(self, *, case: str, **how: Any) -> None:
        super().__init__(**how)
        self.case = case

    @property
    def adapter(self) -> Any:
        """The backend's."""
        return self.parent.adapter

    @property
    def cases(self) -> list[Prepared]:
        """All cases of the stage."""
        return self.parent.prepared(self.case.partition("/")[0])

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

    def compared(self, one: Prepared) -> list[Comparison]:
        """The tensors of a case; fails where an answer is misshapen."""
        comparisons, wrong = judged(self.adapter, one)
        if wrong:
            self.fail(f"{wrong} (on {one.case.name})")
        return comparisons

    def fail(self, text: str) -> NoReturn:
        """Fail with a report, not with our own lines."""
        about = declared(self.adapter)
        who = f"{about.name} ({about.dtype}, sums in {about.accumulation})"
        pytest.fail(f"{who}, {self.case}: {text}", pytrace=False)


class CaseTest(_Test):
    """Every tensor of a case is within its bound."""

    def runtest(self) -> None:
        """Compare the output and the gradients."""
        (one,) = (one for one in self.cases if one.case.name == self.case)
        if failed := [found for found in self.compared(one) if found.outcome == "fail"]:
            self.fail(f"beyond the bound\n{_table(failed)}")


class ContractsTest(_Test):
    """The backend keeps its promises."""

    def runtest(self) -> None:
        """Try each of them on one case."""
        found = contracts_of(self.adapter, self.cases, declared(self.adapter).has_vjp)
        if found.broken:
            self.fail("\n".join(found.broken))


class NullMutantsTest(_Test):
    """Wrong results would have been rejected by some case; otherwise nothing is proved."""

    def runtest(self) -> None:
        """Put wrong results into the backend's place."""
        cases = self.cases
        blind = blind_spots(cases, [found for one in cases for found in self.compared(one)])
        if blind:
            self.fail(f"INCONCLUSIVE: {', '.join(blind)} would have passed too")


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
        + "\nerror and bound in roundings of each number's scale"
    )
