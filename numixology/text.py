"""Aligned columns of text, for people."""

from collections.abc import Sequence

__all__ = ["columns"]


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """A table: a header, a rule, and rows.

    Args:
        header: one title per column.
        rows: the cells, as many per row as there are titles.
        align: one letter per column, ``<`` for left and ``>`` for right.

    Example:
        >>> print(columns(["name", "count"], [["weight", "12"], ["bias", "3"]], "<>"))
        name    count
        ------  -----
        weight     12
        bias        3
    """
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)
        )
        for row in table
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
