"""erf and the normal distribution as functions of arrays and tensors."""

import mpmath as mp
import numpy as np
import pytest
from oracle.derivatives import assert_matches_complex_step, slope

import numixology as nx
from numixology import functional as F

X = np.array([-30.0, -6.5, -2.0, -0.75, -1e-9, 0.0, 1e-300, 0.3, 1.0, 3.7, 9.0])
ORACLE = {
    "erf": mp.erf,
    "normal_cdf": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2,
    "normal_pdf": mp.npdf,
}


def exactly(truth, x, order=0):
    with mp.workdps(60):
        return np.array([float(mp.diff(truth, mp.mpf(float(v)), order)) for v in x])


@pytest.mark.parametrize("name", ORACLE)
class TestAgainstMpmath:
    def test_value(self, name):
        np.testing.assert_allclose(getattr(F, name)(X), exactly(ORACLE[name], X), rtol=1e-15)

    def test_value_is_the_same_whether_it_is_recorded_or_not(self, name):
        recorded = getattr(F, name)(nx.tensor(X, requires_grad=True))
        np.testing.assert_array_equal(getattr(F, name)(X), recorded.numpy())

    @pytest.mark.parametrize("order", [1, 2, 3])
    def test_derivatives(self, name, order):
        x = X[np.abs(X) < 5]
        leaf = nx.tensor(x, requires_grad=True)
        y = getattr(F, name)(leaf)
        for _ in range(order):
            (y,) = nx.grad(y, leaf, np.ones(x.shape), create_graph=True)
        np.testing.assert_allclose(y.data, exactly(ORACLE[name], x, order), rtol=1e-13, atol=1e-16)

    def test_slope_is_that_of_a_complex_step(self, name):
        assert_matches_complex_step(getattr(F, name), X)

    def test_equation_and_kernel_agree(self, name):
        """On complex arrays the equation is computed, on real ones the kernel."""
        ours = getattr(F, name)
        x = np.linspace(-6, 6, 241)
        z = ours(x + 1j * 2.0**-66)
        np.testing.assert_allclose(z.real, ours(x), rtol=1e-14)
        np.testing.assert_allclose(z.imag * 2.0**66, slope(ours, x), rtol=1e-14)

    def test_float32_stays_float32(self, name):
        y = getattr(F, name)(nx.tensor(X, dtype="float32"))
        assert y.dtype == np.float32
        assert slope(getattr(F, name), X, dtype="float32").dtype == np.float32

    def test_integers_become_float64(self, name):
        y = getattr(F, name)(nx.tensor([-1, 0, 2]))
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y.data, getattr(F, name)(np.array([-1.0, 0.0, 2.0])))

    def test_nan_propagates(self, name):
        assert np.isnan(getattr(F, name)(np.array([np.nan]))).all()
        assert np.isnan(slope(getattr(F, name), [np.nan])).all()

    def test_flat_at_the_infinities(self, name):
        ours = getattr(F, name)
        np.testing.assert_array_equal(slope(ours, [-np.inf, np.inf]), [0.0, 0.0])
        recorded = slope(ours, [-np.inf, np.inf], create_graph=True)
        np.testing.assert_array_equal(recorded, np.nan if name == "normal_pdf" else 0.0)

    def test_any_shape_empty_ones_too(self, name):
        assert getattr(F, name)(np.zeros((2, 0, 3))).shape == (2, 0, 3)
        assert getattr(F, name)(np.zeros(())).shape == ()


def test_values_at_the_infinities():
    x = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(F.erf(x), [-1.0, 1.0])
    np.testing.assert_array_equal(F.normal_cdf(x), [0.0, 1.0])
    np.testing.assert_array_equal(F.normal_pdf(x), [0.0, 0.0])
