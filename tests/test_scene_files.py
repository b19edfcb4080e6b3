"""What ``Scene.json()`` wrote is read back by the documentation, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panels import GRID, PANELS
from scene_files import scene_from_json
from support import refused

from numixology.errors import ArgumentError
from numixology.explain import Lines, Scene


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_panel_is_read_back_as_it_was(panel) -> None:
    scene = Scene("Ein Bild", "größer als eins", (panel,))
    assert scene_from_json(scene.json()) == scene


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"])))
def test_any_words_are_read_back(words) -> None:
    scene = Scene('<T> & "t"', words, (Lines("P", ((f"<{words}&", words),)),))
    assert scene_from_json(scene.json()) == scene


def document(**changes):
    """A scene of a grid as JSON, with other fields."""
    fields = json.loads(Scene("T", "About.", (GRID,)).json())
    return fields | changes


def panel(**changes):
    return document(panels=[document()["panels"][0] | changes])


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}


OTHER = "what Scene.json() wrote"
MALFORMED = {
    "not JSON": ("{", OTHER),
    "too deep": ("[" * 100_000, OTHER),
    "no text": (None, OTHER),
    "a list": ([], OTHER),
    "no title": (without(document(), "title"), OTHER),
    "control character in the title": (document(title="a\x07"), "no control characters"),
    "unknown field": (document(color="red"), "'color'"),
    "no panels": (without(document(), "panels"), "panels"),
    "panels of another type": (document(panels={"kind": "grid"}), OTHER),
    "panel of another type": (document(panels=[1]), OTHER),
    "no kind": (document(panels=[without(panel()["panels"][0], "kind")]), "kind"),
    "unknown kind": (panel(kind="pie"), "pie"),
    "kind of another type": (panel(kind=["grid"]), OTHER),
    "no rows": (document(panels=[without(panel()["panels"][0], "rows")]), "rows"),
    "unknown field of a panel": (panel(color="red"), "'color'"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_json_of_something_else_is_refused(name) -> None:
    fields, says = MALFORMED[name]
    with refused(ArgumentError, says):
        scene_from_json(fields if isinstance(fields, str | None) else json.dumps(fields))


def test_fields_that_have_a_default_may_be_left_out() -> None:
    fields = without(document()["panels"][0], "note")
    assert scene_from_json(json.dumps(document(panels=[fields]))).panels == (GRID,)
