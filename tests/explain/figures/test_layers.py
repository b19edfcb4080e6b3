"""The figures of single layers, held to formulas that are written here."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import complex_step, refused

from numixology.errors import ArgumentError
from numixology.explain import panel_text
from numixology.explain.figures.layers import activations_scene, layer_norm_scene


def test_the_activations() -> None:
    values, slopes = activations_scene().panels
    curves = {series.name: series.values for series in values.series}
    x = values.x
    assert x == slopes.x == tuple(np.arange(-3.0, 2.25, 0.5))
    assert curves["relu"] == tuple(max(one, 0.0) for one in x)
    gelu = [one * (1 + math.erf(one / math.sqrt(2))) / 2 for one in x]
    assert curves["gelu"] == pytest.approx(gelu, abs=1e-15)
    silu = [one / (1 + math.exp(-one)) for one in x]
    assert curves["silu"] == pytest.approx(silu, abs=1e-15)
    assert "0.8413" in panel_text(values)


def test_their_slopes() -> None:
    slopes = activations_scene().panels[1]
    curves = {series.name: series.values for series in slopes.series}
    x = np.array(slopes.x)
    assert curves["relu"] == tuple(float(one > 0) for one in x)
    (silu,) = complex_step(lambda z: z / (1 + np.exp(-z)), [x], 1.0)
    assert curves["silu"] == pytest.approx(silu, abs=1e-14)
    normal = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = [(1 + math.erf(one / math.sqrt(2))) / 2 for one in x]
    assert curves["gelu"] == pytest.approx(below + x * normal, abs=1e-14)


@given(st.integers(1, 8))
def test_a_token_is_normalized(D) -> None:
    (grid,) = layer_norm_scene(D).panels
    rows = {row.name: [float(cell.label) for cell in row.chunks[0]] for row in grid.rows}
    x = np.array([i * i for i in range(D)], dtype=float)
    centered = x - x.mean()
    assert rows["x"] == list(x)
    assert rows["minus the mean"] == pytest.approx(centered, rel=1e-3, abs=0.006)
    assert rows["squared"] == pytest.approx(centered**2, rel=1e-3, abs=0.006)
    truth = centered / np.sqrt((centered**2).mean() + 1e-5)
    assert rows["normalized"] == pytest.approx(truth, abs=0.006)
    assert grid.columns == tuple(f"f{i}" for i in range(1, D + 1))
    assert f"mean {x.mean():.4g}, variance {x.var():.4g}" in panel_text(grid)


def test_a_wide_token_is_shown_by_its_ends() -> None:
    (grid,) = layer_norm_scene(20).panels
    assert grid.columns == ("f1", "f2", "f3", "f4", "...", "f19", "f20")
    assert [cell.label for cell in grid.rows[0].chunks[0]] == [
        "0",
        "1",
        "4",
        "9",
        "...",
        "324",
        "361",
    ]


def test_a_token_has_features() -> None:
    with refused(ArgumentError, "hidden_dim is a positive integer", "0"):
        layer_norm_scene(0)
    with refused(ArgumentError, "hidden_dim is at most 10,000,000", "choose smaller"):
        layer_norm_scene(10**20)
