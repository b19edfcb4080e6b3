"""A fixture for pytest that checks gradients, and options that check a backend.

It is registered as ``numixology``; ``-p no:numixology`` leaves it out.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import numixology as nx

if TYPE_CHECKING:
    from .verify import GradcheckReport

__all__ = ["gradcheck"]


@pytest.fixture
def gradcheck() -> "Callable[..., GradcheckReport]":
    """``gradcheck(fn, *inputs, **options)`` fails the test unless the check passes.

    Returns:
        A function with the arguments of :func:`numixology.gradcheck`, which returns the report
        of a check that passed; one that did not, or that proved nothing, is shown as the test's
        failure.

    Example:
        A test is ``def test_gelu(gradcheck): gradcheck(nx.functional.gelu, np.ones(3))``; one of
        a gradient written by hand, ``gradcheck(forward, x, vjp=backward)``.
    """

    def passing(fn: Callable[..., Any], *inputs: Any, **options: Any) -> "GradcheckReport":
        report = nx.gradcheck(fn, *inputs, **options | {"raise_on_failure": False})
        if not report:
            pytest.fail(str(report), pytrace=False)
        return report

    return passing


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which backend to check."""
    title = "numixology, the reference for the RankMixer token mixer"
    about = "check this one, stage by stage: my_backend.py, or what numixology conform takes"
    add = parser.getgroup("numixology", title).addoption
    add("--numixology-backend", metavar="BACKEND", help=about)
    add("--numixology-seeds", type=int, default=3, metavar="N", help="cases of every kind (3)")
    add("--numixology-quick", action="store_true", help="leave out the large cases")


def pytest_configure(config: pytest.Config) -> None:
    """Load the kit, if there is a backend to check, and only then."""
    if config.getoption("numixology_backend"):
        config.pluginmanager.import_plugin("numixology.verify.conformance.pytest_cases")
