"""The play page in Chromium: it examines itself, and notices faults; and it works without a script.

Its selftest holds what is seen to the JSON in the page; ``tests/test_play.py`` holds that to the
package.
"""

import json
import re
import shutil

import pytest
from website import browser, builds

WIDE = browser.SETTINGS[0]
#: The sizes of the page but the first.
LATER = re.compile(r'<details class="nx-size">.*(?=<pre id="selftest")', re.DOTALL)
NOW = ".nx-now .nx-one"
BEFORE = ".nx-size[open] .nx-panel:nth-child(1) .nx-one"
JACOBIAN = ".nx-size[open] .nx-panel:nth-child(7)"


@pytest.fixture(scope="module")
def windows(needs_chromium):
    with browser.opened() as opened:
        yield opened


@pytest.fixture
def page(windows, built):
    """The page as a reader with a wide window finds it."""
    window = windows[WIDE]
    window.mouse.move(0, 0)
    window.goto((built("once") / "play.html").as_uri(), timeout=browser.PATIENCE)
    return window


def examined(window, folder, query="?selftest=1"):
    """What the page says of itself."""
    window.goto((folder / "play.html").as_uri() + query, timeout=browser.PATIENCE)
    window.wait_for_selector("#selftest:not([hidden])", timeout=browser.PATIENCE)
    said = window.inner_text("#selftest")
    assert window.title() == said.splitlines()[0]
    return said


@pytest.mark.parametrize(
    ("name", "setting"),
    [("once", WIDE), ("once", browser.SETTINGS[3]), ("alone", WIDE)],  # SETTINGS[3]: narrow, dark
    ids=str,
)
def test_it_passes_its_selftest(windows, built, setting, name):
    said = examined(windows[setting], built(name))
    verdict = re.fullmatch(r"PASS (\d+) checks", said)
    assert verdict, said
    assert int(verdict[1]) > 30_000, "every size, step and cell was looked at"


def test_it_is_not_examined_unless_asked(page):
    assert page.is_hidden("#selftest")
    assert page.title().startswith("Play with the mixer")


def test_exchanged_labels_are_noticed(windows, built):
    said = examined(windows[WIDE], built("once"), "?selftest=1&fault=1")
    assert said.startswith("FAIL 2 of ") and "shows a2 instead of a1" in said


#: Faults: the file, what is exchanged for what in its first place, and what is then found in the
#: first size.
FAULTS = {
    "label": ("play.html", ">a1</text>", ">a9</text>", "shows a9 instead of a1"),
    "data": ("play.html", '{"label":"a1",', '{"label":"a9",', "shows a1 instead of a9"),
    "lights": ("play.html", "[6,1,4]]", "[6,1,5]]", "lights"),
    "light left out": ("play.html", "[5,0,2],[5,1,0],[6,1,4]]", "[5,0,2],[6,1,4]]", "lights"),
    "words": ("play.html", "row 1, column 4.", "row 1, column 5.", "does not speak of row 1, col"),
    "silence": ("_static/play.js", "= story.says;", '= "";', "says"),
    "no code": ("_static/play.js", "= story.code;", '= "";', "gives other code"),
    "keys": ("_static/play.js", "[r, c + 1]", "[r, c + 2]", "the keyboard in panel 0"),
    "tab stops": ("_static/play.js", 'stop ? "0" : "-1"', 'stop ? "0" : "0"', "has other stops"),
    "steps": ("_static/play.js", "panels.length - 2;", "panels.length - 3;", "the slider has"),
    "panel": ("_static/play.js", "|| p === now ||", "|| p !== now ||", "seen: true"),
    "wide": (
        "_static/play.css",
        ".nx-play {",
        ".nx-value { font-size: 30px } .nx-play {",
        "narrow",
    ),
    "clip": ("_static/play.css", ".nx-play {", ".nx-title { font-size: 40px } .nx-play {", "cuts"),
    "shift": ("_static/play.css", "min-height: 12rem", "min-height: 2rem", "moves the panels"),
    "color": ("_static/play.css", "text-decoration: underline", "color: red", "by color alone"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(windows, built, tmp_path, fault):
    name, old, new, found = FAULTS[fault]
    shutil.copy(built("once") / "play.html", tmp_path)
    shutil.copytree(built("once") / "_static", tmp_path / "_static")
    text = (tmp_path / name).read_text("utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1), "utf-8")
    page = (tmp_path / "play.html").read_text("utf-8")
    (tmp_path / "play.html").write_text(LATER.sub("", page), "utf-8")
    said = examined(windows[WIDE], tmp_path)
    assert said.startswith("FAIL ") and found in said


def test_the_page_holds_what_the_package_computes(page, monkeypatch):
    monkeypatch.syspath_prepend(builds.ROOT / "docs" / "_ext")
    import mixer_stories
    import numixology_play

    lines = re.findall(r"^   (T=.*)$", (builds.ROOT / "docs/play.rst").read_text("utf-8"), re.M)
    expected = [mixer_stories.play(**numixology_play.size(line)) for line in lines]
    held = page.locator(".nx-size > script").all_text_contents()
    assert [json.loads(one) for one in held] == [json.loads(one.json()) for one in expected]
    offered = page.locator(".nx-play-choice option").all_text_contents()
    assert offered == [one.name for one in expected]


def test_a_mouse_shows_and_a_click_keeps(page):
    def told():
        return page.inner_text(".nx-play-says").partition(" ")[0]

    start = told()
    assert start == "b1"
    cell = page.locator(NOW).filter(has_text="c3")
    cell.hover()
    assert told() == "c3"
    page.hover(".nx-play-choice")
    assert told() == start
    cell.click()
    page.hover(".nx-play-choice")
    assert told() == "c3"
    page.click(".nx-play-on")
    assert page.inner_text(".nx-play-where") == "Step 2: Permutation"
    assert page.inner_text(".nx-play-moves") == "c3 goes from Token 2 to Head 1."
    assert told() == "c3"
    assert page.locator(f"{NOW}.nx-lit").text_content().strip() == "c3"


def test_the_keyboard_has_one_stop_in_each_grid(page):
    page.focus(".nx-play-all")
    inside = "(selector) => document.activeElement.matches(selector)"
    page.keyboard.press("Tab")
    assert page.evaluate(inside, BEFORE)
    page.keyboard.press("Tab")
    assert page.evaluate(inside, NOW)
    page.keyboard.press("Tab")
    assert page.evaluate(inside, f"{JACOBIAN} .nx-one")
    page.keyboard.press("Tab")
    assert not page.evaluate(inside, ".nx-one")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".nx-play-says").startswith("b2 ")
    border = "(selector) => getComputedStyle(document.querySelector(selector)).strokeWidth"
    assert page.evaluate(border, f"{NOW}:focus rect") == "8px", "the ring of what has the focus"
    assert page.evaluate(border, f"{JACOBIAN} .nx-lit rect") == "4px", "thicker than all others"
    assert page.evaluate(border, f"{JACOBIAN} .nx-one:not(.nx-lit) rect") == "1px"


def test_a_pointer_that_rests_does_not_point(page):
    """Cells that scroll below it are not meant."""
    page.hover(".nx-play-on")
    page.focus(f"{NOW}[tabindex='0']")
    told = page.inner_text(".nx-play-says")
    for _ in range(12):
        page.evaluate("scrollBy(0, 40)")
        page.wait_for_timeout(50)
        assert page.inner_text(".nx-play-says") == told


@pytest.mark.parametrize(("wish", "name"), [("reduce", "none"), ("no-preference", "nx-appear")])
def test_nothing_moves_for_those_who_do_not_want_it(page, wish, name):
    page.emulate_media(reduced_motion=wish)
    style = "getComputedStyle(document.querySelector('.nx-now svg')).animationName"
    assert page.evaluate(style) == "none", "nothing moves by itself"
    page.click(".nx-play-on")
    assert page.evaluate(style) == name
    page.emulate_media(reduced_motion="null")


def test_it_plays_by_itself_to_the_last_step(page):
    page.clock.install()
    page.click(".nx-play-run")
    assert page.get_attribute(".nx-play-run", "aria-pressed") == "true"
    page.clock.run_for(60_000)
    assert page.inner_text(".nx-play-where") == "Step 5: Residual"
    assert page.get_attribute(".nx-play-run", "aria-pressed") == "false"


def test_what_is_told_is_announced(page):
    assert page.get_attribute(".nx-play-story", "aria-live") == "polite"
    assert page.get_by_label("Step", exact=True).get_attribute("type") == "range"
    page.get_by_label("Step", exact=True).press("ArrowRight")
    assert page.get_attribute(".nx-play-slider", "aria-valuetext") == "Step 2: Permutation"
    cell = page.get_by_role("grid", name="Step 2").get_by_role("gridcell", name="b1, Head 0")
    assert cell.count() == 1


def test_nothing_that_keeps_people_out_while_playing(page):
    page.get_by_label("all steps at once").check()
    page.locator(f"{JACOBIAN} .nx-one").nth(20).focus()
    assert browser.axe(page, "all", set()) == []


@pytest.mark.parametrize("width", browser.WIDTHS.values())
def test_it_works_without_a_script(windows, built, width):
    alive = windows[WIDE].context.browser
    context = alive.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto((built("once") / "play.html").as_uri(), timeout=browser.PATIENCE)
    assert page.is_hidden(".nx-play-controls") and page.is_hidden("#selftest")
    sizes = page.locator(".nx-size")
    for i in range(sizes.count()):
        size = sizes.nth(i)
        if i:
            assert size.locator("svg").first.is_hidden()
            size.locator("> summary").click()
        pictures = size.locator("svg")
        assert pictures.count() >= 7
        for picture in pictures.all():
            assert picture.is_visible() and picture.get_attribute("role") == "img"
            natural = float(picture.get_attribute("width"))
            assert picture.bounding_box()["width"] >= natural - 1, "not made too small to read"
        data = json.loads(size.locator("> script").text_content())
        shown = size.locator("svg .nx-value").all_text_contents()
        assert shown == [
            cell["label"]
            for panel in data["scene"]["panels"]
            for row in panel["rows"]
            for chunk in row["chunks"]
            for cell in chunk
        ]
    context.close()
