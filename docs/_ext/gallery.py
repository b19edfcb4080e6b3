"""Every figure, small, with a link to the page that explains it.

.. code-block:: rst

    .. gallery::

The figures are those of ``numixology draw --list``, drawn while the site is built. Of each, HTML
gets one panel; other builders get the list alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from numixology.explain import FIGURES, draw

DRAWN = re.compile(r"numixology-draw:: (\S+).*(?:\n +:name: (\S+))?")


class Gallery(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        pages = sorted(Path(self.env.srcdir).rglob("*.rst"))
        found = DRAWN.findall("\n".join(page.read_text("utf-8") for page in pages))
        shown = {figure: name or f"figure-{figure}" for figure, name in reversed(found)}
        return [self.entry(name, shown.get(name)) for name in FIGURES]

    def entry(self, name: str, label: str | None) -> nodes.Node:
        panels = draw(name).panel_svgs(f"gallery-{name}")
        svg = panels[len(panels) == 2]  # of before and after, after
        link = f":ref:`{name} <{label}>`" if label else f"``{name}``"
        box = nodes.container("", nodes.raw("", svg, format="html"), classes=["nx-thumb"])
        box += self.parse_text_to_nodes(f"{link}: {FIGURES[name].about}")
        return box


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("gallery", Gallery)
    app.add_css_file("gallery.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
