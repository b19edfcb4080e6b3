"""Print what a layer does, step by step, with the shape of every result."""

import argparse
import inspect

from ..explain import FIGURES, draw
from .parsing import SIZES, add_sizes, fitting, sizes_of, subcommands
from .printing import say

_SUBJECTS = {
    "mixer": "the token mixer, with the values a1, a2, ...",
    "ffn": "a feed-forward network, with the shapes",
    "model": "the model from ids to hidden states",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    subjects = subcommands(parser, "subject", "WHAT")
    for name, about in _SUBJECTS.items():
        subject = subjects.add_parser(name, help=about)
        sizes = inspect.signature(FIGURES[name].draw).parameters
        add_sizes(subject, {size: sizes[size].default for size in SIZES if size in sizes})
        subject.set_defaults(run=run)


@fitting()
def run(options: argparse.Namespace) -> None:
    """Print the figure of a layer."""
    say(draw(options.subject, **sizes_of(options)).text())
