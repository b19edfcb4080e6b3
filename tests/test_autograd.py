"""The tape: what is recorded, how it is read, and how users write primitives of their own."""

import array
import gc
import threading
import weakref
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import complex_step, integers, numbers, refused

import numixology as nx
from numixology import functional as F
from numixology.autograd import Node, Primitive, backward
from numixology.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, TapeError
from numixology.primitives import HANDLED_FUNCTIONS, implements


def leaf(data, dtype=None) -> nx.Tensor:
    return nx.tensor(data, dtype=dtype, requires_grad=True)


def gradient(t: nx.Tensor) -> np.ndarray:
    assert t.grad is not None
    return t.grad.numpy()


# Reading the tape


def test_a_value_used_many_times_collects_from_each_use() -> None:
    x = leaf([2.0, 3.0])
    y = x * x + 3 * x - x * x * x + x
    y.backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(gradient(x), [2 * 2 + 4 - 3 * 4, 10 * (2 * 3 + 4 - 3 * 9)])


def test_the_same_tensor_on_both_sides() -> None:
    x = leaf([2.0, 3.0])
    (x - x).sum().backward()
    np.testing.assert_array_equal(gradient(x), [0.0, 0.0])


def test_a_backward_adds_to_what_is_there() -> None:
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    first = x.grad
    (5 * x).sum().backward()
    np.testing.assert_array_equal(gradient(x), [7.0, 9.0])
    assert first is not None
    assert first.tolist() == [2.0, 4.0], "whoever holds the old gradient keeps it"


def test_a_leaf_is_its_own_derivative() -> None:
    x = leaf([1.0, 2.0])
    x.backward(nx.tensor([3.0, 4.0]))
    np.testing.assert_array_equal(gradient(x), [3.0, 4.0])


def test_only_leaves_that_ask_get_a_gradient() -> None:
    x, constant = leaf([1.0, 2.0]), nx.tensor([3.0, 4.0])
    inner = x * constant
    (inner * constant).sum().backward()
    np.testing.assert_array_equal(gradient(x), [9.0, 16.0])
    assert constant.grad is None
    assert inner.grad is None


def test_a_leaf_that_stops_asking_gets_nothing() -> None:
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    w.requires_grad = False
    y.backward()
    assert gradient(x) == 3.0
    assert w.grad is None


def test_a_tape_is_read_once() -> None:
    x = leaf(3.0)
    inner = x * x
    y = inner + 1
    y.backward()
    with refused(TapeError, "read once", "add", "retain_graph=True"):
        y.backward()
    with refused(TapeError, "multiply"):
        (inner * 2).backward()
    assert gradient(x) == 6.0


def test_a_retained_tape_is_read_again() -> None:
    x = leaf(3.0)
    y = x * x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert gradient(x) == 3 * 27
    with refused(TapeError, "read once"):
        y.backward()


def test_a_backward_that_is_recorded_keeps_the_tape() -> None:
    x = leaf(3.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward()
    assert gradient(x) == 12.0


def test_what_was_freed_is_never_taken_for_a_constant() -> None:
    x = leaf(3.0)
    square = x * x
    y = square * x
    (slope,) = nx.grad(y, x, create_graph=True)
    y.backward()  # frees the square, from which the slope was made
    with refused(TapeError, "read once", "retain_graph=True"):
        nx.grad(slope, x)
    with refused(TapeError, "read once"):
        nx.grad(square + x, [square, x])
    with refused(TapeError, "read once"):
        nx.grad(y, x)
    # nothing below the freed part is asked for
    assert nx.grad(square * 2, square)[0].item() == 2.0
    assert nx.grad(square, square, 5.0)[0].item() == 5.0


def test_freeing_leaves_the_values_alone() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    z = y.sum()
    z.backward()
    assert (y.tolist(), z.item()) == ([1.0, 4.0], 5.0)
    assert y.requires_grad and z.requires_grad


def test_a_backward_needs_a_past() -> None:
    for plain in (nx.tensor(1.0), nx.tensor(1.0) * 2, nx.tensor(3)):
        with refused(TapeError, "requires_grad=True"):
            plain.backward()


def test_a_backward_starts_from_one_number_or_with_a_gradient() -> None:
    x = leaf([1.0, 2.0])
    with refused(ShapeError, "single number", "(2,)"):
        (x * x).backward()
    with refused(ShapeError, "(2,)", "(3,)"):
        (x * x).backward(np.ones(3))
    with refused(DTypeError, "float64", "float32"):
        (x * x).backward(np.ones(2, np.float32))
    with refused(DTypeError, "float64", "object"):
        (x * x).backward({})
    one = leaf([[3.0]])
    (one * one).backward()  # one element, two axes
    assert gradient(one).tolist() == [[6.0]]


@pytest.mark.parametrize(
    "seed", [2, 2.0, np.float64(2), np.array(2.0), nx.tensor(2.0)], ids=lambda s: type(s).__name__
)
def test_a_number_is_a_gradient_of_a_number(seed) -> None:
    x = leaf(3.0)
    (x * x).backward(seed)
    assert gradient(x) == 12.0


def test_a_list_is_a_gradient() -> None:
    x = leaf([1.0, 2.0])
    (x * x).backward([1.0, 10.0])
    np.testing.assert_array_equal(gradient(x), [2.0, 40.0])


# The order of backward


def test_a_node_waits_until_everything_has_arrived() -> None:
    # read in the order of a plain search, b would run before the long way round has arrived
    x = leaf(1.0)
    a = x * 2
    b = a * 3
    late = b * b  # made before c, used after it
    c = b + 1
    for _ in range(5):
        c = c * 1
    y = c * late + b
    y.backward()
    b_ = 6.0
    assert gradient(x) == ((b_ * b_) + (b_ + 1) * 2 * b_ + 1) * 6


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from("+-*")),
        min_size=1,
        max_size=12,
    )
)
def test_any_graph_agrees_with_dual_numbers(steps) -> None:
    """Whole numbers modulo nothing: exact while they stay small."""
    x = leaf(2.0)
    values, duals = [x, x * 1], [(2, 1), (2, 1)]
    for i, j, sign in steps:
        (a, da), (b, db) = duals[i % len(duals)], duals[j % len(duals)]
        s, t = values[i % len(values)], values[j % len(values)]
        if sign == "+":
            values.append(s + t)
            duals.append((a + b, da + db))
        elif sign == "-":
            values.append(s - t)
            duals.append((a - b, da - db))
        else:
            values.append(s * t)
            duals.append((a * b, a * db + b * da))
    if max(max(abs(v), abs(d)) for v, d in duals) < 2**50:
        values[-1].backward()
        assert values[-1].item() == duals[-1][0]
        assert gradient(x) == duals[-1][1]


def test_sixty_diamonds_in_a_row_are_sixty_visits() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y  # 2⁶⁰ ways from top to bottom
    (found,) = nx.grad(y, x)
    y.backward()
    assert found.item() == gradient(x) == 2.0**60


def test_sixty_diamonds_to_second_order() -> None:
    x = leaf(1.5)
    y = x
    for _ in range(60):
        y = 0.5 * y + 0.5 * y
    (slope,) = nx.grad(y * y, x, create_graph=True)
    (curvature,) = nx.grad(slope, x)
    assert (slope.item(), curvature.item()) == (3.0, 2.0)


def test_a_chain_of_a_hundred_thousand_operations() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y + 1
        y = y * 1
    (found,) = nx.grad(y, x)
    assert found.item() == 1.0
    y.backward()
    assert y.item() == 50_001.0
    assert gradient(x) == 1.0


def test_a_deep_tape_can_be_dropped_unread() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    end = weakref.ref(y)
    del y
    assert end() is None
    assert x.item() == 1.0


# Recording or not


def test_nothing_is_recorded_in_no_grad() -> None:
    x = leaf(3.0)
    with nx.no_grad():
        y = x * x
        with nx.no_grad():
            pass
        z = x * x
    assert not y.requires_grad
    assert not z.requires_grad, "leaving the inner block does not leave the outer one"
    assert (x * x).requires_grad
    with refused(TapeError, "nx.no_grad()"):
        y.backward()


def test_recording_comes_back_after_an_error() -> None:
    with pytest.raises(KeyError), nx.no_grad():
        raise KeyError
    assert (leaf(1.0) * 2).requires_grad


def test_no_grad_decorates_a_function() -> None:
    @nx.no_grad()
    def double(x):
        """Twice."""
        return 2 * x

    x = leaf(1.0)
    assert not double(x).requires_grad
    assert not double(x).requires_grad, "the second call too"
    assert double.__doc__ == "Twice."
    assert (2 * x).requires_grad


def test_a_backward_runs_in_no_grad_as_outside() -> None:
    x = leaf(3.0)
    y = x * x * x
    with nx.no_grad():
        (slope,) = nx.grad(y, x, create_graph=True)
        y.backward(retain_graph=True)
    assert slope.requires_grad
    assert nx.grad(slope, x)[0].item() == 18.0
    assert gradient(x) == 27.0


def test_threads_do_not_see_each_others_no_grad() -> None:
    inside, outside = threading.Event(), threading.Event()
    recorded: list[bool] = []

    def record() -> None:
        inside.wait(10)
        recorded.append((leaf(1.0) * 2).requires_grad)
        with nx.no_grad():
            outside.set()

    thread = threading.Thread(target=record)
    thread.start()
    with nx.no_grad():
        inside.set()
        assert outside.wait(10)
        recorded.append((leaf(1.0) * 2).requires_grad)
    thread.join()
    assert recorded == [True, False]
    assert (leaf(1.0) * 2).requires_grad


def test_an_ordinary_gradient_is_off_the_tape() -> None:
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    assert x.grad is not None
    assert not x.grad.requires_grad
    assert not nx.grad((x * x).sum(), x)[0].requires_grad


# Gradients of gradients


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_derivatives_of_a_power(n) -> None:
    x = leaf([1.0, 2.0, -3.0])
    y = x**n
    for order in range(1, 4):
        (y,) = nx.grad(y.sum(), x, create_graph=True)
        falling = factorial(n) // factorial(n - order) if order <= n else 0
        expected = falling * x.numpy() ** max(n - order, 0)
        np.testing.assert_array_equal(y.numpy(), expected)


def test_the_derivatives_of_an_exponential_and_a_quotient() -> None:
    x = leaf([0.5, 1.0, 2.0])
    y, z = F.exp(2 * x), 1 / x
    for order in range(1, 4):
        (y,) = nx.grad(y.sum(), x, create_graph=True)
        (z,) = nx.grad(z.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.numpy(), 2**order * np.exp(2 * x.numpy()), rtol=1e-14)
        closed = (-1) ** order * factorial(order) / x.numpy() ** (order + 1)
        np.testing.assert_allclose(z.numpy(), closed, rtol=1e-14)


def test_mixed_derivatives_do_not_depend_on_the_order() -> None:
    x, y = leaf([2.0, 3.0]), leaf([5.0, 7.0])
    value = (x**3 * y**2).sum()
    (dx,) = nx.grad(value, x, create_graph=True)
    (dy,) = nx.grad(value, y, create_graph=True)
    (dxy,) = nx.grad(dx.sum(), y)
    (dyx,) = nx.grad(dy.sum(), x)
    np.testing.assert_array_equal(dxy.numpy(), 6 * x.numpy() ** 2 * y.numpy())
    np.testing.assert_array_equal(dyx.numpy(), dxy.numpy())


def test_a_backward_through_a_backward() -> None:
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    slope = x.grad
    assert slope is not None
    x.grad = None
    (slope * slope).backward()  # (3x²)² has the slope 36x³
    assert gradient(x) == 288.0
    assert slope.item() == 12.0


def test_recorded_gradients_accumulate_on_the_tape() -> None:
    x = leaf(2.0)
    for _ in range(2):
        (x**3).backward(create_graph=True)
    assert x.grad is not None
    assert x.grad.item() == 24.0
    (curvature,) = nx.grad(x.grad, x)
    assert curvature.item() == 2 * 6 * 2.0
    x.grad = None  # and with it the cycle that backward(create_graph=True) makes


def test_the_derivative_by_the_cotangent_is_the_slope() -> None:
    x, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (pulled,) = nx.grad(x**3, x, v, create_graph=True)
    (by_v,) = nx.grad(pulled.sum(), v)
    np.testing.assert_array_equal(by_v.numpy(), 3 * x.numpy() ** 2)
    (x**3).backward(v, create_graph=True)
    assert x.grad is not None
    (by_v,) = nx.grad(x.grad.sum(), v)
    np.testing.assert_array_equal(by_v.numpy(), 3 * x.numpy() ** 2)
    x.grad = None


# Memory


def share(arrays) -> bool:
    return any(np.shares_memory(a, b) for a, b in combinations(arrays, 2))


# each rule hands its cotangent on as it came, as a view of it, or spread out without copying
HANDING_ON = {
    "add": lambda a, b: a + b,
    "add a sum": lambda a, b: (a + a) + (b + b),
    "subtract": lambda a, b: a - b,
    "transpose": lambda a, b: a.T.T + b.T.T,
    "reshape": lambda a, b: a.reshape(3, 2).reshape(2, 3) + b.view(-1).view(2, 3),
    "sum": lambda a, b: a.sum() + b.sum() + nx.tensor(np.zeros((2, 3))),
    "rows": lambda a, b: F.concatenate([a[:1], b[1:]]),
    "where": lambda a, b: F.where(nx.tensor(True), a, b),
    "contiguous": lambda a, b: a.T.contiguous().T + b,
    "multiply": lambda a, b: a * b,
}


@pytest.mark.parametrize("recorded", [False, True], ids=["first order", "recorded"])
@pytest.mark.parametrize("name", HANDING_ON)
def test_gradients_share_memory_with_nothing(name, recorded) -> None:
    a, b = leaf(integers(2, 3)), leaf(integers(2, 3, seed=1))
    v = nx.tensor(integers(2, 3, seed=2))
    y = HANDING_ON[name](a, b)
    by_grad = nx.grad(y, [a, b, a], v, create_graph=recorded)
    y.backward(v, retain_graph=True, create_graph=recorded)
    assert a.grad is not None and b.grad is not None
    arrays = [t.data for t in (a, b, v, y, *by_grad, a.grad, b.grad)]
    if name != "rows":  # never a result that shares with an input, except as a view
        assert not share(arrays)
    assert not share([*(t.data for t in by_grad), a.grad.data, b.grad.data])
    for made in (*by_grad, a.grad, b.grad):
        assert not any(np.shares_memory(made.data, t.data) for t in (a, b, v, y))
        assert made.data.flags.writeable
    np.testing.assert_array_equal(by_grad[0].numpy(), a.grad.numpy())
    np.testing.assert_array_equal(by_grad[0].numpy(), by_grad[2].numpy())
    a.zero_grad()
    b.zero_grad()


def test_the_gradient_of_an_output_by_itself_is_a_copy_of_the_cotangent() -> None:
    x, v = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    y = x * x
    for recorded in (False, True):
        (found,) = nx.grad(y, y, nx.tensor(v), create_graph=recorded)
        np.testing.assert_array_equal(found.numpy(), v)
        (found,) = nx.grad(y, y, v, create_graph=recorded)
        assert not np.shares_memory(found.data, v)


def test_gradients_of_interior_nodes_do_not_alias_what_came_through_them() -> None:
    x = leaf([1.0, 2.0])
    inner = x + 1
    y = (inner + 0) + (inner + 0)
    found = nx.grad(y, [inner, x, y], nx.tensor([1.0, 10.0]))
    for one in found[:2]:
        np.testing.assert_array_equal(one.numpy(), [2.0, 20.0])
    np.testing.assert_array_equal(found[2].numpy(), [1.0, 10.0])
    assert not share([one.data for one in found])


def test_a_gradient_that_a_rule_was_handed_is_copied() -> None:
    """A rule may return its argument, an option or a by-product: they belong to others."""
    kept_array, option = np.array([3.0, 4.0]), np.array([5.0, 6.0])

    @nx.primitive
    def pick(x, y, z, *, by):
        return x + y + z

    pick.vjp("x")(lambda ct, out, x, y, z, *, by: y)
    pick.vjp("y")(lambda ct, out, x, y, z, *, by: kept_array)
    pick.vjp("z")(lambda ct, out, x, y, z, *, by: by)
    x, y, z = leaf([1.0, 2.0]), leaf([7.0, 8.0]), leaf([9.0, 9.0])
    for _ in range(2):
        # the second use adds in place, were the first one owned
        (pick(x, y, z, by=option) + pick(x, y, z, by=option)).backward(np.ones(2))
    assert not share([x.data, y.data, gradient(x), gradient(y), gradient(z), kept_array, option])
    np.testing.assert_array_equal(gradient(x), [4 * 7.0, 4 * 8.0])
    np.testing.assert_array_equal(gradient(y), [12.0, 16.0])
    np.testing.assert_array_equal(gradient(z), [20.0, 24.0])
    np.testing.assert_array_equal(kept_array, [3.0, 4.0])
    np.testing.assert_array_equal(option, [5.0, 6.0])
    np.testing.assert_array_equal(y.numpy(), [7.0, 8.0])


def test_no_cotangent_is_written_into() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    v = np.array([1.0, 10.0])
    y = x + w
    ((y + x) + (y + x) + x).backward(v)
    np.testing.assert_array_equal(v, [1.0, 10.0])
    np.testing.assert_array_equal(gradient(x), 5 * v)
    np.testing.assert_array_equal(gradient(w), 2 * v)


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_tape_holds_no_cycle(no_collector) -> None:
    x = leaf([1.0, 2.0])
    inner = x * x
    y = inner.sum()
    nx.grad(y, x)
    (slope,) = nx.grad(y, x, create_graph=True)
    ghosts = [weakref.ref(t) for t in (inner, y, slope, x)]
    del inner, y, slope
    assert [ghost() is None for ghost in ghosts] == [True, True, True, False]
    del x
    assert ghosts[-1]() is None


@pytest.mark.parametrize("retain", [False, True])
def test_a_backward_leaves_no_cycle(no_collector, retain) -> None:
    x = leaf([1.0, 2.0])
    inner = F.softmax(x * x)
    y = inner.sum()
    y.backward(retain_graph=retain)
    ghosts = [weakref.ref(t) for t in (inner, y, x)]
    del inner, y, x
    assert [ghost() for ghost in ghosts] == [None, None, None]


def test_the_transforms_leave_no_cycle(no_collector) -> None:
    seen: list[weakref.ref[nx.Tensor]] = []

    def fn(x):
        y = x * x
        seen.extend([weakref.ref(x), weakref.ref(y)])
        return y

    _, pullback = nx.vjp(fn, [1.0, 2.0])
    pullback(np.ones(2))
    del pullback
    nx.jvp(fn, ([1.0, 2.0],), ([1.0, 2.0],))
    nx.jacobian(fn, [1.0, 2.0])
    assert len(seen) == 6
    assert [ghost() for ghost in seen] == [None] * 6


def test_a_read_tape_lets_go_of_its_values(no_collector) -> None:
    x = leaf([1.0, 2.0])
    inner = x * x
    ghost = weakref.ref(inner)
    y = inner.sum()
    del inner
    assert ghost() is not None
    y.backward()
    assert ghost() is None


# Dtypes


def test_each_gradient_has_its_inputs_dtype() -> None:
    x, w = leaf([1.5, 2.5], np.float32), leaf([2.0, 4.0], np.float64)
    for recorded in (False, True):
        y = x * w * x
        assert y.dtype == np.float64
        dx, dw = nx.grad(y.sum(), [x, w], create_graph=recorded)
        assert (dx.dtype, dw.dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(dx.numpy(), 2 * x.numpy() * w.numpy())
        np.testing.assert_array_equal(dw.numpy(), x.numpy() ** 2)
    (x * w).sum().backward()
    assert x.grad is not None and x.grad.dtype == np.float32


def test_float32_stays_float32_beside_numbers() -> None:
    x = leaf([1.5, 2.5], np.float32)
    y = ((2 * x + 1.0) / 3 - True) ** 2 + F.maximum(x, 2.0)
    assert y.dtype == np.float32
    (dx,) = nx.grad(y.sum(), x, create_graph=True)
    (ddx,) = nx.grad(dx.sum(), x)
    assert dx.dtype == ddx.dtype == np.float32


def test_integers_are_constants_of_a_calculation() -> None:
    x, n = leaf([1.0, 2.0]), nx.tensor([3, 4])
    (x * n).sum().backward()
    np.testing.assert_array_equal(gradient(x), [3.0, 4.0])
    assert n.grad is None
    assert not (x > n).requires_grad
    assert not x.astype(np.int64).requires_grad


# Values that change


@pytest.mark.parametrize(
    "change",
    [
        lambda x, c, y: setattr(x, "data", np.array([5.0, 6.0])),
        lambda x, c, y: setattr(c, "data", np.array([5.0, 6.0])),
        lambda x, c, y: setattr(y, "data", np.array([5.0, 6.0])),
        lambda x, c, y: setattr(x, "data", x.data.__isub__(1.0)),
    ],
    ids=["input", "constant", "output", "in place"],
)
def test_changed_values_are_noticed(change) -> None:
    x, c = leaf([1.0, 2.0]), nx.tensor([3.0, 4.0])
    y = x * c
    z = y.sum()
    change(x, c, y)
    with refused(TapeError, "must stay as it was", "(2,)", "compute the output again"):
        nx.grad(z, x)
    with refused(TapeError, "must stay as it was"):
        nx.grad(z, x, create_graph=True)
    with refused(TapeError, "must stay as it was"):
        z.backward()


def test_a_changed_output_is_noticed_where_the_backward_starts() -> None:
    x = leaf([1.0, 2.0])
    y = F.exp(x)
    y.data = np.array([5.0, 6.0])
    with refused(TapeError, "must stay as it was", "exp()"):
        y.backward(np.ones(2))


def test_changing_values_after_the_backward_is_how_one_trains() -> None:
    w = leaf([1.0, 2.0])
    for expected in ([0.5, 1.0], [0.25, 0.5]):
        w.zero_grad()
        (w * w).sum().backward()
        w.data -= 0.25 * gradient(w)
        np.testing.assert_array_equal(w.numpy(), expected)


# Primitives of one's own


def cube_with(name: str = "cube"):
    def cube(x):
        """x³."""
        return x * x * x

    cube.__name__ = name
    return nx.primitive(cube)


def test_a_bare_primitive() -> None:
    cube = cube_with("_cube")
    cube.vjp("x")(lambda ct, y, x: ct * 3 * x * x)
    assert (cube.__name__, cube.__doc__, repr(cube)) == ("cube", "x³.", "<primitive cube>")
    assert cube.__wrapped__(2) == 8
    x = leaf([1.0, 2.0])
    y = cube(x)
    assert type(y) is nx.Tensor
    assert "from=cube" in repr(y)
    for factor in (3 * x.numpy() ** 2, 6 * x.numpy(), np.array([6.0, 6.0])):
        (y,) = nx.grad(y.sum(), x, create_graph=True)
        np.testing.assert_array_equal(y.numpy(), factor)


def test_a_primitive_of_arrays_is_plain_numpy() -> None:
    cube = cube_with()
    x = np.array([1.0, 2.0])
    assert type(cube(x)) is np.ndarray
    np.testing.assert_array_equal(cube(x), [1.0, 8.0])
    np.testing.assert_array_equal(cube(x * 1j), [-1j, -8j])
    assert cube(2) == 8


def test_the_result_has_the_class_of_the_argument() -> None:
    class Mine(Node):
        __slots__ = ()

    cube = cube_with()
    assert type(cube(Mine(np.ones(2)))) is Mine


def test_a_rule_decorator_returns_the_rule() -> None:
    cube = cube_with()

    def rule(ct, y, x):
        return ct * 3 * x * x

    assert cube.vjp("x")(rule) is rule


def test_numbers_become_arrays_on_the_tape() -> None:
    @nx.primitive
    def total(x):
        return float(x.sum())

    total.vjp("x")(lambda ct, y, x: ct + np.zeros(x.shape))
    x = leaf([1.0, 2.0])
    y = total(x)
    assert (type(y.data), y.shape, y.dtype) == (np.ndarray, (), np.float64)
    y.backward()
    np.testing.assert_array_equal(gradient(x), [1.0, 1.0])


def test_a_namesake_is_reached_through_numpy(monkeypatch) -> None:
    for function in (np.cbrt, np.arctan, np.fliplr, np.rot90):
        monkeypatch.setitem(HANDLED_FUNCTIONS, function, None)  # taken out again afterwards

    @nx.primitive(np.cbrt, np.arctan)
    def root(x):
        return np.cbrt(x)

    @implements(np.fliplr, np.rot90)
    def turn(x):
        return x[:, ::-1]

    x = nx.tensor([[8.0, 27.0]])
    assert np.cbrt(x).tolist() == np.arctan(x).tolist() == [[2.0, 3.0]]
    assert np.fliplr(x).tolist() == np.rot90(x).tolist() == [[27.0, 8.0]]
    assert turn([[1.0]] @ x).tolist() == [[27.0, 8.0]], "the function itself stays as it was"


def test_a_primitive_that_broadcasts_is_summed_back() -> None:
    @nx.primitive(broadcasts=True)
    def weigh(a, b, c):
        return a * b * c

    weigh.vjp("a")(lambda ct, y, a, b, c: ct * b * c)
    weigh.vjp("b")(lambda ct, y, a, b, c: ct * a * c)
    weigh.vjp("c")(lambda ct, y, a, b, c: ct * a * b)
    arrays = [integers(2, 1, 3), integers(4, 1, seed=1), integers(seed=2)]
    ct = integers(2, 4, 3, seed=3)
    expected = complex_step(lambda a, b, c: a * b * c, arrays, ct)
    tensors = [leaf(a) for a in arrays]
    for recorded in (False, True):
        found = nx.grad(weigh(*tensors), tensors, nx.tensor(ct), create_graph=recorded)
        for one, truth in zip(found, expected, strict=True):
            assert one.shape == truth.shape
            np.testing.assert_allclose(one.numpy(), truth, rtol=1e-12)


WRONG = {
    "too few axes": lambda ct, y, x: ct.sum(),
    "too many axes": lambda ct, y, x: ct.reshape(1, *ct.shape),
    "another length": lambda ct, y, x: ct[:, :2],
    "turned": lambda ct, y, x: ct.T,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_rule_of_the_wrong_shape_is_named(wrong, recorded) -> None:
    cube = cube_with()
    cube.vjp("x")(WRONG[wrong])
    x = leaf(numbers(2, 3))
    with refused(ShapeError, "cube", "(2, 3)", "broadcasts=True"):
        nx.grad(cube(x).sum(), x, create_graph=recorded)


@pytest.mark.parametrize("wrong", ["too few axes", "another length", "turned"])
def test_broadcasting_excuses_no_other_shape(wrong) -> None:
    @nx.primitive(broadcasts=True)
    def cube(x):
        return x * x * x

    cube.vjp("x")(WRONG[wrong])
    with refused(ShapeError, "cube", "(2, 3)"):
        cube(leaf(numbers(2, 3))).sum().backward()


def test_a_rule_may_return_a_constant() -> None:
    @nx.primitive
    def total(x):
        return x.sum()

    total.vjp("x")(lambda ct, y, x: np.ones(x.shape))
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    for t in (x, w):
        (found,) = nx.grad(total(t * 1), t, create_graph=True)
        assert type(found) is nx.Tensor
        assert found.tolist() == [1.0, 1.0]
    total(x).backward(create_graph=True)
    assert type(x.grad) is nx.Tensor
    assert x.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("returned", [None, 3.0], ids=str)
def test_a_rule_that_returns_no_array_is_named(returned, recorded) -> None:
    cube = cube_with()
    cube.vjp("x")(lambda ct, y, x: returned)
    x = leaf(2.0)
    with refused(DTypeError, "cube", type(returned).__name__, "return"):
        nx.grad(cube(x), x, create_graph=recorded)


def test_an_argument_without_a_rule_is_named() -> None:
    @nx.primitive
    def scale(x, factor):
        return x * factor

    scale.vjp("x")(lambda ct, y, x, factor: ct * factor)
    x = leaf(2.0)
    scale(x, 3.0).backward()
    assert gradient(x) == 3.0
    scale(x, nx.tensor(3.0)).backward()
    with refused(TapeError, "scale", "'factor'", "@scale.vjp('factor')"):
        scale(x, leaf(3.0)).backward()
    factor = leaf(3.0)
    assert nx.grad(scale(x, factor), x)[0].item() == 3.0, "only what is asked for needs a rule"


def test_a_rule_for_an_unknown_argument_is_refused() -> None:
    @nx.primitive
    def scale(x, factor, *, times=1):
        return x * factor * times

    for name in ("y", "times", "*x"):
        with refused(ArgumentError, "scale", repr(name), "x, factor"):
            scale.vjp(name)


def test_a_primitive_of_any_number_of_arguments() -> None:
    @nx.primitive
    def product(*factors, sign=1.0):
        value = sign * np.ones(())
        for one in factors:
            value = value * one
        return value

    @product.vjp("*factors")
    def product_dfactor(position, ct, y, *factors, sign):
        for i, one in enumerate(factors):
            if i != position:
                ct = ct * one
        return ct * sign

    tensors = [leaf(2.0), nx.tensor(3.0), leaf(5.0)]
    y = product(*tensors, 7.0, sign=-1.0)
    assert y.item() == -210.0
    assert [one.item() for one in nx.grad(y, [tensors[0], tensors[2]])] == [-105.0, -42.0]
    assert nx.grad(product(tensors[0]), tensors[0])[0].item() == 1.0, "options have their defaults"
    (slope,) = nx.grad(y, tensors[0], create_graph=True)
    assert nx.grad(slope, tensors[2])[0].item() == -21.0


def test_a_variadic_primitive_without_a_rule_is_named() -> None:
    @nx.primitive
    def total(*parts):
        return parts[0] + parts[1]

    with refused(TapeError, "total", "'*arguments'"):
        total(1.0, leaf(2.0)).backward()
    with refused(ArgumentError, "total", "'parts'", "*"):
        total.vjp("parts")


def test_named_arguments_beside_any_number_are_refused() -> None:
    with refused(ArgumentError, "mixed", "x"):

        @nx.primitive
        def mixed(x, *others):
            return x


def test_arguments_may_be_given_by_name() -> None:
    @nx.primitive
    def scale(x, factor, *, times=1):
        return x * factor * times

    scale.vjp("x")(lambda ct, y, x, factor, *, times: ct * factor * times)
    scale.vjp("factor")(lambda ct, y, x, factor, *, times: ct * x * times)
    x, factor = leaf(2.0), leaf(3.0)
    for y in (
        scale(x, factor, times=5),
        scale(x, factor=factor, times=5),
        scale(times=5, factor=factor, x=x),
    ):
        assert y.item() == 30.0
        assert [one.item() for one in nx.grad(y, [x, factor])] == [15.0, 10.0]
    assert [one.item() for one in nx.grad(scale(factor=factor, x=x), [x, factor])] == [3.0, 2.0]
    assert scale(x=2.0, factor=3.0) == 6.0


def test_defaults_reach_the_rules() -> None:
    @nx.primitive
    def scale(x, factor=3.0, offset=1.0, *, times=5.0):
        return x * factor * times + offset

    scale.vjp("x")(lambda ct, y, x, factor, offset, *, times: ct * factor * times)
    scale.vjp("factor")(lambda ct, y, x, factor, offset, *, times: ct * x * times)
    scale.vjp("offset")(lambda ct, y, x, factor, offset, *, times: ct)
    x, other = leaf(2.0), leaf(7.0)
    assert nx.grad(scale(x), x)[0].item() == 15.0
    assert nx.grad(scale(x, 4.0), x)[0].item() == 20.0
    y = scale(x, offset=other)
    assert y.item() == 37.0
    assert [one.item() for one in nx.grad(y, [x, other])] == [15.0, 1.0]
    assert nx.grad(scale(factor=other, x=x, times=1.0), other)[0].item() == 2.0
    assert scale(2.0) == 31.0


def test_missing_and_surplus_arguments_are_refused() -> None:
    cube = cube_with()
    with refused(DTypeError, "cube", "missing 1 required positional argument"):
        cube()
    with refused(DTypeError, "cube", "takes 1 positional argument"):
        cube(leaf(1.0), 2.0)
    with refused(DTypeError, "cube", "unexpected keyword"):
        cube(leaf(1.0), z=2.0)
    with refused(DTypeError, "cube", "keyword"):
        cube(z=2.0)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [(ValueError, ShapeError), (TypeError, DTypeError), (IndexError, IndexRangeError)],
)
def test_numpys_complaints_get_a_name(raised, kind) -> None:
    @nx.primitive
    def grumble(x, y):
        raise raised("it does not fit")

    with refused(kind, "grumble", "shape (2,) of float64", "7", "it does not fit") as _:
        grumble(nx.tensor([1.0, 2.0]), 7)
    with refused(raised, "it does not fit"):
        grumble(np.zeros(2), 7)


def test_other_errors_pass_through() -> None:
    @nx.primitive
    def grumble(x):
        raise ZeroDivisionError("mine")

    before = np.geterr()
    with pytest.raises(ZeroDivisionError, match="mine"):
        grumble(leaf(1.0))
    assert np.geterr() == before


def test_an_error_of_ours_stays_as_it_is() -> None:
    mine = ShapeError("a", "b", "c")

    @nx.primitive
    def grumble(x):
        raise mine

    with pytest.raises(ShapeError) as caught:
        grumble(leaf(1.0))
    assert caught.value is mine
    assert mine.__cause__ is None


def test_shapes_that_do_not_broadcast_are_listed() -> None:
    with refused(ShapeError, "add", "(2,)", "(3,)", "broadcast"):
        nx.tensor([1.0, 2.0]) + nx.tensor([1.0, 2.0, 3.0])


def test_what_is_no_broadcasting_is_not_called_so() -> None:
    with refused(ValueError, "power", "-1", "negative integer powers") as _:
        nx.tensor([1, 2]) ** -1
    with refused(ShapeError, "matmul", "(2, 3)", "(4, 5)", "mismatch in its core dimension"):
        nx.tensor(integers(2, 3)) @ nx.tensor(integers(4, 5))


# What is computed nowhere


def test_only_the_way_to_the_wanted_inputs_is_walked() -> None:
    ran: list[str] = []

    def noting(name):
        @nx.primitive
        def same(x):
            return x * 1

        @same.vjp("x")
        def same_dx(ct, y, x):
            ran.append(name)
            return ct

        return same

    x, w = leaf(2.0), leaf(3.0)
    inner = noting("x")(x)
    y = noting("top")(inner) * noting("w")(w)
    assert nx.grad(y, inner)[0].item() == 3.0
    assert ran == ["top"]


def test_no_warning_escapes_a_backward() -> None:
    x = leaf([0.0, np.inf, np.nan, 1e300])
    y = x * x / x - x
    (dx,) = nx.grad(y, x, nx.tensor([np.inf, -np.inf, 1.0, 1e300]), create_graph=True)
    assert not np.isfinite(y.numpy()).all()
    assert nx.grad(dx, x, nx.tensor([1.0, 1.0, 1.0, 1e300]))[0].shape == (4,)


def test_no_warning_escapes_the_sum_of_cotangents() -> None:
    x = leaf(1.0)
    y = x * 2
    (dx,) = nx.grad([y, y], x, [np.inf, -np.inf])
    assert np.isnan(dx.item())
    x.grad = nx.tensor(np.inf)
    y.backward(-np.inf)
    assert np.isnan(gradient(x))


def test_a_repeated_output_under_no_grad_is_still_recorded() -> None:
    x, v, w = leaf(3.0), leaf(5.0), leaf(7.0)
    y = x * x
    with nx.no_grad():
        (dx,) = nx.grad([y, y], x, [v, w], create_graph=True)
    assert [one.item() for one in nx.grad(dx, [v, w, x])] == [6.0, 6.0, 24.0]


def test_what_a_users_rule_returns_stays_the_users() -> None:
    constant = np.zeros(3)

    @nx.primitive
    def flat(x):
        return x * 1.0

    @flat.vjp("x")
    def flat_dx(ct, y, x):
        return constant

    x = nx.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (flat(x) + x * x + flat(x)).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]
    assert not constant.any()
    x.zero_grad()
    flat(x).sum().backward()
    x.grad.data[0] = 99.0
    assert not constant.any()


def test_a_tensor_as_an_option_is_refused() -> None:
    @nx.primitive
    def scaled(x, *, k):
        return x * k

    with refused(DTypeError, "options of scaled are constants", "a tensor as k", "positional"):
        scaled(nx.tensor([1.0]), k=nx.tensor(2.0))


# Constants that change afterwards


CONSTANTS = {
    "factor": lambda x, c: x * c,
    "from the left": lambda x, c: c * x,
    "divisor": lambda x, c: x / c,
    "matrix": lambda x, c: x @ c,
    "matrix from the left": lambda x, c: c @ x,
    "exponent": lambda x, c: x**c,
    "choice": lambda x, c: F.where(c > 1, x, 2 * x),
    "mask": lambda x, c: F.where(c, x, 0.0),
    "weight": lambda x, c: F.linear(x, c),
    "input of a layer": lambda x, c: F.linear(c, x),
    "target": lambda x, c: F.mse_loss(x, c),
    "einsum": lambda x, c: F.einsum("ij,jk->ik", x, c),
    "index": lambda x, c: x[c.astype(int) % 2],
    "ids": lambda x, c: F.embedding(c.astype(int) % 2, x),
    "view": lambda x, c: x * c.T,
    "read-only view": lambda x, c: x * np.broadcast_to(c[:1], (2, 2)),
}


@pytest.mark.parametrize("recorded", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_may_change_after_it_was_recorded(name, recorded) -> None:
    """As a batch does that is refilled, and a mask that is inverted."""
    fn = CONSTANTS[name]

    def gradients(change) -> list[np.ndarray]:
        x, c = leaf([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 0.5]])
        y = fn(x, c)
        if change:
            c *= -7.0
        (dx,) = nx.grad((y * y).sum(), x, create_graph=recorded)
        return [dx.numpy(), nx.grad((dx * dx).sum(), x)[0].numpy()] if recorded else [dx.numpy()]

    for got, right in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_array_equal(got, right)


def test_a_constant_keeps_its_layout_on_the_tape() -> None:
    """So that what reads it finds the same strides, and rounds in the same order."""
    constant = np.asfortranarray(numbers(3, 4))
    node = leaf(numbers(3, 4)) * constant
    assert node.inputs[1].strides == constant.strides
    assert not np.shares_memory(node.inputs[1], constant)


def test_one_buffer_for_three_batches() -> None:
    layer, buffer, total = nx.nn.Linear(2, 1, rng=0), np.empty((1, 2)), 0.0
    for value in (1.0, 2.0, 3.0):
        buffer[...] = value
        total = total + layer(buffer).sum()
    total.backward()
    assert layer.weight.grad.tolist() == [[6.0, 6.0]]


def test_an_array_option_may_change_after_it_was_recorded() -> None:
    @nx.primitive
    def scaled(x, *, by):
        return x * by

    scaled.vjp("x")(lambda ct, y, x, *, by: ct * by)
    x, by = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    y = scaled(x, by=by)
    by[:] = 0
    y.backward(np.ones(2))
    assert x.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("make", [lambda c: array.array("d", c), lambda c: memoryview(np.array(c))])
def test_what_only_becomes_an_array_may_change_too(make) -> None:
    x, c = leaf([1.0, 2.0]), make([3.0, 4.0])
    y = F.multiply(x, c)
    c[0] = 100.0
    assert nx.grad(y.sum(), x)[0].tolist() == [3.0, 4.0]


def test_a_list_as_an_option_may_change_after_it_was_recorded() -> None:
    @nx.primitive
    def scaled(x, *, by):
        return x * by

    scaled.vjp("x")(lambda ct, y, x, *, by: ct * by)
    x, by = leaf([1.0, 2.0]), [2.0, 3.0]
    y = scaled(x, by=by)
    by[0] = 0.0
    assert nx.grad(y.sum(), x)[0].tolist() == [2.0, 3.0]


def test_the_engine_alone_knows_no_tensors() -> None:
    """A node, a primitive and backward, with nothing around them."""

    def product(a, b):
        return a * b

    multiply = Primitive(product)
    multiply.vjp("a")(lambda ct, y, a, b: multiply(ct, b))
    multiply.vjp("b")(lambda ct, y, a, b: multiply(ct, a))
    x = Node(np.array([2.0, 3.0]), requires_grad=True)
    y = multiply(multiply(x, x), x)  # x³
    assert type(y) is Node
    assert y.requires_grad and y.depth == 2
    assert y.data.tolist() == [8.0, 27.0]
    assert backward([y], [np.ones(2)])[x].tolist() == [12.0, 27.0]
