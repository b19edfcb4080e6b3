"""One figure, three ways to draw it, which show the same."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panels import PANELS, SVG

import numixology as nx
from numixology.explain import Lines, Scene, mixer_scene


def test_title_and_panels() -> None:
    scene = Scene("A figure", "", (Lines("First", (("one", ""),)), Lines("Second", (("two", ""),))))
    assert scene.text() == "A figure\n\nFirst\n  one\n\nSecond\n  two"
    assert Scene("Nothing", "", ()).text() == "Nothing"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_json_is_read_back_as_it_was(panel) -> None:
    scene = Scene("Ein Bild", "größer als eins", (panel,))
    assert Scene.from_json(scene.json()) == scene
    fields = json.loads(scene.json())["panels"][0]
    assert fields["kind"] == type(panel).__name__.lower()
    assert set(fields) == {"kind", *panel._fields}


def test_scenes_are_values() -> None:
    one, other = (Scene("T", "", (Lines("P", (("a", "b"),)),)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)


@given(
    T=st.integers(1, 5),
    H=st.integers(1, 4),
    d=st.integers(1, 3),
    mixing=st.sampled_from(["rankmixer", "guide"]),
)
def test_text_svg_and_json_hold_the_values_of_every_step(T, H, d, mixing) -> None:
    D = H * d
    scene = mixer_scene(T, D, H, mixing=mixing)
    names = [f"{'abcde'[t]}{i + 1}" for t in range(T) for i in range(D)]
    steps = nx.functional.mixing_steps(np.arange(T * D).reshape(1, T, D), H, mixing=mixing)
    whole = ElementTree.fromstring(scene.svg())
    blocks = re.split(r"\n\n(?=Input|Step)", scene.text())[1:]
    fields = json.loads(scene.json())["panels"]
    pictures = whole.findall(f"{SVG}svg")
    assert len(blocks) == len(fields) == len(pictures) == len(steps) + 2
    for block, panel, picture, step in zip(blocks, fields, pictures, steps.values(), strict=False):
        expected = [names[i] for i in step.ravel()]
        listed = block.split("\n\n")[0].split("\n", 1)[1]  # neither title nor note
        assert re.findall(r"\b[a-e]\d+\b", listed) == expected
        shown = [e.text for e in picture.iter(f"{SVG}text") if e.get("class") == "nx-value"]
        assert shown == expected
        labels = [
            cell["label"] for row in panel["rows"] for chunk in row["chunks"] for cell in chunk
        ]
        assert labels == expected
