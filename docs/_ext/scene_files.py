"""Figures from files: what ``Scene.json()`` wrote, read back."""

import json
from typing import Any, get_args, get_type_hints

from numixology.errors import ArgumentError
from numixology.explain import Panel, Scene
from numixology.explain.drawing.panels import check_words

_KINDS = {kind.__name__.lower(): kind for kind in get_args(Panel)}


def scene_from_json(text: str) -> Scene:
    """The figure that ``Scene.json()`` wrote.

    Raises:
        ArgumentError: it is not such a document, or text in it has control characters.
    """
    try:
        found = json.loads(text)
        panels = [_read(_KINDS[one.pop("kind")], one) for one in found.pop("panels")]
        scene = Scene(**found, panels=tuple(panels))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        rule, got = "a scene is read from what Scene.json() wrote", type(error).__name__
        raise ArgumentError(rule, f"{got}: {error}"[:90], "give that text") from error
    check_words(scene)
    return scene


def _read(kind: Any, value: Any) -> Any:
    """The value as that type: a record from an object, a tuple from a list, else itself."""
    if isinstance(value, dict):
        kinds = get_type_hints(kind)
        return kind(**{name: _read(kinds[name], field) for name, field in value.items()})
    if isinstance(value, list):
        inner, *_ = get_args(kind)
        return tuple(_read(inner, item) for item in value)
    return value
