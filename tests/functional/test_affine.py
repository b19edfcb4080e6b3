"""linear, per_token_linear, embedding and dropout as functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.derivatives import assert_matches_complex_step, assert_same_derivatives, tape

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError

RNG = np.random.default_rng(8)


class TestLinear:
    @pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (2, 1, 4, 3)])
    def test_it_is_the_loop_on_integers(self, shape):
        x = RNG.integers(-9, 9, shape)
        weight, bias = RNG.integers(-9, 9, (5, 3)), RNG.integers(-9, 9, 5)
        want = np.empty((*shape[:-1], 5), int)
        for index in np.ndindex(want.shape):
            want[index] = sum(x[index[:-1]][i] * weight[index[-1], i] for i in range(3))
        np.testing.assert_array_equal(F.linear(x, weight), want)
        np.testing.assert_array_equal(F.linear(x, weight, bias), want + bias)

    @pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
    def test_gradients(self, shape):
        x, weight, bias = RNG.normal(size=shape), RNG.normal(size=(5, 3)), RNG.normal(size=5)
        assert_matches_complex_step(F.linear, x, weight, bias)
        assert_matches_complex_step(F.linear, x, weight)

    def test_composition_to_third_order(self):
        arrays = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=5)
        assert_same_derivatives(F.linear, lambda x, w, b: x @ w.T + b, *arrays)

    def test_bias_of_another_dtype(self):
        x, weight = np.ones((2, 3)), np.ones((4, 3))
        got = F.linear(x, weight, np.full(4, 2j))
        np.testing.assert_array_equal(got, np.full((2, 4), 3 + 2j))
        got = F.linear(x.astype(int), weight.astype(int), np.full(4, 0.5))
        np.testing.assert_array_equal(got, np.full((2, 4), 3.5))

    def test_the_arguments_are_not_written_on(self):
        x, weight, bias = np.eye(3), np.eye(3), np.ones(3)
        F.linear(x, weight, bias)
        for array, want in ((x, np.eye(3)), (weight, np.eye(3)), (bias, np.ones(3))):
            np.testing.assert_array_equal(array, want)

    def test_float32_stays_float32(self):
        x, w, b = (
            nx.tensor(np.ones(s), dtype="float32", requires_grad=True) for s in ((2, 3), (4, 3), 4)
        )
        y = F.linear(x, w, b)
        assert y.dtype == np.float32
        assert {g.dtype for g in nx.grad(y.sum(), (x, w, b))} == {np.dtype(np.float32)}

    @pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
    def test_no_rows(self, shape):
        arrays = np.zeros(shape), np.ones((4, 3)), np.ones(4)
        assert F.linear(*arrays).shape == (*shape[:-1], 4)
        x, weight, bias = tape(F.linear, arrays)
        assert x.shape == shape
        np.testing.assert_array_equal(weight, np.zeros((4, 3)))
        np.testing.assert_array_equal(bias, np.zeros(4))

    def test_nan_and_infinity_propagate_without_a_warning(self):
        x = np.array([[np.nan, 0.0], [np.inf, 1.0], [1.0, 1.0]])
        got = F.linear(x, np.array([[0.0, 1.0]]))
        assert np.isnan(got).tolist() == [[True], [True], [False]]

    @pytest.mark.parametrize(
        ("x", "weight"),
        [((2, 3), (3, 4)), ((), (3, 4)), ((2, 4), (4,)), ((2, 4), (1, 3, 4)), ((3,), (3, 1))],
    )
    def test_features_that_differ(self, x, weight):
        with pytest.raises(ShapeError) as caught:
            F.linear(np.zeros(x), np.zeros(weight))
        assert str(caught.value) == (
            "linear maps x of shape (..., in) with a weight of shape (out, in): "
            f"got {x} and {weight}; make the last axes of both equal; "
            "a weight stored as (in, out) needs transposing"
        )

    @pytest.mark.parametrize("bias", [(3,), (1,), (1, 4), ()])
    def test_bias_that_does_not_fit(self, bias):
        with pytest.raises(ShapeError, match=r"the bias of linear has shape \(4,\): got"):
            F.linear(np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(bias))

    def test_no_features(self):
        """A sum of no terms is zero, and leaves the bias."""
        y = F.linear(np.zeros((2, 0)), np.zeros((3, 0)), np.array([1.0, 2.0, 3.0]))
        assert y.tolist() == [[1.0, 2.0, 3.0]] * 2

    def test_a_list_is_no_array(self):
        with pytest.raises(DTypeError, match="linear takes arrays or tensors: got list; convert"):
            F.linear([[1.0]], np.ones((1, 1)))


class TestPerTokenLinear:
    @given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))
    def test_it_is_the_loop_on_integers(self, B, T, n, out):
        x, weight = RNG.integers(-9, 9, (B, T, n)), RNG.integers(-9, 9, (T, out, n))
        bias = RNG.integers(-9, 9, (T, out))
        want = np.zeros((B, T, out), int)
        for b, t, o in np.ndindex(want.shape):
            want[b, t, o] = sum(x[b, t, i] * weight[t, o, i] for i in range(n))
        np.testing.assert_array_equal(F.per_token_linear(x, weight), want)
        np.testing.assert_array_equal(F.per_token_linear(x, weight, bias), want + bias)

    def test_equal_weights_make_it_linear(self):
        x, weight, bias = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=5)
        got = F.per_token_linear(x, np.stack([weight] * 4), np.stack([bias] * 4))
        np.testing.assert_allclose(got, F.linear(x, weight, bias), rtol=1e-13)

    def test_gradients(self):
        x, weight = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(4, 5, 3))
        assert_matches_complex_step(F.per_token_linear, x, weight, RNG.normal(size=(4, 5)))
        assert_matches_complex_step(F.per_token_linear, x, weight)

    def test_composition_to_third_order(self):
        arrays = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(4, 5, 3)), RNG.normal(size=(4, 5))
        assert_same_derivatives(
            F.per_token_linear, lambda x, w, b: F.einsum("bti,toi->bto", x, w) + b, *arrays
        )

    def test_the_result_and_the_gradient_of_the_weight_lie_in_memory_in_order(self):
        x, weight = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(4, 5, 3))
        assert F.per_token_linear(x, weight).flags.c_contiguous
        assert tape(F.per_token_linear, [x, weight])[1].flags.c_contiguous

    def test_input_in_any_order_in_memory(self):
        x, weight = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(4, 5, 3))
        want = F.per_token_linear(x, weight)
        for laid in (np.asfortranarray(x), np.repeat(x, 2, 2)[..., ::2], x[::-1][::-1]):
            np.testing.assert_allclose(F.per_token_linear(laid, weight), want, rtol=1e-13)
            np.testing.assert_allclose(
                F.per_token_linear(laid, np.asfortranarray(weight)), want, rtol=1e-13
            )

    def test_bias_of_another_dtype(self):
        x, weight = np.ones((1, 2, 3)), np.ones((2, 4, 3))
        got = F.per_token_linear(x, weight, np.full((2, 4), 2j))
        np.testing.assert_array_equal(got, np.full((1, 2, 4), 3 + 2j))

    def test_float32_stays_float32(self):
        shapes = (1, 2, 3), (2, 4, 3), (2, 4)
        leaves = [nx.tensor(np.ones(s), dtype="float32", requires_grad=True) for s in shapes]
        y = F.per_token_linear(*leaves)
        assert y.dtype == np.float32
        assert {g.dtype for g in nx.grad(y.sum(), leaves)} == {np.dtype(np.float32)}

    def test_no_rows_and_no_features(self):
        assert F.per_token_linear(np.zeros((0, 2, 3)), np.ones((2, 4, 3))).shape == (0, 2, 4)
        bias = np.arange(8.0).reshape(2, 4)
        y = F.per_token_linear(np.zeros((1, 2, 0)), np.zeros((2, 4, 0)), bias)
        np.testing.assert_array_equal(y[0], bias)

    @pytest.mark.parametrize(
        ("x", "weight"),
        [((2, 3), (2, 4, 3)), ((1, 2, 3), (4, 3)), ((1, 3, 3), (2, 4, 3)), ((1, 2, 4), (2, 4, 3))],
    )
    def test_sizes_that_differ(self, x, weight):
        with pytest.raises(ShapeError) as caught:
            F.per_token_linear(np.zeros(x), np.zeros(weight))
        assert str(caught.value) == (
            "per_token_linear maps x of shape (B, T, in) with a weight of (T, out, in): "
            f"got {x} and {weight}; make T and in equal; "
            "a weight stored as (T, in, out) needs transposing"
        )

    @pytest.mark.parametrize("bias", [(4,), (2, 3), (1, 4), ()])
    def test_bias_that_does_not_fit(self, bias):
        with pytest.raises(
            ShapeError, match=r"the bias of per_token_linear has shape \(2, 4\): got"
        ):
            F.per_token_linear(np.zeros((1, 2, 3)), np.zeros((2, 4, 3)), np.zeros(bias))


class TestEmbedding:
    @given(st.lists(st.integers(0, 4), max_size=6))
    def test_rows_and_the_sum_of_their_gradients(self, ids):
        table = np.arange(15.0).reshape(5, 3)
        ct = np.arange(1.0, 1 + 3 * len(ids)).reshape(len(ids), 3)
        assert F.embedding(ids, table).tolist() == [table[i].tolist() for i in ids]
        want = np.zeros((5, 3))
        for i, row in zip(ids, ct, strict=True):
            want[i] += row
        (gradient,) = tape(lambda w: F.embedding(ids, w), [table], ct)
        np.testing.assert_array_equal(gradient, want)

    def test_shapes(self):
        table = RNG.normal(size=(5, 3))
        assert F.embedding([[0, 1], [2, 3]], table).shape == (2, 2, 3)
        assert F.embedding(4, table).tolist() == table[4].tolist()
        assert F.embedding(np.zeros((2, 0, 4), int), table).shape == (2, 0, 4, 3)
        (gradient,) = tape(lambda w: F.embedding(4, w), [table])
        assert gradient.shape == (5, 3)

    @pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "uint64"])
    def test_any_integers(self, dtype):
        ids = np.array([[2, 2], [0, 2]], dtype)
        table = np.arange(6.0).reshape(3, 2)
        (gradient,) = tape(lambda w: F.embedding(ids, w), [table], np.ones((2, 2, 2)))
        assert gradient.tolist() == [[1, 1], [0, 0], [3, 3]]

    def test_tensors_of_ids(self):
        assert F.embedding(nx.tensor([1, 0]), np.eye(2)).tolist() == [[0, 1], [1, 0]]

    def test_ids_changed_later_do_not_change_the_gradient(self):
        ids = np.array([0, 1])
        weight = nx.tensor(np.ones((3, 1)), requires_grad=True)
        y = F.embedding(ids, weight)
        ids[:] = 2
        y.sum().backward()
        assert weight.grad.tolist() == [[1], [1], [0]]

    def test_gradients_of_gradients(self):
        assert_matches_complex_step(
            lambda w: F.embedding([[0, 2], [2, 2]], w), RNG.normal(size=(3, 2))
        )
        assert_same_derivatives(
            lambda w: F.embedding([0, 2, 2], w) ** 3,
            lambda w: (np.eye(3)[[0, 2, 2]] @ w) ** 3,
            RNG.normal(size=(3, 2)),
        )

    @pytest.mark.parametrize(
        ("ids", "first", "place"),
        [([0, -1, 9], -1, "(1,)"), ([[0, 1], [5, 0]], 5, "(1, 0)"), (7, 7, "()")],
    )
    def test_ids_outside_the_table(self, ids, first, place):
        with pytest.raises(IndexRangeError) as caught:
            F.embedding(ids, np.zeros((5, 2)))
        assert str(caught.value) == (
            f"ids lie from 0 to 4: got {first} at {place}; "
            "check the number of rows or classes, and what marks padding"
        )
        assert isinstance(caught.value, IndexError)

    @pytest.mark.parametrize(
        ("ids", "received"),
        [([0.0], "float64"), ([True], "bool"), (["0"], "<U1"), (np.zeros((0, 2)), "float64")],
    )
    def test_ids_that_are_no_integers(self, ids, received):
        with pytest.raises(
            DTypeError, match=f"ids are integers: got {received}; convert"
        ) as caught:
            F.embedding(ids, np.zeros((5, 2)))
        assert isinstance(caught.value, TypeError)

    def test_ragged_ids(self):
        with pytest.raises(
            ShapeError, match=r"embedding takes .* of equal lengths: got .*; pad or"
        ):
            F.embedding([[1, 2], [3]], np.zeros((5, 2)))

    @pytest.mark.parametrize("shape", [(), (5,), (5, 2, 1)])
    def test_a_weight_that_is_no_table(self, shape):
        with pytest.raises(ShapeError, match=r"an embedding table has shape \(V, D\): got"):
            F.embedding([0], np.zeros(shape))


class TestDropout:
    def test_evaluation_and_p_0_return_the_input_itself(self):
        x = nx.tensor([1.0, 2.0])
        assert F.dropout(x, 0.5, training=False, rng=0) is x
        assert F.dropout(x, 0.0, training=True, rng=0) is x

    @pytest.mark.parametrize("p", [0.1, 0.5, 0.9, np.float32(0.25)])
    def test_zeros_and_scaled_values_in_the_right_proportion(self, p):
        n = 40_000
        y = F.dropout(np.full(n, 3.0), p, training=True, rng=1)
        p = float(p)
        kept = y != 0
        np.testing.assert_allclose(y[kept], 3.0 / (1 - p), rtol=1e-15)
        deviation = np.sqrt(p * (1 - p) / n)
        assert abs(kept.mean() - (1 - p)) < 4 * deviation
        assert abs(y.mean() - 3.0) < 4 * deviation * 3 / (1 - p)  # the expectation is the input

    def test_the_gradient_has_the_same_mask(self):
        x = nx.tensor(np.ones(50), requires_grad=True)
        y = F.dropout(x, 0.3, training=True, rng=2)
        (gradient,) = nx.grad(y, x, np.full(50, 5.0))
        np.testing.assert_allclose(gradient.data, 5 * y.data)
        assert 0 < np.count_nonzero(y.data) < 50

    def test_a_seed_repeats_and_a_generator_moves_on(self):
        x = np.ones(64)
        first = F.dropout(x, 0.5, training=True, rng=3)
        np.testing.assert_array_equal(F.dropout(x, 0.5, training=True, rng=3), first)
        rng = np.random.default_rng(3)
        np.testing.assert_array_equal(F.dropout(x, 0.5, training=True, rng=rng), first)
        assert (F.dropout(x, 0.5, training=True, rng=rng) != first).any()

    def test_no_seed_is_a_fresh_one(self):
        x = np.ones(200)
        a, b = (F.dropout(x, 0.5, training=True) for _ in range(2))
        assert (a != b).any()

    @pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
    def test_dtype_is_kept(self, dtype):
        assert F.dropout(np.ones(3, dtype), 0.5, training=True, rng=0).dtype == dtype

    def test_complex_step(self):
        assert_matches_complex_step(
            lambda x: F.dropout(x, 0.4, training=True, rng=5), RNG.normal(size=(4, 5))
        )

    def test_infinities_make_no_warning(self):
        y = F.dropout(np.full(50, np.inf), 0.5, training=True, rng=0)
        assert np.isinf(y).any()

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan"), np.inf, "0.1", None, True])
    def test_probabilities_outside(self, p, training):
        with pytest.raises(ArgumentError) as caught:
            F.dropout(np.ones(3), p, training=training, rng=0)
        assert str(caught.value) == (
            f"the dropout probability p lies in [0, 1): got {p!r}; use e.g. 0.1"
        )


def test_dropout_of_integers_is_refused_in_training():
    with pytest.raises(DTypeError, match="takes floating-point x: got int64; use .astype"):
        F.dropout(nx.tensor([3, 3]), 0.5, training=True, rng=0)
    assert F.dropout(nx.tensor([3, 3]), 0.5, training=False).tolist() == [3, 3]
