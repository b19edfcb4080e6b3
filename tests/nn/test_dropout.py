"""The dropout layer."""

import numpy as np
import pytest

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError

X = np.full(20_000, 2.0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_in_training_the_expectation_is_the_input(p):
    y = nn.Dropout(p, rng=0)(X)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 2 / (1 - p), rtol=1e-15)
    assert abs(kept.mean() - (1 - p)) < 4 * np.sqrt(p * (1 - p) / X.size)


def test_half_is_the_default():
    assert nn.Dropout().p == 0.5


def test_in_evaluation_it_is_the_input_and_takes_no_random_number():
    layer, twin = nn.Dropout(0.5, rng=0), nn.Dropout(0.5, rng=0)
    x = nx.tensor(X)
    assert layer.eval()(x) is x
    np.testing.assert_array_equal(layer.train()(X), twin(X))


def test_p_0_never_drops():
    np.testing.assert_array_equal(nn.Dropout(0.0, rng=0)(X), X)


def test_masks_differ_from_call_to_call_and_repeat_with_the_seed():
    layer, same, other = nn.Dropout(0.5, rng=0), nn.Dropout(0.5, rng=0), nn.Dropout(0.5, rng=1)
    first, second = layer(X), layer(X)
    assert (first != second).any()
    np.testing.assert_array_equal(same(X), first)
    np.testing.assert_array_equal(same(X), second)
    assert (other(X) != first).any()
    assert (nn.Dropout(0.5)(X) != nn.Dropout(0.5)(X)).any()


def test_the_gradient_passes_where_the_value_passed():
    x = nx.tensor(X, requires_grad=True)
    y = nn.Dropout(0.3, rng=0)(x)
    y.backward(np.full(X.shape, 3.0))
    np.testing.assert_allclose(x.grad.data, y.data * 3 / 2, rtol=1e-15)


def test_it_has_no_parameters_and_says_what_it_is():
    layer = nn.Dropout(0.25, rng=0)
    assert layer.state_dict() == {}
    assert repr(layer) == "Dropout(0.25)"


@pytest.mark.parametrize("p", [1, 1.0, -0.1, 2, float("nan"), "half", None])
def test_p_outside(p):
    with pytest.raises(ArgumentError) as caught:
        nn.Dropout(p)
    assert str(caught.value) == (
        f"the dropout probability p lies in [0, 1): got {p!r}; use e.g. 0.1"
    )
    assert isinstance(caught.value, ValueError)
