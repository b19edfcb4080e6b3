"""A scene: one figure, as titled panels of lines. Here it is drawn as text."""

from typing import NamedTuple

__all__ = ["Panel", "Scene"]


class Panel(NamedTuple):
    """One part of a figure: a heading, and below it lines, each with a remark to its right.

    Attributes:
        title: the heading.
        lines: pairs of a line and its remark, both possibly empty.

    Example:
        >>> import numixology as nx
        >>> panel = nx.explain.Panel("Flow", (("input  (2, 4)", "the ids"),))
        >>> panel.lines[0]
        ('input  (2, 4)', 'the ids')
    """

    title: str
    lines: tuple[tuple[str, str], ...]


class Scene(NamedTuple):
    """A figure: a title and its panels, from top to bottom.

    Attributes:
        title: the heading of the whole.
        panels: its parts.

    Example:
        >>> import numixology as nx
        >>> lines = (("x", "the input"), ("x + mix(x)", "the residual"))
        >>> print(nx.explain.Scene("A mixer", (nx.explain.Panel("Flow", lines),)).text())
        A mixer
        <BLANKLINE>
        Flow
          x           the input
          x + mix(x)  the residual
    """

    title: str
    panels: tuple[Panel, ...]

    def text(self) -> str:
        """The figure as text, with the remarks of a panel aligned.

        Returns:
            One string of several lines, without a line break at its end.
        """
        blocks = [self.title]
        for panel in self.panels:
            width = max((len(left) for left, right in panel.lines if right), default=0)
            rows = [f"  {left:{width}}  {right}".rstrip() for left, right in panel.lines]
            blocks.append("\n".join([panel.title, *rows]))
        return "\n\n".join(blocks)
