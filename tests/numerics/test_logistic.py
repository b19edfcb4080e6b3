"""The kernels of the logistic function and its kin against mpmath."""

import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from support import around, ulps

from numixology.numerics import gelu_tanh, sigmoid, silu, softplus, tanh
from numixology.numerics.logistic import GELU_ROOT, SILU_ROOT

FIT = Path(__file__).resolve().parents[1] / "oracle" / "fit_logistic.py"


# The truths, written for |x| up to 1e300 and for 50 digits, without a difference of near equals.


def exact_sigmoid(x):
    e = mp.exp(-abs(x))
    return (e if x < 0 else 1) / (1 + e)


def exact_bell(x):
    """The slope of the logistic function."""
    return exact_sigmoid(x) * exact_sigmoid(-x)


def exact_tanh(x):
    return x - x**3 / 3 if abs(x) < 1e-20 else mp.tanh(x)


def exact_softplus(x):
    return max(x, 0) + mp.log1p(mp.exp(-abs(x)))


def exact_silu(x):
    return x * exact_sigmoid(x)


def exact_silu_slope(x):
    return exact_sigmoid(x) + x * exact_bell(x)


def inner(x):
    """w(x) and w'(x) with x σ(w(x)) = tanh-GELU."""
    a = 2 * mp.sqrt(2 / mp.pi)
    b = mp.mpf("0.044715") * a
    return a * x + b * x**3, a + 3 * b * x**2


def exact_gelu_tanh(x):
    return x * exact_sigmoid(inner(x)[0])


def exact_gelu_tanh_slope(x):
    w, dw = inner(x)
    return exact_sigmoid(w) + x * dw * exact_bell(w)


# kernel, which of its two results, the truth, and the ulp allowed
KERNELS = [
    pytest.param(sigmoid, 0, exact_sigmoid, 2, id="sigmoid"),
    pytest.param(sigmoid, 1, exact_bell, 4, id="sigmoid-slope"),
    pytest.param(tanh, 0, exact_tanh, 2, id="tanh"),
    pytest.param(tanh, 1, lambda x: 4 * exact_bell(2 * x), 4, id="tanh-slope"),
    pytest.param(softplus, 0, exact_softplus, 2, id="softplus"),
    pytest.param(softplus, 1, exact_sigmoid, 4, id="softplus-slope"),
    pytest.param(silu, 0, exact_silu, 4, id="silu"),
    pytest.param(silu, 1, exact_silu_slope, 8, id="silu-slope"),
    pytest.param(gelu_tanh, 0, exact_gelu_tanh, 4, id="gelu-tanh"),
    pytest.param(gelu_tanh, 1, exact_gelu_tanh_slope, 8, id="gelu-tanh-slope"),
]


def points() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240301)
    sign = rng.choice([-1.0, 1.0], 300)
    silu_root, gelu_root = -SILU_ROOT[0], -GELU_ROOT[0]
    near = sign[:200] * np.exp(rng.uniform(np.log(1e-15), np.log(0.01), 200))
    return {
        "core": rng.uniform(-6, 6, 400),
        "steep": rng.uniform(-2, 2, 400),
        "tails": sign * rng.uniform(6, 40, 300),
        "far tails": sign * rng.uniform(40, 700, 300),
        "left tail of tanh-GELU": -rng.uniform(3, 20.8, 300),
        "near zero": sign * np.exp(rng.uniform(np.log(1e-300), 0, 300)),
        "subnormal inputs": sign[:40] * 5e-324 * rng.integers(1, 2**52, 40),
        "subnormal sigmoid and SiLU": -rng.uniform(698, 755, 300),
        "subnormal slope of tanh": sign[:200] * rng.uniform(350, 375, 200),
        "subnormal tanh-GELU": -rng.uniform(20.6, 22.1, 300),
        "huge": sign[:40] * np.exp(rng.uniform(7, 700, 40)),
        "around the root of SiLU's slope": around(silu_root, 60),
        "around the root of tanh-GELU's slope": around(gelu_root, 60),
        "near the roots": np.concatenate([silu_root + near, gelu_root + near]),
        "edges": np.concatenate([around(-c, 10) for c in (22.0, 700.0, 800.0)]),
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
    subnormal = np.concatenate([-np.linspace(80, 110, 200), -np.linspace(9, 11, 200)])
    x = np.concatenate([*POINTS.values(), subnormal])
    x = x[np.abs(x) < np.finfo(np.float32).max].astype(np.float32)
    got = kernel.with_slope(x)[part]
    assert got.dtype == np.float32
    assert ulps(got, x, exact).max() <= 0.501


# the values and slopes at -inf, -1e30, -0.0, 0.0, 1e30 and inf
LIMITS = [
    pytest.param(sigmoid, [0, 0, 0.5, 0.5, 1, 1], [0, 0, 0.25, 0.25, 0, 0], id="sigmoid"),
    pytest.param(tanh, [-1, -1, -0.0, 0, 1, 1], [0, 0, 1, 1, 0, 0], id="tanh"),
    pytest.param(
        softplus,
        [0, 0, np.log(2), np.log(2), 1e30, np.inf],
        [0, 0, 0.5, 0.5, 1, 1],
        id="softplus",
    ),
    pytest.param(silu, [-0.0, -0.0, -0.0, 0, 1e30, np.inf], [0, 0, 0.5, 0.5, 1, 1], id="silu"),
    pytest.param(
        gelu_tanh,
        [-0.0, -0.0, -0.0, 0, 1e30, np.inf],
        [0, 0, 0.5, 0.5, 1, 1],
        id="gelu-tanh",
    ),
]


@pytest.mark.parametrize(("kernel", "values", "slopes"), LIMITS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges_are_exact(kernel, values, slopes, dtype):
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf], dtype)
    with np.errstate(divide="raise", invalid="raise"):
        value, slope = kernel.with_slope(x)
    np.testing.assert_array_equal(value, np.array(values, value.dtype))
    np.testing.assert_array_equal(slope, np.array(slopes, slope.dtype))
    np.testing.assert_array_equal(np.signbit(value), np.signbit(values))
    assert not np.signbit(slope).any()


def test_slopes_change_sign_once():
    x = np.concatenate([np.linspace(-750, -10, 5000), np.linspace(-10, 40, 200_001)])
    for kernel, root in ((silu, SILU_ROOT), (gelu_tanh, GELU_ROOT)):
        slope = kernel.with_slope(x)[1]
        assert (slope[x < -root[0]] <= 0).all()
        assert (slope[x > -root[0]] > 0).all()


def test_the_two_halves_complete_each_other():
    x = POINTS["core"]
    np.testing.assert_allclose(sigmoid(x) + sigmoid(-x), 1, rtol=4e-16)
    np.testing.assert_allclose(silu(x) - silu(-x), x, rtol=4e-16)
    np.testing.assert_array_equal(sigmoid.with_slope(x)[1], sigmoid.with_slope(-x)[1])
    np.testing.assert_array_equal(tanh(x), -tanh(-x))


def test_the_tails_that_textbook_formulas_lose():
    assert silu(np.array(-745.0)) == pytest.approx(-3.6808e-321, rel=1e-3)
    assert gelu_tanh(np.array(-20.0)) == pytest.approx(float(exact_gelu_tanh(mp.mpf(-20))))
    assert tanh.with_slope(np.array(30.0))[1] == pytest.approx(4 * np.exp(-60.0))


def test_the_constants_are_those_of_the_script():
    check = subprocess.run([sys.executable, FIT, "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
