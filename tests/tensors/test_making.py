"""Making tensors, their attributes and dtypes, and copying them."""

import copy
import pickle
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import integers, refused

import numixology as nx
from numixology import functional as F
from numixology.checks import DTYPES, as_dtype
from numixology.errors import ArgumentError, DTypeError, ShapeError, TapeError

SHAPES = [(), (1,), (3,), (2, 3), (2, 3, 5), (0,), (2, 0, 3)]


def leaf(data, dtype=None) -> nx.Tensor:
    return nx.tensor(data, dtype=dtype, requires_grad=True)


# Data


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_tensor_of_an_array(shape, dtype) -> None:
    array = integers(*shape).astype(dtype)
    t = nx.tensor(array)
    assert isinstance(t, nx.Tensor)
    assert (t.shape, t.ndim, t.size, t.dtype) == (shape, len(shape), array.size, dtype)
    assert type(t.data) is np.ndarray
    np.testing.assert_array_equal(t.data, array, strict=True)
    assert not np.shares_memory(t.data, array)
    assert not t.requires_grad and t.grad is None


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float64"),
        (2, "int64"),
        (True, "bool"),
        ([1, 2.5], "float64"),
        ([[True], [False]], "bool"),
        (((1, 2), (3, 4)), "int64"),
        ([], "float64"),
        (range(3), "int64"),
        (np.float32(1.5), "float32"),
        ([np.float32(1.5), np.float32(2.5)], "float32"),
        ([np.ones(2), np.zeros(2)], "float64"),
        (np.arange(6).reshape(2, 3)[:, ::-2], "int64"),
    ],
    ids=repr,
)
def test_the_dtype_is_that_of_the_data(data, dtype) -> None:
    t = nx.tensor(data)
    assert t.dtype == dtype
    np.testing.assert_array_equal(t.numpy(), np.array(data))


def test_tensor_and_its_class_are_the_same_thing() -> None:
    made = nx.Tensor([1, 2], dtype="float32", requires_grad=True)
    assert (made.tolist(), made.dtype, made.requires_grad) == ([1.0, 2.0], np.float32, True)


def test_a_tensor_of_a_tensor_is_a_copy() -> None:
    t = nx.tensor([1.0, 2.0])
    u = nx.tensor(t, dtype=np.float32)
    assert (u.tolist(), u.dtype) == ([1.0, 2.0], np.float32)
    assert not np.shares_memory(nx.tensor(t).data, t.data)


def test_a_past_is_not_lost_silently() -> None:
    x = leaf([1.0])
    for tracked in (x, x * 2):
        with refused(TapeError, "past", "detach()"):
            nx.tensor(tracked)
    assert nx.tensor((x * 2).detach()).tolist() == [2.0]


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i8", ">i4"])
def test_other_byte_orders_are_converted(dtype) -> None:
    t = nx.tensor(np.array([1, 2], dtype))
    assert t.dtype in DTYPES
    assert t.dtype.isnative
    assert t.dtype == np.dtype(dtype).newbyteorder("=")
    assert t.tolist() == [1, 2]
    assert nx.tensor([1, 2], dtype=dtype).dtype.isnative


@pytest.mark.parametrize(
    "data",
    [
        np.float16([1]),
        np.array([1], np.uint8),
        np.array([1], np.int8),
        np.array([1], np.int16),
        np.array([1], np.uint32),
        [2**63],
        [2**70],
        np.array([1j]),
        1j,
        "text",
        ["a", "b"],
        b"bytes",
        None,
        [None],
        {"a": 1},
        object(),
        np.array([1.0], object),
        np.array(["2026-01-01"], "datetime64[D]"),
        np.array([1], np.longdouble),
        (n for n in (1, 2)),
    ],
    ids=lambda data: f"{type(data).__name__} {getattr(data, 'dtype', '')}",
)
def test_what_is_none_of_the_five_dtypes_is_refused(data) -> None:
    with refused(DTypeError, "float64, float32, int64, int32 or bool", "convert"):
        nx.tensor(data)


@pytest.mark.parametrize(
    "dtype", [np.float16, "uint8", complex, "U3", object, "nonsense", {"a": 1}]
)
def test_no_other_dtype_can_be_asked_for(dtype) -> None:
    with refused(DTypeError, "float64, float32, int64, int32 or bool"):
        nx.tensor([1.0], dtype=dtype)
    with refused(DTypeError, "float64, float32, int64, int32 or bool"):
        nx.tensor([1.0]).astype(dtype)
    with refused(DTypeError):
        as_dtype(dtype)


def test_the_five_dtypes_by_any_name() -> None:
    for name, dtype in (
        (float, "float64"),
        (int, "int64"),
        (bool, "bool"),
        ("f4", "float32"),
        (np.dtype("int32"), "int32"),
        (">f8", "float64"),
    ):
        assert as_dtype(name) == dtype
        assert nx.tensor([1], dtype=name).dtype == dtype


@pytest.mark.parametrize(
    "data", [np.float16([1.5]), np.array([3], np.uint8), np.array([3], np.int16)], ids=str
)
def test_other_dtypes_are_converted_on_request(data) -> None:
    for dtype in DTYPES:
        np.testing.assert_array_equal(
            nx.tensor(data, dtype=dtype).numpy(), data.astype(dtype), strict=True
        )


@pytest.mark.parametrize("data", [[1j], np.array(["1"]), [None]], ids=str)
def test_what_are_no_real_numbers_is_not_converted(data) -> None:
    with refused(DTypeError, "float64"):
        nx.tensor(data, dtype=np.float64)


def test_ragged_lists_are_refused() -> None:
    with refused(ShapeError, "equal lengths", "sequence", "pad"):
        nx.tensor([[1, 2], [3]])
    with refused(ShapeError, "equal lengths"):
        nx.tensor([[1, 2], [3]], dtype=np.float64)


def test_masked_arrays_are_refused() -> None:
    with refused(DTypeError, "masked", ".filled"):
        nx.tensor(np.ma.array([1.0, 2.0], mask=[False, True]))


def test_something_else_that_has_a_mask_is_data() -> None:
    class Masked(np.ndarray):
        mask = "mine"

    assert nx.tensor(np.array([1.0, 2.0]).view(Masked)).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "nest", [lambda t: [t, t], lambda t: (t, 1.0), lambda t: [[1.0], [t]], lambda t: [(t,)]]
)
def test_lists_of_tensors_are_refused(nest) -> None:
    with refused(DTypeError, "a list that holds a tensor", "nx.functional.stack"):
        nx.tensor(nest(nx.tensor(1.0)))


# Conversion


@given(
    hnp.arrays(
        st.sampled_from(["float64", "float32", "int64", "int32", "bool", "float16", "uint8"]),
        hnp.array_shapes(max_dims=2, max_side=4),
        elements={"min_value": 0, "max_value": 1},
    ),
    st.sampled_from(DTYPES),
)
def test_astype_is_numpys(array, dtype) -> None:
    np.testing.assert_array_equal(
        nx.tensor(array, dtype=dtype).numpy(), array.astype(dtype), strict=True
    )
    if array.dtype in DTYPES:
        t = nx.tensor(array)
        np.testing.assert_array_equal(t.astype(dtype).numpy(), array.astype(dtype), strict=True)
        assert not np.shares_memory(t.astype(dtype).data, t.data)


def test_fractions_are_cut_off_towards_zero() -> None:
    assert nx.tensor([1.9, -1.9, 2147483647.5], dtype=np.int32).tolist() == [1, -1, 2147483647]


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([np.nan], "int64"),
        ([1.0, np.inf], "int32"),
        ([-np.inf], "int64"),
        (np.float16([-np.inf]), "int64"),
        (np.float16([np.nan]), "int32"),
        (2.0**63, "int64"),
        (-(2.0**63) - 2048, "int64"),
        (2.0**31, "int32"),
        (np.float32(2.0**31), "int32"),
        (np.float32(2.0**63), "int64"),
        ([2**31], "int32"),
        ([-(2**31) - 1, 0], "int32"),
        (np.array([2**63], np.uint64), "int64"),
    ],
    ids=str,
)
def test_numbers_that_do_not_fit_are_refused(data, dtype) -> None:
    with refused(ArgumentError, "fit", dtype, "clip"):
        nx.tensor(data, dtype=dtype)
    if np.asarray(data).dtype in DTYPES:
        with refused(ArgumentError, "fit", dtype):
            nx.tensor(data).astype(dtype)


def test_the_ends_of_the_integers_fit() -> None:
    for dtype in (np.int32, np.int64):
        info = np.iinfo(dtype)
        assert nx.tensor([info.min, info.max], dtype=dtype).tolist() == [info.min, info.max]
        assert nx.tensor(float(info.min), dtype=dtype).item() == info.min
    assert nx.tensor(np.float16([65504.0]), dtype=np.int64).tolist() == [65504]
    assert nx.tensor(np.zeros((0, 2)), dtype=np.int32).shape == (0, 2)
    assert nx.tensor(np.zeros(0, np.int64), dtype=np.int32).dtype == np.int32


def test_numbers_beyond_float32_become_infinite_in_silence() -> None:
    assert nx.tensor([1e300, -1e300], dtype=np.float32).tolist() == [np.inf, -np.inf]
    assert nx.tensor([1e300]).astype("float32").tolist() == [np.inf]


def test_conversion_between_floats_is_differentiated() -> None:
    x = leaf([1.5, 2.5])
    y = x.astype(np.float32)
    (dx,) = nx.grad((y * y).sum(), x, create_graph=True)
    assert dx.dtype == np.float64
    assert dx.tolist() == [3.0, 5.0]
    assert nx.grad(dx.sum(), x)[0].tolist() == [2.0, 2.0]
    assert not x.astype(np.int64).requires_grad


def test_astype_of_plain_arrays() -> None:
    np.testing.assert_array_equal(
        F.astype(np.array([1.5]), np.float32), np.float32([1.5]), strict=True
    )
    z = np.array([1 + 1e-30j])
    assert F.astype(z, np.float32) is z, "a complex step goes through"


# requires_grad


def test_floats_may_require_gradients() -> None:
    for dtype in ("float64", "float32"):
        assert leaf([1.0], dtype).requires_grad
    for dtype in ("int64", "int32", "bool"):
        with refused(DTypeError, "floating-point", dtype):
            leaf([1], dtype)
        t = nx.tensor([1], dtype=dtype)
        with refused(DTypeError, "floating-point", dtype):
            t.requires_grad = True
        t.requires_grad = False
        assert not t.requires_grad


def test_requires_grad_is_set_on_leaves() -> None:
    x = nx.tensor([1.0])
    x.requires_grad = True
    y = x * 2
    assert y.requires_grad
    with refused(TapeError, "leaves", "multiply", "detach()"):
        y.requires_grad = False
    with refused(TapeError, "leaves", "multiply"):
        (nx.tensor([1.0]) * 2).requires_grad = True
    y.requires_grad = True
    x.requires_grad = 0  # type: ignore[assignment]
    assert x.requires_grad is False
    assert y.requires_grad is True


# data


def test_data_is_the_array_itself() -> None:
    t = nx.tensor([1.0, 2.0])
    t.data[0] = 5.0
    assert t.tolist() == [5.0, 2.0]
    t.data -= 1.0
    assert t.tolist() == [4.0, 1.0]
    t.data = np.array([7.0, 8.0])
    assert t.tolist() == [7.0, 8.0]


def test_data_keeps_its_kind() -> None:
    t = nx.tensor([1.0, 2.0])
    with refused(DTypeError, "NumPy array", "list"):
        t.data = [1.0, 2.0]  # type: ignore[assignment]
    with refused(DTypeError, "NumPy array", "Tensor"):
        t.data = nx.tensor([1.0, 2.0])  # type: ignore[assignment]
    for wrong in (np.ones(3), np.ones((2, 1))):
        with refused(ShapeError, "data", "(2,)", str(wrong.shape)):
            t.data = wrong
    with refused(DTypeError, "data", "float64", "float32"):
        t.data = np.ones(2, np.float32)
    assert t.tolist() == [1.0, 2.0]


def test_no_other_attributes_can_be_set() -> None:
    t = nx.tensor([1.0])
    for name in ("shape", "dtype", "ndim", "size", "T", "something"):
        with pytest.raises(AttributeError):
            setattr(t, name, None)


# grad


def test_threads_that_add_to_one_leaf_take_turns() -> None:
    x = leaf(np.zeros(3))
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(500):
            (x * 1.0).sum().backward()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert x.grad is not None
    assert x.grad.tolist() == [2000.0] * 3


def test_grad_holds_a_tensor_of_the_same_shape_and_dtype() -> None:
    x = leaf([1.0, 2.0])
    x.grad = nx.tensor([3.0, 4.0])
    (x * x).sum().backward()
    assert x.grad.tolist() == [5.0, 8.0]
    with refused(DTypeError, "a Tensor or None", "shape (2,)"):
        x.grad = np.ones(2)  # type: ignore[assignment]
    with refused(ShapeError, "(2,)", "(3,)"):
        x.grad = nx.tensor(np.ones(3))
    with refused(DTypeError, "float64", "float32"):
        x.grad = nx.tensor(np.ones(2, np.float32))
    assert x.grad.tolist() == [5.0, 8.0]
    x.grad = None
    assert x.grad is None


def test_zero_grad_forgets() -> None:
    x = leaf(2.0)
    (x * x).backward()
    x.zero_grad()
    assert x.grad is None
    (x * x).backward()
    assert x.grad is not None and x.grad.item() == 4.0
    nx.tensor(1.0).zero_grad()


# Leaving


def test_detach_shares_memory_and_forgets_the_past() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    z = y.detach()
    assert np.shares_memory(y.data, z.data)
    assert not z.requires_grad
    z.requires_grad = True  # a leaf
    (z * 2).sum().backward()
    assert x.grad is None


def test_numpy_is_a_writable_copy() -> None:
    x = leaf([1.0, 2.0])
    array = x.numpy()
    array[0] = 9.0
    assert x.tolist() == [1.0, 2.0]


def test_item_and_tolist_are_python_numbers() -> None:
    for data, kind in ((1.5, float), (2, int), (True, bool)):
        assert type(nx.tensor(data).item()) is kind
        assert type(nx.tensor([[data]]).item()) is kind
        assert type(nx.tensor(data, dtype=None).tolist()) is kind
    assert nx.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    for shape in ((2,), (0,)):
        with refused(ShapeError, "one element", str(shape)):
            nx.tensor(np.zeros(shape)).item()


# Copies

COPIES = [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]


@pytest.mark.parametrize("through", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_copies_are_leaves_of_their_own(through) -> None:
    x = leaf(np.asfortranarray(integers(2, 3)), np.float32)
    (x * x).sum().backward()
    y = through(x)
    assert type(y) is nx.Tensor and y is not x
    np.testing.assert_array_equal(y.numpy(), x.numpy(), strict=True)
    assert y.requires_grad
    assert not np.shares_memory(x.data, y.data)
    assert x.grad is not None and y.grad is not None
    assert y.grad.tolist() == x.grad.tolist()
    (3 * y).sum().backward()
    assert x.grad.tolist() == (2 * x.numpy()).tolist(), "the original keeps its gradient"
    plain = through(nx.tensor([1, 2]))
    assert (plain.tolist(), plain.dtype, plain.requires_grad, plain.grad) == (
        [1, 2],
        np.int64,
        False,
        None,
    )


@pytest.mark.parametrize("through", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_a_tape_is_not_copied(through) -> None:
    y = leaf([1.0, 2.0]) * 2
    with refused(TapeError, "only a leaf", "multiply", "detach()"):
        through(y)
    assert through(y.detach()).tolist() == [2.0, 4.0]
    with nx.no_grad():
        assert through(leaf([1.0]) * 2).tolist() == [2.0]


class Named(nx.Tensor):
    """A tensor that knows its name."""

    def __init__(self, data, name: str) -> None:
        super().__init__(data, requires_grad=True)
        self.name = name


@pytest.mark.parametrize("through", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_what_a_subclass_adds_is_copied_too(through) -> None:
    x = Named([1.0, 2.0], "x")
    (x * 3).sum().backward()
    y = through(x)
    assert type(y) is Named and y is not x
    assert (y.name, y.tolist(), y.requires_grad) == ("x", [1.0, 2.0], True)
    assert y.grad is not None and y.grad.tolist() == [3.0, 3.0]
    assert type(y * y) is Named


def test_deepcopy_keeps_one_tensor_one() -> None:
    x = leaf([1.0])
    first, second = copy.deepcopy([x, x])
    assert first is second is not x


# Words


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nx.tensor(1.5), "Tensor(1.5)"),
        (lambda: nx.tensor([1, 2]), "Tensor([1, 2])"),
        (lambda: nx.tensor([True, False]), "Tensor([ True, False])"),
        (lambda: nx.tensor([1.0], dtype="float32"), "Tensor([1.], dtype=float32)"),
        (lambda: nx.tensor([1], dtype="int32"), "Tensor([1], dtype=int32)"),
        (lambda: nx.tensor([[1.0, 2.0], [3.0, 4.0]]), "Tensor([[1., 2.],\n        [3., 4.]])"),
        (lambda: nx.tensor(np.zeros((2, 0))), "Tensor([], shape=(2, 0), dtype=float64)"),
        (lambda: leaf([1.0]), "Tensor([1.], requires_grad=True)"),
        (lambda: leaf([1.0]) * 2, "Tensor([2.], from=multiply, requires_grad=True)"),
        (lambda: nx.tensor([1.0]) + 1, "Tensor([2.], from=add)"),
        (lambda: (leaf([1.0]) * 2).detach(), "Tensor([2.])"),
        (
            lambda: leaf(1.0, "float32").reshape(1),
            "Tensor([1.], dtype=float32, from=reshape, requires_grad=True)",
        ),
    ],
)
def test_repr(make, words) -> None:
    assert repr(make()) == str(make()) == words


def test_identity_is_the_hash() -> None:
    t, same = nx.tensor([1.0]), nx.tensor([1.0])
    assert len({t, t, same}) == 2
    assert {t: "mine"}[t] == "mine"


def test_a_tensor_answers_to_value() -> None:
    """Programs that were written before ``data`` was the name of it read it."""
    x = nx.tensor([1.0, 2.0])
    assert x.value is x.data
