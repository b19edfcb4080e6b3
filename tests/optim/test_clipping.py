"""Clipping: what is small stays as it is, what is large gets the size that is allowed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

import numixology as nx
from numixology.errors import ArgumentError, DTypeError
from numixology.optim import clip_grad_norm, clip_grad_value


def with_gradients(*gradients, dtype="float64"):
    tensors = [nx.tensor(np.zeros(np.shape(g)), dtype=dtype, requires_grad=True) for g in gradients]
    for p, g in zip(tensors, gradients, strict=True):
        p.grad = nx.tensor(g, dtype=dtype)
    return [*tensors, nx.tensor(1.0, requires_grad=True)]  # the last has none


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_the_norm_over_all_parameters_is_limited(numbers, size) -> None:
    values = np.array(numbers, float)
    tensors = with_gradients(values, 2 * values, values[0])
    norm = clip_grad_norm(tensors, size)
    assert norm == math.sqrt(5 * np.sum(values**2) + values[0] ** 2)
    scale = min(1.0, size / (norm + 1e-6))
    assert np.array_equal(tensors[0].grad.data, values * scale)
    assert tensors[1].grad.tolist() == (2 * values * scale).tolist()
    assert tensors[2].grad.item() == values[0] * scale
    assert tensors[3].grad is None


def test_the_norm_of_float32_gradients_does_not_overflow() -> None:
    tensors = with_gradients([3e30, 4e30], dtype="float32")
    assert clip_grad_norm(tensors, 5.0) == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(tensors[0].grad.data, [3.0, 4.0], rtol=1e-6)
    assert tensors[0].grad.dtype == np.float32


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6), st.integers(1, 9))
def test_values_are_limited_one_by_one(numbers, size) -> None:
    tensors = with_gradients(np.array(numbers, float), float(numbers[0]))
    clip_grad_value(tensors, size)
    assert tensors[0].grad.tolist() == [max(-size, min(size, n)) for n in numbers]
    assert tensors[1].grad.item() == max(-size, min(size, numbers[0]))


@pytest.mark.parametrize("lost", [math.inf, -math.inf, math.nan])
def test_no_gradient_is_large_where_the_norm_is_none(lost) -> None:
    tensors = with_gradients([lost, 1.0], [2.0])
    assert not math.isfinite(clip_grad_norm(tensors, 1.0))
    assert math.isnan(tensors[0].grad.data[0])
    rest = [tensors[0].grad.data[1], tensors[1].grad.data[0]]
    assert np.array_equal(rest, 2 * [math.nan if math.isnan(lost) else 0.0], equal_nan=True)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
@pytest.mark.parametrize("most", [np.float64(2), np.int64(2), math.inf])
def test_a_size_of_numpy_s_leaves_float32_as_it_is(clip, most) -> None:
    tensors = with_gradients([1.0, 0.5], dtype="float32")
    clip(tensors, most)
    assert tensors[0].grad.tolist() == [1.0, 0.5]
    assert tensors[0].grad.dtype == np.float32


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_what_would_clip_nothing_is_refused(clip) -> None:
    parameters = iter(with_gradients([3.0]))
    clip(parameters, 1.0)
    with refused(ArgumentError, "there is at least one parameter", "gone through once"):
        clip(parameters, 1.0)
    with refused(DTypeError, "parameters are leaf tensors", "pass them in a list"):
        clip(with_gradients([3.0])[0], 1.0)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
@pytest.mark.parametrize("most", [0.0, -1.0, math.nan])
def test_a_size_that_is_no_size_is_refused(clip, most) -> None:
    with refused(ArgumentError, "gradients are clipped to a size above 0"):
        clip(with_gradients([1.0]), most)
