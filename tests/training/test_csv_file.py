"""CSV files: which columns are numbers, what is missing, and what is no table."""

import numpy as np
import pytest
from support import refused

from numixology.errors import ArgumentError
from numixology.training import read_csv


@pytest.fixture
def table(tmp_path):
    """Read a text."""

    def read(text, target="y", encoding="utf-8"):
        path = tmp_path / "a.csv"
        path.write_bytes(text.encode(encoding))
        return read_csv(path, target)

    return read


def rows(*columns):
    return "\n".join(map(",".join, zip(*columns, strict=True))) + "\n"


def test_many_numbers_are_a_numeric_column_and_few_are_categories(table) -> None:
    many = [str(1.5 * i) for i in range(11)]
    few = [str(i % 10) for i in range(11)]
    words = [f"word {i}" for i in range(11)]
    found = table(rows(["few", *few], ["many", *many], ["words", *words], ["y", *"01010101011"]))
    assert found.names == ("few", "words", "many")
    assert found.ids[:, 0].tolist() == [int(i) for i in few]
    assert len({*found.ids[:, 1]}) == 11 and found.ids[:, 1].min() == 10
    np.testing.assert_allclose(found.numbers[:, 0], (np.arange(11) - 5) / np.sqrt(10), rtol=1e-14)
    assert found.target.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1]


def test_what_is_missing_is_at_the_mean_or_a_category(table) -> None:
    numbers = [*map(str, range(11)), "", "nan", "inf"]
    words = [*11 * ["a"], "", "b", ""]
    found = table(rows(["n", *numbers], ["w", *words], ["y", *(7 * "01")]))
    assert found.numbers[11:, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.numbers[:11, 0], (np.arange(11) - 5) / np.sqrt(10), rtol=1e-14)
    assert found.ids[:, 0].tolist() == [*11 * [1], 0, 2, 0]


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        ("0 1", "1"),
        ("0.0 1", "1"),
        ("1 nan", "nan"),
        ("no yes", "yes"),
        ("-1 10", "10"),
        ("9 10", "10"),
        ("False True", "True"),
    ],
)
def test_the_last_label_is_the_positive_one(table, labels, positive) -> None:
    one, other = labels.split()
    for first, second in ((one, other), (other, one)):
        found = table(f"x,y\na,{first}\nb,{second}\n")
        assert found.target.tolist() == [first == positive, second == positive]


def test_labels_are_one_where_their_numbers_are(table) -> None:
    assert table("x,y\na,1\nb,0\nc,1.0\n").target.tolist() == [1, 0, 1]


@pytest.mark.parametrize("power", [-320, -200, 0, 306])
def test_numbers_of_any_size_become_columns_of_one_size(table, power) -> None:
    numbers = [f"{i}e{power}" for i in range(-5, 6)]
    found = table(rows(["n", *numbers], ["y", *"01010101011"]))
    expected = np.arange(-5, 6) / np.sqrt(10)
    tolerance = 1e-3 if power == -320 else 1e-15  # where few digits are left
    np.testing.assert_allclose(found.numbers[:, 0], expected, rtol=tolerance, atol=tolerance)


def test_quotes_marks_of_order_and_blank_lines_are_read(table) -> None:
    found = table('x, y\r\n"a, b", 0\r\n\r\n"a, b", 1\r\n', encoding="utf-8-sig")
    assert (found.names, found.ids.tolist()) == (("x",), [[0], [0]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has a line of names: got an empty file"),
        ("\n\n", "has a line of names: got an empty file"),
        ("x,y\n1\n", "has 2 entries: got 1 in line 2; fill it up, or quote commas"),
        ('x,y\n\n"a\nb",1\n2\n', "has 2 entries: got 1 in line 5"),
        ("x,y\n1,1\n2,1.0\n", "y has two labels: got 1 label, 1.0; choose"),
        ("x,z\n1,2\n", "the target is one of several columns: got 'y'; choose one of x, z"),
        ("x;y\n1;0\n", "has several columns: got 'x;y'; separate them by commas"),
        ("x,x,y\n1,2,3\n", "columns have different names: got x, x, y"),
        ("x,y\n", "y has two labels: got 0 labels; choose another column"),
        ("x,y\n1,a\n1,b\n1,c\n", "y has two labels: got 3 labels, a, b, c; choose another column"),
    ],
)
def test_what_is_no_table_is_refused(table, text, says) -> None:
    with refused(ArgumentError, says):
        table(text)


def test_numbers_that_are_ids_are_named(tmp_path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,y\n" + "".join(f"{i},{i % 2}\n" for i in range(12)), "utf-8")
    assert read_csv(path, "y").numbers.shape == (12, 1)
    assert read_csv(path, "y", categorical=["user"]).ids.shape == (12, 1)
    with refused(ArgumentError, "got item, usr; choose from its columns"):
        read_csv(path, "y", categorical=["usr", "item"])


def test_what_is_no_text_and_what_is_not_there_is_refused(table, tmp_path) -> None:
    with refused(ArgumentError, "must be a CSV file in UTF-8"):
        table("x,y\né,1\n", encoding="latin-1")
    with refused(ArgumentError, "got No such file or directory; look at it"):
        read_csv(tmp_path / "nowhere.csv", "y")
