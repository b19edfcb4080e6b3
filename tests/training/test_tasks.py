"""The two tasks: what they ask, why nothing without mixing learns them, and that mixing does."""

import itertools
import math

import numpy as np
import pytest

import numixology as nx
from numixology.training import TASKS, TaskModel, train

names = pytest.mark.parametrize("name", TASKS)


def test_the_targets_by_hand() -> None:
    copy, cross = TASKS["copy"], TASKS["cross"]
    for i, ids in enumerate(itertools.product(range(4), repeat=4)):
        assert tuple(copy.ids[i]) == tuple(cross.ids[i]) == ids
        assert tuple(copy.target[i]) == (ids[3], ids[0], ids[1], ids[2])
        assert cross.target[i] == ((ids[0] + ids[1]) % 4 < 2)


def test_what_makes_the_bounds() -> None:
    copy, cross = TASKS["copy"], TASKS["cross"]
    assert (copy.bound, cross.bound) == (math.log(4), math.log(2))
    for field, value in itertools.product(range(4), range(4)):
        # whatever a token sees of its own field, each value before it is as likely
        seen = copy.ids[:, field] == value
        assert np.bincount(copy.target[seen, field]).tolist() == [16, 16, 16, 16]
        # and half of the targets are 1: the best sum of functions of one field each is constant
        assert cross.target[seen].mean() == 0.5


@names
def test_models_without_mixing_are_functions_of_their_fields(name) -> None:
    task = TASKS[name]
    y = TaskModel(task, rng=0, mixing="identity")(task.ids).data
    if name == "copy":
        for field, value in itertools.product(range(4), range(4)):
            seen = y[task.ids[:, field] == value, field]
            np.testing.assert_allclose(seen, np.broadcast_to(seen[0], seen.shape), rtol=1e-13)
    else:  # a sum of functions of one field each has no mixed difference
        y = y.reshape(4, 4, 4, 4)
        assert np.abs(np.diff(np.diff(y, axis=0), axis=1)).max() < 1e-13


@names
def test_a_model_may_be_of_float32(name) -> None:
    task = TASKS[name]
    model = TaskModel(task, rng=0, dtype="float32")
    assert {p.dtype for p in model.parameters()} == {np.dtype("float32")}
    expected = task.loss(TaskModel(task, rng=0)).item()
    assert task.loss(model).item() == pytest.approx(expected, rel=1e-5)


@names
def test_twenty_steps_pass_the_bound_with_mixing_and_stay_above_it_without(name) -> None:
    task = TASKS[name]
    last = {}
    for mixing in ("rankmixer", "identity"):
        model = TaskModel(task, rng=0, mixing=mixing)
        optimizer = nx.optim.Adam(model.parameters(), lr=0.03)
        *_, last[mixing] = train(lambda model=model: task.loss(model), optimizer, 20)
    assert last["rankmixer"] < 0.8 * task.bound < task.bound < last["identity"]


def test_a_resumed_loop_takes_the_steps_that_are_left() -> None:
    x = nx.tensor(4.0, requires_grad=True)
    optimizer = nx.optim.SGD([x], lr=0.25)
    assert list(train(lambda: x * x, optimizer, 2)) == [16.0, 4.0]
    assert list(train(lambda: x * x, optimizer, 2)) == []
    assert list(train(lambda: x * x, optimizer, 3)) == [1.0]
    assert optimizer.steps == 3
