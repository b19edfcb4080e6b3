"""What figures are made of: panels of lines, cells, boxes, tables, bars and curves.

A panel says what is shown and nothing about how. It is drawn as text in ``as_text``, as SVG
in ``as_svg``; as JSON it is its own fields.
"""

import re
from typing import Any, Literal, NamedTuple, TypeAlias

from ...errors import ArgumentError

__all__ = [
    "OMITTED",
    "Bar",
    "Bars",
    "Box",
    "Cell",
    "Chart",
    "Graph",
    "Grid",
    "Lines",
    "Panel",
    "Row",
    "Series",
    "Table",
    "check_words",
]


#: The label of a cell that stands for those that were left out.
OMITTED = "..."


class Lines(NamedTuple):
    """Lines of text, each with a remark to its right.

    Attributes:
        title: the heading.
        lines: pairs of a line and its remark, both possibly empty.
        note: a sentence below; empty for none.

    Example:
        >>> import numixology as nx
        >>> panel = nx.explain.Lines("Shape", (("(4, 8, 768)", "batch, tokens, features"),))
        >>> panel.lines[0]
        ('(4, 8, 768)', 'batch, tokens, features')
    """

    title: str
    lines: tuple[tuple[str, str], ...]
    note: str = ""


class Cell(NamedTuple):
    """One value of a :class:`.Grid`.

    Attributes:
        label: what stands in the cell.
        group: which of several families it belongs to, usually the token it came from; cells of
            one group are tinted alike. None for no tint.
        other: the group of a value that was added to it; such a cell has both tints.

    Example:
        >>> import numixology as nx
        >>> nx.explain.Cell("a1", 0)
        Cell(label='a1', group=0, other=None)
    """

    label: str
    group: int | None = None
    other: int | None = None


class Row(NamedTuple):
    """One row of a :class:`.Grid`: chunks of cells.

    Attributes:
        name: what the row is called, such as ``Token 0``.
        chunks: the cells, chunk by chunk; a row that is not cut is one chunk.

    Example:
        >>> import numixology as nx
        >>> row = nx.explain.Row("Token 0", ((nx.explain.Cell("a1", 0), nx.explain.Cell("a2", 0)),))
        >>> [cell.label for chunk in row.chunks for cell in chunk]
        ['a1', 'a2']
    """

    name: str
    chunks: tuple[tuple[Cell, ...], ...]


class Grid(NamedTuple):
    """Rows of labeled cells: a tensor's values.

    Attributes:
        title: the heading.
        rows: the rows, from top to bottom.
        form: how text lists a row: ``"nested"`` as ``[[a1,a2], [a3,a4]]``, ``"flat"`` as a
            sequence of chunks ``[a1,a2] [b1,b2]``, ``"matrix"`` in columns.
        columns: one name per cell of a row, or none.
        note: a sentence below; empty for none.

    Example:
        >>> import numixology as nx
        >>> E = nx.explain
        >>> row = E.Row("Token 0", ((E.Cell("a1"), E.Cell("a2")), (E.Cell("a3"), E.Cell("a4"))))
        >>> print(E.Scene("Heads", "A token in two heads.", (E.Grid("x", (row,)),)).text())
        Heads
        <BLANKLINE>
        x
          Token 0: [[a1,a2], [a3,a4]]
    """

    title: str
    rows: tuple[Row, ...]
    form: Literal["nested", "flat", "matrix"] = "nested"
    columns: tuple[str, ...] = ()
    note: str = ""


class Box(NamedTuple):
    """One step of a :class:`.Graph`.

    Attributes:
        key: its own name within the graph.
        name: what is written in it.
        shape: the shape of its result, or any second line; empty for none.
        remark: what is said beside it; empty for none.
        reads: the keys of the boxes that it reads.
        place: row, from the top, and column, from the left, where it stands.
        labels: what is written on the arrow from each box that it reads; empty for none.

    Example:
        >>> import numixology as nx
        >>> nx.explain.Box("norm", "norm", "(2, 4)", reads=("input",), place=(1, 0)).reads
        ('input',)
    """

    key: str
    name: str
    shape: str = ""
    remark: str = ""
    reads: tuple[str, ...] = ()
    place: tuple[int, int] = (0, 0)
    labels: tuple[str, ...] = ()


class Graph(NamedTuple):
    """Boxes and what each reads: how values flow through a layer, or a tape.

    Attributes:
        title: the heading.
        boxes: the boxes, in the order in which they are computed.
        note: a sentence below; empty for none.

    Example:
        >>> import numixology as nx
        >>> E = nx.explain
        >>> boxes = (
        ...     E.Box("x", "input", "(2, 4)"),
        ...     E.Box("m", "mix", "(2, 4)", "a permutation", ("x",), (1, 0)),
        ...     E.Box("s", "add", "(2, 4)", reads=("x", "m"), place=(2, 0)),
        ... )
        >>> print(E.Scene("Mixer", "A residual.", (E.Graph("Flow", boxes),)).text())
        Mixer
        <BLANKLINE>
        Flow
          input  (2, 4)
          mix    (2, 4)  a permutation
          add    (2, 4)  reads input and mix
    """

    title: str
    boxes: tuple[Box, ...]
    note: str = ""


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: the heading.
        header: one title per column.
        rows: the cells, as many per row as there are titles.
        align: one letter per column, ``<`` for left and ``>`` for right.
        note: a sentence below; empty for none.

    Example:
        >>> import numixology as nx
        >>> nx.explain.Table("FLOPs", ("step", "FLOPs"), (("residual", "32"),), "<>").header
        ('step', 'FLOPs')
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str
    note: str = ""


class Bar(NamedTuple):
    """One bar of :class:`.Bars`.

    Attributes:
        name: what it stands for.
        value: its length, at least 0.
        label: how the value is written.

    Example:
        >>> import numixology as nx
        >>> nx.explain.Bar("T = 256", 4.0, "4x").label
        '4x'
    """

    name: str
    value: float
    label: str


class Bars(NamedTuple):
    """Bars of comparable length.

    Attributes:
        title: the heading.
        bars: from top to bottom.
        note: a sentence below; empty for none.
        full: the value of a bar of full length, for panels on one scale; 0 for the longest bar's.

    Example:
        >>> import numixology as nx
        >>> E = nx.explain
        >>> bars = E.Bars("Memory", (E.Bar("T = 128", 1.0, "1x"), E.Bar("T = 256", 2.0, "2x")))
        >>> print(E.Scene("Mixer", "Linear in T.", (bars,)).text())
        Mixer
        <BLANKLINE>
        Memory
          T = 128  1x  ####################
          T = 256  2x  ########################################
    """

    title: str
    bars: tuple[Bar, ...]
    note: str = ""
    full: float = 0.0


class Series(NamedTuple):
    """One curve of a :class:`.Chart`.

    Attributes:
        name: what it shows.
        values: one number per x.

    Example:
        >>> import numixology as nx
        >>> nx.explain.Series("FLOPs", (832.0, 896.0)).values
        (832.0, 896.0)
    """

    name: str
    values: tuple[float, ...]


class Chart(NamedTuple):
    """Curves over one x.

    Attributes:
        title: the heading.
        x_name: what x is.
        x: its values, rising.
        y_name: what the curves measure, with its unit.
        series: the curves.
        log_x, log_y: whether that axis is logarithmic; its values are then positive.
        note: a sentence below; empty for none.
        symlog_x: whether the axis of x is linear from -1 to 1 and logarithmic beyond, both ways.

    Example:
        >>> import numixology as nx
        >>> E = nx.explain
        >>> curve = E.Series("attention / mixer", (832.0, 896.0))
        >>> chart = E.Chart("Ratio", "T", (128.0, 256.0), "times", (curve,))
        >>> print(E.Scene("FLOPs", "A ratio.", (chart,)).text())
        FLOPs
        <BLANKLINE>
        Ratio (times)
            T  attention / mixer
          ---  -----------------
          128                832
          256                896
    """

    title: str
    x_name: str
    x: tuple[float, ...]
    y_name: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    note: str = ""
    symlog_x: bool = False


#: Any of the panels.
Panel: TypeAlias = Lines | Grid | Graph | Table | Bars | Chart


#: Neither XML nor a terminal can show these: control characters, halves of pairs, and two more.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def check_words(*parts: Any) -> None:
    """Raise if there is text among the parts, or theirs, that has a character of no shape.

    Raises:
        ArgumentError: there is, such as a line break or a control character.
    """
    for part in parts:
        if isinstance(part, str) and _UNSHOWN.search(part):
            raise ArgumentError(
                "text in a figure has no line breaks and no control characters",
                repr(part),
                "leave them out",
            )
        if isinstance(part, tuple):
            check_words(*part)
