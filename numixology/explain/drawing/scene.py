"""A scene: one figure, which can be drawn as text, as SVG, as PNG and as JSON.

All are made from the same panels, so that a terminal, a page and a program show the same. A
notebook shows the SVG, and ``print`` the text.
"""

import json
from types import UnionType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from ...errors import ArgumentError
from ...text import counted
from .as_png import rasterized
from .as_svg import Theme, panel_svg, scene_svg, to_text
from .as_text import panel_text
from .panels import Panel, check_words, checked

__all__ = ["Scene"]

_KINDS = {kind.__name__.lower(): kind for kind in get_args(Panel)}


class Scene(NamedTuple):
    """A figure: a title, what it shows, and its panels from top to bottom.

    Attributes:
        title: the heading of the whole.
        description: a sentence or two for those who do not see the picture.
        panels: its parts.

    Example:
        >>> import numixology as nx
        >>> lines = (("x", "the input"), ("x + mix(x)", "the residual"))
        >>> scene = nx.explain.Scene("A mixer", "Two lines.", (nx.explain.Lines("Flow", lines),))
        >>> scene
        <Scene 'A mixer' of 1 panel: print() shows it>
        >>> print(scene)
        A mixer
        <BLANKLINE>
        Flow
          x           the input
          x + mix(x)  the residual
        >>> nx.explain.Scene.from_json(scene.json()) == scene
        True
    """

    title: str
    description: str
    panels: tuple[Panel, ...]

    def text(self) -> str:
        """The figure as text.

        Returns:
            One string of several lines, without a line break at its end.
        """
        check_words(self.title, self.description)
        return "\n\n".join([self.title, *map(panel_text, self.panels)])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        panels = counted(len(self.panels), "panel")
        return f"<Scene {self.title!r} of {panels}: print() shows it>"

    def svg(self, theme: Theme = "system") -> str:
        """The figure as the text of an SVG file.

        Args:
            theme: ``"light"`` or ``"dark"`` for these colors alone, which every program can show;
                ``"system"`` for both, of which the reader's system chooses.

        Returns:
            One ``svg`` element with a role, a title and a description; the panels are below each
            other, each an ``svg`` element with its own.
        """
        return scene_svg(self.title, self.description, self.panels, theme)

    def _repr_svg_(self) -> str:
        return self.svg()

    def png(self, theme: Literal["light", "dark"] = "light", scale: float = 2) -> bytes:
        """The figure as PNG, which needs ``pip install resvg-py`` and a monospaced font.

        Args:
            theme: the colors.
            scale: pixels of the PNG for each pixel of the SVG.

        Returns:
            The bytes of a PNG file.

        Raises:
            UnsupportedError: resvg is not installed.
        """
        return rasterized(self.svg(theme), scale)

    def panel_svgs(self, prefix: str) -> list[str]:
        """Each panel as an ``svg`` element of its own, for a page that has the style sheet.

        Args:
            prefix: of the ids in them, unique on the page.

        Returns:
            One text per panel.
        """
        return [to_text(panel_svg(panel, f"{prefix}-{i}")) for i, panel in enumerate(self.panels)]

    def json(self) -> str:
        """The figure as JSON: its fields by name, and the ``kind`` of each panel.

        Returns:
            The text of a JSON document.
        """
        check_words(self.title, self.description)
        panels = [
            {"kind": type(panel).__name__.lower()} | _plain(checked(panel)) for panel in self.panels
        ]
        return json.dumps(
            {"title": self.title, "description": self.description, "panels": panels},
            indent=1,
            ensure_ascii=False,
        )

    @staticmethod
    def from_json(text: str) -> "Scene":
        """The figure that :meth:`json` wrote.

        Args:
            text: a JSON document.

        Returns:
            A scene equal to the one it was written from.

        Raises:
            ArgumentError: it is not such a document, or what it describes cannot be drawn.
        """
        try:
            found = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise _unreadable("a JSON document", str(error)) from error
        if not isinstance(found, dict):
            raise _unreadable("an object with the fields of a scene", _short(found))
        panels = found.get("panels")
        if not isinstance(panels, list):
            raise _unreadable("a list of panels", _short(panels))
        words = _read(_Words, {key: value for key, value in found.items() if key != "panels"})
        check_words(words)
        return Scene(words.title, words.description, tuple(map(_panel, panels)))


class _Words(NamedTuple):
    """What a scene has besides its panels."""

    title: str
    description: str


def _plain(value: Any) -> Any:
    """Records as dicts, down to the last."""
    if hasattr(value, "_asdict"):
        return {name: _plain(field) for name, field in value._asdict().items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _panel(fields: Any) -> Panel:
    """A panel from its fields and its kind, if it can be drawn."""
    kind = fields.get("kind") if isinstance(fields, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise _unreadable(f"panels whose kind is one of {known}", _short(fields))
    return checked(_read(_KINDS[kind], {k: v for k, v in fields.items() if k != "kind"}))


def _read(kind: Any, value: Any) -> Any:
    """The value as that type: a record from an object, a tuple from a list, else itself."""
    origin, inner = get_origin(kind), get_args(kind)
    if hasattr(kind, "_fields") and isinstance(value, dict):
        return _record(kind, value)
    if origin is tuple and isinstance(value, list):
        kinds = inner[:1] * len(value) if inner[-1] is ... else inner
        if len(kinds) == len(value):
            return tuple(map(_read, kinds, value))
    if (
        kind is type(value)
        or (kind is float and type(value) is int)
        or (origin is Literal and value in inner)
        or (origin is UnionType and type(value) in inner)
    ):
        return value
    raise _unreadable(f"{getattr(kind, '__name__', kind)} where one stands", _short(value))


def _record(kind: Any, fields: dict[str, Any]) -> Any:
    kinds = get_type_hints(kind)
    missing = set(kinds) - set(fields) - set(kind._field_defaults)
    unknown = set(fields) - set(kinds)
    if missing or unknown:
        got = ", ".join([f"no {name}" for name in sorted(missing)] + sorted(map(repr, unknown)))
        raise _unreadable(f"for a {kind.__name__} the fields {', '.join(kinds)}", got)
    return kind(**{name: _read(kinds[name], field) for name, field in fields.items()})


def _unreadable(rule: str, got: str) -> ArgumentError:
    return ArgumentError(f"a scene is read from {rule}", got, "give what Scene.json() wrote")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
