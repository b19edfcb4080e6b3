"""What a notebook shows: HTML that can be parsed, says all that the text says, and is escaped."""

import ast
import json
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest

import numixology as nx
from numixology.notebook import captioned, report_html, table_html
from numixology.verify.conformance import Textbook, conform
from numixology.verify.suite import CheckReport, Result


def said(html: str) -> str:
    """The text of an element."""
    return "".join(ElementTree.fromstring(html).itertext())


class Report(NamedTuple):
    verdict: str

    def __str__(self) -> str:
        return f"{self.verdict.upper()}: 1 < 2\n  why"


def test_a_report_reads_as_it_prints_and_its_stripe_tells_the_verdicts_apart() -> None:
    reports = [Report("pass"), Report("fail"), Report("inconclusive")]
    shown = [ElementTree.fromstring(report_html(one)) for one in reports]
    assert ["".join(one.itertext()) for one in shown] == [str(one) for one in reports]
    assert [one.find("b").text for one in shown] == [
        f"{word}: 1 < 2" for word in ("PASS", "FAIL", "INCONCLUSIVE")
    ]
    assert len({one.get("style") for one in shown}) == 3


def test_a_table() -> None:
    table = ElementTree.fromstring(table_html(["name", "n"], [["a<b", "12"], ["c", "3"]], "<>"))
    rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert rows == [["name", "n"], ["a<b", "12"], ["c", "3"]]
    sides = [[cell.get("style") for cell in row] for row in table.iter("tr")]
    assert sides == [["text-align: left", "text-align: right"]] * 3
    with pytest.raises(ValueError, match="is longer"):
        table_html(["name", "n"], [["a"]], "<>")


def test_a_caption() -> None:
    assert said(captioned("a\n  <b>", "c & d")) == "a\n  <b>c & d"


# What shows itself


def test_a_tensor_says_what_it_was_made_from() -> None:
    x = nx.tensor(np.ones((2, 3)), requires_grad=True)
    w = nx.tensor(np.ones((3, 1), np.float32))
    y = x @ w
    assert said(x._repr_html_()) == f"{x!r}shape (2, 3), float64, requires a gradient"
    assert said(w._repr_html_()) == f"{w!r}shape (3, 1), float32"
    assert said(y._repr_html_()) == (
        f"{y!r}shape (2, 1), float64, from matmul of shapes (2, 3) and (3, 1), requires a gradient"
    )
    doubled = (2 * y)._repr_html_()
    assert "from multiply of shapes (2, 1)" in said(doubled)
    assert "from relu" in said(nx.functional.relu(w)._repr_html_())  # nothing was recorded
    y.backward(np.ones((2, 1)))
    assert said(y._repr_html_()).endswith("from matmul, requires a gradient")  # the tape is freed


def test_a_parameter_table_is_a_table() -> None:
    table = nx.nn.Linear(3, 1, rng=0).parameter_table()
    rows = ElementTree.fromstring(table._repr_html_()).iter("tr")
    cells = [[cell.text or "" for cell in row] for row in rows]
    assert [*cells[0], cells[-1][2]] == ["parameter", "shape", "count", "share", "4"]
    lines = [line.split() for line in str(table).splitlines() if "---" not in line]
    assert [" ".join(row).split() for row in cells] == lines


def test_the_reports_of_the_checks_show_themselves() -> None:
    of_a_kit = conform(Textbook("float32"), stages=["gelu"], seeds=1, quick=True)
    result = Result("functions", "add", "float64", 1.0, 0.5, "fail")
    of_a_suite = CheckReport([result], 1, 0.5)
    of_a_gradient = nx.gradcheck(nx.functional.exp, np.ones(2))
    for report in (of_a_kit, of_a_suite, of_a_gradient):
        assert said(report._repr_html_()) == repr(report) == str(report)


# The notebooks of the documentation

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "examples").glob("*.ipynb"))
#: What a notebook asks an object for, the best first.
SHOWN_BY = ("_repr_svg_", "_repr_html_", "__repr__")


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def run(cells: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What each cell of code shows: how, and the text of it; nothing where it does not end so."""
    names: dict[str, Any] = {}
    shown = []
    for cell in cells:
        body = ast.parse(source(cell)).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), cell["id"], "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)
            how = next(name for name in SHOWN_BY if hasattr(value, name))
            shown.append((how, getattr(value, how)()))
    return shown


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text("utf-8"))


def test_a_notebook_is_kept_without_what_it_shows(notebook) -> None:
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_a_notebook_runs_and_every_figure_and_report_shows_itself(notebook) -> None:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = run(code)
    figures = sum(source(cell).startswith("nx.explain.") for cell in code)
    assert [how for how, _ in shown].count("_repr_svg_") == figures > 9
    texts = [text for how, text in shown if how != "_repr_svg_"]
    for there in (
        "array([ True,  True,  True,  True])",
        "array([False,  True, False, False])",
        "from multiply of shapes () and ()",
        "Tensor(7.)",
        "pass",
        "fail",
    ):
        assert any(there in text.replace("PASS", "pass").replace("FAIL", "fail") for text in texts)
