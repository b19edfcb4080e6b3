"""What cannot be drawn is refused before anything is drawn."""

import math

import pytest
from support import refused

from numixology.errors import ArgumentError
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
    Scene,
    Series,
    Table,
    panel_text,
)

CELL, PAIR = ((Cell("1"),),), ((Cell("1"), Cell("2")),)

MISFITS = {
    "no lines": (Lines("P", ()), "shows at least one thing"),
    "no rows": (Grid("P", ()), "shows at least one thing"),
    "no boxes": (Graph("P", ()), "shows at least one thing"),
    "no bars": (Bars("P", ()), "shows at least one thing"),
    "no table": (Table("P", ("a",), (), "<"), "shows at least one thing"),
    "no series": (Chart("P", "x", (1.0,), "y", ()), "shows at least one thing"),
    "an empty row": (Grid("P", (Row("r", ()),)), "has a cell in every row"),
    "ragged matrix": (Grid("P", (Row("r", CELL), Row("s", PAIR)), "matrix"), "equally long rows"),
    "columns": (Grid("P", (Row("r", CELL),), "nested", ("a", "b")), "equally long rows"),
    "unknown box": (Graph("P", (Box("a", "a", reads=("b",)),)), "one box for each key"),
    "two of a key": (Graph("P", (Box("a", "a"), Box("a", "b"))), "one box for each key"),
    "few labels": (
        Graph("P", (Box("a", "a"), Box("b", "b", reads=("a", "a"), labels=("1",)))),
        "a label for each arrow or for none",
    ),
    "ragged table": (Table("P", ("a", "b"), (("1",),), "<<"), "equally long rows"),
    "alignment": (Table("P", ("a",), (("1",),), "<<"), "equally long rows"),
    "negative bar": (Bars("P", (Bar("a", -1.0, "-1"),)), "lengths that are at least 0"),
    "bar of nan": (Bars("P", (Bar("a", math.nan, "nan"),)), "lengths that are at least 0"),
    "short series": (Chart("P", "x", (1.0, 2.0), "y", (Series("s", (1.0,)),)), "for each x"),
    "no x": (Chart("P", "x", (), "y", (Series("s", ()),)), "one value for each x"),
    "nan": (Chart("P", "x", (1.0,), "y", (Series("s", (math.nan,)),)), "finite numbers as y"),
    "log of 0": (
        Chart("P", "x", (1.0,), "y", (Series("s", (0.0,)),), log_y=True),
        "finite and positive numbers as y",
    ),
    "log of x": (
        Chart("P", "x", (-1.0,), "y", (Series("s", (1.0,)),), log_x=True),
        "finite and positive numbers as x",
    ),
    "two scales": (
        Chart("P", "x", (1.0,), "y", (Series("s", (1.0,)),), log_x=True, symlog_x=True),
        "one scale for x",
    ),
    "falling x": (Chart("P", "x", (2.0, 1.0), "y", (Series("s", (1.0, 1.0)),)), "x that rise"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_cannot_be_drawn_is_refused(name) -> None:
    panel, says = MISFITS[name]
    kind = type(panel).__name__
    with refused(ArgumentError, f"{kind} 'P' ", says):
        panel_text(panel)
    with refused(ArgumentError, f"{kind} 'P' ", says):
        Scene("T", "", (panel,)).svg()
