"""Solutions that stay folded until they are asked for.

.. code-block:: rst

    .. solution::

       The rule is its own transpose.

       >>> 1 + 1
       2

In HTML it is a ``<details>`` element, which needs no script; every other builder writes the word
*Solution* and the text below it. An argument takes the place of that word.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator


class solution(nodes.General, nodes.Element):  # docutils names nodes so
    """What is folded away; ``title`` is what stays in sight."""


class Solution(SphinxDirective):
    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        title = self.arguments[0] if self.arguments else "Solution"
        folded = solution("", *self.parse_content_to_nodes(), title=title)
        self.set_source_info(folded)
        return [folded]


class Unfold(SphinxPostTransform):
    """Where nothing can be folded, the title is a line of its own and the rest follows it."""

    default_priority = 200

    def run(self, **kwargs: object) -> None:
        if self.app.builder.format == "html":
            return
        for folded in list(self.document.findall(solution)):
            title = nodes.paragraph("", "", nodes.strong(text=folded["title"]))
            folded.replace_self([title, *folded.children])


def visit_solution(self: HTML5Translator, node: solution) -> None:
    self.body.append(self.starttag(node, "details", CLASS="solution"))
    self.body.append(f"<summary>{self.encode(node['title'])}</summary>\n")


def depart_solution(self: HTML5Translator, node: solution) -> None:
    self.body.append("</details>\n")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_node(solution, html=(visit_solution, depart_solution))
    app.add_directive("solution", Solution)
    app.add_post_transform(Unfold)
    app.add_css_file("solution.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
