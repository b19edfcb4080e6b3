"""Explain a layer, one of its steps, a law or a cost: what it computes, and a figure of it with
numbers or shapes, in sizes of your choice. It takes a second."""

import argparse
import inspect
from functools import partial

from .. import nn
from ..explain import draw
from ..explain.catalogue import FIGURES, contents
from ..text import filled
from .draw import captioned
from .parsing import SIZES, add_sizes, fitting, sizes_of
from .printing import say

#: The layers, which say themselves what they compute; a figure's function says it of the others.
_LAYERS = {
    "mixer": nn.TokenMixer,
    "norm": nn.LayerNorm,
    "layer-norm": nn.LayerNorm,
    "ffn": nn.FeedForward,
    "swiglu": nn.SwiGLUFeedForward,
    "attention": nn.SelfAttention,
    "block": nn.RankMixerBlock,
    "model": nn.RankMixerModel,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    about = "such as mixer, block or shuffle; without one all are listed"
    parser.add_argument("figure", nargs="?", metavar="NAME", help=about)
    add_sizes(parser, dict.fromkeys(SIZES))
    parser.set_defaults(run=run)


@fitting()
def run(options: argparse.Namespace) -> None:
    """Print what a figure is about, and the figure."""
    if options.figure is None:
        say(contents())
        return
    scene = draw(options.figure, **sizes_of(options))
    of = _LAYERS.get(options.figure, FIGURES[options.figure].draw)
    about, *_ = str(inspect.getdoc(of.func if isinstance(of, partial) else of)).split("\n\n")
    say(f"{filled(about, hanging=0)}\n\n{captioned(scene)}")
