"""What every kernel does with arrays, and the continuation that complex steps take."""

import mpmath as mp
import numpy as np
import pytest

from numixology import numerics
from numixology.errors import DTypeError
from numixology.numerics import Kernel, log1p, near_the_real_axis
from numixology.numerics.kernels import CHUNK, decay

KERNELS = {
    name: kernel
    for name in numerics.__all__
    if isinstance(kernel := getattr(numerics, name), Kernel)
}
kernels = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def both(kernel):
    """The value and the slope, each as a function."""
    return kernel, lambda x: kernel.with_slope(x)[1]


@kernels
@dtypes
@pytest.mark.parametrize("size", [0, 5, CHUNK + 5])
def test_the_value_alone_is_the_value_to_the_bit(kernel, dtype, size):
    x = (np.random.default_rng(3).standard_normal(size) * 9).astype(dtype)
    np.testing.assert_array_equal(kernel(x), kernel.with_slope(x)[0])


@kernels
@dtypes
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_chunks_meet(kernel, size, dtype):
    x = (np.random.default_rng(size).standard_normal(size) * 3).astype(dtype)
    for part in both(kernel):
        pieces = np.concatenate([part(piece) for piece in np.array_split(x, 7)])
        np.testing.assert_allclose(part(x), pieces, rtol=1e-14, atol=1e-15)


@kernels
@dtypes
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (4, 5), (2, 3, 4)])
def test_any_shape(kernel, shape, dtype):
    x = np.asarray(np.random.default_rng(1).standard_normal(shape).astype(dtype))
    before = x.copy()
    for part in both(kernel):
        got = part(x)
        assert isinstance(got, np.ndarray)
        assert got.shape == shape
        assert got.dtype == dtype
        assert got.flags.c_contiguous
        assert not np.shares_memory(got, x)
        np.testing.assert_array_equal(x, before)
        np.testing.assert_array_equal(got.ravel(), part(x.ravel()))


@kernels
def test_strided_and_read_only_input(kernel):
    x = np.random.default_rng(2).standard_normal((6, 8))
    x.setflags(write=False)
    for part in both(kernel):
        got = part(x.T[::2])
        assert got.flags.c_contiguous
        np.testing.assert_allclose(got, part(np.ascontiguousarray(x.T[::2])), rtol=1e-14)


@kernels
def test_numbers_lists_and_integers_are_taken_as_float64(kernel):
    wide = np.array([-3.0, 0.0, 2.0])
    for x in (np.array([-3, 0, 2]), [-3, 0, 2], [-3.0, 0.0, 2.0]):
        got = kernel(x)
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, kernel(wide))
    assert kernel(2.0) == kernel(wide)[2]


@kernels
@pytest.mark.parametrize("x", [np.array([True]), np.longdouble(1), None, 1j], ids=repr)
def test_what_is_not_a_real_number_of_at_most_64_bits_is_refused(kernel, x):
    says = r"at most 64 bits: got (bool|float128|object|complex128); use"
    with pytest.raises(DTypeError, match=says):
        kernel(x)


@kernels
@dtypes
def test_everything_finite_is_finite_and_nan_stays_nan(kernel, dtype):
    limits = np.finfo(dtype)
    sizes = np.geomspace(limits.smallest_normal, limits.max / 2, 500, dtype=dtype)
    x = np.concatenate([sizes, -sizes, [limits.max, limits.min, limits.smallest_subnormal, 0]])
    for part in both(kernel):
        with np.errstate(over="ignore", divide="raise", invalid="raise"):
            assert np.isfinite(part(x.astype(dtype))).all()
        nan = np.isnan(part(np.array([1.0, np.nan, -np.nan], dtype)))
        assert nan.tolist() == [False, True, True]


def test_decay_is_the_exponential_below_the_smallest_normal_number_too():
    t = np.array([0.0, 1.0, 700.0, 720.5, 745.0, 800.0])
    head, last = decay(t)
    np.testing.assert_array_equal(last[:3], 1.0)
    np.testing.assert_allclose(head[3] * 2**40 * last[3], float(mp.exp(-720.5) * 2**40), rtol=1e-15)
    assert (head >= np.finfo(float).smallest_normal).all()
    assert (head * last)[5] == 0


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_near_the_real_axis_a_function_is_its_value_and_its_slope(dtype):
    z = np.array([1 + 1e-20j, -2 - 3e-20j], dtype)
    got = near_the_real_axis(z, np.sin, np.cos)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, np.sin(z), rtol=2 * np.finfo(dtype).eps)


def test_a_complex_logarithm_near_1_keeps_both_parts():
    z = np.array([1e-20 + 1e-30j, 0.5 - 0.25j, 1e-300j])
    with mp.workdps(60):
        exact = [complex(mp.log(1 + mp.mpc(complex(one)))) for one in z]
    got = log1p(z)
    np.testing.assert_allclose(got.real, [one.real for one in exact], rtol=1e-15)
    np.testing.assert_allclose(got.imag, [one.imag for one in exact], rtol=1e-15)
