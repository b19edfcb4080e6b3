"""The mixer to play with, on its page.

.. code-block:: rst

    .. numixology-play::

       T=4 H=4 d=2
       T=4 H=4 d=2 mixing=guide

Each line is a size. Its panels are drawn while the site is built, and all of them can be read
without JavaScript; ``play.js`` shows what is before and after a step, and lights cells. Other
builders get the text of the first size. A page has at most one, whose controls have fixed names.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, ClassVar

import mixer_stories
from docutils import nodes
from numixology_draw import visit_other
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec
from sphinx.writers.html5 import HTML5Translator

import numixology

CONTROLS = """\
<div class="nx-play-controls" hidden>
<p><button type="button" class="nx-play-back">Previous</button>
<input type="range" id="nx-play-slider" class="nx-play-slider" aria-label="Step" min="1" max="1"
 value="1">
<button type="button" class="nx-play-on">Next</button>
<button type="button" class="nx-play-run" aria-pressed="false">Play</button></p>
<div class="nx-play-story" aria-live="polite">
<p><strong class="nx-play-where"></strong>. <span class="nx-play-did"></span></p>
<p class="nx-play-moves"></p>
<p class="nx-play-says"></p>
<p><code class="nx-play-code"></code></p>
</div>
<p><label for="nx-play-choice">Sizes</label>
<select id="nx-play-choice" class="nx-play-choice">
{options}
</select>
<label><input type="checkbox" class="nx-play-all"> all steps at once</label></p>
</div>
"""
SIZE = """\
<details class="nx-size"{open}>
<summary>{name}</summary>
<p class="visually-hidden">{about}</p>
<div class="nx-panels">
{panels}
</div>
<p>In Python, x and J are</p>
<pre class="nx-setup" tabindex="0">{setup}</pre>
<details><summary>The same as text</summary><pre tabindex="0">{text}</pre></details>
<script type="application/json">{json}</script>
</details>
"""
PANEL = '<div class="nx-panel" tabindex="0" role="group" aria-label="{title}">\n{svg}</div>'


class playground(nodes.General, nodes.Element):
    """Mixers of several sizes; ``text`` is the first of them as text."""


class NumixologyPlay(SphinxDirective):
    has_content = True
    option_spec: ClassVar[OptionSpec] = {}

    def run(self) -> list[nodes.Node]:
        self.assert_has_content()
        if self.env.temp_data.setdefault("numixology-play", self.lineno) != self.lineno:
            raise self.error("numixology-play stands once on a page: add the sizes to the first")
        for source in sorted(Path(numixology.__file__).parent.rglob("*.py")):
            self.env.note_dependency(str(source))  # draw again when the code changes
        self.env.note_dependency(mixer_stories.__file__)
        plays = [self.play(line) for line in self.content if line.strip()]
        node = playground("", text=plays[0].scene.text())
        node["sizes"] = [
            {
                "name": one.name,
                "about": one.scene.description,
                "panels": [panel.title for panel in one.scene.panels],
                "svgs": one.scene.panel_svgs(f"play-{i}"),
                "setup": one.setup,
                "text": one.scene.text(),
                "json": one.json(),
            }
            for i, one in enumerate(plays)
        ]
        self.set_source_info(node)
        return [node]

    def play(self, line: str) -> mixer_stories.Play:
        try:
            return mixer_stories.play(**size(line))
        except (TypeError, ValueError) as error:
            rule = "a line is a size such as T=4 H=4 d=2"
            raise self.error(f"{rule}, not {line}: {error}") from error


def size(line: str) -> dict[str, Any]:
    """``T=4 mixing=guide`` as keywords."""
    pairs = dict(word.split("=") for word in line.split())
    return {name: int(value) if value.isdigit() else value for name, value in pairs.items()}


def visit_html(self: HTML5Translator, node: playground) -> None:
    if self.builder.name == "epub":  # there is nothing to play with in a book
        visit_other(self, node)
    options = "\n".join(f"<option>{html.escape(one['name'])}</option>" for one in node["sizes"])
    self.body.append('<div class="nx-play">\n' + CONTROLS.format(options=options))
    for i, one in enumerate(node["sizes"]):
        panels = "\n".join(
            PANEL.format(title=html.escape(title), svg=svg)
            for title, svg in zip(one["panels"], one["svgs"], strict=True)
        )
        texts = {name: html.escape(one[name]) for name in ("name", "about", "setup", "text")}
        shown = SIZE.format(open="" if i else " open", panels=panels, json=one["json"], **texts)
        self.body.append(shown)
    self.body.append('<pre id="selftest" hidden></pre>\n</div>\n')
    raise nodes.SkipNode


def add_files(app: Sphinx, pagename: str, template: str, context: Any, doctree: Any) -> None:
    """Style and scripts, on the pages that have something to play with."""
    if doctree is not None and doctree.next_node(playground):
        app.add_css_file("play.css")
        app.add_js_file("play.js", loading_method="defer")
        app.add_js_file("play_selftest.js", loading_method="defer")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.setup_extension("numixology_draw")
    app.add_node(
        playground,
        html=(visit_html, None),
        **{name: (visit_other, None) for name in ("text", "latex", "man", "texinfo")},
    )
    app.add_directive("numixology-play", NumixologyPlay)
    app.connect("html-page-context", add_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
