"""At a kink: which gradients are right, alone and where several numbers meet."""

import numpy as np
import pytest

from numixology.verify import gradcheck

TIED = np.array([1.0, 3.0, 3.0])


def share(ct, x):
    winners = x == x.max()
    return ct * winners / winners.sum()


@pytest.mark.parametrize("method", ["auto", "central"])
@pytest.mark.parametrize(
    ("vjp", "verdict"),
    [
        (share, "pass"),
        (lambda ct, x: ct * np.array([0.0, 1.0, 0.0]), "pass"),
        (lambda ct, x: ct * np.array([0.0, 0.25, 0.75]), "pass"),
        (lambda ct, x: ct * (x == x.max()), "fail"),
        (lambda ct, x: 0 * ct * x, "fail"),
        (lambda ct, x: ct * np.array([0.0, 2.0, -1.0]), "fail"),
    ],
)
def test_the_largest_of_equal_numbers_passes_its_cotangent_on_once(vjp, verdict, method) -> None:
    report = gradcheck(np.max, TIED, vjp=vjp, method=method)
    assert report.verdict == verdict, report
    assert [kink.place for kink in report.kinks] == [(1,), (2,)]


def test_three_that_tie_share_one_cotangent() -> None:
    x = np.array([2.0, 2.0, 1.0, 2.0])
    assert gradcheck(np.max, x, vjp=share).passed
    halves = gradcheck(np.max, x, vjp=lambda ct, x: ct * np.array([0.5, 0.5, 0, 0.5]))
    assert halves.verdict == "fail"
    assert "the gradients at a tie are wrong: moved together" in halves.reason


@pytest.mark.parametrize(
    ("a", "b", "passes"),
    [
        (lambda a, b: a > b, lambda a, b: b >= a, True),
        (lambda a, b: a > b, lambda a, b: b > a, False),
        (lambda a, b: a >= b, lambda a, b: b >= a, False),
    ],
)
def test_ties_of_two_inputs(a, b, passes) -> None:
    x, y = np.array([1.0, 2.0, 5.0]), np.array([1.0, 3.0, 5.0])
    report = gradcheck(np.maximum, x, y, vjp=lambda ct, x, y: (ct * a(x, y), ct * b(x, y)))
    assert report.passed is passes, report


def test_kinks_that_have_nothing_in_common_are_no_tie() -> None:
    for at_zero in (0.0, 0.3, 1.0):
        vjp = lambda ct, x, s=at_zero: ct * np.where(x > 0, 1.0, np.where(x == 0, s, 0))  # noqa: E731
        assert gradcheck(lambda x: np.maximum(x, 0), np.zeros(4), vjp=vjp).passed
        total = gradcheck(lambda x: np.maximum(x, 0).sum(), np.zeros(4), vjp=vjp)
        assert total.passed, total


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-9])
def test_a_small_kink_is_a_kink(size) -> None:
    def fn(x):
        return x + size * np.maximum(x, 0)

    x = np.array([0.0, 1.0, -1.0])
    right = gradcheck(fn, x, vjp=lambda ct, x: ct * (1 + size * (x > 0)))
    assert right.passed and len(right.kinks) == 1, right
    wrong = gradcheck(fn, x, vjp=lambda ct, x: ct * (1 + size * (x > 0) - size * (x == 0)))
    assert wrong.verdict == "fail"


def test_a_kink_costs_the_other_entries_no_digit() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 0.5]), np.array([0.3, 2.5, 3.0, 1.0])

    def vjp(ct, a, b, factor=1.0):
        return np.where(a >= b, ct, 0) * np.array([factor, 1, 1, 1]), np.where(b > a, ct, 0)

    assert gradcheck(np.maximum, a, b, vjp=vjp).detectable < 1e-10
    wrong = gradcheck(np.maximum, a, b, vjp=lambda *given: vjp(*given, factor=1 + 1e-12))
    assert wrong.verdict == "fail"


def test_a_branch_at_equality_has_two_slopes() -> None:
    def fn(x):
        return np.where(x > 0, 2 * x, x)

    x = np.array([0.0, 1.0])
    for slope, passes in ((1.0, True), (1.5, True), (2.0, True), (2.1, False)):
        vjp = lambda ct, x, s=slope: ct * np.where(x > 0, 2.0, s)  # noqa: E731
        assert gradcheck(fn, x, vjp=vjp).passed is passes


def test_what_jumps_is_no_kink() -> None:
    x = np.array([12345.3])
    report = gradcheck(lambda x: np.mod(x, 1.0) * x, x, vjp=lambda ct, x: ct * np.mod(x, 1.0))
    assert (report.verdict, report.kinks) == ("fail", ())
    wrapped = gradcheck(
        lambda p: np.mod(p + np.pi, 2 * np.pi) - np.pi, 100 * x, vjp=lambda ct, p: ct * 1.0
    )
    assert wrapped.passed


def test_a_kink_beside_much_larger_slopes_is_seen_where_the_gradient_is_wrong() -> None:
    def fn(x):
        return 1e8 * np.sin(x[1]) + x[0] + np.maximum(x[0], 0)

    def vjp(at_kink):
        return lambda ct, x: ct * np.array([at_kink, 1e8 * np.cos(x[1])])

    x = np.array([0.0, 1.3])
    wrong = gradcheck(fn, x, vjp=vjp(0.0), method="central")
    assert wrong.verdict == "fail"
    (kink,) = wrong.kinks
    assert str(kink).startswith("x[0] is at a kink: slope ")
    assert gradcheck(fn, x, vjp=vjp(1.5), method="central").verdict != "fail"
