"""The embedding layer."""

import numpy as np
import pytest

import numixology as nx
from numixology import nn
from numixology.errors import DTypeError, IndexRangeError


def test_the_table_starts_standard_normal():
    weight = nn.Embedding(400, 50, rng=0).weight
    assert weight.shape == (400, 50)
    assert abs(weight.data.mean()) < 4 / np.sqrt(weight.size)
    assert abs(weight.data.var() - 1) < 4 * np.sqrt(2 / weight.size)
    assert 3.5 < np.abs(weight.data).max() < 6


def test_ids_become_rows():
    layer = nn.Embedding(5, 3, rng=0)
    assert list(layer.state_dict()) == ["weight"]
    ids = np.array([[4, 0], [1, 4]])
    np.testing.assert_array_equal(layer(ids).data, layer.weight.data[ids])
    np.testing.assert_array_equal(layer(nx.tensor(ids)).data, layer(ids.tolist()).data)
    assert layer(np.zeros((0, 2), int)).shape == (0, 2, 3)


def test_a_repeated_id_gets_the_sum():
    layer = nn.Embedding(4, 1, rng=0)
    layer([[1, 3], [1, 1]]).backward(np.array([[[1.0], [20.0]], [[300.0], [4000.0]]]))
    assert layer.weight.grad.tolist() == [[0.0], [4301.0], [0.0], [20.0]]


def test_ids_outside_or_of_another_kind():
    layer = nn.Embedding(4, 1, rng=0)
    with pytest.raises(IndexRangeError, match=r"ids lie from 0 to 3: got 4 at \(1,\); check"):
        layer([0, 4])
    with pytest.raises(IndexRangeError, match=r"ids lie from 0 to 3: got -1 at \(0,\)"):
        layer([-1, 0])
    with pytest.raises(DTypeError, match=r"ids are integers: got float64; convert"):
        layer([0.0])
    with pytest.raises(DTypeError, match=r"ids are integers: got bool"):
        layer(np.array([True]))
