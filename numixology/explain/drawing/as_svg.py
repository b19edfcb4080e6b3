"""Panels as SVG: one picture each, with a title, a description and text for every value.

Colors are CSS variables, so that a page can set them for light and dark; :func:`variables` has
values for both. No meaning rests on color alone: every cell has its label, and every curve
its own dashes and marks.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from .as_text import number, panel_text
from .panels import OMITTED, Bars, Cell, Chart, Graph, Grid, Lines, Panel, Table, check_words

__all__ = ["SHAPES", "Theme", "panel_svg", "scene_svg", "variables"]

#: The colors of a picture that stands alone: those of one theme, or what the system is set to.
Theme: TypeAlias = Literal["system", "light", "dark"]
Point: TypeAlias = tuple[float, float]

# Of the fonts in the style sheet, in pixels. A character is never wider than this.
_CHARACTER = 7.3
_LINE = 20
_CELL = 24
_NARROWEST = 22  # of cells with labels of a character or two
_MARGIN = 8
_GAP = 6  # between chunks
_BETWEEN = 12  # the columns of a table
_PHONE = 320  # words are broken into lines that a telephone can show
_SHORTEST_BARS, _LONGEST_BARS = 100, 200  # the longest bar of a panel

#: Background, ink, fainter ink, lines, the emphasis, which the first curve of a chart has; the
#: other curves; the tints of groups.
_PALETTES = {
    "light": """
        paper #ffffff ink #14181d faint #4a525c line #8a939e accent #1f5fa8
        curve-1 #14181d curve-2 #b3500b curve-3 #6a737d
        tint-0 #cfe3fb tint-1 #fde0c5 tint-2 #cdeccf tint-3 #f3d3ea
        tint-4 #fbf0b8 tint-5 #d8d4f5 tint-6 #c3ebe9 tint-7 #f7d0d0
    """,
    "dark": """
        paper #131416 ink #f0f3f6 faint #b9c1ca line #6f7883 accent #8ab8f0
        curve-1 #f0f3f6 curve-2 #f0a060 curve-3 #a3abb5
        tint-0 #1f3f66 tint-1 #63401c tint-2 #1f4f2a tint-3 #5a2a4c
        tint-4 #55490f tint-5 #3a3470 tint-6 #145052 tint-7 #6a2a2a
    """,
}  # fmt: skip
_COLORS = {
    theme: dict(re.findall(r"(\S+) (#\w+)", palette)) for theme, palette in _PALETTES.items()
}
_TINTS = 8

#: The fonts and shapes of the figures, as CSS.
SHAPES = """\
.nx-figure { background: var(--nx-paper); font: 12px ui-monospace, "DejaVu Sans Mono", monospace; }
.nx-figure text { fill: var(--nx-ink); }
.nx-figure .nx-title { font-weight: 600; }
.nx-figure .nx-faint { fill: var(--nx-faint); }
.nx-figure .nx-cell { stroke: var(--nx-line); fill: var(--nx-paper); }
.nx-figure .nx-line { stroke: var(--nx-line); fill: none; }
.nx-figure .nx-arrow { stroke: var(--nx-faint); fill: none; stroke-width: 1.3; }
.nx-figure .nx-head { fill: var(--nx-faint); }
.nx-figure .nx-curve { stroke: var(--nx-accent); fill: none; stroke-width: 2; }
.nx-figure .nx-mark { stroke: var(--nx-accent); fill: var(--nx-paper); stroke-width: 1.5; }
.nx-figure .nx-bar { fill: var(--nx-accent); }
"""
_DASHES = ("none", "6 3", "2 3", "9 3 2 3")
SHAPES += "".join(
    f".nx-figure .nx-series-{i} {{ stroke: var(--nx-curve-{i}); }}\n"
    for i in range(1, len(_DASHES))
)
SHAPES += "".join(
    f".nx-figure .nx-group-{i} {{ fill: var(--nx-tint-{i}); }}\n" for i in range(_TINTS)
)
_FEW_POINTS = 16  # each is marked and named on its axis; of more points some are


class _Drawing(NamedTuple):
    """Elements, and the size of the picture that they fill."""

    elements: list[Element]
    width: float
    height: float


def variables(theme: Literal["light", "dark"]) -> str:
    """The colors of a theme, as CSS variables.

    Args:
        theme: which.

    Returns:
        Declarations of CSS.

    Example:
        >>> from numixology.explain.drawing.as_svg import variables
        >>> variables("light")[:40]
        '--nx-paper: #ffffff; --nx-ink: #14181d; '
    """
    return " ".join(f"--nx-{name}: {color};" for name, color in _COLORS[theme].items())


_SYSTEM = (
    f".nx-figure {{ {variables('light')} }}\n"
    f"@media (prefers-color-scheme: dark) {{ .nx-figure {{ {variables('dark')} }} }}\n"
)


def panel_svg(panel: Panel, prefix: str) -> Element:
    """One panel as an ``svg`` element, at its natural size in pixels.

    Args:
        panel: what to draw.
        prefix: of the ids of its title and description, unique on a page.

    Returns:
        The element.
    """
    check_words(panel)
    body = _DRAWN[type(panel)](panel)
    most = max(body.width, _PHONE)
    heading = _wrapped(panel.title, most)
    notes = _wrapped(panel.note, most) if panel.note else []
    width = max(body.width, *map(_wide, (*heading, *notes)))
    top = 8.0 + _LINE * len(heading)
    bottom = top + body.height
    size = (width + 2 * _MARGIN, bottom + _LINE * len(notes) + _MARGIN)
    svg = _root("img", panel.title, panel_text(panel), prefix, size)
    svg.extend(_lines_of(heading, 18, "nx-title"))
    group = SubElement(svg, "g", transform=f"translate({_MARGIN} {_round(top)})")
    group.extend(body.elements)
    svg.extend(_lines_of(notes, bottom + _LINE - 4, "nx-faint"))
    return svg


def scene_svg(
    title: str, description: str, panels: Sequence[Panel], theme: Theme = "system"
) -> str:
    """All panels below each other in one picture that stands alone.

    Args:
        title: of the whole.
        description: likewise.
        panels: from top to bottom.
        theme: ``"light"`` or ``"dark"`` for these colors alone, written out where they are used,
            since many programs know no CSS variables; ``"system"`` follows the reader's choice.

    Returns:
        The text of an SVG file.
    """
    check_words(title, description)
    parts = [panel_svg(panel, f"nx-{i}") for i, panel in enumerate(panels)]
    sizes = [(float(part.get("width", 0)), float(part.get("height", 0))) for part in parts]
    heading = _wrapped(title, max([_PHONE, *(wide for wide, _ in sizes)]))
    width = max([*(_wide(line) + 2 * _MARGIN for line in heading), *(wide for wide, _ in sizes)])
    y = float(_MARGIN + len(heading) * _LINE)
    for part, (_, high) in zip(parts, sizes, strict=True):
        part.set("y", _round(y))
        y += high
    # a group of images, which a screen reader can enter one by one
    svg = _root("group", title, description, "nx", (width, y))
    SubElement(svg, "style").text = (_SYSTEM if theme == "system" else "") + SHAPES
    SubElement(svg, "rect", {"width": "100%", "height": "100%", "style": "fill: var(--nx-paper)"})
    svg.extend([*_lines_of(heading, 18, "nx-title"), *parts])
    text = to_text(svg)
    if theme == "system":
        return text
    return re.sub(r"var\(--nx-([\w-]+)\)", lambda found: _COLORS[theme][found[1]], text)


def _root(role: str, title: str, description: str, prefix: str, size: Point) -> Element:
    """An ``svg`` element with what it is called and what is said of it, for those who listen."""
    wide, high = map(math.ceil, size)
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "nx-figure",
            "role": role,
            "aria-labelledby": f"{prefix}-title",
            "aria-describedby": f"{prefix}-desc",
            "width": str(wide),
            "height": str(high),
            "viewBox": f"0 0 {wide} {high}",
        },
    )
    SubElement(svg, "title", id=f"{prefix}-title").text = title
    SubElement(svg, "desc", id=f"{prefix}-desc").text = description
    return svg


def _lines_of(words: Sequence[str], y: float, kind: str) -> list[Element]:
    return [_text(_MARGIN, y + i * _LINE, line, kind) for i, line in enumerate(words)]


def to_text(svg: Element) -> str:
    """An element as text, one element per line."""
    indent(svg, space=" ")
    return tostring(svg, encoding="unicode") + "\n"


def _lines(panel: Lines) -> _Drawing:
    remark_x = max((_wide(left) for left, right in panel.lines if right), default=0.0) + 16
    elements = []
    for i, (left, right) in enumerate(panel.lines):
        elements.append(_text(0, 14 + i * _LINE, left))
        if right:
            elements.append(_text(remark_x, 14 + i * _LINE, right, "nx-faint"))
    wide = max(remark_x + _wide(right) if right else _wide(left) for left, right in panel.lines)
    return _Drawing(elements, wide, len(panel.lines) * _LINE)


def _grid(grid: Grid) -> _Drawing:
    labels = [cell.label for row in grid.rows for chunk in row.chunks for cell in chunk]
    cell_wide = max(_NARROWEST, max(_wide(label) for label in (*labels, *grid.columns)) + 8)
    names = max(_wide(row.name) for row in grid.rows) + 8
    elements: list[Element] = []
    top = _LINE if grid.columns else 0
    wide = 0.0
    for i, row in enumerate(grid.rows):
        x, y = names, top + i * (_CELL + 4)
        line = Element("g", {"class": "nx-row"})
        line.append(_text(0, y + 16, row.name, "nx-faint"))
        columns = iter(grid.columns if i == 0 else ())
        for chunk in row.chunks:
            for cell in chunk:
                if column := next(columns, ""):
                    line.append(_centered(x, 14, cell_wide, column, "nx-faint"))
                line.append(_one(cell, x, y, cell_wide))
                x += cell_wide
            wide = max(wide, x)
            x += _GAP
        elements.append(line)
    return _Drawing(elements, wide, top + len(grid.rows) * (_CELL + 4))


def _one(cell: Cell, x: float, y: float, wide: float) -> Element:
    """A cell as a group, so that a page can light it or move the keyboard's focus to it."""
    one = Element("g", {"class": "nx-one"})
    if cell.label == OMITTED:  # values were left out here: this is none
        one.append(_centered(x, y + 16, wide, cell.label, "nx-faint"))
        return one
    tint = "" if cell.group is None else f" nx-group-{cell.group % _TINTS}"
    one.append(_rect(x, y, wide, _CELL, f"nx-cell{tint}"))
    if cell.other is not None:
        tint = f"nx-half nx-group-{cell.other % _TINTS}"
        one.append(_rect(x + wide / 2, y + 0.5, wide / 2 - 0.5, _CELL - 1, tint))
    one.append(_centered(x, y + 16, wide, cell.label, "nx-value"))
    return one


def _graph(graph: Graph) -> _Drawing:
    words = [_wide(label) for box in graph.boxes for label in box.labels]
    slot = max(words) + 12 if words else 16.0  # of an arrow with its label
    wide = max(_wide(text) for box in graph.boxes for text in (box.name, box.shape)) + 16
    wide = max([wide, *(slot * len(box.labels) for box in graph.boxes)])
    high = 42.0 if any(box.shape for box in graph.boxes) else 26.0
    place = {box.key: box.place for box in graph.boxes}
    skips = any(_skips(place, key, box.key) for box in graph.boxes for key in box.reads)
    left = 20.0 if skips else 0.0
    columns = 1 + max(box.place[1] for box in graph.boxes)
    slant = 20.0 + 8 * max(columns - 2, 0)  # the more arrows cross, the steeper they are drawn
    step_x, step_y = wide + 26, high + slant + (_LINE if words else 4)
    corner = {box.key: (left + box.place[1] * step_x, box.place[0] * step_y) for box in graph.boxes}
    right = max(x for x, _ in corner.values()) + wide
    elements: list[Element] = []
    for box in graph.boxes:
        for i, key in enumerate(box.reads):
            # a value that is read twice is joined by two arrows side by side
            shift = 16 * (box.reads[:i].count(key) - (box.reads.count(key) - 1) / 2)
            until = shift
            if box.labels:
                until = slot * (i - (len(box.reads) - 1) / 2)
                x, y = corner[box.key]
                x += wide / 2 + until + 5
                elements.append(_text(x, y + high + 15, box.labels[i], "nx-faint"))
                right = max(right, x + _wide(box.labels[i]))
            ends, skips = (corner[key], corner[box.key]), _skips(place, key, box.key)
            elements += _arrow(*ends, (wide, high), slant, (shift, until), skips=skips)
    for box in graph.boxes:
        x, y = corner[box.key]
        elements.append(_rect(x, y, wide, high, "nx-cell", rx=4))
        elements.append(_centered(x, y + 17, wide, box.name, "nx-value"))
        if box.shape:
            elements.append(_centered(x, y + 34, wide, box.shape, "nx-faint"))
    for row, lines in _remarks(graph).items():
        x = left + _last_column(graph, row) * step_x + wide + 12
        y = row * step_y + high / 2 + 4 - (len(lines) - 1) * 8
        elements += [_text(x, y + i * 16, line, "nx-faint") for i, line in enumerate(lines)]
        right = max(right, *(x + _wide(line) for line in lines))
    bottom = max(y for _, y in corner.values()) + high
    return _Drawing(elements, right, bottom + 4)


def _last_column(graph: Graph, row: int) -> int:
    """The last column in which a box stands in the row, or an arrow passes it."""
    place = {box.key: box.place for box in graph.boxes}
    boxes = [column for at, column in place.values() if at == row]
    ends = [(place[key], box.place) for box in graph.boxes for key in box.reads]
    passing = [max(a[1], b[1]) for a, b in ends if min(a[0], b[0]) < row < max(a[0], b[0])]
    return max(boxes + passing)


def _remarks(graph: Graph) -> dict[int, list[str]]:
    """The lines beside each row; where boxes share a row, each with the name of its box."""
    places = [box.place[0] for box in graph.boxes]
    lines: dict[int, list[str]] = {}
    for row, box in zip(places, graph.boxes, strict=True):
        if box.remark:
            name = f"{box.name}: " if places.count(row) > 1 else ""
            lines.setdefault(row, []).append(name + box.remark)
    return lines


def _skips(place: dict[str, tuple[int, int]], start: str, end: str) -> bool:
    """Whether a straight arrow would pass through other boxes of its column."""
    (row, column), (last, last_column) = place[start], place[end]
    between = range(min(row, last) + 1, max(row, last))
    return column == last_column and any(r in between and c == column for r, c in place.values())


def _arrow(
    start: Point, end: Point, size: Point, slant: float, shifts: Point, *, skips: bool
) -> list[Element]:
    """From box to box: downwards, sideways, or round the boxes in between.

    Between columns it goes down in the column where it starts, and up in the one where it ends:
    in a tape that is the column of the value, whichever way the arrow points.
    """
    (x0, y0), (x1, y1), (wide, high) = start, end, size
    first, last = (wide / 2 + shift for shift in shifts)
    if y0 == y1:
        sign = 1 if x1 > x0 else -1
        points = [(x0 + (wide if sign > 0 else 0), y0 + high / 2)]
        points.append((x1 + (0 if sign > 0 else wide), y1 + high / 2))
        tip = [(-6 * sign, -4), (-6 * sign, 4)]
    elif skips:
        points = [(x0, y0 + high / 2), (x0 - 14, y0 + high / 2)]
        points += [(x0 - 14, y1 + high / 2), (x1, y1 + high / 2)]
        tip = [(-6, -4), (-6, 4)]
    elif y1 < y0:  # upwards, as gradients flow in a tape that is drawn downwards
        points = [(x0 + first, y0), (x1 + last, y0 - slant), (x1 + last, y1 + high)]
        tip = [(-4, 6), (4, 6)]
    else:
        points = [(x0 + first, y0 + high), (x0 + first, y1 - slant), (x1 + last, y1)]
        tip = [(-4, -6), (4, -6)]
    return [_path(points, "nx-arrow"), _polygon(points[-1], [(0, 0), *tip], "nx-head")]


def _table(table: Table) -> _Drawing:
    lines = [table.header, *table.rows]
    widths = [max(_wide(line[i]) for line in lines) + _BETWEEN for i in range(len(table.header))]
    elements = []
    for i, line in enumerate(lines):
        x, y = 0.0, 14 + i * _LINE + (6 if i else 0)
        for cell, width, side in zip(line, widths, table.align, strict=True):
            kind = "nx-value" if i else "nx-faint"
            at = x + (width - _BETWEEN - _wide(cell) if side == ">" else 0)
            elements.append(_text(at, y, cell, kind))
            x += width
    wide = sum(widths) - _BETWEEN
    elements.append(_path([(0, 21), (wide, 21)], "nx-line"))
    return _Drawing(elements, wide, len(lines) * _LINE + 8)


def _bars(panel: Bars) -> _Drawing:
    names = max(_wide(bar.name) for bar in panel.bars) + 8
    labels = max(_wide(bar.label) for bar in panel.bars) + 6
    most = min(max(_PHONE - names - labels, _SHORTEST_BARS), _LONGEST_BARS)
    longest = max(panel.full, *(bar.value for bar in panel.bars)) or 1.0
    elements = []
    for i, bar in enumerate(panel.bars):
        y, length = i * 22, max(most * bar.value / longest, 1)
        elements.append(_text(0, y + 14, bar.name))
        elements.append(_rect(names, y + 2, length, 16, "nx-bar"))
        elements.append(_text(names + length + 6, y + 14, bar.label, "nx-value"))
    return _Drawing(elements, names + most + labels, len(panel.bars) * 22)


def _chart(chart: Chart) -> _Drawing:
    wide, high, low = 240.0, 190.0, 18.0
    values = [value for series in chart.series for value in series.values]
    ticks = _ticks(min(values), max(values), log=chart.log_y)
    left = max(_wide(number(tick)) for tick in ticks) + 8
    scale_x = _symlog if chart.symlog_x else math.log10 if chart.log_x else float
    scale_y = math.log10 if chart.log_y else float

    def at(x: float, y: float) -> Point:
        across = _share(scale_x(x), scale_x(chart.x[0]), scale_x(chart.x[-1]))
        up = _share(scale_y(y), scale_y(ticks[0]), scale_y(ticks[-1]))
        return left + 8 + (wide - 16) * across, low + (high - low) * (1 - up)

    x_name, y_name = (
        f"{name} (log scale)" if log else name
        for name, log in ((chart.x_name, chart.log_x), (chart.y_name, chart.log_y))
    )
    elements = [_text(0, 8, y_name, "nx-faint")]
    for tick in ticks:
        _, y = at(chart.x[0], tick)
        elements.append(_path([(left, y), (left + wide, y)], "nx-line"))
        label = number(tick)
        elements.append(_text(left - 6 - _wide(label), y + 4, label, "nx-faint"))
    named = [(number(x), at(x, ticks[0])[0]) for x in _named_x(chart, wide)]
    for label, start in _apart(named):
        elements.append(_text(start, high + 16, label, "nx-faint"))
    name_x = left + wide / 2 - _wide(x_name) / 2
    elements.append(_text(name_x, high + 32, x_name, "nx-faint"))
    apart = 1 if len(chart.x) <= _FEW_POINTS else math.ceil(len(chart.x) / _FEW_POINTS * 2)
    for i, series in enumerate(chart.series):
        points = [at(x, y) for x, y in zip(chart.x, series.values, strict=True)]
        elements.append(_curve(i, points))
        # of many points those marked differ from curve to curve, where curves lie on each other
        first = (apart * (2 * i + 1) // (2 * len(_DASHES))) % apart
        elements.extend(_mark(i, x, y) for x, y in points[first::apart])
        y = high + 52 + i * _LINE
        elements.append(_curve(i, [(0, y), (40, y)]))
        elements.append(_mark(i, 20, y))
        elements.append(_text(48, y + 4, series.name))
    names = max(_wide(series.name) for series in chart.series)
    last = _wide(number(chart.x[-1])) / 2  # the last label is centered below the right edge
    width = max(left + wide + last, 48 + names, _wide(y_name))
    return _Drawing(elements, width, high + 46 + len(chart.series) * _LINE)


def _symlog(value: float) -> float:
    """The value itself from -1 to 1; beyond, a step of 1 for each factor of ten."""
    if abs(value) <= 1:
        return value
    return math.copysign(1 + math.log10(abs(value)), value)


def _share(value: float, low: float, high: float) -> float:
    """How far the value is from low to high."""
    return 0.5 if high == low else (value - low) / (high - low)


def _named_x(chart: Chart, wide: float) -> Sequence[float]:
    """The values of x that are written below the axis: of many, round numbers among them."""
    low, high = chart.x[0], chart.x[-1]
    if len(chart.x) > _FEW_POINTS:
        if chart.symlog_x:
            tens = [10.0**n for n in range(math.ceil(_symlog(max(-low, high))))]
            ticks = [*(-ten for ten in reversed(tens)), 0.0, *tens]
        else:
            ticks = _ticks(low, high, log=chart.log_x)
        within = [tick for tick in ticks if low <= tick <= high]
        if len(within) > 1:
            return within
    most = wide / (max(_wide(number(x)) for x in chart.x) + 10)
    return chart.x[:: math.ceil(len(chart.x) / max(int(most), 1))]


def _apart(labels: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Where labels begin that are centered at these places, of which none runs into another."""
    kept: list[tuple[str, float]] = []
    free = -math.inf
    for label, middle in labels:
        start = middle - _wide(label) / 2
        if start >= free:
            kept.append((label, start))
            free = start + _wide(label) + 5
    return kept


def _ticks(low: float, high: float, *, log: bool) -> list[float]:
    """Round numbers that enclose the values: powers of ten, or equal steps from zero."""
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        stride = max(math.ceil((last - first) / 6), 1)  # room for seven lines
        steps = max(math.ceil((last - first) / stride), 1)
        return [10.0 ** (first + stride * n) for n in range(steps + 1)]
    low, high = min(low, 0.0), max(high, 0.0)
    rough = (high - low) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _curve(kind: int, points: Sequence[Point]) -> Element:
    """A line in the dashes and the color of that curve."""
    kind %= len(_DASHES)
    return _path(points, f"nx-curve nx-series-{kind}", **{"stroke-dasharray": _DASHES[kind]})


def _mark(kind: int, x: float, y: float) -> Element:
    """A circle, a square, a triangle or a diamond."""
    kind %= len(_DASHES)
    classes = f"nx-mark nx-series-{kind}"
    if kind == 0:
        return _shape("circle", classes, cx=x, cy=y, r=3.5)
    corners = (
        [(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)],
        [(0, -4.5), (4.5, 3.5), (-4.5, 3.5)],
        [(0, -5), (5, 0), (0, 5), (-5, 0)],
    )[kind - 1]
    return _polygon((x, y), corners, classes)


def _shape(tag: str, kind: str, **place: float | str) -> Element:
    """An element at its place, of a class of the style sheet."""
    how = {name: at if isinstance(at, str) else _round(at) for name, at in place.items()}
    return Element(tag, how | ({"class": kind} if kind else {}))


def _polygon(at: Point, corners: Sequence[Point], kind: str) -> Element:
    points = " ".join(f"{_round(at[0] + dx)},{_round(at[1] + dy)}" for dx, dy in corners)
    return _shape("polygon", kind, points=points)


def _path(points: Sequence[Point], kind: str, **style: str) -> Element:
    path = "M" + " L".join(f"{_round(x)} {_round(y)}" for x, y in points)
    return _shape("path", kind, d=path, **style)


def _rect(x: float, y: float, wide: float, high: float, kind: str, rx: float = 2) -> Element:
    return _shape("rect", kind, x=x, y=y, width=wide, height=high, rx=rx)


def _text(x: float, y: float, words: str, kind: str = "") -> Element:
    element = _shape("text", kind, x=x, y=y)
    element.text = words
    return element


def _centered(x: float, y: float, wide: float, words: str, kind: str) -> Element:
    element = _text(x + wide / 2, y, words, kind)
    element.set("text-anchor", "middle")
    return element


def _wide(words: str) -> float:
    """In pixels; Chinese characters, for example, are as wide as two."""
    characters = sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in words)
    return characters * _CHARACTER


def _wrapped(words: str, wide: float) -> list[str]:
    """Words in lines that are not wider; a shape, (2, 4, 8), or a size, T = 3, is one word."""
    lines = [""]
    for word in re.split(r"(?<!=)\s+(?!=)(?![^()]*\))", words.strip()):
        if lines[-1] and _wide(f"{lines[-1]} {word}") > wide:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _round(value: float) -> str:
    """At most one decimal place, and none where it is zero."""
    return f"{value:.1f}".removesuffix(".0")


_DRAWN: dict[type[Any], Callable[[Any], _Drawing]] = {
    Lines: _lines,
    Grid: _grid,
    Graph: _graph,
    Table: _table,
    Bars: _bars,
    Chart: _chart,
}
