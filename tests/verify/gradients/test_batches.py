"""Many lines go through one call of a function that keeps copies of its inputs apart."""

import numpy as np
import pytest

import numixology as nx
from numixology.verify.gradients import slopes
from numixology.verify.gradients.lines import coordinates, directions
from numixology.verify.gradients.problems import Problem
from numixology.verify.gradients.slopes import complex_slopes


@pytest.fixture(autouse=True)
def sixteen_lines_at_a_time(monkeypatch):
    """So that batches are several, and rows and copies may be as many."""
    monkeypatch.setattr(slopes, "_IN_BATCHES", 16)


def normal(*shape, seed=0):
    return np.random.default_rng([11, seed, *shape]).standard_normal(shape)


def measured(fn, *inputs, lines=coordinates):
    """Slopes along lines by few calls and by a call for each, and what the few calls were of."""
    shapes = []

    def watched(*arguments):
        shapes.append(np.shape(arguments[0]))
        return fn(*arguments)

    problem = Problem(watched, lambda ct, *x: x, inputs, np.random.default_rng(0))
    v = normal(2, problem.y.size)
    every = lines(problem)
    one_by_one = [complex_slopes(problem, v, every.only([k])) for k in range(len(every))]
    problem.batches, shapes[:] = True, []
    return complex_slopes(problem, v, every), one_by_one, shapes


def assert_alike(found, one_by_one):
    for k, one in enumerate(one_by_one):
        for name in ("slopes", "terms", "lower", "upper", "errors"):
            ours, theirs = getattr(found, name)[:, k], getattr(one, name)[:, 0]
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13 * one.terms.max())
    assert found.carried == all(one.carried for one in one_by_one)


def layer_norm(x, weight, bias):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5) * weight + bias


ACCEPTING = {
    "linear": (lambda x, w, b: x @ w + b, normal(4, 5), normal(5, 6), normal(6)),
    "layer norm": (layer_norm, normal(4, 8), normal(8), normal(8)),
    "elementwise": (lambda x: np.tanh(x) * np.exp(x), normal(40)),
    "a dict": (lambda p: {"y": p["x"] * p["s"], "z": np.sin(p["x"])}, {"x": normal(30), "s": 2.0}),
    "a mask": (lambda x, mask: np.where(mask, x * x, 0), normal(4, 8), normal(4, 8) > 0),
    "sizes far apart": (lambda x: x * x, normal(30) * 10.0 ** np.arange(-90, 60, 5)),
    "reshaped": (lambda x: x.reshape(-1) * 2, normal(4, 5)),
    "squared matrix": (lambda x: x @ x, normal(6, 6)),
    "one number rests": (lambda x: x * (np.arange(20) != 7), normal(20)),
}


@pytest.mark.parametrize("name", ACCEPTING)
def test_functions_that_accept_a_leading_axis_are_called_less_often(name) -> None:
    found, one_by_one, shapes = measured(*ACCEPTING[name])
    assert_alike(found, one_by_one)
    assert len(shapes) <= len(one_by_one) / 4


def test_lines_through_many_entries_may_be_batched_too() -> None:
    found, one_by_one, shapes = measured(
        layer_norm,
        normal(4, 8),
        normal(8),
        normal(8),
        lines=lambda problem: directions(problem, normal(4, problem.x.size)),
    )
    assert_alike(found, one_by_one)
    assert len(shapes) == 2


# Where there are 16 rows, copies are as many, which shapes do not tell.
MIXING = {
    "mean": (lambda x: x - x.mean(0), normal(16, 3)),
    "sum": (lambda x: x.sum(0), normal(16, 16)),
    "sum, keepdims": (lambda x: x / x.sum(0, keepdims=True), normal(3, 5)),
    "sum of one row": (lambda x: np.exp(x) - x.sum(0, keepdims=True), normal(1, 16)),
    "largest": (lambda x: x / np.abs(x).max(), np.append(9.0, normal(29))),
    "norm": (lambda x: x / np.sqrt((x * x).sum()), normal(30)),
    "loss": (lambda x: np.mean(x * x), normal(30)),
    "first row": (lambda x: x[0], normal(16, 16)),
    "first row added": (lambda x: x + x[0], normal(16, 3)),
    "first of one row": (lambda x: x[0] * x, normal(1, 16)),
    "flipped": (lambda x: x[::-1] * 1.0, np.ones(20)),
    "flip of one row": (lambda x: x[::-1] * np.arange(16), normal(1, 16)),
    "rolled": (lambda x: np.roll(x, 1, axis=0) * 1.0, np.ones((16, 2))),
    "flattened": (lambda x: np.cumsum(x.reshape(-1)), normal(4, 5)),
    "transposed": (lambda x: x.T * 1.0, normal(16, 16)),
    "transposed ones": (lambda x: x.T * 1.0, np.ones((16, 16))),
    "weight transposed": (lambda x, w: x @ w.T, normal(3, 4), normal(5, 4)),
    "matrix and vector": (lambda a, x: a @ x, normal(16, 16), normal(16)),
    "outer": (np.outer, normal(6), normal(5)),
    "sorted": (lambda x: np.sort(x, axis=0), np.arange(20.0)),
    "added up": (lambda x: np.cumsum(x, axis=0), normal(20)),
    "its length": (lambda x: x * len(x), normal(20)),
    "its size": (lambda x: x / x.size, normal(20)),
    "rows of a table": (lambda table, ids: table[ids], normal(16, 2), np.array([1, 1, 15])),
    "one of every row": (lambda x, k: x[np.arange(16), k], normal(16, 4), np.arange(16) % 4),
    "padded": (lambda x: np.pad(x, 1), normal(20)),
    "a constant beside": (lambda x: (x * x, np.ones(2)), normal(20)),
    "a constant": (lambda x: 0 * x[:3] + 1, normal(20)),
    "one output of the first": (lambda x: np.array(1.0) * x.reshape(-1)[0], normal(20)),
    "a little of the mean": (lambda x: x + 1e-9 * x.mean(0), normal(16, 3)),
    "a little of a small one": (lambda x: x + x[0], np.append(1e-30, normal(19))),
    "a kink": (lambda x: np.maximum(x, x[..., ::-1]), np.ones(20)),
}


@pytest.mark.parametrize("name", MIXING)
def test_functions_that_mix_the_copies_are_called_line_by_line(name) -> None:
    found, one_by_one, shapes = measured(*MIXING[name])
    assert_alike(found, one_by_one)
    assert len(shapes) >= len(one_by_one)


def test_a_batch_that_is_refused_is_not_tried_again() -> None:
    shapes = []

    def validating(x):
        shapes.append(x.shape)
        assert x.shape == (100,), "one vector"
        return np.exp(x)

    assert nx.gradcheck(validating, normal(100), vjp=lambda ct, x: ct * np.exp(x)).passed
    assert len(set(shapes)) == 2
    assert shapes.count((16, 100)) == 1


def test_what_leaves_numpy_never_sees_a_batch() -> None:
    shapes = set()

    def elsewhere(x):  # where another shape may have to be compiled
        shapes.add(x.shape)
        return np.exp(np.asarray(x))

    assert nx.gradcheck(elsewhere, normal(20), vjp=lambda ct, x: ct * np.exp(x)).passed
    assert shapes == {(20,)}


@pytest.mark.parametrize(("columns", "called"), [(15_000, {(2, 14), (14,)}), (20_000, {(14,)})])
def test_the_larger_the_outputs_the_fewer_lines_are_measured_together(columns, called) -> None:
    found, one_by_one, shapes = measured(lambda x: x[..., None] * np.ones(columns), normal(14))
    assert_alike(found, one_by_one)
    assert set(shapes) == called


@pytest.mark.parametrize("name", ["linear", "layer norm"])
def test_a_mistake_in_one_entry_is_found_through_a_batch(name) -> None:
    fn, *inputs = ACCEPTING[name]
    right = [lambda ct, x, w, b: (ct @ w.T, x.T @ ct, ct.sum(0)), layer_norm_vjp][
        name == "layer norm"
    ]

    def wrong(ct, *inputs):
        gradients = right(ct, *inputs)
        gradients[1].flat[5] *= 1 + 1e-11
        return gradients

    assert nx.gradcheck(fn, *inputs, vjp=right).passed
    report = nx.gradcheck(fn, *inputs, vjp=wrong)
    assert report.verdict == "fail"
    assert report.worst[:2] == (1, np.unravel_index(5, inputs[1].shape))


def layer_norm_vjp(ct, x, weight, bias):
    h = layer_norm(x, 1.0, 0.0)
    c = ct * weight
    inner = c - c.mean(-1, keepdims=True) - h * (c * h).mean(-1, keepdims=True)
    std = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return inner / std, (ct * h).sum(0), ct.sum(0)


def test_the_tape_accepts_batches_of_the_packages_own_functions() -> None:
    shapes = []

    def gelu(x):
        shapes.append(x.shape)
        return nx.functional.gelu(x)

    assert nx.gradcheck(gelu, normal(100)).passed
    assert shapes.count((16, 100)) == 6
    assert len(shapes) < 100
