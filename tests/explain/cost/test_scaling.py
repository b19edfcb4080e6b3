"""The committed measurements have the right shape; the claims of the page follow from them."""

import numpy as np
import pytest

from numixology import nn
from numixology.explain import closed_form, measured_scaling

FOUND = measured_scaling()
LENGTHS = [128, 256, 512, 1024, 2048, 4096, 8192]


def test_what_is_measured_is_said() -> None:
    assert (FOUND.dtype, FOUND.threads, FOUND.batch) == ("float32", 1, 1)
    assert FOUND.hidden_dim % FOUND.num_heads == 0
    assert list(FOUND.layers) == ["mixer", "attention", "network"]
    assert FOUND.turns >= 5
    for part in (f"NumPy {FOUND.numpy}", f"D = {FOUND.hidden_dim}"):
        assert part in FOUND.conditions


@pytest.mark.parametrize("name", FOUND.layers)
def test_every_length_has_time_and_memory(name) -> None:
    rows = FOUND.layers[name]
    assert [row.num_tokens for row in rows] == LENGTHS
    assert all(0 < row.fastest <= row.seconds for row in rows)
    assert all(row.peak_bytes > 0 for row in rows)


def test_the_flops_are_those_of_the_formulas() -> None:
    D, H = FOUND.hidden_dim, FOUND.num_heads
    attention, network = nn.SelfAttention(D, H, rng=0), nn.FeedForward(D, FOUND.ff_dim, rng=0)
    for i, T in enumerate(LENGTHS):
        layers = {
            "mixer": nn.TokenMixer(T, D, H),
            "attention": attention,
            "network": network.eval(),
        }
        for name, layer in layers.items():
            assert FOUND.layers[name][i].flops == closed_form(layer, 1, T).flops


def ratios(what: str) -> np.ndarray:
    """Attention to mixer at each length."""
    pairs = zip(FOUND.layers["attention"], FOUND.layers["mixer"], strict=True)
    return np.array([getattr(a, what) / getattr(m, what) for a, m in pairs])


def test_attention_is_slower_at_every_length_and_more_so_at_the_longest() -> None:
    times = ratios("fastest")
    assert (times > 1).all()
    assert times[-1] > 2 * times[0]


def test_in_time_the_ratio_is_far_below_that_in_flops() -> None:
    assert (10 * ratios("fastest") < ratios("flops")).all()


@pytest.mark.parametrize("name", ["mixer", "network"])
def test_their_memory_grows_with_the_length(name) -> None:
    peaks = [row.peak_bytes for row in FOUND.layers[name]]
    growth = peaks[-1] / peaks[0]
    assert growth == pytest.approx(LENGTHS[-1] / LENGTHS[0], rel=0.02)


def test_attentions_memory_grows_with_the_square_in_the_end() -> None:
    peaks = [row.peak_bytes for row in FOUND.layers["attention"]]
    assert peaks[-1] / peaks[-2] == pytest.approx(4, rel=0.05)
    assert peaks[1] / peaks[0] < 3.5
