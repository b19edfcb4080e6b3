"""What a calculation did, remembered step by step."""

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology.errors import ShapeError
from numixology.explain import Step, steps_of
from numixology.observe import debug_shapes, observing, step

MIXING = ["input", "partition", "permute", "flatten", "merge"]


def test_the_steps_of_a_function_of_arrays_in_order() -> None:
    x = np.arange(2.0 * 4 * 8).reshape(2, 4, 8)
    steps = steps_of(F.token_mix, x, 4)
    assert [one.name for one in steps] == MIXING
    assert [one.shape for one in steps] == [
        (2, 4, 8),
        (2, 4, 4, 2),
        (2, 4, 4, 2),
        (2, 16, 2),
        (2, 4, 8),
    ]
    assert [one.contiguous for one in steps] == [True, True, False, True, True]
    stages = F.mixing_steps(x, 4)
    for one in steps:
        assert np.array_equal(one.value, stages[one.name])


def test_the_steps_of_a_module_on_tensors() -> None:
    mixer = nx.nn.TokenMixer(3, 4, 2)
    x = nx.tensor(np.arange(12.0).reshape(1, 3, 4), requires_grad=True)
    steps = steps_of(mixer, x)
    assert [one.name for one in steps] == [*MIXING, "residual", "norm"]
    assert all(type(one.value) is np.ndarray for one in steps)
    assert np.array_equal(steps[-1].value, mixer(x).numpy())
    assert np.array_equal(steps[-2].value, x.numpy() + steps[-3].value)


def test_values_are_copies_in_order() -> None:
    x = np.zeros((1, 2, 2))
    steps = steps_of(F.token_mix, x, 2)
    x += 1
    for one in steps:
        assert not one.value.any()
        assert not np.shares_memory(one.value, x)
        assert one.value.flags.c_contiguous  # the copy, whatever the value was


def test_a_value_changed_after_its_step_is_remembered_as_it_was() -> None:
    def fn(x):
        step("before", x)
        x += 1
        return step("after", x)

    before, after = steps_of(fn, np.zeros(2))
    assert before.value.tolist() == [0, 0]
    assert after.value.tolist() == [1, 1]


def test_a_function_without_steps_has_none() -> None:
    assert steps_of(np.exp, np.zeros(2)) == []


def test_numbers_have_steps_too() -> None:
    assert steps_of(lambda: step("n", 3)) == [Step("n", np.array(3), True)]


def test_tracing_changes_nothing_and_ends_with_the_call() -> None:
    mixer = nx.nn.TokenMixer(2, 4, 2)
    x = nx.tensor(np.arange(8.0).reshape(1, 2, 4), requires_grad=True)
    silent = mixer(x).numpy()
    kept = []
    steps_of(lambda y: kept.append(mixer(y)), x)
    assert np.array_equal(kept[0].numpy(), silent)
    kept[0].sum().backward()
    assert x.grad is not None
    first = steps_of(mixer, x)
    mixer(x)
    assert len(first) == 7


def test_other_observers_keep_watching(capsys) -> None:
    names = []
    with observing(lambda name, value: names.append(name)), nx.educational():
        steps = steps_of(F.token_mix, np.zeros((1, 2, 2)), 2)
    assert names == [one.name for one in steps] == MIXING
    assert len(capsys.readouterr().out.splitlines()) == len(MIXING)
    steps_of(F.token_mix, np.zeros((1, 2, 2)), 2)
    assert capsys.readouterr().out == ""


def test_traces_may_be_nested() -> None:
    inner = []

    def fn(x):
        inner.extend(steps_of(F.token_mix, x, 2))
        return step("end", x)

    outer = steps_of(fn, np.zeros((1, 2, 2)))
    assert [one.name for one in inner] == MIXING
    assert [one.name for one in outer] == [*MIXING, "end"]


def test_an_error_is_handed_on_and_watching_ends() -> None:
    with pytest.raises(ShapeError):
        steps_of(F.token_mix, np.zeros((1, 2, 3)), 2)
    assert steps_of(np.exp, np.zeros(2)) == []
    assert debug_shapes(np.float64(3.0), "three") == 3
