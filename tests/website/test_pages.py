"""Every page as it lies on disk: its links lead somewhere, and its pictures can be listened to."""

import pytest
from website import pages

RULES = {
    rule.__name__: rule
    for rule in (
        pages.repeated_ids,
        pages.broken_links,
        pages.loaded_from_elsewhere,
        pages.unlabeled_pictures,
    )
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["once", "alone"])
def test_the_site_keeps_the_rule(built, rule, name):
    assert RULES[rule](pages.read(built(name))) == []


def test_all_of_the_site_is_read(site):
    """The rules have something to look at."""
    assert {"index.html", "search.html", "genindex.html", "_modules/index.html"} <= set(site.pages)
    assert all(page.ids and page.links and page.loaded for page in site.pages.values())
    assert any(page.svgs for page in site.pages.values())


# Each rule finds what it is there for, and lets pass what is right.

NAMED = '<svg role="img"><title>A shape</title><g><title></title></g></svg>'
FIGURE = '<svg class="nx-figure wide" role="img"><title>A</title>\n<desc>B</desc></svg>'
BREAKS = {
    "repeated_ids": [
        ('<p id="a"></p><p id="b">', ""),
        ('<p id="a"></p><p id="a">', "the id 'a' is there 2 times"),
        ('<p id="a"></p><svg><path id="a"/></svg>', "the id 'a' is there 2 times"),
    ],
    "broken_links": [
        ('<p id="a"></p><a href="#a"></a><a href="page.html#a"></a><a href="#">', ""),
        ('<a href="https://nowhere.example/x#y"></a><a href="mailto:a@b.example">', ""),
        ('<label for="a"></label><input id="a">', ""),
        ('<a href="#a">', "#a leads to no id of page.html"),
        ('<a href="sub/other.html#b"></a><p id="b">', "leads to no id of sub/other.html"),
        ('<a href="missing.html">', "missing.html leads to no file"),
        ('<a href="../outside.html">', "leads to no file of the site"),
        ('<img src="missing.png">', "missing.png leads to no file"),
        ('<svg><use href="#icon"/></svg>', "#icon leads to no id"),
        ('<label for="a">', "no element has the id 'a'"),
        ('<svg aria-labelledby="a b"><title id="a">', "no element has the id 'b'"),
    ],
    "loaded_from_elsewhere": [
        ('<a href="https://nowhere.example">here</a><img src="data:image/png;base64,A">', ""),
        ('<style>p { background: url("local.png") }</style><a href="//x.example">', ""),
        ('<script src="https://cdn.example/a.js">', "loads https://cdn.example/a.js"),
        ('<link rel="stylesheet" href="//cdn.example/a.css">', "loads //cdn.example/a.css"),
        ('<img src="http://x.example/a.png">', "loads http://x.example/a.png"),
        ('<img srcset="a.png 1x, http://x.example/b.png 2x">', "loads http://x.example/b.png"),
        ('<iframe src="https://x.example">', "loads https://x.example"),
        ('<object data="https://x.example/a.svg">', "loads https://x.example/a.svg"),
        ('<svg><image xlink:href="http://x.example/a.png"/></svg>', "http://x.example/a.png"),
        ("<style>@import 'https://x.example/a.css';</style>", "loads https://x.example/a.css"),
        ("<style>@import url(https://x.example/b.css);</style>", "https://x.example/b.css"),
        ('<p style="background: url(//x.example/a.png)">', "loads //x.example/a.png"),
    ],
    "unlabeled_pictures": [
        (NAMED + FIGURE + '<svg aria-hidden="true"><path/></svg>', ""),
        ("<svg><title>A</title></svg>", 'lacks role="img"'),
        ('<svg role="img"><path/></svg>', "lacks a title"),
        ('<svg role="img"><title> </title></svg>', "lacks a title"),
        ('<svg role="img"><g><title>A part</title></g></svg>', "lacks a title"),
        (NAMED.replace('role="img"', 'role="img" class="nx-figure"'), "lacks a desc"),
        (NAMED + "<br><svg></svg>", 'lacks role="img" and a title'),
    ],
}


def test_each_rule_is_tried():
    assert set(BREAKS) == set(RULES)


@pytest.mark.parametrize(
    ("rule", "text", "finding"),
    [(rule, text, finding) for rule, tries in BREAKS.items() for text, finding in tries],
)
def test_it_finds_what_is_wrong(tmp_path, rule, text, finding):
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    (site / "page.html").write_text(text, "utf-8")
    (site / "sub" / "other.html").write_text('<p id="a">', "utf-8")
    (tmp_path / "outside.html").write_text("", "utf-8")
    found = RULES[rule](pages.read(site))
    if finding:
        assert len(found) == 1 and found[0].startswith("page.html") and finding in found[0]
    else:
        assert found == []


ELSEWHERE = "https://x.example/a"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.css", f"@import '{ELSEWHERE}';"),
        ("a.css", f"p {{ background: url( '{ELSEWHERE}') }}"),
        ("a.svg", f'<svg><image href="{ELSEWHERE}"/></svg>'),
        ("a.svg", f"<svg><style>@import url({ELSEWHERE});</style></svg>"),
    ],
)
def test_files_beside_the_pages_load_nothing_either(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    assert pages.loaded_from_elsewhere(pages.read(tmp_path)) == [f"{name} loads {ELSEWHERE}"]
