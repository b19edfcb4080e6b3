"""Aligned columns."""

from hypothesis import given
from hypothesis import strategies as st

from numixology.text import columns, counted, ordinal

WORD = st.text("abcdefxyz0123456789.", min_size=1, max_size=12)


def test_a_table_word_by_word() -> None:
    table = columns(
        ["name", "count", "note"], [["weight", "12", "a"], ["bias", "30000000", ""]], "<><"
    )
    assert table == (
        "name       count  note\n------  --------  ----\nweight        12  a\nbias    30000000"
    )


def test_a_header_alone_is_a_header_and_a_rule() -> None:
    assert columns(["a", "bc"], [], "<>") == "a  bc\n-  --"


@st.composite
def tables(draw) -> tuple[list[str], list[list[str]], str]:
    width = draw(st.integers(1, 4))
    row = st.lists(WORD, min_size=width, max_size=width)
    align = "".join(draw(st.lists(st.sampled_from("<>"), min_size=width, max_size=width)))
    return draw(row), draw(st.lists(row, max_size=5)), align


@given(tables())
def test_every_cell_stands_in_its_column(case) -> None:
    header, rows, align = case
    lines = columns(header, rows, align).split("\n")
    assert len(lines) == len(rows) + 2
    assert lines.pop(1).split("  ") == [
        "-" * max(len(row[i]) for row in [header, *rows]) for i in range(len(header))
    ]
    for line, row in zip(lines, [header, *rows], strict=True):
        assert line == line.rstrip()
        start = 0
        for i, cell in enumerate(row):
            width = max(len(one[i]) for one in [header, *rows])
            field = line[start : start + width].ljust(width)
            assert field == (cell.ljust(width) if align[i] == "<" else cell.rjust(width))
            start += width + 2
        assert len(line) <= start - 2


@given(st.integers(0, 10**9))
def test_only_one_of_something_is_singular(number) -> None:
    digits, noun = counted(number, "head").split(" ")
    assert int(digits.replace(",", "")) == number
    assert noun == ("head" if number == 1 else "heads")


@given(st.integers(1, 10**4))
def test_a_place_ends_as_its_last_digits_are_said(number) -> None:
    said = ordinal(number)
    assert said.startswith(str(number))
    teen = number // 10 % 10 == 1
    ends = {1: "st", 2: "nd", 3: "rd"}
    assert said[len(str(number)) :] == ("th" if teen else ends.get(number % 10, "th"))


def test_the_last_column_is_cut_where_lines_would_be_too_long() -> None:
    rows = [["a", "123456"], ["b", "1234567"]]
    assert columns(["", "long"], rows, "<<", 9).splitlines()[2:] == ["a  123456", "b  12345…"]
    assert columns(["", "long"], rows, "<<", 10) == columns(["", "long"], rows, "<<")
