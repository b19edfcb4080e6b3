"""Attention beside the mixer: the numbers of the guide's chart, recomputed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import compare, complexity

LENGTHS = (128, 256, 512, 1024, 2048, 4096, 8192)


def test_the_chart_in_flops_and_in_the_guides_units() -> None:
    found = [compare(T) for T in LENGTHS]
    assert [one.leading_ratio for one in found] == [832, 896, 1024, 1280, 1792, 2816, 4864]
    assert [one.mixed_units for one in found] == [416, 448, 512, 640, 896, 1408, 2432]
    assert all(one.leading_ratio == 2 * one.mixed_units for one in found)


@pytest.mark.parametrize("T", LENGTHS)
def test_what_is_counted_is_within_two_percent_of_the_largest_terms(T) -> None:
    one = compare(T)
    assert one.leading_ratio < one.ratio < 1.02 * one.leading_ratio


def test_whole_blocks() -> None:
    assert round(compare(512).block_ratio, 2) == 1.67


@given(T=st.integers(1, 5), H=st.integers(1, 3), d=st.integers(1, 3))
def test_it_is_what_the_running_layers_are_counted_at(T, H, d) -> None:
    D = H * d
    found, x = compare(T, D, H), np.ones((1, T, D))
    mixer = complexity(nn.TokenMixer(T, D, H), x).flops
    attention = complexity(nn.SelfAttention(D, H, rng=0), x).flops
    network = complexity(nn.FeedForward(D, rng=0).eval(), x).flops
    assert (found.mixer_flops, found.attention_flops) == (mixer, attention)
    assert found.network_flops == network
    assert found.ratio == attention / mixer
    assert found.block_ratio == (attention + mixer + network) / (mixer + network)


def test_numpys_integers_do_not_overflow() -> None:
    T, D, H = 10**9, 10**6, 10
    found = compare(np.int64(T), np.int64(D), np.int64(H))
    assert found == compare(T, D, H)
    assert (
        found.attention_flops == 8 * T * D**2 + 4 * T**2 * D + 6 * H * T**2 + 4 * T * D - 2 * H * T
    )


def test_sizes_that_do_not_fit() -> None:
    for sizes in ((0, 8, 2), (4, 0, 2), (4, 8, 0)):
        with refused(ArgumentError, "is a positive integer", "0"):
            compare(*sizes)
    with refused(ShapeError, "hidden_dim must be divisible by num_heads", "8 and 3"):
        compare(4, 8, 3)
