"""The flow through the layers, as boxes: every step that really runs, its shape, what it reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import feed_forward_scene, model_scene

# Feed-forward networks --------------------------------------------------------------------


def rows(panel):
    """The name of every box, its shape and the remark."""
    return [(box.name, box.shape, box.remark) for box in panel.boxes]


def reads(panel):
    """The name of every box -> the names of those that it reads; of several, the last."""
    names = {box.key: box.name for box in panel.boxes}
    return {box.name: [names[key] for key in box.reads] for box in panel.boxes}


def test_the_guides_flow() -> None:
    scene = feed_forward_scene()
    assert scene.title == "Feed-forward network (standard, gelu): 4,723,968 parameters"
    assert [(name, shape) for name, shape, _ in rows(scene.panels[0])] == [
        ("input", "(4, 8, 768)"),
        ("norm", "(4, 8, 768)"),
        ("linear1", "(4, 8, 3072)"),
        ("activation", "(4, 8, 3072)"),
        ("dropout", "(4, 8, 3072)"),
        ("linear2", "(4, 8, 768)"),
        ("dropout", "(4, 8, 768)"),
        ("residual", "(4, 8, 768)"),
    ]
    remarks = {name: remark for name, _, remark in rows(scene.panels[0])}
    assert (remarks["linear1"], remarks["linear2"]) == ("expand", "contract")
    assert remarks["dropout"] == "in training only"
    assert reads(scene.panels[0])["residual"] == ["dropout", "input"]
    assert reads(scene.panels[0])["activation"] == ["linear1"]
    assert reads(scene.panels[0])["input"] == []


def test_swiglu_reads_the_norms_output_twice() -> None:
    scene = feed_forward_scene(ffn="swiglu")
    assert scene.title == "Feed-forward network (swiglu): 7,079,424 parameters"
    found = rows(scene.panels[0])
    assert [name for name, _, _ in found] == [
        "input", "norm", "w1", "silu", "w3", "multiply", "w2", "dropout", "residual",
    ]  # fmt: skip
    assert {shape for name, shape, _ in found if name in ("w1", "silu", "w3", "multiply")} == {
        "(4, 8, 3072)"
    }
    # The guide's drawing hangs the third projection off the first.
    found = reads(scene.panels[0])
    assert found["w1"] == found["w3"] == ["norm"]
    assert found["multiply"] == ["silu", "w3"]
    assert found["residual"] == ["dropout", "input"]
    places = {box.name: box.place for box in scene.panels[0].boxes}
    assert places["w1"][0] == places["w3"][0]
    assert len(set(places.values())) == len(places)


@given(D=st.integers(1, 6), F=st.integers(1, 9), B=st.integers(1, 3), T=st.integers(1, 3))
def test_sizes_and_parameters_of_any_network(D, F, B, T) -> None:
    scene = feed_forward_scene(D, F, batch=B, num_tokens=T, activation="relu")
    assert (
        scene.title == f"Feed-forward network (standard, relu): {2 * D * F + F + 3 * D} parameters"
    )
    shapes = {name: shape for name, shape, _ in rows(scene.panels[0])}
    assert shapes["linear1"] == f"({B}, {T}, {F})"
    assert shapes["residual"] == f"({B}, {T}, {D})"
    swiglu = feed_forward_scene(D, F, batch=B, num_tokens=T, ffn="swiglu")
    assert swiglu.title == f"Feed-forward network (swiglu): {3 * D * F + 2 * D} parameters"


def test_networks_that_do_not_exist_are_refused() -> None:
    with refused(ArgumentError, "hidden_dim is a positive integer", "0"):
        feed_forward_scene(0)
    with refused(ArgumentError, "ff_dim", "0"):
        feed_forward_scene(4, 0)
    with refused(ArgumentError, "batch is a positive integer"):
        feed_forward_scene(4, batch=0)
    with refused(ArgumentError, "num_tokens is a positive integer"):
        feed_forward_scene(4, num_tokens=0)
    with refused(
        ArgumentError, "ffn is 'standard', 'swiglu', 'per_token' or 'per_token_swiglu'", "'moe'"
    ):
        feed_forward_scene(4, ffn="moe")
    with refused(ArgumentError, "activation", "'sine'"):
        feed_forward_scene(4, activation="sine")


# The model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "shown"),
    [
        (1, ["blocks.0"]),
        (6, [f"blocks.{n}" for n in range(6)]),
        (30, ["blocks.0", "blocks.1", "blocks.2", "...", "blocks.28", "blocks.29"]),
    ],
)
def test_of_many_layers_the_first_and_the_last_are_drawn(layers, shown) -> None:
    boxes = model_scene(10, 2, 4, 2, layers).panels[2].boxes
    assert [box.name for box in boxes] == [*shown, "final hidden states"]
    assert [box.reads for box in boxes] == [(), *((box.key,) for box in boxes[:-1])]
    assert {box.shape for box in boxes if box.name != "..."} == {"(2, 2, 4)"}


def test_the_model_from_ids_to_hidden_states() -> None:
    scene = model_scene(1000, 4, 8, 4, 3, batch=2)
    titles = [panel.title for panel in scene.panels]
    assert titles == [
        "Embeddings",
        "Layer 1: token mixer, then feed-forward",
        "All layers",
    ]
    embeddings = rows(scene.panels[0])
    assert [(name, shape) for name, shape, _ in embeddings] == [
        ("input ids", "(2, 4)"),
        ("token_embedding", "(2, 4, 8)"),
        ("position_embedding", "(4, 8)"),
        ("embedding", "(2, 4, 8)"),
    ]
    assert "broadcast: every sequence gets the same" in scene.panels[0].note
    assert [name for name, _, _ in rows(scene.panels[1])] == [
        "embedding", "partition", "permute", "flatten", "merge", "residual", "norm",
        "norm", "linear1", "activation", "dropout", "linear2", "dropout", "residual",
    ]  # fmt: skip
    residuals = [box for box in scene.panels[1].boxes if box.name == "residual"]
    keys = {box.key: box.name for box in scene.panels[1].boxes}
    assert [[keys[key] for key in box.reads] for box in residuals] == [
        ["merge", "embedding"],
        ["dropout", "norm"],
    ]
    # The network's residual adds what the mixer handed on, not what its own norm made of it.
    first, second = (box.key for box in scene.panels[1].boxes if box.name == "norm")
    assert first in residuals[1].reads
    assert second not in residuals[1].reads
    for panel in scene.panels[2:]:
        assert rows(panel)[0][1] == "(2, 4, 8)"
    total = sum(p.size for p in nn.RankMixerModel(1000, 4, 8, 4, 3, rng=0).state_dict().values())
    assert scene.title == (
        f"Model of 3 layers, {total:,} parameters; after 1 layer every token sees every token"
    )


def test_the_guides_mixing_and_swiglu_in_the_model() -> None:
    scene = model_scene(ffn="swiglu", mixing="guide", ff_dim=5)
    assert scene.title.endswith("; tokens never meet")
    names = [name for name, _, _ in rows(scene.panels[1])]
    assert names[4:6] == ["unflatten", "restore"]
    shapes = {name: shape for name, shape, _ in rows(scene.panels[1])}
    assert shapes["multiply"] == "(2, 4, 5)"


@pytest.mark.parametrize(
    ("sizes", "sees"),
    [
        ((9, 1, 4, 2, 2), "there is one token"),
        ((9, 3, 4, 1, 2), "tokens never meet"),
        ((9, 4, 4, 2, 2), "after 2 layers every token sees every token"),
        ((9, 9, 4, 2, 2), "every token sees every token only after 4"),
        ((9, 5, 4, 4, 1), "every token sees every token only after 2"),
    ],
)
def test_the_title_tells_how_many_layers_it_takes(sizes, sees) -> None:
    scene = model_scene(*sizes)
    assert scene.title.endswith(f" parameters; {sees}")
    assert f"Model of {sizes[-1]} layer" in scene.title
    assert len(scene.panels[2].boxes) == 1 + sizes[-1]


def test_fewer_ids_than_tokens_will_do() -> None:
    assert rows(model_scene(2, 6, 4, 2, 1).panels[0])[0][1] == "(2, 6)"


def test_models_that_do_not_exist_are_refused() -> None:
    for sizes, name in (
        ((0, 4, 8, 4, 2), "vocab_size"),
        ((9, 0, 8, 4, 2), "num_tokens"),
        ((9, 4, 8, 4, 0), "num_layers"),
    ):
        with refused(ArgumentError, f"{name} is a positive integer"):
            model_scene(*sizes)
    with refused(ArgumentError, "batch is a positive integer"):
        model_scene(batch=-1)
    with refused(ShapeError, "divisible"):
        model_scene(9, 4, 8, 3, 1)
