"""Reductions: NumPy's values under both spellings, and gradients known in closed form."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import complex_step, integers, numbers, refused

import numixology as nx
from numixology import functional as F
from numixology.checks import DTYPES
from numixology.errors import ArgumentError, DTypeError, ShapeError

REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "var": np.var,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
}
AXES = [None, 0, 1, -1, (0, 1), (2, 0), (-1, 1), (0, 1, 2), ()]


def leaf(data, dtype=None) -> nx.Tensor:
    return nx.tensor(data, dtype=dtype, requires_grad=True)


def close(found, expected, dtype) -> None:
    assert type(found) is nx.Tensor
    assert found.shape == np.shape(expected)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keep", [False, True])
def test_values_under_every_spelling(name, axis, keep) -> None:
    array = numbers(2, 3, 4)
    numpys, ours, t = REDUCTIONS[name], getattr(F, name), nx.tensor(array)
    method = getattr(t, name)
    expected = numpys(array, axis=axis, keepdims=keep)
    for found in (
        ours(t, axis, keep),
        ours(t, axis=axis, keepdims=keep),
        ours(t, dim=axis, keepdim=keep),
        method(axis, keep),
        method(axis=axis, keepdims=keep),
        method(dim=axis, keepdim=keep),
    ):
        close(found, expected, np.float64)
    np.testing.assert_allclose(ours(array, axis, keep), expected, rtol=1e-13)
    if isinstance(axis, tuple):
        close(method([*axis], keep), expected, np.float64)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_are_numpys(name, dtype) -> None:
    array = np.array([[1, 2, 0], [3, 1, 1]]).astype(dtype)
    for axis in (None, 1):
        expected = REDUCTIONS[name](array, axis=axis)
        close(getattr(nx.tensor(array), name)(axis), expected, expected.dtype)


@given(st.lists(st.integers(-3, 3), max_size=9), st.integers(1, 3))
def test_whole_numbers_are_exact(values, columns) -> None:
    array = np.array(values * columns, np.int64).reshape(columns, len(values)).T
    t = nx.tensor(array)
    for axis in (0, 1, None):
        np.testing.assert_array_equal(t.sum(axis).numpy(), array.sum(axis))
        np.testing.assert_array_equal(t.prod(axis).numpy(), array.prod(axis))
        np.testing.assert_array_equal(t.astype(np.float64).prod(axis).numpy(), array.prod(axis))
        np.testing.assert_array_equal(t.cumsum(axis).numpy(), array.cumsum(axis))


@pytest.mark.parametrize("name", ["sum", "mean", "var", "prod"])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keep", [False, True])
def test_gradients_by_complex_steps(name, axis, keep) -> None:
    array = numbers(2, 3, 4)
    fn = (
        (lambda a: ((a - a.mean(axis, keepdims=True)) ** 2).mean(axis, keepdims=keep))
        if name == "var"  # NumPy's own takes the modulus of complex numbers
        else (lambda a: REDUCTIONS[name](a, axis=axis, keepdims=keep))
    )
    x = leaf(array)
    y = getattr(F, name)(x, axis, keep)
    ct = numbers(*y.shape, seed=5)
    (truth,) = complex_step(fn, [array], ct)
    for recorded in (False, True):
        (found,) = nx.grad(y, x, nx.tensor(ct), create_graph=recorded)
        np.testing.assert_allclose(found.numpy(), truth, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("axis", [a for a in AXES if a != ()], ids=str)
@pytest.mark.parametrize("keep", [False, True])
def test_gradients_of_extrema(name, axis, keep) -> None:
    array = integers(2, 3, 4) % 4  # many ties
    x = leaf(array)
    y = getattr(x, name)(axis, keep)
    ct = integers(*y.shape, seed=5) * 12
    kept = REDUCTIONS[name](array, axis=axis, keepdims=True)
    chosen = array == kept
    truth = ct.reshape(kept.shape) * chosen / chosen.sum(axis, keepdims=True)
    for recorded in (False, True):
        (found,) = nx.grad(y, x, nx.tensor(ct), create_graph=recorded)
        np.testing.assert_allclose(found.numpy(), truth, rtol=1e-15)
    (found,) = nx.grad(y * y, x, nx.tensor(ct), create_graph=True)
    (second,) = nx.grad(found.sum(), x)
    shares = chosen / chosen.sum(axis, keepdims=True)
    np.testing.assert_allclose(second.numpy(), 2 * ct.reshape(kept.shape) * shares, rtol=1e-14)


def test_ties_share_and_others_get_nothing() -> None:
    x = leaf([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    assert nx.grad(x.max(1), x, [6.0, 6.0])[0].tolist() == [[0.0, 3.0, 3.0], [2.0, 2.0, 2.0]]
    assert nx.grad(x.min(1), x, [6.0, 6.0])[0].tolist() == [[6.0, 0.0, 0.0], [2.0, 2.0, 2.0]]
    assert nx.grad(x.max(()), x, np.ones((2, 3)))[0].tolist() == [[1.0] * 3] * 2


def test_extrema_pass_nan_and_infinity_on() -> None:
    array = np.array([[np.nan, 1.0], [-np.inf, np.inf]])
    t = nx.tensor(array)
    np.testing.assert_array_equal(t.max(1).numpy(), array.max(1))
    np.testing.assert_array_equal(t.min(1).numpy(), array.min(1))
    x = leaf(array[1])
    assert nx.grad(x.max(), x)[0].tolist() == [0.0, 1.0]


# Variance


@pytest.mark.parametrize("ddof", [0, 1, 2])
@pytest.mark.parametrize("axis", [None, 0, (0, 2)], ids=str)
def test_degrees_of_freedom(ddof, axis) -> None:
    array = numbers(3, 4, 5)
    expected = np.var(array, axis=axis, ddof=ddof)
    np.testing.assert_allclose(nx.tensor(array).var(axis, ddof=ddof).numpy(), expected, rtol=1e-13)
    np.testing.assert_allclose(F.var(array, axis, ddof=ddof), expected, rtol=1e-13)


def test_the_mean_of_integers_does_not_overflow() -> None:
    for array in (
        np.full((4, 2), 2**62),
        np.full(3, np.iinfo(np.int64).min),
        np.full(5, 2**31 - 1, np.int32),
        np.array([True, True, False]),
    ):
        for x in (array, nx.tensor(array)):
            np.testing.assert_array_equal(F.mean(x, 0), np.mean(array, 0))
            np.testing.assert_allclose(F.var(x, 0), np.var(array, 0))


def test_variance_without_freedom() -> None:
    x = nx.tensor([1.0, 2.0])
    assert x.var(ddof=2).item() == x.var(ddof=3).item() == np.inf
    assert np.isnan(nx.tensor([1.0]).var(ddof=1).item())


def test_variance_far_from_zero_does_not_cancel() -> None:
    array = numbers(7)
    np.testing.assert_allclose(nx.tensor(array + 1e8).var().item(), np.var(array + 1e8), rtol=1e-12)
    assert nx.tensor(np.full(5, 1e8 + 0.1)).var().item() < 1e-14


# Products


@pytest.mark.parametrize(
    ("values", "slopes"),
    [
        ([2.0, 3.0, 5.0], [15.0, 10.0, 6.0]),
        ([0.0, 3.0, 5.0], [15.0, 0.0, 0.0]),
        ([0.0, 3.0, 0.0], [0.0, 0.0, 0.0]),
        ([2.0], [1.0]),
        ([0.0], [1.0]),
        ([], []),
        ([-1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0], [0.0] * 6 + [-720.0]),
    ],
    ids=str,
)
def test_products_with_zeros(values, slopes) -> None:
    x = leaf(np.array(values))
    y = x.prod()
    assert y.item() == np.prod(values)
    assert nx.grad(y, x)[0].tolist() == slopes
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == slopes


def test_second_derivatives_of_a_product_with_zeros() -> None:
    x = leaf([0.0, 3.0, 0.0])
    (slope,) = nx.grad(x.prod(), x, create_graph=True)
    assert nx.grad(slope[0], x)[0].tolist() == [0.0, 0.0, 3.0]


@pytest.mark.parametrize("n", range(10))
def test_products_of_every_length(n) -> None:
    array = numbers(4, n)
    np.testing.assert_allclose(nx.tensor(array).prod(1).numpy(), array.prod(1), rtol=1e-13)
    assert nx.tensor(array).prod(1, keepdims=True).shape == (4, 1)


def test_a_product_keeps_the_sign_of_zero() -> None:
    for values in ([1.0, 1.0, -0.0], [-0.0, 1.0, 2.0, 3.0, -1.0], [-1.0, 3.0, 0.0]):
        assert np.signbit(F.prod(np.array(values))) == np.signbit(np.prod(values))


def test_products_of_plain_arrays() -> None:
    assert F.prod(np.array([200, 200], np.uint8)) == 40000
    assert F.prod(np.array([True, False])).dtype == np.int64
    assert F.prod(nx.tensor(5.0)).item() == nx.tensor(5.0).prod(keepdims=True).item() == 5.0


# Running sums


@pytest.mark.parametrize("axis", [None, 0, 1, -1], ids=str)
def test_cumsum(axis) -> None:
    array = integers(2, 3, 4)
    x = leaf(array)
    expected = np.cumsum(array, axis)
    for y in (x.cumsum(axis), x.cumsum(dim=axis), F.cumsum(x, axis=axis), F.cumsum(x, dim=axis)):
        np.testing.assert_array_equal(y.numpy(), expected, strict=True)
    np.testing.assert_array_equal(F.cumsum(array, axis), expected)
    ct = integers(*expected.shape, seed=1)
    # whoever comes at or before a place is in its sum
    truth = np.flip(np.cumsum(np.flip(ct, axis), axis), axis).reshape(array.shape)
    for recorded in (False, True):
        (found,) = nx.grad(x.cumsum(axis), x, nx.tensor(ct), create_graph=recorded)
        np.testing.assert_array_equal(found.numpy(), truth)


def test_cumsum_to_second_order() -> None:
    x = leaf([1.0, 2.0, 3.0])
    (slope,) = nx.grad((x * x).cumsum().sum(), x, create_graph=True)
    assert slope.tolist() == [6.0, 8.0, 6.0]
    assert nx.grad(slope.sum(), x)[0].tolist() == [6.0, 4.0, 2.0]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cumsum_of_every_dtype(dtype) -> None:
    array = np.array([1, 0, 1, 1]).astype(dtype)
    np.testing.assert_array_equal(nx.tensor(array).cumsum().numpy(), np.cumsum(array), strict=True)


def test_cumsum_has_one_axis() -> None:
    with refused(DTypeError, "an axis must be an integer"):
        nx.tensor(numbers(2, 3)).cumsum((0, 1))


# Edges


@pytest.mark.parametrize("name", REDUCTIONS)
def test_single_numbers(name) -> None:
    x = leaf(3.0)
    for y in (getattr(x, name)(), getattr(x, name)(()), getattr(x, name)(keepdims=True)):
        assert y.shape == ()
        assert y.item() == REDUCTIONS[name](3.0)
    assert nx.grad(y, x)[0].item() == (0.0 if name == "var" else 1.0)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "prod"])
def test_reductions_of_nothing(name) -> None:
    array = np.zeros((0, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of means of nothing
        expected = [REDUCTIONS[name](array, axis=axis) for axis in (0, 1, None)]
    for axis, truth in zip((0, 1, None), expected, strict=True):
        found = getattr(nx.tensor(array), name)(axis)
        np.testing.assert_array_equal(found.numpy(), truth)
        np.testing.assert_array_equal(getattr(F, name)(array, axis), truth)
    x = leaf(array)
    assert nx.grad(getattr(x, name)(), x)[0].shape == (0, 3)


@pytest.mark.parametrize("name", ["max", "min"])
def test_extrema_of_nothing(name) -> None:
    t = nx.tensor(np.zeros((0, 3)))
    for axis in (None, 0):
        with refused(ShapeError, name, "zero-size array", "(0, 3)"):
            getattr(t, name)(axis)
    assert getattr(t, name)(1).shape == (0,)


@pytest.mark.parametrize("name", [*REDUCTIONS, "cumsum", "squeeze"])
def test_one_spelling_at_a_time(name) -> None:
    t = nx.tensor(np.ones((1, 1)))
    with refused(ArgumentError, "axis and dim", "0 and 1", "one of them"):
        getattr(t, name)(axis=0, dim=1)
    with refused(ArgumentError, "axis and dim", "0 and 1"):
        getattr(F, name)(t, 0, dim=1)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_an_axis_is_named_once(name) -> None:
    with refused(ShapeError, "differ", "(0, -2)"):
        getattr(nx.tensor(numbers(2, 3)), name)((0, -2))


def test_no_warning_escapes() -> None:
    extreme = np.array([[np.inf, -np.inf], [np.nan, 1e300], [1e300, 1e300]])
    for name in REDUCTIONS:
        for data in (nx.tensor(extreme), extreme):
            assert np.shape(getattr(F, name)(data, 1)) == (3,)
    assert F.cumsum(nx.tensor(extreme), 1).shape == (3, 2)
    x = leaf(extreme)
    assert nx.grad(x.var(1), x, [1.0, 1.0, 1e300])[0].shape == (3, 2)


ROWS = 300_000
SUMS = {
    "sum": lambda x: F.sum(x, 0),
    "mean": lambda x: F.mean(x, 0) * ROWS,
    "of both axes": lambda x: F.sum(x) / 2,
    "gradient of what was broadcast": lambda x: gradient_of(lambda b: np.zeros_like(x) + b, x),
    "gradient of a bias": lambda x: gradient_of(
        lambda b: F.linear(np.zeros((ROWS, 1), np.float32), np.zeros((2, 1), np.float32), b), x
    ),
    "gradient of a row": lambda x: gradient_of(
        lambda w: F.embedding(np.zeros(ROWS, np.int64), F.reshape(w, (1, 2))), x
    ),
}


def gradient_of(fn, ct):
    b = nx.tensor(np.zeros(2, np.float32), requires_grad=True)
    return nx.grad(fn(b), b, ct)[0]


@pytest.mark.parametrize("name", SUMS)
def test_many_float32_are_added_up_in_float64(name) -> None:
    """One after another they would be off by 1e-3."""
    x = np.full((ROWS, 2), 0.1, np.float32)
    got = np.asarray(SUMS[name](x))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, ROWS * float(x[0, 0]), rtol=1.5e-7)


def test_float32_rows_that_lie_apart_are_summed_as_carefully() -> None:
    x = nx.tensor(np.full((100_000, 2), 0.1, np.float32)).T
    for total in (x.sum(axis=-1), x.contiguous().sum(axis=-1), x.T.sum(axis=0)):
        np.testing.assert_allclose(total.numpy(), 1e5 * float(np.float32(0.1)), rtol=1e-6)
