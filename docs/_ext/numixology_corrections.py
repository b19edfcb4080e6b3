"""The corrections to the guide, as tables in the page.

.. code-block:: rst

    .. numixology-corrections::

    .. numixology-corrections:: verdicts

The first is the table of all corrections, the second that of the verdicts with how many of each
there are. Both are made while the site is built, from what the running code finds; nothing in them
is typed here. A correction can be linked to as ``correction-NAME``, with a text of one's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from corrections import verdicts
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

import numixology

STYLE = "numixology_corrections.css"


class NumixologyCorrections(SphinxDirective):
    optional_arguments = 1
    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        for code in (numixology, verdicts):  # judge again when either changes
            for source in sorted(Path(code.__file__).parent.rglob("*.py")):
                self.env.note_dependency(str(source))
        judged = verdicts.corrections()
        if not self.arguments:
            return [self.claims(judged)]
        if self.arguments != ["verdicts"]:
            raise self.error(f"there are claims and verdicts, not {self.arguments[0]}")
        return [meanings(judged)]

    def claims(self, judged: Sequence[verdicts.Correction]) -> nodes.table:
        """Every claim, chapter by chapter."""
        rows: list[nodes.row] = []
        for chapter, group in groupby(judged, key=lambda one: one.chapter):
            heading = nodes.entry("", nodes.paragraph("", chapter), morecols=3)
            rows.append(nodes.row("", heading, classes=["nx-chapter"]))
            rows += [self.claim(one) for one in group]
        header = ("No.", "The guide says", "Verdict", "What the code finds")
        return table("nx-corrections", header, (6, 28, 14, 52), rows)

    def claim(self, one: verdicts.Correction) -> nodes.row:
        number = nodes.paragraph("", str(one.number))
        name = f"correction-{one.name}"
        number["names"].append(name)
        self.state.document.note_explicit_target(number)
        section = nodes.paragraph("", one.section, classes=["nx-section"])
        return nodes.row(
            "",
            entry(number),
            entry(nodes.paragraph("", one.says), section),
            entry(nodes.paragraph("", "", verdict(one.verdict))),
            entry(nodes.paragraph("", one.truth), self.place(one)),
        )

    def place(self, one: verdicts.Correction) -> nodes.paragraph:
        """Links to the page and the figures where the claim is taken up."""
        links = [f":doc:`{one.page}`"] if one.page != self.env.docname else []
        links += [f":ref:`figure {name} <figure-{name}>`" for name in one.figures]
        words, messages = self.parse_inline(", ".join(links) or "This table.")
        return nodes.paragraph("", "", *words, *messages, classes=["nx-place"])


def meanings(judged: Iterable[verdicts.Correction]) -> nodes.table:
    """What each verdict means, and how many there are."""
    counts = Counter(one.verdict for one in judged)
    rows = [
        nodes.row(
            "",
            entry(nodes.paragraph("", "", verdict(word))),
            entry(nodes.paragraph("", meaning)),
            entry(nodes.paragraph("", str(counts[word]))),
        )
        for word, meaning in verdicts.VERDICTS.items()
    ]
    return table("nx-verdicts", ("Verdict", "It means", "Claims"), (20, 66, 14), rows)


def verdict(word: str) -> nodes.inline:
    return nodes.inline("", word, classes=["nx-verdict", f"nx-{word}"])


def entry(*children: nodes.Node) -> nodes.entry:
    return nodes.entry("", *children)


def table(
    kind: str, header: Sequence[str], widths: Sequence[int], rows: Sequence[nodes.row]
) -> nodes.table:
    """A table whose first column names its rows."""
    group = nodes.tgroup(cols=len(header))
    for i, width in enumerate(widths):
        group += nodes.colspec(colwidth=width, **({"stub": 1} if i == 0 else {}))
    titles = nodes.row("", *(entry(nodes.paragraph("", title)) for title in header))
    group += nodes.thead("", titles)
    group += nodes.tbody("", *rows)
    return nodes.table("", group, classes=[kind, "colwidths-given"])


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("numixology-corrections", NumixologyCorrections)
    app.add_css_file(STYLE)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
