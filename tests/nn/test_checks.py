"""What a module of one's own may return where it stands for a mixing or a network."""

import numpy as np
import pytest

import numixology as nx
from numixology import nn
from numixology.errors import DTypeError

X = np.random.default_rng(5).normal(size=(2, 3, 4))


class Returning(nn.Module):
    """A module that is a function."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "make",
    [
        lambda part: nn.ResidualNetwork(part, 4),
        lambda part: nn.ResidualNetwork(part, 4, norm="post"),
        lambda part: nn.TokenMixer(3, 4, 2, mixing=part),
        lambda part: nn.TokenMixer(3, 4, 2, mixing=part, norm="bare"),
    ],
)
@pytest.mark.parametrize(
    ("function", "says"),
    [
        (np.asarray, "returns a tensor for a tensor, since gradients flow through it: got ndarray"),
        (
            lambda x: None,
            "returns a tensor for a tensor, since gradients flow through it: got NoneType",
        ),
        (lambda x: (x, x), "got tuple; change what it returns"),
        (lambda x: x.astype("float32"), "of the dtype that it takes, float64: got float32"),
    ],
)
def test_what_a_module_of_one_s_own_may_not_return(make, function, says):
    with pytest.raises(DTypeError) as caught:
        make(Returning(function))(nx.tensor(X))
    assert says in str(caught.value)


def test_modules_of_one_s_own_run_on_arrays():
    for function in (np.tanh, lambda x: 1j * x):
        module = nn.ResidualNetwork(Returning(function), 4)
        y = nn.functional_call(module, module.state_dict(), X)
        np.testing.assert_array_equal(y, X + function(nx.functional.layer_norm(X)))
