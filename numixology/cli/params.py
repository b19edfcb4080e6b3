"""Print the parameter table of a layer: the name, shape, count and share of every parameter."""

import argparse
from collections.abc import Callable
from typing import Any

from .. import nn
from .parsing import add_sizes, fitting, sizes_of, subcommands
from .printing import say

_FFN = {"ff_dim": None, "ffn": "standard"}
_MIXER = {"num_tokens": 8, "hidden_dim": 768, "num_heads": 8}


def _network(ffn: str, **sizes: Any) -> nn.Module:
    return nn.SwiGLUFeedForward(**sizes) if ffn == "swiglu" else nn.FeedForward(**sizes)


#: What has a parameter table: how it is made, what it is, and its sizes unless others are typed.
_LAYERS: dict[str, tuple[Callable[..., nn.Module], str, dict[str, Any]]] = {
    "ffn": (_network, "a feed-forward network", {"hidden_dim": 768, **_FFN}),
    "mixer": (nn.TokenMixer, "the token mixer", _MIXER),
    "attention": (
        nn.SelfAttention,
        "self-attention, to compare",
        {"hidden_dim": 768, "num_heads": 8},
    ),
    "block": (nn.RankMixerBlock, "a mixer and a network", _MIXER | _FFN),
    "model": (
        nn.RankMixerModel,
        "the model, embeddings and all",
        _MIXER | {"num_layers": 2, "vocab_size": 1000} | _FFN,
    ),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    subjects = subcommands(parser, "subject", "WHAT")
    for name, (_, about, sizes) in _LAYERS.items():
        subject = subjects.add_parser(name, help=about)
        add_sizes(subject, sizes)
        subject.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the parameter table of a layer."""
    make, _, _ = _LAYERS[options.subject]
    with fitting():
        layer = make(**sizes_of(options), rng=0)
    say(str(layer.parameter_table()))
    return 0
