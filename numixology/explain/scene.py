"""A scene: one figure, as titled panels of lines. Here it is drawn as text."""

from typing import NamedTuple

__all__ = ["Panel", "Scene"]


class Panel(NamedTuple):
    """One part of a figure: a heading, and below it lines, each with a remark to its right."""

    title: str
    lines: tuple[tuple[str, str], ...]


class Scene(NamedTuple):
    """A figure: a title and its panels, from top to bottom."""

    title: str
    panels: tuple[Panel, ...]

    def text(self) -> str:
        """The figure as text, with the remarks of a panel aligned."""
        blocks = [self.title]
        for panel in self.panels:
            width = max((len(left) for left, right in panel.lines if right), default=0)
            rows = [f"  {left:{width}}  {right}".rstrip() for left, right in panel.lines]
            blocks.append("\n".join([panel.title, *rows]))
        return "\n\n".join(blocks)
