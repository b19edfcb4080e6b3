"""Every stage of a backend as a test: ``pytest --numixology-backend my_backend.py``.

:mod:`numixology.pytest_plugin` has pytest load this module when the option is given, and only then.
"""

from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ...errors import NumixologyError
from . import STAGES, ConformanceReport, adapters, conform
from .adapter import Declaration

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

    def collect(self) -> Iterator[pytest.Item]:
        """One test per stage."""
        try:
            adapter = adapters.load(self.name)
            stages = Declaration(adapter).stages
        except NumixologyError as error:
            raise self.CollectError(str(error)) from error
        if not stages:
            raise self.CollectError(f"{self.name} supports no stage, so there is nothing to check")
        seeds, quick = map(self.config.getoption, ("numixology_seeds", "numixology_quick"))
        asked = partial(conform, adapter, seeds=seeds, quick=quick)
        for stage in STAGES:
            judge = partial(asked, stages=[stage])
            yield Check.from_parent(self, name=f"numixology[{stage}]", judge=judge)


class Check(pytest.Item):
    """One stage of a backend, which fails with the report."""

    def __init__(self, *, judge: Callable[[], ConformanceReport], **how: Any) -> None:
        super().__init__(**how)
        self.judge = judge

    def runtest(self) -> None:
        """Skip what is not covered, and fail unless it is right."""
        report = self.judge()
        (stage,) = report.stages
        if stage.outcome == "not covered":
            pytest.skip("; ".join(stage.notes) or f"the adapter does not support {stage.stage}")
        if not report:
            pytest.fail(str(report), pytrace=False)
        self.add_report_section("call", "numixology", str(report))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the test is, for reports."""
        return self.path, None, self.name
