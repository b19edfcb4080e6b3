"""Panels as text."""

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
    panel_text,
)


def cells(*chunks):
    return tuple(tuple(Cell(label) for label in chunk) for chunk in chunks)


def test_remarks_are_aligned_and_no_line_ends_in_blanks() -> None:
    lines = (("a", "first"), ("bcd", "second"), ("a long line without a remark", ""), ("", ""))
    assert panel_text(Lines("P", lines)).split("\n") == [
        "P",
        "  a    first",
        "  bcd  second",
        "  a long line without a remark",
        "",
    ]


def test_a_note_stands_below() -> None:
    assert panel_text(Lines("P", (("a", ""),), "mind this")) == "P\n  a\n\n  mind this"


def test_a_row_in_chunks_is_nested_and_one_chunk_is_not() -> None:
    rows = (
        Row("Token 9", cells(["a1", "a2"])),
        Row("Token 10", cells(["b1"], ["b2"])),
        Row("", cells(["..."])),
    )
    assert panel_text(Grid("x", rows)).split("\n")[1:] == [
        "  Token 9:  [a1,a2]",
        "  Token 10: [[b1], [b2]]",
        "            ...",
    ]
    assert panel_text(Grid("x", rows[:2], "flat")).split("\n")[1:] == [
        "  Token 9:  [a1,a2]",
        "  Token 10: [b1] [b2]",
    ]


def test_a_matrix_has_columns_and_a_gap_between_chunks() -> None:
    rows = (Row("y0", cells(["1", "-10"], ["0"])), Row("y10", cells(["100", "2"], ["3"])))
    assert panel_text(Grid("J", rows, "matrix", ("x0", "x1", "x2"))).split("\n")[1:] == [
        "        x0  x1   x2",
        "  y0     1 -10    0",
        "  y10  100   2    3",
    ]
    assert panel_text(Grid("J", rows, "matrix")).split("\n")[1:] == [
        "  y0     1 -10   0",
        "  y10  100   2   3",
    ]


def test_a_box_says_what_it_reads_unless_that_is_the_one_before() -> None:
    boxes = (
        Box("x", "input", "(3,)"),
        Box("f", "double", "(3,)", "twice", ("x",)),
        Box("g", "negate", "(3,)", "", ("x",)),
        Box("h", "add", "(3,)", "both", ("f", "g")),
        Box("back", "sum", "", "", ("h",), labels=("2 * 3",)),
        Box("end", "output"),
    )
    assert panel_text(Graph("G", boxes)).split("\n")[1:] == [
        "  input   (3,)",
        "  double  (3,)  twice",
        "  negate  (3,)  reads input",
        "  add     (3,)  both; reads double and negate",
        "  sum           2 * 3 from add",
        "  output",
    ]


def test_what_is_read_is_told_apart_from_others_of_its_name() -> None:
    boxes = (
        Box("x", "input"),
        Box("n1", "norm", reads=("x",)),
        Box("n2", "norm", reads=("n1",)),
        Box("one", "1"),
        Box("sum", "add", reads=("n2", "n1", "one", "x")),
    )
    last = panel_text(Graph("G", boxes)).split("\n")[-1]
    assert last.split("reads ")[1] == "norm (2nd), norm (1st), 1 and input"


def test_a_table() -> None:
    table = Table("T", ("name", "n"), (("a", "1"), ("bc", "20")), "<>")
    assert panel_text(table).split("\n")[1:] == [
        "  name   n",
        "  ----  --",
        "  a      1",
        "  bc    20",
    ]


def test_bars_are_in_proportion_and_what_is_not_zero_is_seen() -> None:
    bars = Bars(
        "B", (Bar("a", 0.0, "0"), Bar("b", 1e-9, "~0"), Bar("cd", 1.0, "1"), Bar("e", 2.0, "2"))
    )
    drawn = [line.split() for line in panel_text(bars).split("\n")[1:]]
    assert drawn == [["a", "0"], ["b", "~0", "#"], ["cd", "1", "#" * 20], ["e", "2", "#" * 40]]
    assert panel_text(Bars("B", (Bar("a", 0.0, "0"),))) == "B\n  a  0"


def test_a_chart_is_a_table_of_its_points() -> None:
    curves = (Series("f", (0.123456, 2.0)), Series("g", (1e12, -1234.0)))
    assert panel_text(Chart("C", "T", (128.0, 256.5), "ms", curves)).split("\n") == [
        "C (ms)",
        "      T       f       g",
        "  -----  ------  ------",
        "    128  0.1235   1e+12",
        "  256.5       2  -1,234",
    ]
