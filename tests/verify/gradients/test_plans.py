"""Which steps are believed: those that are carried, those that real differences confirm."""

import math

import numpy as np
import pytest
from numpy.exceptions import ComplexWarning
from support import numbers

from numixology.verify import gradcheck


def relu(x):
    x = np.asarray(x)
    return np.where(x.real > 0, x, 0 * x)


def relu_vjp(ct, x):
    return ct * (x > 0)


def beside(large, fn):
    """A function of one number beside a large one, on plain complex numbers."""

    def both(x):
        x = np.asarray(x)
        return np.stack([large * x[0], fn(x[1])])

    return both


def test_plain_complex_numbers_are_held_to_real_differences() -> None:
    x = np.array([0.0, 1.0, -2.0])
    report = gradcheck(relu, x, vjp=relu_vjp)
    assert report.passed and report.method == "complex", report
    assert [kink.place for kink in report.kinks] == [(0,)]
    assert report.detectable > 1e-14  # no better than what confirms them
    dropped = gradcheck(lambda x: np.abs(np.asarray(x)), numbers(3), vjp=lambda ct, x: ct)
    assert dropped.passed and dropped.method == "central", dropped
    assert "drops the imaginary part" in dropped.why


def test_what_real_differences_cannot_see_of_plain_complex_numbers_is_not_known() -> None:
    x = np.array([1.0, 2.0])
    report = gradcheck(beside(1e12, np.abs), x, vjp=lambda ct, x: ct * np.array([1e12, 1.0]))
    assert report.verdict == "inconclusive", report
    assert "by less than real ones can see" in report.reason


def test_complex_numbers_that_overflow_are_not_believed() -> None:
    def sigmoid(x):
        return 1 / (1 + np.exp(-np.asarray(x)))

    x = np.array([-800.0, 1.0])
    report = gradcheck(sigmoid, x, vjp=lambda ct, x: ct * sigmoid(x) * (1 - sigmoid(x)))
    assert report.verdict != "fail", report
    assert report.method == "central" and "not finite" in report.why


def test_complex_steps_that_are_asked_for_must_run() -> None:
    def log(x):
        return np.array([math.log(one) for one in x])

    assert gradcheck(log, numbers(3), vjp=lambda ct, x: ct / x).method == "central"
    with pytest.raises((TypeError, ComplexWarning)):
        gradcheck(log, numbers(3), vjp=lambda ct, x: ct / x, method="complex")


def test_at_a_jump_the_branch_of_the_input_is_taken() -> None:
    def fn(x):
        return np.where(x >= 1, 2 * x + 1, x)

    report = gradcheck(fn, np.array([1.0, 3.0]), vjp=lambda ct, x: ct * np.where(x >= 1, 2, 1))
    assert report.passed and report.kinks == (), report
    assert "fn jumps at x: this is the gradient of one side" in report.reason


def test_a_function_without_a_signature_can_be_checked() -> None:
    class Squares:
        __signature__ = "none"

        def __call__(self, x):
            return x * x

    report = gradcheck(Squares(), numbers(3), vjp=lambda ct, x: 2 * x * ct)
    assert report.passed and report.names == ("inputs[0]",)


def test_a_small_term_that_leaves_numpys_functions_is_not_passed_over() -> None:
    def fn(w):
        return np.mean((w - 1) ** 2) + 1e-7 * np.std(np.array([2 * one for one in w]))

    def vjp(ct, w):
        return ct * 2 * (w - 1) / w.size

    x = np.array([0.3, -0.7, 1.9, 2.2])
    spread = 2 * (x - x.mean()) / (x.size * np.std(x))
    forgets = gradcheck(fn, x, vjp=vjp)
    assert not forgets.passed or forgets.detectable > 1e-7, forgets
    assert gradcheck(fn, x, vjp=lambda ct, w: vjp(ct, w) + 1e-7 * ct * spread).verdict != "fail"


def test_an_output_that_loses_its_digits_calls_no_gradient_wrong() -> None:
    erf = np.vectorize(math.erf)

    def gelu(x):
        return x * 0.5 * (1 + erf(x / np.sqrt(2)))

    def vjp(ct, x):
        density = np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
        return ct * (0.5 * (1 + erf(x / np.sqrt(2))) + x * density)

    assert gradcheck(gelu, np.array([-8.0, -3, 0, 1, 5]), vjp=vjp).verdict != "fail"


def test_a_kink_that_no_line_shows_is_found_where_it_is() -> None:
    x = np.array([1.0, 0.0])
    report = gradcheck(beside(1e9, relu), x, vjp=lambda ct, x: ct * np.array([1e9, 0.3]))
    assert report.verdict != "fail", report


def test_real_differences_may_contradict_plain_complex_numbers() -> None:
    x = np.array([1.0, 2.0])
    report = gradcheck(beside(1e11, np.abs), x, vjp=lambda ct, x: ct * np.array([1e11, 1.0]))
    assert report.verdict == "inconclusive", report


def test_a_slope_of_exactly_zero_is_not_believed_where_the_function_moves() -> None:
    def fn(x):
        return np.sin(np.asarray(x).real.astype(np.float32)).astype(np.float64)

    x = np.array([0.3, 1.2, -0.7])
    report = gradcheck(fn, x, vjp=lambda ct, x: ct * np.cos(x), rng=140)  # a line of small slope
    assert report.passed and report.method == "central", report
    assert gradcheck(fn, x, vjp=lambda ct, x: 1.2 * ct * np.cos(x)).verdict == "fail"


def erf(x):
    return np.vectorize(math.erf)(x)


def gelu_by_math(x):
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def gelu_by_math_vjp(ct, x):
    return ct * (0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


@pytest.mark.parametrize("x", [np.linspace(-8, 8, 17), [-8.0, -3, 0, 1, 5], [-7.0, 1]], ids=str)
def test_what_real_steps_lose_beside_larger_slopes_calls_no_gradient_wrong(x) -> None:
    report = gradcheck(gelu_by_math, np.array(x), vjp=gelu_by_math_vjp)
    assert report.passed, report
    assert report.method == "central"


@pytest.mark.parametrize("x", [[-8.0], [-7.0], [-8.0, -8.1]], ids=str)
def test_a_staircase_of_roundings_calls_no_gradient_wrong(x) -> None:
    report = gradcheck(gelu_by_math, np.array(x), vjp=gelu_by_math_vjp)
    assert report.verdict == "inconclusive", report
    assert "do not settle" in report.reason


def test_a_small_function_without_steps_is_judged() -> None:
    x = np.array([0.5, 0.7])
    report = gradcheck(lambda x: 1e-16 * erf(x), x, vjp=lambda ct, x: 1e-16 * ct)
    assert report.verdict == "fail", report


def test_a_mistake_above_what_real_steps_claim_to_see_is_found() -> None:
    def wrong(ct, x):
        found = gelu_by_math_vjp(ct, x)
        found[1] += 1e-5 * np.abs(found).max()
        return found

    assert gradcheck(gelu_by_math, np.array([-8.0, -3, 0, 1, 5]), vjp=wrong).verdict == "fail"
