"""A chart as a picture of characters, for terminals: what its table says in numbers."""

from collections.abc import Sequence
from itertools import cycle, pairwise

from .as_text import number
from .panels import Chart, checked, scales, share

__all__ = ["chart_plot"]

_MARKS = "*o+x#@%&$=~"


def chart_plot(chart: Chart, width: int = 60, height: int = 12) -> str:
    """The curves of a chart in characters; where two meet, the first is seen.

    Args:
        chart: a panel of curves.
        width, height: of the area of the curves, in characters, above 1.

    Returns:
        One string of several lines, without a line break at its end.

    Raises:
        ArgumentError: its parts do not fit together.

    Example:
        >>> import numixology as nx
        >>> x = tuple(map(float, range(9)))
        >>> square = nx.explain.Series("x^2", tuple(n * n for n in x))
        >>> line = nx.explain.Series("8x", tuple(8 * n for n in x))
        >>> chart = nx.explain.Chart("Powers", "x", x, "y", (square, line))
        >>> print(nx.explain.chart_plot(chart, width=33, height=5))
        Powers (y)
          64 |                            oo***
             |                     ooooo****
             |            oooooooo******
             |     ooooooo********
           0 |************
              0                               8 x
          * x^2   o 8x
    """
    checked(chart)
    scale_x, scale_y = scales(chart)
    across = [share(scale_x(x), scale_x(chart.x[0]), scale_x(chart.x[-1])) for x in chart.x]
    heights = [scale_y(y) for series in chart.series for y in series.values]
    area = [[" "] * width for _ in range(height)]
    marked = [*zip(cycle(_MARKS), chart.series, strict=False)]
    for mark, series in reversed(marked):
        up = [share(scale_y(y), min(heights), max(heights)) for y in series.values]
        for column, y in _line([a * (width - 1) for a in across], up):
            area[round((height - 1) * (1 - y))][column] = mark
    values = [y for series in chart.series for y in series.values]
    labels = [number(max(values)), *[""] * (height - 2), number(min(values))]
    wide = max(map(len, labels))
    first, last = number(chart.x[0]), number(chart.x[-1])
    rows = [
        f"  {label:>{wide}} |{''.join(row)}".rstrip()
        for label, row in zip(labels, area, strict=True)
    ]
    axis = f"{'':{wide + 4}}{first}{last:>{width - len(first)}} {chart.x_name}"
    names = "  " + "   ".join(f"{mark} {series.name}" for mark, series in marked)
    return "\n".join([f"{chart.title} ({chart.y_name})", *rows, axis, names])


def _line(across: Sequence[float], up: Sequence[float]) -> list[tuple[int, float]]:
    """A column and a height for every column that the line through these points passes."""
    points = [*zip(across, up, strict=True)]
    found = [(round(x), y) for x, y in points]
    for (x0, y0), (x1, y1) in pairwise(points):
        between = range(round(x0) + 1, round(x1))
        found += [(column, y0 + (y1 - y0) * share(column, x0, x1)) for column in between]
    return found
