"""Activations and the softmax family."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracle.derivatives import (
    assert_matches_complex_step,
    assert_same_derivatives,
    slope,
    tape,
    weights_like,
)

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, ShapeError

INF = np.inf


def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


def gaussian_cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def tanh_inner(x):
    return mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)


# ours, the truth in mpmath, the limits at -inf and inf, and of the slope there
SMOOTH = {
    "sigmoid": (F.sigmoid, lambda x: 1 / (1 + mp.exp(-x)), (0.0, 1.0), (0.0, 0.0)),
    "tanh": (F.tanh, mp.tanh, (-1.0, 1.0), (0.0, 0.0)),
    "softplus": (F.softplus, lambda x: mp.log1p(mp.exp(x)), (0.0, INF), (0.0, 1.0)),
    "silu": (F.silu, lambda x: x / (1 + mp.exp(-x)), (-0.0, INF), (0.0, 1.0)),
    "gelu": (F.gelu, lambda x: x * gaussian_cdf(x), (-0.0, INF), (0.0, 1.0)),
    "gelu_tanh": (
        gelu_tanh,
        lambda x: x * (1 + mp.tanh(tanh_inner(x))) / 2,
        (-0.0, INF),
        (0.0, 1.0),
    ),
}
X = np.array([-5.0, -1.3, -0.7517915246935645, -0.2, -1e-8, 0.0, 1e-8, 0.4, 1.0, 2.5, 5.0])
smooth = pytest.mark.parametrize("name", SMOOTH)


def exactly(truth, x, order=0):
    with mp.workdps(60):
        return np.array([float(mp.diff(truth, mp.mpf(float(v)), order)) for v in x])


@smooth
class TestSmooth:
    def test_value_is_mpmath_s(self, name):
        ours, truth, _, _ = SMOOTH[name]
        np.testing.assert_allclose(ours(X), exactly(truth, X), rtol=1e-14, atol=0)

    def test_value_is_the_same_whether_it_is_recorded_or_not(self, name):
        ours = SMOOTH[name][0]
        x = np.linspace(-40, 40, 401)
        recorded = ours(nx.tensor(x, requires_grad=True))
        np.testing.assert_array_equal(ours(x), recorded.numpy())

    @pytest.mark.parametrize("order", [1, 2, 3])
    def test_derivatives_are_mpmath_s(self, name, order):
        ours, truth, _, _ = SMOOTH[name]
        leaf = nx.tensor(X, requires_grad=True)
        y = ours(leaf)
        for _ in range(order):
            (y,) = nx.grad(y, leaf, np.ones(X.shape), create_graph=True)
        np.testing.assert_allclose(y.data, exactly(truth, X, order), rtol=1e-12, atol=2e-15)

    def test_slope_is_that_of_a_complex_step(self, name):
        assert_matches_complex_step(SMOOTH[name][0], X)

    def test_first_order_rule_agrees_with_the_differentiable_one(self, name):
        ours = SMOOTH[name][0]
        x = np.linspace(-40, 40, 401)
        np.testing.assert_allclose(
            slope(ours, x), slope(ours, x, create_graph=True), rtol=1e-12, atol=2e-15
        )

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_values_at_the_infinities(self, name, dtype):
        ours, _, limits, _ = SMOOTH[name]
        y = ours(np.array([-INF, INF], dtype))
        np.testing.assert_array_equal(y, np.array(limits, dtype))
        assert np.signbit(y[0]) == np.signbit(limits[0])

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.parametrize("far", [INF, 1e30, 2e3])
    def test_slopes_far_out_and_at_the_infinities(self, name, dtype, far):
        ours, _, _, limits = SMOOTH[name]
        np.testing.assert_array_equal(slope(ours, [-far, far], dtype=dtype), limits)

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.parametrize("far", [1e15, 2e3])
    def test_recorded_slopes_far_out(self, name, dtype, far):
        ours, _, _, limits = SMOOTH[name]
        got = slope(ours, [-far, far], create_graph=True, dtype=dtype)
        np.testing.assert_array_equal(got, limits)

    def test_recorded_slopes_at_the_infinities_follow_the_equation(self, name):
        """x g'(x) is ∞ · 0 there for a gate g."""
        ours, _, _, limits = SMOOTH[name]
        got = slope(ours, [-INF, INF], create_graph=True)
        gated = name in ("silu", "gelu", "gelu_tanh")
        np.testing.assert_array_equal(got, [np.nan, np.nan] if gated else limits)

    def test_extreme_inputs_do_not_overflow(self, name):
        ours, _, limits, _ = SMOOTH[name]
        y = ours(np.array([-1e300, 1e300]))
        assert y[0] == limits[0]
        assert y[1] == (1e300 if limits[1] == INF else limits[1])

    def test_nan_propagates_alone(self, name):
        y = SMOOTH[name][0](np.array([np.nan, 1.0]))
        assert np.isnan(y).tolist() == [True, False]
        assert np.isnan(slope(SMOOTH[name][0], [np.nan, 1.0])).tolist() == [True, False]

    def test_float32_stays_float32_and_is_close(self, name):
        ours, truth, _, _ = SMOOTH[name]
        x = X.astype(np.float32)
        y = ours(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, exactly(truth, x), rtol=6e-6)
        gradient = slope(ours, x, dtype="float32")
        assert gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, exactly(truth, x, 1), rtol=1e-5, atol=3e-7)

    def test_complex64_stays_complex64(self, name):
        assert SMOOTH[name][0](np.array([0.5 + 1e-9j], np.complex64)).dtype == np.complex64

    def test_integers_count_as_numbers(self, name):
        ours = SMOOTH[name][0]
        np.testing.assert_array_equal(ours(np.array([-2, 0, 3])), ours(np.array([-2.0, 0.0, 3.0])))

    def test_shapes(self, name):
        for shape in [(), (0,), (2, 3, 4), (2, 0)]:
            assert SMOOTH[name][0](np.zeros(shape)).shape == shape

    def test_the_input_is_not_written_on(self, name):
        x = X.copy()
        SMOOTH[name][0](x)
        np.testing.assert_array_equal(x, X)


COMPOSITIONS = {
    "sigmoid": lambda x: 1 / (1 + F.exp(-x)),
    "tanh": lambda x: (F.exp(x) - F.exp(-x)) / (F.exp(x) + F.exp(-x)),
    "softplus": lambda x: F.log(1 + F.exp(x)),
    "silu": lambda x: x / (1 + F.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + F.erf(x / 2**0.5)),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x * x * x))),
}


@smooth
def test_fused_rules_agree_with_compositions_to_third_order(name):
    x = np.random.default_rng(3).normal(size=(3, 4))
    assert_same_derivatives(SMOOTH[name][0], COMPOSITIONS[name], x)


def test_curvature_has_its_digits_near_0():
    """sech² and σ' have rules of their own; as differences of σ they would lose all digits."""
    x = np.array([1e-2, 1e-4, 1e-8, 1e-20, 1e-300])
    leaf = nx.tensor(x, requires_grad=True)
    for ours, truth in (
        (F.tanh, -2 * np.tanh(x) / np.cosh(x) ** 2),
        (F.sigmoid, -np.tanh(x / 2) / (4 * np.cosh(x / 2) ** 2)),
    ):
        (first,) = nx.grad(ours(leaf).sum(), leaf, create_graph=True)
        (second,) = nx.grad(first.sum(), leaf)
        np.testing.assert_allclose(second.data, truth, rtol=2e-15)


@smooth
def test_equation_and_kernel_agree(name):
    """On complex arrays the equation is computed, on real ones the kernel."""
    ours = SMOOTH[name][0]
    x = np.linspace(-6, 6, 241)
    z = ours(x + 1j * 2.0**-66)
    np.testing.assert_allclose(z.real, ours(x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(z.imag * 2.0**66, slope(ours, x), rtol=1e-12, atol=1e-15)


@smooth
def test_numbers_and_lists_are_taken_as_arrays(name):
    ours = SMOOTH[name][0]
    want = ours(np.array([0.5, -2.0]))
    np.testing.assert_array_equal(ours([0.5, -2.0]), want)
    assert ours(0.5) == want[0]


@smooth
def test_nothing_is_above_the_order_of_its_symmetry(name):
    """σ and tanh are odd about their center; the gated ones satisfy f(x) - f(-x) = x."""
    x = np.linspace(0, 6, 50)
    up, down = SMOOTH[name][0](x), SMOOTH[name][0](-x)
    want = {"sigmoid": up + down - 1, "tanh": up + down}.get(name, up - down - x)
    np.testing.assert_allclose(want, 0, atol=2e-15)


def test_sigmoid_keeps_its_left_tail():
    np.testing.assert_allclose(F.sigmoid(np.array([-700.0])), [np.exp(-700.0)], rtol=1e-15)
    np.testing.assert_allclose(slope(F.sigmoid, [700.0]), [np.exp(-700.0)], rtol=1e-15)


def test_slope_of_tanh_keeps_its_tails():
    np.testing.assert_allclose(slope(F.tanh, [20.0]), [4 * np.exp(-40.0)], rtol=1e-14)


def test_gelu_in_the_far_tail_has_every_digit():
    with mp.workdps(60):
        truth = float(-30 * gaussian_cdf(mp.mpf(-30)))
    np.testing.assert_allclose(F.gelu(np.array([-30.0])), [truth], rtol=1e-15)


def test_the_two_gelus_differ_by_less_than_a_thousandth():
    x = np.linspace(-6, 6, 1201)
    gap = np.abs(F.gelu(x) - gelu_tanh(x)).max()
    assert 4e-4 < gap < 5e-4


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        ("exact", "use one of them"),
        (None, "did you mean 'none'"),
        (True, "use one of them"),
        ("Tanh", "did you mean 'tanh'"),
    ],
)
def test_gelu_knows_two_words(word, instead):
    with pytest.raises(ArgumentError, match=f"approximate is 'none' or 'tanh': got .*; {instead}"):
        F.gelu(nx.tensor([1.0]), approximate=word)


def test_numpy_s_tanh_is_ours():
    x = nx.tensor([0.5], requires_grad=True)
    assert np.tanh(x).requires_grad
    assert np.tanh(x).tolist() == F.tanh(x).tolist()


class TestRelu:
    def test_values_and_slopes(self):
        x = [-INF, -2.0, -0.0, 0.0, 3.0, INF]
        np.testing.assert_array_equal(F.relu(np.array(x)), [0, 0, 0, 0, 3, INF])
        np.testing.assert_array_equal(slope(F.relu, x), [0, 0, 0, 0, 1, 1])

    def test_the_slope_scales_the_cotangent(self):
        (gradient,) = tape(F.relu, [np.array([-1.0, 2.0])], np.array([5.0, 7.0]))
        assert gradient.tolist() == [0.0, 7.0]

    def test_complex_step(self):
        assert_matches_complex_step(F.relu, X[X != 0])

    def test_the_imaginary_part_does_not_decide_the_side_of_the_kink(self):
        x = np.array([1e-20j, -1e-20j, 1 - 1e-20j, -1 + 1e-20j])
        assert F.relu(x).tolist() == [0, 0, 1 - 1e-20j, 0]

    def test_nan_propagates_in_real_and_complex_arrays(self):
        assert np.isnan(F.relu(np.array([np.nan, 1.0]))).tolist() == [True, False]
        assert np.isnan(F.relu(np.array([np.nan + 0j, 1.0]))).tolist() == [True, False]

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
    def test_dtype_is_kept(self, dtype):
        y = F.relu(np.array([-1, 2], dtype))
        assert y.dtype == dtype
        assert y.tolist() == [0, 2]

    def test_second_derivative_is_0(self):
        x = nx.tensor([-1.0, 2.0], requires_grad=True)
        (first,) = nx.grad((F.relu(x) * x).sum(), x, create_graph=True)
        (second,) = nx.grad(first.sum(), x)
        assert second.tolist() == [0.0, 2.0]


FAMILY = [F.softmax, F.log_softmax, F.logsumexp]
family = pytest.mark.parametrize("fn", FAMILY, ids=lambda f: f.__name__)
ROWS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
    elements=st.floats(-50, 50),
)


class TestSoftmax:
    @given(ROWS, st.data())
    def test_against_mpmath_along_every_axis(self, x, data):
        axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
        rows = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
        soft = np.moveaxis(F.softmax(x, axis), axis, -1).reshape(rows.shape)
        log_soft = np.moveaxis(F.log_softmax(x, axis), axis, -1).reshape(rows.shape)
        total = F.logsumexp(x, axis).reshape(-1)
        for i, row in enumerate(rows):
            with mp.workdps(40):
                lse = mp.log(mp.fsum(mp.exp(mp.mpf(float(v))) for v in row))
                p = [float(mp.exp(mp.mpf(float(v)) - lse)) for v in row]
                log_p = [float(mp.mpf(float(v)) - lse) for v in row]
            np.testing.assert_allclose(soft[i], p, rtol=1e-13, atol=0)
            np.testing.assert_allclose(log_soft[i], log_p, rtol=1e-13, atol=1e-14)
            np.testing.assert_allclose(total[i], float(lse), rtol=1e-14, atol=1e-14)

    @given(ROWS)
    def test_adds_up_to_one(self, x):
        np.testing.assert_allclose(F.softmax(x).sum(-1), 1, rtol=1e-14)

    @given(ROWS, st.integers(-1000, 1000))
    def test_a_common_shift_changes_nothing(self, x, shift):
        x = np.round(x)  # so that the shift is exact
        np.testing.assert_array_equal(F.softmax(x + shift), F.softmax(x))
        np.testing.assert_array_equal(F.log_softmax(x + shift), F.log_softmax(x))

    def test_axes_and_keepdims(self):
        x = np.random.default_rng(0).normal(size=(2, 3, 4))
        assert F.logsumexp(x).shape == (2, 3)
        assert F.logsumexp(x, 1).shape == (2, 4)
        assert F.logsumexp(x, axis=0, keepdims=True).shape == (1, 3, 4)
        np.testing.assert_allclose(F.logsumexp(x, 0), np.log(np.exp(x).sum(0)))

    def test_extreme_inputs(self):
        x = np.array([1e4, 1e4, -1e4])
        np.testing.assert_array_equal(F.softmax(x), [0.5, 0.5, 0.0])
        np.testing.assert_allclose(F.log_softmax(x), [-np.log(2), -np.log(2), -2e4 - np.log(2)])
        np.testing.assert_allclose(F.logsumexp(x), 1e4 + np.log(2))
        np.testing.assert_array_equal(F.softmax(np.array([-1e308, 1e308])), [0.0, 1.0])

    def test_minus_infinity_is_a_mask(self):
        x = np.array([0.0, -INF, 0.0])
        np.testing.assert_array_equal(F.softmax(x), [0.5, 0.0, 0.5])
        np.testing.assert_allclose(F.log_softmax(x), [-np.log(2), -INF, -np.log(2)])
        np.testing.assert_allclose(F.logsumexp(x), np.log(2))
        ct = np.array([1.0, 2.0, 3.0])
        np.testing.assert_array_equal(tape(F.softmax, [x], ct)[0], [-0.5, 0.0, 0.5])
        np.testing.assert_array_equal(tape(F.logsumexp, [x], np.array(1.0))[0], [0.5, 0.0, 0.5])

    def test_rows_without_a_finite_maximum(self):
        x = np.array([[-INF, -INF], [INF, 0.0], [np.nan, 0.0], [0.0, 0.0]])
        np.testing.assert_array_equal(F.softmax(x)[3], [0.5, 0.5])
        assert np.isnan(F.softmax(x)[[0, 2]]).all()
        assert np.isnan(F.softmax(x)[1, 0])
        got = F.logsumexp(x)
        assert got[0] == -INF
        assert got[1] == INF
        assert np.isnan(got[2])
        assert np.isnan(F.log_softmax(x)[2]).all()

    @family
    @pytest.mark.parametrize("axis", [0, 1, -1])
    def test_complex_step(self, fn, axis):
        x = np.random.default_rng(1).normal(size=(3, 2, 4))
        assert_matches_complex_step(lambda x: fn(x, axis), x)

    @family
    def test_sums_along_a_long_first_axis(self, fn):
        x = np.random.default_rng(4).normal(size=(100_000, 2))
        along_last = np.moveaxis(fn(np.ascontiguousarray(x.T), -1), -1, 0)
        limit = len(x) * 2.0**-53
        np.testing.assert_allclose(fn(x, 0), along_last.reshape(fn(x, 0).shape), rtol=limit)

    @family
    def test_float32_is_calculated_in_float64_and_rounded_once(self, fn):
        x = np.random.default_rng(5).normal(size=(4, 9)).astype(np.float32) * 30
        wide = x.astype(np.float64)
        np.testing.assert_array_equal(fn(x), fn(wide).astype(np.float32))
        ct = weights_like(fn(x).shape).astype(np.float32)
        (got,), (want,) = tape(fn, [x], ct), tape(fn, [wide], ct.astype(np.float64))
        np.testing.assert_array_equal(got, want.astype(np.float32))

    @pytest.mark.parametrize("winner", [60.0, 600.1])
    def test_a_share_far_below(self, winner):
        """x - max is rounded, which the exponential makes |x - max| ulp of."""
        x = np.array([1 / 3, winner])
        with mp.workdps(50):
            p = float(mp.exp(mp.mpf(x[0]) - mp.mpf(x[1])))
        limit = (8 + winner) * 2.0**-53
        np.testing.assert_allclose(F.softmax(x)[0], p, rtol=limit)
        for fn, want in ((F.softmax, [-p, p]), (F.log_softmax, [-p, p])):
            np.testing.assert_allclose(tape(fn, [x], [0.0, 1.0])[0], want, rtol=limit)

    @pytest.mark.parametrize("n", [2, 5, 64, 768])
    def test_a_logarithm_that_nearly_vanishes(self, n):
        x = np.full(n, -np.log(n))
        with mp.workdps(50):
            truth = mp.log(n) + mp.mpf(x[0])
            assert abs(mp.mpf(float(F.logsumexp(x))) - truth) <= mp.mpf(2) ** -52

    @pytest.mark.parametrize("largest", [-1e4, -500.5, -499.5, 499.5, 500.5, 1e4])
    def test_a_shift_where_exponentials_would_leave_the_range(self, largest):
        x = largest + np.array([-1.0, 0.0, -800.0])
        np.testing.assert_allclose(F.logsumexp(x), largest + np.log1p(np.exp(-1)), rtol=1e-15)

    @family
    def test_an_axis_as_a_numpy_integer(self, fn):
        x = nx.tensor(np.eye(3), requires_grad=True)
        assert fn(x, np.int64(0)).sum().backward() is None
        assert x.grad.shape == (3, 3)

    def test_keepdims_gradient(self):
        x = np.random.default_rng(1).normal(size=(3, 4))
        assert_matches_complex_step(lambda x: F.logsumexp(x, 0, keepdims=True), x)

    @pytest.mark.parametrize(
        ("fused", "composed"),
        [
            (F.softmax, lambda x: F.exp(x) / F.exp(x).sum(axis=-1, keepdims=True)),
            (F.log_softmax, lambda x: x - F.log(F.exp(x).sum(axis=-1, keepdims=True))),
            (F.logsumexp, lambda x: F.log(F.exp(x).sum(axis=-1))),
        ],
    )
    def test_compositions_to_third_order(self, fused, composed):
        x = np.random.default_rng(2).normal(size=(3, 4))
        assert_same_derivatives(fused, composed, x)

    @family
    def test_float32_stays_float32(self, fn):
        x = nx.tensor([[0.5, 1.0, -2.0]], dtype="float32", requires_grad=True)
        y = fn(x)
        assert y.dtype == np.float32
        ct = weights_like(y.shape).astype(np.float32)
        assert nx.grad(y, x, ct)[0].dtype == np.float32

    @family
    def test_empty_batch(self, fn):
        assert fn(np.zeros((0, 3))).shape[0] == 0

    @family
    @pytest.mark.parametrize(("shape", "axis"), [((), -1), ((3,), 1), ((3,), -2)])
    def test_no_such_axis(self, fn, shape, axis):
        with pytest.raises(ShapeError, match=f"an axis of a tensor of .*: got {axis}"):
            fn(nx.tensor(np.zeros(shape)), axis)

    @family
    @pytest.mark.parametrize(("shape", "axis"), [((2, 0), 1), ((0, 2), 0)])
    def test_an_empty_axis(self, fn, shape, axis):
        with pytest.raises(ShapeError) as caught:
            fn(nx.tensor(np.zeros(shape)), axis)
        assert str(caught.value) == (
            f"{fn.__name__} needs an axis with at least one value: got axis {axis} of shape "
            f"{shape}; name another axis, or check the input first"
        )
        assert isinstance(caught.value, ValueError)
