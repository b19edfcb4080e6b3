"""A figure as text."""

from numixology.explain import Panel, Scene


def test_title_panels_and_lines() -> None:
    scene = Scene("A figure", (Panel("First", (("one", ""), ("two", ""))), Panel("Second", ())))
    assert scene.text() == "A figure\n\nFirst\n  one\n  two\n\nSecond"


def test_a_title_alone() -> None:
    assert Scene("Nothing", ()).text() == "Nothing"


def test_remarks_are_aligned_within_their_panel() -> None:
    panel = Panel("P", (("a", "first"), ("bcd", "second"), ("a long line without a remark", "")))
    other = Panel("Q", (("abcdef", "third"),))
    assert Scene("T", (panel, other)).text().splitlines() == [
        "T",
        "",
        "P",
        "  a    first",
        "  bcd  second",
        "  a long line without a remark",
        "",
        "Q",
        "  abcdef  third",
    ]


def test_no_line_ends_in_blanks() -> None:
    scene = Scene("T", (Panel("P", (("a", ""), ("", ""), ("", "remark"), ("b ", ""))),))
    lines = scene.text().splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert lines[4] == ""


def test_scenes_are_values() -> None:
    assert Scene("T", (Panel("P", (("a", "b"),)),)) == Scene("T", (Panel("P", (("a", "b"),)),))
    assert hash(Scene("T", ())) == hash(Scene("T", ()))
