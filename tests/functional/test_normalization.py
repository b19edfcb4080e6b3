"""LayerNorm and RMSNorm as functions."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import rows
from oracle.derivatives import assert_matches_complex_step, assert_same_derivatives, tape
from support import integers, numbers

import numixology as nx
from numixology.errors import ArgumentError, DTypeError, ShapeError
from numixology.functional import layer_norm, rms_norm

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
                centered = mp.mpf((v - mean).numerator) / (v - mean).denominator
                out[index][i] = float(centered / root * float(weight[i]) + float(bias[i]))
    return out


def composed(x, weight, bias, eps=1e-5):
    centered = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    variance = (centered * centered).sum(axis=-1, keepdims=True) / x.shape[-1]
    return centered / np.sqrt(variance + eps) * weight + bias


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

    @given(st.floats(-1e300, 1e300), st.integers(1, 1000))
    def test_every_constant_row_has_deviations_of_exactly_0(self, value, features):
        assert not layer_norm(np.full(features, value)).any()

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


RNG_OF_ROWS = np.random.default_rng(11)
KINDS = {
    "normal": lambda d: RNG_OF_ROWS.normal(size=d),
    "of mean 1e8": lambda d: 1e8 + RNG_OF_ROWS.normal(size=d),
    "a few roundings wide": lambda d: 1e8 + np.arange(d) % 3 * np.spacing(1e8),
    "first 1e8 above": lambda d: RNG_OF_ROWS.normal(size=d) + 1e8 * (np.arange(d) == 0),
    "last 1e8 above": lambda d: RNG_OF_ROWS.normal(size=d) + 1e8 * (np.arange(d) == d - 1),
    "of many scales": lambda d: RNG_OF_ROWS.normal(size=d) * 10 ** RNG_OF_ROWS.uniform(-9, 2, d),
    "small": lambda d: 1e-100 * RNG_OF_ROWS.normal(size=d),
    "large": lambda d: 1e100 * RNG_OF_ROWS.normal(size=d),
    "ties": lambda d: np.arange(d) % 2.0,
}
COTANGENTS = {
    "across": lambda x: RNG_OF_ROWS.normal(size=len(x)),
    "along the row": lambda x: (x - x.mean()) / np.abs(x - x.mean()).max(),
    "constant": lambda x: np.full(len(x), 0.3),
}


class TestDigits:
    """The limits of the accuracy page, held against mpmath; the oracle's rows are lists."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("along", COTANGENTS)
    @pytest.mark.parametrize("features", [2, 3, 5, 8, 64, 768])
    def test_limits(self, kind, along, features):
        x = KINDS[kind](features)
        ct = COTANGENTS[along](x)
        weight = np.ones(features) if along != "across" else RNG_OF_ROWS.normal(size=features)
        bias = RNG_OF_ROWS.normal(size=features)
        eps = 1e-5 if features % 2 else 0.0
        y = layer_norm(x, weight, bias, eps)
        dx, dweight, dbias = tape(lambda *a: layer_norm(*a, eps), [x, weight, bias], ct)
        np.testing.assert_array_equal(dbias, ct)
        with mp.workdps(50):
            row, w, b, c = ([mp.mpf(float(v)) for v in a] for a in (x, weight, bias, ct))
            h, rstd = rows.normalized(row, eps)
            true_y = rows.layer_norm(row, w, b, eps)
            true_dx, true_dweight = rows.layer_norm_gradient(c, row, w, eps)
            top = max(map(abs, h))
            of_y = top * max(map(abs, w)) + max(map(abs, b))
            of_dx = max(abs(one * each) for one, each in zip(c, w, strict=True)) * rstd
            assert_within(y, true_y, of_y)
            assert_within(dx, true_dx, of_dx)
            assert_within(dweight, true_dweight, top * max(map(abs, c)))


def assert_within(got, true, scale):
    for one, exact in zip(got, true, strict=True):
        assert abs(mp.mpf(float(one)) - exact) <= mp.mpf("1e-15") * scale


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

    def test_residuals_and_their_differentiable_twins_agree(self):
        leaves = [nx.tensor(a, requires_grad=True) for a in (ROWS, WEIGHT, BIAS)]
        y = layer_norm(*leaves)
        plain = nx.grad(y, leaves, ROWS)
        recorded = nx.grad(y, leaves, ROWS, create_graph=True)
        for one, other in zip(plain, recorded, strict=True):
            np.testing.assert_allclose(one.data, other.data, rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_sums_over_many_rows(self, dtype):
        """N roundings of a float64 at most, and one to the dtype at the end."""
        rows = 20_000
        x = np.tile([1.0, -1.0], (rows, 1)).astype(dtype)
        ct = np.random.default_rng(6).uniform(1, 2, x.shape).astype(dtype)
        ct[:, 1] *= -1
        _, dweight, dbias = tape(
            lambda x, w, b: layer_norm(x, w, b, 0.0), [x, *np.ones((2, 2), dtype)], ct
        )
        limit = rows * 2.0**-53 + np.finfo(dtype).eps
        for i in (0, 1):
            total = float(sum(Fraction(float(v)) for v in ct[:, i]))
            np.testing.assert_allclose(dbias[i], total, rtol=limit)
            np.testing.assert_allclose(dweight[i], abs(total), rtol=limit)

    @pytest.mark.parametrize("size", [1e-300, 1.0, 1e305])
    def test_the_size_of_the_cotangent_does_not_matter(self, size):
        (want,) = tape(layer_norm, [ROWS], ROWS)
        (got,) = tape(layer_norm, [ROWS], ROWS * size)
        np.testing.assert_allclose(got / size, want, rtol=1e-14, atol=1e-14)

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


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_a_cotangent_far_from_zero_costs_no_digits(offset) -> None:
    """The gradient does not see what all its entries have in common."""
    x, rest = numbers(3, 8), integers(3, 8).astype(float)
    exact = nx.vjp(layer_norm, x)[1](rest)[0].numpy()
    got = nx.vjp(layer_norm, x)[1](rest + offset)[0].numpy()
    assert np.abs(got - exact).max() < 1e-14 * np.abs(exact).max()


class TestRMSNorm:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("along", ["across", "constant"])
    @pytest.mark.parametrize("features", [1, 3, 8, 768])
    def test_digits(self, kind, along, features):
        """As many as LayerNorm's, forward and backward, against 50 digits."""
        x = KINDS[kind](features)
        x = x if x.any() else x + 1
        ct, weight = COTANGENTS[along](x), RNG_OF_ROWS.normal(size=features)
        eps = 1e-5 if features % 2 else 0.0
        y = rms_norm(x, weight, eps)
        dx, dweight = tape(lambda *a: rms_norm(*a, eps), [x, weight], ct)
        with mp.workdps(50):
            row, w, c = ([mp.mpf(float(v)) for v in a] for a in (x, weight, ct))
            rms = mp.sqrt(mp.fsum(v * v for v in row) / features + mp.mpf(eps))
            h = [v / rms for v in row]
            g = [one * each for one, each in zip(c, w, strict=True)]
            shared = mp.fsum(one * each for one, each in zip(g, h, strict=True)) / features
            true_dx = [(one - each * shared) / rms for one, each in zip(g, h, strict=True)]
            top, of_g = max(map(abs, h)), max(map(abs, g))
            assert_within(
                y, [v * each for v, each in zip(h, w, strict=True)], top * max(map(abs, w))
            )
            assert_within(dx, true_dx, of_g / rms)
            true_dweight = [v * one for v, one in zip(h, c, strict=True)]
            assert_within(dweight, true_dweight, top * max(map(abs, c)))

    def test_on_numbers_that_can_be_checked_by_hand(self):
        x = np.array([1.0, -1.0, 7.0, 7.0])  # mean square 25
        assert rms_norm(x, eps=0.0).tolist() == [0.2, -0.2, 1.4, 1.4]
        assert rms_norm(x, np.array([5.0, 10, 0, 1]), eps=0.0).tolist() == [1, -2, 0, 1.4]
        assert rms_norm(x, eps=11.0).tolist() == (x / 6).tolist()

    def test_it_is_layer_norm_of_rows_of_mean_0(self):
        x = ROWS - ROWS.mean(-1, keepdims=True)
        np.testing.assert_allclose(rms_norm(x, WEIGHT), layer_norm(x, WEIGHT), rtol=1e-12)

    def test_a_scaled_row_is_the_same_and_a_shifted_one_is_not(self):
        want = rms_norm(ROWS, eps=0.0)
        np.testing.assert_array_equal(rms_norm(1024 * ROWS, eps=0.0), want)
        assert np.abs(rms_norm(ROWS + 1, eps=0.0) - want).max() > 0.1

    @pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)])
    def test_complex_step(self, shape):
        x = RNG.normal(size=shape)
        assert_matches_complex_step(rms_norm, x, WEIGHT)
        assert_matches_complex_step(lambda x: rms_norm(x, eps=0.5), x)

    def test_composition_to_third_order(self):
        def composed(x, weight=1.0, eps=1e-5):
            return x / np.sqrt((x * x).sum(axis=-1, keepdims=True) / x.shape[-1] + eps) * weight

        assert_same_derivatives(rms_norm, composed, ROWS, WEIGHT)
        assert_same_derivatives(lambda x: rms_norm(x, eps=0.1), lambda x: composed(x, 1, 0.1), ROWS)

    def test_float32_is_rounded_once(self):
        x, weight = ROWS.astype(np.float32), WEIGHT.astype(np.float32)
        y = rms_norm(x, weight)
        assert y.dtype == np.float32
        want = rms_norm(x.astype(float), weight.astype(float)).astype(np.float32)
        np.testing.assert_array_equal(y, want)
        assert {g.dtype for g in tape(rms_norm, [x, weight])} == {np.dtype(np.float32)}

    def test_edge_values(self):
        x = np.array([[np.nan, 1.0], [np.inf, 1.0], [1e200, 1.0], [0.0, 0.0]])
        got = rms_norm(x, eps=0.0)
        np.testing.assert_array_equal(got, [[np.nan] * 2, [np.nan, 0], [0, 0], [np.nan] * 2])
        np.testing.assert_array_equal(rms_norm(x)[3], [0, 0])

    @pytest.mark.parametrize("shape", [(), (3, 0)])
    def test_no_features(self, shape):
        with pytest.raises(ShapeError, match="rms_norm needs a last axis of at least one feature"):
            rms_norm(np.zeros(shape))

    def test_what_does_not_fit(self):
        with pytest.raises(ShapeError, match=r"the weight of rms_norm has shape \(5,\)"):
            rms_norm(ROWS, np.ones(4))
        with pytest.raises(ArgumentError, match="eps must be at least 0: got -1; use a small"):
            rms_norm(ROWS, eps=-1)
        with pytest.raises(DTypeError, match="rms_norm takes floating-point rows: got int64"):
            rms_norm(np.ones((2, 3), int))
