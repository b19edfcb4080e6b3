"""Code and formulas take with them what touches them: no line begins with the comma after one.

A browser may break a line beside a formula, and beside code that is kept in one piece, even where
text has no blank.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata


class Together(SphinxPostTransform):
    default_priority = 700  # when references are resolved
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for kind in (nodes.literal, nodes.math):
            for node in list(self.document.findall(kind)):
                keep_together(node)


def keep_together(node: nodes.Element) -> None:
    """Put the node and the letters that touch it into one element, if there are any."""
    parent = node.parent
    place = parent.index(node)
    before = touching(parent[:place][-1:], r"\S+\Z")
    after = touching(parent[place + 1 :][:1], r"\A\S+")
    if not (before or after):
        return
    around = nodes.inline("", "", classes=["nx-together"])
    parent.replace(node, around)
    around += [*before, node, *after]


def touching(beside: list[nodes.Node], pattern: str) -> list[nodes.Text]:
    """Takes what matches from the text beside a node."""
    if not beside or not isinstance(beside[0], nodes.Text):
        return []
    text = beside[0]
    found = re.search(pattern, text)
    if found is None:
        return []
    text.parent.replace(text, nodes.Text(text[: found.start()] + text[found.end() :]))
    return [nodes.Text(found[0])]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_post_transform(Together)
    app.add_css_file("together.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
