"""The mixer's figures: what the guide draws where it is right, and what is true where not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology.errors import ArgumentError, ShapeError
from numixology.explain import mixer_scene, panel_text
from numixology.explain.figures.mixing import step_scene

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
0 to 3, head 0:   [a1,a2] [b1,b2] [c1,c2] [d1,d2]
4 to 7, head 1:   [a3,a4] [b3,b4] [c3,c4] [d3,d4]
8 to 11, head 2:  [a5,a6] [b5,b6] [c5,c6] [d5,d6]
12 to 15, head 3: [a7,a8] [b7,b8] [c7,c8] [d7,d8]"""
# What follows from them without permuting back.
MERGE = """\
Token 0: [a1,a2,b1,b2,c1,c2,d1,d2]
Token 1: [a3,a4,b3,b4,c3,c4,d3,d4]
Token 2: [a5,a6,b5,b6,c5,c6,d5,d6]
Token 3: [a7,a8,b7,b8,c7,c8,d7,d8]"""


def panels(scene):
    """The word after 'Step 1:', or the whole title -> the lines of each panel as text."""
    found = {}
    for panel in scene.panels:
        name = panel.title.split("  ")[0].partition(": ")[2] or panel.title.split("  ")[0]
        title, *lines = panel_text(panel).split("\n")
        assert title == panel.title
        found[name] = [line.removeprefix("  ") for line in lines]
    return found


def cells(panel):
    """All cells of the rows."""
    return [cell for row in panel.rows for cell in sum(row.chunks, ())]


def drawing(lines):
    """The lines above the blank one that a note follows."""
    return "\n".join(lines[: lines.index("")] if "" in lines else lines)


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


def test_the_defaults_are_the_guides_sizes() -> None:
    assert mixer_scene() == mixer_scene(4, 8, 4, batch=2, mixing="rankmixer")


def test_titles_number_the_steps_and_say_shapes() -> None:
    scene = mixer_scene(4, 8, 4)
    for part in ("Token mixer", "(rankmixer)", "T = 4 tokens", "D = 8 features", "H = 4 heads"):
        assert part in scene.title
    assert scene.title.endswith("d = 2")
    assert [panel.title for panel in scene.panels] == [
        "Input  (2, 4, 8)",
        "Step 1: Head partitioning  (2, 4, 8) -> (2, 4, 4, 2)",
        "Step 2: Permutation  (2, 4, 4, 2) -> (2, 4, 4, 2)",
        "Step 3: Flatten  (2, 4, 4, 2) -> (2, 16, 2)",
        "Step 4: Merge  (2, 16, 2) -> (2, 4, 8)",
        "Step 5: Residual  (2, 4, 8) -> (2, 4, 8)",
        "Step 5 in numbers  (2, 4, 8)",
        "Step 6: LayerNorm  (2, 4, 8) -> (2, 4, 8)",
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
    numbers = [panel.title.split()[1].rstrip(":") for panel in scene.panels[1:]]
    assert numbers == ["1", "2", "3", "4a", "4b", "4c", "5", "5", "6"]


@given(T=st.integers(1, 8), H=st.integers(1, 6), d=st.integers(1, 3), batch=st.integers(1, 3))
def test_merge_and_residual_are_the_permutation_for_any_sizes(T, H, d, batch) -> None:
    D = H * d
    if D > 12:  # longer rows of sums are cut
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
    assert scene.panels[0].title == f"Input  ({batch}, {T}, {D})"
    # The number of tokens named in the remark is the most that any token has chunks of.
    seen = max(len({name[0] for name in row}) for row in mixed)
    assert found["Merge"][-1].endswith(
        f"{H} chunk{'s' * (H > 1)} per token: "
        f"each token now has chunks of {seen} token{'s' * (seen > 1)}"
    )
    if T * d > 16:  # the rows of a head would be too long
        return
    flat = [line.partition(":") for line in found["Flatten"][:H]]
    chunks = [chunk for _, _, line in flat for chunk in line.split()]
    assert ",".join(chunks).replace("[", "").replace("]", "") == ",".join(sum(mixed, []))
    assert [name for name, _, _ in flat] == [
        f"{h * T} to {h * T + T - 1}, head {h}" for h in range(H)
    ]


@pytest.mark.parametrize("mixing", ["rankmixer", "guide"])
def test_the_norm_has_the_numbers_that_are_shown_before(mixing) -> None:
    *_, numbers, norm = mixer_scene(3, 4, 2, mixing=mixing).panels
    labels = [[cell.label for cell in row.chunks[0]] for row in numbers.rows]
    digits, came = np.array([[label.split("+") for label in row] for row in labels]).T.astype(float)
    x, mixed = digits.T, came.T
    chunks = x.reshape(3, 2, 2).transpose(1, 0, 2).reshape(3, 4)
    assert (mixed == (chunks if mixing == "rankmixer" else x)).all()
    d = x + mixed - (x + mixed).mean(-1, keepdims=True)
    y = d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
    assert drawing(panel_text(norm).replace("\n  ", "\n").splitlines()[1:]).splitlines() == tokens(
        [[f"{v:.2f}" for v in row] for row in y]
    )
    assert len({tuple(np.sort(row)) for row in y.round(2)}) == 3  # no two rows are alike


def test_large_sizes_are_elided_and_still_right() -> None:
    T, D, H = 20, 40, 20
    scene = mixer_scene(T, D, H)
    found = panels(scene)
    mixed = by_hand(T, D, H)
    names = [[f"{'abcdefghijklmnopqrst'[t]}{i + 1}" for i in range(D)] for t in range(T)]
    for name, rows in (("Merge", mixed), ("Input", names)):
        short = [[*row[:8], "...", *row[-2:]] for row in rows]
        all_rows = [f"{f'Token {t}:':9} [{','.join(row)}]".rstrip() for t, row in enumerate(short)]
        assert drawing(found[name]).splitlines() == [
            *all_rows[:4], " " * 10 + "...", *all_rows[-2:]
        ]  # fmt: skip
    assert found["Head partitioning"][0] == (
        "Token 0:  [[a1,a2], [a3,a4], [a5,a6], [a7,a8], ..., [a37,a38], [a39,a40]]"
    )
    assert found["Flatten"][1] == (
        "20 to 39, head 1:    [a3,a4] [b3,b4] [c3,c4] [d3,d4] ... [s3,s4] [t3,t4]"
    )
    assert found["Residual"][0].startswith("Token 0:  [a1+a1,a2+a2,a3+b1,")
    assert found["Residual"][0].endswith(",...,a39+t1,a40+t2]")


@pytest.mark.parametrize(
    ("T", "D", "H"), [(9, 18, 3), (8, 16, 8), (5, 34, 2), (3, 1000, 2), (27, 60, 30), (99, 20, 4)]
)
def test_rows_are_no_wider_than_a_terminal_and_cut_alike(T, D, H) -> None:
    scene = mixer_scene(T, D, H)
    assert all(len(line) <= 110 for line in scene.text().splitlines())
    for panel in scene.panels:
        shapes = {tuple(map(len, row.chunks)) for row in panel.rows if row.name}
        assert len(shapes) == 1


def test_a_million_numbers_are_the_most_that_get_names() -> None:
    with refused(ArgumentError, "batch * num_tokens * hidden_dim is at most 1,000,000", "8,000,"):
        mixer_scene(10**6, 8, 4, batch=1)
    with refused(ArgumentError, "at most 1,000,000", "choose smaller"):
        step_scene("merge", 4, 10**20, 4)


@pytest.mark.parametrize(("count", "elided"), [(16, False), (17, True)])
def test_up_to_sixteen_features_are_shown_whole(count, elided) -> None:
    line = panels(mixer_scene(2, count, 1))["Input"][0]
    assert ("..." in line) is elided
    assert line.endswith(f",a{count - 1},a{count}]")


@pytest.mark.parametrize(("count", "shown"), [(8, 8), (9, 7)])
def test_up_to_eight_tokens_are_shown_whole(count, shown) -> None:
    lines = drawing(panels(mixer_scene(count, 2, 2))["Input"]).splitlines()
    assert len(lines) == shown
    assert lines[:4] == tokens([[f"{'abcd'[t]}1", f"{'abcd'[t]}2"] for t in range(4)])
    assert (lines[4].strip() == "...") is (count == 9)


@given(T=st.integers(1, 6), H=st.integers(1, 5), d=st.integers(1, 3))
def test_tints_say_which_token_a_value_came_from(T, H, d) -> None:
    *steps, residual, numbers, norm = mixer_scene(T, H * d, H).panels
    for panel in steps:
        for cell in cells(panel):
            assert cell.group == "abcdef".index(cell.label[0])
    if H * d > 12:  # longer rows of sums are cut
        return
    for cell, number, normalized in zip(*map(cells, (residual, numbers, norm)), strict=True):
        own, came = cell.label.split("+")
        tints = ("abcdef".index(own[0]), "abcdef".index(came[0]))
        assert cell[1:] == number[1:] == normalized[1:] == tints


@pytest.mark.parametrize("mixing", ["rankmixer", "guide"])
def test_a_step_alone_is_the_panel_before_it_and_its_own(mixing) -> None:
    whole = mixer_scene(3, 10, 2, mixing=mixing).panels
    names = ["partition", "permute", "flatten", "unflatten", "restore", "merge", "residual", "norm"]
    if mixing == "rankmixer":
        names = [name for name in names if name not in ("unflatten", "restore")]
    for i, name in enumerate(names):
        scene = step_scene(name, 3, 10, 2, mixing=mixing)
        after = i + 1 + (name == "norm")  # the numbers, which are no step, come before it
        assert scene.panels == whole[after - 1 : after + 1]
        assert whole[after].title.startswith(scene.title + "  ")
        assert name in scene.description


def test_steps_that_do_not_exist_are_refused() -> None:
    for name in ("input", "restore", "mix"):
        with refused(ArgumentError, "a step has one of the names", repr(name), "partition, perm"):
            step_scene(name)


def test_names_go_on_after_z() -> None:
    head = panels(mixer_scene(800, 1, 1, batch=1))["Permutation"][0]
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
    with refused(ArgumentError, "mixing is 'rankmixer', 'guide', ", "'other'"):
        mixer_scene(mixing="other")
