"""SGD, Adam and AdamW: exact first steps, closed forms, state, and what they refuse."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology.errors import ArgumentError, DTypeError, StateDictError
from numixology.optim import SGD, Adam, AdamW

MAKERS = {
    "sgd": partial(SGD, lr=0.25),
    "momentum": partial(SGD, lr=0.25, momentum=0.5, weight_decay=0.5),
    "nesterov": partial(SGD, lr=0.25, momentum=0.5, nesterov=True),
    "adam": partial(Adam, lr=0.25, weight_decay=0.5),
    "adamw": partial(AdamW, lr=lambda n: 1 / (n + 1)),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def parameters(dtype="float64"):
    rng = np.random.default_rng(0)
    shapes = (2, 3), (4,), ()
    return [nx.tensor(rng.normal(size=s), dtype=dtype, requires_grad=True) for s in shapes]


def give_gradients(tensors, seed):
    rng = np.random.default_rng([1, seed])
    for p in tensors:
        p.grad = nx.tensor(rng.standard_normal(p.shape), dtype=p.dtype)


def run(make, steps, dtype="float64"):
    tensors = parameters(dtype)
    optimizer = make(tensors)
    for n in range(steps):
        give_gradients(tensors, n)
        optimizer.step()
    return tensors, optimizer


def stepped(make, gradients, start=4.0):
    """The values that one number takes."""
    p = nx.tensor(start, requires_grad=True)
    optimizer = make([p])
    values = []
    for gradient in gradients:
        p.grad = nx.tensor(gradient)
        optimizer.step()
        values.append(p.item())
    return values


def test_steps_of_sgd_by_hand() -> None:
    gradients = [1.0, 2.0, -4.0]
    assert stepped(MAKERS["sgd"], gradients) == [3.75, 3.25, 4.25]
    # b = 1, 2.5, -2.75
    assert stepped(partial(SGD, lr=0.25, momentum=0.5), gradients) == [3.75, 3.125, 3.8125]
    # g + b / 2 = 1.5, 3.25, -5.375
    assert stepped(MAKERS["nesterov"], gradients) == [3.625, 2.8125, 4.15625]
    assert stepped(partial(SGD, lr=0.25, weight_decay=0.5), [0.0, 0.0]) == [3.5, 3.0625]


def test_a_constant_gradient_moves_adam_by_the_learning_rate() -> None:
    moves = np.diff([4.0, *stepped(partial(Adam, lr=0.25, eps=0.0), 50 * [-3.0])])
    np.testing.assert_allclose(moves, 0.25, rtol=1e-13)


def test_the_decay_of_adamw_is_beside_the_moments() -> None:
    make = partial(AdamW, lr=0.25, weight_decay=0.5)
    assert stepped(make, [0.0, 0.0]) == [4 * 0.875, 4 * 0.875**2]


def test_adam_against_its_algorithm_as_published() -> None:
    rng = np.random.default_rng(3)
    beta1, beta2, lr, eps = 0.8, 0.95, 0.01, 1e-8
    p, m, v, want = 4.0, 0.0, 0.0, []
    gradients = rng.standard_normal(40)
    for n, g in enumerate(gradients, start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        p -= lr * (m / (1 - beta1**n)) / (np.sqrt(v / (1 - beta2**n)) + eps)
        want.append(p)
    got = stepped(partial(Adam, lr=lr, betas=(beta1, beta2), eps=eps), gradients)
    np.testing.assert_allclose(got, want, rtol=1e-14)


@makers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_dtypes_are_kept(make, dtype) -> None:
    tensors, optimizer = run(make, 2, dtype)
    assert {p.dtype for p in tensors} == {np.dtype(dtype)}
    moments = [a for name, a in optimizer.state_dict().items() if not name.endswith(("step", "s"))]
    assert {a.dtype for a in moments if a.dtype.kind == "f"} <= {np.dtype(dtype)}


@makers
def test_going_on_from_a_state_dict_is_going_on(make) -> None:
    tensors, optimizer = run(make, 3)
    twins = [nx.tensor(p.numpy(), requires_grad=True) for p in tensors]
    twin = make(twins)
    twin.load_state_dict(optimizer.state_dict())
    for n in range(3, 6):
        for own, one in ((tensors, optimizer), (twins, twin)):
            give_gradients(own, n)
            one.step()
    for p, q in zip(tensors, twins, strict=True):
        assert np.array_equal(p.data, q.data)


def test_a_state_dict_is_a_copy() -> None:
    tensors, optimizer = run(MAKERS["adam"], 2)
    state = optimizer.state_dict()
    kept = {name: array.copy() for name, array in state.items()}
    give_gradients(tensors, 7)
    optimizer.step()
    for name, array in state.items():
        assert np.array_equal(array, kept[name])
        array[...] = 9
    assert optimizer.state_dict()["steps"] == 3


def test_a_bad_state_dict_changes_nothing() -> None:
    _, optimizer = run(MAKERS["adam"], 2)
    before = optimizer.state_dict()
    wrong = dict(before)
    del wrong["0.step"]
    wrong["1.exp_avg"] = np.zeros(5)
    with refused(StateDictError, "missing 0.step", "1.exp_avg of shape (5,), not (4,)"):
        optimizer.load_state_dict(wrong)
    after = optimizer.state_dict()
    assert all(np.array_equal(after[name], before[name]) for name in before)


@makers
def test_a_parameter_without_a_gradient_is_left_alone(make) -> None:
    tensors = parameters()
    optimizer = make(tensors)
    give_gradients(tensors, 0)
    tensors[1].zero_grad()
    before, state = tensors[1].numpy(), optimizer.state_dict()
    optimizer.step()
    assert np.array_equal(tensors[1].data, before)
    now = optimizer.state_dict()
    assert all(np.array_equal(now[n], state[n]) for n in state if n.startswith("1."))
    assert (now["steps"], now["0.step"]) == (1, 1)


def test_a_rate_of_numpy_s_leaves_float32_as_it_is() -> None:
    tensors, _ = run(partial(Adam, lr=lambda n: np.float64(0.1)), 1, "float32")
    assert {p.dtype for p in tensors} == {np.dtype("float32")}


@pytest.mark.parametrize(
    "make",
    [
        partial(SGD, lr=np.float64(0.25), momentum=np.float64(0.5), weight_decay=np.float64(0.5)),
        partial(Adam, betas=np.array([0.5, 0.5]), eps=np.float64(0.25)),
        partial(AdamW, weight_decay=np.float64(0.5)),
    ],
)
def test_settings_of_numpy_s_leave_float32_as_it_is(make) -> None:
    tensors, optimizer = run(make, 2, "float32")
    assert {a.dtype.char for a in (*tensors, *optimizer.state_dict().values())} <= {"f", "l"}


def test_a_parameter_that_was_lost_can_be_put_back_where_nothing_is_kept_of_its_steps() -> None:
    p = nx.tensor(4.0, requires_grad=True)
    optimizer = SGD([p], lr=0.25)
    for gradient, start in ((np.nan, 4.0), (1.0, 4.0), (1.0, np.inf)):
        p.data, p.grad = np.array(start), nx.tensor(gradient)
        optimizer.step()
        assert np.array_equal(p.data, start - 0.25 * gradient, equal_nan=True)
    assert list(optimizer.state_dict()) == ["steps", "0.step"]


def test_adam_without_memory_goes_by_the_signs() -> None:
    gradients = [1e10, -1e-8, 1e-8]
    steps = np.diff([4.0, *stepped(partial(Adam, lr=0.25, betas=(0.0, 0.0), eps=0.0), gradients)])
    assert steps.tolist() == [-0.25, 0.25, -0.25]


def test_a_schedule_is_asked_for_the_steps_taken() -> None:
    asked = []
    optimizer = SGD(parameters(), lr=lambda n: asked.append(n) or 0.0)
    for _ in range(3):
        optimizer.step()
    assert asked == [0, 1, 2]


def test_the_rate_may_be_set_anew() -> None:
    p = nx.tensor(4.0, requires_grad=True)
    optimizer = SGD([p], lr=0.25)
    for rate in (0.5, lambda n: n / 2):
        optimizer.lr = rate
        p.grad = nx.tensor(1.0)
        optimizer.step()
    assert p.item() == 4 - 0.5 - 0.5


def test_a_copy_goes_on_by_itself() -> None:
    tensors, optimizer = run(MAKERS["adam"], 2)
    for copied in (copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
        twin = copied(optimizer)
        give_gradients(tensors, 2)
        give_gradients(twin.parameters, 2)
        optimizer.step()
        twin.step()
        for p, q in zip(tensors, twin.parameters, strict=True):
            assert np.array_equal(p.data, q.data)


def test_zero_grad_forgets_gradients() -> None:
    tensors, optimizer = run(MAKERS["sgd"], 1)
    optimizer.zero_grad()
    assert all(p.grad is None for p in tensors)


def test_numbers_out_of_range_spread_without_a_warning() -> None:
    p = nx.tensor([1e300, 1.0], requires_grad=True)
    optimizer = Adam([p])
    p.grad = nx.tensor([1e300, np.nan])
    optimizer.step()
    assert np.isnan(p.data[1])


def test_what_is_refused() -> None:
    one = parameters()[0]
    for strays in ([np.ones(2)], one, [2 * one], {"weight": one}):
        with refused(DTypeError, "parameters are leaf tensors", "module.parameters()"):
            SGD(strays, lr=0.1)
    with refused(ArgumentError, "there is at least one parameter"):
        SGD([], lr=0.1)
    with refused(ArgumentError, "an optimizer has each parameter once: got 2, of which 1 differ"):
        SGD([one, one], lr=0.1)
    for make, bad in ((SGD, "lr momentum weight_decay"), (Adam, "lr eps weight_decay")):
        for name in bad.split():
            for value in (-0.5, np.nan):
                with refused(ArgumentError, f"{name} is at least 0: got {value}"):
                    make([one], **{"lr": 0.1, name: value})
    with refused(ArgumentError, "nesterov needs momentum: got 0.0"):
        SGD([one], lr=0.1, nesterov=True)
    with refused(ArgumentError, "betas are in [0, 1)"):
        Adam([one], betas=(0.9, 1.0))
    one.grad = nx.tensor(np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"Optimizer must define update\(\)"):
        nx.optim.Optimizer([one], 0.1).step()
