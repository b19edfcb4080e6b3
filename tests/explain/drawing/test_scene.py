"""One figure, three ways to draw it, which show the same."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panels import PANELS, SVG
from support import refused

import numixology as nx
from numixology.errors import ArgumentError
from numixology.explain import Lines, Scene, mixer_scene


def test_title_and_panels() -> None:
    scene = Scene("A figure", "", (Lines("First", (("one", ""),)), Lines("Second", (("two", ""),))))
    assert scene.text() == "A figure\n\nFirst\n  one\n\nSecond\n  two"
    assert Scene("Nothing", "", ()).text() == "Nothing"


def test_it_prints_as_text_and_shows_itself_in_a_notebook() -> None:
    scene = Scene("A figure", "", (Lines("First", (("one", ""),)),))
    assert str(scene) == scene.text()
    assert repr(scene) == "<Scene 'A figure' of 1 panel: print() shows it>"
    assert scene._repr_svg_() == scene.svg()
    assert repr(Scene("a\x07", "", ())).startswith("<Scene 'a\\x07'")  # which text() refuses


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_json_has_the_kind_and_the_fields_of_a_panel(panel) -> None:
    (fields,) = json.loads(Scene("Ein Bild", "größer als eins", (panel,)).json())["panels"]
    assert fields["kind"] == type(panel).__name__.lower()
    assert set(fields) == {"kind", *panel._fields}


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\n", "\t", "\x7f", "\x85", "\ud800", "\ufffe"])
@pytest.mark.parametrize("way", ["text", "svg", "json"])
def test_what_cannot_be_shown_is_refused_in_every_way(sign, way) -> None:
    words = f"a{sign}b"
    lines = Lines("P", (("one", words),))
    for scene in (
        Scene(words, "", ()),
        Scene("T", words, ()),
        Scene("T", "", (lines,)),
    ):
        with refused(ArgumentError, "no control characters", repr(words)):
            getattr(scene, way)()


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"])))
def test_all_else_can_be_shown(words) -> None:
    scene = Scene('<T> & "t"', words, (Lines("P", ((f"<{words}&", words),)),))
    svg = ElementTree.fromstring(scene.svg())
    assert svg[1].text == (words or None)
    assert f"<{words}&" in [e.text for e in svg.iter(f"{SVG}text")]
    assert json.loads(scene.json())["description"] == words


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
    blocks = re.split(r"\n\n(?=Input|Step)", scene.text())[1:-2]
    fields = json.loads(scene.json())["panels"][:-2]
    pictures = whole.findall(f"{SVG}svg")[:-2]
    assert len(blocks) == len(fields) == len(pictures) == len(steps) + 1
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
