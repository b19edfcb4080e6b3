"""Multi-head self-attention."""

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(29)
X = RNG.normal(size=(2, 3, 8))


def by_heads(x, s, H):
    """Head by head, token by token."""
    B, T, D = x.shape
    d = D // H
    q, k, v = (x @ s[f"{n}.weight"].T + s[f"{n}.bias"] for n in ("query", "key", "value"))
    joined = np.empty_like(x)
    for b in range(B):
        for h in range(H):
            part = slice(h * d, (h + 1) * d)
            for t in range(T):
                scores = k[b, :, part] @ q[b, t, part] / d**0.5
                weights = np.exp(scores) / np.exp(scores).sum()
                joined[b, t, part] = weights @ v[b, :, part]
    return joined @ s["output.weight"].T + s["output.bias"]


def test_names_and_shapes():
    module = nn.SelfAttention(8, 2, rng=0)
    want = {}
    for part in ("query", "key", "value", "output"):
        want[f"{part}.weight"], want[f"{part}.bias"] = (8, 8), (8,)
    assert {name: p.shape for name, p in module.named_parameters()} == want
    assert list(nn.SelfAttention(8, 2, bias=False, rng=0).state_dict()) == list(want)[::2]


@pytest.mark.parametrize("H", [1, 2, 4, 8])
def test_it_is_the_loop_over_heads(H):
    module = nn.SelfAttention(8, H, rng=0)
    want = by_heads(X, module.state_dict(), H)
    np.testing.assert_allclose(module(nx.tensor(X)).data, want, rtol=1e-12, atol=1e-14)


def test_the_four_parts_start_differently():
    module = nn.SelfAttention(8, 2, rng=0)
    weights = [getattr(module, n).weight.data for n in ("query", "key", "value", "output")]
    for i, one in enumerate(weights):
        for other in weights[:i]:
            assert (one != other).all()


def test_any_number_of_tokens_and_their_order_is_kept():
    module = nn.SelfAttention(8, 2, rng=0)
    assert module(nx.tensor(np.zeros((1, 7, 8)))).shape == (1, 7, 8)
    order = [2, 0, 1]
    np.testing.assert_allclose(module(X[:, order]).data, module(X).data[:, order], rtol=1e-12)


def test_no_residual_and_no_norm():
    module = nn.SelfAttention(8, 2, rng=0)
    state = module.state_dict()
    state["output.weight"][:] = 0
    module.load_state_dict(state)
    np.testing.assert_array_equal(module(X).data, np.broadcast_to(state["output.bias"], X.shape))


def test_steps(capsys):
    with nx.educational():
        nn.SelfAttention(8, 2, rng=0)(nx.tensor(X))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(", contiguous")[0] for line in lines] == [
        "query: (2, 3, 8)",
        "key: (2, 3, 8)",
        "value: (2, 3, 8)",
        "attention: (2, 2, 3, 4)",
        "output: (2, 3, 8)",
    ]


def test_the_attention_step_is_the_function_s():
    seen = {}
    with nx.observe.observing(seen.__setitem__):
        nn.SelfAttention(8, 2, rng=0)(nx.tensor(X))
    parts = (seen[name].data.reshape(2, 3, 2, 4) for name in ("query", "key", "value"))
    want = F.attention(*(part.transpose(0, 2, 1, 3) for part in parts))
    np.testing.assert_array_equal(seen["attention"].data, want)


@pytest.mark.parametrize("shape", [(), (8,), (3, 8), (1, 2, 3, 8), (2, 3, 4)])
def test_other_shapes(shape):
    with pytest.raises(ShapeError) as caught:
        nn.SelfAttention(8, 2, rng=0)(nx.tensor(np.zeros(shape)))
    assert str(caught.value) == (
        f"SelfAttention takes x of shape (B, T, D) with D = 8: got {shape}; "
        "reshape the input, or make the module with other sizes"
    )


def test_no_tokens():
    with pytest.raises(ShapeError, match="attention takes query"):
        nn.SelfAttention(8, 2, rng=0)(nx.tensor(np.zeros((2, 0, 8))))


def test_heads_that_do_not_divide_or_are_none():
    with pytest.raises(ShapeError, match="hidden_dim must be divisible by num_heads: got 8 and 3"):
        nn.SelfAttention(8, 3)
    with pytest.raises(ArgumentError, match="num_heads is a positive integer: got 0; use"):
        nn.SelfAttention(8, 0)
