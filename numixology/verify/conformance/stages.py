"""The stages that a backend is asked for, and what each of them truly computes.

A stage takes a dict of inputs: arrays under the names listed here, and its settings (``eps``,
``num_heads``) as Python numbers. Names and layouts are torch's.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeAlias

from ... import functional as F
from ... import nn
from ...errors import ArgumentError

__all__ = ["NETWORKS", "STAGES", "Inputs", "Stage", "depth_of", "part", "stage_of"]

#: What a stage is called with: arrays by name, and settings.
Inputs: TypeAlias = Mapping[str, Any]


class Stage(NamedTuple):
    """One thing that a backend computes.

    Attributes:
        name: what adapters know it by.
        inputs: the shape of each array by its name, in letters, and ``()`` for a setting.
        output: the shape of the result.
        formula: what it computes, in a line.
        reference: the same, as a function of the inputs.

    Example:
        >>> from numixology.verify.conformance import STAGES
        >>> STAGES["linear"].inputs, STAGES["linear"].formula
        ({'x': '(B, T, D)', 'weight': '(F, D)', 'bias': '(F,)'}, 'x weightᵀ + bias')
    """

    name: str
    inputs: Mapping[str, str]
    output: str
    formula: str
    reference: Callable[[Inputs], Any]


def part(p: Inputs, name: str, **also: Any) -> dict[str, Any]:
    """The inputs under ``name.``, by the names that they have there, and others besides."""
    start = f"{name}."
    own = {key[len(start) :]: value for key, value in p.items() if key.startswith(start)}
    settings = {key: p[key] for key in ("eps", "num_heads") if key in p}
    return settings | own | also


def depth_of(p: Inputs) -> int:
    """How many blocks a model's inputs have."""
    return 1 + max(int(key.split(".")[1]) for key in p if key.startswith("blocks."))


def _module(make: Callable[[Inputs], nn.Module]) -> Callable[[Inputs], Any]:
    """What a module computes of x, or of ids, with the parameters that are among the inputs."""

    def reference(p: Inputs) -> Any:
        module = make(p).eval()
        parameters = {name: p[name] for name, _ in module.named_parameters()}
        return nn.functional_call(module, parameters, p["ids"] if "ids" in p else p["x"])

    return reference


def _block(p: Inputs) -> nn.Module:
    _, tokens, features = p["x"].shape
    width = len(p["ffn.linear1.bias"])
    return nn.RankMixerBlock(tokens, features, p["num_heads"], ff_dim=width, eps=p["eps"], rng=0)


def _model(p: Inputs) -> nn.Module:
    tokens, features = p["position_embedding.weight"].shape
    words, width = len(p["token_embedding.weight"]), len(p["blocks.0.ffn.linear1.bias"])
    heads, depth = p["num_heads"], depth_of(p)
    return nn.RankMixerModel(
        words, tokens, features, heads, depth, ff_dim=width, eps=p["eps"], rng=0
    )


_X = {"x": "(B, T, D)"}
_NORM = {"norm.weight": "(D,)", "norm.bias": "(D,)"}
_FFN = {
    **_NORM,
    "linear1.weight": "(F, D)",
    "linear1.bias": "(F,)",
    "linear2.weight": "(D, F)",
    "linear2.bias": "(D,)",
}
_BLOCK = {f"mixer.{k}": v for k, v in _NORM.items()} | {f"ffn.{k}": v for k, v in _FFN.items()}
_EPS, _HEADS = {"eps": "()"}, {"num_heads": "()"}

#: Every stage by name; a stage comes after those that it is made of.
STAGES: dict[str, Stage] = {
    one.name: one
    for one in (
        Stage(
            "embedding",
            {"ids": "(B, T)", "weight": "(V, D)"},
            "(B, T, D)",
            "weight[ids]",
            lambda p: F.embedding(p["ids"], p["weight"]),
        ),
        Stage(
            "token_mix",
            _X | _HEADS,
            "(B, T, D)",
            "(B, T, H, d) to (B, H, T, d), regrouped H chunks per token",
            lambda p: F.token_mix(p["x"], p["num_heads"]),
        ),
        Stage(
            "layer_norm",
            _X | {"weight": "(D,)", "bias": "(D,)"} | _EPS,
            "(B, T, D)",
            "(x - mean) / √(var + eps) · weight + bias",
            lambda p: F.layer_norm(p["x"], p["weight"], p["bias"], p["eps"]),
        ),
        Stage(
            "linear",
            _X | {"weight": "(F, D)", "bias": "(F,)"},
            "(B, T, F)",
            "x weightᵀ + bias",
            lambda p: F.linear(p["x"], p["weight"], p["bias"]),
        ),
        Stage("gelu", _X, "(B, T, D)", "x Φ(x)", lambda p: F.gelu(p["x"])),
        Stage(
            "gelu_tanh",
            _X,
            "(B, T, D)",
            "½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))",
            lambda p: F.gelu(p["x"], approximate="tanh"),
        ),
        Stage("silu", _X, "(B, T, D)", "x σ(x)", lambda p: F.silu(p["x"])),
        Stage("softmax", _X, "(B, T, D)", "exp(x) / Σ exp(x)", lambda p: F.softmax(p["x"])),
        Stage(
            "feed_forward",
            _X | _FFN | _EPS,
            "(B, T, D)",
            "x + linear2(gelu(linear1(norm(x))))",
            _module(lambda p: nn.FeedForward(*p["linear2.weight"].shape, eps=p["eps"], rng=0)),
        ),
        Stage(
            "swiglu_feed_forward",
            _X
            | _NORM
            | {"w1.weight": "(F, D)", "w2.weight": "(D, F)", "w3.weight": "(F, D)"}
            | _EPS,
            "(B, T, D)",
            "x + w2(silu(w1(norm(x))) · w3(norm(x)))",
            _module(lambda p: nn.SwiGLUFeedForward(*p["w2.weight"].shape, eps=p["eps"], rng=0)),
        ),
        Stage(
            "block",
            _X | _BLOCK | _EPS | _HEADS,
            "(B, T, D)",
            "feed_forward(norm(x + token_mix(x)))",
            _module(_block),
        ),
        Stage(
            "model",
            {
                "ids": "(B, T)",
                "token_embedding.weight": "(V, D)",
                "position_embedding.weight": "(T, D)",
                **{f"blocks.i.{name}": shape for name, shape in _BLOCK.items()},
                **_EPS,
                **_HEADS,
            },
            "(B, T, D)",
            "blocks of token_embedding[ids] + position_embedding",
            _module(_model),
        ),
    )
}


#: The stages that are made of others.
NETWORKS = ("feed_forward", "swiglu_feed_forward", "block", "model")


def stage_of(name: str) -> Stage:
    """The stage of that name.

    Raises:
        ArgumentError: there is none.
    """
    if name not in STAGES:
        near = " or ".join(get_close_matches(name, STAGES))
        raise ArgumentError(
            "a stage must be a known one",
            repr(name),
            f"did you mean {near}?" if near else f"use {', '.join(STAGES)}",
        )
    return STAGES[name]
