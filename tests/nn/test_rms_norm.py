"""The RMSNorm layer."""

import numpy as np
import pytest

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.functional import rms_norm

X = np.random.default_rng(0).normal(size=(2, 3, 4))


def test_it_starts_as_ones_and_has_no_bias():
    layer = nn.RMSNorm(4)
    assert {name: p.tolist() for name, p in layer.state_dict().items()} == {"weight": [1.0] * 4}
    assert layer.eps == 1e-5


def test_it_uses_its_parameters_and_eps():
    layer = nn.RMSNorm(4, eps=0.5)
    weight = np.arange(4.0)
    layer.load_state_dict({"weight": weight})
    np.testing.assert_array_equal(layer(nx.tensor(X)).data, rms_norm(X, weight, eps=0.5))
    assert not np.allclose(layer(nx.tensor(X)).data, rms_norm(X, weight))


@pytest.mark.parametrize("eps", [-1e-5, float("nan")])
def test_eps_below_zero(eps):
    with pytest.raises(ArgumentError, match="eps must be at least 0: got .*; use a small number"):
        nn.RMSNorm(4, eps)


def test_other_features():
    with pytest.raises(ShapeError, match=r"RMSNorm takes x of shape \(\.\.\., D\) with D = 4: got"):
        nn.RMSNorm(4)(np.zeros((4, 1)))
