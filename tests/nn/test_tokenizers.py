"""Tokenizers: slices, groups and a global token."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(31)
X = RNG.normal(size=(5, 12))


def sees(tokenizer, x):
    """Which features (columns) each token (row) depends on."""
    slopes = nx.jacobian(tokenizer, x[:1]).data  # (1, T, D, 1, n)
    return (slopes[0, :, :, 0] != 0).any(axis=1)


class TestSliced:
    def test_names_and_shapes(self):
        tokenizer = nn.SlicedTokenizer(12, 3, 8, rng=0)
        assert {name: p.shape for name, p in tokenizer.named_parameters()} == {
            "projection.weight": (3, 8, 4),
            "projection.bias": (3, 8),
        }
        assert (tokenizer.in_features, tokenizer.num_tokens, tokenizer.hidden_dim) == (12, 3, 8)
        assert list(nn.SlicedTokenizer(12, 3, 8, bias=False).state_dict()) == ["projection.weight"]

    def test_it_is_the_loop_over_slices(self):
        tokenizer = nn.SlicedTokenizer(12, 3, 8, rng=0)
        weight, bias = tokenizer.state_dict().values()
        want = np.empty((5, 3, 8))
        for t in range(3):
            want[:, t] = X[:, 4 * t : 4 * t + 4] @ weight[t].T + bias[t]
        np.testing.assert_allclose(tokenizer(X).data, want, rtol=1e-13, atol=1e-15)

    def test_a_token_sees_its_slice_alone(self):
        got = sees(nn.SlicedTokenizer(12, 3, 8, rng=0), X)
        np.testing.assert_array_equal(got, np.repeat(np.eye(3), 4, axis=1))

    def test_padding_follows_the_last_feature(self):
        tokenizer = nn.SlicedTokenizer(10, 4, 8, pad=2, rng=0)
        whole = nn.SlicedTokenizer(12, 4, 8, rng=0)
        padded = np.concatenate([X[:, :10], np.zeros((5, 2))], axis=1)
        np.testing.assert_array_equal(tokenizer(X[:, :10]).data, whole(padded).data)
        assert tokenizer.empty_tokens == 0

    @pytest.mark.parametrize(("n", "T", "pad"), [(5, 4, 3), (5, 4, 7), (1, 6, 5), (12, 4, 0)])
    def test_tokens_that_see_nothing_are_counted(self, n, T, pad):
        tokenizer = nn.SlicedTokenizer(n, T, 2, pad=pad, rng=0)
        assert tokenizer.empty_tokens == (~sees(tokenizer, X[:, :n]).any(axis=1)).sum()

    @given(st.integers(1, 40), st.integers(2, 40))
    def test_the_sizes_that_the_error_names_fit(self, n, T):
        if n % T == 0:
            return
        with pytest.raises(ShapeError) as caught:
            nn.SlicedTokenizer(n, T, 2)
        features, tokens, pad = re.fullmatch(
            r"use ([\d or]+) features, ([\d or]+) tokens, or pad=(\d+)", caught.value.args[2]
        ).groups()
        for k in map(int, features.split(" or ")):
            assert abs(k - n) < T
            nn.SlicedTokenizer(k, T, 2)
        for t in map(int, tokens.split(" or ")):
            nn.SlicedTokenizer(n, t, 2)
            assert not any(n % s == 0 for s in range(min(t, T) + 1, max(t, T)))
        nn.SlicedTokenizer(n, T, 2, pad=int(pad))

    def test_padding_that_does_not_fit_either(self):
        with refused(ShapeError, "got 10 features and 4 tokens with pad=1", "or pad=2"):
            nn.SlicedTokenizer(10, 4, 8, pad=1)

    def test_padding_that_is_none(self):
        with refused(ArgumentError, "pad is at least 0: got -2"):
            nn.SlicedTokenizer(10, 4, 8, pad=-2)
        with refused(DTypeError, "pad must be an integer"):
            nn.SlicedTokenizer(10, 4, 8, pad=2.0)

    def test_the_settings_are_shown(self):
        assert repr(nn.SlicedTokenizer(10, 4, 8, pad=2, rng=0)) == (
            "SlicedTokenizer(in_features=10, pad=2\n"
            "  (projection): PerTokenLinear(weight[4, 8, 3], bias[4, 8])\n)"
        )


class TestGroups:
    def test_it_is_a_linear_layer_for_each_group(self):
        tokenizer = nn.GroupTokenizer([5, 3, 4], 8, rng=0)
        s = tokenizer.state_dict()
        assert s["projections.1.weight"].shape == (8, 3)
        groups = X[:, :5], X[:, 5:8], X[:, 8:]
        want = [
            g @ s[f"projections.{t}.weight"].T + s[f"projections.{t}.bias"]
            for t, g in enumerate(groups)
        ]
        np.testing.assert_allclose(tokenizer(X).data, np.stack(want, axis=1), rtol=1e-13)
        np.testing.assert_array_equal(tokenizer(*groups).data, tokenizer(X).data)

    def test_a_token_sees_its_group_alone(self):
        got = sees(nn.GroupTokenizer([5, 3, 4], 8, rng=0), X)
        np.testing.assert_array_equal(got, np.repeat(np.eye(3), [5, 3, 4], axis=1))

    def test_one_group_and_no_biases(self):
        tokenizer = nn.GroupTokenizer((12,), 8, bias=False, rng=0)
        assert list(tokenizer.state_dict()) == ["projections.0.weight"]
        assert tokenizer(X).shape == (5, 1, 8)

    def test_groups_that_are_none(self):
        with refused(ArgumentError, "there is at least one group: got []"):
            nn.GroupTokenizer([], 8)
        with refused(ArgumentError, "group_dims[1] is a positive integer: got 0"):
            nn.GroupTokenizer([4, 0], 8)


TOKENIZERS = {
    "sliced": lambda **options: nn.SlicedTokenizer(12, 3, 8, **options),
    "groups": lambda **options: nn.GroupTokenizer([5, 3, 4], 8, **options),
}


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
class TestGlobal:
    @pytest.mark.parametrize("place", ["first", "last"])
    def test_a_learned_one_is_a_vector(self, make, place):
        tokenizer = nn.GlobalToken(make(rng=0), place=place, rng=1)
        y = tokenizer(X).data
        at, others = (0, slice(1, None)) if place == "first" else (3, slice(3))
        np.testing.assert_array_equal(y[:, at], np.broadcast_to(tokenizer.token.data, (5, 8)))
        np.testing.assert_array_equal(y[:, others], make(rng=0)(X).data)
        assert tokenizer.num_tokens == 4
        assert tokenizer.in_features == 12

    def test_a_projected_one_sees_all_features(self, make):
        tokenizer = nn.GlobalToken(make(rng=0), "projected", rng=1)
        s = tokenizer.state_dict()
        want = X @ s["projection.weight"].T + s["projection.bias"]
        np.testing.assert_allclose(tokenizer(X).data[:, 0], want, rtol=1e-12)
        np.testing.assert_array_equal(tokenizer(X[:, :7], X[:, 7:]).data, tokenizer(X).data)
        assert sees(tokenizer, X)[0].all()

    def test_words_that_are_unknown(self, make):
        with refused(ArgumentError, "kind is 'learned' or 'projected': got 'mean'"):
            nn.GlobalToken(make(), "mean")
        with refused(ArgumentError, "place is 'first' or 'last': got 0"):
            nn.GlobalToken(make(), place=0)

    def test_several_arrays_are_one(self, make):
        tokenizer = make(rng=0)
        want = tokenizer(X).data
        np.testing.assert_array_equal(tokenizer(X[:, :2], X[:, 2:9], X[:, 9:]).data, want)
        assert tokenizer(nx.tensor(X[:, :2]), X[:, 2:]).shape == (5, 3, 8)

    @pytest.mark.parametrize("shape", [(12,), (5, 11), (2, 5, 12)])
    def test_other_features(self, make, shape):
        kind = type(make()).__name__
        with refused(ShapeError, f"{kind} takes x of shape (B, in_features) with in_features = 12"):
            make()(np.zeros(shape))

    def test_no_features(self, make):
        with refused(ShapeError, "concatenate takes a list of parts"):
            make()()

    def test_float32(self, make):
        tokenizer = nn.GlobalToken(make(dtype="float32"), dtype="float32")
        assert tokenizer(X.astype("float32")).dtype == np.float32
        with refused(DTypeError, "has float32 parameters and takes float32 input"):
            tokenizer(X)

    @pytest.mark.parametrize("kind", ["learned", "projected"])
    def test_no_samples(self, make, kind):
        assert nn.GlobalToken(make(), kind)(X[:0]).shape == (0, 4, 8)

    def test_it_leads_to_a_block(self, make):
        x = nn.GlobalToken(make(rng=0), rng=1)(X)
        assert nn.RankMixerBlock(4, 8, 4, rng=2)(x).shape == (5, 4, 8)
