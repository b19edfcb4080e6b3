"""The figures show what the guide draws where it is right, and what is true where it is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import feed_forward_scene, mixer_scene, model_scene

# The guide's own listings, sequence by sequence.
INPUT = """\
Token 0: [a1,a2,a3,a4,a5,a6,a7,a8]
Token 1: [b1,b2,b3,b4,b5,b6,b7,b8]
Token 2: [c1,c2,c3,c4,c5,c6,c7,c8]
Token 3: [d1,d2,d3,d4,d5,d6,d7,d8]"""
PARTITION = """\
Token 0: [[a1,a2], [a3,a4], [a5,a6], [a7,a8]]
Token 1: [[b1,b2], [b3,b4], [b5,b6], [b7,b8]]
Token 2: [[c1,c2], [c3,c4], [c5,c6], [c7,c8]]
Token 3: [[d1,d2], [d3,d4], [d5,d6], [d7,d8]]"""
PERMUTE = """\
Head 0: [[a1,a2], [b1,b2], [c1,c2], [d1,d2]]
Head 1: [[a3,a4], [b3,b4], [c3,c4], [d3,d4]]
Head 2: [[a5,a6], [b5,b6], [c5,c6], [d5,d6]]
Head 3: [[a7,a8], [b7,b8], [c7,c8], [d7,d8]]"""
FLATTEN = """\
[a1,a2] [b1,b2] [c1,c2] [d1,d2]
[a3,a4] [b3,b4] [c3,c4] [d3,d4]
[a5,a6] [b5,b6] [c5,c6] [d5,d6]
[a7,a8] [b7,b8] [c7,c8] [d7,d8]"""
# What follows from them without permuting back.
MERGE = """\
Token 0: [a1,a2,b1,b2,c1,c2,d1,d2]
Token 1: [a3,a4,b3,b4,c3,c4,d3,d4]
Token 2: [a5,a6,b5,b6,c5,c6,d5,d6]
Token 3: [a7,a8,b7,b8,c7,c8,d7,d8]"""


def panels(scene):
    """The word after 'Step 1:', or the whole title -> the lines of each panel."""
    found = {}
    for panel in scene.panels:
        name = panel.title.split("  ")[0].partition(": ")[2] or panel.title.split("  ")[0]
        found[name] = [left for left, _ in panel.lines]
    return found


def drawing(lines):
    """The lines above the blank one, without what points at a head."""
    drawn = lines[: lines.index("")] if "" in lines else lines
    return "\n".join(line.partition("   <-")[0] for line in drawn)


def by_hand(T, D, H):
    """Feature names of every token after mixing, by counting chunks."""
    d = D // H
    chunks = [
        [f"{'abcdefghijklmnopqrstuvwxyz'[t]}{h * d + i + 1}" for i in range(d)]
        for h in range(H)
        for t in range(T)
    ]
    return [sum(chunks[t * H : (t + 1) * H], []) for t in range(T)]


def tokens(rows):
    return [f"Token {t}: [{','.join(row)}]" for t, row in enumerate(rows)]


# The mixer --------------------------------------------------------------------------


@pytest.mark.parametrize("mixing", ["rankmixer", "guide"])
def test_the_guides_listings_of_steps_1_to_3(mixing) -> None:
    found = panels(mixer_scene(4, 8, 4, mixing=mixing))
    assert drawing(found["Input"]) == INPUT
    assert drawing(found["Head partitioning"]) == PARTITION
    assert drawing(found["Permutation"]) == PERMUTE
    assert drawing(found["Flatten"]) == FLATTEN
    flat = found["Flatten"][:4]
    assert [line.partition("   <- ")[2] for line in flat] == [f"head {h}" for h in range(4)]


def test_the_defaults_are_the_guides_sizes() -> None:
    assert mixer_scene() == mixer_scene(4, 8, 4, batch=2, mixing="rankmixer")


def test_titles_number_the_steps_and_tell_shapes_and_memory() -> None:
    scene = mixer_scene(4, 8, 4)
    for part in ("Token mixer", "(rankmixer)", "T = 4 tokens", "D = 8 features", "H = 4 heads"):
        assert part in scene.title
    assert scene.title.endswith("d = 2")
    assert [panel.title for panel in scene.panels] == [
        "Input  (2, 4, 8)",
        "Step 1: Head partitioning  (2, 4, 8) -> (2, 4, 4, 2), contiguous",
        "Step 2: Permutation  (2, 4, 4, 2) -> (2, 4, 4, 2), not contiguous",
        "Step 3: Flatten  (2, 4, 4, 2) -> (2, 16, 2), contiguous",
        "Step 4: Merge  (2, 16, 2) -> (2, 4, 8), contiguous",
        "Step 5: Residual  (2, 4, 8) -> (2, 4, 8), contiguous",
        "Step 6: LayerNorm  (2, 4, 8) -> (2, 4, 8), contiguous",
    ]


def test_the_papers_mixing_merges_without_permuting_back() -> None:
    found = panels(mixer_scene(4, 8, 4))
    assert drawing(found["Merge"]) == MERGE
    assert (
        found["Merge"][-1] == "regrouped, 4 chunks per token: each token now has chunks of 4 tokens"
    )
    assert drawing(found["Residual"]).splitlines()[1] == (
        "Token 1: [b1+a3,b2+a4,b3+b3,b4+b4,b5+c3,b6+c4,b7+d3,b8+d4]"
    )
    assert "values in the same order" in found["Flatten"][-1]


def test_the_guides_mixing_is_the_identity() -> None:
    scene = mixer_scene(4, 8, 4, mixing="guide")
    found = panels(scene)
    assert drawing(found["Unflatten"]) == PERMUTE
    assert drawing(found["Permute back"]) == PARTITION
    assert drawing(found["Merge"]) == INPUT
    assert found["Merge"][-1] == "every token is what it was: no token sees another"
    assert found["Unflatten"][-1].endswith("equal to step 2")
    assert "nothing has mixed" in found["Permute back"][-1]
    assert drawing(found["Residual"]).splitlines()[3] == (
        "Token 3: [d1+d1,d2+d2,d3+d3,d4+d4,d5+d5,d6+d6,d7+d7,d8+d8]"
    )
    numbers = [panel.title.partition(":")[0] for panel in scene.panels[1:]]
    assert numbers == [f"Step {n}" for n in ("1", "2", "3", "4", "5a", "5b", "6a", "6b")]


@given(T=st.integers(1, 8), H=st.integers(1, 6), d=st.integers(1, 3), batch=st.integers(1, 3))
def test_merge_and_residual_are_the_permutation_for_any_sizes(T, H, d, batch) -> None:
    D = H * d
    if D > 16:
        D, d = H, 1
    scene = mixer_scene(T, D, H, batch=batch)
    found = panels(scene)
    mixed = by_hand(T, D, H)
    names = [[f"{'abcdefgh'[t]}{i + 1}" for i in range(D)] for t in range(T)]
    assert drawing(found["Input"]).splitlines() == tokens(names)
    assert drawing(found["Merge"]).splitlines() == tokens(mixed)
    sums = [
        [f"{a}+{b}" for a, b in zip(mine, other, strict=True)]
        for mine, other in zip(names, mixed, strict=True)
    ]
    assert drawing(found["Residual"]).splitlines() == tokens(sums)
    flat = [line.partition("   <- head ") for line in found["Flatten"][:H]]
    chunks = [chunk for line, _, _ in flat for chunk in line.split(" ")]
    assert ",".join(chunks).replace("[", "").replace("]", "") == ",".join(sum(mixed, []))
    assert [int(h) for _, _, h in flat] == list(range(H))
    assert scene.panels[0].title == f"Input  ({batch}, {T}, {D})"
    # The number of tokens named in the remark is the most that any token has chunks of.
    seen = max(len({name[0] for name in row}) for row in mixed)
    assert found["Merge"][-1].endswith(
        f"{H} chunks per token: each token now has chunks of {seen} tokens"
    )


def test_the_norm_shows_what_the_mixer_returns() -> None:
    found = panels(mixer_scene(3, 4, 2))
    x = np.arange(12.0).reshape(1, 3, 4)
    chunks = x.reshape(3, 2, 2).transpose(1, 0, 2).reshape(3, 4)
    total = x[0] + chunks
    d = total - total.mean(-1, keepdims=True)
    y = d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
    assert drawing(found["LayerNorm"]).splitlines() == tokens(
        [[f"{v:.2f}" for v in row] for row in y]
    )


def test_large_sizes_are_elided_and_still_right() -> None:
    T, D, H = 20, 40, 20
    scene = mixer_scene(T, D, H)
    found = panels(scene)
    mixed = by_hand(T, D, H)
    names = [[f"{'abcdefghijklmnopqrst'[t]}{i + 1}" for i in range(D)] for t in range(T)]
    for name, rows in (("Merge", mixed), ("Input", names)):
        short = [[*row[:8], "...", *row[-2:]] for row in rows[:8]]
        assert drawing(found[name]).splitlines() == [*tokens(short), "... and 12 more"]
    assert found["Head partitioning"][0] == (
        "Token 0: [[a1,a2], [a3,a4], [a5,a6], [a7,a8], [a9,a10], [a11,a12], [a13,a14], [a15,a16], "
        "..., [a37,a38], [a39,a40]]"
    )
    assert found["Flatten"][1] == (
        "[a3,a4] [b3,b4] [c3,c4] [d3,d4] [e3,e4] [f3,f4] [g3,g4] [h3,h4] ... [s3,s4] [t3,t4]"
        "   <- head 1"
    )
    assert found["Residual"][0].startswith("Token 0: [a1+a1,a2+a2,a3+b1,")
    assert found["Residual"][0].endswith(",...,a39+t1,a40+t2]")
    assert all(len(line) < 200 for lines in found.values() for line in lines)


@pytest.mark.parametrize(("count", "elided"), [(16, False), (17, True)])
def test_up_to_sixteen_features_are_shown_whole(count, elided) -> None:
    line = mixer_scene(2, count, 1).panels[0].lines[0][0]
    assert ("..." in line) is elided
    assert line.endswith(f",a{count - 1},a{count}]")


@pytest.mark.parametrize(("count", "more"), [(8, []), (9, ["... and 1 more"])])
def test_up_to_eight_tokens_are_shown_whole(count, more) -> None:
    lines = drawing(panels(mixer_scene(count, 2, 2))["Input"]).splitlines()
    assert lines[:8] == tokens([[f"{'abcdefgh'[t]}1", f"{'abcdefgh'[t]}2"] for t in range(8)])
    assert lines[8:] == more


def test_names_go_on_after_z() -> None:
    (head, _, _) = panels(mixer_scene(800, 1, 1, batch=1))["Permutation"]
    assert head.startswith("Head 0: [[a1], [b1], [c1], ")
    assert head.endswith(" ..., [ads1], [adt1]]")  # as spreadsheets name columns 799 and 800
    few = panels(mixer_scene(28, 28, 28))["Merge"][0]
    assert few.endswith(",...,aa1,ab1]")


def test_one_of_everything() -> None:
    found = panels(mixer_scene(1, 1, 1, batch=1))
    assert drawing(found["Merge"]) == "Token 0: [a1]"
    assert drawing(found["LayerNorm"]) == "Token 0: [0.00]"


@pytest.mark.parametrize("sizes", [(0, 8, 4), (4, 0, 4), (4, 8, 0), (4, 8, -1)])
def test_sizes_are_positive(sizes) -> None:
    with refused(ArgumentError, "is a positive integer", "0" if 0 in sizes else "-1"):
        mixer_scene(*sizes)


def test_other_sizes_are_refused_as_the_mixer_refuses_them() -> None:
    with refused(ArgumentError, "batch is a positive integer", "0"):
        mixer_scene(4, 8, 4, batch=0)
    with refused(
        ShapeError, "hidden_dim must be divisible by num_heads", "8 and 3", "1, 2, 4 or 8"
    ):
        mixer_scene(4, 8, 3)
    with refused(ArgumentError, "mixing is 'rankmixer' or 'guide'", "'other'"):
        mixer_scene(mixing="other")


# Feed-forward networks --------------------------------------------------------------------


def rows(panel):
    """The first word of every line, its shape and the remark."""
    return [
        (left.split("  ")[0].strip(), left[left.index("(") :], right) for left, right in panel.lines
    ]


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
    remarks = {name: remark for name, _, remark in found}
    assert remarks["w1"] == "gate: reads the norm's output"
    assert remarks["w3"] == "up: reads the norm's output too"


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
    with refused(ArgumentError, "ffn is 'standard' or 'swiglu'", "'moe'"):
        feed_forward_scene(4, ffn="moe")
    with refused(ArgumentError, "activation", "'sine'"):
        feed_forward_scene(4, activation="sine")


# The model ----------------------------------------------------------------------------------


def test_the_model_from_ids_to_hidden_states() -> None:
    scene = model_scene(1000, 4, 8, 4, 3, batch=2)
    titles = [panel.title for panel in scene.panels]
    assert titles == [
        "Embeddings",
        "Layer 1: token mixer, then feed-forward",
        "Layer 2",
        "Layer 3",
        "Final hidden states",
    ]
    embeddings = rows(scene.panels[0])
    assert [(name, shape) for name, shape, _ in embeddings] == [
        ("input ids", "(2, 4)"),
        ("token_embedding", "(2, 4, 8)"),
        ("position_embedding", "(4, 8)"),
        ("embedding", "(2, 4, 8)"),
    ]
    assert embeddings[2][2] == "one table, broadcast over the batch"
    assert [name for name, _, _ in rows(scene.panels[1])] == [
        "input", "partition", "permute", "flatten", "merge", "residual", "norm",
        "norm", "linear1", "activation", "dropout", "linear2", "dropout", "residual",
    ]  # fmt: skip
    for panel in scene.panels[2:]:
        assert panel.lines[0][0] == "(2, 4, 8)"
    total = sum(p.size for p in nn.RankMixerModel(1000, 4, 8, 4, 3, rng=0).state_dict().values())
    assert scene.title == (
        f"Model of 3 layers, {total:,} parameters; after 1 of them every token sees every token"
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
        ((9, 4, 4, 2, 2), "after 2 of them every token sees every token"),
        ((9, 9, 4, 2, 2), "every token sees every token only after 4"),
        ((9, 5, 4, 4, 1), "every token sees every token only after 2"),
    ],
)
def test_the_title_tells_how_many_layers_it_takes(sizes, sees) -> None:
    scene = model_scene(*sizes)
    assert scene.title.endswith(f" parameters; {sees}")
    assert f"Model of {sizes[-1]} layers" in scene.title
    assert len(scene.panels) == 2 + sizes[-1]


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
