"""The fixture: a check that passes is a report, one that does not is the test's failure."""

import importlib.metadata

import pytest

import numixology  # noqa: F401  # pytester forgets what a run imports, and NumPy loads but once

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
            "gradcheck: FAIL: the gradient of inputs[[]0] is wrong",
            "  farthest apart at inputs[[]0]*: gradient *, difference *",
            "gradcheck: INCONCLUSIVE: the gradient of inputs[[]0] is zero, which proves nothing*",
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
