"""Functions of arrays of steps: what carries them, what raises, and ties."""

from typing import Any

import numpy as np
import pytest
from pushed import H, evaluated, expressions, is_carried, is_one_sided, ties

from numixology.verify.arrays.steps import along, plain, stepped

CARRIED = """
np.interp(x, [0, 0.5, 1, 2], [0, 3, 1, 5]) | np.interp(x - 1, [0, 0.1], x[0, :2])
np.interp([0.9, 2.2, 9], x[0].cumsum(), x[1]) | np.sinc(x) | np.fix(x) + x | np.round(x, 1) * x
np.where(x > 1, x * x, np.sin(x))
np.select([x < 1, x < 1.3], [x * x, x], 0) | np.piecewise(x, [x < 1, x >= 1], [np.square, np.exp])
x.sum() | x.sum(0) | np.sum(x, (0, 1), keepdims=True) | x.sum(where=x > 1)
np.sum(x, 0, np.float64) | np.cumprod(x, dtype=float) | x.mean(0)
np.mean(x, axis=1, keepdims=True) | x.prod() | np.prod(x, 0) | x.cumsum(1) | np.cumprod(x, 1)
np.max(x) | x.max(0) | x.min((0, 1), keepdims=True) | np.ptp(x, 0) | x.max(initial=1.0) | x.var()
np.var(x, 0) | x.std(1, ddof=1, keepdims=True) | np.std(x) | np.sort(x) | np.sort(x, 0)
np.sort(x, None) | np.partition(x, 2)[:, 2] | x.ravel()[np.argsort(x, None)]
x[0, np.argpartition(x[0], 1)[1]] | x[x.argmin(0), range(4)]
np.take_along_axis(x, x.argsort(1), 1) | np.median(x) | np.median(x, 0, keepdims=True)
np.quantile(x, [[0.1], [0.5]], axis=1) | np.percentile(x, 30, axis=(0, 1)) | np.quantile(x, 1.0)
np.nanmean(x, 0) | np.nansum(x) | np.nanmax(x, 0) | np.nanmin(x) | np.nancumsum(x)
np.bincount([0, 1, 0, 2], x[0]) | np.linalg.norm(x) | np.linalg.norm(x, axis=0)
np.linalg.norm(x, axis=(1, 0), keepdims=True) | np.linalg.norm(x, 1, 0) | np.linalg.norm(x, 2, 1)
np.linalg.norm(x, np.inf, 1) | np.linalg.norm(x, -np.inf, 1)
np.linalg.det(A) | np.linalg.inv(A)
np.linalg.solve(A, x) | np.linalg.matrix_power(A, 3) | np.linalg.multi_dot([x, x.T, x])
np.stack([x, 2 * x]).sum(0) | np.dot(x, x.T) | np.vdot(x, x) | np.inner(x, x) | np.outer(x, x)
np.kron(x, x) | np.matmul(x, x.T) | np.einsum("ij,kj->k", x, x) | np.tensordot(x, x, 2)
np.cross(A, x[:, 1:]) | np.convolve(x[0], x[1]) | np.correlate(x[0], x[1], "full")
np.polyval([1, 2, 3], x) | np.vecdot(x, x) | np.gradient(x)[1] | np.diff(x) | np.trapezoid(x)
np.vander(x[0]) | np.moveaxis(x, 0, 1) | np.concatenate([x, x]) | np.roll(x, 1) | np.tile(x, 2)
np.pad(x, 1) | np.pad(x, 1, "edge") | np.tril(A) | np.diag(A) | np.trace(A) | np.linspace(0, x, 3)
np.compress([True, False, True], x, 0) | np.extract(x > 1, x)
np.apply_along_axis(np.linalg.norm, 1, x) | copied(x) | np.full_like(x, x[0, 0])
np.mean(x, dtype=np.float64) | np.ones_like(x) * x | np.sum(x, out=np.zeros_like(x[0, 0]))
np.dot(x, x.T, out=np.zeros_like(A))
np.quantile([1, 2, 4], x / 9) | np.partition(x, 2)
np.average(x, 0, weights=[1, 2, 3]) | x[np.arange(3), np.searchsorted([0.5, 1], x[:, 0])]
"""


@pytest.mark.parametrize("expression", expressions(CARRIED))
def test_a_carried_step_is_the_derivative(expression: str) -> None:
    is_carried(evaluated(expression, globals()))


def copied(x: Any) -> Any:
    out = np.zeros_like(x)
    np.copyto(out, x, where=x > 1)
    return out


def test_questions_are_answered_about_values() -> None:
    x = stepped(np.array([3.0, 1.0, 2.0]) + 1j * H)
    assert (x.argmax(), np.argmin(x), x.searchsorted(5)) == (0, 1, 3)
    assert np.array_equal(np.argsort(x), [1, 2, 0]) and np.array_equal(x.nonzero()[0], [0, 1, 2])
    assert np.searchsorted([1, 2, 3], x, "right").tolist() == [3, 1, 2]
    assert np.allclose(x, [3, 1, 2]) and np.iscomplexobj(x) and np.shape(x) == (3,)
    assert np.zeros_like(x, dtype=int).dtype == int
    assert np.linalg.matrix_rank(stepped(np.eye(2) + 1j * H)) == 2
    assert np.where(x)[0].tolist() == [0, 1, 2] and np.count_nonzero(x) == 3
    assert np.compress(stepped(np.array([0, 1]) + 1j * H), [3, 4]).tolist() == [4]


def test_a_table_has_the_slope_of_the_piece_that_begins_where_x_lies() -> None:
    x = stepped(np.array([0.0, 1.0]) - 1j * H)
    assert (plain(np.interp(x, [-1, 0, 1, 2], [0, 2, 3, 9])).imag == [-H, -6 * H]).all()
    with along():
        assert (plain(np.interp(x, [-1, 0, 1, 2], [0, 2, 3, 9])).imag == [-2 * H, -H]).all()


def test_places_of_equal_numbers_are_those_of_their_steps_along_it() -> None:
    x = stepped(np.array([1.0, 1.0]) + 1j * H * np.array([2, 1]))
    assert np.argsort(x, kind="stable").tolist() == [0, 1]
    with along():
        assert np.argsort(x).tolist() == [1, 0]


REFUSED = """
np.quantile(x, 0.5, method='lower') | np.std(x, where=x > 1) | np.round(x, out=f) | np.copyto(f, x)
np.put(f, [0], x[:1]) | np.fft.fft(x) | np.vectorize(abs)(x) | np.ediff1d(x) | np.unwrap(x)
np.cov(x) | np.corrcoef(x) | np.nanstd(x) | np.nanvar(x) | np.nanmedian(x) | np.nanquantile(x, 0.3)
np.unique(x) | np.digitize(x, [1.0]) | np.interp(x, [0, 1], [0, 2], left=3) | np.putmask(x, x, 1.0)
np.linalg.norm(A, 1) | np.linalg.norm(A, 2) | np.linalg.norm(A, 'nuc') | np.linalg.norm(x, 3)
np.linalg.norm(x, 0) | np.linalg.matrix_norm(A) | np.linalg.vector_norm(x)
np.roots(x) | np.nan_to_num(x)
np.bincount([0, 1], weights=x) | np.outer(a=x, b=x) | np.tensordot(x, b=x, axes=1)
"""


@pytest.mark.parametrize("expression", expressions(REFUSED))
def test_what_cannot_carry_a_step_raises(expression: str) -> None:
    x = stepped(np.array([1.0, 2.0]) + 1j * H)
    with pytest.raises((TypeError, ValueError, np.exceptions.ComplexWarning)):
        eval(expression, globals(), {"x": x, "f": np.zeros(2), "A": np.outer(x, x)})


KINKS = """
np.sort(x) | np.sort(x, 0) | np.median(x) | np.sort(x, None) | np.median(x, 0)
np.quantile(x, [0.2, 0.5], axis=1) | np.ptp(x) | x.std(1) | np.linalg.norm(x, axis=1)
np.linalg.norm(x, 1, 1) | np.linalg.norm(x, -np.inf, 1) | np.linalg.norm(x[2:])
np.interp(x, [0, 1, 2], [0, 2, 1]) * 0 + abs(x)
np.abs(np.maximum(x, 0) - np.sort(x, 1)).max(1) | np.partition(x, 2, 1).sum(1) + abs(x).sum(1)
"""


@pytest.mark.parametrize("expression", expressions(KINKS))
def test_a_step_has_the_slope_of_its_side(expression: str) -> None:
    is_one_sided(evaluated(expression, globals()))


@pytest.mark.parametrize(
    ("call", "at", "beside"),
    [
        (np.round, 2.5, 2.4),
        (lambda x: np.where(x), 0, 0.1),
        (lambda x: x.searchsorted([1, 2.0]), 1, 1.1),
        (lambda x: np.linalg.norm(x[:1]), 0, 0.1),
    ],
)
def test_ties_are_counted(call: Any, at: float, beside: float) -> None:
    assert ties(call, at) > 0
    assert ties(call, beside) == 0


@pytest.mark.parametrize("call", [np.argmax, np.argsort, np.sort, np.median, np.max, np.ptp])
def test_equal_numbers_that_move_apart_are_ties(call: Any) -> None:
    assert ties(call, 1.0, apart=0) > 0
    assert ties(call, 1.0) == 0
