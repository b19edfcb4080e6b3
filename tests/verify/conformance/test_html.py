"""The page: well formed, complete, the same every time, and safe whatever a backend says."""

import re
from html.parser import HTMLParser

import pytest

import numixology as nx
from numixology.verify.conformance import (
    KINDS,
    Comparison,
    ConformanceReport,
    Diagnosis,
    StageReport,
    Textbook,
    conform,
    html_report,
)

VOID = {"meta"}


class Page(HTMLParser):
    """Checks that elements nest, and keeps the tables, the attributes and the text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.tables, self.text = [], [], {}, {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "div":
            self.rows = self.tables[dict(attributes)["aria-label"]] = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append((dict(attributes), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in self.open:
            self.text[tag] = self.text.get(tag, "") + data
        if {"td", "th"} & set(self.open):
            attributes, before = self.rows[-1].pop()
            self.rows[-1].append((attributes, before + data))

    def words(self, table):
        return [[text for _, text in row] for row in self.tables[table]]

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def comparison(**changes):
    found = Comparison(
        "gelu/plain/0", "plain", "output", 2.0, 8.0, "pass", "", (0, 1), 1.5, 1.25, 1e-7
    )
    return found._replace(**changes)


NASTY = "<b>&\"'</b><script>x()</script>"
REPORT = ConformanceReport(
    f"mine {NASTY}",
    "float32",
    "float32",
    ["tails"],
    [
        StageReport("token_mix", "pass", [comparison(error=0.0, bound=0.0)], detectable=1e-16),
        StageReport(
            "gelu",
            "fail",
            [
                comparison(error=5.0),
                comparison(kind="tiny", error=7.0),
                comparison(kind="huge", outcome="known", profile="tails", error=16.0),
                comparison(kind="huge", error=1.0),
                comparison(kind="offset", outcome="fail", error=float("inf"), got=float("nan")),
                comparison(kind="saturated", outcome="fail", error=24.0, tensor="x"),
            ],
            [f"it says {NASTY}"],
            ["two calls differ"],
            detectable=1e-7,
            diagnosis=Diagnosis("tanh", f"tanh {NASTY}", 2e-7, NASTY, f"print({NASTY!r})"),
        ),
        StageReport(
            "silu", "inconclusive", [comparison()], remarks=["a zero output would have passed too"]
        ),
        StageReport("softmax", "fail", [], ["it raised ValueError: no"]),
        StageReport("model", "not covered"),
    ],
)


@pytest.fixture(scope="module")
def page():
    return Page(html_report(REPORT))


def test_the_page_stands_alone(page) -> None:
    text = html_report(REPORT)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"}
    for _, attributes in page.elements:
        assert not {"src", "href", "srcset", "style", "onclick", "onload"} & set(attributes)
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.of("meta")
    assert "prefers-color-scheme: dark" in page.text["style"]


def test_what_a_backend_says_is_text(page) -> None:
    assert page.text["h1"] == f"Conformance of mine {NASTY}"
    assert page.text["title"] == f"mine {NASTY}: fail"
    assert f"print({NASTY!r})" in page.text["pre"]


def test_the_heat_map_says_every_number(page) -> None:
    head, *rows = page.words("Error by bound")
    assert head == ["stage", "plain", "tiny", "huge", "offset", "saturated"]
    found = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
    assert list(found) == ["token_mix", "gelu ✗ promise", "silu", "softmax ✗ promise", "model"]
    assert found["token_mix"]["plain"] == "0"
    gelu = found["gelu ✗ promise"]
    assert [gelu[kind] for kind in ("plain", "tiny", "huge", "offset", "saturated")] == [
        "0.62",
        "0.88",
        "≈ 2",
        "✗ ∞",
        "✗ 3",
    ]
    assert set(found["model"].values()) == {"–"}


def test_no_cell_is_color_alone(page) -> None:
    shades = {}
    for row in page.tables["Error by bound"][1:]:
        assert row[0][0] == {"scope": "row"}
        for attributes, text in row[1:]:
            assert text.strip()
            assert attributes["title"] == attributes["aria-label"]
            shades[text] = attributes.get("class")
    assert shades == {
        "0": "r0",
        "0.25": "r1",
        "0.62": "r3",
        "0.88": "r3",
        "≈ 2": "known",
        "✗ ∞": "fail",
        "✗ 3": "fail",
        "–": None,
    }
    (said,) = (
        a["title"] for row in page.tables["Error by bound"] for a, text in row if text == "✗ 3"
    )
    assert said == "gelu, saturated: fail; x.grad of gelu/plain/0 is off by 24 of 8 roundings"
    half = html_report(
        REPORT._replace(stages=[StageReport("gelu", "pass", [comparison(error=4.0)])])
    )
    assert 'class="r2"' in half
    keys = {attributes["class"] for attributes in page.of("span")}
    assert keys == {f"key {name}" for name in ("r0", "r1", "r2", "r3", "known", "fail")}


def test_the_text_of_the_report_is_there(page) -> None:
    assert page.text["pre"] == str(REPORT)
    assert f"fail, checked by numixology {nx.__version__}, 20" in page.text["p"]
    titles = {attributes.get("title") for attributes in page.of("th")}
    assert {KINDS["offset"], KINDS["saturated"]} <= titles


def test_a_backend_that_passes() -> None:
    few = ["token_mix", "gelu"]
    report = conform(Textbook("float32"), stages=few, seeds=1, quick=True)
    text = html_report(report)
    page = Page(text)
    assert text == html_report(conform(Textbook("float32"), stages=few, seeds=1, quick=True))
    assert {"class": "verdict pass"} in page.of("p")
    assert [row[0] for row in page.words("Error by bound")] == ["stage", *few]
    assert page.words("Error by bound")[0] == ["stage", *KINDS]
    assert not re.search(r"\bnan\b|\binf\b", "".join(page.text["td"]))


def test_nothing_covered() -> None:
    nothing = Page(html_report(REPORT._replace(stages=[StageReport("gelu", "not covered")])))
    assert {"class": "verdict unsupported"} in nothing.of("p")
