"""The LayerNorm layer."""

import numpy as np
import pytest

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.functional import layer_norm

X = np.random.default_rng(0).normal(size=(2, 3, 4))


def test_it_starts_as_ones_and_zeros():
    layer = nn.LayerNorm(4)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert layer.weight.tolist() == [1.0] * 4
    assert layer.bias.tolist() == [0.0] * 4
    assert layer.eps == 1e-5


def test_it_uses_its_parameters_and_eps():
    layer = nn.LayerNorm(4, eps=0.5)
    weight, bias = np.arange(4.0), np.arange(4.0) - 7
    layer.load_state_dict({"weight": weight, "bias": bias})
    np.testing.assert_array_equal(layer(nx.tensor(X)).data, layer_norm(X, weight, bias, eps=0.5))
    assert not np.allclose(layer(nx.tensor(X)).data, layer_norm(X, weight, bias))


def test_gradients_of_its_parameters_are_summed_over_all_rows():
    layer = nn.LayerNorm(4)
    ct = np.random.default_rng(1).normal(size=X.shape)
    layer(nx.tensor(X)).backward(ct)
    np.testing.assert_allclose(layer.bias.grad.data, ct.sum((0, 1)), rtol=1e-13)
    np.testing.assert_allclose(layer.weight.grad.data, (ct * layer_norm(X)).sum((0, 1)), rtol=1e-12)


@pytest.mark.parametrize("eps", [-1e-5, float("nan")])
def test_eps_below_zero(eps):
    with pytest.raises(ArgumentError, match="eps must be at least 0: got .*; use a small number"):
        nn.LayerNorm(4, eps)


@pytest.mark.parametrize("shape", [(), (3,), (4, 1)])
def test_other_features(shape):
    with pytest.raises(ShapeError) as caught:
        nn.LayerNorm(4)(np.zeros(shape))
    assert str(caught.value) == (
        f"LayerNorm takes x of shape (..., D) with D = 4: got {shape}; "
        "reshape the input, or make the module with other sizes"
    )
