"""The fixture, and the tests of a backend: what passes, fails and is skipped, and what is shown."""

import importlib.metadata
import os
import xml.etree.ElementTree
from pathlib import Path

import pytest

import numixology
from numixology.verify.conformance import STAGES, adapters, bounds  # noqa: F401

# pytester forgets what a run imports: NumPy loads but once, and what is patched must be what runs

pytest_plugins = ["pytester"]

TESTS = """
import numpy as np
import numixology as nx

def test_right(gradcheck):
    report = gradcheck(nx.functional.gelu, np.linspace(-3.0, 3.0, 7), fast=True)
    assert report.passed and report.coordinates == 4

def test_wrong(gradcheck):
    gradcheck(np.exp, np.ones(3), vjp=lambda ct, x: 2 * ct * np.exp(x))

def test_nothing(gradcheck):
    gradcheck(lambda x: 0 * x, np.ones(3), raise_on_failure=True)
"""


def test_the_fixture_passes_or_shows_the_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_inprocess(
        "-p", "no:numixology", "-p", "numixology.pytest_plugin", "-p", "no:cacheprovider"
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "gradcheck: FAIL: the gradient of x is wrong; *",
            "  farthest apart at x*",
            "    ratio    2",
            "gradcheck: INCONCLUSIVE: the gradient of x is zero, which proves*",
        ]
    )
    assert "passing(fn" not in result.stdout.str()  # the report, not our own lines


def test_the_fixture_is_listed_with_what_it_does(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(
        "-p", "no:numixology", "-p", "numixology.pytest_plugin", "--fixtures"
    )
    result.stdout.fnmatch_lines(["gradcheck*", "*fails the test unless the check passes.*"])


def test_an_installed_package_registers_it() -> None:
    points = importlib.metadata.entry_points(group="pytest11", name="numixology")
    assert {point.value for point in points} <= {"numixology.pytest_plugin"}


# A backend as tests ------------------------------------------------------------------------

#: Stages that the backend below supports, and the others.
ALL, OTHERS = 3, len(STAGES) - 3

OPTIONS = ("-p", "no:numixology", "-p", "numixology.pytest_plugin", "-p", "no:cacheprovider")
BACKEND = """
import numpy as np
from numixology.verify.conformance import Textbook

class Backend(Textbook):
    name = "mine"
    stages = ("gelu", "silu", "token_mix")

    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        {spoil}
        return y
    {more}

adapter = Backend("float32")
"""


@pytest.fixture
def judged(pytester, monkeypatch):
    """Run pytest on a backend and no other tests."""
    for variable in "CI", "BUILD_NUMBER":  # where one is set, pytest's summary repeats the report
        monkeypatch.delenv(variable, raising=False)

    def run(*options, spoil="pass", more=""):
        pytester.makepyfile(backend=BACKEND.format(spoil=spoil, more=more))
        arguments = ("--numixology-backend", "backend.py", "--numixology-quick", *options)
        arguments += ("--numixology-seeds", "1")
        return pytester.runpytest_inprocess(*OPTIONS, *arguments)

    return run


def test_a_backend_that_conforms_passes_stage_by_stage(judged) -> None:
    result = judged("-v", "-rs")
    result.assert_outcomes(passed=ALL, skipped=OTHERS)
    result.stdout.fnmatch_lines(
        [
            "backend.py::numixology[[]token_mix] PASSED*",
            "backend.py::numixology[[]gelu] PASSED*",
            "backend.py::numixology[[]model] SKIPPED*",
            "SKIPPED*: the adapter does not support softmax",
        ]
    )
    assert result.ret == 0


def test_a_stage_that_fails_shows_the_report(judged) -> None:
    result = judged("-k", "gelu", spoil="y[0, 0, 0] += np.float32(1) if stage == 'gelu' else 0")
    result.assert_outcomes(failed=1, skipped=1, deselected=ALL + OTHERS - 2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*_ numixology[[]gelu] _*",
            "FAIL: 1 of * stages covered, * tensors compared",
            "mine: float32, sums in float32",
            "gelu fails",
            "  a case that shows it: make_case('gelu', *",
            "FAILED backend.py::numixology[[]gelu] - *",
        ]
    )
    assert result.stdout.str().count("gelu fails") == 1  # the report alone


def test_what_a_backend_raises_is_in_the_report(judged) -> None:
    result = judged("-k", "silu", spoil="raise RuntimeError('no kernel')")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*RuntimeError: no kernel*"])


def test_broken_promises_fail(judged) -> None:
    result = judged("-k", "silu", spoil="y = np.nan_to_num(y)")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*NaN in its input does not reach its output"])


def test_a_stage_of_which_nothing_is_proved_fails(judged, monkeypatch) -> None:
    monkeypatch.setattr(bounds, "GUARD", 1e300)
    result = judged("-k", "silu")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["INCONCLUSIVE: *", "silu: a zero output would have passed too"])


def test_what_a_stage_that_passes_does_not_cover_is_shown_on_demand(judged) -> None:
    result = judged("-rP", "-k", "silu", more="vjp = None")
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["*its gradients are not covered: the adapter has no vjp"])


def test_a_stage_that_the_backend_refuses_is_skipped_in_its_words(judged) -> None:
    result = judged("-rs", "-k", "silu", spoil="raise NotImplementedError('no such kernel')")
    result.stdout.fnmatch_lines(["*its forward raised NotImplementedError: no such kernel"])
    assert "failed" not in result.parseoutcomes()


def test_several_processes_find_the_same(judged, pytester) -> None:
    result = judged("-n", "2", "--junitxml=found.xml", spoil="y = 2 * y")
    assert result.parseoutcomes()["failed"] == ALL
    cases = xml.etree.ElementTree.parse(pytester.path / "found.xml").iter("testcase")
    names = [case.get("name") for case in cases]
    assert len(set(names)) == len(names) == ALL + OTHERS
    assert "numixology[gelu]" in names


def test_other_tests_run_beside_a_backend(judged, pytester) -> None:
    pytester.makepyfile(test_mine="def test_mine(): pass")
    judged().assert_outcomes(passed=ALL + 1, skipped=OTHERS)


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("nowhere.py", "*nowhere.py not found*"),
        ("nothing.py", "nothing.py supports no stage, so there is nothing to check"),
    ],
)
def test_a_backend_that_cannot_be_checked_is_an_error(pytester, backend, says) -> None:
    pytester.makepyfile(nothing=BACKEND.format(spoil="pass", more="stages = ()"))
    result = pytester.runpytest_inprocess(*OPTIONS, "--numixology-backend", backend)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*ERROR collecting {backend}*", says])
    assert result.ret != 0


def test_a_session_that_collects_nothing_itself_stays_an_error(pytester) -> None:
    result = pytester.runpytest_inprocess(*OPTIONS, "--numixology-backend", "numpy32", "no_such.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_without_the_option_nothing_is_loaded(pytester, monkeypatch) -> None:
    package = str(Path(numixology.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("numixology.pytest_plugin")
            assert "numixology.verify.conformance.pytest_cases" not in sys.modules
            assert "numixology.verify" not in sys.modules
        """
    )
    result = pytester.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(passed=1)
    assert "--numixology-backend" in pytester.runpytest_subprocess(*OPTIONS, "--help").stdout.str()
