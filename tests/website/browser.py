"""Every page in Chromium, in both themes and two widths: what it loads, says and shows.

axe-core looks for what keeps people out. It takes long on a page of many thousand elements, so

- its rule on colors is asked once for all texts of the site that look the same, that is, have the
  same tags, classes, colors and sizes from the body down; in code and signatures the others lose
  the ``<span>`` around them, which has nothing but a color;
- the dark theme is asked for colors alone, because it changes nothing else;
- a narrow page is asked for colors and for the rules that depend on a width; ``test_opened`` asks
  all of some narrow pages;
- of the sources of modules, which are alike but for their code, the two longest are looked at, and
  asked when wide.
"""

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Playwright's own limit is too short on a busy machine.
PATIENCE = 120_000  # ms
#: The tallest picture that Chromium takes, in pixels.
TALLEST = 16_000
WIDTHS = {"wide": 1280, "narrow": 360}
CONTRAST = "color-contrast"
#: The options of axe by what a setting asks beside colors.
ASKED: dict[str, dict[str, Any]] = {
    "all": {"rules": {CONTRAST: {"enabled": False}}},
    "widths": {"runOnly": ["scrollable-region-focusable", "target-size"]},
}
SOURCES = "_modules/"

#: How the texts of the page look, one of each look: tags, classes and colors from the body down.
LOOKS = """() => {
  const known = new Map(), first = new Map();
  const look = (element) => {
    if (!element) return "";
    if (!known.has(element)) {
      const style = getComputedStyle(element);
      known.set(element, [
        look(element.parentElement), element.tagName, element.className, style.color,
        style.backgroundColor, style.backgroundImage, style.opacity, style.fontSize,
        style.fontWeight, style.display, style.visibility,
      ].join("|"));
    }
    return known.get(element);
  };
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (text && !first.has(look(element))) first.set(look(element), element);
  }
  window.samples = [...first.values()];
  return [...first.keys()];
}"""

#: Marks the texts of these numbers, and takes the other colors out of code. All are looked at
#: before any is changed: a look after a change would lay the page out again.
MARK = """(numbers) => {
  for (const number of numbers) window.samples[number].setAttribute("data-sample", "");
  const plain = (span) => !span.id && !("sample" in span.dataset)
    && getComputedStyle(span).display === "inline";
  [...document.querySelectorAll("pre span, .sig span")].filter(plain)
    .forEach((span) => span.replaceWith(...span.childNodes));
}"""

RUN_AXE = """async ([where, options]) => {
  const found = await axe.run(where || document, {
    preload: false, resultTypes: ["violations"], ...options,
  });
  return found.violations.flatMap((rule) => rule.nodes.map((node) => [
    rule.id, rule.help, node.target.join(" "), node.html.slice(0, 200),
    (node.failureSummary || "").split("\\n").slice(1).join(";").trim(),
  ]));
}"""

#: Texts in our figures that reach beyond the picture's edge by more than half a pixel.
CUT_OFF = """() => {
  const figures = [...document.querySelectorAll("svg.nx-figure, .nx-figure svg")];
  return figures.flatMap((svg) => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter((text) => {
      const part = text.getBoundingClientRect();
      return part.width > 0 && (part.left < box.left - 0.5 || part.right > box.right + 0.5
        || part.top < box.top - 0.5 || part.bottom > box.bottom + 0.5);
    }).map((text) => text.textContent);
  });
}"""


#: What scrolls sideways and no key leads to, nor to anything in it. It is noted the moment the page
#: is loaded: what is mended later, a reader meets broken, and so does axe on a slow machine.
OUT_OF_REACH = """addEventListener("load", () => {
  const scrolls = (box) => box.clientWidth && box.scrollWidth > box.clientWidth
    && ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
  const reached = (box) => box.tabIndex >= 0
    || [...box.querySelectorAll("*")].some((one) => one.tabIndex >= 0);
  window.outOfReach = [...document.body.querySelectorAll("*")]
    .filter((box) => scrolls(box) && !reached(box)).map((box) => box.outerHTML.slice(0, 200));
})"""

STILL = "* { transition: none !important; scroll-behavior: auto !important }"

#: Where the keyboard is: what that is called, whether it stands in the window, and wears a ring. A
#: cell of the play page wears it as a thick border, and a switch of the menu on its icon.
STOP = """() => {
  const stop = document.activeElement, style = getComputedStyle(stop);
  if (stop === document.body) return null;
  const icon = stop.matches(".toctree-checkbox")
    && getComputedStyle(stop.nextElementSibling).outlineStyle !== "none" && stop.nextElementSibling;
  const cell = stop.querySelector(":scope > .nx-cell");
  const box = (icon || stop).getBoundingClientRect();
  return {
    name: stop.getAttribute("aria-label") || stop.textContent.trim() || stop.name || stop.tagName,
    inside: box.width > 0 && box.right > 0 && box.left < innerWidth
      && box.bottom > 0 && box.top < innerHeight,
    ring: Boolean(icon) || style.outlineStyle !== "none"
      || Boolean(cell) && parseFloat(getComputedStyle(cell).strokeWidth) >= 8,
    main: Boolean(stop.closest("[role=main]")),
  };
}"""


class Setting(NamedTuple):
    """How a page is looked at, and what axe is asked: all, widths, colors alone, or nothing."""

    width: str
    theme: str
    rules: str

    def __str__(self) -> str:
        return f"{self.width}, {self.theme}"


SETTINGS = (
    Setting("wide", "light", "all"),
    Setting("wide", "dark", "colors"),
    Setting("narrow", "light", "widths"),
    Setting("narrow", "dark", "none"),
)


class Visit(NamedTuple):
    """What came of looking at a page."""

    page: str
    setting: Setting
    requests: list[str]
    errors: list[str]
    background: str
    width: tuple[int, int]  # of what is there, and of what is seen of it
    cut_off: list[str]
    out_of_reach: list[str]
    violations: list[list[str]]

    def __str__(self) -> str:
        return f"{self.page} ({self.setting})"


def chromium() -> str | None:
    """The path of a browser, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def axe(page: Page, rules: str, known: set[str]) -> list[list[str]]:
    """The violations of axe's rules: rule, its meaning, the element's path, its code, and why.

    Texts with one of the `known` looks are not asked for their colors; the page's are added.
    """
    if rules == "none":
        return []
    looks = page.evaluate(LOOKS)
    new = [number for number, look in enumerate(looks) if look not in known]
    known.update(looks)
    if rules == "colors" and not new:
        return []
    page.evaluate(MARK, new)
    page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    found = []
    if rules in ASKED:
        found += page.evaluate(RUN_AXE, [None, ASKED[rules]])
    if new:
        found += page.evaluate(RUN_AXE, ["[data-sample]", {"runOnly": [CONTRAST]}])
    return found


def stops(page: Page, most: int = 200) -> list[dict[str, Any]]:
    """Where the Tab key leads, from the top of the page, and nothing moves on the way."""
    page.add_style_tag(
        content="* { transition: none !important; scroll-behavior: auto !important }"
    )
    found: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            break
        found.append(stop)
    return found


def unseen(found: Iterable[dict[str, Any]]) -> list[str]:
    """Every stop of the keyboard is seen."""
    lacks = {"inside": "is outside the window", "ring": "wears no ring"}
    return [
        f"{one['name'][:60]!r} {lack}"
        for one in found
        for key, lack in lacks.items()
        if not one[key]
    ]


def worth_a_visit(folder: Path, names: Iterable[str]) -> list[str]:
    """The pages to look at, those first that take longest."""
    ordered = sorted(names, key=lambda name: -(folder / name).stat().st_size)
    sources = [name for name in ordered if name.startswith(SOURCES)]
    return [name for name in ordered if name not in sources[2:]]


def visit(
    page: Page, folder: Path, name: str, setting: Setting, known: set[str], pictures: Path | None
) -> Visit:
    """Open a page and write down what it does; its picture, when asked for."""
    source = name.startswith(SOURCES)
    rules = "none" if source and setting.width == "narrow" else setting.rules
    requests: list[str] = []
    errors: list[str] = []

    def note_request(request: Any) -> None:
        requests.append(request.url)

    def note_message(message: Any) -> None:
        if message.type == "error":
            errors.append(message.text)

    def note_error(error: Any) -> None:
        errors.append(str(error))

    listeners = {"request": note_request, "console": note_message, "pageerror": note_error}
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto((folder / name).as_uri(), wait_until="load", timeout=PATIENCE)
    root = "document.scrollingElement"
    if pictures and not source:
        tall = min(page.evaluate(f"{root}.scrollHeight"), TALLEST)
        picture = name.removesuffix(".html").replace("/", ".")
        page.screenshot(
            path=pictures / f"{picture}-{setting.width}-{setting.theme}.png",
            full_page=True,
            clip={"x": 0, "y": 0, "width": WIDTHS[setting.width], "height": tall},
        )
    seen = Visit(
        name,
        setting,
        requests,
        errors,
        page.evaluate("getComputedStyle(document.body).backgroundColor"),
        tuple(page.evaluate(f"[{root}.scrollWidth, {root}.clientWidth]")),
        page.evaluate(CUT_OFF),
        page.evaluate("window.outOfReach"),
        axe(page, rules, known),  # the last, since it changes the page
    )
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    return seen


@contextmanager
def opened() -> Iterator[dict[Setting, Page]]:
    """A browser with a window for each setting."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"], timeout=PATIENCE
        )
        windows = {}
        for setting in SETTINGS:
            size = {"width": WIDTHS[setting.width], "height": 800}
            context = browser.new_context(color_scheme=setting.theme, viewport=size)
            context.set_default_timeout(PATIENCE)
            context.add_init_script(OUT_OF_REACH)
            windows[setting] = context.new_page()
        yield windows
        browser.close()


def visit_all(
    folder: Path, names: list[str], pictures: Path | None = None, browsers: int = 2
) -> list[Visit]:
    """Look at the pages in every setting, with several browsers side by side."""
    waiting: SimpleQueue[tuple[str, Setting]] = SimpleQueue()
    known: dict[str, set[str]] = {setting.theme: set() for setting in SETTINGS}
    for name in names:
        for setting in SETTINGS:
            waiting.put((name, setting))

    def work(_: int) -> list[Visit]:
        done = []
        with opened() as windows:
            while True:
                try:
                    name, setting = waiting.get_nowait()
                except Empty:
                    return done
                page = windows[setting]
                done.append(visit(page, folder, name, setting, known[setting.theme], pictures))

    with ThreadPoolExecutor(browsers) as pool:
        return [one for part in pool.map(work, range(browsers)) for one in part]


# Rules


def asked_elsewhere(visits: list[Visit]) -> list[str]:
    """No request leaves the folder."""
    return [
        f"{one} asks for {url}"
        for one in visits
        for url in one.requests
        if not url.startswith(("file://", "data:", "blob:"))
    ]


def complaints(visits: list[Visit]) -> list[str]:
    """The console stays empty of errors."""
    return [f"{one}: {error}" for one in visits for error in one.errors]


def scrolls_sideways(visits: list[Visit]) -> list[str]:
    """A page is as wide as the window; what is wider scrolls by itself."""
    return [
        f"{one} is {one.width[0]} px wide and shows {one.width[1]}"
        for one in visits
        if one.width[0] > one.width[1]
    ]


def cut_off_texts(visits: list[Visit]) -> list[str]:
    """No text of a figure reaches beyond its picture."""
    return [f"{one}: {text!r} is cut off" for one in visits for text in one.cut_off]


def same_in_the_dark(visits: list[Visit]) -> list[str]:
    """A page has another background in each theme."""
    seen: dict[tuple[str, str], set[str]] = {}
    for one in visits:
        seen.setdefault((one.page, one.setting.width), set()).add(one.background)
    return [
        f"{page} ({width}) is {shades} in both themes"
        for (page, width), shades in seen.items()
        if len(shades) < 2
    ]


def out_of_reach(visits: list[Visit]) -> list[str]:
    """What scrolls sideways can be reached with the keyboard, from the first moment on."""
    return [f"{one}: no key leads to {box}" for one in visits for box in one.out_of_reach]


def barriers(visits: list[Visit]) -> list[str]:
    """axe finds nothing that keeps people out."""
    return [
        f"{one}: {rule} ({meaning})\n    {where}\n    {code}\n    {why}"
        for one in visits
        for rule, meaning, where, code, why in one.violations
    ]
