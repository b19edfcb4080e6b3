"""What the play page tells about every cell: its Python is run, its words and lights recomputed."""

import json
import re
from pathlib import Path

import mixer_stories
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_files import scene_from_json

import numixology as nx
from numixology.explain import Lines

DOCS = Path(__file__).resolve().parents[1] / "docs"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: The sizes of the page: the lines of its directive.
LINES = re.findall(r"^   (T=.*)$", (DOCS / "play.rst").read_text("utf-8"), flags=re.MULTILINE)


def sizes(line):
    T, H, d = map(int, re.findall(r"=(\d+)", line))
    return T, H, d, "guide" if "mixing=guide" in line else "rankmixer"


def moved(T, H, mixing):
    """Where each chunk goes, by the closed formula."""
    return np.arange(T * H) if mixing == "guide" else nx.functional.chunk_destinations(T, H)


def feature(name):
    """b3 -> (1, 2): its token and its index."""
    return LETTERS.index(name[0]), int(name[1:]) - 1


def numbers(pattern, words):
    found = re.search(pattern, words)
    assert found, words
    return tuple(map(int, found.groups()))


def labels(panel):
    return [[cell.label for chunk in row.chunks for cell in chunk] for row in panel.rows]


def check(T, H, d, mixing):
    play = mixer_stories.play(T, H, d, mixing)
    *steps, matrix = map(labels, play.scene.panels)
    last = len(steps)
    destination = moved(T, H, mixing)
    names = {}
    exec(play.setup, names)
    assert np.unique(names["x"]).size == names["x"].size, "no two values are the same by chance"
    told = {key for panel in play.keys for row in panel for key in row}
    assert set(play.stories) == told and play.start in told

    for panel, keys in zip(steps, play.keys[:-1], strict=True):
        assert panel == keys
    for key, story in play.stories.items():
        assert eval(story.code, names) == np.True_, story.code
        assert len(set(story.cells)) == len(story.cells)
        place, chunk = numbers(r"[Rr]ow (\d+), column (\d+)", story.says)
        assert (last, place, chunk) in story.cells
        joined = destination[chunk] == place
        assert matrix[place][chunk] == str(int(joined))
        if "," in key:
            assert key == f"{place},{chunk}"
            begin = f"Row {place}, column {chunk} is {int(joined)}: "
            assert story.says.startswith(begin)
            t, i = divmod(chunk * d, H * d)
            group = [f"{LETTERS[t]}{n}" for n in range(i + 1, i + d + 1)] if joined else []
            assert all(name in story.says for name in group)
        else:
            assert joined and story.says.startswith(key)
            group = key.split("+")
        lit = {
            (p, r, c)
            for p, panel in enumerate(steps)
            for r, row in enumerate(panel)
            for c, label in enumerate(row)
            if (label == key if "+" in key and p == last - 1 else {*label.split("+")} & {*group})
        }
        assert set(story.cells) == lit | {(last, place, chunk)}

    panels = play.scene.panels
    assert len(play.did) == last - 1
    for key, story in play.stories.items():
        if "," not in key:
            for p, words in enumerate(story.moves, start=1):
                rows = [
                    {panels[q].rows[r].name for panel, r, _ in story.cells if panel == q}
                    for q in (p - 1, p)
                ]
                assert all(row.partition(",")[0] in words for row in rows[1])
                assert ("stay" in words) == (rows[0] == rows[1])

    for name in np.ravel(steps[0]):
        t, i = feature(name)
        story = play.stories[name]
        chunk = t * H + i // d
        s, j = divmod(int(destination[chunk]) * d + i % d, H * d)
        assert numbers(r"is feature (\d+) of token (\d+), in chunk (\d+)\.", story.says) == (
            *(i + 1, t, chunk),
        )
        moves = r"(?:becomes|stays) feature (\d+) of token (\d+)\."
        assert numbers(moves, story.says) == (j + 1, s)
        assert ("stays" in story.says) == (destination[chunk] == chunk)
        assert story.code.endswith(f"[0, {s}, {j}] == x[0, {t}, {i}]")

    x = nx.tensor(names["x"])
    (sums,) = (
        step.value[0]
        for step in nx.explain.steps_of(nx.nn.TokenMixer(T, H * d, H, mixing=mixing), x)
        if step.name == "residual"
    )
    for s, j in np.ndindex(sums.shape):
        own, came = map(feature, steps[-1][s][j].split("+"))
        assert own == (s, j)
        assert names["x"][0][own] + names["x"][0][came] == sums[s, j]


def test_the_page_has_several_sizes():
    found = [sizes(line) for line in LINES]
    assert found[0] == (4, 4, 2, "rankmixer"), "the guide's"
    assert (4, 4, 2, "guide") in found
    assert any(T < H for T, H, *_ in found) and any(T > H for T, H, *_ in found)


@pytest.mark.parametrize("line", LINES)
def test_every_cell_of_the_page(line):
    check(*sizes(line))


@settings(max_examples=40)
@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["rankmixer", "guide"])
)
def test_every_cell_of_other_sizes(T, H, d, mixing):
    check(T, H, d, mixing)


def test_json_holds_everything_and_ends_no_script():
    play = mixer_stories.play(3, 2, 1)
    changed = play._replace(start="</script>")
    text = changed.json()
    assert "<" not in text
    found = json.loads(text)
    assert found["start"] == "</script>"
    assert scene_from_json(json.dumps(found["scene"])) == play.scene
    assert found["keys"] == play.keys
    assert set(found["stories"]) == set(play.stories)
    story = found["stories"]["a1"]
    assert story == {
        "says": play.stories["a1"].says,
        "code": play.stories["a1"].code,
        "cells": [list(cell) for cell in play.stories["a1"].cells],
        "moves": play.stories["a1"].moves,
    }
    assert found["did"] == play.did


def test_a_jacobian_that_cuts_chunks_is_not_drawn():
    blocks = np.zeros((2, 2, 2, 2))
    blocks[0, 1] = blocks[1, 0] = np.eye(2)
    assert labels(mixer_stories.jacobian_panel(blocks, 1)) == [["0", "1"], ["1", "0"]]
    blocks[0, 1, 0, 1] = 1
    with pytest.raises(ValueError, match="whole"):
        mixer_stories.jacobian_panel(blocks, 1)


def test_only_grids_have_cells():
    with pytest.raises(TypeError, match="got Lines"):
        mixer_stories.labels_of(Lines("x", ()))
