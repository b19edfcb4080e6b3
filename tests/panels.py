"""One panel of every kind, with what is awkward to draw."""

from numixology.explain import (
    Bar,
    Bars,
    Box,
    Cell,
    Chart,
    Graph,
    Grid,
    Lines,
    Row,
    Series,
    Table,
)

SVG = "{http://www.w3.org/2000/svg}"

LINES = Lines("Lines", (("(4, 8)", "tokens & features"), ("x < y", "")), "a note")
GRID = Grid(
    "Grid", (Row("r", ((Cell("a1", 0), Cell("a2", 9)), (Cell("b1"),))),), "matrix", tuple("uvw")
)
GRAPH = Graph(
    "Graph",
    (
        Box("x", "input", "(2,)"),
        Box("w", "gate", "(2,)", "one", ("x",), (1, 0)),
        Box("v", "up", "(2,)", "other", ("x",), (1, 1)),
        Box("m", "times", "", "both", ("w", "v"), (2, 0)),
        Box("s", "sum", "(2,)", "", ("m", "x"), (3, 0)),
        Box("o", "beside", "(2,)", "", ("s",), (3, 1)),
        Box("p", "back", "(2,)", "", ("o",), (2, 1)),
        Box("q", "left", "(2,)", "", ("p",), (2, 2)),
        Box("z", "right to left", "(2,)", "", ("q",), (3, 2)),
    ),
)  # fmt: skip
BACK = Graph("Back", (Box("a", "a", place=(0, 1)), Box("b", "b", reads=("a",))))
TABLE = Table("Table", ("name", "count"), (("w", "12"), ("bias", "3")), "<>")
BARS = Bars("Bars", (Bar("T = 1", 0.0, "0x"), Bar("T = 2", 2.0, "2x")))
CURVES = tuple(Series(f"curve {i}", (1.0 + i, 10.0, 300.0)) for i in range(5))
CHART = Chart("Chart", "T", (128.0, 256.0, 512.0), "ms", CURVES, log_x=True, log_y=True)
FLAT = Chart("Flat", "x", (0.0,), "y", (Series("zero", (0.0,)),))
NEGATIVE = Chart("Negative", "x", (-3.0, 3.0), "y", (Series("line", (-0.2, 3.0)),))
PANELS = (LINES, GRID, GRAPH, BACK, TABLE, BARS, CHART, FLAT, NEGATIVE)
