"""Panels as text, for terminals and for those who would rather read than look."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, zip_longest
from textwrap import wrap
from typing import Any

from ...text import columns, ordinal
from .panels import OMITTED, Bars, Cell, Chart, Graph, Grid, Lines, Panel, Table, check_words

__all__ = ["panel_text"]

_LONGEST_BAR = 40
#: The characters of a line behind its indent, and those that a remark has at least.
_WIDTH, _LEAST_ROOM = 78, 20
_whole = partial(wrap, break_on_hyphens=False, break_long_words=False)


def panel_text(panel: Panel) -> str:
    """The heading of a panel and, indented below it, what it shows and its note.

    Args:
        panel: any of the panels of a scene.

    Returns:
        One string of several lines, without a line break at its end.

    Raises:
        ArgumentError: text in it has a line break or a control character.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("merge", num_tokens=2, hidden_dim=4, num_heads=2)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        Step 3: Flatten  (2, 2, 2, 2) -> (2, 4, 2)
          0 to 1, head 0: [a1,a2] [b1,b2]
          2 to 3, head 1: [a3,a4] [b3,b4]
        <BLANKLINE>
          one sequence of 4 chunks: the same values in the same order
    """
    check_words(panel)
    title = f"{panel.title} ({panel.y_name})" if isinstance(panel, Chart) else panel.title
    lines = _DRAWN[type(panel)](panel)
    if panel.note:
        lines = [*lines, "", *_whole(panel.note, _WIDTH)]
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])


def _beside(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Each line with its remark; the remarks begin in one column, in which they go on."""
    width = max((len(left) for left, right in lines if right), default=0)
    room = max(_WIDTH - width - 2, _LEAST_ROOM)
    fitted = [(left, _whole(right, room) or [""]) for left, right in lines]
    return [
        f"{start:{width}}  {part}".rstrip()
        for left, parts in fitted
        for start, part in zip_longest([left], parts, fillvalue="")
    ]


def _grid(grid: Grid) -> list[str]:
    if grid.form == "matrix":
        return _matrix(grid)
    names = [f"{row.name}: " if row.name else "" for row in grid.rows]
    wide = max(map(len, names))
    lines = []
    for name, row in zip(names, grid.rows, strict=True):
        chunks = [_cells(chunk) for chunk in row.chunks]
        nested = grid.form == "nested" and len(chunks) > 1
        lines.append(f"{name:{wide}}" + (f"[{', '.join(chunks)}]" if nested else " ".join(chunks)))
    return lines


def _cells(chunk: Sequence[Cell]) -> str:
    # what is left out of a row of chunks stands for chunks, not for a chunk
    if [cell.label for cell in chunk] == [OMITTED]:
        return OMITTED
    return "[" + ",".join(cell.label for cell in chunk) + "]"


def _matrix(grid: Grid) -> list[str]:
    """Right-aligned columns below their names; a gap between chunks."""
    names = [row.name for row in grid.rows]
    rows = [[[cell.label for cell in chunk] for chunk in row.chunks] for row in grid.rows]
    if grid.columns:
        heads = iter(grid.columns)
        names.insert(0, "")
        rows.insert(0, [[next(heads) for _ in chunk] for chunk in rows[0]])
    widths = [max(map(len, column)) for column in zip(*(chain(*row) for row in rows), strict=True)]
    wide = max(map(len, names))
    lines = []
    for name, row in zip(names, rows, strict=True):
        width = iter(widths)
        chunks = (" ".join(f"{label:>{next(width)}}" for label in chunk) for chunk in row)
        lines.append(f"{name:{wide}}  {'   '.join(chunks)}")
    return lines


def _boxes(graph: Graph) -> list[str]:
    """Name, shape and remark of each; and what it reads, unless boxes stand in one column and it
    is just the one before."""
    names = _told_apart(graph)
    wide = max(len(box.name) for box in graph.boxes)
    aside = any(box.place[1] for box in graph.boxes)
    rows = []
    before: tuple[str, ...] = ()
    for box in graph.boxes:
        remark = box.remark
        if box.labels or (box.reads and (aside or box.reads != before)):
            labels = [f"{label} from " for label in box.labels] or [""] * len(box.reads)
            parts = (label + names[key] for label, key in zip(labels, box.reads, strict=True))
            reads = ("" if box.labels else "reads ") + " and ".join(parts)
            reads = reads.replace(" and ", ", ", len(box.reads) - 2)
            remark = f"{remark}; {reads}" if remark else reads
        rows.append((f"{box.name:{wide}}  {box.shape}".rstrip(), remark))
        before = (box.key,)
    return _beside(rows)


def _told_apart(graph: Graph) -> dict[str, str]:
    """The name of each box by its key; of boxes that share one, with its place among them."""
    shared: dict[str, list[str]] = {}
    for box in graph.boxes:
        shared.setdefault(box.name, []).append(box.key)
    return {
        key: name if len(keys) == 1 else f"{name} ({ordinal(place)})"
        for name, keys in shared.items()
        for place, key in enumerate(keys, start=1)
    }


def _bars(panel: Bars) -> list[str]:
    longest = max(panel.full, *(bar.value for bar in panel.bars)) or 1.0
    names = max(len(bar.name) for bar in panel.bars)
    labels = max(len(bar.label) for bar in panel.bars)
    return [
        f"{bar.name:{names}}  {bar.label:>{labels}}  "
        + "#" * max(round(_LONGEST_BAR * bar.value / longest), bar.value > 0)
        for bar in panel.bars
    ]


def _points(chart: Chart) -> list[str]:
    header = [chart.x_name, *(series.name for series in chart.series)]
    rows = [
        [number(x), *(number(series.values[i]) for series in chart.series)]
        for i, x in enumerate(chart.x)
    ]
    return columns(header, rows, ">" * len(header)).split("\n")


_DRAWN: dict[type[Any], Callable[[Any], list[str]]] = {
    Lines: lambda panel: _beside(panel.lines),
    Grid: _grid,
    Graph: _boxes,
    Table: lambda panel: columns(panel.header, panel.rows, panel.align).split("\n"),
    Bars: _bars,
    Chart: _points,
}


def number(value: float) -> str:
    """Four digits are enough for a curve; whole numbers are written out."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e9 else f"{value:.4g}"
