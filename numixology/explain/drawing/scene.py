"""A scene: one figure, which can be drawn as text, as SVG, as PNG and as JSON.

All are made from the same panels, so that a terminal, a page and a program show the same. A
notebook shows the SVG, and ``print`` the text.
"""

import json
from typing import Literal, NamedTuple

from ...text import counted, for_json
from .as_png import rasterized
from .as_svg import Theme, panel_svg, scene_svg, to_text
from .as_text import panel_text
from .panels import Panel, check_words

__all__ = ["Scene"]


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
        check_words(self)
        panels = [{"kind": type(panel).__name__.lower()} | for_json(panel) for panel in self.panels]
        return json.dumps(
            {"title": self.title, "description": self.description, "panels": panels},
            indent=1,
            ensure_ascii=False,
        )
