"""The stages that a backend is asked for, and what each of them truly computes.

A stage takes a dict of inputs: arrays under the names listed here, and its settings (``eps``,
``num_heads``) as Python numbers. Names and layouts are torch's. Networks have several forms: where
an option of :data:`OPTIONS` is not the first of those listed, it is among the settings too.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeAlias

from ... import functional as F
from ... import nn
from ...errors import ArgumentError

__all__ = [
    "NETWORKS",
    "OPTIONS",
    "STAGES",
    "Inputs",
    "Stage",
    "depth_of",
    "inputs_of",
    "part",
    "stage_of",
]

#: What a stage is called with: arrays by name, and settings.
Inputs: TypeAlias = Mapping[str, Any]

#: What a backend's networks may be; the first of each unless the adapter says otherwise.
OPTIONS = {
    "activation": ("gelu", "gelu_tanh", "relu", "silu"),
    "ffn": ("standard", "swiglu"),
    "norm": ("guide", "post", "pre", "bare_mix"),
}


class Stage(NamedTuple):
    """One thing that a backend computes.

    Attributes:
        name: what adapters know it by.
        inputs: the shape of each array by its name, in letters, and ``()`` for a setting.
        output: the shape of the result.
        formula: what it computes, in a line.
        reference: the same, as a function of the inputs.
        options: which of :data:`OPTIONS` it has.

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
    options: tuple[str, ...] = ()


def part(p: Inputs, name: str, **also: Any) -> dict[str, Any]:
    """The inputs under ``name.``, by the names that they have there, and others besides."""
    start = f"{name}."
    own = {key[len(start) :]: value for key, value in p.items() if key.startswith(start)}
    settings = {key: p[key] for key in ("eps", "num_heads", *OPTIONS) if key in p}
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


def _network(kind: type[nn.FeedForward | nn.SwiGLUFeedForward]) -> Callable[[Inputs], Any]:
    def make(p: Inputs) -> nn.Module:
        D, F = p["w2.weight" if "w2.weight" in p else "linear2.weight"].shape
        norm: Any = "post" if p.get("norm") in ("post", "bare_mix") else "pre"
        own = {"activation": p["activation"]} if "activation" in p else {}
        return kind(D, F, norm=norm, eps=p["eps"], rng=0, **own)

    return _module(make)


def _mixer(p: Inputs) -> nn.Module:
    _, T, D = p["x"].shape
    norm: Any = {"pre": "pre", "bare_mix": "bare"}.get(p.get("norm", "guide"), "post")
    return nn.TokenMixer(T, D, p["num_heads"], norm=norm, eps=p["eps"])


def _of_blocks(p: Inputs, block: str) -> dict[str, Any]:
    """The options of a block, from what its inputs are under that name."""
    weight = f"{block}ffn.w1.weight" if p.get("ffn") == "swiglu" else f"{block}ffn.linear1.weight"
    options = {name: p[name] for name in OPTIONS if name in p}
    return options | {"ff_dim": len(p[weight]), "eps": p["eps"], "rng": 0}


def _block(p: Inputs) -> nn.Module:
    _, T, D = p["x"].shape
    return nn.RankMixerBlock(T, D, p["num_heads"], **_of_blocks(p, ""))


def _model(p: Inputs) -> nn.Module:
    T, D = p["position_embedding.weight"].shape
    V, H, L = len(p["token_embedding.weight"]), p["num_heads"], depth_of(p)
    return nn.RankMixerModel(V, T, D, H, L, **_of_blocks(p, "blocks.0."))


_X = {"x": "(B, T, D)"}
_NORM = {"norm.weight": "(D,)", "norm.bias": "(D,)"}
_FFN = {
    **_NORM,
    "linear1.weight": "(F, D)",
    "linear1.bias": "(F,)",
    "linear2.weight": "(D, F)",
    "linear2.bias": "(D,)",
}
_SWIGLU = _NORM | {"w1.weight": "(F, D)", "w2.weight": "(D, F)", "w3.weight": "(F, D)"}
_MIXER = {f"mixer.{k}": v for k, v in _NORM.items()}
_BLOCK = _MIXER | {f"ffn.{k}": v for k, v in _FFN.items()}
_GATED = _MIXER | {f"ffn.{k}": v for k, v in _SWIGLU.items()}
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
            _network(nn.FeedForward),
            ("activation", "norm"),
        ),
        Stage(
            "swiglu_feed_forward",
            _X | _SWIGLU | _EPS,
            "(B, T, D)",
            "x + w2(silu(w1(norm(x))) · w3(norm(x)))",
            _network(nn.SwiGLUFeedForward),
            ("norm",),
        ),
        Stage(
            "mixer",
            _X | _NORM | _EPS | _HEADS,
            "(B, T, D)",
            "norm(x + token_mix(x))",
            _module(_mixer),
            ("norm",),
        ),
        Stage(
            "block",
            _X | _BLOCK | _EPS | _HEADS,
            "(B, T, D)",
            "feed_forward(mixer(x))",
            _module(_block),
            ("activation", "ffn", "norm"),
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
            ("activation", "ffn", "norm"),
        ),
    )
}


#: The stages that are made of others.
NETWORKS = ("feed_forward", "swiglu_feed_forward", "mixer", "block", "model")


def inputs_of(stage: str, options: Mapping[str, str]) -> dict[str, str]:
    """The shape of each array of a stage by its name, where its networks have these options."""
    found = dict(stage_of(stage).inputs)
    if options.get("ffn") == "swiglu":
        start = "blocks.i." if stage == "model" else ""
        dense = {start + name for name in _BLOCK}
        if dense <= found.keys():
            gated = {start + name: shape for name, shape in _GATED.items()}
            found = {k: v for k, v in found.items() if k not in dense} | gated
    return found


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
