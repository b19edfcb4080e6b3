"""What rounding excuses, and what it does not: every number by its own size."""

import numpy as np
import pytest

from numixology.verify import gradcheck


def textbook(ct, x):
    return ct * (1 - np.tanh(x) ** 2)


@pytest.mark.parametrize("x", [6.0, 10.0, 12.0])
def test_a_textbook_formula_passes_as_far_as_it_is_right(x) -> None:
    report = gradcheck(np.tanh, np.array([x]), vjp=textbook)
    assert report.passed, report
    assert "here: the formula of the gradient loses digits" in report.reason
    assert report.max_error < report.detectable
    strict = gradcheck(np.tanh, np.array([x]), vjp=textbook, strict=True)
    assert strict.verdict == "fail"
    assert gradcheck(np.tanh, np.array([x]), vjp=lambda ct, x: ct / np.cosh(x) ** 2).passed


def test_a_formula_may_lose_digits_in_many_numbers() -> None:
    many = np.random.default_rng(5).standard_normal(200) * 5
    assert gradcheck(np.tanh, many, vjp=textbook).passed
    off = np.ones(200)
    off[np.argmax(np.abs(many))] = 1.5
    wrong = gradcheck(np.tanh, many, vjp=lambda ct, x: off * textbook(ct, x))
    assert wrong.verdict != "pass"


def test_a_formula_excuses_no_mistake() -> None:
    report = gradcheck(np.tanh, np.array([6.0]), vjp=lambda ct, x: 1.001 * textbook(ct, x))
    assert report.verdict == "fail"


def test_a_function_that_loses_digits_calls_no_gradient_wrong() -> None:
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for seed in range(8):
        rng = np.random.default_rng(seed)
        t, x = rng.integers(0, 2, (4, 4)) * 1.0, 4 * rng.standard_normal((4, 4))

        def loss(x, t=t):
            p = sigmoid(x)
            return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))

        def vjp(ct, x, t=t):
            return ct * (sigmoid(x) - t) / x.size

        assert gradcheck(loss, x, vjp=vjp).passed
        wrong = gradcheck(loss, x, vjp=lambda ct, x: vjp(ct, x) * (1 + 1e-8))
        assert not wrong.passed or wrong.detectable > 1e-8


def test_a_gradient_rounded_to_float32_fails_and_is_called_that() -> None:
    def vjp(ct, x):
        return (ct * np.exp(x)).astype(np.float32)

    report = gradcheck(np.exp, np.linspace(0.1, 1, 4), vjp=vjp)
    assert report.verdict == "fail"
    assert report.reason.endswith("it is rounded to float32")


def test_a_function_that_computes_in_float32_is_checked_at_its_precision() -> None:
    x = np.random.default_rng(0).standard_normal(5)

    def carried(x):
        return (x.astype(np.float32) ** 2).astype(np.float64)

    def returned(x):
        return np.square(np.asarray(x).astype(np.complex64 if x.dtype.kind == "c" else np.float32))

    def hidden(x):
        return np.array([float(np.float32(one) ** 2) for one in x])

    for fn in (carried, returned, hidden):
        right = gradcheck(fn, x, vjp=lambda ct, x: 2 * x * ct)
        assert right.passed, right
        assert right.why.endswith("; fn computes in float32")
        wrong = gradcheck(fn, x, vjp=lambda ct, x: 2.2 * x * ct)
        assert wrong.verdict == "fail", wrong


def test_small_entries_and_outputs_are_judged_by_their_own_size() -> None:
    x = np.array([0.0, -40.0])
    wrong = gradcheck(np.exp, x, vjp=lambda ct, x: ct * np.exp(x) * np.array([1.0, -1.0]))
    assert wrong.verdict == "fail" and wrong.worst[1] == (1,)

    def two(x):
        return np.stack([1e8 * x, 1e-8 * np.sin(x)])

    x = np.array([0.3, -0.7])
    assert gradcheck(two, x, vjp=lambda ct, x: 1e8 * ct[0] + 1e-8 * np.cos(x) * ct[1]).passed
    assert not gradcheck(two, x, vjp=lambda ct, x: 1e8 * ct[0]).passed
    packed = np.array([1e6, 1e-7, 0.3])
    vjp = lambda ct, t: ct * np.array([t[1], t[0], 2 * t[2]])  # noqa: E731
    assert gradcheck(lambda t: t[0] * t[1] + t[2] ** 2, packed, vjp=vjp).passed


def test_a_small_penalty_is_seen() -> None:
    rng = np.random.default_rng(0)
    w, a = rng.standard_normal(6), rng.standard_normal((4, 6))

    def loss(w):
        return 50 * ((a @ w) ** 2).sum() + 1e-8 * np.abs(w).sum()

    def vjp(ct, w):
        return ct * (100 * a.T @ (a @ w) + 1e-8 * np.sign(w))

    assert gradcheck(loss, w, vjp=vjp).passed
    assert gradcheck(loss, w, vjp=lambda ct, w: ct * 100 * a.T @ (a @ w)).verdict == "fail"


def test_at_the_edge_of_a_domain() -> None:
    x = np.array([0.0, 2.0])
    edge = gradcheck(lambda x: x**1.5, x, vjp=lambda ct, x: 1.5 * ct * x**0.5)
    assert edge.verdict != "fail", edge
    probabilities = np.array([1 - 1e-12, 1e-12])

    def entropy(p):
        return -(p * np.log(p)).sum()

    def vjp(ct, p):
        return -ct * (np.log(p) + 1)

    assert gradcheck(entropy, probabilities, vjp=vjp).passed
    real = gradcheck(entropy, probabilities, vjp=vjp, method="central")
    assert not real.passed or np.isfinite(real.detectable)


def test_functions_that_raise_or_validate_beside_the_inputs() -> None:
    def squares(p):
        if abs(p.sum() - 1) > 1e-6:
            raise ValueError("probabilities add up to 1")
        return p**2

    assert gradcheck(squares, np.array([0.25, 0.75]), vjp=lambda ct, p: 2 * ct * p).passed


def test_a_doubt_larger_than_the_gradient_proves_nothing() -> None:
    """Its smallest entry is another one for inputs that are moved by a rounding."""

    def vjp(ct, x):
        found = 2 * x * ct
        found[np.argmin(np.abs(found))] *= -1
        return found

    x = np.array([1.0, 1.0]) / 3
    report = gradcheck(lambda x: x * x, x, vjp=lambda ct, x: vjp(np.ones(2), x) * ct)
    assert not report.passed, report


def test_a_small_exact_term_beside_large_ones_is_no_rounding() -> None:
    def fn(x, b):
        return 1e6 * x.sum() + 1e-9 * b.sum()

    def vjp(ct, x, b, sign=1):
        return 1e6 * ct + 0 * x, sign * 1e-9 * ct + 0 * b

    x = np.array([1.0, 2.0])
    assert gradcheck(fn, x, x, vjp=vjp).passed
    wrong = gradcheck(fn, x, x, vjp=lambda ct, x, b: vjp(ct, x, b, -1))
    assert wrong.verdict == "fail", wrong
