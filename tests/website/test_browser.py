"""Every page in Chromium, wide and narrow, light and dark; skipped only where there is none."""

import pytest
from website import browser

RULES = {
    rule.__name__: rule
    for rule in (
        browser.asked_elsewhere,
        browser.complaints,
        browser.scrolls_sideways,
        browser.cut_off_texts,
        browser.same_in_the_dark,
        browser.out_of_reach,
        browser.barriers,
    )
}


def report(found):
    """Every finding once, the first of each kind of page being enough to mend it."""
    return f"{len(found)} findings\n" + "\n".join(found[:40])


@pytest.mark.parametrize("rule", RULES)
def test_the_site_keeps_the_rule(visits, rule):
    found = RULES[rule](visits)
    assert not found, report(found)


def test_every_page_was_looked_at(visits, site):
    seen = {(one.page, one.setting) for one in visits}
    worth = browser.worth_a_visit(site.folder, site.pages)
    assert seen == {(page, setting) for page in worth for setting in browser.SETTINGS}
    left_out = set(site.pages) - set(worth)
    assert all(page.startswith(browser.SOURCES) for page in left_out)
    assert len([page for page in worth if page.startswith(browser.SOURCES)]) == 2
    assert all(one.requests for one in visits)


# Each rule finds what it is there for, and lets pass what is right.

PAGE = """<!doctype html><html lang="en"><head><title>A page</title>
<meta name="viewport" content="width=device-width">
<style>@media (prefers-color-scheme: dark) {{ body {{ background: black; color: white }} }}
</style>{head}</head><body><main><h1>A page</h1>{body}</main></body></html>"""
FIGURE = '<svg class="nx-figure" role="img" width="200" height="50"><title>A</title>{}</svg>'
INSIDE = FIGURE.format('<text x="5" y="20">inside</text>')
# what is wrong, and what is found of it: the rule, in which settings, in which words
BREAKS = {
    "remote": (
        {"body": '<img alt="none" src="https://nowhere.invalid/a.png">'},
        {"asked_elsewhere": (4, "nowhere.invalid"), "complaints": (4, "ERR_")},
    ),
    "error": ({"head": "<script>nothing()</script>"}, {"complaints": (4, "nothing")}),
    "wide": (
        {"body": '<p style="width: 700px">wide</p>'},
        {"scrolls_sideways": (2, "(narrow")},
    ),
    "figure": (
        {"body": INSIDE + FIGURE.format('<text x="150" y="20">far too long to fit</text>')},
        {"cut_off_texts": (4, "far too long")},
    ),
    "one theme": (
        {"head": "<style>body { background: white !important; color: black !important }</style>"},
        {"same_in_the_dark": (2, "in both themes")},
    ),
    "contrast": (
        {"body": '<p>well</p><p style="color: #888; background: #777">badly</p>'},
        {"barriers": (2, "color-contrast")},
    ),
    "label": ({"body": '<input type="text">'}, {"barriers": (1, "label")}),
    "scrolls": (
        {"body": f'<pre style="width: 100px; overflow: auto">{"word " * 99}</pre>'},
        {"out_of_reach": (4, "word word"), "barriers": (2, "scrollable-region-focusable")},
    ),
    "late": (
        {
            "body": f'<pre style="width: 100px; overflow: auto">{"word " * 99}</pre>',
            "head": "<script>addEventListener('load', () => setTimeout(() => {"
            " document.querySelector('pre').tabIndex = 0; }))</script>",
        },
        {"out_of_reach": (4, "word word")},
    ),
    "best practice": ({"body": "<h4>too deep</h4>"}, {"barriers": (1, "heading-order")}),
    "nothing": ({"body": INSIDE}, {}),
}


@pytest.fixture(scope="module")
def broken(needs_chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    for name, (parts, _) in BREAKS.items():
        page = PAGE.format(**{"head": "", "body": "", **parts})
        (folder / f"{name}.html").write_text(page, "utf-8")
    return browser.visit_all(folder, [f"{name}.html" for name in BREAKS], browsers=1)


@pytest.mark.parametrize("name", BREAKS)
def test_it_finds_what_is_wrong(broken, name):
    visits = [one for one in broken if one.page == f"{name}.html"]
    findings = {rule: found for rule, check in RULES.items() if (found := check(visits))}
    expected = BREAKS[name][1]
    assert set(findings) == set(expected), findings
    for rule, (count, words) in expected.items():
        assert len(findings[rule]) == count, findings[rule]
        assert all(words in finding for finding in findings[rule])


def test_each_rule_is_tried():
    assert {rule for _, found in BREAKS.values() for rule in found} == set(RULES)


def test_pictures_are_written(needs_chromium, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "page.html").write_text(PAGE.format(head="", body=""), "utf-8")
    browser.visit_all(tmp_path, ["deep/page.html"], tmp_path, browsers=1)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"deep.page-{width}-{theme}.png"
        for width in ("wide", "narrow")
        for theme in ("light", "dark")
    }
