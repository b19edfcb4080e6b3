"""A page after a reader has done something, and the way through it with the keyboard.

axe looks at the menus of a narrow window, at what is unfolded, at results of a search and at the
play page between its steps. That it does is shown by a fault inside what is opened, which it finds.
"""

import pytest
from website import browser

WIDE, NARROW = browser.SETTINGS[0], browser.SETTINGS[2]
UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"


def opens_menu(page):
    page.click(".nav-overlay-icon")


def opens_contents(page):
    page.click(".toc-header-icon")


def unfolds(page):
    page.evaluate(UNFOLD)


def waits_for_results(page):
    page.wait_for_selector("#search-results .search li", timeout=browser.PATIENCE)


def steps_on(page):
    for _ in range(3):
        page.click(".nx-play-on")


#: The page, how it is looked at, what is done, and where it opens something.
STATES = {
    "menu": ("index.html", NARROW, opens_menu, ".sidebar-drawer"),
    "contents": ("reading/doors.html", NARROW, opens_contents, ".toc-drawer"),
    "solutions": ("reading/doors.html", WIDE, unfolds, "details.solution"),
    "text of a figure": ("index.html", WIDE, unfolds, "details.nx-text"),
    "search": ("search.html?q=mixer", WIDE, waits_for_results, "#search-results"),
    "play": ("play.html", WIDE, steps_on, ".nx-size[open] .nx-panel:nth-child(4)"),
}
FOCUSED = "(one) => one === document.activeElement"
UNNAMED = """(where) => {
  document.querySelector(where).append(document.createElement("input"));
}"""


@pytest.fixture(scope="module")
def windows(needs_chromium):
    with browser.opened() as opened:
        yield opened


def opened(windows, built, state):
    """The window in that state."""
    name, setting, act, _ = STATES[state]
    page = windows[setting]
    page.goto(f"{built('once').as_uri()}/{name}", timeout=browser.PATIENCE)
    act(page)
    return page


def fails_label(page):
    page.evaluate(
        (browser.resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    )
    return bool(page.evaluate(browser.RUN_AXE, [None, {"runOnly": ["label"]}]))


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_in_what_is_opened(windows, built, state):
    found = browser.axe(opened(windows, built, state), "all", set())
    assert not found, found


@pytest.mark.parametrize("state", STATES)
def test_it_looks_at_what_is_opened(windows, built, state):
    page = opened(windows, built, state)
    page.evaluate(UNNAMED, STATES[state][-1])
    assert fails_label(page)


@pytest.mark.parametrize("state", ["menu", "contents"])
def test_a_closed_menu_is_not_there(windows, built, state):
    name, setting, _, where = STATES[state]
    page = windows[setting]
    page.goto((built("once") / name).as_uri(), timeout=browser.PATIENCE)
    page.evaluate(UNNAMED, where)
    assert not fails_label(page)


@pytest.mark.parametrize(
    "name, setting",
    [("index.html", NARROW), ("play.html", WIDE), ("reading/doors.html", WIDE)],
    ids=str,
)
def test_every_stop_of_the_keyboard_is_seen(windows, built, name, setting):
    page = windows[setting]
    page.goto((built("once") / name).as_uri(), timeout=browser.PATIENCE)
    found = browser.stops(page)
    assert len(found) > 15
    assert found[0]["name"] == "Skip to content"
    assert not browser.unseen(found)


def test_stops_that_are_not_seen_are_noticed(windows):
    page = windows[WIDE]
    page.set_content(
        "<a href='#a' style='outline: none'>bare</a>"
        "<a href='#b' style='position: fixed; left: -300px'>away</a><a href='#c'>well</a>"
    )
    assert browser.unseen(browser.stops(page)) == [
        "'bare' wears no ring",
        "'away' is outside the window",
    ]


@pytest.mark.parametrize("setting", [WIDE, NARROW], ids=str)
def test_the_first_link_skips_to_the_content(windows, built, setting):
    page = windows[setting]
    page.goto((built("once") / "index.html").as_uri(), timeout=browser.PATIENCE)
    for key in ("Tab", "Enter", "Tab"):
        page.keyboard.press(key)
    assert page.evaluate(browser.STOP)["main"]


@pytest.mark.parametrize("menu, setting", [("sidebar", NARROW), ("toc", NARROW), ("toc", WIDE)])
def test_a_menu_is_opened_and_closed_with_the_keyboard(windows, built, menu, setting):
    page = windows[setting]
    page.goto((built("once") / "mixer.html").as_uri(), timeout=browser.PATIENCE)
    page.add_style_tag(content=browser.STILL)
    inside = f"Boolean(document.activeElement.closest('.{menu}-drawer'))"
    button = page.locator(f".{'nav' if menu == 'sidebar' else menu}-overlay-icon:visible")
    for _ in range(120):
        page.keyboard.press("Tab")
        if button.evaluate(FOCUSED):
            break
    page.keyboard.press("Enter")
    assert page.evaluate(inside)
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Tab")
    assert page.evaluate(inside)
    page.keyboard.press("Escape")
    assert button.evaluate(FOCUSED)
    assert button.get_attribute("aria-expanded") == "false"
    page.keyboard.press("Tab")
    assert not page.evaluate(inside)
