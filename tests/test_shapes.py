"""Shapes with torch's meaning: views where strides can express them, and a clear no where not."""

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle.derivatives import assert_matches_complex_step
from support import integers, refused

import numixology as nx
from numixology import functional as F
from numixology.errors import DTypeError, ShapeError


def leaf(data) -> nx.Tensor:
    return nx.tensor(data, requires_grad=True)


def moved(fn, shape, *, view: bool | None = None) -> None:
    """fn moves values and changes none: its gradient puts a cotangent back where it came from."""
    x = leaf(np.arange(math.prod(shape), dtype=float).reshape(shape))
    y = fn(x)
    v = integers(*y.shape, seed=1)
    truth = np.zeros(x.size)
    np.add.at(truth, y.numpy().astype(int), v)  # each value says where it came from
    for recorded in (False, True):
        (dx,) = nx.grad(y, x, nx.tensor(v), create_graph=recorded)
        np.testing.assert_array_equal(dx.numpy(), truth.reshape(shape))
    w = leaf(v)
    (dx,) = nx.grad(y, x, w, create_graph=True)
    u = integers(*shape, seed=2)
    (dw,) = nx.grad(dx, w, u)
    np.testing.assert_array_equal(dw.numpy(), fn(nx.tensor(u)).numpy())
    if view is not None:
        assert np.shares_memory(x.data, y.data) == view


# view and reshape


@st.composite
def regroupings(draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of one size, cut from the same factors."""
    factors = draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=5))

    def cut():
        places = sorted(draw(st.lists(st.integers(0, len(factors)), max_size=3)))
        bounds = zip([0, *places], [*places, len(factors)], strict=True)
        return tuple(math.prod(factors[a:b]) for a, b in bounds)

    return cut(), cut()


@given(regroupings())
def test_view_and_reshape_of_values_in_order(shapes) -> None:
    old, new = shapes
    array = np.arange(math.prod(old)).reshape(old)
    t = nx.tensor(array)
    for made in (
        t.view(*new),
        t.view(new),
        t.view(list(new)),
        t.reshape(*new),
        t.reshape(new),
        F.reshape(t, new),
    ):
        np.testing.assert_array_equal(made.numpy(), array.reshape(new), strict=True)
        assert np.shares_memory(made.data, t.data)
    for i in range(len(new)):
        unknown = (*new[:i], -1, *new[i + 1 :])
        assert t.view(unknown).shape == t.reshape(unknown).shape == new


def expressible(shape, strides, wanted) -> bool:
    """torch's rule: each new group of axes must lie within one run of memory."""
    old = [(n, step) for n, step in zip(shape, strides, strict=True) if n != 1]
    runs: list[list[int]] = []  # [how many values, the step of the last axis]
    for n, step in old:
        if runs and runs[-1][1] == n * step:
            runs[-1] = [runs[-1][0] * n, step]
        else:
            runs.append([n, step])
    for n in wanted:
        if n == 1:
            continue
        if not runs or runs[0][0] % n:
            return False
        runs[0][0] //= n
        if runs[0][0] == 1:
            runs.pop(0)
    return True


@given(st.data())
def test_view_refuses_exactly_where_strides_cannot_express_it(data) -> None:
    t = nx.tensor(np.arange(60).reshape(3, 4, 5))
    order = data.draw(st.permutations(range(3)), label="order")
    index = data.draw(
        st.sampled_from(
            [
                (),
                slice(1),
                (slice(None), slice(0, 2)),
                (Ellipsis, slice(0, 4, 2)),
                (slice(None), None),
            ]
        )
    )
    t = t[index].permute(*order, *range(3, t[index].ndim))
    if data.draw(st.booleans(), label="broadcast"):
        t = F.broadcast_to(t, (2, *t.shape))
    size = t.size
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    wanted = [data.draw(st.sampled_from(divisors))]
    wanted.append(size // wanted[0])
    wanted = [
        *wanted[:1],
        *([2, wanted[1] // 2] if wanted[1] % 2 == 0 and data.draw(st.booleans()) else wanted[1:]),
    ]
    expected = t.numpy().reshape(wanted)
    if expressible(t.shape, t.stride(), wanted):
        made = t.view(wanted)
        np.testing.assert_array_equal(made.numpy(), expected)
        assert np.shares_memory(made.data, t.data)
    else:
        with refused(
            ShapeError,
            "view",
            str(tuple(wanted)),
            str(t.shape),
            str(t.stride()),
            "contiguous()",
            "reshape()",
        ):
            t.view(wanted)
    np.testing.assert_array_equal(t.reshape(wanted).numpy(), expected)
    np.testing.assert_array_equal(t.contiguous().view(wanted).numpy(), expected)


def test_views_and_copies_are_differentiated() -> None:
    moved(lambda t: t.view(4, -1), (2, 3, 4), view=True)
    moved(lambda t: t.reshape(6, 4), (2, 3, 4), view=True)
    moved(lambda t: t.permute(2, 0, 1).reshape(4, 6), (2, 3, 4))
    moved(lambda t: t.T.reshape(-1), (2, 3), view=False)


def test_shapes_of_nothing() -> None:
    t = nx.tensor(np.zeros((0, 3)))
    assert t.view(3, 0).shape == (3, 0)
    assert t.view(-1).shape == t.reshape(-1).shape == (0,)
    assert t.view(-1, 3).shape == (0, 3)
    assert nx.tensor(np.zeros((2, 0, 3))).permute(2, 0, 1).view(6, 0).shape == (6, 0)
    with refused(ShapeError, "-1", "0 values in groups of 0"):
        t.view(-1, 0)


@pytest.mark.parametrize(
    "wanted", [(4,), (2, 2), (-1, 4), (-1, -1), (-2, -3), (), (2, 3, 0), (-1, 2, -1)], ids=str
)
def test_sizes_must_agree(wanted) -> None:
    t = nx.tensor(integers(2, 3))
    for name in ("view", "reshape"):
        with refused(ShapeError, name, str(wanted), "6 values", "(2, 3)", "at most one may be -1"):
            getattr(t, name)(wanted)
    with refused(ShapeError, "reshape"):
        F.reshape(t, wanted)


def test_lengths_are_integers() -> None:
    t = nx.tensor(integers(2, 3))
    assert np.reshape(t, np.array([3, 2])).shape == t.view(np.array([3, 2])).shape == (3, 2)
    assert F.broadcast_to(t, np.array([4, 2, 3], np.int32)).shape == (4, 2, 3)
    with refused(DTypeError, "a length must be an integer"):
        t.view(np.array([[3, 2]]))
    assert t.view(np.int64(3), nx.tensor(2)).shape == (3, 2)
    for wrong in ((2.0, 3), ("2", 3), (None,), ([2], 3)):
        with refused(DTypeError, "a length must be an integer", repr(wrong[0])):
            t.view(*wrong)


def test_a_single_number_can_be_viewed() -> None:
    t = nx.tensor(5.0)
    assert t.view(1, 1).tolist() == [[5.0]]
    assert t.view(()).shape == t.view([]).shape == t.reshape(()).shape == ()
    assert nx.tensor([[5.0]]).view(()).item() == 5.0


# permute and transpose


@given(st.permutations(range(4)))
def test_permute(order) -> None:
    t = nx.tensor(np.arange(120).reshape(2, 3, 4, 5))
    expected = np.transpose(t.numpy(), order)
    negative = [i - 4 for i in order]
    for made in (t.permute(*order), t.permute(order), t.permute(*negative), F.transpose(t, order)):
        np.testing.assert_array_equal(made.numpy(), expected, strict=True)
        assert np.shares_memory(made.data, t.data)
    np.testing.assert_array_equal(F.transpose(t.numpy(), order), expected)
    moved(lambda t: t.permute(order), (2, 3, 4, 5))


@given(st.integers(-3, 2), st.integers(-3, 2))
def test_transpose_exchanges_two_axes(a, b) -> None:
    t = nx.tensor(np.arange(24).reshape(2, 3, 4))
    made = t.transpose(a, b)
    np.testing.assert_array_equal(made.numpy(), np.swapaxes(t.numpy(), a, b))
    assert np.shares_memory(made.data, t.data)


def test_all_axes_reversed() -> None:
    t = nx.tensor(np.arange(24).reshape(2, 3, 4))
    assert t.T.shape == F.transpose(t).shape == (4, 3, 2)
    np.testing.assert_array_equal(t.T.numpy(), t.numpy().T)
    assert nx.tensor(1.0).T.item() == nx.tensor(1.0).permute().item() == 1.0
    moved(lambda t: t.T, (2, 3, 4), view=True)


@pytest.mark.parametrize("order", [(0, 1), (0, 0, 1), (0, 1, 2, 0), (0, 1, -3), ()], ids=str)
def test_an_order_names_each_axis_once(order) -> None:
    with refused(ShapeError, "3 axes", "once", str(order), "(0, 1, 2)"):
        nx.tensor(np.zeros((2, 3, 4))).permute(order)


@pytest.mark.parametrize("axis", [3, -4])
def test_axes_must_exist(axis) -> None:
    t = nx.tensor(np.zeros((2, 3, 4)))
    for ask in (
        lambda: t.transpose(0, axis),
        lambda: t.transpose(axis, 0),
        lambda: t.permute(0, 1, axis),
        lambda: t.flatten(0, axis),
        lambda: t.unflatten(axis, (1, 2)),
        lambda: t.stride(axis),
        lambda: t.squeeze(axis),
        lambda: t.sum(axis),
        lambda: t.sum((0, axis)),
        lambda: t.cumsum(axis),
    ):
        with refused(ShapeError, "3 dimensions", "from -3 to 2", str(axis)):
            ask()


def test_axes_are_integers() -> None:
    t = nx.tensor(np.zeros((2, 3, 4)))
    for wrong in (1.0, "0", None):
        with refused(DTypeError, "an axis must be an integer", repr(wrong)):
            t.transpose(0, wrong)
    with refused(DTypeError, "an axis must be an integer"):
        t.sum(1.0)
    assert t.transpose(np.int64(0), nx.tensor(1)).shape == (3, 2, 4)


# flatten and unflatten


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ((), (24,)),
        ((1,), (2, 12)),
        ((0, 1), (6, 4)),
        ((-2, -1), (2, 12)),
        ((1, 1), (2, 3, 4)),
        ((0, -1), (24,)),
    ],
    ids=str,
)
def test_flatten(arguments, shape) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    made = nx.tensor(array).flatten(*arguments)
    np.testing.assert_array_equal(made.numpy(), array.reshape(shape), strict=True)
    moved(lambda t: t.flatten(*arguments), (2, 3, 4), view=True)
    turned = nx.tensor(array).permute(2, 0, 1).flatten(*arguments)
    assert turned.size == 24


def test_flatten_copies_where_it_must() -> None:
    t = nx.tensor(np.arange(24).reshape(2, 3, 4)).permute(0, 2, 1)
    np.testing.assert_array_equal(t.flatten(1).numpy(), t.numpy().reshape(2, 12))


def test_flatten_of_nothing_and_of_one() -> None:
    assert nx.tensor(np.zeros((2, 0, 3))).flatten(1).shape == (2, 0)
    assert nx.tensor(np.zeros((2, 0, 3))).flatten().shape == (0,)
    assert nx.tensor(5.0).flatten().tolist() == [5.0]
    moved(lambda t: t.flatten(), ())
    with refused(ShapeError, "start_dim", "2 and 1", "exchange"):
        nx.tensor(np.zeros((2, 3, 4))).flatten(2, 1)


@pytest.mark.parametrize(
    ("dim", "sizes", "shape"),
    [
        (1, (2, 3), (4, 2, 3, 5)),
        (-2, (3, -1), (4, 3, 2, 5)),
        (0, [2, 2], (2, 2, 6, 5)),
        (2, (5,), (4, 6, 5)),
        (2, (1, 5, 1), (4, 6, 1, 5, 1)),
        (1, -1, (4, 6, 5)),
    ],
    ids=str,
)
def test_unflatten(dim, sizes, shape) -> None:
    array = np.arange(120).reshape(4, 6, 5)
    made = nx.tensor(array).unflatten(dim, sizes)
    np.testing.assert_array_equal(made.numpy(), array.reshape(shape), strict=True)
    moved(lambda t: t.unflatten(dim, sizes), (4, 6, 5), view=True)


def test_unflatten_must_multiply_up() -> None:
    t = nx.tensor(np.zeros((4, 6)))
    for sizes in ((4, 2), (-1, 4), (-1, -1)):
        with refused(ShapeError, "unflatten", "6 values", str(sizes)):
            t.unflatten(1, sizes)


@given(regroupings())
def test_unflatten_undoes_flatten(shapes) -> None:
    shape, _ = shapes
    assume(len(shape) > 1)
    t = nx.tensor(np.arange(math.prod(shape)).reshape(shape))
    np.testing.assert_array_equal(t.flatten(0, 1).unflatten(0, shape[:2]).numpy(), t.numpy())


# Memory


def test_contiguous() -> None:
    t = leaf(integers(2, 3))
    assert t.contiguous() is t
    across = t.T
    assert t.is_contiguous() and not across.is_contiguous()
    made = across.contiguous()
    assert made.is_contiguous()
    assert made.stride() == (2, 1)
    assert not np.shares_memory(made.data, t.data)
    np.testing.assert_array_equal(made.numpy(), t.numpy().T)
    moved(lambda t: t.T.contiguous(), (2, 3, 4), view=False)
    array = integers(2, 3)
    assert F.contiguous(array) is array
    assert F.contiguous(array.T).flags.c_contiguous


def test_strides_are_counted_in_elements() -> None:
    for dtype in ("float64", "float32", "int32", "bool"):
        t = nx.tensor(np.zeros((2, 3, 4)), dtype=dtype)
        assert t.stride() == (12, 4, 1)
        assert t.permute(2, 0, 1).stride() == (1, 12, 4)
        assert [t.stride(i) for i in (0, 1, 2, -1)] == [12, 4, 1, 1]
        assert t[:, ::2, 1:].stride() == (12, 8, 1)
        assert F.broadcast_to(t[:, :1], (2, 3, 4)).stride() == (12, 0, 1)
    assert nx.tensor(1.0).stride() == ()


def test_contiguous_slices() -> None:
    t = nx.tensor(np.zeros((4, 3)))
    assert t[1:3].is_contiguous()
    assert not t[::2].is_contiguous()
    assert not t[:, :2].is_contiguous()
    assert t[:0].is_contiguous() and t[:1, ::2].T.is_contiguous() is False
    assert nx.tensor(1.0).is_contiguous()


# squeeze and broadcast_to


def test_squeeze() -> None:
    t = nx.tensor(np.arange(6).reshape(1, 2, 1, 3))
    assert t.squeeze().shape == F.squeeze(t).shape == (2, 3)
    assert t.squeeze(0).shape == t.squeeze(axis=0).shape == t.squeeze(dim=0).shape == (2, 1, 3)
    assert t.squeeze(-2).shape == (1, 2, 3)
    assert t.squeeze((0, 2)).shape == t.squeeze([0, -2]).shape == (2, 3)
    assert t.squeeze(()).shape == t.shape
    assert nx.tensor([[5.0]]).squeeze().shape == ()
    np.testing.assert_array_equal(t.squeeze().numpy(), np.squeeze(t.numpy()))
    moved(lambda t: t.squeeze(1), (2, 1, 3), view=True)
    with refused(ShapeError, "length one", "axis 1", "(1, 2, 1, 3)"):
        t.squeeze(1)
    with refused(ShapeError, "axis (0, 1)"):
        t.squeeze((0, 1))
    with refused(ShapeError, "differ", "(0, -4)"):
        t.squeeze((0, -4))


def test_broadcast_to() -> None:
    t = leaf(integers(3, 1))
    np.testing.assert_array_equal(
        F.broadcast_to(t, (2, 3, 4)).numpy(), np.broadcast_to(t.numpy(), (2, 3, 4))
    )
    assert F.broadcast_to(nx.tensor(1.0), 3).tolist() == [1.0] * 3
    moved(lambda t: F.broadcast_to(t, (2, 3, 4)), (3, 1))
    moved(lambda t: F.broadcast_to(t, [2, 1]), ())
    with refused(ShapeError, "broadcast_to", "(3, 1)"):
        F.broadcast_to(t, (2, 4))


class TestExpandDims:
    @given(st.lists(st.integers(1, 3), max_size=3), st.data())
    def test_it_is_numpy_s(self, shape, data):
        x = np.zeros(shape)
        count = data.draw(st.integers(1, 2))
        ndim = len(shape) + count
        places = data.draw(
            st.lists(st.integers(0, ndim - 1), min_size=count, max_size=count, unique=True)
        )
        signed = [p - ndim if data.draw(st.booleans()) else p for p in places]
        assert F.expand_dims(x, signed).shape == np.expand_dims(x, tuple(signed)).shape

    def test_one_place_python_s_or_numpy_s_number(self):
        x = nx.tensor(np.zeros((2, 3)))
        assert F.expand_dims(x, 1).shape == (2, 1, 3)
        assert F.expand_dims(x, -1).shape == (2, 3, 1)
        assert F.expand_dims(x, np.int64(0)).shape == (1, 2, 3)
        assert np.expand_dims(x, 0).shape == (1, 2, 3)

    def test_gradient(self):
        assert_matches_complex_step(lambda x: F.expand_dims(x, (0, 2)), np.ones((2, 3)))

    @pytest.mark.parametrize("axis", [3, -4, (0, 0), (0, -4)])
    def test_places_outside_or_repeated(self, axis):
        text = "axes must differ" if isinstance(axis, tuple) else "3 dimensions lies from -3 to 2"
        with pytest.raises(ShapeError, match=f"{text}: got {re.escape(str(axis))}"):
            F.expand_dims(nx.tensor(np.zeros((2, 3))), axis)
