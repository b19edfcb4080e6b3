"""The figures of cost show what is counted and measured, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import (
    FIGURES,
    Scene,
    complexity,
    draw,
)
from numixology.explain.figures.costs import (
    attention_cost_scene,
    block_cost_scene,
    memory_scene,
    mixer_cost_scene,
    ratio_scene,
)

COSTS = (
    "mixer-flops", "attention-flops", "block-flops",
    "memory", "ratio",
)  # fmt: skip


def number(text: str) -> int:
    return int(text.replace(",", ""))


def counts(table) -> dict[str, tuple[int, int]]:
    """Operation -> FLOPs and multiply-adds."""
    return {row[0]: (number(row[2]), number(row[3])) for row in table.rows}


@pytest.mark.parametrize("name", COSTS)
def test_a_figure_is_drawn_by_name_in_all_three_ways(name) -> None:
    scene = FIGURES[name].draw(**({"num_tokens": 3} if "flops" in name else {}))
    assert isinstance(scene, Scene)
    assert scene.description in scene.svg()
    for panel in scene.panels:
        assert panel.title in scene.text()


@given(T=st.integers(1, 5), H=st.integers(1, 3), d=st.integers(1, 3), batch=st.integers(1, 2))
def test_the_tables_hold_what_is_counted(T, H, d, batch) -> None:
    D = H * d
    x = np.ones((batch, T, D))
    layers = (
        (mixer_cost_scene, nn.TokenMixer(T, D, H)),
        (attention_cost_scene, nn.SelfAttention(D, H, rng=0)),
    )
    for scene_of, layer in layers:
        scene, counted = scene_of(T, D, H, batch=batch), complexity(layer, x)
        rows = counts(scene.panels[0])
        check_total(rows, counted)
        assert f"B = {batch}, T = {T}, D = {D}, H = {H}" in scene.title
    block = nn.RankMixerBlock(T, D, H, rng=0).eval()
    (bars,) = block_cost_scene(T, D, H, batch=batch).panels
    assert bars.bars[0].value == complexity(block, x).flops


def check_total(rows, counted) -> None:
    assert rows.pop("total") == (counted.flops, counted.multiply_adds)
    assert [sum(column) for column in zip(*rows.values(), strict=True)] == [
        counted.flops, counted.multiply_adds,
    ]  # fmt: skip


def test_the_formulas_stand_beside() -> None:
    (table,) = mixer_cost_scene(4, 8, 4).panels
    assert {row[0]: row[1] for row in table.rows} == {
        "mixing": "0", "residual add": "BTD", "LayerNorm": "7BTD + 2BT", "total": "",
    }  # fmt: skip
    assert table.note == "The total is 8BTD + 2BT."
    (table,) = attention_cost_scene(4, 8, 4).panels
    assert dict(row[:2] for row in table.rows)["softmax"] == "5BHT^2 - 2BHT"


def test_the_two_kinds_of_block() -> None:
    with_mixer, with_attention = block_cost_scene(5, 8, 2, batch=3).panels[-1].bars
    more = complexity(nn.SelfAttention(8, 2, rng=0), np.zeros((3, 5, 8))).flops
    assert with_attention.value - with_mixer.value == more
    assert with_attention.label == f"{with_attention.value / with_mixer.value:.2f}x"
    note = block_cost_scene(5, 8, 2, batch=3).panels[-1].note
    assert note.startswith(f"{with_mixer.value:,} and {with_attention.value:,} FLOPs, ")


def test_the_bars_of_memory_are_as_long_as_they_say() -> None:
    for panel in memory_scene().panels:
        assert [bar.name for bar in panel.bars] == [f"T = {T}" for T in (128, 256, 512, 1024)]
        for bar in panel.bars:
            factor, numbers = bar.label.split()
            assert number(numbers.strip("()")) == bar.value
            assert float(factor[:-1]) == pytest.approx(bar.value / panel.bars[0].value, rel=0.005)
    assert {panel.full for panel in memory_scene().panels} == {4 * 1024 * 768 + 12 * 1024**2}
    longest = [panel.bars[-1].label.split()[0] for panel in memory_scene().panels]
    assert longest == ["8x", "64x", "26.7x"]


def test_the_ratio_is_never_one() -> None:
    (chart,) = ratio_scene().panels
    flops, mixed = (series.values for series in chart.series)
    assert flops == (832, 896, 1024, 1280, 1792, 2816, 4864)
    assert mixed == (416, 448, 512, 640, 896, 1408, 2432)
    assert chart.log_x
    assert chart.log_y
    assert "mixed units" in chart.series[1].name


def test_other_sizes_change_the_charts() -> None:
    assert ratio_scene(64).panels[0].series[0].values[0] == 64 + 64
    assert memory_scene(64, 4).panels[1].bars[0].value == 4 * 128**2


def test_sizes_that_do_not_fit_are_refused() -> None:
    with refused(ShapeError, "divisible"):
        draw("mixer-flops", hidden_dim=8, num_heads=3)
    with refused(ShapeError, "divisible"):
        draw("memory", hidden_dim=8, num_heads=3)
    with refused(ArgumentError, "is a positive integer", "0"):
        draw("block-flops", num_tokens=0)
    with refused(ArgumentError, "takes hidden_dim, num_heads", "num_tokens"):
        draw("memory", num_tokens=4)
