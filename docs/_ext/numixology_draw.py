"""Figures that the package draws, in the page.

.. code-block:: rst

    .. numixology-draw:: merge --tokens 3 --dim 8 --heads 2
       :caption: The mixing

The arguments are those of ``numixology draw``, which is run while the site is built. HTML gets each
panel as an SVG, the caption below, and then the whole as text for those who want it; other builders
get the text.
With ``:panels: 2 5`` it is those panels alone, counted from 1. A figure can be linked to as
``figure-NAME``, where NAME is its name, or as the option ``:name:`` says.

.. code-block:: rst

    .. numixology-scene:: accuracy_errors.json
       :name: figure-accuracy-errors

This is drawn likewise, from a file beside the page that has what ``Scene.json()`` wrote: a figure
of numbers that take too long to be computed here.
"""

from __future__ import annotations

import html
import importlib
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from numixology_figure import run
from scene_files import scene_from_json
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec
from sphinx.writers.html5 import HTML5Translator

STYLE = "numixology_figures.css"
#: How the panels of a figure lie on a page.
LAYOUT = """\
.nx-panels { display: flex; flex-wrap: wrap; gap: 0.5rem 1.5rem; align-items: flex-start; }
.nx-panel { max-width: 100%; overflow-x: auto; }
.nx-panel svg { display: block; max-width: none; }
.nx-scene { margin: 1.5rem 0 0; text-align: left; }
.visually-hidden {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
.nx-scene figcaption, .nx-scene figcaption p {
  margin: 0.25rem 0 0; font-size: 0.875rem; text-align: left;
}
.nx-text { margin: 0.25rem 0 1.5rem; font-size: 0.8rem; text-align: left; }
.nx-text pre { font-size: 0.75rem; }
"""


class drawing(nodes.General, nodes.Element):
    """The panels of a scene."""


class in_text(nodes.General, nodes.Element):
    """The same scene as text, where :class:`drawing` is a picture."""


class Drawn(SphinxDirective):
    """What both directives share: panels and a caption, in a figure with a name."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[OptionSpec] = {
        "caption": directives.unchanged_required,
        "name": directives.unchanged_required,
        "panels": directives.positive_int_list,
    }

    def figure(self, read: str, what: str, name: str, source: str) -> list[nodes.Node]:
        """A scene as a figure.

        ``read`` is its JSON, ``what`` says in messages where that is from, ``name`` is that of the
        figure unless the page says another, and ``source`` is said beside the text form.
        """
        explain = importlib.import_module("numixology.explain")
        try:
            scene = scene_from_json(read)
        except ValueError as error:
            raise self.error(f"{what}: this is no figure\n{error}") from error
        for module in sorted(Path(explain.__file__).parents[1].rglob("*.py")):
            self.env.note_dependency(str(module))  # draw again when the code changes
        self.env.note_dependency(__file__)

        chosen = self.options.get("panels", [])
        if chosen and max(chosen) > len(scene.panels):
            raise self.error(f"{what} has {len(scene.panels)} panels, not {chosen}")
        if chosen:
            scene = scene._replace(panels=tuple(scene.panels[i - 1] for i in chosen))
        name = self.options.setdefault("name", name)
        if nodes.fully_normalize_name(name) in self.state.document.nameids:
            raise self.error(
                f"{what}: this page has another {name}; give this one a name by the option :name:"
            )
        picture = drawing("", text=scene.text(), about=scene.description)
        source = ("part of " if chosen else "") + source
        picture["svgs"] = scene.panel_svgs(nodes.make_id(name))
        picture["titles"] = [panel.title for panel in scene.panels]
        figure = nodes.figure("", picture, classes=["nx-scene"])
        words, messages = self.parse_inline(self.options.get("caption", scene.title))
        figure += nodes.caption("", "", *words)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure, in_text("", text=scene.text(), source=source), *messages]


class NumixologyDraw(Drawn):
    def run(self) -> list[nodes.Node]:
        explain = importlib.import_module("numixology.explain")
        command = f"draw {' '.join(self.arguments[0].split())}"
        name = command.split()[1]
        if name not in explain.FIGURES:
            raise self.error(f"numixology {command}: the first word must be the name of a figure")
        status, text, complaint = run([*command.split(), "--format", "json"])
        if status != 0:
            raise self.error(f"numixology {command}: exit status {status}\n{complaint}")
        source = f"<code>numixology {html.escape(command)}</code>"
        return self.figure(text, f"numixology {command}", f"figure-{name}", source)


class NumixologyScene(Drawn):
    def run(self) -> list[nodes.Node]:
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        try:
            text = Path(path).read_text("utf-8")
        except OSError as error:
            raise self.error(f"{relative} cannot be read: {error.strerror}") from error
        name = Path(path).stem.replace("_", "-")
        source = f"<code>{html.escape(Path(path).name)}</code>"
        return self.figure(text, relative, f"figure-{name}", source)


def visit_html(self: HTML5Translator, node: drawing) -> None:
    panels = "\n".join(
        f'<div class="nx-panel" tabindex="0" role="group" aria-label="{html.escape(title)}">\n'
        f"{svg}</div>"
        for title, svg in zip(node["titles"], node["svgs"], strict=True)
    )
    self.body.append(
        f'<p class="visually-hidden">{html.escape(node["about"])}</p>\n'
        f'<div class="nx-panels">\n{panels}\n</div>\n'
    )
    raise nodes.SkipNode


def visit_text_html(self: HTML5Translator, node: in_text) -> None:
    self.body.append(
        f'<details class="nx-text"><summary>The same as text: {node["source"]}</summary>\n'
        f'<pre tabindex="0">{html.escape(node["text"])}</pre></details>\n'
    )
    raise nodes.SkipNode


def visit_nothing(self: nodes.NodeVisitor, node: in_text) -> None:
    raise nodes.SkipNode


def visit_other(self: nodes.NodeVisitor, node: drawing) -> None:
    """A literal block, whatever the builder makes of that."""
    block = nodes.literal_block(node["text"], node["text"], language="text")
    block.parent, block.document = node.parent, node.document
    block.walkabout(self)
    raise nodes.SkipNode


def write_style(app: Sphinx) -> None:
    """The style sheet of the figures, among the static files: a page's body may set its theme."""
    folder = Path(app.outdir) / "_static"
    folder.mkdir(parents=True, exist_ok=True)
    as_svg = importlib.import_module("numixology.explain.drawing.as_svg")
    light, dark = map(as_svg.variables, ("light", "dark"))
    colors = (
        f":root {{ {light} }}\nbody[data-theme=dark] {{ {dark} }}\n"
        f"@media (prefers-color-scheme: dark) {{ body[data-theme=auto] {{ {dark} }} }}\n"
    )
    (folder / STYLE).write_text(colors + as_svg.SHAPES + LAYOUT, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    others = ("text", "latex", "man", "texinfo")
    app.add_node(drawing, html=(visit_html, None), **dict.fromkeys(others, (visit_other, None)))
    nothing = dict.fromkeys(others, (visit_nothing, None))
    app.add_node(in_text, html=(visit_text_html, None), **nothing)
    app.add_directive("numixology-draw", NumixologyDraw)
    app.add_directive("numixology-scene", NumixologyScene)
    app.add_css_file(STYLE)
    app.connect("builder-inited", write_style)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
