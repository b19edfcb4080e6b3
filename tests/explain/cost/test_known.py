"""A layer that runs something else than its class has no formulas, whatever its name."""

import numpy as np
import pytest
from support import refused

from numixology import nn
from numixology.errors import DTypeError
from numixology.explain import closed_form, complexity


class Louder(nn.TokenMixer):
    """The same parameters, another forward."""

    def forward(self, x):
        return super().forward(x) * 2


class Wrapped(nn.FeedForward):
    def __call__(self, x):
        return super().__call__(x) * 2


class Squared(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x) ** 2


class Named(nn.TokenMixer):
    """Only made and shown in another way; what it runs is the token mixer's."""

    def __init__(self) -> None:
        super().__init__(3, 8, 4)
        self.name = "mine"

    def _settings(self):
        return {"name": self.name}

    def twice(self, x):
        return self(self(x))


def patched(layer: nn.Module) -> nn.Module:
    forward = layer.forward
    layer.forward = lambda x: forward(x) * 2
    return layer


def with_part(layer: nn.Module, path: str, part: object) -> nn.Module:
    """The layer with another part, of the name ``mixer.norm`` or ``blocks.0``."""
    *way, last = path.split(".")
    owner = layer
    for name in way:
        owner = owner[int(name)] if name.isdigit() else getattr(owner, name)
    if last.isdigit():
        owner[int(last)] = part
    else:
        setattr(owner, last, part)
    return layer


def block() -> nn.RankMixerBlock:
    return nn.RankMixerBlock(3, 8, 4, ff_dim=8, rng=0).eval()


def model() -> nn.RankMixerModel:
    return nn.RankMixerModel(9, 3, 8, 4, 2, ff_dim=8, rng=0).eval()


OTHERS = {
    "a subclass": (Louder(3, 8, 4), "what a TokenMixer runs", "Louder with its own forward"),
    "another call": (Wrapped(8, rng=0), "what a FeedForward runs", "Wrapped with its own __call__"),
    "patched": (
        patched(nn.SelfAttention(8, 2, rng=0)),
        "what a SelfAttention runs",
        "SelfAttention with its own forward",
    ),
    "its heads": (
        with_part(nn.SelfAttention(8, 2, rng=0), "_heads", lambda x: x),
        "what a SelfAttention runs",
        "SelfAttention with its own _heads",
    ),
    "a subclass in a block": (with_part(block(), "mixer", Louder(3, 8, 4)), "TokenMixer", "Louder"),
    "a norm in a block": (
        with_part(block(), "mixer.norm", Squared(8)),
        "what a LayerNorm runs",
        "Squared with its own forward",
    ),
    "a norm that is none": (
        with_part(block(), "ffn.norm", nn.Linear(8, 8, rng=0)),
        "a LayerNorm as norm",
        "Linear",
    ),
    "no module": (
        with_part(nn.FeedForward(8, rng=0), "dropout", abs),
        "a Dropout as dropout",
        "builtin_function_or_method",
    ),
    "a part in a model": (
        with_part(model(), "blocks.1.ffn.linear2", nn.FeedForward(8, rng=0)),
        "a Linear as linear2",
        "FeedForward",
    ),
    "an embedding": (
        with_part(model(), "token_embedding", nn.Linear(8, 9, rng=0)),
        "an Embedding as token_embedding",
        "Linear",
    ),
    "a block": (with_part(model(), "blocks.0", nn.Linear(8, 8, rng=0)), "knows the", "Linear"),
    "another mixing": (
        nn.RankMixerBlock(3, 8, 4, mixing="neighbors", rng=0),
        "token_mix as a mixing",
        "a FixedMixing",
    ),
    "a shared part in a network of each token": (
        with_part(nn.PerTokenFeedForward(3, 8, rng=0), "linear1", nn.Linear(8, 32, rng=0)),
        "a PerTokenFeedForward with a PerTokenLinear as linear1",
        "Linear",
    ),
    "no block": (with_part(block(), "ffn", None), "knows the", "NoneType"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_runs_something_else_is_refused(name) -> None:
    layer, knows, got = OTHERS[name]
    with refused(DTypeError, "closed_form knows", knows, got, "complexity"):
        closed_form(layer, 1, 3)


def test_a_subclass_that_runs_the_same_has_the_same_formulas() -> None:
    x = np.ones((2, 3, 8))
    for layer in (Named(), with_part(block(), "mixer", Named())):
        assert closed_form(layer, 2, 3).flops == complexity(layer, x).flops
