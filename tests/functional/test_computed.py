"""An equation and the kernel that computes it: which of the two is asked, and when."""

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology.functional._computed import computed_by
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
