"""Pages that can be read, heard and walked through with the keyboard.

- colors of code that stand out from their background by more than 4.5 to 1 (WCAG 2.2, AA);
- parameters of a long signature on lines of their own without a ``<dl>``, which must have terms;
- captions in the navigation that are not said to be headings of no level;
- what scrolls sideways takes part in the order of the keyboard (``_static/scrolling.js``);
- the menus of furo take part in it too, while they are open (``_static/menus.js``).

The names that a theme leaves out are in ``_templates``.
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from pygments.style import Style
from pygments.token import Comment, Error, Generic, Keyword, Name, Number, Operator, String, Token
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator


class Light(Style):
    background_color = "#f8f8f8"
    styles: ClassVar = {
        Token: "#1f2328",
        Comment: "italic #5a6169",
        Keyword: "#0a4da2",
        Operator.Word: "#0a4da2",
        Number: "#8a3a00",
        String: "#1a6328",
        Name.Builtin: "#6b3a9e",
        Name.Class: "bold",
        Name.Decorator: "#6b3a9e",
        Name.Exception: "#9c1c1c",
        Name.Function: "#6b3a9e",
        Generic.Error: "#9c1c1c",
        Generic.Output: "#43494f",
        Generic.Prompt: "#5a6169",
        Generic.Traceback: "#9c1c1c",
        Error: "#9c1c1c",
    }


class Dark(Style):
    background_color = "#202020"
    styles: ClassVar = {
        Token: "#e6e6e6",
        Comment: "italic #a3abb5",
        Keyword: "#8ab8f0",
        Operator.Word: "#8ab8f0",
        Number: "#f0b080",
        String: "#9bd5a5",
        Name.Builtin: "#cfb3f5",
        Name.Class: "bold",
        Name.Decorator: "#cfb3f5",
        Name.Exception: "#f5a3a3",
        Name.Function: "#cfb3f5",
        Generic.Error: "#f5a3a3",
        Generic.Output: "#c4c9cf",
        Generic.Prompt: "#a3abb5",
        Generic.Traceback: "#f5a3a3",
        Error: "#f5a3a3",
    }


def mark_parameters(self: HTML5Translator, node: nodes.Element) -> None:
    node["from"] = len(self.body)
    HTML5Translator.visit_desc_parameterlist(self, node)


def set_parameters(self: HTML5Translator, node: nodes.Element) -> None:
    HTML5Translator.depart_desc_parameterlist(self, node)
    start = node["from"]
    self.body[start:] = [in_lines(part) for part in self.body[start:]]


def in_lines(part: str) -> str:
    """A part of the HTML of a signature; Sphinx's list of definitions becomes lines of text."""
    for old, new in (
        ("<dl>", '<span class="sig-lines">'),
        ("<dd>", '<span class="sig-line">'),
        ("</dl>", "</span>"),
        ("</dd>", "</span>"),
    ):
        part = part.replace(old, new)
    return part


def begin_title(self: HTML5Translator, node: nodes.Element) -> None:
    """The caption of a toctree names a list of links; the headings are those of the page."""
    start = len(self.body)
    HTML5Translator.visit_title(self, node)
    self.body[start:] = [part.replace(' role="heading"', "") for part in self.body[start:]]


def end_title(self: HTML5Translator, node: nodes.Element) -> None:
    HTML5Translator.depart_title(self, node)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_node(addnodes.desc_parameterlist, override=True, html=(mark_parameters, set_parameters))
    app.add_node(nodes.title, override=True, html=(begin_title, end_title))
    app.add_css_file("accessible.css")
    app.add_js_file("scrolling.js", loading_method="defer")
    app.add_js_file("menus.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
