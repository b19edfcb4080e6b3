"""Scaled dot-product attention as a function."""

import mpmath as mp
import numpy as np
import pytest
from oracle.derivatives import assert_matches_complex_step, assert_same_derivatives, tape

import numixology as nx
from numixology.errors import DTypeError, ShapeError
from numixology.functional import attention

RNG = np.random.default_rng(21)
Q, K, V = (RNG.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6)))


def by_loop(q, k, v):
    out = np.empty((*q.shape[:-1], v.shape[-1]))
    for b, t in np.ndindex(q.shape[:2]):
        scores = [
            mp.fdot(map(float, q[b, t]), map(float, row)) / mp.sqrt(q.shape[-1]) for row in k[b]
        ]
        weights = [mp.exp(s) for s in scores]
        for e in range(v.shape[-1]):
            total = mp.fdot(weights, map(float, v[b, :, e])) / mp.fsum(weights)
            out[b, t, e] = float(total)
    return out


def composed(q, k, v):
    scores = np.einsum("btd,bsd->bts", q, k) / q.shape[-1] ** 0.5
    weights = np.exp(scores)
    return np.einsum("bts,bse->bte", weights / weights.sum(axis=-1, keepdims=True), v)


def test_it_is_the_loop_in_many_digits():
    with mp.workdps(40):
        want = by_loop(Q, K, V)
    np.testing.assert_allclose(attention(Q, K, V), want, rtol=1e-13)


def test_shapes_with_unequal_axes_and_more_or_fewer_of_them():
    assert attention(Q, K, V).shape == (2, 3, 6)
    assert attention(Q[0], K[0], V[0]).shape == (3, 6)
    assert attention(Q[:, None], K[:, None], V[:, None]).shape == (2, 1, 3, 6)
    assert attention(Q, K[0], V[0]).shape == (2, 3, 6)
    np.testing.assert_allclose(attention(Q, K[0], V[0])[1], attention(Q[1], K[0], V[0]))


def test_gradients():
    assert_matches_complex_step(attention, Q, K, V)


def test_composition_to_third_order():
    assert_same_derivatives(attention, composed, Q[:1, :2], K[:1, :3], V[:1, :3])


def test_equal_keys_give_the_mean():
    got = attention(Q[0], np.ones((5, 4)), V[0])
    np.testing.assert_allclose(got, np.tile(V[0].mean(0), (3, 1)), rtol=1e-14)


def test_the_order_of_keys_does_not_matter_and_that_of_queries_is_kept():
    order = [3, 0, 4, 2, 1]
    np.testing.assert_allclose(attention(Q, K[:, order], V[:, order]), attention(Q, K, V))
    np.testing.assert_allclose(attention(Q[:, ::-1], K, V), attention(Q, K, V)[:, ::-1])


def test_large_scores_pick_one_value():
    q, k = np.array([[1e5, 0.0]]), np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 9.0]])
    np.testing.assert_array_equal(attention(q, k, np.array([[1.0], [2.0], [3.0]])), [[2.0]])


def test_float32_stays_float32():
    leaves = [nx.tensor(a, dtype="float32", requires_grad=True) for a in (Q, K, V)]
    y = attention(*leaves)
    assert y.dtype == np.float32
    assert {g.dtype for g in nx.grad(y.sum(), leaves)} == {np.dtype(np.float32)}


def test_empty_batch_and_no_queries():
    assert attention(Q[:0], K[:0], V[:0]).shape == (0, 3, 6)
    assert attention(Q[:, :0], K, V).shape == (2, 0, 6)
    q, k, v = tape(attention, [Q[:0], K[:0], V[:0]])
    assert (q.shape, k.shape, v.shape) == ((0, 3, 4), (0, 5, 4), (0, 5, 6))


def test_nan_and_infinity_propagate_without_a_warning():
    q = Q.copy()
    q[0, 1, 0] = np.nan
    q[1, 2, 0] = np.inf
    got = np.isnan(attention(q, K, V)).all(-1)
    assert got.tolist() == [[False, True, False], [False, False, True]]
    zero_times_infinity = attention(
        np.array([[0.0, np.inf]]), np.array([[1.0, 0.0]]), np.array([[1.0]])
    )
    assert np.isnan(zero_times_infinity).all()
    with np.errstate(all="raise"):  # the scores are subnormal
        got = attention(np.full((1, 2), 1e-160), np.full((1, 2), 1e-160), np.array([[2.0]]))
    assert got.tolist() == [[2.0]]


@pytest.mark.parametrize(
    "shapes",
    [
        ((4,), (5, 4), (5, 6)),
        ((3, 4), (4,), (5, 6)),
        ((3, 4), (5, 4), (5,)),
        ((3, 4), (5, 3), (5, 6)),
        ((3, 4), (5, 4), (4, 6)),
        ((3, 4), (0, 4), (0, 6)),
        ((3, 0), (5, 0), (5, 6)),
    ],
)
def test_shapes_that_do_not_fit(shapes):
    with pytest.raises(ShapeError) as caught:
        attention(*(np.zeros(shape) for shape in shapes))
    assert str(caught.value) == (
        "attention takes query (..., T, d), key (..., S, d) and value (..., S, e): "
        f"got {', '.join(map(str, shapes))}; check the last two axes of each"
    )


@pytest.mark.parametrize("wrap", [np.asarray, nx.tensor])
def test_leading_axes_that_do_not_broadcast(wrap):
    with pytest.raises(ShapeError, match="must broadcast|leading axes"):
        attention(wrap(np.ones((2, 3, 4))), wrap(np.ones((3, 5, 4))), wrap(np.ones((3, 5, 6))))


def test_a_list_is_no_array():
    with pytest.raises(DTypeError, match="attention takes arrays or tensors: got list"):
        attention([[1.0]], [[1.0]], [[1.0]])
