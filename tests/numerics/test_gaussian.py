"""The kernels of the normal distribution against mpmath."""

import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from support import around, ulps

from numixology.numerics import erf, gelu, normal_cdf, normal_pdf
from numixology.numerics.gaussian import REACH, ROOT

FIT = Path(__file__).resolve().parents[1] / "oracle" / "fit_gaussian.py"
SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)


def exact_cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def exact_gelu(x):
    return x * exact_cdf(x)


def exact_gelu_slope(x):
    return exact_cdf(x) + x * mp.npdf(x)


def exact_erf_slope(x):
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


# kernel, which of its two results, the truth, and the ulp allowed
KERNELS = [
    pytest.param(normal_cdf, 0, exact_cdf, 4, id="cdf"),
    pytest.param(normal_cdf, 1, mp.npdf, 3, id="cdf-slope"),
    pytest.param(normal_pdf, 0, mp.npdf, 3, id="pdf"),
    pytest.param(normal_pdf, 1, lambda x: -x * mp.npdf(x), 4, id="pdf-slope"),
    pytest.param(erf, 0, mp.erf, 2, id="erf"),
    pytest.param(erf, 1, exact_erf_slope, 4, id="erf-slope"),
    pytest.param(gelu, 0, exact_gelu, 4, id="gelu"),
    pytest.param(gelu, 1, exact_gelu_slope, 8, id="gelu-slope"),
]


def points() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240229)
    sign = rng.choice([-1.0, 1.0], 200)
    root = -ROOT[0]
    return {
        "core": rng.uniform(-6, 6, 400),
        "steep": rng.uniform(-2, 2, 400),
        "left tail": rng.uniform(-37.4, -6, 400),
        "right tail": rng.uniform(6, 40, 100),
        "near zero": sign * np.exp(rng.uniform(np.log(1e-300), 0, 200)),
        "subnormal inputs": sign[:40] * 5e-324 * rng.integers(1, 2**52, 40),
        "subnormal results": np.linspace(-38.7, -37.4, 400),
        "beyond the tails": np.array([-60.0, -41.0, -38.7, 38.7, 39.0, 41.0, 60.0]),
        "around the root": around(root, 60),
        "near the root": root + rng.uniform(-0.3, 0.3, 400),
        "edges of the root's piece": np.concatenate(
            [around(root - REACH, 10), around(root + REACH, 10)]
        ),
        "edge of erf's piece": np.concatenate([around(1.0, 20), around(-1.0, 20)]),
        "sparse": np.ldexp(rng.integers(-(2**8), 2**8, 200).astype(float), -4),
    }


POINTS = points()


@pytest.mark.parametrize("region", POINTS)
@pytest.mark.parametrize(("kernel", "part", "exact", "limit"), KERNELS)
def test_float64_is_within_a_few_ulp_everywhere(kernel, part, exact, limit, region):
    x = POINTS[region]
    assert ulps(kernel.with_slope(x)[part], x, exact).max() <= limit


@pytest.mark.parametrize(("kernel", "part", "exact", "limit"), KERNELS)
def test_float32_is_rounded_once(kernel, part, exact, limit):
    subnormal = np.linspace(-14.6, -12.8, 200)
    x = np.concatenate([*POINTS.values(), subnormal]).astype(np.float32)
    got = kernel.with_slope(x)[part]
    assert got.dtype == np.float32
    assert ulps(got, x, exact).max() <= 0.51


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges_are_exact(dtype):
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf], dtype)
    with np.errstate(divide="raise", invalid="raise"):
        cdf, density = normal_cdf.with_slope(x)
        value, slope = gelu.with_slope(x)
        flat = normal_pdf.with_slope(x)[1]
        error = erf(x)
    np.testing.assert_array_equal(cdf, [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(density[[0, 1, 4, 5]], 0)
    np.testing.assert_array_equal(flat, 0)
    np.testing.assert_array_equal(error, [-1, -1, 0, 0, 1, 1])
    np.testing.assert_array_equal(slope, [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(value, [0, 0, 0, 0, x[4], np.inf])
    assert np.signbit(error).tolist() == [True, True, True, False, False, False]
    assert np.signbit(value).tolist() == [True, True, True, False, False, False]


def test_the_two_halves_complete_each_other():
    x = POINTS["core"]
    np.testing.assert_allclose(normal_cdf(x) + normal_cdf(-x), 1, rtol=4e-16)
    np.testing.assert_array_equal(normal_pdf(x), normal_pdf(-x))
    np.testing.assert_array_equal(erf(x), -erf(-x))


def test_the_tail_that_textbook_formulas_lose():
    assert gelu(np.array(-30.0)) == pytest.approx(-1.471961e-196, rel=1e-6)
    assert 0 < normal_cdf(np.array(-37.5)) < 1e-300
    assert 0 < normal_cdf(np.array(-38.0)) < SMALLEST_NORMAL


def test_the_constants_are_those_of_the_fit():
    check = subprocess.run([sys.executable, FIT, "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
