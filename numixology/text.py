"""Aligned columns of text, for people; and values for JSON."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["columns", "counted", "filled", "fitted", "for_json", "ordinal"]


def counted(number: int, what: str) -> str:
    """So many of something, whose plural ends in s.

    Args:
        number: how many.
        what: one of them.

    Example:
        >>> counted(1, "token"), counted(0, "chunk"), counted(8192, "token")
        ('1 token', '0 chunks', '8,192 tokens')
    """
    return f"{number:,} {what}" + "s" * (number != 1)


def ordinal(number: int) -> str:
    """The word for a place in a row, counted from 1.

    Args:
        number: the place.

    Example:
        >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)]
        ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '112th']
    """
    last = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 < number % 100 < 14 else last}"


def filled(text: str, indent: int = 0, width: int = 80, hanging: int = 2) -> str:
    """A paragraph of lines that are not too long.

    Args:
        text: a line.
        indent: how many spaces the first line begins with.
        width: the most characters of a line; a longer word has a line to itself.
        hanging: how many spaces more the later lines begin with.

    Example:
        >>> print(filled("a note: " + 20 * "word "))
        a note: word word word word word word word word word word word word word word
          word word word word word word
    """
    first, others = " " * indent, " " * (indent + hanging)
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
        break_long_words=False,
    )


def fitted(text: str, width: int = 80) -> str:
    r"""The same text, in which lines that are too long are paragraphs.

    Args:
        text: any number of lines.
        width: the most characters of a line; a longer word has a line to itself.

    Example:
        >>> print(fitted("short\n  a line that is too long", 16))
        short
          a line that is
            too long
    """
    return "\n".join(
        filled(line.lstrip(), len(line) - len(line.lstrip()), width) if len(line) > width else line
        for line in text.split("\n")
    )


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], align: str, most: int | None = None
) -> str:
    """A table: a header, a rule, and rows.

    Args:
        header: one title per column.
        rows: the cells, as many per row as there are titles.
        align: one letter per column, ``<`` for left and ``>`` for right.
        most: the most characters of a line, to which the last column is cut; by default it is not.

    Example:
        >>> print(columns(["name", "count"], [["weight", "12"], ["bias", "3"]], "<>"))
        name    count
        ------  -----
        weight     12
        bias        3
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if most:
        room = widths[-1] = min(widths[-1], most - sum(widths[:-1]) - 2 * len(widths[:-1]))
        cut = [one if len(one) <= room else f"{one[: room - 1]}…" for *_, one in rows]
        rows = [(*row[:-1], last) for row, last in zip(rows, cut, strict=True)]
    lines = []
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = zip(row, align, widths, strict=True)
        lines.append("  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip())
    return "\n".join(lines)


def for_json(value: Any) -> Any:
    """Named tuples and mappings as dicts, sequences as lists, NaN and infinity as words.

    Args:
        value: what is to be written.

    Example:
        >>> for_json({"limits": (0.5, math.inf)})
        {'limits': [0.5, 'inf']}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "_asdict"):
        return {key: for_json(one) for key, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {key: for_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(one) for one in value]
    return value
