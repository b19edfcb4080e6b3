"""Indexing, and what Python asks of anything that holds values."""

import array
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import integers, refused

import numixology as nx
from numixology import shapes
from numixology.checks import DTYPES
from numixology.errors import DTypeError, IndexRangeError, ShapeError

SHAPE = (3, 4, 5)
MASK = np.arange(60).reshape(SHAPE) % 7 == 2
ROWS = np.array([True, False, True])

INDICES = {
    "integer": 1,
    "negative": -1,
    "numpy integer": np.int64(2),
    "all integers": (1, 2, 3),
    "slice": slice(1, None),
    "steps": (slice(None, None, 2), slice(3, 0, -1)),
    "empty slice": slice(2, 2),
    "ellipsis": (Ellipsis, 2),
    "ellipsis alone": Ellipsis,
    "new axes": (None, 1, None, slice(None), None),
    "nothing": (),
    "list": [2, 0],
    "repeats": [0, 2, 0, 0],
    "negative repeats": np.array([-1, 2, 0]),
    "empty list": [],
    "empty array": np.array([], np.int64),
    "matrix of places": np.array([[0, 1], [1, 1], [2, 0]]),
    "two arrays": ([0, 1, 0], [3, 3, 3]),
    "broadcast arrays": (np.array([[0], [2]]), np.array([1, 1, 3])),
    "arrays apart": ([0, 0], slice(1, 3), [4, 4]),
    "array and integer": (slice(None), 1, [4, 4, 0]),
    "array of one number": np.array(1),
    "small integers": np.array([0, 1, 0], np.int8),
    "unsigned integers": np.array([0, 1, 0], np.uint8),
    "mask": MASK,
    "mask of rows": ROWS,
    "list of booleans": [True, False, True],
    "mask and slice": (ROWS, slice(None), slice(0, 2)),
    "mask and repeats": (ROWS, [1, 1]),
    "true": True,
    "false": False,
}


def leaf(data) -> nx.Tensor:
    return nx.tensor(data, requires_grad=True)


def as_tensors(index):
    """The same index with tensors in the place of arrays and lists."""
    if isinstance(index, tuple):
        return tuple(as_tensors(one) for one in index)
    if isinstance(index, list | np.ndarray) and np.asarray(index).dtype in DTYPES:
        return nx.tensor(np.asarray(index, np.int64) if np.size(index) == 0 else index)
    return index


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("change", [lambda i: i, as_tensors], ids=["plain", "tensors"])
def test_values_and_gradients(name, change) -> None:
    index = INDICES[name]
    array = integers(*SHAPE)
    expected = array[index]
    x = leaf(array)
    y = x[change(index)]
    assert type(y) is nx.Tensor
    np.testing.assert_array_equal(y.numpy(), expected, strict=True)
    ct = integers(*expected.shape, seed=1)
    truth = np.zeros(array.size)
    np.add.at(truth, np.arange(array.size).reshape(SHAPE)[index], ct)  # adds up repeats
    (dx,) = nx.grad(y, x, nx.tensor(ct), create_graph=True)
    np.testing.assert_array_equal(dx.numpy(), truth.reshape(SHAPE))
    np.testing.assert_array_equal(nx.grad(y, x, ct)[0].numpy(), truth.reshape(SHAPE))


@pytest.mark.parametrize("name", INDICES)
def test_second_order(name) -> None:
    index = INDICES[name]
    x = leaf(integers(*SHAPE))
    y = x[index]
    v = leaf(integers(*y.shape, seed=1))
    (dx,) = nx.grad(y * y, x, v, create_graph=True)
    u = integers(*SHAPE, seed=2)
    (by_v,) = nx.grad(dx, v, nx.tensor(u), create_graph=True)
    np.testing.assert_array_equal(by_v.numpy(), 2 * y.numpy() * u[index])
    (ddx,) = nx.grad(dx, x, u)
    truth = np.zeros(x.size)
    np.add.at(truth, np.arange(x.size).reshape(SHAPE)[index], 2 * v.numpy() * u[index])
    np.testing.assert_array_equal(ddx.numpy(), truth.reshape(SHAPE))


@given(st.data())
def test_basic_indices_of_any_kind(data) -> None:
    array = integers(*SHAPE)
    index = data.draw(hnp.basic_indices(SHAPE, allow_newaxis=True, allow_ellipsis=True))
    x = leaf(array)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), array[index], strict=True)
    (dx,) = nx.grad(y, x, np.ones(y.shape))
    truth = np.zeros(SHAPE)
    truth[index] = 1
    np.testing.assert_array_equal(dx.numpy(), truth)


@given(hnp.integer_array_indices(SHAPE, result_shape=hnp.array_shapes(max_dims=2, max_side=4)))
def test_integer_arrays_of_any_kind(index) -> None:
    array = integers(*SHAPE)
    x = leaf(array)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), array[index], strict=True)
    (dx,) = nx.grad(y, x, np.ones(y.shape))
    truth = np.zeros(SHAPE)
    np.add.at(truth, index, 1)
    np.testing.assert_array_equal(dx.numpy(), truth)


def test_slices_are_views_and_lists_are_copies() -> None:
    x = nx.tensor(integers(*SHAPE))
    assert np.shares_memory(x[1:, ::2].data, x.data)
    assert not np.shares_memory(x[[0, 1]].data, x.data)


def test_single_integers_of_tensors_are_indices() -> None:
    x = nx.tensor([1.0, 2.0, 3.0, 4.0])
    one, three = nx.tensor(1), nx.tensor(3)
    assert x[one].item() == 2.0
    assert x[one:three].tolist() == [2.0, 3.0]
    assert x[[one, three]].tolist() == [2.0, 4.0]
    assert [10, 20, 30][one] == 20
    assert "abcd"[one:three] == "bc"


def test_an_index_is_remembered_as_it_was() -> None:
    x = leaf([1.0, 2.0, 3.0])
    places = np.array([0, 0])
    which = nx.tensor([1, 1])
    mask = np.array([True, False, False])
    y = x[places].sum() + x[(places,)].sum() + x[which].sum() + x[mask].sum()
    places[:] = 2
    which.data[:] = 2
    mask[:] = True
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0 + 2.0 + 1.0, 2.0, 0.0]


@pytest.mark.parametrize(
    "index",
    [
        3,
        -4,
        (0, 4),
        [0, 3],
        (0, 0, 0, 0),
        "text",
        1.5,
        nx.tensor(1.0),
        np.array([0.5]),
        [1.0],
        [None],
        {},
        MASK[:2],
        (Ellipsis, Ellipsis),
    ],
    ids=str,
)
def test_indices_that_do_not_exist(index) -> None:
    x = leaf(integers(*SHAPE))
    with refused(IndexRangeError):
        x[index]


def test_index_errors_say_what_was_wrong() -> None:
    x = nx.tensor(integers(*SHAPE))
    with refused(IndexRangeError, "getitem", "shape (3, 4, 5)", "out of bounds"):
        x[7]
    with refused(IndexRangeError, "integers or booleans", "float64"):
        x[[0.5]]
    with refused(IndexRangeError, "integers or booleans", "unequal lengths"):
        x[[0, [1, 2]]]
    with refused(IndexRangeError, "getitem", "too many indices"):
        nx.tensor(1.0)[0]


def test_values_are_not_assigned() -> None:
    x = leaf([1.0, 2.0])
    with refused(DTypeError, "do not change", "[0]", "where", "t.data[...] = value"):
        x[0] = 5.0
    with refused(DTypeError, "slice"):
        x[:1] += 1.0
    assert x.tolist() == [1.0, 2.0]


# scatter, the transpose of getitem


@pytest.mark.parametrize(
    "name", ["slice", "negative repeats", "matrix of places", "mask and slice"]
)
def test_scatter_adds_into_zeros(name) -> None:
    index = INDICES[name]
    part = integers(*np.zeros(SHAPE)[index].shape)
    truth = np.zeros(60)
    np.add.at(truth, np.arange(60).reshape(SHAPE)[index], part)
    x = leaf(part)
    y = shapes.scatter(x, index=index, shape=SHAPE)
    np.testing.assert_array_equal(y.numpy(), truth.reshape(SHAPE))
    v = integers(*SHAPE, seed=1)
    np.testing.assert_array_equal(nx.grad(y, x, v)[0].numpy(), v[index])


# Python's own questions


def test_length_and_iteration() -> None:
    x = leaf(integers(2, 3))
    assert len(x) == 2
    assert len(nx.tensor(np.zeros((0, 3)))) == 0
    rows = list(x)
    assert [row.tolist() for row in rows] == x.tolist()
    (rows[1] * 2).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0] * 3, [2.0] * 3]
    first, second = nx.tensor([5, 7])
    assert (first.item(), second.item()) == (5, 7)
    assert [row.item() for row in reversed(nx.tensor([5, 7]))] == [7, 5]


def test_a_single_number_has_no_length() -> None:
    for ask in (len, iter, list):
        with pytest.raises(TypeError, match="unsized"):
            ask(nx.tensor(1.0))


def test_containment_is_elementwise_equality() -> None:
    x = leaf([[1.0, 2.0], [3.0, np.nan]])
    assert 3.0 in x
    assert 4 not in x
    assert [1.0, 5.0] in x, "as in NumPy: some element of the row is equal"
    assert nx.tensor(2.0) in x
    assert (2.0 in x) is True
    assert np.nan not in x
    for other in ("text", None, {}, object()):
        assert other not in x
    with refused(ShapeError, "equal"):
        np.zeros(3) in x  # noqa: B015


@pytest.mark.parametrize("value", [0, 1, 2.5, 0.0, True, False, np.nan], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
def test_the_truth_of_one_element(value, shape) -> None:
    assert bool(nx.tensor(np.full(shape, value))) is bool(value)


def test_the_truth_of_many_is_not_defined() -> None:
    for shape in ((2,), (0,), (2, 1)):
        with refused(ShapeError, "one element", str(shape), ".any()", ".all()"):
            bool(nx.tensor(np.zeros(shape)))
    with refused(ShapeError, "one element"):
        if nx.tensor([1.0, 2.0]) == nx.tensor([1.0, 2.0]):
            pass


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
def test_numbers_of_one_element(shape) -> None:
    t = nx.tensor(np.full(shape, -2.75))
    assert (float(t), int(t), complex(t)) == (-2.75, -2, -2.75 + 0j)
    assert type(float(nx.tensor(3))) is float
    assert type(int(nx.tensor(True))) is int
    for ask in (float, int):
        with refused(ShapeError, ask.__name__, "one element", "(2,)"):
            ask(nx.tensor([1.0, 2.0]))


def test_an_index_is_a_single_integer() -> None:
    for dtype in ("int64", "int32"):
        found = operator.index(nx.tensor(3, dtype=dtype))
        assert found == 3 and type(found) is int
    for wrong in (nx.tensor([3]), nx.tensor(3.0), nx.tensor(True)):
        with pytest.raises(TypeError, match="integer"):
            operator.index(wrong)
    assert list(range(nx.tensor(3))) == [0, 1, 2]


def test_formats() -> None:
    loss = leaf(0.123456)
    assert f"{loss:.3f}" == "0.123"
    assert f"{loss}" == f"{np.array(0.123456)}" == "0.123456"
    assert f"{loss!r}" == "Tensor(0.123456, requires_grad=True)"
    assert f"{nx.tensor(7):>4d}|" == "   7|"
    many = nx.tensor([1.0, 2.0])
    assert f"{many}" == "Tensor([1., 2.])"
    with refused(ShapeError, "format", "one element", "(2,)"):
        f"{many:.2f}"
    assert f"{nx.tensor([1.0]):.2f}" == "1.00"


@pytest.mark.parametrize(
    "index", [(0, (1, 1)), ((0, 0), (1, 1)), (0, range(1, 2)), array.array("l", [0, 0])], ids=repr
)
def test_repeats_in_any_sequence_add_up(index) -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    x = nx.tensor(values, requires_grad=True)
    y = x[index]
    plain = tuple(np.asarray(i) for i in index) if isinstance(index, tuple) else np.asarray(index)
    np.testing.assert_array_equal(np.asarray(y), values[plain])
    y.sum().backward()
    wanted = np.zeros((2, 2))
    np.add.at(wanted, plain, 1.0)
    assert x.grad.tolist() == wanted.tolist()


def test_the_bounds_of_a_slice_may_change_after_it_was_recorded() -> None:
    x, start, stop = nx.tensor(np.arange(4.0), requires_grad=True), np.array(0), np.array(2)
    y = x[start:stop]
    start[...], stop[...] = 1, 3
    assert nx.grad(y.sum(), x)[0].tolist() == [1.0, 1.0, 0.0, 0.0]
