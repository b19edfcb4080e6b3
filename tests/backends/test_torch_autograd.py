"""What accumulates where, what is refused, and values at kinks and edges: as in torch, or not.

Where the two differ on purpose, the test's name says so and the test asserts both values.
"""

import math
import operator
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from backends.agreement import of_torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

import numixology as nx

F = nx.functional
inf, nan = math.inf, math.nan


DOCS = Path(__file__).parents[2] / "docs"


def leaves(*arrays):
    """The same leaves in both libraries."""
    ours = [nx.tensor(np.array(x, np.float64), requires_grad=True) for x in arrays]
    return ours, [of_torch(np.array(x, np.float64), True) for x in arrays]


def equal(got, wanted):
    """None, or the same values bit for bit but for the sign of zero, NaN included."""
    if got is None or wanted is None:
        assert got is None and wanted is None, (got, wanted)
        return
    np.testing.assert_array_equal(np.asarray(got), wanted.numpy(force=True))


def refusal(function):
    """Whether it raised what either library raises."""
    try:
        function()
    except (RuntimeError, ValueError, TypeError):
        return True
    return False


# Accumulation and reuse


def test_grad_accumulates_over_backwards():
    (x,), (t,) = leaves([1.0, 2.0])
    for factor in (1.0, 3.0, -0.5):
        (factor * x * x).sum().backward()
        (factor * t * t).sum().backward()
        equal(x.grad, t.grad)
    x.zero_grad()
    t.grad = None
    equal(x.grad, t.grad)
    (x * x).sum().backward()
    (t * t).sum().backward()
    equal(x.grad, t.grad)


def test_grad_accumulates_onto_one_that_was_assigned():
    (x,), (t,) = leaves([1.0, 2.0])
    x.grad, t.grad = nx.tensor([10.0, 20.0]), of_torch([10.0, 20.0])
    x.sum().backward()
    t.sum().backward()
    equal(x.grad, t.grad)


def test_a_retained_tape_is_read_again():
    (x,), (t,) = leaves([1.0, 2.0])
    y, u = (x * x * x).sum(), (t * t * t).sum()
    for _ in range(3):
        y.backward(retain_graph=True)
        u.backward(retain_graph=True)
        equal(x.grad, t.grad)
    y.backward()
    u.backward()
    equal(x.grad, t.grad)
    assert refusal(y.backward)
    assert refusal(u.backward)
    equal(x.grad, t.grad)


def test_a_part_of_a_freed_tape_cannot_be_read():
    (x,), (t,) = leaves([1.0, 2.0])
    middle, middle_torch = x * x, t * t
    first, second = (middle * x).sum(), (middle * 2).sum()
    first_torch, second_torch = (middle_torch * t).sum(), (middle_torch * 2).sum()
    first.backward()
    first_torch.backward()
    assert refusal(second.backward)
    assert refusal(second_torch.backward)


def test_values_used_many_times():
    (x,), (t,) = leaves([0.3, -0.7])
    y, u = x, t
    for _ in range(12):
        y, u = y * y + y - x, u * u + u - t
        y, u = F.tanh(y), torch.tanh(u)
    y.sum().backward()
    u.sum().backward()
    np.testing.assert_allclose(np.asarray(x.grad), t.grad.numpy(), rtol=1e-12)


def test_leaves_have_grads_and_nothing_else_has():
    (x,), (t,) = leaves([1.0, 2.0])
    constant, constant_torch = nx.tensor([3.0, 4.0]), of_torch([3.0, 4.0])
    middle, middle_torch = x * constant, t * constant_torch
    y, u = middle.sum(), middle_torch.sum()
    y.backward()
    u.backward()
    equal(x.grad, t.grad)
    equal(constant.grad, constant_torch.grad)
    with pytest.warns(UserWarning, match="not a leaf"):
        assert middle_torch.grad is None
    assert middle.grad is None
    assert y.grad is None


def test_a_leaf_is_its_own_output():
    (x,), (t,) = leaves(2.0)
    x.backward()
    t.backward()
    equal(x.grad, t.grad)
    equal(nx.grad(x, x)[0], torch.autograd.grad(t, t)[0])


def test_backward_takes_a_gradient():
    (x,), (t,) = leaves([[1.0, 2.0]])
    y, u = x * x, t * t
    y.backward(nx.tensor([[5.0, -1.0]]))
    u.backward(of_torch([[5.0, -1.0]]))
    equal(x.grad, t.grad)
    for wrong in ([5.0, -1.0], [[1.0], [1.0]], 1.0):
        assert refusal(lambda wrong=wrong: (x * x).backward(np.array(wrong)))
        assert refusal(lambda wrong=wrong: (t * t).backward(of_torch(wrong)))
    assert refusal((x * x).backward)
    assert refusal((t * t).backward)
    one, one_torch = leaves([[3.0]])
    (one[0] * 2).backward()  # one element needs no gradient, whatever its axes
    (one_torch[0] * 2).backward()
    equal(one[0].grad, one_torch[0].grad)


def test_grad_of_several_outputs_and_inputs():
    (x, w), (t, v) = leaves([1.0, 2.0], [3.0, 4.0])
    ours = nx.grad([x * w, w], [x, w], [np.array([1.0, 2.0]), np.array([5.0, 6.0])])
    theirs = torch.autograd.grad([t * v, v], [t, v], [of_torch([1.0, 2.0]), of_torch([5.0, 6.0])])
    for got, wanted in zip(ours, theirs, strict=True):
        equal(got, wanted)
    assert x.grad is None and t.grad is None


def test_grad_of_an_intermediate_value():
    (x,), (t,) = leaves([1.0, 2.0])
    middle, middle_torch = x * x, t * t
    equal(
        nx.grad((middle * middle).sum(), middle)[0],
        torch.autograd.grad((middle_torch * middle_torch).sum(), middle_torch)[0],
    )


def test_an_input_that_the_output_does_not_depend_on_is_an_error():
    (x, w), (t, v) = leaves([1.0], [2.0])
    assert refusal(lambda: nx.grad((x * x).sum(), w))
    assert refusal(lambda: torch.autograd.grad((t * t).sum(), v))


def test_gradients_of_gradients():
    (x,), (t,) = leaves([1.5, 2.0])
    (x * x * x).sum().backward(create_graph=True)
    with pytest.warns(UserWarning, match="create_graph"):
        (t * t * t).sum().backward(create_graph=True)
    first, first_torch = x.grad, t.grad
    assert first.requires_grad and first_torch.requires_grad
    equal(first, first_torch)
    x.zero_grad()
    t.grad = None
    first.sum().backward()
    first_torch.sum().backward()
    equal(x.grad, t.grad)
    x.grad = t.grad = None


def blend(library, x, w):
    """A function of two matrices that mixes everything with everything."""
    return library.tanh(x @ w) * x[:, :1] + library.exp(w[:2, :2]).sum()


def near(got, wanted):
    got, wanted = np.asarray(got), wanted.numpy(force=True)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-12 * np.abs(wanted).max()


def test_vjp_jvp_and_jacobian():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((3, 4)), rng.standard_normal((4, 5))]
    tangents = [rng.standard_normal(a.shape) for a in arrays]
    cotangent = rng.standard_normal((3, 5))
    ours = [nx.tensor(a) for a in arrays]
    theirs = tuple(of_torch(a) for a in arrays)

    output, pullback = nx.vjp(lambda x, w: blend(F, x, w), *ours)
    output_torch, pullback_torch = torch.func.vjp(lambda x, w: blend(torch, x, w), *theirs)
    near(output, output_torch)
    for _ in range(2):
        for got, wanted in zip(
            pullback(cotangent), pullback_torch(of_torch(cotangent)), strict=True
        ):
            near(got, wanted)

    output, tangent = nx.jvp(lambda x, w: blend(F, x, w), ours, tangents)
    output_torch, tangent_torch = torch.autograd.functional.jvp(
        lambda x, w: blend(torch, x, w), theirs, tuple(of_torch(u) for u in tangents)
    )
    near(output, output_torch)
    near(tangent, tangent_torch)

    jacobians = nx.jacobian(lambda x, w: blend(F, x, w), *ours)
    wanted_all = torch.func.jacrev(lambda x, w: blend(torch, x, w), argnums=(0, 1))(*theirs)
    for got, wanted in zip(jacobians, wanted_all, strict=True):
        near(got, wanted)


# What requires a gradient


def test_requires_grad_spreads():
    (x,), (t,) = leaves([1.0, 2.0])
    c, c_torch = nx.tensor([1.0, 2.0]), of_torch([1.0, 2.0])
    pairs = [
        (x + c, t + c_torch),
        (c + c, c_torch + c_torch),
        (x > 0, t > 0),
        (x.detach(), t.detach()),
        (x.detach() * x, t.detach() * t),
        (x[0], t[0]),
        (x.view(2, 1), t.view(2, 1)),
        (x.astype(np.float32), t.to(torch.float32)),
        (x.astype(np.int64), t.to(torch.int64)),
        (F.where(x > 0, c, c), torch.where(t > 0, c_torch, c_torch)),
        (F.sign(x), torch.sign(t)),
    ]
    for ours, theirs in pairs:
        assert ours.requires_grad == theirs.requires_grad
    with nx.no_grad(), torch.no_grad():
        assert not (x * x).requires_grad and not (t * t).requires_grad
        inside, inside_torch = leaves([1.0])
        assert inside[0].requires_grad and inside_torch[0].requires_grad
    assert (x * x).requires_grad and (t * t).requires_grad


def test_requires_grad_is_set_on_floating_point_leaves_only():
    (x,), (t,) = leaves([1.0])
    assert refusal(lambda: setattr(x * 2, "requires_grad", False))
    assert refusal(lambda: setattr(t * 2, "requires_grad", False))
    assert refusal(lambda: nx.tensor([1], requires_grad=True))
    assert refusal(lambda: torch.tensor([1], requires_grad=True))
    x.requires_grad = t.requires_grad = False
    assert not (x * 2).requires_grad and not (t * 2).requires_grad
    assert refusal((x * 2).backward)
    assert refusal((t * 2).backward)


def test_detach_shares_memory():
    (x,), (t,) = leaves([1.0, 2.0])
    x.detach().data[0] = 7.0
    t.detach()[0] = 7.0
    equal(x, t)


BINARY = [
    (lambda a, b: a + b, lambda a, b: a + b),
    (lambda a, b: a - b, lambda a, b: a - b),
    (lambda a, b: a * b, lambda a, b: a * b),
    (F.maximum, torch.maximum),
    (lambda a, b: a * b.sum(), lambda a, b: a * b.sum()),
    (lambda a, b: a + b[:1], lambda a, b: a + b[:1]),
]
UNARY = [
    (F.tanh, torch.tanh),
    (lambda a: a.permute(1, 0).reshape(2, 3), lambda a: a.permute(1, 0).reshape(2, 3)),
    (lambda a: F.concatenate([a[1:], a[:1]]), lambda a: torch.cat([a[1:], a[:1]])),
    (lambda a: a.detach(), lambda a: a.detach()),
    (lambda a: a.sum(0, keepdims=True) + 0 * a, lambda a: a.sum(0, keepdim=True) + 0 * a),
]


@settings(max_examples=100)
@given(st.data())
def test_any_tape_gives_torch_s_grads(data):
    """Random tapes with reused values, constants, detached values and stretches of no_grad."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    values, values_torch = [], []
    for _ in range(data.draw(st.integers(1, 3))):
        array, tracked = 0.5 * rng.standard_normal((2, 3)), data.draw(st.booleans())
        values.append(nx.tensor(array, requires_grad=tracked))
        values_torch.append(of_torch(array, tracked))
    count = len(values)
    for _ in range(data.draw(st.integers(1, 10))):
        place = st.integers(0, len(values) - 1)
        recording = data.draw(st.integers(0, 6)) > 0
        with torch.set_grad_enabled(recording):
            blocked = None if recording else nx.no_grad()
            if blocked:
                blocked.__enter__()
            if data.draw(st.booleans()):
                i, j = data.draw(place), data.draw(place)
                ours, theirs = data.draw(st.sampled_from(BINARY))
                made = ours(values[i], values[j]), theirs(values_torch[i], values_torch[j])
            else:
                i = data.draw(place)
                ours, theirs = data.draw(st.sampled_from(UNARY))
                made = ours(values[i]), theirs(values_torch[i])
            if blocked:
                blocked.__exit__(None, None, None)
        values.append(made[0])
        values_torch.append(made[1])
    for ours, theirs in zip(values, values_torch, strict=True):
        assert ours.requires_grad == theirs.requires_grad
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(values) - 1))
        y, u = (values[i] * values[i]).sum(), (values_torch[i] * values_torch[i]).sum()
        refused = refusal(lambda y=y: y.backward(retain_graph=True))
        assert refused == refusal(lambda u=u: u.backward(retain_graph=True))
        event(f"refused: {refused}")
    for ours, theirs in zip(values[:count], values_torch[:count], strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            largest = float(theirs.grad.abs().max())
            distance = np.abs(np.asarray(ours.grad) - theirs.grad.numpy()).max()
            assert distance <= 1e-12 * max(largest, 1e-3)


# Kinks, ties and edges: the same values and gradients as torch

EDGES = {
    "maximum ties": (F.maximum, torch.maximum, [1.0, 1.0, 2.0, 0.0], [1.0, 0.0, 2.0, -0.0]),
    "minimum ties": (F.minimum, torch.minimum, [1.0, 1.0, 2.0, 0.0], [1.0, 0.0, 2.0, -0.0]),
    "maximum infinite": (F.maximum, torch.maximum, [inf, -inf, inf], [1.0, -inf, inf]),
    "max ties": (F.max, torch.max, [3.0, 1.0, 3.0, 3.0]),
    "min ties": (F.min, torch.min, [3.0, 1.0, 3.0, 1.0]),
    "amax ties": (
        lambda x: F.max(x, 1),
        lambda x: torch.amax(x, 1),
        [[1.0, 1.0, 0.0], [2.0, 3.0, 1.0]],
    ),
    "amin ties": (
        lambda x: F.min(x, (0, 1)),
        lambda x: torch.amin(x, (0, 1)),
        [[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]],
    ),
    "clip at its bounds": (
        lambda x: F.clip(x, -1.0, 1.0),
        lambda x: torch.clamp(x, -1.0, 1.0),
        [-2.0, -1.0, 0.0, 1.0, 2.0, inf, -inf, nan],
    ),
    "clip to a point": (
        lambda x: F.clip(x, 1.0, 1.0),
        lambda x: torch.clamp(x, 1.0, 1.0),
        [0.0, 1.0, 2.0],
    ),
    "abs at 0": (F.abs, torch.abs, [0.0, -0.0, 1.0, -1.0, inf, -inf]),
    "sign at 0": (F.sign, torch.sign, [0.0, -0.0, 1.0, -inf]),
    "relu at 0": (F.relu, torch.relu, [0.0, -0.0, 1.0, -1.0, inf, -inf]),
    "sqrt": (F.sqrt, torch.sqrt, [0.0, -1.0, inf]),
    "log": (F.log, torch.log, [0.0, -1.0, inf]),
    "log1p": (F.log1p, torch.log1p, [0.0, -1.0, -2.0, inf]),
    "exp": (F.exp, torch.exp, [-inf, inf, nan]),
    "divide by 0": (F.divide, torch.div, [0.0, 1.0, -1.0, 0.0], [0.0, 0.0, 0.0, inf]),
    "remainder": (
        lambda a, b: a % b,
        torch.remainder,
        [5.0, -5.0, 5.0, -5.0, 1.0],
        [3.0, 3.0, -3.0, -3.0, 0.0],
    ),
    "prod of zeros": (F.prod, torch.prod, [0.0, 2.0, 0.0]),
    "var of one": (lambda x: F.var(x), lambda x: torch.var(x, correction=0), [2.0]),
    "softmax with -inf": (F.softmax, lambda x: torch.softmax(x, -1), [-inf, 0.0, 1.0]),
    "log_softmax with -inf": (F.log_softmax, lambda x: torch.log_softmax(x, -1), [-inf, 0.0]),
    "sigmoid": (F.sigmoid, torch.sigmoid, [inf, -inf, 0.0]),
    "tanh": (F.tanh, torch.tanh, [inf, -inf, 0.0]),
    "erf": (F.erf, torch.erf, [inf, -inf, 0.0]),
    "power, both arrays": (
        F.power,
        torch.pow,
        [0.0, 0.0, 0.0, 0.0, -0.0, 0.0, -2.0, -2.0, -2.0, -1.0, nan, 2.0, 1.0, 0.0],
        [0.0, 1.0, 2.0, -1.0, -1.0, -0.5, 2.0, -1.0, 0.5, 0.0, 0.0, nan, nan, 0.5],
    ),
    **{
        f"power {exponent}": (
            lambda x, exponent=exponent: x**exponent,
            lambda x, exponent=exponent: x**exponent,
            [0.0, -2.0, nan, 2.0, inf],
        )
        for exponent in (0, 1, 2, 3, -1, 0.5, -0.5)
    },
    **{
        f"power of {base}": (
            lambda x, base=base: base**x,
            lambda x, base=base: base**x,
            [0.0, 1.0, 2.0, -1.0, 0.5],
        )
        for base in (0.0, 1.0, 2.0, -2.0)
    },
}


@pytest.mark.parametrize("name", EDGES)
def test_kinks_ties_and_edges(name):
    ours, theirs, *arrays = EDGES[name]
    xs, ts = leaves(*arrays)
    y, u = ours(*xs), theirs(*ts)
    np.testing.assert_allclose(np.asarray(y), u.numpy(force=True), rtol=1e-15, atol=1e-300)
    weights = np.linspace(1.0, 2.0, y.size).reshape(y.shape)
    found = nx.grad(y, xs, weights)
    for gradient, wanted in zip(found, torch.autograd.grad(u, ts, of_torch(weights)), strict=True):
        np.testing.assert_allclose(np.asarray(gradient), wanted.numpy(force=True), rtol=4e-15)


DTYPES = [np.float64, np.float32, np.int64, np.int32, np.bool_]


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])
def test_a_result_has_one_of_the_five_dtypes_or_is_refused(name):
    """And where torch refuses, of two booleans, so do we."""
    function = getattr(operator, name)
    for a in DTYPES:
        for b in DTYPES:
            x, y = nx.tensor([1, 1], dtype=a), nx.tensor([1, 1], dtype=b)
            t, u = torch.from_numpy(x.numpy()), torch.from_numpy(y.numpy())
            refused = refusal(lambda x=x, y=y: function(x, y))
            if a is b:  # of a number and a boolean, torch refuses the difference
                assert refused == refusal(lambda t=t, u=u: function(t, u)), a
            assert refused or function(x, y).dtype in DTYPES, (a, b)


# Where the two differ on purpose


def test_a_float32_beside_integers_becomes_float64_as_in_numpy_where_torch_keeps_float32():
    x, n = np.array([1.5], np.float32), np.array([2])
    assert (nx.tensor(x) * nx.tensor(n)).dtype == (x * n).dtype == np.float64
    assert (torch.tensor(x) * torch.tensor(n)).dtype == torch.float32


def test_quotients_and_means_of_integers_are_float64_as_in_numpy_where_torch_says_float32_or_no():
    n = np.array([1, 2])
    assert (nx.tensor(n) / nx.tensor(n)).dtype == np.float64
    assert (torch.tensor(n) / torch.tensor(n)).dtype == torch.float32
    assert nx.tensor(n).mean().item() == 1.5
    assert refusal(torch.tensor(n).mean)


def test_einsum_s_letters_have_one_length_where_torch_stretches_a_one():
    assert torch.einsum("i,i->i", torch.ones(1), torch.ones(3)).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(nx.errors.ShapeError, match="one length"):
        F.einsum("i,i->i", nx.tensor([1.0]), nx.tensor([1.0, 1.0, 1.0]))


def test_softplus_keeps_its_last_digits_where_torch_cuts_them_off_above_20():
    assert values(F.softplus, [21.0])[0][0] == 21.0 + math.log1p(math.exp(-21.0))
    assert values_torch(torch.nn.functional.softplus, [21.0])[0] == [21.0]


def values(function, *arrays):
    """The output, and the gradients of its sum, of a function in one of the libraries."""
    ours = [nx.tensor(x, requires_grad=True) for x in arrays]
    y = function(*ours)
    return np.asarray(y).tolist(), *(g.tolist() for g in nx.grad(y.sum(), ours))


def values_torch(function, *arrays):
    theirs = [of_torch(x, True) for x in arrays]
    y = function(*theirs)
    return y.tolist(), *(g.tolist() for g in torch.autograd.grad(y.sum(), theirs))


def test_max_over_an_axis_shares_among_ties_where_torch_s_max_with_dim_picks_one():
    x = [[3.0, 3.0, 1.0]]
    assert values(lambda x: F.max(x, 1), x) == ([3.0], [[0.5, 0.5, 0.0]])
    assert values_torch(lambda x: x.max(1).values, x) == ([3.0], [[1.0, 0.0, 0.0]])


def test_a_nan_gets_all_of_the_gradient_from_maximum_minimum_and_relu():
    a, b = [nan, 1.0], [1.0, nan]
    for ours, theirs in ((F.maximum, torch.maximum), (F.minimum, torch.minimum)):
        for y, da, db in (values(ours, a, b), values_torch(theirs, a, b)):
            assert np.isnan(y).all() and (da, db) == ([1.0, 1.0], [1.0, 1.0])
    assert values(F.relu, [nan])[1] == [1.0]
    assert values_torch(torch.relu, [nan])[1] == [1.0]


def test_the_sign_of_nan_is_nan_as_in_numpy_where_torch_says_0():
    assert np.isnan(values(F.sign, [nan])[0]).all()
    assert values_torch(torch.sign, [nan])[0] == [0.0]
    assert np.isnan(values(F.abs, [nan])[1]).all()
    assert values_torch(torch.abs, [nan])[1] == [0.0]


def test_gelu_has_its_limits_at_infinity_where_torch_has_nan():
    assert values(F.gelu, [inf, -inf]) == ([inf, 0.0], [1.0, 0.0])
    assert np.isnan(values_torch(torch.nn.functional.gelu, [inf, -inf])[1]).all()


def test_gelu_keeps_its_left_tail_where_torch_says_0():
    assert values(F.gelu, [-30.0])[0][0] == pytest.approx(-1.472e-196, rel=1e-3)
    assert values_torch(torch.nn.functional.gelu, [-30.0])[0] == [0.0]


def test_layer_norm_survives_a_large_mean_where_torch_loses_digits():
    rng = np.random.default_rng(0)
    rows = 1e4 + np.round(rng.standard_normal((3, 16)) * 2**10) / 2**20  # exact in float64
    exact = rows - 1e4
    exact = exact - exact.mean(-1, keepdims=True)
    exact = exact / np.sqrt((exact * exact).mean(-1, keepdims=True))
    ours = np.asarray(F.layer_norm(nx.tensor(rows), eps=0.0))
    theirs = torch.nn.functional.layer_norm(of_torch(rows), (16,), eps=0.0).numpy()
    assert np.abs(ours - exact).max() < 2e-15 * np.abs(exact).max()
    assert np.abs(theirs - exact).max() > 1e-11 * np.abs(exact).max()


def test_layer_norm_is_right_at_third_order_where_torch_s_fused_one_is_wrong():
    """Both against torch's composition of elementary operations."""
    rng = np.random.default_rng(0)
    array, *directions = rng.standard_normal((4, 3, 6))

    def third(grad, y, x, directions):
        for i, direction in enumerate(directions):
            last = i + 1 == len(directions)
            (y,) = grad((y * direction).sum(), x, create_graph=not last)
        return np.asarray(y.detach() if isinstance(y, torch.Tensor) else y)

    def composed(x):
        c = x - x.mean(-1, keepdim=True)
        return c / torch.sqrt((c * c).mean(-1, keepdim=True) + 1e-5)

    (x,), (t,) = leaves(array)
    directions_torch = [of_torch(d) for d in directions]
    wanted = third(torch.autograd.grad, composed(t), t, directions_torch)
    fused = torch.nn.functional.layer_norm(t, (6,))
    found = third(nx.grad, F.layer_norm(x), x, directions)
    found_torch = third(torch.autograd.grad, fused, t, directions_torch)
    assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()
    assert np.abs(found_torch - wanted).max() > 0.1 * np.abs(wanted).max()


def test_every_tape_is_read_once_where_torch_rereads_one_that_saved_nothing():
    (x,), (t,) = leaves([1.0, 2.0])
    y, u = (x + x).sum(), (t + t).sum()
    y.backward()
    u.backward()
    u.backward()
    assert t.grad.tolist() == [4.0, 4.0]
    with pytest.raises(nx.errors.TapeError, match="read once"):
        y.backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_grad_keeps_the_tape_where_torch_frees_it():
    (x,), (t,) = leaves([1.0, 2.0])
    y, u = (x * x).sum(), (t * t).sum()
    assert nx.grad(y, x)[0].tolist() == nx.grad(y, x)[0].tolist() == [2.0, 4.0]
    assert torch.autograd.grad(u, t)[0].tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(u, t)


def test_an_old_grad_keeps_its_values_where_torch_adds_to_it_in_place():
    (x,), (t,) = leaves([1.0])
    (2 * x).sum().backward()
    (2 * t).sum().backward()
    held, held_torch = x.grad, t.grad
    (3 * x).sum().backward()
    (3 * t).sum().backward()
    assert (held.tolist(), x.grad.tolist()) == ([2.0], [5.0])
    assert (held_torch.tolist(), t.grad.tolist()) == ([5.0], [5.0])


def test_assigning_data_between_forward_and_backward_is_noticed_where_torch_uses_the_new_values():
    (x,), (t,) = leaves([1.0])
    y, u = (x * x).sum(), (t * t).sum()
    x.data = np.array([10.0])
    t.data = of_torch([10.0])
    with pytest.raises(nx.errors.TapeError, match="must stay as it was"):
        y.backward()
    u.backward()
    assert t.grad.tolist() in ([2.0], [20.0])  # the derivative of 1², or of a value never squared


def test_a_gradient_of_another_dtype_is_refused_where_torch_converts_it():
    (x,), (t,) = leaves([1.0])
    with pytest.raises(nx.errors.DTypeError, match="float64"):
        (x * x).backward(np.array([1.0], np.float32))
    (t * t).backward(torch.tensor([1.0], dtype=torch.float32))
    assert t.grad.tolist() == [2.0]


def test_numbers_are_float64_where_torch_s_are_float32():
    assert nx.tensor(1.5).dtype == np.float64
    assert torch.tensor(1.5).dtype == torch.float32


def test_tensors_do_not_change_in_place_where_torch_s_do():
    x, t = nx.tensor([1.0, 2.0]), of_torch([1.0, 2.0])
    t[0] = 5.0
    assert t.tolist() == [5.0, 2.0]
    with pytest.raises(nx.errors.DTypeError, match="do not change"):
        x[0] = 5.0


def test_an_integer_beside_an_index_array_counts_as_one_as_in_numpy_where_torch_takes_it_first():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert nx.tensor(x)[0, :, [1, 2]].shape == x[0, :, [1, 2]].shape == (2, 3)
    assert tuple(of_torch(x)[0, :, [1, 2]].shape) == (3, 2)


def test_one_ellipsis_is_enough_as_in_numpy_where_torch_takes_several():
    assert of_torch([1.0])[..., ...].tolist() == [1.0]
    with pytest.raises(nx.errors.IndexRangeError, match="ellipsis"):
        nx.tensor([1.0])[..., ...]


def test_var_divides_by_n_as_in_numpy_where_torch_divides_by_n_minus_1():
    x = [1.0, 2.0, 4.0]
    assert F.var(nx.tensor(x)).item() == pytest.approx(np.var(x))
    assert torch.var(of_torch(x)).item() == pytest.approx(np.var(x, ddof=1))


@pytest.mark.filterwarnings("error")
def test_the_pages_torch_layer_passes_gradcheck_and_one_without_bias_fails():
    found = runpy.run_path(str(DOCS / "examples" / "torch_gradient.py"))
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in [(2, 4), (3, 4), (3,)]]
    report = nx.gradcheck(found["forward"], *inputs, vjp=found["backward"])
    assert report.passed, report

    def without(cotangent, *inputs):
        *others, bias = found["backward"](cotangent, *inputs)
        return [*others, 0 * bias]

    report = nx.gradcheck(found["forward"], *inputs, vjp=without)
    assert report.verdict == "fail"
    assert report.worst[0] == 2
