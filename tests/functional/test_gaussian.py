"""The array kernels of the normal distribution against mpmath."""

import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from support import around, ulps

from numixology.functional import _gaussian
from numixology.functional._gaussian import REACH, ROOT, gaussian, gelu
from numixology.functional._kernels import CHUNK

FIT = Path(__file__).resolve().parents[1] / "oracle" / "fit_gaussian.py"
H = 2.0**-66
SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)


def erf(x):
    return _gaussian.erf(x)[0]


def erf_slope(x):
    return _gaussian.erf(x)[1]


def cdf(x):
    return gaussian(x)[0]


def pdf(x):
    return gaussian(x)[1]


def gelu_value(x):
    return gelu(x)[0]


def gelu_slope(x):
    return gelu(x)[1]


def exact_cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def exact_gelu(x):
    return x * exact_cdf(x)


def exact_slope(x):
    return exact_cdf(x) + x * mp.npdf(x)


# kernel, the truth, and the ulp allowed
KERNELS = [
    pytest.param(cdf, exact_cdf, 3, id="cdf"),
    pytest.param(pdf, mp.npdf, 3, id="pdf"),
    pytest.param(erf, mp.erf, 2, id="erf"),
    pytest.param(erf_slope, lambda x: 2 * mp.npdf(x, sigma=mp.sqrt(0.5)), 4, id="erf slope"),
    pytest.param(gelu_value, exact_gelu, 4, id="gelu"),
    pytest.param(gelu_slope, exact_slope, 8, id="gelu-slope"),
]
FUNCTIONS = [param.values[0] for param in KERNELS]


def points() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240229)
    sign = rng.choice([-1.0, 1.0], 200)
    root = -float(ROOT[0])
    return {
        "core": rng.uniform(-6, 6, 400),
        "steep": rng.uniform(-2, 2, 400),
        "left tail": rng.uniform(-37.4, -6, 400),
        "right tail": rng.uniform(6, 40, 100),
        "near zero": sign * np.exp(rng.uniform(np.log(1e-300), 0, 200)),
        "subnormal inputs": sign[:40] * 5e-324 * rng.integers(1, 2**52, 40),
        "beyond the tails": np.array([-60.0, -41.0, -38.7, 38.7, 39.0, 41.0, 60.0]),
        "around the root": around(root, 60),
        "edges of the root's piece": np.concatenate(
            [around(root - float(REACH), 10), around(root + float(REACH), 10)]
        ),
        "edge of erf's piece": np.concatenate([around(1.0, 20), around(-1.0, 20)]),
        "sparse": np.ldexp(rng.integers(-(2**8), 2**8, 200).astype(float), -4),
    }


POINTS = points()


@pytest.mark.parametrize("region", POINTS)
@pytest.mark.parametrize(("kernel", "exact", "limit"), KERNELS)
def test_float64_is_within_a_few_ulp_everywhere(kernel, exact, limit, region):
    x = POINTS[region]
    assert ulps(kernel(x), x, exact).max() <= limit


@pytest.mark.parametrize(("kernel", "exact", "limit"), KERNELS)
def test_subnormal_results_are_right_to_their_last_places(kernel, exact, limit):
    x = np.linspace(-38.7, -37.4, 400)
    assert ulps(kernel(x), x, exact).max() <= limit


def test_products_of_cdf_and_pdf_keep_their_accuracy_away_from_the_root():
    x = np.concatenate([POINTS["core"], POINTS["left tail"]])
    x = x[np.abs(x + ROOT[0]) > 0.25]
    phi, density = gaussian(x)
    assert ulps(x * phi, x, exact_gelu).max() <= 4
    assert ulps(phi + x * density, x, exact_slope).max() <= 8


@pytest.mark.parametrize(("kernel", "exact", "limit"), KERNELS)
def test_float32_is_the_float64_result_rounded_once(kernel, exact, limit):
    subnormal = np.linspace(-14.6, -12.8, 200)
    x = np.concatenate([*POINTS.values(), subnormal]).astype(np.float32)
    got = kernel(x)
    assert got.dtype == np.float32
    assert ulps(got, x, exact).max() <= 0.501


STEPS = [
    pytest.param(cdf, mp.npdf, mp.npdf, id="cdf"),
    pytest.param(pdf, lambda x: -x * mp.npdf(x), mp.npdf, id="pdf"),
    pytest.param(erf, lambda x: 2 * mp.npdf(x, sigma=mp.sqrt(0.5)), lambda x: 0, id="erf"),
    pytest.param(gelu_value, exact_slope, exact_cdf, id="gelu"),
    pytest.param(gelu_slope, lambda x: (2 - x * x) * mp.npdf(x), mp.npdf, id="gelu-slope"),
]


@pytest.mark.parametrize(("kernel", "derivative", "scale"), STEPS)
def test_complex_step_is_the_derivative(kernel, derivative, scale):
    x = np.concatenate([POINTS["core"], POINTS["near zero"], -np.arange(6.0, 24.0)])
    got = kernel(x + 1j * H)
    np.testing.assert_allclose(got.real, kernel(x), rtol=2e-15, atol=H**2)
    with mp.workdps(40):
        for g, v in zip(got.imag / H, x, strict=True):
            truth = derivative(mp.mpf(v))
            assert abs(g - truth) <= 3e-15 * max(abs(truth), scale(mp.mpf(v)))


@pytest.mark.parametrize("kernel", FUNCTIONS)
def test_complex64_is_rounded_from_complex128(kernel):
    x = POINTS["core"].astype(np.float32)
    z = (x + 1j * np.float32(1e-20)).astype(np.complex64)
    got = kernel(z)
    assert got.dtype == np.complex64
    np.testing.assert_array_equal(got, kernel(z.astype(np.complex128)).astype(np.complex64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_edges_are_exact_and_silent(dtype):
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf], dtype)
    with np.errstate(all="raise"):
        phi, density = (part.real for part in gaussian(x))
        value, slope = (part.real for part in gelu(x))
        error = erf(x).real
    np.testing.assert_array_equal(phi, [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(density[[0, 1, 4, 5]], 0)
    np.testing.assert_array_equal(error, [-1, -1, 0, 0, 1, 1])
    np.testing.assert_array_equal(slope, [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(value, [0, 0, 0, 0, x[4].real, np.inf])
    assert np.signbit(error).tolist() == [True, True, True, False, False, False]
    assert np.signbit(value).tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize("kernel", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_everything_finite_is_silent_and_nan_stays_nan(kernel, dtype):
    x = np.concatenate(list(POINTS.values()))
    x = x[np.abs(x) < np.finfo(dtype).max].astype(dtype)
    x = np.concatenate([x, [np.finfo(dtype).max, np.finfo(dtype).min]]).astype(dtype)
    with np.errstate(all="raise"):
        assert np.isfinite(kernel(x)).all()
        assert np.isnan(kernel(np.array([1.0, np.nan, -np.nan], dtype))).tolist() == [
            False,
            True,
            True,
        ]


@pytest.mark.parametrize("kernel", FUNCTIONS)
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_chunks_meet(kernel, size):
    x = np.random.default_rng(size).standard_normal(size) * 3
    got = kernel(x)
    pieces = np.concatenate([kernel(piece) for piece in np.array_split(x, 7)])
    np.testing.assert_allclose(got, pieces, rtol=1e-14, atol=1e-15)
    assert got.shape == x.shape


@pytest.mark.parametrize("kernel", [gaussian, gelu, _gaussian.erf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("size", [0, 5, CHUNK + 5])
def test_the_value_alone_is_the_value_to_the_bit(kernel, dtype, size):
    x = (np.random.default_rng(3).standard_normal(size) * 9).astype(dtype)
    value, _ = kernel(x)
    (alone,) = kernel(x, 1)
    np.testing.assert_array_equal(alone, value)


@pytest.mark.parametrize("kernel", FUNCTIONS)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_any_shape(kernel, shape, dtype):
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    x = np.asarray(x)
    before = x.copy()
    got = kernel(x)
    assert isinstance(got, np.ndarray)
    assert got.shape == shape
    assert got.dtype == dtype
    assert got.flags.c_contiguous
    assert not np.shares_memory(got, x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(got.ravel(), kernel(x.ravel()))


@pytest.mark.parametrize("kernel", FUNCTIONS)
def test_strided_and_read_only_input(kernel):
    x = np.random.default_rng(2).standard_normal((6, 8))
    x.setflags(write=False)
    got = kernel(x.T[::2])
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, kernel(np.ascontiguousarray(x.T[::2])), rtol=1e-14)


def test_the_two_halves_complete_each_other():
    x = POINTS["core"]
    np.testing.assert_allclose(cdf(x) + cdf(-x), 1, rtol=4e-16)
    np.testing.assert_array_equal(pdf(x), pdf(-x))
    np.testing.assert_array_equal(erf(x), -erf(-x))


def test_the_tail_that_textbook_formulas_lose():
    assert gelu_value(np.array(-30.0)) == pytest.approx(-1.471961e-196, rel=1e-6)
    assert 0 < cdf(np.array(-37.5)) < 1e-300
    assert 0 < cdf(np.array(-38.0)) < SMALLEST_NORMAL


def test_the_constants_are_those_of_the_fit():
    check = subprocess.run([sys.executable, FIT, "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
