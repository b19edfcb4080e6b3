"""A table of what a page of the reference describes.

.. code-block:: rst

    .. summary::

For each section below it: the section, and its functions, classes and values with the first
sentence of each. It is made from the page itself, so it lists what the page has.
"""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata


class summary(nodes.General, nodes.Element):
    """Where the table goes."""


class Summary(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [summary()]


def first_sentence(found: addnodes.desc) -> list[nodes.Node]:
    """What stands before the first full stop, with its links and formulas."""
    words: list[nodes.Node] = []
    for paragraph in found[-1].children[:1]:
        for part in paragraph.children if isinstance(paragraph, nodes.paragraph) else []:
            text, stop, _ = part.astext().partition(". ")
            if isinstance(part, nodes.Text) and stop:
                return [*words, nodes.Text(f"{text}.")]
            words.append(part.deepcopy())
    return words


def entry(found: addnodes.desc) -> nodes.row:
    """A row: the name as a link to where it is described, and its first sentence."""
    signature = found[0]
    link = nodes.reference("", "", internal=True, refid=signature["ids"][0])
    link += nodes.literal("", signature["fullname"])
    cells = [nodes.paragraph("", "", link), nodes.paragraph("", "", *first_sentence(found))]
    return nodes.row("", *[nodes.entry("", cell) for cell in cells])


def table(names: list[addnodes.desc]) -> nodes.table:
    widths = [nodes.colspec(colwidth=width) for width in (30, 70)]
    body = nodes.tbody("", *map(entry, names))
    group = nodes.tgroup("", *widths, body, cols=2)
    return nodes.table("", group, classes=["nx-summary"])


def fill(app: Sphinx, doctree: nodes.document) -> None:
    for place in list(doctree.findall(summary)):
        page = place.parent
        parts: list[nodes.Node] = []
        for section in page.findall(nodes.section):
            names = [part for part in section.children if isinstance(part, addnodes.desc)]
            if names:
                link = nodes.reference(
                    "", section[0].astext(), internal=True, refid=section["ids"][0]
                )
                parts += [nodes.paragraph("", "", link, classes=["nx-summary"]), table(names)]
        place.replace_self(parts)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_node(summary)
    app.add_directive("summary", Summary)
    app.add_css_file("summary.css")
    app.connect("doctree-read", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
