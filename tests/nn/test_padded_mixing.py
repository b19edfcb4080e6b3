"""Mixing with padding: what it is, and what it loses."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support import refused

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, ShapeError

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 6))


def dealt(x, H, keep):
    """The definition, on lists; a zero of the padding is None."""
    T, D = x.shape
    d = -(-D // H)
    rows = [[*row, *[None] * (d * H - D)] for row in x.tolist()]
    sequence = [v for h in range(H) for row in rows for v in row[h * d : (h + 1) * d]]
    if keep == "values":
        sequence = [v for v in sequence if v is not None]
        return np.array(sequence).reshape(T, D)
    cut = [sequence[t * d * H : (t + 1) * d * H][:D] for t in range(T)]
    return np.array([[v or 0 for v in row] for row in cut])


@given(SIZES, st.sampled_from(["values", "front"]))
def test_it_is_the_definition(sizes, keep):
    T, D, H = sizes
    x = np.arange(1, 2 * T * D + 1).reshape(2, T, D)
    y = nn.PaddedMixing(T, D, H, keep=keep)(x)
    for b in range(2):
        np.testing.assert_array_equal(y[b], dealt(x[b], H, keep))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3))
def test_where_nothing_is_padded_it_is_mixing(T, H, d):
    for keep in ("values", "front"):
        module = nn.PaddedMixing(T, H * d, H, keep=keep)
        assert (module.pad, module.lost_values) == (0, 0)
        assert module.order == F.mixing_order(T, H)
        assert module.depth_to_mix == F.depth_to_mix(T, H)
        x = np.arange(T * H * d).reshape(1, T, H * d)
        np.testing.assert_array_equal(module(x), F.token_mix(x, H))


@given(SIZES)
def test_the_values_are_permuted_with_that_order(sizes):
    T, D, H = sizes
    module = nn.PaddedMixing(T, D, H)
    start = np.arange(T * D).reshape(1, T, D)
    x, order = module(start), 1
    while not (x == start).all():
        x, order = module(x), order + 1
    assert (module.order, module.lost_values) == (order, 0)


@given(SIZES)
def test_the_front_loses_what_is_not_there(sizes):
    module = nn.PaddedMixing(*sizes, keep="front")
    x = np.arange(1, module.num_tokens * module.hidden_dim + 1)
    left = module(x.reshape(1, module.num_tokens, -1))
    assert module.lost_values == len(set(x.tolist()) - set(left.ravel().tolist()))
    assert (module.order is None) == (module.lost_values > 0)


@given(SIZES, st.sampled_from(["values", "front"]))
def test_the_depth_is_what_a_network_sees(sizes, keep):
    T, D, H = sizes
    module = nn.PaddedMixing(T, D, H, keep=keep)
    seen, found = np.eye(T), None  # from each old token, how much is in each new one
    for depth in range(T + 1):
        if (seen > 0).all():
            found = depth
            break
        spread = np.repeat(seen[:, :, np.newaxis], D, axis=2)  # a layer acts on all of a token
        seen = (spread + module(spread)).sum(axis=2)
    assert module.depth_to_mix == found


def test_padding_can_cost_a_layer_or_all_of_them():
    assert F.depth_to_mix(4, 4) == 1
    assert nn.PaddedMixing(4, 6, 4).depth_to_mix == 2
    assert nn.PaddedMixing(4, 6, 4, keep="front").depth_to_mix is None


def test_it_stands_for_a_mixing_where_heads_do_not_divide_the_features():
    x = np.random.default_rng(0).standard_normal((2, 3, 7))
    mixing = nn.PaddedMixing(3, 7, 3)
    mixer = nn.TokenMixer(3, 7, 3, mixing=mixing)
    np.testing.assert_array_equal(mixer(x).data, mixer.norm(x + mixing(x)).data)
    with refused(ShapeError, "hidden_dim must be divisible by num_heads: got 7 and 3; try 1 or 7"):
        nn.TokenMixer(3, 7, 3)


def test_other_shapes_are_refused_with_their_own_sizes():
    for shape in ((2, 4, 7), (2, 3, 6), (3, 7)):
        with refused(ShapeError, f"takes x of shape (B, T, D) with T = 3, D = 7: got {shape}"):
            nn.PaddedMixing(3, 7, 4)(np.zeros(shape))


def test_gradients_pass_through():
    rng = np.random.default_rng(0)
    for keep in ("values", "front"):
        module = nn.PaddedMixing(3, 7, 4, keep=keep)
        assert nx.gradcheck(module, rng.standard_normal((2, 3, 7))).passed


def test_repr_and_words():
    text = "PaddedMixing(num_tokens=3, hidden_dim=7, num_heads=4, keep='values')"
    assert repr(nn.PaddedMixing(3, 7, 4)) == text
    with refused(ArgumentError, "keep is 'values' or 'front': got 'back'"):
        nn.PaddedMixing(3, 7, 4, keep="back")
