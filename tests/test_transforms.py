"""Derivatives of functions: grad, vjp, jvp and jacobian, against complex steps and each other."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import complex_step, integers, numbers, refused

import numixology as nx
from numixology import functional as F
from numixology.errors import DTypeError, ShapeError, TapeError


def leaf(data, dtype=None) -> nx.Tensor:
    return nx.tensor(data, dtype=dtype, requires_grad=True)


# grad


def test_one_gradient_per_input_and_none_stored() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    found = nx.grad((x * x * w).sum(), [x, w])
    assert isinstance(found, tuple)
    assert [one.tolist() for one in found] == [[6.0, 20.0], [1.0, 4.0]]
    assert x.grad is None and w.grad is None


def test_a_lone_input_still_gives_a_tuple() -> None:
    x = leaf(3.0)
    (found,) = nx.grad(x * x, x)
    assert found.item() == 6.0


def test_inputs_may_come_from_an_iterator() -> None:
    x, w = leaf(2.0), leaf(3.0)
    found = nx.grad(iter([x * w]), iter((w, x)))
    assert [one.item() for one in found] == [2.0, 3.0]


def test_the_tape_can_be_read_again() -> None:
    x = leaf(3.0)
    y = x * x
    assert nx.grad(y, x)[0].item() == nx.grad(y, x)[0].item() == 6.0
    y.backward()
    assert x.grad is not None and x.grad.item() == 6.0


def test_inputs_inside_the_calculation() -> None:
    x = leaf([1.0, 2.0])
    inner = x * x
    y = (inner * inner * x).sum()
    d_inner, dx = nx.grad(y, [inner, x])
    np.testing.assert_array_equal(d_inner.numpy(), 2 * inner.numpy() * x.numpy())
    np.testing.assert_array_equal(dx.numpy(), 5 * x.numpy() ** 4)


def test_an_input_asked_for_twice_is_answered_twice() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    for recorded in (False, True):
        a, b, c = nx.grad(x * w, [x, w, x], np.ones(2), create_graph=recorded)
        assert a.tolist() == c.tolist() == [3.0, 4.0]
        assert b.tolist() == [1.0, 2.0]
        assert not np.shares_memory(a.data, c.data)


@pytest.mark.parametrize("within", [nx.no_grad, None], ids=["no_grad", "plain"])
def test_repeated_inputs_are_recorded_too(within) -> None:
    x = leaf([1.0, 2.0])
    y = (x * x * x).sum()
    if within:
        with within():
            first, second = nx.grad(y, [x, x], create_graph=True)
    else:
        first, second = nx.grad(y, [x, x], create_graph=True)
    for one in (first, second):
        assert nx.grad(one.sum(), x)[0].tolist() == [6.0, 12.0]


def test_several_outputs_are_added_up() -> None:
    x = leaf([1.0, 2.0])
    y, z = x * x, 10 * x.sum()
    (dx,) = nx.grad([y, z], x, [nx.tensor([1.0, 100.0]), None])
    np.testing.assert_array_equal(dx.numpy(), [2 + 10, 400 + 10])
    (dx,) = nx.grad((z, z * z), [x])
    np.testing.assert_array_equal(dx.numpy(), np.full(2, 10 + 2 * 30 * 10))
    (dx,) = nx.grad([z, z], x, [2.0, 3.0])
    np.testing.assert_array_equal(dx.numpy(), [50.0, 50.0])


def test_an_output_may_lie_below_another() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * y
    assert nx.grad([z, y], x)[0].item() == nx.grad([y, z], x)[0].item() == 4 * 8 + 4
    assert [one.item() for one in nx.grad([z, y], [y, z])] == [2 * 4 + 1, 1.0]


@pytest.mark.parametrize(
    "seed",
    [
        np.array([1.0, 10.0]),
        nx.tensor([1.0, 10.0]),
        [1.0, 10.0],
        (nx.tensor([1.0, 10.0]),),
        [nx.tensor([1.0, 10.0])],
    ],
    ids=["array", "tensor", "numbers", "tuple of a tensor", "list of a tensor"],
)
def test_the_cotangent_of_a_lone_output(seed) -> None:
    x = leaf([1.0, 2.0])
    (dx,) = nx.grad(x * x, x, seed)
    np.testing.assert_array_equal(dx.numpy(), [2.0, 40.0])
    if not isinstance(seed, list) or isinstance(seed[0], nx.Tensor):
        (dx,) = nx.grad([x * x], x, seed)
        np.testing.assert_array_equal(dx.numpy(), [2.0, 40.0])


@pytest.mark.parametrize("seed", [2, 2.0, np.float64(2.0), np.array(2.0)], ids=repr)
def test_the_cotangent_of_a_number(seed) -> None:
    x = leaf(3.0)
    assert nx.grad(x * x, x, seed)[0].item() == 12.0
    assert nx.grad([x * x], x, seed)[0].item() == 12.0
    assert nx.grad([x * x], x, [seed])[0].item() == 12.0
    small = leaf(3.0, np.float32)
    assert nx.grad([small * small], small, np.float32(2.0))[0].item() == 12.0


def test_an_input_that_plays_no_part_is_named() -> None:
    x, other = leaf([1.0, 2.0]), leaf(np.zeros((3, 2)))
    y = (x * x).sum()
    with refused(TapeError, "inputs[1]", "(3, 2)", "depends on"):
        nx.grad(y, [x, other])
    with refused(TapeError, "inputs[0]", "requires_grad=True"):
        nx.grad(y, nx.tensor([1.0, 2.0]))
    with refused(TapeError, "inputs[0]"):
        nx.grad(y.detach() * leaf(1.0), x)


def test_an_output_without_a_past_is_refused() -> None:
    x = leaf(1.0)
    with refused(TapeError, "requires_grad=False"):
        nx.grad(nx.tensor(1.0), x)
    with refused(TapeError, "requires_grad=False"):
        nx.grad([x * x, nx.tensor(1.0)], x)


def test_a_tape_that_was_freed_says_so() -> None:
    x = leaf(3.0)
    y = x * x
    y.backward()
    with refused(TapeError, "read once", "multiply"):
        nx.grad(y, x)


def test_what_is_no_tensor_is_refused() -> None:
    x = leaf([1.0, 2.0])
    y = x.sum()
    for wrong, name in (
        (5.0, "float"),
        (np.ones(2), "ndarray"),
        (np.ones(()), "ndarray"),
        (None, "NoneType"),
    ):
        with refused(DTypeError, "outputs", name, "nx.tensor"):
            nx.grad(wrong, x)
        with refused(DTypeError, "inputs", name):
            nx.grad(y, wrong)
        with refused(DTypeError, "inputs", name):
            nx.grad(y, [x, wrong])


def test_cotangents_are_checked() -> None:
    x = leaf([1.0, 2.0])
    y = x * x
    with refused(ShapeError, "single number"):
        nx.grad(y, x)
    with refused(ShapeError, "(2,)", "(3,)"):
        nx.grad(y, x, np.ones(3))
    with refused(DTypeError, "float64", "float32"):
        nx.grad(y, x, np.ones(2, np.float32))
    with refused(ShapeError, "one entry per output", "1 for 2", "None"):
        nx.grad([y, y], x, [np.ones(2)])
    with refused(ShapeError, "1 for 2"):
        nx.grad([y, y], x, np.ones(2))
    with refused(ShapeError, "3 for 1"):
        nx.grad([y], x, [np.ones(2)] * 3)


# The functions that the other three are tried on: name -> (function, arrays)

FUNCTIONS = {
    "product": (lambda a, b: a * b, [numbers(2, 3), numbers(3, seed=1)]),
    "matmul": (lambda a, b: a @ b, [numbers(2, 3), numbers(3, 4, seed=1)]),
    "power": (lambda a, b: a**b, [numbers(2, 1), numbers(3, seed=1)]),
    "transposed": (lambda a: (a * a).T / a.sum(), [numbers(2, 3)]),
    "single numbers": (lambda a, b: a * a / b, [numbers(), numbers(seed=1)]),
    "to a number": (lambda a: (a * a * a).sum(), [numbers(2, 3)]),
    "linear": (lambda a: 3 * a - 1, [numbers(3)]),
}


def jacobians(fn, arrays) -> list[np.ndarray]:
    """∂output/∂input for each input, row by row by complex steps."""
    output = np.asarray(fn(*arrays))
    rows = []
    for place in np.ndindex(output.shape):
        unit = np.zeros(output.shape)
        unit[place] = 1.0
        rows.append(complex_step(fn, arrays, unit))
    return [
        np.reshape([row[i] for row in rows], output.shape + a.shape) for i, a in enumerate(arrays)
    ]


def listed(found) -> list[np.ndarray]:
    return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))]


def assert_close(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# vjp


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vjp_against_complex_steps(name) -> None:
    fn, arrays = FUNCTIONS[name]
    output, pullback = nx.vjp(fn, *arrays)
    assert_close(output.numpy(), fn(*arrays))
    assert not output.requires_grad
    for seed in range(2):  # the pullback may be called again
        ct = numbers(*output.shape, seed=seed)
        found = pullback(ct)
        assert isinstance(found, tuple)
        for one, a, truth in zip(found, arrays, complex_step(fn, arrays, ct), strict=True):
            assert one.shape == a.shape
            assert_close(one.numpy(), truth)


def test_a_pullback_of_several_outputs() -> None:
    (y, z), pullback = nx.vjp(lambda a, b: (a * b, a.sum()), [1.0, 2.0], [3.0, 4.0])
    assert (y.tolist(), z.item()) == ([3.0, 8.0], 3.0)
    for cotangents in (([1.0, 10.0], 5.0), ([[1.0, 10.0], 5.0],), ((np.array([1.0, 10.0]), 5.0),)):
        da, db = pullback(*cotangents)
        assert (da.tolist(), db.tolist()) == ([3.0 + 5.0, 40.0 + 5.0], [1.0, 20.0])
    with refused(ShapeError, "one cotangent per output", "1 for 2"):
        pullback(np.ones(2))
    with refused(ShapeError, "3 for 2"):
        pullback(1, 2, 3)


def test_a_pullback_takes_a_list_of_numbers_for_one_output() -> None:
    _, pullback = nx.vjp(lambda x: x * x, [1.0, 2.0])
    assert pullback([1.0, 10.0])[0].tolist() == [2.0, 40.0]
    with refused(ShapeError, "(2,)", "(3,)"):
        pullback(np.ones(3))
    with refused(DTypeError, "float32"):
        pullback(np.ones(2, np.float32))
    with refused(ShapeError, "2 for 1"):
        pullback(1.0, 2.0)


def test_zeros_for_what_plays_no_part() -> None:
    arrays = [numbers(2, 3), numbers(4).astype(np.float32)]
    _, pullback = nx.vjp(lambda a, b: a * 2, *arrays)
    da, db = pullback(np.ones((2, 3)))
    assert_close(da.numpy(), np.full((2, 3), 2.0))
    assert (db.shape, db.dtype) == ((4,), np.float32)
    assert not db.numpy().any()
    constant = nx.tensor([1.0])
    for fn in (lambda a, b: constant, lambda a, b: (a > 0).sum(), lambda a, b: a.detach()):
        with refused(TapeError, "must depend on an input", "create_graph=True"):
            nx.vjp(fn, *arrays)


def test_one_output_may_be_constant() -> None:
    _, pullback = nx.vjp(lambda a: (a * 3, nx.tensor([1, 2])), [1.0])
    assert pullback([1.0], [0, 0])[0].tolist() == [3.0]


def test_an_input_may_be_the_output() -> None:
    output, pullback = nx.vjp(lambda a: a, [1.0, 2.0])
    assert output.tolist() == [1.0, 2.0]
    assert pullback([3.0, 4.0])[0].tolist() == [3.0, 4.0]


def test_an_output_may_be_given_twice() -> None:
    def twice(x):
        y = x * x
        return y, y

    _, pullback = nx.vjp(twice, 3.0)
    assert pullback(1.0, 10.0)[0].item() == 66.0
    _, tangents = nx.jvp(twice, (3.0,), (2.0,))
    assert [one.item() for one in tangents] == [12.0, 12.0]


def test_the_callers_tensors_and_tape_are_left_alone() -> None:
    x = leaf([1.0, 2.0])
    inner = x * x
    seen: list[nx.Tensor] = []

    def fn(a):
        seen.append(a)
        return a * 2

    output, pullback = nx.vjp(fn, inner)
    pullback(output)
    assert seen[0] is not inner
    assert not np.shares_memory(seen[0].data, inner.data)
    assert x.grad is None and seen[0].grad is None
    assert nx.grad(inner.sum(), x)[0].tolist() == [2.0, 4.0]


# jvp


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jvp_against_a_complex_step(name) -> None:
    fn, arrays = FUNCTIONS[name]
    directions = [numbers(*a.shape, seed=7) - 1 for a in arrays]
    output, tangent = nx.jvp(fn, arrays, directions)
    step = 1e-30
    moved = fn(*(a + 1j * step * u for a, u in zip(arrays, directions, strict=True)))
    assert_close(output.numpy(), moved.real)
    assert tangent.shape == output.shape
    assert_close(tangent.numpy(), moved.imag / step)
    assert not output.requires_grad and not tangent.requires_grad


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jvp_is_the_jacobian_times_the_direction(name) -> None:
    fn, arrays = FUNCTIONS[name]
    directions = [numbers(*a.shape, seed=7) for a in arrays]
    _, tangent = nx.jvp(fn, tuple(arrays), tuple(directions))
    expected = sum(
        np.tensordot(j, u, axes=u.ndim)
        for j, u in zip(listed(nx.jacobian(fn, *arrays)), directions, strict=True)
    )
    assert_close(tangent.numpy(), expected)


@given(st.integers(0, 2**32 - 1))
def test_the_two_modes_are_adjoint(seed) -> None:
    """⟨v, J·u⟩ = ⟨v·J, u⟩, exactly where everything is a whole number."""
    a, b = integers(2, 3, seed=seed), integers(3, 4, seed=seed)
    u = integers(2, 3, seed=seed + 1), integers(3, 4, seed=seed + 1)

    def fn(a, b):
        return (a * a) @ b

    _, tangent = nx.jvp(fn, (a, b), u)
    output, pullback = nx.vjp(fn, a, b)
    v = integers(*output.shape, seed=seed + 2)
    pulled = pullback(v)
    assert (v * tangent.numpy()).sum() == sum(
        (p.numpy() * one).sum() for p, one in zip(pulled, u, strict=True)
    )


def test_a_lone_input_needs_no_tuple() -> None:
    output, tangent = nx.jvp(lambda x: x * x, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    assert (output.tolist(), tangent.tolist()) == ([1.0, 4.0], [2.0, 40.0])
    _, tangent = nx.jvp(lambda x: x * x, nx.tensor(3.0), nx.tensor(2.0))
    assert tangent.item() == 12.0
    _, tangent = nx.jvp(lambda x, y: x * y, (2.0, 3.0), (1, 0))
    assert tangent.item() == 3.0, "whole numbers are directions too"
    _, tangent = nx.jvp(np.tanh, [0.0, 0.0], [1.0, 2.0])
    assert tangent.tolist() == [1.0, 2.0], "a list of numbers is an array, as for vjp"


def test_tangents_of_what_does_not_depend() -> None:
    constant = nx.tensor([5.0, 6.0])
    outer = leaf([1.0, 2.0])

    def fn(a, b):
        return a * a, constant, (a > 0), outer * 2, 3 * a

    outputs, tangents = nx.jvp(fn, ([1.0, 2.0], 7.0), ([1.0, 10.0], 100.0))
    assert [one.tolist() for one in tangents] == [
        [2.0, 40.0],
        [0.0, 0.0],
        [False, False],
        [0.0, 0.0],
        [3.0, 30.0],
    ]
    assert [one.dtype for one in tangents] == [one.dtype for one in outputs]
    assert outer.grad is None
    with refused(TapeError, "must depend on an input", "create_graph=True"):
        nx.jvp(lambda a: constant, 1.0, 1.0)


def test_tangents_must_fit() -> None:
    with refused(ShapeError, "one tangent per input", "1 for 2"):
        nx.jvp(lambda a, b: a, (1.0, 2.0), (1.0,))
    with refused(ShapeError, "(2,)", "(3,)"):
        nx.jvp(lambda a: a, (np.ones(2),), (np.ones(3),))


def test_tangents_in_float32() -> None:
    x = np.array([1.5, 2.5], np.float32)
    output, tangent = nx.jvp(lambda a: a * a, (x,), ([1.0, 2.0],))
    assert output.dtype == tangent.dtype == np.float32
    assert tangent.tolist() == [3.0, 10.0]


# jacobian


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian_against_complex_steps(name) -> None:
    fn, arrays = FUNCTIONS[name]
    found = nx.jacobian(fn, *arrays)
    assert isinstance(found, tuple) == (len(arrays) > 1)
    for one, truth in zip(listed(found), jacobians(fn, arrays), strict=True):
        assert one.shape == truth.shape
        assert_close(one, truth)


def test_a_jacobian_of_a_permutation_is_exact() -> None:
    found = nx.jacobian(lambda x: x.T, np.arange(6.0).reshape(2, 3)).numpy()
    assert found.shape == (3, 2, 2, 3)
    for i, j, k, m in np.ndindex(found.shape):
        assert found[i, j, k, m] == float(i == m and j == k)


def test_jacobians_of_what_does_not_depend() -> None:
    by_a, by_b = nx.jacobian(lambda a, b: a * a, [1.0, 2.0], np.ones((3, 1), np.float32))
    assert by_a.tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert (by_b.shape, by_b.dtype) == ((2, 3, 1), np.float32)
    assert not by_b.numpy().any()
    with refused(TapeError, "must depend on an input", "create_graph=True"):
        nx.jacobian(lambda a: a > 0, [1.0, 2.0])


def test_a_jacobian_of_nothing() -> None:
    assert nx.jacobian(lambda a: a[:0], [1.0, 2.0]).shape == (0, 2)
    assert nx.jacobian(lambda a: a * 2, np.zeros((0, 3))).shape == (0, 3, 0, 3)


# All three


THREE = {
    "vjp": lambda fn, x: nx.vjp(fn, x)[1](np.ones(2))[0],
    "jvp": lambda fn, x: nx.jvp(fn, (x,), (np.ones(2),))[1],
    "jacobian": lambda fn, x: nx.jacobian(fn, x).sum(axis=0),
}


@pytest.mark.parametrize("name", THREE)
def test_derivatives_are_taken_inside_no_grad_too(name) -> None:
    with nx.no_grad():
        found = THREE[name](lambda x: x * x, [1.0, 2.0])
        assert not (leaf(1.0) * 2).requires_grad
    assert found.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("name", THREE)
def test_what_the_function_does_not_record_is_constant(name) -> None:
    def half(x):
        with nx.no_grad():
            scale = x * 1
        return scale * x

    assert THREE[name](half, [1.0, 2.0]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", THREE)
def test_inputs_are_floating_point(name) -> None:
    for x, dtype in (
        ([1, 2], "int64"),
        ([True, False], "bool"),
        (nx.tensor([1, 2], dtype="int32"), "int32"),
    ):
        with refused(DTypeError, "inputs[0]", dtype, "float64"):
            THREE[name](lambda x: x, x)


@pytest.mark.parametrize("name", THREE)
def test_the_function_returns_tensors(name) -> None:
    for fn, kind in (
        (np.asarray, "ndarray"),
        (lambda x: x.sum().item(), "float"),
        (lambda x: [x, x], "list"),
        (lambda x: None, "NoneType"),
    ):
        with refused(DTypeError, kind, "return"):
            THREE[name](fn, [1.0, 2.0])


def test_a_tuple_holds_tensors_only() -> None:
    with refused(DTypeError, "float"):
        nx.vjp(lambda x: (x, 1.0), [1.0])
    with refused(DTypeError, "one tensor", "tuple", "nx.vjp"):
        nx.jacobian(lambda x: (x, x), [1.0, 2.0])
    with refused(DTypeError, "one tensor", "tuple"):
        nx.jacobian(lambda x: (x,), [1.0, 2.0])


@pytest.mark.parametrize("name", THREE)
def test_an_error_inside_restores_recording(name) -> None:
    def fail(x):
        raise KeyError("mine")

    with nx.no_grad():
        with pytest.raises(KeyError):
            THREE[name](fail, [1.0, 2.0])
        assert not (leaf(1.0) * 2).requires_grad


def test_a_hessian_by_jacobian_of_a_gradient() -> None:
    def slope(x):
        x.requires_grad = True
        (found,) = nx.grad((F.exp(x) * x).sum(), x, create_graph=True)
        return found

    x = np.array([0.5, 1.0])
    assert_close(nx.jacobian(slope, x).numpy(), np.diag((x + 2) * np.exp(x)))


# Transforms of transforms


def cubes(x):
    return (x**3).sum()


@pytest.mark.parametrize(
    "slope",
    [
        lambda x: nx.jacobian(cubes, x),
        lambda x: nx.vjp(cubes, x)[1](1.0)[0],
        lambda x: nx.grad(cubes(x), x, create_graph=True)[0],
        lambda x: nx.jvp(lambda x: x**3, (x,), ([1.0, 1.0],))[1],
    ],
    ids=["jacobian", "vjp", "grad", "jvp"],
)
def test_transforms_compose(slope) -> None:
    assert_close(nx.jacobian(slope, [1.0, 2.0]).numpy(), np.diag([6.0, 12.0]))
    assert_close(nx.vjp(slope, [1.0, 2.0])[1]([1.0, 10.0])[0].numpy(), np.array([6.0, 120.0]))
    _, tangent = nx.jvp(slope, ([1.0, 2.0],), ([1.0, 10.0],))
    assert_close(tangent.numpy(), np.array([6.0, 120.0]))
    third = nx.jacobian(lambda x: nx.jacobian(slope, x), [1.0, 2.0]).numpy()
    assert_close(third, 6 * np.eye(2)[:, :, None] * np.eye(2)[:, None, :])


def test_a_transform_inside_sees_what_it_closes_over() -> None:
    def by_w(w):
        return nx.vjp(lambda x: (x * w * w).sum(), [1.0, 2.0])[1](1.0)[0]

    assert_close(nx.jacobian(by_w, [3.0, 4.0]).numpy(), np.diag([6.0, 8.0]))


def test_the_second_derivatives_of_a_linear_function_are_zeros() -> None:
    c = np.array([3.0, np.inf])

    def slope(x):
        return nx.grad((x * c).sum(), x, create_graph=True)[0]

    assert slope(leaf([1.0, 2.0])).tolist() == [3.0, np.inf]
    assert nx.jacobian(slope, [1.0, 2.0]).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert nx.jvp(slope, ([1.0, 2.0],), ([1.0, 1.0],))[1].tolist() == [0.0, 0.0]


def test_a_recorded_jacobian_keeps_no_more_than_its_rows() -> None:
    x = leaf(np.linspace(-1.0, 1.0, 100))
    tracemalloc.start()
    found = nx.jacobian(lambda v: v * v, x)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20 * found.data.nbytes
    found.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full(100, 2.0))


def test_a_gradient_inside_needs_its_graph() -> None:
    with refused(TapeError, "must depend on an input", "create_graph=True"):
        nx.jacobian(lambda x: nx.grad(cubes(x), x)[0], [1.0, 2.0])


def test_an_input_on_the_callers_tape_passes_gradients_on() -> None:
    x = leaf([1.0, 2.0])
    nx.jacobian(cubes, x).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_a_pullback_may_be_differentiated_by_its_cotangent() -> None:
    _, pullback = nx.vjp(lambda a: a * a, [3.0, 4.0])
    found = nx.jacobian(lambda v: pullback(v)[0] + v, [1.0, 1.0])
    assert found.tolist() == [[7.0, 0.0], [0.0, 9.0]]


def test_a_transform_inside_no_grad_gives_a_constant() -> None:
    def fn(a):
        with nx.no_grad():
            size = nx.vjp(lambda t: (t * t).sum(), a)[0]
        return a * size

    assert nx.jacobian(fn, [1.0, 2.0]).tolist() == [[5.0, 0.0], [0.0, 5.0]]
