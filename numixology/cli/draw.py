"""Draw a figure of the documentation from the running code, in sizes of your choice, as text, SVG,
PNG or JSON. It takes a second."""

import argparse
from functools import partial
from pathlib import Path

from ..errors import ArgumentError
from ..explain import Scene, draw
from ..explain.catalogue import contents
from ..text import filled
from .parsing import SIZES, add_sizes, fitting, sizes_of
from .printing import emit, say, write


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    add = parser.add_argument
    add("figure", nargs="?", metavar="NAME", help="such as mixer; without one all are listed")
    add("--list", action="store_true", help="print the names of all figures")
    formats = ["text", "svg", "png", "json"]
    add("--format", choices=formats, default="text", help="default text; png needs resvg-py")
    add("--theme", choices=["light", "dark"], help="colors of an svg or png (both)")
    add("--output", type=Path, metavar="FILE", help="write to a file")
    add_sizes(parser, dict.fromkeys(SIZES))
    parser.set_defaults(run=run)


def captioned(scene: Scene) -> str:
    """A figure as text, and below it what it shows."""
    return f"{scene.text()}\n\n{filled(scene.description, hanging=0)}"


def run(options: argparse.Namespace) -> None:
    """Draw a figure, or list all."""
    if options.list or options.figure is None:
        say(contents())
        return
    if options.theme and options.format not in ("svg", "png"):
        invariant = "only an svg or a png has a theme"
        raise ArgumentError(invariant, f"--format {options.format}", "add --format svg")
    if options.format == "png" and options.output is None:
        raise ArgumentError("a png is written to a file", "no --output", "add --output FILE")
    with fitting():
        scene = draw(options.figure, **sizes_of(options))
    colors = {"theme": options.theme} if options.theme else {}
    if options.format == "png":
        write(options.output, scene.png(**colors), "wb")
        return
    ways = {"text": partial(captioned, scene), "svg": partial(scene.svg, **colors)}
    drawn = ways.get(options.format, scene.json)()
    if options.output is None:
        (say if options.format == "text" else emit)(drawn.rstrip("\n"))
    else:
        write(options.output, drawn.rstrip("\n") + "\n")
