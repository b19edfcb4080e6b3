"""What the functions give at the edges: infinities, NaN, signed zeros, huge and empty rows.

Every floating-point error is set to raise, so a warning that escapes is an exception here.
"""

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F

INF, NAN = np.inf, np.nan

double_and_single = pytest.mark.parametrize("dtype", [np.float64, np.float32])
create_graph = pytest.mark.parametrize("create_graph", [False, True])
pytestmark = [double_and_single, create_graph]


@pytest.fixture(autouse=True)
def loud():
    with np.errstate(all="raise"):
        yield


def run(fn, x, dtype, create_graph, ct=None):
    """The value and the gradient, after looking at their dtypes."""
    x = np.array(x, dtype)
    leaf = nx.tensor(x, requires_grad=True)
    y = fn(leaf)
    ct = np.ones(y.shape) if ct is None else np.array(ct)
    (gradient,) = nx.grad(y, leaf, ct.astype(dtype), create_graph=create_graph)
    plain = fn(x)
    assert plain.dtype == y.dtype == gradient.dtype == dtype
    np.testing.assert_array_equal(plain, y.data)
    return y.data, gradient.data


def same(got, want):
    """Equal, NaN where NaN is, and zeros of one sign."""
    want = np.array(want, got.dtype)
    np.testing.assert_array_equal(got, want)
    there = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[there]), np.signbit(want[there]))


def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


@pytest.mark.parametrize("fn", [F.gelu, gelu_tanh, F.silu])
def test_gated_functions(fn, dtype, create_graph):
    value, slope = run(fn, [-INF, INF, NAN, -0.0, 0.0], dtype, create_graph)
    same(value, [-0.0, INF, NAN, -0.0, 0.0])
    same(slope, [*([NAN, NAN] if create_graph else [0.0, 1.0]), NAN, 0.5, 0.5])


@pytest.mark.parametrize("fn", [F.erf, F.tanh])
def test_odd_functions(fn, dtype, create_graph):
    value, slope = run(fn, [-INF, INF, NAN, -0.0, 0.0], dtype, create_graph)
    same(value, [-1.0, 1.0, NAN, -0.0, 0.0])
    at_0 = 2 / np.sqrt(np.pi) if fn is F.erf else 1.0
    same(slope[:3], [0.0, 0.0, NAN])
    np.testing.assert_allclose(slope[3:], at_0, rtol=1e-7)


def test_sigmoid(dtype, create_graph):
    value, slope = run(F.sigmoid, [-INF, INF, NAN, -0.0], dtype, create_graph)
    same(value, [0.0, 1.0, NAN, 0.5])
    same(slope, [0.0, 0.0, NAN, 0.25])


def test_relu(dtype, create_graph):
    value, slope = run(F.relu, [-INF, INF, -0.0, 0.0, NAN], dtype, create_graph)
    np.testing.assert_array_equal(value, np.array([0, INF, 0, 0, NAN], dtype))
    same(slope[:4], [0.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("fn", "least"), [(F.gelu, 0.0), (gelu_tanh, 0.0), (F.silu, 0.0), (F.erf, -1), (F.tanh, -1)]
)
def test_the_largest_and_smallest_floats(fn, least, dtype, create_graph):
    huge, tiny = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    value, slope = run(fn, [-huge, huge, -tiny, tiny], dtype, create_graph)
    assert value[0] == least
    assert value[1] == (1 if least else huge)
    if fn is not gelu_tanh or not create_graph:  # there x² overflows in the equation
        assert np.isfinite(slope).all()
    assert (np.signbit(value) == [True, False, True, False]).all()


FAMILY = [F.softmax, F.log_softmax, F.logsumexp]
family = pytest.mark.parametrize("fn", FAMILY, ids=lambda fn: fn.__name__)


class TestRows:
    @pytest.mark.parametrize(
        ("row", "total"),
        [
            ([-INF, -INF], -INF),
            ([-INF], -INF),
            ([INF, 0.0], INF),
            ([0.0, INF, INF], INF),
            ([INF, -INF], INF),
            ([INF], INF),
            ([NAN, 0.0], NAN),
            ([0.0, NAN, INF], NAN),
            ([-INF, NAN], NAN),
        ],
    )
    def test_without_a_finite_maximum_there_are_no_shares(self, row, total, dtype, create_graph):
        """All -inf is 0/0 and +inf is inf/inf, as in torch, JAX and SciPy."""
        nothing = [NAN] * len(row)
        for fn in (F.softmax, F.log_softmax):
            value, gradient = run(fn, row, dtype, create_graph)
            same(value, nothing)
            same(gradient, nothing)
        value, gradient = run(F.logsumexp, [row], dtype, create_graph)
        same(value, [total])
        same(gradient, [nothing])

    def test_such_a_row_leaves_the_others_alone(self, dtype, create_graph):
        rows = [[-INF, -INF], [0.0, 0.0], [INF, 0.0], [NAN, 0.0]]
        value, gradient = run(F.softmax, rows, dtype, create_graph, ct=[[1.0, 3.0]] * 4)
        same(value[1], [0.5, 0.5])
        same(gradient[1], [-0.5, 0.5])
        assert np.isnan(value[[0, 2, 3]]).all()

    def test_one_minus_infinity_is_a_mask(self, dtype, create_graph):
        row, ct = [1.0, -INF, 1.0], [1.0, 2.0, 3.0]
        value, gradient = run(F.softmax, row, dtype, create_graph, ct)
        same(value, [0.5, 0.0, 0.5])
        np.testing.assert_array_equal(gradient, [-0.5, 0.0, 0.5])
        value, gradient = run(F.log_softmax, row, dtype, create_graph, ct)
        assert value[1] == -INF
        np.testing.assert_array_equal(gradient, [-2.0, 2.0, 0.0])
        value, gradient = run(F.logsumexp, row, dtype, create_graph)
        np.testing.assert_allclose(value, 1 + np.log(2), rtol=np.finfo(dtype).eps)
        same(gradient, [0.5, 0.0, 0.5])

    def test_rows_at_the_end_of_the_range(self, dtype, create_graph):
        huge = 0.6 * np.finfo(dtype).max  # the difference of two overflows
        value, gradient = run(F.softmax, [-huge, huge], dtype, create_graph, ct=[1.0, 2.0])
        same(value, [0.0, 1.0])
        np.testing.assert_array_equal(gradient, [0.0, 0.0])
        value, gradient = run(F.log_softmax, [-huge, huge], dtype, create_graph, ct=[1.0, 2.0])
        np.testing.assert_array_equal(value, [-INF, 0.0])
        np.testing.assert_array_equal(gradient, [1.0, -1.0])
        value, gradient = run(F.logsumexp, [-huge, huge], dtype, create_graph)
        assert value == dtype(huge)
        same(gradient, [0.0, 1.0])

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_equal_entries_at_the_end_of_the_range(self, sign, dtype, create_graph):
        row = [sign * np.finfo(dtype).max] * 2
        value, _ = run(F.softmax, row, dtype, create_graph)
        same(value, [0.5, 0.5])
        value, _ = run(F.log_softmax, row, dtype, create_graph)
        same(value, [-dtype(np.log(2))] * 2)
        value, gradient = run(F.logsumexp, row, dtype, create_graph)
        assert value == row[0]
        same(gradient, [0.5, 0.5])

    @family
    @pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
    def test_no_rows(self, fn, shape, dtype, create_graph):
        value, gradient = run(fn, np.zeros(shape), dtype, create_graph)
        assert value.shape == (shape[:-1] if fn is F.logsumexp else shape)
        assert gradient.shape == shape

    @family
    def test_one_entry(self, fn, dtype, create_graph):
        value, gradient = run(fn, [-3.0], dtype, create_graph)
        assert value == {"softmax": 1, "log_softmax": 0, "logsumexp": -3}[fn.__name__]
        assert gradient == (1 if fn is F.logsumexp else 0)


def norm(x):
    return F.layer_norm(x)


class TestLayerNorm:
    @pytest.mark.parametrize("bad", [INF, -INF, NAN])
    def test_infinity_and_nan_spoil_their_rows_alone(self, bad, dtype, create_graph):
        rows = [[1.0, bad, 2.0], [1.0, 1.0, 1.0]]
        value, gradient = run(norm, rows, dtype, create_graph, ct=[[1.0, 2.0, 3.0]] * 2)
        assert np.isnan(value[0]).all()
        assert np.isnan(gradient[0]).all()
        np.testing.assert_array_equal(value[1], [0.0, 0.0, 0.0])
        np.testing.assert_allclose(gradient[1], np.array([-1, 0, 1]) / np.sqrt(1e-5), rtol=1e-6)

    def test_squares_beyond_the_range(self, dtype, create_graph):
        """In float64 the variance is infinite; float32 is calculated in float64, where it fits."""
        huge = np.finfo(dtype).max
        value, gradient = run(norm, [-huge, huge], dtype, create_graph)
        np.testing.assert_array_equal(value, [0, 0] if dtype is np.float64 else [-1, 1])
        np.testing.assert_allclose(gradient, 0, atol=1e-30)

    def test_squares_below_the_range(self, dtype, create_graph):
        tiny = np.finfo(dtype).smallest_subnormal
        value, _ = run(lambda x: F.layer_norm(x, eps=0.0), [-tiny, tiny], dtype, create_graph)
        same(value, [-INF, INF] if dtype is np.float64 else [-1, 1])

    @pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
    def test_no_rows(self, shape, dtype, create_graph):
        value, gradient = run(norm, np.zeros(shape), dtype, create_graph)
        assert value.shape == gradient.shape == shape


def test_linear_passes_infinity_and_nan_on(dtype, create_graph):
    weight = np.array([[1.0, 1.0]], dtype)
    value, _ = run(
        lambda x: F.linear(x, weight),
        [[INF, 1.0], [INF, -INF], [NAN, 0.0], [1.0, 2.0]],
        dtype,
        create_graph,
    )
    same(value, [[INF], [NAN], [NAN], [3.0]])
