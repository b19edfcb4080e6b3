"""The array kernels of the logistic function and its kin against mpmath."""

import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from support import around, ulps

from numixology.errors import DTypeError
from numixology.functional._kernels import CHUNK
from numixology.functional._logistic import (
    GELU_ROOT,
    SILU_ROOT,
    gelu_tanh,
    sigmoid,
    silu,
    softplus,
    tanh,
)

FIT = Path(__file__).resolve().parents[1] / "oracle" / "fit_logistic.py"
H = 2.0**-66
FUNCTIONS = [sigmoid, tanh, softplus, silu, gelu_tanh]


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
BOTH = [pytest.param(p.values[0], p.values[1], id=p.id) for p in KERNELS]


def points() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20240301)
    sign = rng.choice([-1.0, 1.0], 300)
    silu_root, gelu_root = -float(SILU_ROOT[0]), -float(GELU_ROOT[0])
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
        "edge of tanh's piece": np.concatenate([around(0.5625, 20), around(-0.5625, 20)]),
        "sparse": np.ldexp(rng.integers(-(2**8), 2**8, 200).astype(float), -4),
    }


POINTS = points()


@pytest.mark.parametrize("region", POINTS)
@pytest.mark.parametrize(("kernel", "part", "exact", "limit"), KERNELS)
def test_float64_is_within_a_few_ulp_everywhere(kernel, part, exact, limit, region):
    x = POINTS[region]
    assert ulps(kernel(x)[part], x, exact).max() <= limit


@pytest.mark.parametrize(("kernel", "part", "exact", "limit"), KERNELS)
def test_float32_is_the_float64_result_rounded_once(kernel, part, exact, limit):
    subnormal = np.concatenate([-np.linspace(80, 110, 200), -np.linspace(9, 11, 200)])
    x = np.concatenate([*POINTS.values(), subnormal])
    x = x[np.abs(x) < np.finfo(np.float32).max].astype(np.float32)
    got = kernel(x)[part]
    assert got.dtype == np.float32
    assert ulps(got, x, exact).max() <= 0.501


def exact_silu_curvature(x):
    return exact_bell(x) * (2 + x * (1 - 2 * exact_sigmoid(x)))


def exact_gelu_tanh_curvature(x):
    w, dw = inner(x)
    ddw = 6 * x * mp.mpf("0.044715") * 2 * mp.sqrt(2 / mp.pi)
    return exact_bell(w) * (2 * dw + x * ddw + x * dw**2 * (1 - 2 * exact_sigmoid(w)))


# kernel, which of its two results, the derivative of that, and what the error is compared with
STEPS = [
    pytest.param(sigmoid, 0, exact_bell, lambda x: 0, id="sigmoid"),
    pytest.param(
        sigmoid,
        1,
        lambda x: exact_bell(x) * (1 - 2 * exact_sigmoid(x)),
        exact_bell,
        id="sigmoid-slope",
    ),
    pytest.param(tanh, 0, lambda x: 4 * exact_bell(2 * x), lambda x: 0, id="tanh"),
    pytest.param(
        tanh,
        1,
        lambda x: -8 * exact_bell(2 * x) * exact_tanh(x),
        lambda x: 4 * exact_bell(2 * x),
        id="tanh-slope",
    ),
    pytest.param(softplus, 0, exact_sigmoid, lambda x: 0, id="softplus"),
    pytest.param(softplus, 1, exact_bell, lambda x: 0, id="softplus-slope"),
    pytest.param(silu, 0, exact_silu_slope, exact_sigmoid, id="silu"),
    pytest.param(silu, 1, exact_silu_curvature, exact_bell, id="silu-slope"),
    pytest.param(
        gelu_tanh,
        0,
        exact_gelu_tanh_slope,
        lambda x: exact_sigmoid(inner(x)[0]),
        id="gelu-tanh",
    ),
    pytest.param(
        gelu_tanh,
        1,
        exact_gelu_tanh_curvature,
        lambda x: exact_bell(inner(x)[0]),
        id="gelu-tanh-slope",
    ),
]


@pytest.mark.parametrize(("kernel", "part", "derivative", "scale"), STEPS)
def test_complex_step_is_the_derivative(kernel, part, derivative, scale):
    x = np.concatenate([POINTS["core"], POINTS["near zero"], -np.arange(6.0, 20.0)])
    got = kernel(x + 1j * H)[part]
    np.testing.assert_allclose(got.real, kernel(x)[part], rtol=2e-15, atol=H**2)
    with mp.workdps(40):
        for g, v in zip(got.imag / H, x, strict=True):
            truth = derivative(mp.mpf(v))
            assert abs(g - truth) <= 5e-15 * max(abs(truth), scale(mp.mpf(v)))


@pytest.mark.parametrize("kernel", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("size", [0, 5, CHUNK + 5])
def test_the_value_alone_is_the_value_to_the_bit(kernel, dtype, size):
    x = (np.random.default_rng(3).standard_normal(size) * 9).astype(dtype)
    value, _ = kernel(x)
    (alone,) = kernel(x, 1)
    np.testing.assert_array_equal(alone, value)


@pytest.mark.parametrize("kernel", FUNCTIONS)
def test_complex64_is_rounded_from_complex128(kernel):
    x = POINTS["core"].astype(np.float32)
    z = (x + 1j * np.float32(1e-20)).astype(np.complex64)
    for got, wide in zip(kernel(z), kernel(z.astype(np.complex128)), strict=True):
        assert got.dtype == np.complex64
        np.testing.assert_array_equal(got, wide.astype(np.complex64))


def test_softplus_is_analytic_in_the_plane():
    rng = np.random.default_rng(3)
    z = rng.uniform(-20, 20, 100) + 1j * rng.uniform(-3, 3, 100)
    value, slope = softplus(z)
    with mp.workdps(40):
        for v, s, one in zip(value, slope, z, strict=True):
            e = mp.exp(mp.mpc(one))
            assert mp.almosteq(v, mp.log(1 + e), rel_eps=5e-15)
            assert mp.almosteq(s, e / (1 + e), rel_eps=5e-15)


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
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_edges_are_exact_and_silent(kernel, values, slopes, dtype):
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf], dtype)
    with np.errstate(all="raise"):
        value, slope = (part.real for part in kernel(x))
    np.testing.assert_array_equal(value, np.array(values, value.dtype))
    np.testing.assert_array_equal(slope, np.array(slopes, slope.dtype))
    np.testing.assert_array_equal(np.signbit(value), np.signbit(values))
    assert not np.signbit(slope).any()


@pytest.mark.parametrize(("kernel", "part"), BOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_everything_finite_is_silent_and_nan_stays_nan(kernel, part, dtype):
    x = np.concatenate(list(POINTS.values()))
    x = x[np.abs(x) < np.finfo(dtype).max].astype(dtype)
    x = np.concatenate([x, [np.finfo(dtype).max, np.finfo(dtype).min]]).astype(dtype)
    with np.errstate(all="raise"):
        assert np.isfinite(kernel(x)[part]).all()
        nan = np.isnan(kernel(np.array([1.0, np.nan, -np.nan], dtype))[part])
    assert nan.tolist() == [False, True, True]


@pytest.mark.parametrize(("kernel", "part"), BOTH)
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_chunks_meet(kernel, part, size):
    x = np.random.default_rng(size).standard_normal(size) * 3
    got = kernel(x)[part]
    pieces = np.concatenate([kernel(piece)[part] for piece in np.array_split(x, 7)])
    np.testing.assert_allclose(got, pieces, rtol=1e-14, atol=1e-15)
    assert got.shape == x.shape


@pytest.mark.parametrize(("kernel", "part"), BOTH)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_any_shape(kernel, part, shape, dtype):
    x = np.asarray(np.random.default_rng(1).standard_normal(shape).astype(dtype))
    before = x.copy()
    got = kernel(x)[part]
    assert isinstance(got, np.ndarray)
    assert got.shape == shape
    assert got.dtype == dtype
    assert got.flags.c_contiguous
    assert not np.shares_memory(got, x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(got.ravel(), kernel(x.ravel())[part])


@pytest.mark.parametrize(("kernel", "part"), BOTH)
def test_strided_and_read_only_input(kernel, part):
    x = np.random.default_rng(2).standard_normal((6, 8))
    x.setflags(write=False)
    got = kernel(x.T[::2])[part]
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, kernel(np.ascontiguousarray(x.T[::2]))[part], rtol=1e-14)


@pytest.mark.parametrize("kernel", FUNCTIONS)
def test_integers_are_taken_as_float64(kernel):
    x = np.array([-3, 0, 2])
    for got, wide in zip(kernel(x), kernel(x.astype(np.float64)), strict=True):
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, wide)


@pytest.mark.parametrize("kernel", FUNCTIONS)
@pytest.mark.parametrize("x", [np.array([True]), np.longdouble(1), None], ids=repr)
def test_what_is_not_a_number_of_at_most_64_bits_is_refused(kernel, x):
    with pytest.raises(DTypeError, match=r"at most 64 bits: got (bool|float128|object); use"):
        kernel(x)


def test_slopes_change_sign_once():
    x = np.concatenate([np.linspace(-750, -10, 5000), np.linspace(-10, 40, 200_001)])
    for kernel, root in ((silu, SILU_ROOT), (gelu_tanh, GELU_ROOT)):
        slope = kernel(x)[1]
        assert (slope[x < -root[0]] <= 0).all()
        assert (slope[x > -root[0]] > 0).all()


def test_the_two_halves_complete_each_other():
    x = POINTS["core"]
    np.testing.assert_allclose(sigmoid(x)[0] + sigmoid(-x)[0], 1, rtol=4e-16)
    np.testing.assert_allclose(silu(x)[0] - silu(-x)[0], x, rtol=4e-16)
    np.testing.assert_array_equal(sigmoid(x)[1], sigmoid(-x)[1])
    np.testing.assert_array_equal(tanh(x)[0], -tanh(-x)[0])


def test_the_tails_that_textbook_formulas_lose():
    assert silu(np.array(-745.0))[0] == pytest.approx(-3.6808e-321, rel=1e-3)
    assert gelu_tanh(np.array(-20.0))[0] == pytest.approx(float(exact_gelu_tanh(mp.mpf(-20))))
    assert tanh(np.array(30.0))[1] == pytest.approx(4 * np.exp(-60.0))


def test_the_constants_are_those_of_the_script():
    check = subprocess.run([sys.executable, FIT, "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
