"""A scene: one figure, which can be drawn as text, as SVG and as JSON.

All three are made from the same panels, so that a terminal, a page and a program show the same.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from .as_svg import panel_svg, scene_svg, to_text
from .as_text import panel_text
from .panels import Bar, Bars, Box, Cell, Chart, Graph, Grid, Lines, Panel, Row, Series, Table

__all__ = ["Scene"]

_PANELS: tuple[Callable[..., Panel], ...] = (Lines, Grid, Graph, Table, Bars, Chart)
_KINDS = {kind.__name__.lower(): kind for kind in _PANELS}
#: The fields that hold records, by their name.
_RECORDS = {"rows": Row, "boxes": Box, "bars": Bar, "series": Series}


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
        >>> print(scene.text())
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
        return "\n\n".join([self.title, *map(panel_text, self.panels)])

    def svg(self) -> str:
        """The figure as the text of an SVG file, with its colours for light and dark.

        Returns:
            One ``svg`` element with a role, a title and a description; the panels are below each
            other, each an ``svg`` element with its own.
        """
        return scene_svg(self.title, self.description, self.panels)

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
        panels = [{"kind": type(panel).__name__.lower()} | _plain(panel) for panel in self.panels]
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
        """
        found = json.loads(text)
        panels = tuple(_panel(dict(fields)) for fields in found["panels"])
        return Scene(found["title"], found["description"], panels)


def _plain(value: Any) -> Any:
    """Records as dicts, down to the last."""
    if hasattr(value, "_asdict"):
        return {name: _plain(field) for name, field in value._asdict().items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _panel(fields: dict[str, Any]) -> Panel:
    kind = fields.pop("kind")
    read = {
        name: tuple(_record(_RECORDS[name], item) for item in value)
        if name in _RECORDS and kind != "table"
        else _tuples(value)
        for name, value in fields.items()
    }
    return _KINDS[kind](**read)


def _record(kind: Any, fields: dict[str, Any]) -> Any:
    if kind is Row:
        chunks = tuple(tuple(Cell(**cell) for cell in chunk) for chunk in fields["chunks"])
        return Row(fields["name"], chunks)
    return kind(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
