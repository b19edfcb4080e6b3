"""The first line of a failure says what comes near."""

import numpy as np
import pytest
from support import numbers

from numixology.verify import gradcheck


@pytest.mark.parametrize(
    ("fn", "inputs", "vjp", "says"),
    [
        (
            np.exp,
            [numbers(3)],
            lambda ct, x: np.exp(x),
            "vjp ignores its cotangent: multiply by it",
        ),
        (
            np.square,
            [numbers(3)],
            lambda x, ct: 2 * x * x * ct * 0 + 2 * ct**2 * x,
            "",
        ),
        (
            lambda x: x**3,
            [numbers(3)],
            lambda x, ct: 3 * x * x * ct,
            "vjp takes its cotangent first",
        ),
        (
            lambda a, b: a / b,
            [numbers(3), 2 + numbers(3)],
            lambda ct, a, b: (-ct * a / b**2, ct / b),
            "the gradients are right in another order: b, a",
        ),
        (
            lambda x, w: (x * w).mean(),
            [numbers(3), 2 * numbers(3)],
            lambda ct, x, w: (ct * w / 3, ct * x),
            "that of w is 3 times as large as it should be; only x is right",
        ),
    ],
)
def test_the_commonest_mistakes_are_named(fn, inputs, vjp, says) -> None:
    report = gradcheck(fn, *inputs, vjp=vjp)
    assert report.verdict == "fail"
    assert says in report.reason


def test_nothing_is_said_where_nothing_comes_near() -> None:
    report = gradcheck(np.exp, numbers(3), vjp=lambda ct, x: ct * np.sin(x))
    assert report.reason == "the gradient of x is wrong"


def test_of_many_inputs_the_right_ones_are_not_listed() -> None:
    def vjp(ct, a, b, c, d, e):
        return ct, ct, ct, ct, 2 * ct

    report = gradcheck(lambda a, b, c, d, e: a + b + c + d + e, *[numbers(3)] * 5, vjp=vjp)
    assert report.reason.endswith("only 4 of 5 are right")


def test_a_gradient_that_raises_for_exchanged_arguments_gets_no_such_hint() -> None:
    def vjp(ct, x):
        if (x < 0).any():
            raise ValueError("not my input")
        return ct * x

    reason = gradcheck(lambda x: x**3, numbers(3), vjp=vjp).reason
    assert reason == "the gradient of x is wrong"


def test_an_input_that_is_slightly_wrong_is_not_called_right() -> None:
    report = gradcheck(
        lambda x, y: np.exp(x) * y,
        np.ones(3),
        np.arange(1.0, 4.0),
        vjp=lambda ct, x, y: (
            ct * np.exp(x) * y * (1 + 1e-9 * np.arange(3)),
            ct * np.exp(x),
        ),
    )
    assert report.reason == "the gradient of x is wrong; only y is right"
    assert "ratio" not in str(report)
