"""Complex steps through functions of arrays, beside derivatives that are independent of them.

These are extrapolated real differences at smooth points, and one-sided ones at ties.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numixology.verify.arrays.steps import Step, met, plain, stepped

H = 2.0**-70
RNG = np.random.default_rng(3)
X = RNG.uniform(0.2, 1.7, (3, 4))
U = RNG.standard_normal((3, 4))
TIED = np.array([[0.0, 1, 1, 2], [2, 1, 0, -1], [0, 0, 0, 0]])


def expressions(text: str) -> list[str]:
    """Of x of shape (3, 4), A, its square part, and S, which is positive definite."""
    return [one.strip() for line in text.split("\n") for one in line.split(" | ") if one]


def pushed(call: Callable[[Any], Any], x: np.ndarray, u: np.ndarray) -> tuple[Any, Any]:
    """Value and derivative along u by a Step, which must come out as one."""
    found = call(stepped(x + 1j * H * u))
    assert isinstance(found, Step)
    return plain(found).real, plain(found).imag / H


def extrapolated(call: Callable[[Any], Any], x: np.ndarray, u: np.ndarray) -> Any:
    """The derivative along u by central differences, extrapolated (Ridders 1982)."""
    row: list[Any] = []
    best, error = None, math.inf
    for h in 0.02 / 2.0 ** np.arange(8):
        previous, row = row, [(np.asarray(call(x + h * u)) - call(x - h * u)) / (2 * h)]
        for k, coarser in enumerate(previous):
            row.append(row[k] + (row[k] - coarser) / (4 ** (k + 1) - 1))
            apart = np.abs(row[k + 1] - row[k]).max()
            if apart < error:
                best, error = row[k + 1], apart
    return best


def evaluated(expression: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    """An expression as a function of x."""
    code = compile(expression, expression, "eval")
    given = {"np": np, **{name: names[name] for name in code.co_names if name in names}}

    def call(x: Any) -> Any:
        A, I = x[:, :3], np.eye(3)  # noqa: E741
        return eval(code, given, {"x": x, "A": A, "S": x @ x.T + I, "I": I})

    return call


def is_carried(call: Callable[[Any], Any]) -> None:
    """A step is the derivative, and in float32 it stays in float32."""
    value, slope = pushed(call, X, U)
    expected = extrapolated(call, X, U)
    most = np.abs(expected).max() + 1
    np.testing.assert_allclose(value, call(X), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, expected, rtol=1e-8, atol=2e-9 * most)
    x = X.astype(np.float32)
    with met() as seen:
        found = plain(call(stepped((x + 1j * 2.0**-24 * U).astype(np.complex64))))
    assert seen.precision == "float32"
    assert np.abs(found.imag * 2.0**24 - pushed(call, x.astype(float), U)[1]).max() <= 1e-4 * most


def is_one_sided(call: Callable[[Any], Any]) -> None:
    """At ties a step and its opposite have the slopes of their sides."""
    for sign in (1, -1):
        u = sign * np.random.default_rng(1).standard_normal(TIED.shape)
        with met() as seen:
            slope = pushed(call, TIED, u)[1]
        h = 2.0**-24
        expected = (np.asarray(call(TIED + h * u)) - call(TIED)) / h
        np.testing.assert_allclose(slope, expected, atol=1e-5)
        assert seen.ties > 0


def ties(call: Callable[[Any], Any], x: float, apart: float = 0.03) -> int:
    """How often a step of two numbers meets a tie."""
    with np.errstate(all="ignore"), met() as seen:
        call(stepped(np.array([x, x + apart]) + 1j * H * np.array([1.0, 2.0])))
    return seen.ties
