"""An equation and the kernel that computes it: which of the two is asked, and when."""

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology.functional._computed import computed_by, sharing
from numixology.numerics import Kernel
from numixology.observe import observing

X = np.array([0.5, -1.0, 2.0])


@pytest.fixture
def asked():
    """What was computed, in order."""
    return []


@pytest.fixture
def cube(asked):
    """x³, whose kernel is off by 0.25 in value and slope, to be told from the equation."""

    def steps(x):
        asked.append("value")
        yield x**3 + 0.25
        asked.append("slope")
        yield 3 * x**2 + 0.25

    @computed_by(Kernel(steps))
    def cube(x):
        asked.append("equation")
        return x * x * x

    @cube.vjp("x")
    def cube_dx(ct, y, x):
        asked.append("rule")
        return ct * 3 * x * x

    return cube


@pytest.mark.parametrize("x", [X, X.tolist(), 2.0, nx.tensor(X)], ids=type)
def test_where_nothing_is_recorded_the_kernel_gives_the_value_alone(cube, asked, x):
    np.testing.assert_array_equal(np.asarray(cube(x)), np.asarray(x) ** 3 + 0.25)
    assert asked == ["value"]


def test_no_grad_asks_for_no_slope(cube, asked):
    with nx.no_grad():
        cube(nx.tensor(X, requires_grad=True))
    assert asked == ["value"]


def test_a_recorded_call_keeps_the_slope_for_its_rule(cube, asked):
    x = nx.tensor(X, requires_grad=True)
    (gradient,) = nx.grad(cube(x), x, np.full(3, 2.0))
    assert asked == ["value", "slope"]
    np.testing.assert_array_equal(gradient.data, 2 * (3 * X**2 + 0.25))


def test_a_recorded_backward_runs_the_rule_s_equation(cube, asked):
    x = nx.tensor(X, requires_grad=True)
    (first,) = nx.grad(cube(x), x, np.ones(3), create_graph=True)
    assert asked == ["value", "slope", "rule"]
    np.testing.assert_array_equal(first.data, 3 * X**2)
    (second,) = nx.grad(first.sum(), x)
    np.testing.assert_array_equal(second.data, 6 * X)


def test_complex_arrays_follow_the_equations(cube, asked):
    z = X + 1e-20j
    np.testing.assert_array_equal(cube(z), z * z * z)
    assert asked == ["equation"]


def test_observers_are_not_told_of_the_slope(cube):
    calls = []
    with observing(call=calls.append):
        cube(nx.tensor(X, requires_grad=True))
    (call,) = calls
    assert call.primitive is cube
    assert call.options == {}
    np.testing.assert_array_equal(call.result, X**3 + 0.25)


@pytest.mark.parametrize("fn", [F.erf, F.gelu, F.sigmoid, F.normal_pdf])
@pytest.mark.parametrize("x", [True, [False], "word", None], ids=repr)
def test_what_is_no_number_is_refused(fn, x):
    with pytest.raises(nx.errors.NumixologyError):
        fn(x)


# Residuals that forward and rules share

calls: list[str] = []


def spread(x, by):
    """The residuals of a function of x, which is divided by ``by``."""
    calls.append(type(x).__name__)
    return {"e": F.exp(x / by)}


@sharing(spread)
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
