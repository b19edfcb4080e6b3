"""Formulas as MathML, converted while the site is built: the pages load nothing remote.

docutils brings a LaTeX to MathML converter; this registers it as Sphinx's HTML math renderer.
"""

from __future__ import annotations

import html
import re

from docutils import nodes
from docutils.utils.math import MathError, unichar2tex
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)


def to_mathml(self: HTML5Translator, node: nodes.Element, latex: str, *, block: bool) -> str:
    """MathML for `latex`; one that cannot be converted is a warning, and is shown as typed."""
    try:
        found = str(tex2mathml(latex.translate(unichar2tex.uni2tex_table), as_block=block))
        # XHTML, of which books are made, knows no entities but those of XML
        return re.sub(r"&(?!amp;|lt;|gt;|quot;)\w+;", lambda one: html.unescape(one[0]), found)
    except MathError as error:
        logger.warning("cannot convert %r to MathML: %s", latex, error, location=node)
        return f"<code>{self.encode(latex)}</code>"


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    self.body.append(to_mathml(self, node, node.astext(), block=False) + "</span>")
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    # furo wraps the block in a container that takes its ids over: an id is written once
    identified = nodes.Element() if node.parent.get("ids") == node["ids"] else node
    self.body.append(self.starttag(identified, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    # As elsewhere in Sphinx, blank lines separate the rows of a group of equations.
    rows = [part.strip() for part in node.astext().split("\n\n") if part.strip()]
    self.body.append(to_mathml(self, node, r" \\ ".join(rows), block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.add_css_file("mathml.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
