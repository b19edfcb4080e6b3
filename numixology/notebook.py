"""What a notebook shows of tables, reports and tensors: HTML for their ``_repr_html_``.

Colors of text and paper are the notebook's own, so that it may be light or dark.
"""

from collections.abc import Sequence
from html import escape
from typing import Protocol

__all__ = ["captioned", "report_html", "table_html"]

#: A stripe beside a report; its first line has the word.
_STRIPES = {"pass": "#2e8b57", "fail": "#d1383d"}
_OTHER_STRIPE = "#c98a00"
_FONT = "font-family: monospace"


class _Report(Protocol):
    @property
    def verdict(self) -> str: ...


def report_html(report: _Report) -> str:
    """A report as it prints, beside a stripe for its verdict, its first line in bold.

    Args:
        report: what has a verdict and prints readably.

    Returns:
        One element.
    """
    first, *others = escape(str(report)).split("\n")
    color = _STRIPES.get(report.verdict, _OTHER_STRIPE)
    style = f"{_FONT}; border-left: 4px solid {color}; padding-left: 8px"
    text = "\n".join([f"<b>{first}</b>", *others])
    return f'<pre style="{style}">{text}</pre>'


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A table, from what :func:`.columns` makes one of text of.

    Args:
        header: one title per column.
        rows: the cells, as many per row as there are titles.
        align: one letter per column, ``<`` for left and ``>`` for right.

    Returns:
        One element.

    Example:
        >>> table_html(["n"], [["12"]], ">").count("text-align: right")
        2
    """

    def row(tag: str, cells: Sequence[str]) -> str:
        sides = ("right" if side == ">" else "left" for side in align)
        made = (
            f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(row("td", cells) for cells in rows)
    return f"<table>\n<thead>{row('th', header)}</thead>\n<tbody>{body}</tbody>\n</table>"


def captioned(text: str, caption: str) -> str:
    """Text as it is, and a smaller line below it.

    Args:
        text: in a font whose characters are all as wide.
        caption: what is to be known of it.

    Returns:
        One element.
    """
    pre = f'<pre style="{_FONT}">{escape(text)}</pre>'
    return f"<div>{pre}<small>{escape(caption)}</small></div>"
