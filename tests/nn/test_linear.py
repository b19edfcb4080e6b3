"""The linear layers."""

import numpy as np
import pytest

import numixology as nx
from numixology import nn


def test_parameters_and_their_layout():
    layer = nn.Linear(3, 5, rng=0)
    assert {name: p.shape for name, p in layer.named_parameters()} == {
        "weight": (5, 3),
        "bias": (5,),
    }


def test_without_a_bias():
    layer = nn.Linear(3, 5, bias=False, rng=0)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    np.testing.assert_array_equal(layer(np.zeros((2, 3))).data, np.zeros((2, 5)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_start_is_uniform_within_one_over_the_root_of_the_inputs(dtype):
    layer = nn.Linear(64, 500, rng=0, dtype=dtype)
    bound = 1 / 8
    for p in (layer.weight, layer.bias):
        values = p.data.astype(float)
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.98 * bound
        # A uniform variable in ±b has mean 0 and variance b²/3.
        assert abs(values.mean()) < 4 * bound / np.sqrt(3 * values.size)
        assert abs(values.var() / (bound**2 / 3) - 1) < 4 / np.sqrt(values.size)
        assert values.min() < -0.98 * bound


def test_weight_and_bias_start_independently():
    layer = nn.Linear(4, 4, rng=0)
    assert not np.isin(layer.bias.data, layer.weight.data).any()


def test_one_generator_moves_on_from_layer_to_layer():
    rng = np.random.default_rng(0)
    one, other = nn.Linear(3, 3, rng=rng), nn.Linear(3, 3, rng=rng)
    assert (one.weight.data != other.weight.data).all()


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
def test_it_is_x_times_weight_transposed_plus_bias(shape):
    layer = nn.Linear(3, 5, rng=0)
    x = np.random.default_rng(1).normal(size=shape)
    want = np.einsum("...i,oi->...o", x, layer.weight.data) + layer.bias.data
    np.testing.assert_allclose(layer(nx.tensor(x)).data, want, rtol=1e-13)


def test_messages_name_the_layer_and_its_features():
    layer = nn.Linear(3, 5, rng=0)
    for shape in [(), (5,), (3, 2)]:
        with pytest.raises(nx.errors.ShapeError) as caught:
            layer(np.zeros(shape))
        assert str(caught.value) == (
            f"Linear takes x of shape (..., in) with in = 3: got {shape}; "
            "reshape the input, or make the module with other sizes"
        )


class TestPerToken:
    def test_parameters_and_their_layout(self):
        layer = nn.PerTokenLinear(4, 3, 5, rng=0)
        assert {name: p.shape for name, p in layer.named_parameters()} == {
            "weight": (4, 5, 3),
            "bias": (4, 5),
        }
        assert list(nn.PerTokenLinear(4, 3, 5, bias=False, rng=0).state_dict()) == ["weight"]

    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_every_slice_starts_as_a_linear_layer_does(self, dtype, bias):
        rng = np.random.default_rng(0)
        stacked = nn.PerTokenLinear(4, 3, 5, bias, rng=0, dtype=dtype)
        for t in range(4):
            single = nn.Linear(3, 5, bias, rng=rng, dtype=dtype)
            np.testing.assert_array_equal(stacked.weight.data[t], single.weight.data)
            assert stacked.weight.dtype == dtype
            if bias:
                np.testing.assert_array_equal(stacked.bias.data[t], single.bias.data)

    @pytest.mark.parametrize(("n", "out"), [(48, 192), (192, 48)])
    def test_the_variance_of_every_slice_is_a_third_of_one_over_in(self, n, out):
        """As of the single layer; the fan of the stacked weight makes it T or more times less."""
        for p in nn.PerTokenLinear(16, n, out, rng=0).parameters():
            variances = p.data.reshape(16, -1).var(1)
            count = p.size // 16  # the variance of a variance of a uniform variable is 4/5 v²/count
            assert (np.abs(variances * 3 * n - 1) < 5 * np.sqrt(0.8 / count)).all()

    @pytest.mark.parametrize("bias", [True, False])
    def test_every_token_has_its_own_layer(self, bias):
        layer = nn.PerTokenLinear(4, 3, 5, bias, rng=0)
        x = np.random.default_rng(1).normal(size=(2, 4, 3))
        y = layer(nx.tensor(x)).data
        for t in range(4):
            single = nn.Linear(3, 5, bias)
            single.load_state_dict({name: p[t] for name, p in layer.state_dict().items()})
            np.testing.assert_allclose(y[:, t], single(x[:, t]).data, rtol=1e-13)

    @pytest.mark.parametrize("sizes", [(0, 3, 5), (4, 0, 5), (4, 3, -1), (2.0, 3, 5)])
    def test_sizes_that_are_no_positive_integers(self, sizes):
        with pytest.raises(nx.errors.ArgumentError, match="is a positive integer: got"):
            nn.PerTokenLinear(*sizes)

    @pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3), (2, 4, 5), (1, 2, 4, 3)])
    def test_messages_name_the_layer_its_tokens_and_features(self, shape):
        with pytest.raises(nx.errors.ShapeError) as caught:
            nn.PerTokenLinear(4, 3, 5, rng=0)(np.zeros(shape))
        assert str(caught.value) == (
            f"PerTokenLinear takes x of shape (B, T, in) with T = 4, in = 3: got {shape}; "
            "reshape the input, or make the module with other sizes"
        )
