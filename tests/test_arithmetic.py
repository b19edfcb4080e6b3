"""Operators and elementwise functions: NumPy's values, and gradients from another source."""

import operator
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import complex_step, integers, numbers, refused

import numixology as nx
from numixology import arithmetic
from numixology import functional as F
from numixology.checks import DTYPES
from numixology.errors import ArgumentError, DTypeError, ShapeError, TapeError

ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LOGIC = {"&": operator.and_, "|": operator.or_, "^": operator.xor}


def leaf(data, dtype=None) -> nx.Tensor:
    return nx.tensor(data, dtype=dtype, requires_grad=True)


def same(found, expected) -> None:
    assert type(found) is nx.Tensor
    assert type(found.data) is np.ndarray
    np.testing.assert_array_equal(found.numpy(), np.asarray(expected), strict=True)


# Values


@pytest.mark.parametrize("name", ARITHMETIC | COMPARISONS)
def test_whatever_stands_beside_a_tensor(name) -> None:
    op = (ARITHMETIC | COMPARISONS)[name]
    a, b = numbers(2, 3), numbers(3, seed=1)
    expected = op(a, b)
    for left, right in (
        (nx.tensor(a), nx.tensor(b)),
        (nx.tensor(a), b),
        (a, nx.tensor(b)),
        (nx.tensor(a), b.tolist()),
        (a.tolist(), nx.tensor(b)),
        (nx.tensor(a), tuple(b.tolist())),
    ):
        same(op(left, right), expected)
    t = nx.tensor(a)
    for number in (2, 1.5, True, np.float64(1.5), np.int64(2), np.bool_(True)):
        same(op(t, number), op(a, number))
        same(op(number, t), op(number, a))


@pytest.mark.parametrize("name", ARITHMETIC | COMPARISONS)
def test_dtypes_are_promoted_as_numpy_does(name) -> None:
    op = (ARITHMETIC | COMPARISONS)[name]
    for left, right in product(DTYPES, DTYPES):
        a, b = np.array([[3], [1]], left), np.array([1, 2, 3], right)
        try:
            expected = op(a, b)
        except TypeError:
            expected = None  # NumPy subtracts no booleans
        if expected is None or expected.dtype not in DTYPES:
            with refused(DTypeError, "astype" if expected is not None else "subtract"):
                op(nx.tensor(a), nx.tensor(b))
        else:
            same(op(nx.tensor(a), nx.tensor(b)), expected)
            same(op(nx.tensor(a), b), expected)
            same(op(a, nx.tensor(b)), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("number", [2, 2.0, True], ids=repr)
def test_numbers_are_weak(dtype, number) -> None:
    array = np.array([1, 0, 1], dtype)
    same(nx.tensor(array) + number, array + number)
    same(number * nx.tensor(array), number * array)
    same(nx.tensor(array) / number, array / number)
    same(nx.tensor(array) < number, array < number)


@given(st.data())
def test_broadcasting_of_any_two_shapes(data) -> None:
    whole = data.draw(st.lists(st.integers(1, 4), max_size=4), label="shape")

    def part():
        cut = data.draw(st.integers(0, len(whole)))
        return tuple(data.draw(st.sampled_from([n, 1])) for n in whole[cut:])

    a, b = integers(*part()), integers(*part(), seed=1)
    x, y = leaf(a), leaf(b)
    z = x * y - x
    same(z, a * b - a)
    v = integers(*z.shape, seed=2)
    dx, dy = nx.grad(z, [x, y], nx.tensor(v))
    # summing over what was copied, told by NumPy's own strides
    for found, t, factor in ((dx, a, v * (b - 1)), (dy, b, v * a)):
        expected = np.zeros(t.shape)
        place = np.broadcast_to(np.arange(t.size).reshape(t.shape), z.shape)
        np.add.at(expected.reshape(-1), place, np.broadcast_to(factor, z.shape))
        assert found.shape == t.shape
        np.testing.assert_array_equal(found.numpy(), expected)


def test_shapes_that_do_not_fit() -> None:
    for op in (*ARITHMETIC.values(), *COMPARISONS.values()):
        with refused(ShapeError, "broadcast", "(2, 3)", "(2,)"):
            op(nx.tensor(numbers(2, 3)), nx.tensor(numbers(2)))


def test_unary_operators() -> None:
    a = integers(2, 3)
    t = nx.tensor(a)
    same(-t, -a)
    same(abs(t), abs(a))
    assert +t is t
    same(~nx.tensor([True, False]), [False, True])


@pytest.mark.parametrize("name", LOGIC)
def test_logic_of_booleans(name) -> None:
    op = LOGIC[name]
    a, b = np.array([[True], [False]]), np.array([True, False, True])
    for left, right in (
        (nx.tensor(a), nx.tensor(b)),
        (nx.tensor(a), b),
        (a, nx.tensor(b)),
        (nx.tensor(a), b.tolist()),
    ):
        same(op(left, right), op(a, b))
    for number in (True, False, np.bool_(True)):
        same(op(nx.tensor(a), number), op(a, number))
        same(op(number, nx.tensor(a)), op(number, a))


@pytest.mark.parametrize("name", LOGIC)
def test_logic_of_numbers_is_refused(name) -> None:
    op = LOGIC[name]
    mask, numbers_ = nx.tensor([True]), nx.tensor([6])
    for left, right in (
        (mask, numbers_),
        (numbers_, mask),
        (mask, 1),
        (1, mask),
        (mask, np.array([1])),
        (np.array([6]), numbers_),
        (np.array([True]), numbers_),
        (nx.tensor([1.0]), nx.tensor([2.0])),
    ):
        with refused(DTypeError, "boolean", "(x > 0) & (x < 1)"):
            op(left, right)
    with refused(DTypeError, "boolean", "int64"):
        _ = ~numbers_
    with refused(DTypeError, "boolean", "int64"):
        np.invert(numbers_)
    same(np.invert(mask), [False])


@pytest.mark.parametrize(
    "other",
    [
        "text",
        None,
        {},
        object(),
        1j,
        np.array([1j]),
        np.array(["a"]),
        np.array([1.0], np.longdouble),
        np.datetime64("2026-01-01"),
        [None],
    ],
    ids=lambda o: type(o).__name__,
)
@pytest.mark.parametrize("name", ["+", "*", "<", "**"])
def test_what_cannot_stand_beside_a_tensor(name, other) -> None:
    op = (ARITHMETIC | COMPARISONS)[name]
    t = nx.tensor([1.0, 2.0])
    with refused(DTypeError, "convert"):
        op(t, other)
    with refused(DTypeError, "convert"):
        op(other, t)


@pytest.mark.parametrize("name", ["+", "==", "**"])
def test_lists_that_are_no_arrays_cannot_stand_beside_a_tensor(name) -> None:
    op = (ARITHMETIC | COMPARISONS)[name]
    t = nx.tensor([1.0, 2.0])
    deep: list = []
    endless: list = []
    endless.append(endless)
    for _ in range(1000):
        deep = [deep]
    for other, kind, words in (
        ([nx.tensor(1.0), 2.0], DTypeError, "stack"),
        ((1.0, [nx.tensor(1.0)]), DTypeError, "stack"),
        ([[1.0, 2.0], [3.0]], ShapeError, "equal lengths"),
        (deep, ShapeError, "64 deep"),
        (endless, ShapeError, "64 deep"),
    ):
        for left, right in ((t, other), (other, t)):
            with refused(kind, words):
                op(left, right)


def test_masked_arrays_lose_no_mask_in_silence() -> None:
    with refused(DTypeError, "MaskedArray", ".filled"):
        nx.tensor([1.0, 2.0]) + np.ma.array([1.0, 2.0], mask=[False, True])


def test_what_cannot_be_compared_is_unequal() -> None:
    t = nx.tensor([1.0])
    for other in ("text", None, {}, object()):
        assert (t == other) is False
        assert (t != other) is True


def test_a_number_is_compared_in_the_dtype_of_the_tensor() -> None:
    assert bool(nx.tensor(0.1, dtype="float32") == 0.1)
    assert not bool(nx.tensor(0.1, dtype="float32") == np.float64(0.1))


@pytest.mark.parametrize("function", [F.exp, F.sqrt, F.tanh, F.log])
def test_booleans_do_not_become_half_floats(function) -> None:
    with refused(DTypeError, "astype('float64')"):
        function(nx.tensor([True, False]))


def test_dtypes_stay_among_the_five() -> None:
    mask = nx.tensor([True, False])
    for other in (np.int8(1), np.array([1], np.uint8), np.array([1], np.uint64), np.float16(1)):
        with refused(DTypeError, "add", str(np.asarray(other).dtype), "astype"):
            mask + other
    same(nx.tensor([1.0], dtype="float32") + np.int8(1), np.float32([2.0]))
    same(nx.tensor([1], dtype="int32") * np.array([2], np.uint8), np.int32([2]))


# Gradients by complex steps: name -> (function of tensors or arrays, arguments)

MASK = np.array([True, False, True])


def larger(a, b):
    """NumPy orders complex numbers by both parts; a step must not decide."""
    return F.maximum(a, b) if isinstance(a, nx.Tensor) else np.where(a.real > b.real, a, b)


def smaller(a, b):
    return F.minimum(a, b) if isinstance(a, nx.Tensor) else np.where(a.real < b.real, a, b)


SMOOTH = {
    "add": (lambda a, b: a + b, [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "subtract": (lambda a, b: a - b, [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "subtract from": (lambda a: 1.0 - a, [numbers(2, 3)]),
    "multiply": (lambda a, b: a * b, [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "divide": (lambda a, b: a / b, [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "divide a number": (lambda a: 2.0 / a, [numbers(2, 3)]),
    "power": (lambda a, b: a**b, [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "power of a number": (lambda b: 2.5**b, [numbers(2, 3)]),
    "to a number": (lambda a: a**2.5, [numbers(2, 3)]),
    "to a whole number": (lambda a: a**3, [numbers(2, 3)]),
    "to a negative number": (lambda a: a**-2, [numbers(2, 3)]),
    "to an array": (lambda a: a ** np.array([0.0, 2.0, -1.5]), [numbers(2, 3)]),
    "negative": (lambda a: -a, [numbers(2, 3)]),
    "log": (F.log, [numbers(2, 3)]),
    "where": (lambda a, b: F.where(MASK, a, b), [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "where a number": (lambda a: F.where(MASK, a * a, 2.0), [numbers(2, 3)]),
    "copy": (lambda a: nx.primitives.copy_of(a) * a, [numbers(2, 3)]),
    # these have kinks, but not here, and the package itself continues them to complex arrays
    "absolute": (lambda a: F.abs(a - 1.25), [numbers(2, 3)]),
    "maximum": (larger, [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "minimum": (smaller, [numbers(2, 1, 3), numbers(4, 1, seed=1)]),
    "clip": (lambda a: F.clip(a, 0.9, 1.6) * a, [numbers(2, 3)]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_by_complex_steps(name) -> None:
    fn, arrays = SMOOTH[name]
    inputs = [leaf(a) for a in arrays]
    y = fn(*inputs)
    np.testing.assert_allclose(y.numpy(), np.real(fn(*arrays)), rtol=1e-14)
    ct = numbers(*y.shape, seed=5)
    for recorded in (False, True):
        found = nx.grad(y, inputs, nx.tensor(ct), create_graph=recorded)
        for one, truth in zip(found, complex_step(fn, arrays, ct), strict=True):
            np.testing.assert_allclose(one.numpy(), truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_by_differences_of_first_ones(name) -> None:
    fn, arrays = SMOOTH[name]
    inputs = [leaf(a) for a in arrays]
    y = fn(*inputs)
    ct = numbers(*y.shape, seed=5)
    firsts = nx.grad(y, inputs, nx.tensor(ct), create_graph=True)
    directions = [numbers(*a.shape, seed=6) for a in arrays]
    total = sum((g * u).sum() for g, u in zip(firsts, directions, strict=True))
    step = 1e-5
    ahead, behind = (
        complex_step(fn, [a + s * u for a, u in zip(arrays, directions, strict=True)], ct)
        for s in (step, -step)
    )
    for i, one in enumerate(inputs):
        truth = (ahead[i] - behind[i]) / (2 * step)
        if total.requires_grad:
            try:
                (found,) = nx.grad(total, one)
            except TapeError:  # this input's part is linear
                found = nx.tensor(np.zeros(one.shape))
        else:
            found = nx.tensor(np.zeros(one.shape))
        np.testing.assert_allclose(found.numpy(), truth, rtol=1e-7, atol=1e-8)


# Gradients where calculus has nothing to say


def pulled(fn, *arrays, ct=None) -> list[list[float]]:
    """The gradients, which are the same in both modes of backward."""
    inputs = [leaf(a) for a in arrays]
    y = fn(*inputs)
    ct = np.ones(y.shape) if ct is None else np.asarray(ct)
    found = nx.grad(y, inputs, nx.tensor(ct), create_graph=True)
    plain = nx.grad(y, inputs, ct)
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    return [one.tolist() for one in plain]


def test_ties_are_shared_equally() -> None:
    a, b = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    ct = [10.0, 100.0, 1000.0]
    assert pulled(F.maximum, a, b, ct=ct) == [[0.0, 50.0, 1000.0], [10.0, 50.0, 0.0]]
    assert pulled(F.minimum, a, b, ct=ct) == [[10.0, 50.0, 0.0], [0.0, 50.0, 1000.0]]
    assert pulled(lambda x: F.maximum(x, x), a, ct=ct) == [ct]
    assert pulled(lambda x: F.minimum(x, 2.0), a, ct=ct) == [[10.0, 50.0, 0.0]]


def test_maximum_and_minimum_pass_nan_on() -> None:
    a, b = np.array([np.nan, 1.0, -0.0]), np.array([1.0, np.nan, 0.0])
    same(F.maximum(nx.tensor(a), b), np.maximum(a, b))
    same(F.minimum(nx.tensor(a), b), np.minimum(a, b))


def test_sign_absolute_and_steps_at_zero() -> None:
    x = [-2.0, 0.0, 3.0]
    assert pulled(F.abs, x) == [[-1.0, 0.0, 1.0]]
    assert pulled(F.sign, x) == [[0.0, 0.0, 0.0]]
    same(F.sign(nx.tensor(x)), [-1.0, 0.0, 1.0])
    assert pulled(lambda a: a // 2.0, x) == [[0.0, 0.0, 0.0]]
    assert pulled(lambda a: 7.0 // a, [2.0, -3.0]) == [[0.0, 0.0]]


def test_remainders() -> None:
    a, b = np.array([7.0, -7.0, 7.5]), np.array([3.0, 3.0, -2.0])
    assert pulled(lambda a, b: a % b, a, b) == [[1.0, 1.0, 1.0], (-np.floor(a / b)).tolist()]
    assert pulled(lambda b: 7.0 % b, [3.0, 4.0]) == [[-2.0, -1.0]]


def test_a_clipped_value_keeps_its_slope_on_the_bounds() -> None:
    x = [-1.0, 0.0, 0.5, 2.0, 3.0]
    same(F.clip(nx.tensor(x), 0.0, 2.0), np.clip(x, 0.0, 2.0))
    assert pulled(lambda a: a.clip(0.0, 2.0), x) == [[0.0, 1.0, 1.0, 1.0, 0.0]]
    assert pulled(lambda a: F.clip(a, min=0.0), x) == [[0.0, 1.0, 1.0, 1.0, 1.0]]
    assert pulled(lambda a: F.clip(a, max=2.0), x) == [[1.0, 1.0, 1.0, 1.0, 0.0]]
    assert nx.tensor([1.0, 9.0]).clip(max=2).tolist() == [1.0, 2.0]


def test_bounds_of_clip() -> None:
    x = nx.tensor([1.0])
    with refused(ArgumentError, "bound", "min", "max"):
        F.clip(x)
    for bounds in ((x, None), (None, x)):
        with refused(DTypeError, "constants", "maximum and minimum"):
            x.clip(*bounds)


def test_powers_of_zero_and_to_zero() -> None:
    a, b = np.array([0.0, 0.0, 2.0, 3.0]), np.array([0.0, 2.0, 0.0, 1.0])
    da, db = pulled(lambda a, b: a**b, a, b)
    assert da == [0.0, 0.0, 0.0, 1.0]
    assert db == [0.0, 0.0, np.log(2.0), 3 * np.log(3.0)]
    assert pulled(lambda a: a**0, a) == pulled(lambda a: a**0.0, a) == [[0.0] * 4]
    assert pulled(lambda a: a**1, a) == [[1.0] * 4]
    assert pulled(lambda a: a**2, [-3.0, 0.0]) == [[-6.0, 0.0]]
    assert pulled(lambda a: a ** np.array([2.0, 1.0]), [-3.0, 0.0]) == [[-6.0, 1.0]]
    assert pulled(lambda b: 0.0**b, [2.0, 1.0]) == [[0.0, 0.0]]
    assert np.isneginf(pulled(lambda a, b: a**b, [0.0], [-1.0])[0][0])


def test_booleans_do_not_exponentiate() -> None:
    assert pulled(lambda a: a**True, [3.0]) == [[1.0]]
    same(nx.tensor([3.0]) ** True, [3.0])


def test_where_sends_each_part_home() -> None:
    c = nx.tensor([True, False])
    assert pulled(lambda a, b: F.where(c, a, b), [1.0, 2.0], [3.0, 4.0], ct=[5.0, 7.0]) == [
        [5.0, 0.0],
        [0.0, 7.0],
    ]
    assert pulled(
        lambda a, b: F.where(c, a, b), 1.0, [[3.0], [4.0]], ct=[[1.0, 2.0], [3.0, 4.0]]
    ) == [
        4.0,
        [[2.0], [4.0]],
    ]
    # an infinite cotangent does not leak to the side that was not taken
    assert pulled(lambda a, b: F.where(c, a, b), [1.0, 2.0], [3.0, 4.0], ct=[np.inf, 1.0]) == [
        [np.inf, 0.0],
        [0.0, 1.0],
    ]


def test_logical_functions_of_numbers_are_numpys() -> None:
    a, b = np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, 3.0])
    for ours, numpys in (
        (arithmetic.logical_and, np.logical_and),
        (arithmetic.logical_or, np.logical_or),
        (arithmetic.logical_xor, np.logical_xor),
    ):
        same(ours(nx.tensor(a), nx.tensor(b)), numpys(a, b))
        same(numpys(nx.tensor(a), b), numpys(a, b))
    same(np.logical_not(nx.tensor(a)), np.logical_not(a))


# Silence


@pytest.mark.parametrize("name", ARITHMETIC | COMPARISONS)
def test_no_warning_escapes(name) -> None:
    op = (ARITHMETIC | COMPARISONS)[name]
    extreme = np.array([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e300, 1e-300])
    for dtype in ("float64", "float32"):
        a = nx.tensor(extreme, dtype=dtype)[:, None]
        b = nx.tensor(extreme, dtype=dtype)
        with np.errstate(all="ignore"):
            expected = op(a.data, b.data)
        same(op(a, b), expected)
    zeros = nx.tensor([0, 1])
    with np.errstate(all="ignore"):
        same(op(zeros, zeros), op(zeros.data, zeros.data))


# Plain arrays: the functions double as NumPy, complex numbers included


def test_arrays_in_arrays_out() -> None:
    a, b = integers(2, 3), integers(3, seed=1)
    for ours, numpys in (
        (F.add, np.add),
        (F.maximum, np.maximum),
        (F.matmul, lambda a, b: a @ b),
        (F.power, np.power),
    ):
        b_ = b if ours is not F.power else np.abs(b)
        found = ours(a, b_)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, numpys(a, b_))
    assert F.power(2.0, 3) == 8.0


def test_complex_arrays_branch_on_their_real_parts() -> None:
    z = np.array([-2 + 1e-30j, 3 - 1e-30j, 0.5 + 1e-30j])
    np.testing.assert_array_equal(F.abs(z), [2 - 1e-30j, 3 - 1e-30j, 0.5 + 1e-30j])
    np.testing.assert_array_equal(F.sign(z), [-1, 1, 1])
    np.testing.assert_array_equal(F.clip(z, 0.0, 2.0), [0, 2, 0.5 + 1e-30j])
    np.testing.assert_array_equal(F.clip(z, max=2.0), [-2 + 1e-30j, 2, 0.5 + 1e-30j])
    for ours, numpys in (
        (arithmetic.less, np.less),
        (arithmetic.less_equal, np.less_equal),
        (arithmetic.greater, np.greater),
        (arithmetic.greater_equal, np.greater_equal),
    ):
        np.testing.assert_array_equal(ours(z, 0.5 - 1e-30j), numpys(z.real, 0.5))
    np.testing.assert_array_equal(arithmetic.floor_divide(z, 2.0), [-1, 1, 0])
    np.testing.assert_array_equal(
        arithmetic.remainder(z, 2.0), [0 + 1e-30j, 1 - 1e-30j, 0.5 + 1e-30j]
    )
    by = np.array([2 + 1e-30j])
    np.testing.assert_array_equal(arithmetic.floor_divide(7.0, by), [3])
    np.testing.assert_allclose(arithmetic.remainder(7.0, by), [1 - 3e-30j], rtol=1e-15)


# matmul

SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((2, 0), (0, 3)),
    ((1, 3), (3, 1)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_matmul(left, right) -> None:
    a, b = integers(*left), integers(*right, seed=1)
    x, y = leaf(a), leaf(b)
    for z in (x @ y, F.matmul(x, y), np.matmul(x, y), x @ b, a @ y):
        same(z, a @ b)
    ct = integers(*(a @ b).shape, seed=2)
    expected = complex_step(np.matmul, [a, b], ct)
    for recorded in (False, True):
        found = nx.grad(x @ y, [x, y], nx.tensor(ct), create_graph=recorded)
        for one, truth in zip(found, expected, strict=True):
            assert one.shape == truth.shape
            np.testing.assert_allclose(one.numpy(), truth, rtol=1e-12)


@pytest.mark.parametrize(("left", "right"), SHAPES[:10], ids=str)
def test_matmul_to_second_order(left, right) -> None:
    """The product is linear in each, so the mixed derivative is the product of directions."""
    a, b, u, w = (
        integers(*left),
        integers(*right, seed=1),
        integers(*left, seed=2),
        integers(*right, seed=3),
    )
    x, y = leaf(a), leaf(b)
    ct = integers(*(a @ b).shape, seed=4)
    (dx,) = nx.grad(x @ y, x, nx.tensor(ct), create_graph=True)
    (dyx,) = nx.grad((dx * u).sum(), y)
    assert (dyx.numpy() * w).sum() == (ct * (u @ w)).sum()


def test_matmul_of_lists() -> None:
    same(nx.tensor([[1.0, 2.0]]) @ [3.0, 4.0], [11.0])
    same([[1.0, 2.0]] @ nx.tensor([3.0, 4.0]), [11.0])


def test_matmul_that_does_not_fit() -> None:
    with refused(ShapeError, "matmul", "(2, 3)", "(2, 3)", "core dimension"):
        nx.tensor(integers(2, 3)) @ nx.tensor(integers(2, 3))
    with refused(ShapeError, "matmul", "array(2.)"):
        nx.tensor(2.0) @ nx.tensor([1.0])
    with refused(ShapeError, "matmul", "broadcast", "(2, 2, 3)"):
        nx.tensor(integers(2, 2, 3)) @ nx.tensor(integers(4, 3, 2))


# What hides in a constant


def test_a_list_that_holds_a_tensor_is_refused_everywhere() -> None:
    y = nx.tensor(2.0, requires_grad=True)
    for call in (
        lambda: F.exp([y, y]),
        lambda: F.multiply(nx.tensor([1.0, 2.0]), [y, y]),
        lambda: F.where([True, False], [y, y], 0.0),
        lambda: F.matmul([y, y], np.ones(2)),
    ):
        with refused(DTypeError, "a list that holds a tensor", "stack"):
            call()


def test_lists_of_numbers_have_gradients_beside_them() -> None:
    x = nx.tensor([2.0, 3.0], requires_grad=True)
    (dx,) = nx.grad(F.power(x, [2.0, 3.0]).sum(), x)
    assert dx.tolist() == [4.0, 27.0]


def test_matrices_and_masks_are_refused() -> None:
    x = nx.tensor([[1.0, 2.0]], requires_grad=True)
    matrix = np.array([[1.0, 2.0]]).view(np.matrix)
    masked = np.ma.array([[1.0, 2.0]], mask=[[True, False]])
    for call in (
        lambda other: F.multiply(x, other),
        lambda other: x * other,
        lambda other: x == other,
        lambda other: F.concatenate([x, other]),
        lambda other: F.einsum("ij,ij->i", x, other),
        lambda other: (x * x).backward(other),
    ):
        for other in (matrix, masked):
            with refused(DTypeError, "plain arrays", type(other).__name__, "np.asarray"):
                call(other)
    for left in (lambda: matrix * x, lambda: matrix + x, lambda: matrix @ x.T):
        with refused(DTypeError, "plain arrays", "matrix", "np.asarray"):
            left()


def test_the_condition_of_where_has_no_slope() -> None:
    x = nx.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    (dx,) = nx.grad(F.where(x, x * x, 3.0).sum(), x)
    assert dx.tolist() == [-2.0, 0.0, 4.0]


@pytest.mark.parametrize(
    ("wide", "narrow"), [("float64", "float32"), ("float32", "float64")], ids=str
)
def test_slopes_of_powers_have_the_digits_of_the_power(wide, narrow) -> None:
    a, b = np.array([1.1, 1.3], wide), np.array([0.1, 0.3], narrow)
    x, e = leaf(a), leaf(b)
    dx, de = nx.grad((x**e).sum(), (x, e))
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    for found, truth in (
        (dx, b64 * a64 ** (b64 - 1)),
        (de, a64**b64 * np.log(a64)),
    ):
        rtol = 1e-15 if found.dtype == np.float64 else 1e-7
        np.testing.assert_allclose(found.numpy(), truth, rtol=rtol)


@pytest.mark.parametrize("sign", ["+=", "-=", "*=", "/=", "**=", "@="])
def test_a_leaf_is_not_rebound_by_an_update(sign) -> None:
    names = {"t": nx.tensor([1.0], requires_grad=True), "u": nx.tensor([2.0])}
    with refused(TapeError, "does not change", f"t {sign}", f"t.data {sign}"):
        exec(f"t {sign} [2.0]", names)
    exec(f"u {sign} [2.0]", names)
    exec(f"v = t * 1.0\nv {sign} [2.0]", names)
    expected = {
        "+=": (4.0, 3.0),
        "-=": (0.0, -1.0),
        "*=": (4.0, 2.0),
        "/=": (1.0, 0.5),
        "**=": (4.0, 1.0),
        "@=": (4.0, 2.0),
    }[sign]
    assert (names["u"].item(), names["v"].item()) == expected
    assert names["v"].requires_grad


@pytest.mark.parametrize("a", [2.0, 3.0, 1e-3])
def test_the_slope_of_a_power_by_its_base_changes_with_an_exponent_of_zero(a):
    base, exponent = nx.tensor([a], requires_grad=True), nx.tensor([0.0], requires_grad=True)
    (slope,) = nx.grad(base**exponent, base, create_graph=True, grad_outputs=nx.tensor([1.0]))
    assert slope.item() == 0
    (mixed,) = nx.grad(slope, exponent, grad_outputs=nx.tensor([1.0]))
    assert mixed.item() == pytest.approx(1 / a, rel=1e-15)


@pytest.mark.parametrize("a", [0.0, 5e-324, -1e-310, 1e-307, np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_slope_of_a_power_of_zero_is_zero_at_any_base(a, dtype):
    base = nx.tensor(np.array([a], dtype), requires_grad=True)
    (slope,) = nx.grad(base ** nx.tensor(np.zeros(1, dtype)), base, grad_outputs=np.ones(1, dtype))
    assert slope.item() == 0
