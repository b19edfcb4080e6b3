"""The small example, held to the same calculation in plain NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

import numixology as nx
from numixology import nn
from numixology.errors import ShapeError
from numixology.explain import Grid, draw, panel_text
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
    return [ids, tokens, places, x, mixed, x + mixed, y, h, first, bent, second, y + second], p


def values(grid):
    return np.array([[float(cell.label) for cell in sum(row.chunks, ())] for row in grid.rows])


def titled(scene):
    return {panel.title.partition("  ")[0]: panel for panel in scene.panels}


def evaluated(note):
    """Both sides of the cell that a note works out."""
    terms, _, result = note.rpartition(": ")[2].rstrip(".").partition(" = ")
    return eval(terms, {}), float(result)


@given(T=st.integers(1, 5), H=st.integers(1, 3), d=st.integers(1, 3), V=st.integers(1, 8))
def test_every_number_on_the_way(T, H, d, V) -> None:
    D = H * d
    panels = titled(walk_scene(T, D, H, vocab_size=V))
    truth, p = by_hand(T, D, H, V, D)
    for i in (1, 2) if D <= 8 else ():  # of more rows some are left out
        weight, bias = (p[f"blocks.0.ffn.linear{i}.{one}"] for one in ("weight", "bias"))
        shown = values(panels.pop(f"W{i} and b{i}"))
        assert (shown == np.column_stack((weight, bias))).all()
    steps = (panel for title, panel in panels.items() if " and b" not in title)
    for panel, array in zip(steps, truth, strict=True):
        assert isinstance(panel, Grid)
        assert values(panel) == pytest.approx(array, abs=0.00501)
        assert [row.name for row in panel.rows] == [f"Token {t}" for t in range(T)]
        for row in panel.rows:
            labels = [cell.label for cell in row.chunks[0]]
            assert any(line.split()[2:] == labels for line in panel_text(panel).splitlines()[1:])
    note = panels["First linear layer"].note
    assert ("column" in note) is (D <= 6)
    if D <= 6:
        terms, result = evaluated(note)
        assert terms == pytest.approx(result, abs=0.03)
        assert result == values(panels["First linear layer"])[min(1, T - 1), min(2, D - 1)]
        assert float(tinted(panels["First linear layer"])) == result


def test_halves_are_exact_and_no_zero_has_a_sign() -> None:
    panels = walk_scene().panels
    for panel, array in zip(panels[:6], by_hand(3, 4, 2, 6, 4)[0][:6], strict=True):
        assert (values(panel) == array).all()
    assert not {"-0.0", "-0.00"} & {
        cell.label for panel in panels for row in panel.rows for cell in row.chunks[0]
    }


def test_tints_follow_the_tokens_through_the_mixing() -> None:
    mixed, total = walk_scene().panels[4:6]
    groups = [[cell.group for cell in row.chunks[0]] for row in mixed.rows]
    assert groups == [[0, 0, 1, 1], [2, 2, 0, 0], [1, 1, 2, 2]]
    assert [[cell.other for cell in row.chunks[0]] for row in total.rows] == groups
    assert [{cell.group for cell in row.chunks[0]} for row in total.rows] == [{0}, {1}, {2}]


def test_shapes_are_in_the_titles() -> None:
    titles = [panel.title for panel in walk_scene(3, 10, 2, ff_dim=7).panels]
    assert titles.pop(8) == "W1 and b1  (7, 10), (7,)"
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


# The way back


def loss(**changed):
    """Half the sum of the squares of the hidden states, with some parameters changed."""
    model = nn.RankMixerModel(6, 3, 4, 2, 1, ff_dim=4, rng=0).eval()
    state = {name: np.round(2 * value) / 2 for name, value in model.state_dict().items()}
    model.load_state_dict(state | changed)
    return float((model(np.array([[2, 5, 2]])).numpy() ** 2).sum()) / 2, state


def test_gradients_by_parameters_are_what_nudges_say() -> None:
    panels = titled(draw("walk-backward"))
    for title, name in (
        ("At W1", "blocks.0.ffn.linear1.weight"),
        ("At the table", "token_embedding.weight"),
    ):
        _, state = loss()
        slopes = np.empty_like(state[name])
        for i in np.ndindex(slopes.shape):
            ends = []
            for sign in (1, -1):
                moved = state[name].copy()
                moved[i] += sign * 1e-5
                ends.append(loss(**{name: moved})[0])
            slopes[i] = (ends[0] - ends[1]) / 2e-5
        assert values(panels[title]) == pytest.approx(slopes, abs=0.00502)


def test_gradients_on_the_way_follow_from_each_other() -> None:
    *grids, _ = draw("walk-backward").panels
    at = {panel.title.partition("  ")[0]: values(panel) for panel in grids}
    _, state = loss()
    hidden = values(walk_scene().panels[-1])
    assert (at["At the hidden states"] == hidden).all()
    W1, W2 = (state[f"blocks.0.ffn.linear{i}.weight"] for i in (1, 2))
    near = {"abs": 0.02}
    assert (at["W1"] == W1).all() and (at["W2"] == W2).all()
    arrived, slope = at["At the output of GELU"], at["The slope of GELU"]
    assert at["At the input of GELU"] == pytest.approx(arrived * slope, **near)
    assert at["At the output of GELU"] == pytest.approx(hidden @ W2, **near)
    assert at["At h"] == pytest.approx(at["At the input of GELU"] @ W1, **near)
    assert at["At x + mixed"].sum(axis=-1) == pytest.approx(0, **near)
    back = nx.vjp(lambda x: nx.functional.token_mix(x, 2), np.zeros((1, 3, 4)))[1]
    returned = back(nx.tensor(at["At x + mixed"][None]))[0].numpy()[0]
    assert (at["Back through the mixing"] == returned).all()
    assert at["At x"] == pytest.approx(at["At x + mixed"] + returned, **near)
    assert at["At the table"][2] == pytest.approx(at["At x"][[0, 2]].sum(0), **near)
    for panel in grids:
        if "column" in panel.note:
            terms, result = evaluated(panel.note)
            assert terms == pytest.approx(result, abs=0.03)
            assert float(tinted(panel)) == result


def tinted(panel):
    """The label of the one cell that has a tint."""
    (label,) = (cell.label for row in panel.rows for cell in row.chunks[0] if cell.group == 0)
    return label


def test_the_update_makes_the_loss_smaller() -> None:
    lines = dict(draw("walk-backward").panels[-1].lines)
    before, state = loss()
    weight = state["blocks.0.ffn.linear1.weight"].copy()
    gradient = values(titled(draw("walk-backward"))["At W1"])[2, 2]
    weight[2, 2] -= 0.1 * gradient
    after, _ = loss(**{"blocks.0.ffn.linear1.weight": weight})
    assert lines["the loss before"] == f"{before:.3f}"
    assert float(lines["the loss after"]) == pytest.approx(after, abs=0.002)
    assert after < before
    words = f"-0.5 - 0.1 * {gradient:.2f} = {weight[2, 2]:.2f}"
    assert lines["a step of 0.1 against it"] == words
