"""Print the parameter table of a layer: the name, shape, count and share of every parameter. It
takes a second, and longer for a layer of many gigabytes."""

import argparse
from collections.abc import Callable
from typing import Any

from .. import nn
from .parsing import add_sizes, fitting, sizes_of, subcommands
from .printing import say

#: The sizes of the layers unless others are typed.
_SIZES = {
    "num_tokens": 8, "hidden_dim": 768, "num_heads": 8, "ff_dim": None, "ffn": "standard",
    "num_layers": 2, "vocab_size": 1000,
}  # fmt: skip
_BLOCK = "num_tokens hidden_dim num_heads ff_dim ffn"


def _network(num_tokens: int, hidden_dim: int, **options: Any) -> nn.Module:
    return nn.RankMixerBlock(num_tokens, hidden_dim, 1, **options).ffn


#: What has a parameter table: how it is made, what it is, and which sizes it has.
_LAYERS: dict[str, tuple[Callable[..., nn.Module], str, str]] = {
    "ffn": (_network, "a feed-forward network", "num_tokens hidden_dim ff_dim ffn"),
    "mixer": (nn.TokenMixer, "the token mixer", "num_tokens hidden_dim num_heads"),
    "attention": (nn.SelfAttention, "self-attention, to compare", "hidden_dim num_heads"),
    "block": (nn.RankMixerBlock, "a mixer and a network", _BLOCK),
    "model": (nn.RankMixerModel, "the model with embeddings", f"{_BLOCK} num_layers vocab_size"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be typed."""
    subjects = subcommands(parser, "subject", "LAYER")
    for name, (_, about, sizes) in _LAYERS.items():
        subject = subjects.add_parser(name, help=about)
        add_sizes(subject, {size: _SIZES[size] for size in sizes.split()})
        subject.set_defaults(run=run)


@fitting()
def run(options: argparse.Namespace) -> None:
    """Print the parameter table of a layer."""
    make, _, _ = _LAYERS[options.subject]
    say(str(make(**sizes_of(options), rng=0).parameter_table()))
