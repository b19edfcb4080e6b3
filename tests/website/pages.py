"""What must hold of every page as it lies on disk. Each rule is a function of pages: no browser.

A rule returns what is wrong, a line for each finding, and nothing where all is well.
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

#: Elements whose `href` is for the reader to follow; all others load what theirs names.
FOLLOWED = {"a", "area"}
LOADS = ("src", "srcset", "poster", "data", "href", "xlink:href")
#: Attributes that hold ids of the same page.
NAMES_IDS = ("for", "aria-labelledby", "aria-describedby", "aria-controls", "aria-owns")
IN_CSS = re.compile(r"url\(\s*['\"]?([^'\")]*)|@import\s+['\"]([^'\"]*)")
#: These end where they begin.
VOID = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input"),
    *("link", "meta", "param", "source", "track", "wbr"),
}


class Svg(NamedTuple):
    """An outermost svg: its attributes, and the text of its own title and desc."""

    line: int
    attributes: dict[str, str]
    texts: dict[str, str]


class Page(HTMLParser):
    """What the rules want to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []  # ids of the same page
        self.links: list[str] = []  # addresses that are followed or loaded
        self.loaded: list[str] = []  # addresses that are loaded
        self.svgs: list[Svg] = []
        self.inside: list[str] = []  # the open elements, from an outermost svg or a style on
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        for name in NAMES_IDS:
            self.references += given.get(name, "").split()
        for name in LOADS:
            if name in given and not (name == "data" and tag != "object"):
                self.address(tag, name, given[name])
        self.css(given.get("style", ""))
        if tag == "svg" and not self.inside:
            self.svgs.append(Svg(self.getpos()[0], given, {}))
        if (self.inside and tag not in VOID) or tag in ("svg", "style"):
            self.inside.append(tag)

    def address(self, tag: str, name: str, value: str) -> None:
        several = name == "srcset"
        found = [one.split()[0] for one in value.split(",")] if several else [value]
        self.links += found
        if tag not in FOLLOWED:
            self.loaded += found

    def css(self, text: str) -> None:
        self.loaded += in_css(text)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.inside[-1:] == ["style"]:
            self.css(data)
        elif len(self.inside) == 2 and self.inside[0] == "svg":  # a child of the outermost
            texts = self.svgs[-1].texts
            texts[self.inside[1]] = texts.get(self.inside[1], "") + data.strip()


def in_css(text: str) -> list[str]:
    """The addresses that a style sheet loads."""
    return ["".join(found).strip() for found in IN_CSS.findall(text)]


class Site(NamedTuple):
    """A built site: its folder, and its pages by their path in it."""

    folder: Path
    pages: dict[str, Page]


def read(folder: Path) -> Site:
    """Every page of a folder, however deep it lies."""
    found = sorted(folder.rglob("*.html"))
    pages = {p.relative_to(folder).as_posix(): Page(p.read_text("utf-8")) for p in found}
    return Site(folder, pages)


# Rules


def repeated_ids(site: Site) -> list[str]:
    """Every id of a page is there once."""
    return [
        f"{name}: the id {one!r} is there {page.ids.count(one)} times"
        for name, page in site.pages.items()
        if len(set(page.ids)) < len(page.ids)
        for one in sorted(set(page.ids))
        if page.ids.count(one) > 1
    ]


def broken_links(site: Site) -> list[str]:
    """Every address within the site leads to a file, and its anchor to an id; labels do too."""
    ids = {name: {"", "top", *page.ids} for name, page in site.pages.items()}
    wrong = []
    for name, page in site.pages.items():
        for link in sorted(set(page.links)):
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = Path(site.folder / name)
            if url.path:
                target = target.parent / unquote(url.path)
            target = target.resolve()
            if not (target.is_file() and target.is_relative_to(site.folder.resolve())):
                wrong.append(f"{name}: {link} leads to no file of the site")
            elif target.suffix == ".html":
                path = target.relative_to(site.folder.resolve()).as_posix()
                if unquote(url.fragment) not in ids[path]:
                    wrong.append(f"{name}: {link} leads to no id of {path}")
        missing = set(page.references) - ids[name]
        wrong += [f"{name}: no element has the id {one!r}" for one in sorted(missing)]
    return wrong


def remote(address: str) -> bool:
    """Whether it names another host; a ``data:`` address brings its content along."""
    url = urlsplit(address)
    return bool(url.netloc) or url.scheme not in ("", "data")


def loaded_from_elsewhere(site: Site) -> list[str]:
    """No page and no style sheet loads anything that is not of the site."""
    wrong = [
        f"{name} loads {address}"
        for name, page in site.pages.items()
        for address in sorted(set(page.loaded))
        if remote(address)
    ]
    for sheet in sorted((*site.folder.rglob("*.css"), *site.folder.rglob("*.svg"))):
        text = sheet.read_text("utf-8")
        addresses = in_css(text) if sheet.suffix == ".css" else Page(text).loaded
        name = sheet.relative_to(site.folder).as_posix()
        wrong += [f"{name} loads {one}" for one in addresses if remote(one)]
    return wrong


def unlabeled_pictures(site: Site) -> list[str]:
    """Every svg is either a decoration, hidden from who listens, or an image with a name.

    One of our figures (class ``nx-figure``) has a description too.
    """
    wrong = []
    for name, page in site.pages.items():
        for svg in page.svgs:
            if svg.attributes.get("aria-hidden") == "true":
                continue
            lacks = []
            if svg.attributes.get("role") != "img":
                lacks.append('role="img"')
            if not svg.texts.get("title"):
                lacks.append("a title")
            ours = "nx-figure" in svg.attributes.get("class", "").split()
            if ours and not svg.texts.get("desc"):
                lacks.append("a desc")
            if lacks:
                shown = " ".join(f'{k}="{v}"' for k, v in svg.attributes.items())
                wrong.append(f"{name}:{svg.line}: <svg {shown}> lacks {' and '.join(lacks)}")
    return wrong
