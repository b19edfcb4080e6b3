"""Explain a layer, one of its steps, a law or a cost: what it computes, and a figure of it with
numbers or shapes, in sizes of your choice. It takes a second."""

import argparse
import inspect
from functools import partial

from .. import nn
from ..errors import unknown
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

#: Words that other books use, by the figure that shows them and the page that explains them.
_WORDS = {
    word: where
    for where, words in {
        ("tape", "autograd"): "autograd computational-graph",
        ("tape-backward", "autograd"): "automatic-differentiation backpropagation chain-rule "
        "backward cotangent gradient upstream-gradient vjp",
        ("step-sizes", "gradcheck"): "finite-differences gradient-check numerical-gradient",
        ("jacobian", "laws"): "permutation-matrix",
        ("batch", "shapes"): "feature token",
        ("mixer", "mixer"): "token-mixer token-mixing",
        ("partition", "mixer"): "chunk head",
        ("layer-norm", "feed_forward"): "layernorm normalization",
        ("strides", "tips"): "contiguous stride",
        ("model", "model"): "embedding",
        ("activations", "feed_forward"): "gelu relu silu",
        ("ffn", "feed_forward"): "feed-forward mlp",
        ("walk-backward", "model"): "gradient-descent loss optimizer training",
    }.items()
    for word in words.split()
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    about = "such as mixer, block or backpropagation; without one all are listed"
    parser.add_argument("words", nargs="*", metavar="NAME", help=about)
    add_sizes(parser, dict.fromkeys(SIZES))
    parser.set_defaults(run=run)


@fitting()
def run(options: argparse.Namespace) -> None:
    """Print what a figure is about, and the figure."""
    if not options.words:
        words = filled(f"Words: {', '.join(sorted(_WORDS))}")
        say(f"{contents()}\n\n{words}")
        return
    word = "-".join(options.words).lower()
    name, page = _WORDS.get(word, (word, ""))
    if name not in FIGURES:
        raise unknown("name", name, [*FIGURES, *_WORDS], "numixology explain lists all")
    scene = draw(name, **sizes_of(options))
    of = _LAYERS.get(name, FIGURES[name].draw)
    about, *_ = str(inspect.getdoc(of.func if isinstance(of, partial) else of)).split("\n\n")
    say(f"{filled(about, hanging=0)}\n\n{captioned(scene)}")
    if page:
        say(f"\nThe figure is called {name}; docs/{page}.rst explains {word.replace('-', ' ')}.")
