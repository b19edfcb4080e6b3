"""Draw a figure of the documentation from the running code, in sizes of your choice."""

import argparse
from pathlib import Path

from ..explain import draw
from ..explain.catalogue import contents
from .parsing import SIZES, add_sizes, fitting, sizes_of
from .printing import say, write


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    add = parser.add_argument
    add("figure", nargs="?", metavar="NAME", help="such as mixer; without one all are listed")
    add("--list", action="store_true", help="print the names of all figures")
    add("--format", choices=["text", "svg", "json"], default="text", help="to draw in (text)")
    add("--output", type=Path, metavar="FILE", help="write it there, not here")
    add_sizes(parser, dict.fromkeys(SIZES))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draw a figure, or list all."""
    if options.list or options.figure is None:
        say(contents())
        return
    with fitting():
        scene = draw(options.figure, **sizes_of(options))
    drawn = {"text": scene.text, "svg": scene.svg, "json": scene.json}[options.format]()
    if options.output is None:
        say(drawn.rstrip("\n"))
    else:
        write(options.output, drawn.rstrip("\n") + "\n")
