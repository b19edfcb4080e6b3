"""The networks side by side and the block, held to layers that are made here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import Bars, panel_text
from numixology.explain.figures.flow import block_scene, swiglu_scene

SMALL = st.integers(1, 5)


def flow(graph):
    """Name -> shape and the names of what it reads, for boxes whose name occurs once."""
    names = {box.key: box.name for box in graph.boxes}
    return {box.name: (box.shape, tuple(names[key] for key in box.reads)) for box in graph.boxes}


# The networks -----------------------------------------------------------------------


def test_the_guides_comparison() -> None:
    standard, swiglu, bars = swiglu_scene(768).panels
    assert [box.name for box in standard.boxes] == [
        "input",
        "norm",
        "linear1",
        "activation",
        "dropout",
        "linear2",
        "dropout",
        "residual",
    ]
    boxes = flow(swiglu)
    assert boxes["w1"] == boxes["w3"] == ("(4, 8, 3072)", ("norm",))  # beside each other
    assert boxes["multiply"] == ("(4, 8, 3072)", ("silu", "w3"))
    assert boxes["w2"] == ("(4, 8, 768)", ("multiply",))
    assert boxes["residual"] == ("(4, 8, 768)", ("dropout", "input"))
    assert [bar.label for bar in bars.bars] == ["4,723,968", "7,079,424", "4,720,128"]
    assert standard.note == "8D^2 + 7D parameters."
    assert swiglu.note == "12D^2 + 2D parameters."


@given(D=SMALL, F=st.none() | st.integers(1, 9), B=SMALL, T=SMALL)
def test_formulas_and_counts(D, F, B, T) -> None:
    standard, swiglu, bars = swiglu_scene(D, F, batch=B, num_tokens=T).panels
    assert isinstance(bars, Bars)
    F = 4 * D if F is None else F
    matched = 8 * D // 3
    counts = [2 * D * F + F + 3 * D, 3 * D * F + 2 * D, 3 * D * matched + 2 * D]
    assert [bar.value for bar in bars.bars] == counts
    assert [bar.name for bar in bars.bars] == [
        f"standard, F = {F}",
        f"SwiGLU, F = {F}",
        f"SwiGLU, F = {matched}",
    ]
    for bar in bars.bars:
        assert f"{bar.name} " in panel_text(bars) and bar.label in panel_text(bars)
    for graph, count in zip((standard, swiglu), counts, strict=False):
        formula = graph.note.removesuffix(" parameters.")
        told = formula.replace("D^2", "*D*D").replace("DF", "*D*F").replace("7D", "7*D")
        told = told.replace("3D", "3*D").replace("2D", "2*D")
        assert eval(told, {"D": D, "F": F}) == count
        assert flow(graph)["input"][0] == f"({B}, {T}, {D})"
        assert all(f"{box.name} " in panel_text(graph) for box in graph.boxes)
    assert flow(standard)["linear1"][0] == flow(swiglu)["w3"][0] == f"({B}, {T}, {F})"


@pytest.mark.parametrize("sizes", [{"hidden_dim": 0}, {"ff_dim": 0}, {"num_tokens": 0}])
def test_networks_have_positive_sizes(sizes) -> None:
    with refused(ArgumentError, next(iter(sizes))):
        swiglu_scene(**sizes)


# The block --------------------------------------------------------------------------


@pytest.mark.parametrize("ffn", ["standard", "swiglu"])
def test_the_mixer_comes_before_the_network(ffn) -> None:
    scene = block_scene(3, 10, 2, batch=4, ffn=ffn)
    mixer, network = scene.panels
    assert [(box.name, box.shape) for box in mixer.boxes] == [
        ("input tokens", "(4, 3, 10)"),
        ("partition", "(4, 3, 2, 5)"),
        ("permute", "(4, 2, 3, 5)"),
        ("flatten", "(4, 6, 5)"),
        ("merge", "(4, 3, 10)"),
        ("residual", "(4, 3, 10)"),
        ("norm", "(4, 3, 10)"),
    ]
    assert flow(mixer)["residual"][1] == ("merge", "input tokens")
    assert network.boxes[0].name == "mixed tokens"
    assert network.boxes[1].name == "norm"
    assert network.boxes[-1].name == "residual"
    assert flow(network)["residual"][1] == ("dropout", "mixed tokens")
    total = nn.RankMixerBlock(3, 10, 2, ffn=ffn, rng=0).parameter_table().total
    assert scene.title.endswith(f"{total:,} parameters")
    assert "Post-norm" in panel_text(mixer) and "Pre-norm" in panel_text(network)


def test_the_guides_mixing_has_its_extra_steps() -> None:
    names = [box.name for box in block_scene(mixing="guide").panels[0].boxes]
    assert names[4:6] == ["unflatten", "restore"]


def test_inner_features_may_be_chosen() -> None:
    assert flow(block_scene(ff_dim=5).panels[1])["linear1"][0] == "(2, 4, 5)"


def test_a_block_has_possible_sizes() -> None:
    with refused(ShapeError, "10 and 3"):
        block_scene(3, 10, 3)
    with refused(ArgumentError, "batch"):
        block_scene(batch=0)
