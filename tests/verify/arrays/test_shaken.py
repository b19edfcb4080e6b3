"""Roundings inside a function: what moves, by how much, and what stays."""

import numpy as np
import pytest

from numixology.verify.arrays.shaken import roundings

EPS = 2.0**-52
X = np.array([0.3, 1.7, 12.0])
A, B = np.random.default_rng(7).standard_normal((2, 4, 4))


def moves(call, *arrays):
    return roundings(call, arrays, np.random.default_rng(0))


def test_a_formula_that_cancels_moves_by_what_is_lost() -> None:
    (found,) = moves(lambda x: 1 - np.tanh(x) ** 2, X)
    assert 0.4 * EPS <= found[2] <= 4 * EPS
    (better,) = moves(lambda x: 1 / np.cosh(x) ** 2, X)
    assert better[2] < 10 * EPS / np.cosh(12) ** 2


def test_a_wrong_formula_moves_no_further_than_a_right_one() -> None:
    (found,) = moves(lambda x: 1.001 * (1 - np.tanh(x) ** 2), X)
    assert (found < 5 * EPS).all()


@pytest.mark.parametrize(
    "exact",
    [
        lambda x: x * 2,
        lambda x: x / 4,
        lambda x: x - x,
        lambda x: np.sqrt(np.square(np.rint(x))),
        lambda x: -np.maximum(x, 1),
        lambda x: np.sort(x)[::-1],
        lambda x: np.where(x > 1, x, 0),
        lambda x: np.divmod(x, 0.25),
        lambda x: x.astype(int),
        lambda x: np.concatenate([x, x]).reshape(2, -1),
    ],
)
def test_what_is_exact_stays(exact) -> None:
    assert all((one == 0).all() for one in moves(exact, X))


@pytest.mark.parametrize(
    ("call", "terms"),
    [
        (lambda a, b: a @ b, np.abs(A) @ np.abs(B)),
        (lambda a, b: np.einsum("ij,jk", a, b), np.abs(A) @ np.abs(B)),
        (lambda a, b: a.dot(b), np.abs(A) @ np.abs(B)),
        (lambda a, b: a.sum(0), np.abs(A).sum(0)),
        (lambda a, b: np.mean(a, axis=1), np.abs(A).mean(1)),
        (lambda a, b: np.cumsum(b, axis=1), np.abs(B).cumsum(1)),
        (lambda a, b: np.var(a, 0), A.var(0)),
    ],
)
def test_a_sum_moves_at_the_size_of_its_terms(call, terms) -> None:
    (found,) = moves(call, A, B)
    assert (found <= 6 * EPS * terms).all()
    assert found.max() >= 0.5 * EPS * terms.min()


def test_linear_algebra_is_moved_with_its_arguments() -> None:
    (found,) = moves(np.linalg.inv, A)
    assert (found > 0).all() and (found < 1e-13 * np.linalg.cond(A)).all()


def test_both_parts_of_complex_numbers_are_rounded() -> None:
    step = 2.0**-66

    def slope(a):
        z = (a + 1j * step) * (1 + a)
        return (z @ B).imag / step

    (found,) = moves(slope, A)
    assert (found > 0).all() and (found < 20 * EPS * (2 + np.abs(A)).sum()).all()


def test_results_in_a_tree_and_in_place() -> None:
    def call(x, ids):
        y = np.zeros_like(x)
        np.add.at(y, ids, x / 3)
        y *= 1.3
        np.divide(x, 3, out=y, where=x > 1)
        return {"y": y, "first": (x[0] / 3, x.prod(), np.add.reduce(x, where=x > 1))}

    found = moves(call, X, np.array([0, 0, 1]))
    assert [one.shape for one in found] == [(3,), (), (), ()]
    assert all(one.max() > 0 for one in found)


def test_float32_is_rounded_in_its_own_precision() -> None:
    (found,) = moves(lambda x: x / 3, X.astype(np.float32))
    assert found.max() > 2.0**-25 and found.max() < 2.0**-21


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.asarray(x) / 3,
        lambda x: 1 / 0 if type(x) is not np.ndarray else x,
        lambda x: x / 0,
    ],
)
def test_what_is_not_shaken_does_not_move(call) -> None:
    with np.errstate(all="ignore"):
        assert (moves(call, X)[0] == 0).all()


def test_a_sum_that_runs_on_leaves_earlier_ones() -> None:
    def sums(x):
        total, found = 0.0, []
        for one in x:
            total += one
            found.append(total)
        return np.stack(found)

    (found,) = moves(sums, X)
    assert (found < 1e-14).all()
