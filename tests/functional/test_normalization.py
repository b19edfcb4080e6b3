"""LayerNorm as a function."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.derivatives import assert_matches_complex_step, assert_same_derivatives, tape

import numixology as nx
from numixology.errors import ArgumentError, DTypeError, ShapeError
from numixology.functional import layer_norm

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(2, 3, 5))
WEIGHT = RNG.uniform(0.5, 2, 5)
BIAS = RNG.normal(size=5)


def exactly(x, weight, bias, eps):
    """Row by row in rational arithmetic; the square root in 50 digits."""
    out = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        row = [Fraction(float(v)) for v in x[index]]
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row) + Fraction(eps)
        with mp.workdps(50):
            root = mp.sqrt(mp.mpf(variance.numerator) / variance.denominator)
            for i, v in enumerate(row):
                centred = mp.mpf((v - mean).numerator) / (v - mean).denominator
                out[index][i] = float(centred / root * float(weight[i]) + float(bias[i]))
    return out


def composed(x, weight, bias, eps=1e-5):
    centred = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    variance = (centred * centred).sum(axis=-1, keepdims=True) / x.shape[-1]
    return centred / np.sqrt(variance + eps) * weight + bias


class TestValues:
    @given(st.integers(1, 6), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.integers(0, 99))
    def test_against_exact_arithmetic(self, features, offset, scale, seed):
        rng = np.random.default_rng(seed)
        x = offset + scale * rng.normal(size=(2, features))
        weight, bias = rng.uniform(0.5, 2, features), rng.normal(size=features)
        got = layer_norm(x, weight, bias)
        np.testing.assert_allclose(got, exactly(x, weight, bias, 1e-5), rtol=1e-13, atol=1e-13)

    @pytest.mark.parametrize("offset", [1e8, -1e8, 1e12])
    @pytest.mark.parametrize("features", [5, 768])
    def test_rows_far_from_zero_keep_their_digits(self, offset, features):
        x = offset + RNG.normal(size=(2, features))
        weight, bias = np.ones(features), np.zeros(features)
        got = layer_norm(x)
        np.testing.assert_allclose(got, exactly(x, weight, bias, 1e-5), rtol=1e-13, atol=2e-14)

    def test_float32_rows_far_from_zero(self):
        x = (1e4 + RNG.normal(size=(4, 64))).astype(np.float32)
        got = layer_norm(x)
        assert got.dtype == np.float32
        np.testing.assert_allclose(
            got, exactly(x, np.ones(64), np.zeros(64), 1e-5), rtol=2e-6, atol=2e-6
        )

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e8, 1e-30])
    def test_a_constant_row_gives_the_bias_exactly(self, value, dtype):
        x = np.full((2, 7), value, dtype)
        weight, bias = np.arange(7.0).astype(dtype), np.linspace(-1, 1, 7).astype(dtype)
        np.testing.assert_array_equal(layer_norm(x, weight, bias), np.stack([bias, bias]))
        np.testing.assert_array_equal(layer_norm(x), np.zeros((2, 7)))

    def test_one_feature_gives_the_bias(self):
        got = layer_norm(np.array([[3.0], [-7.0]]), np.array([2.0]), np.array([0.5]))
        assert got.tolist() == [[0.5], [0.5]]

    def test_the_variance_is_the_biased_one(self):
        x = np.array([1.0, -1.0])  # variance 1 over n, 2 over n - 1
        np.testing.assert_allclose(layer_norm(x, eps=0.0), [1.0, -1.0], rtol=1e-15)

    def test_eps_is_added_to_the_variance(self):
        x = np.array([2.0, -2.0])
        np.testing.assert_allclose(layer_norm(x, eps=5.0), [2 / 3, -2 / 3], rtol=1e-15)

    def test_weight_then_bias(self):
        x = np.array([1.0, -1.0])
        got = layer_norm(x, np.array([10.0, 100.0]), np.array([1.0, 2.0]), eps=0.0)
        np.testing.assert_allclose(got, [11.0, -98.0], rtol=1e-15)
        np.testing.assert_allclose(layer_norm(x, bias=np.array([1.0, 2.0]), eps=0.0), [2.0, 1.0])
        np.testing.assert_allclose(layer_norm(x, weight=np.array([3.0, 4.0]), eps=0.0), [3, -4])

    @given(st.integers(-1000, 1000), st.sampled_from([0.25, 2.0, 1024.0]))
    def test_shift_and_scale_of_a_row_do_not_matter(self, shift, scale):
        x = RNG.integers(-50, 50, (3, 6)).astype(float)
        x[:, 0] = 51  # not constant
        np.testing.assert_allclose(
            layer_norm(scale * x + shift, eps=0.0), layer_norm(x, eps=0.0), rtol=1e-12, atol=1e-13
        )

    def test_nan_and_infinity_stay_in_their_rows(self):
        x = np.ones((4, 3))
        x[0, 1], x[1, 2], x[2, 0] = np.nan, np.inf, -np.inf
        got = layer_norm(x)
        assert np.isnan(got[:3]).all()
        np.testing.assert_array_equal(got[3], [0.0, 0.0, 0.0])

    def test_empty_batch(self):
        assert layer_norm(np.zeros((0, 4, 3))).shape == (0, 4, 3)
        x, w, b = tape(layer_norm, [np.zeros((0, 3)), np.ones(3), np.ones(3)])
        assert x.shape == (0, 3)
        assert w.tolist() == b.tolist() == [0.0] * 3

    def test_the_input_is_not_written_on(self):
        x, kept = ROWS.copy(), ROWS.copy()
        layer_norm(x, WEIGHT, BIAS)
        np.testing.assert_array_equal(x, kept)


class TestGradients:
    @pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)])
    def test_complex_step(self, shape):
        x = RNG.normal(size=shape)
        assert_matches_complex_step(layer_norm, x, WEIGHT, BIAS)
        assert_matches_complex_step(layer_norm, x)
        assert_matches_complex_step(lambda x, b: layer_norm(x, None, b), x, BIAS)
        assert_matches_complex_step(lambda x, w: layer_norm(x, w), x, WEIGHT)

    def test_complex_step_with_another_eps(self):
        assert_matches_complex_step(lambda x, w, b: layer_norm(x, w, b, 0.5), ROWS, WEIGHT, BIAS)

    def test_composition_to_third_order(self):
        assert_same_derivatives(layer_norm, composed, ROWS, WEIGHT, BIAS)
        assert_same_derivatives(
            lambda x: layer_norm(x, eps=0.1), lambda x: composed(x, 1.0, 0.0, 0.1), ROWS
        )

    def test_fourth_order(self):
        x, w = ROWS[0, :2, :3], WEIGHT[:3]
        assert_same_derivatives(
            lambda x, w: layer_norm(x, w), lambda x, w: composed(x, w, 0.0), x, w, order=4
        )

    def test_kept_rows_and_their_differentiable_twins_agree(self):
        leaves = [nx.tensor(a, requires_grad=True) for a in (ROWS, WEIGHT, BIAS)]
        y = layer_norm(*leaves)
        plain = nx.grad(y, leaves, ROWS)
        recorded = nx.grad(y, leaves, ROWS, create_graph=True)
        for one, other in zip(plain, recorded, strict=True):
            np.testing.assert_allclose(one.data, other.data, rtol=1e-12, atol=1e-13)

    def test_sums_over_many_rows_keep_their_digits(self):
        """All terms are positive, so one after another they would lose 20 roundings or more."""
        x = np.tile([1.0, -1.0], (20_000, 1))
        ct = np.random.default_rng(6).uniform(1, 2, x.shape)
        ct[:, 1] *= -1
        _, dweight, dbias = tape(
            lambda x, w, b: layer_norm(x, w, b, 0.0), [x, np.ones(2), np.ones(2)], ct
        )
        for i in (0, 1):
            total = float(sum(Fraction(v) for v in ct[:, i]))
            np.testing.assert_allclose(dbias[i], total, rtol=4e-16)
            np.testing.assert_allclose(dweight[i], abs(total), rtol=4e-16)

    def test_a_deviation_next_to_0_has_its_digits(self):
        """The mean of 0, 0.1 and 0.05000001 is a rounding away from the last."""
        x = np.array([0.0, 0.1, 0.05000001, 0.05])
        want = exactly(x[None], np.ones(4), np.zeros(4), 1e-5)[0]
        np.testing.assert_allclose(layer_norm(x), want, rtol=5e-16)
        x = np.array([1e16, 1.0, -1e16, 3.0])
        np.testing.assert_allclose(
            layer_norm(x), exactly(x[None], np.ones(4), np.zeros(4), 1e-5)[0], rtol=5e-16
        )

    @pytest.mark.parametrize("size", [1e-300, 1.0, 1e305])
    def test_the_size_of_the_cotangent_does_not_matter(self, size):
        (want,) = tape(layer_norm, [ROWS], ROWS)
        (got,) = tape(layer_norm, [ROWS], ROWS * size)
        np.testing.assert_allclose(got / size, want, rtol=1e-14, atol=1e-14)

    @pytest.mark.parametrize("eps", [1e-290, 1e-300, 5e-324])
    def test_an_eps_near_the_end_of_the_range(self, eps):
        x = np.array([[1e-300, -1e-300, 3e-300], [1e-160, 2e-160, 4e-160], [1e200, 0.0, 2e200]])
        want = exactly(x, np.ones(3), np.zeros(3), eps)
        np.testing.assert_allclose(layer_norm(x, eps=eps), want, rtol=1e-15)

    def test_the_gradient_is_blind_to_shift_and_scale(self):
        (gradient,) = tape(lambda x: layer_norm(x, eps=0.0), [ROWS])
        np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-13)
        np.testing.assert_allclose((gradient * ROWS).sum(-1), 0, atol=1e-13)

    def test_float32_all_the_way(self):
        arrays = [a.astype(np.float32) for a in (ROWS, WEIGHT, BIAS)]
        leaves = [nx.tensor(a, requires_grad=True) for a in arrays]
        y = layer_norm(*leaves)
        assert y.dtype == np.float32
        for create_graph in (False, True):
            gradients = nx.grad(y, leaves, arrays[0], create_graph=create_graph)
            assert {g.dtype for g in gradients} == {np.dtype(np.float32)}
        want = tape(layer_norm, [ROWS, WEIGHT, BIAS], ROWS)
        for got, truth in zip(gradients, want, strict=True):
            np.testing.assert_allclose(got.data, truth, rtol=1e-4, atol=1e-5)


class TestRefusals:
    @pytest.mark.parametrize("shape", [(), (3, 0)])
    def test_no_features(self, shape):
        with pytest.raises(ShapeError) as caught:
            layer_norm(nx.tensor(np.zeros(shape)))
        assert str(caught.value) == (
            f"layer_norm needs a last axis of at least one feature: got shape {shape}; "
            "pass x of shape (..., D)"
        )

    @pytest.mark.parametrize("shape", [(4,), (1,), (2, 5), ()])
    def test_weight_and_bias_of_another_shape(self, shape):
        for name in ("weight", "bias"):
            with pytest.raises(ShapeError, match=rf"the {name} of layer_norm has shape \(5,\)"):
                layer_norm(ROWS, **{name: np.ones(shape)})

    @pytest.mark.parametrize("eps", [-1e-9, float("nan"), -np.inf])
    def test_eps_below_zero(self, eps):
        with pytest.raises(ArgumentError, match="eps must be at least 0: got .*; use a small"):
            layer_norm(ROWS, eps=eps)

    def test_integers(self):
        with pytest.raises(DTypeError, match=r"layer_norm.*int64"):
            layer_norm(nx.tensor([[1, 2]]))
