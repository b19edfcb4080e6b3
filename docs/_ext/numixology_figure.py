"""Figures that are printed by the running code.

.. code-block:: rst

    .. numixology-figure:: explain mixer --tokens 4 --dim 8 --heads 4
       :caption: Where every value of the output comes from

The arguments are a command line of ``numixology``. The command runs while the site is built and
what it prints becomes a literal block, so that a page cannot show anything else than the code does.
Without a caption, the figure is captioned with its command. It runs in the folder of the pages, and
its exit status is 0 or what the option ``:status:`` says.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shlex
from pathlib import Path
from typing import ClassVar
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

# What a terminal would say about itself, fixed so that every build draws the same picture.
TERMINAL = {"COLUMNS": "80", "LINES": "24", "NO_COLOR": "1", "TERM": "dumb"}


def run(argv: list[str], folder: str = os.curdir) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``numixology`` with these arguments."""
    main = importlib.import_module("numixology.cli").main
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, TERMINAL),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            status = main(argv)
        except SystemExit as stop:  # how argparse reports a wrong argument
            status = stop.code
    return status or 0, out.getvalue(), err.getvalue()


class NumixologyFigure(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[OptionSpec] = {
        "caption": directives.unchanged_required,
        "class": directives.class_option,
        "name": directives.unchanged,
        "status": directives.nonnegative_int,
    }

    def run(self) -> list[nodes.Node]:
        command = " ".join(self.arguments[0].split())
        status, text, complaint = run(shlex.split(command), self.env.srcdir)
        if status != self.options.get("status", 0) or not text.strip():
            raise self.error(
                f"numixology {command}: exit status {status}, "
                f"{len(text)} characters of output\n{complaint}"
            )
        import_path = importlib.import_module("numixology").__file__
        if import_path is not None:  # draw again when the code changes
            for source in sorted(Path(import_path).parent.rglob("*.py")):
                self.env.note_dependency(str(source))

        text = "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
        block = nodes.literal_block(text, text, language="text")
        block["classes"] += ["numixology-figure", *self.options.get("class", [])]
        self.set_source_info(block)
        caption = self.options.get("caption", f"``numixology {command}``")
        figure = container_wrapper(self, block, caption)
        self.add_name(figure)
        return [figure]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("numixology-figure", NumixologyFigure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
