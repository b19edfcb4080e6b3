"""What a primitive shares with its rules: residuals."""

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology.observe import observing

calls: list[str] = []


def spread(x, by):
    """The residuals of a function of x, which is divided by ``by``."""
    calls.append(type(x).__name__)
    return {"e": F.exp(x / by)}


@nx.primitive(residuals=spread)
def bell(x, shift=0.0, *, by, e):
    return e * e + shift


@bell.vjp("x")
def bell_dx(ct, y, x, shift, *, by, e):
    return ct * 2 * e * e / by


@bell.vjp("shift")
def bell_dshift(ct, y, x, shift, *, by, e):
    return ct


@pytest.fixture
def x():
    calls.clear()
    return nx.tensor([0.5, -1.0], requires_grad=True)


def test_residuals_are_computed_once(x) -> None:
    bell(x, by=2.0).sum().backward()
    assert calls == ["ndarray"]
    np.testing.assert_allclose(x.grad.data, np.exp(x.data), rtol=1e-15)
    np.testing.assert_array_equal(bell(np.zeros(2), 1.0, by=3.0), [2.0, 2.0])
    assert calls == ["ndarray"] * 2


def test_where_rules_run_on_tensors_residuals_have_a_past(x) -> None:
    (first,) = nx.grad(bell(x, by=1.0).sum(), x, create_graph=True)
    (second,) = nx.grad(first.sum(), x, create_graph=True)
    (third,) = nx.grad(second.sum(), x)
    np.testing.assert_allclose(third.data, 8 * np.exp(2 * x.data), rtol=1e-14)
    assert "Tensor" in calls


def test_residuals_are_no_options_of_the_call(x) -> None:
    """Observers are told what was asked for."""
    seen = []
    with observing(call=seen.append):
        bell(x, by=2.0)
    assert [call.options for call in seen] == [{"by": 2.0}]


def test_a_gradient_check_of_both_orders() -> None:
    for order in (1, 2):
        report = nx.gradcheck(lambda x: bell(x, by=1.5), np.ones(2), order=order)
        assert report.verdict == "pass"
