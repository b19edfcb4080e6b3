"""The small example, held to the same calculation in plain NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import nn
from numixology.errors import ShapeError
from numixology.explain import Grid, panel_text
from numixology.explain.figures.walk import walk_scene


def normalized(x):
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-5)


def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def by_hand(T, D, H, V, F):
    """The values at every stop, from the rounded parameters alone."""
    model = nn.RankMixerModel(V, T, D, H, 1, ff_dim=F, rng=0)
    p = {name: np.round(value * 2) / 2 for name, value in model.state_dict().items()}
    ids = [(2 + 3 * t) % V for t in range(T)]
    tokens, places = p["token_embedding.weight"][ids], p["position_embedding.weight"]
    x = tokens + places
    chunks = [x[t, h * D // H : (h + 1) * D // H] for h in range(H) for t in range(T)]
    mixed = np.concatenate(chunks).reshape(T, D)
    y = normalized(x + mixed)
    h = normalized(y)
    first = h @ p["blocks.0.ffn.linear1.weight"].T + p["blocks.0.ffn.linear1.bias"]
    bent = gelu(first)
    second = bent @ p["blocks.0.ffn.linear2.weight"].T + p["blocks.0.ffn.linear2.bias"]
    ids = np.array(ids)[:, None]
    return [ids, tokens, places, x, mixed, x + mixed, y, h, first, bent, second, y + second]


def values(grid):
    return np.array([[float(cell.label) for cell in row.chunks[0]] for row in grid.rows])


@given(T=st.integers(1, 5), H=st.integers(1, 3), d=st.integers(1, 3), V=st.integers(1, 8))
def test_every_number_on_the_way(T, H, d, V) -> None:
    D = H * d
    panels = walk_scene(T, D, H, vocab_size=V).panels
    truth = by_hand(T, D, H, V, D)
    for panel, array in zip(panels, truth, strict=True):
        assert isinstance(panel, Grid)
        assert values(panel) == pytest.approx(array, abs=0.00501)
        assert [row.name for row in panel.rows] == [f"Token {t}" for t in range(T)]
        for row in panel.rows:
            labels = [cell.label for cell in row.chunks[0]]
            assert any(line.split()[2:] == labels for line in panel_text(panel).splitlines()[1:])


def test_halves_are_exact_and_no_zero_has_a_sign() -> None:
    panels = walk_scene().panels
    for panel, array in zip(panels[:6], by_hand(3, 4, 2, 6, 4)[:6], strict=True):
        assert (values(panel) == array).all()
    assert not {"-0.0", "-0.00"} & {
        cell.label for panel in panels for row in panel.rows for cell in row.chunks[0]
    }


def test_tints_follow_the_tokens_through_the_mixing() -> None:
    mixed = walk_scene().panels[4]
    groups = [[cell.group for cell in row.chunks[0]] for row in mixed.rows]
    assert groups == [[0, 0, 1, 1], [2, 2, 0, 0], [1, 1, 2, 2]]


def test_shapes_are_in_the_titles() -> None:
    titles = [panel.title for panel in walk_scene(3, 10, 2, ff_dim=7).panels]
    assert titles[0] == "Input ids  (1, 3)"
    assert titles[2] == "Position embeddings  (3, 10)"
    assert titles[8] == "First linear layer  (1, 3, 7)"
    assert titles[-1] == "Final hidden states  (1, 3, 10)"


def test_a_large_walk_is_shown_by_its_ends() -> None:
    tokens = walk_scene(12, 20, 2).panels[1]
    assert [row.name for row in tokens.rows] == [
        *(f"Token {t}" for t in range(4)),
        "",
        "Token 10",
        "Token 11",
    ]
    assert {len(row.chunks[0]) for row in tokens.rows} == {11}
    assert tokens.rows[0].chunks[0][8].label == "..."


def test_a_head_count_that_does_not_divide() -> None:
    with refused(ShapeError, "4 and 3"):
        walk_scene(3, 4, 3)
