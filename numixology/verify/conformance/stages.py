"""The stages that a backend is asked for, and what each of them truly computes.

A stage takes a dict of inputs: arrays under the names listed here, and its settings (``eps``,
``num_heads``) as Python numbers. Names and layouts are torch's. Networks have several forms: where
an option of :data:`OPTIONS` is not the first of those listed, it is among the settings too.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ... import functional as F
from ... import nn
from ...errors import unknown

__all__ = [
    "FEED_FORWARDS",
    "NETWORKS",
    "OPTIONS",
    "STAGES",
    "Inputs",
    "Stage",
    "depth_of",
    "inputs_of",
    "part",
    "parts_of",
    "stage_of",
]

#: What a stage is called with: arrays by name, and settings.
Inputs: TypeAlias = Mapping[str, Any]

#: The stage that each feed-forward network of a block is.
FEED_FORWARDS = {
    "standard": "feed_forward",
    "swiglu": "swiglu_feed_forward",
    "per_token": "per_token_feed_forward",
    "per_token_swiglu": "per_token_swiglu",
}
#: What a backend's networks may be; the first of each unless the adapter says otherwise.
OPTIONS = {
    "activation": ("gelu", "gelu_tanh", "relu", "silu"),
    "ffn": tuple(FEED_FORWARDS),
    "norm": ("guide", "post", "pre", "bare_mix"),
    "large_norm": ("inside", "outside"),
}
_OF_BLOCKS = ("activation", "ffn", "norm")


class Stage(NamedTuple):
    """One thing that a backend computes.

    Attributes:
        name: what adapters know it by.
        inputs: the shape of each array by its name, in letters, and ``()`` for a setting.
        formula: what it computes, in a line.
        reference: the same, as a function of the inputs.
        options: which of :data:`OPTIONS` it has.
        output: the shape of the result.

    Example:
        >>> from numixology.verify.conformance import STAGES
        >>> STAGES["linear"].inputs, STAGES["linear"].formula
        ({'x': '(B, T, D)', 'weight': '(F, D)', 'bias': '(F,)'}, 'x weightᵀ + bias')
    """

    name: str
    inputs: Mapping[str, str]
    formula: str
    reference: Callable[[Inputs], Any]
    options: tuple[str, ...] = ()
    output: str = "(B, T, D)"


def part(p: Inputs, name: str, **also: Any) -> dict[str, Any]:
    """The inputs under ``name.``, by the names that they have there, and others besides."""
    start = f"{name}."
    own = {key[len(start) :]: value for key, value in p.items() if key.startswith(start)}
    settings = {key: p[key] for key in ("eps", "num_heads", *OPTIONS) if key in p}
    return settings | own | also


def depth_of(p: Inputs) -> int:
    """How many blocks a model's inputs have."""
    return 1 + max(int(key.split(".")[1]) for key in p if key.startswith("blocks."))


def _call(compute: Callable[..., Any]) -> Callable[[Inputs], Any]:
    """What a function computes, whose arguments are called as the inputs are."""
    return lambda p: compute(**p)


def _module(make: Callable[[Inputs], nn.Module]) -> Callable[[Inputs], Any]:
    """What a module computes of x, or of ids, with the parameters that are among the inputs."""

    def reference(p: Inputs) -> Any:
        module = make(p).eval()
        parameters = {name: p[name] for name, _ in module.named_parameters()}
        return nn.functional_call(module, parameters, p["ids"] if "ids" in p else p["x"])

    return reference


def _given(p: Inputs, *names: str) -> dict[str, Any]:
    """The options that are not the guide's, and what else is said of a network."""
    return {name: p[name] for name in names if name in p} | {"eps": p["eps"], "rng": 0}


def _network(kind: Callable[..., nn.Module], first: str) -> Callable[..., Any]:
    def make(p: Inputs) -> nn.Module:
        *tokens, F, D = p[f"{first}.weight"].shape
        norm = "post" if p.get("norm") in ("post", "bare_mix") else "pre"
        return kind(*tokens, D, F, norm=norm, **_given(p, "activation"))

    return _module(make)


def _mixer(p: Inputs) -> nn.Module:
    _, T, D = p["x"].shape
    norm: Any = {"pre": "pre", "bare_mix": "bare"}.get(p.get("norm", "guide"), "post")
    return nn.TokenMixer(T, D, p["num_heads"], norm=norm, eps=p["eps"])


def _of_blocks(p: Inputs, ffn: str) -> dict[str, Any]:
    """What a block is made with, whose feed-forward network is found under that name."""
    first = "w1" if "swiglu" in p.get("ffn", "") else "linear1"
    return {"ff_dim": p[f"{ffn}.{first}.weight"].shape[-2], **_given(p, *_OF_BLOCKS)}


def _block(p: Inputs) -> nn.Module:
    _, T, D = p["x"].shape
    return nn.RankMixerBlock(T, D, p["num_heads"], **_of_blocks(p, "ffn"))


def _mixer_large(p: Inputs) -> nn.Module:
    _, T, D = p["x"].shape
    norm, own = p.get("large_norm", "inside"), _given(p)
    return nn.TokenMixerLargeBlock(T, D, p["num_heads"], expansion=2, norm=norm, **own)


def _model(p: Inputs) -> nn.Module:
    T, D = p["position_embedding.weight"].shape
    V, H, L = len(p["token_embedding.weight"]), p["num_heads"], depth_of(p)
    return nn.RankMixerModel(V, T, D, H, L, **_of_blocks(p, "blocks.0.ffn"))


def _under(name: str, inputs: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}.{key}": axes for key, axes in inputs.items()}


def _per_token(inputs: Mapping[str, str]) -> dict[str, str]:
    """The parameters of linear layers, one for each token; those of norms are shared."""
    return {
        key: axes if "norm" in key else axes.replace("(", "(T, ").replace(",)", ")")
        for key, axes in inputs.items()
    }


_X, _EPS, _HEADS = {"x": "(B, T, D)"}, {"eps": "()"}, {"num_heads": "()"}
_AFFINE, _LINEAR = {"weight": "(D,)", "bias": "(D,)"}, {"weight": "(F, D)", "bias": "(F,)"}
_NORM = _under("norm", _AFFINE)
_FFN = _NORM | _under("linear1", _LINEAR) | {"linear2.weight": "(D, F)", "linear2.bias": "(D,)"}
_SWIGLU = _NORM | {"w1.weight": "(F, D)", "w2.weight": "(D, F)", "w3.weight": "(F, D)"}
_BLOCK = _under("mixer", _NORM) | _under("ffn", _FFN)
_WORDS = {"ids": "(B, T)", "token_embedding.weight": "(V, D)"}
_MODEL = _WORDS | {"position_embedding.weight": "(T, D)"} | _under("blocks.i", _BLOCK)
_SETTINGS = _EPS | _HEADS
# Every token has a network of its own: H tokens of width W = TD/H, and T of width D.
_LARGE = {
    f"{network}.{name}": axes.replace("F", f"2{width}").replace("D", width).replace("T", tokens)
    for network, tokens, width in (("mixed", "H", "W"), ("reverted", "T", "D"))
    for name, axes in _per_token(_SWIGLU).items()
    if name != "norm.bias"
}
_GELU_TANH = partial(F.gelu, approximate="tanh")

_STAGES = (
    Stage("embedding", {"ids": "(B, T)", "weight": "(V, D)"}, "weight[ids]", _call(F.embedding)),
    Stage("token_mix", _X | _HEADS,
          "(B, T, H, d) to (B, H, T, d), regrouped H chunks per token", _call(F.token_mix)),
    Stage("token_revert", _X | _HEADS, "the inverse of token_mix", _call(F.token_revert)),
    Stage("layer_norm", _X | _AFFINE | _EPS,
          "(x - mean) / √(var + eps) · weight + bias", _call(F.layer_norm)),
    Stage("rms_norm", _X | {"weight": "(D,)"} | _EPS,
          "x / √(mean(x²) + eps) · weight", _call(F.rms_norm)),
    Stage("linear", _X | _LINEAR, "x weightᵀ + bias", _call(F.linear), output="(B, T, F)"),
    Stage("per_token_linear", _X | _per_token(_LINEAR),
          "x_t weight_tᵀ + bias_t", _call(F.per_token_linear), output="(B, T, F)"),
    Stage("gelu", _X, "x Φ(x)", _call(F.gelu)),
    Stage("gelu_tanh", _X, "½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))", _call(_GELU_TANH)),
    Stage("silu", _X, "x σ(x)", _call(F.silu)),
    Stage("softmax", _X, "exp(x) / Σ exp(x)", _call(F.softmax)),
    Stage("feed_forward", _X | _FFN | _EPS, "x + linear2(gelu(linear1(norm(x))))",
          _network(nn.FeedForward, "linear1"), ("activation", "norm")),
    Stage("swiglu_feed_forward", _X | _SWIGLU | _EPS, "x + w2(silu(w1(norm(x))) · w3(norm(x)))",
          _network(nn.SwiGLUFeedForward, "w1"), ("norm",)),
    Stage("per_token_feed_forward", _X | _per_token(_FFN) | _EPS,
          "x_t + linear2_t(gelu(linear1_t(norm(x_t))))",
          _network(nn.PerTokenFeedForward, "linear1"), ("activation", "norm")),
    Stage("per_token_swiglu", _X | _per_token(_SWIGLU) | _EPS,
          "x_t + w2_t(silu(w1_t(norm(x_t))) · w3_t(norm(x_t)))",
          _network(nn.PerTokenSwiGLU, "w1"), ("norm",)),
    Stage("mixer", _X | _NORM | _SETTINGS, "norm(x + token_mix(x))", _module(_mixer), ("norm",)),
    Stage("block", _X | _BLOCK | _SETTINGS, "feed_forward(mixer(x))", _module(_block), _OF_BLOCKS),
    Stage("mixer_large", _X | _LARGE | _SETTINGS,
          "m = h + F(rms_norm(h)) with h = token_mix(x), then x + G(rms_norm(token_revert(m)))",
          _module(_mixer_large), ("large_norm",)),
    Stage("model", _MODEL | _SETTINGS, "blocks of token_embedding[ids] + position_embedding",
          _module(_model), _OF_BLOCKS),
)  # fmt: skip
#: Every stage by name; a stage comes after those that it is made of.
STAGES: dict[str, Stage] = {stage.name: stage for stage in _STAGES}


#: The stages that are made of others.
NETWORKS = (*FEED_FORWARDS.values(), "mixer", "block", "mixer_large", "model")


#: The stages that networks are made of, each as often as it occurs.
_PER_TOKEN_LARGE = ("rms_norm", *["per_token_linear"] * 3, "silu")
_PARTS: dict[str, tuple[str, ...]] = {
    "feed_forward": ("layer_norm", *["linear"] * 2, "gelu"),
    "swiglu_feed_forward": ("layer_norm", *["linear"] * 3, "silu"),
    "per_token_feed_forward": ("layer_norm", *["per_token_linear"] * 2, "gelu"),
    "per_token_swiglu": ("layer_norm", *["per_token_linear"] * 3, "silu"),
    "mixer": ("token_mix", "layer_norm"),
    "block": ("token_mix", "layer_norm", "mixer"),
    "mixer_large": ("token_mix", "token_revert", *_PER_TOKEN_LARGE, *_PER_TOKEN_LARGE),
    "model": ("embedding", "token_mix", "layer_norm", "mixer", "block"),
}


def parts_of(stage: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages that a network with these options is made of, as often as each occurs."""
    parts = _PARTS.get(stage, ())
    if "ffn" in stage_of(stage).options:
        network = FEED_FORWARDS[options.get("ffn", "standard")]
        parts = (*parts, *_PARTS[network], network)
    return parts


def inputs_of(stage: str, options: Mapping[str, str]) -> dict[str, str]:
    """The shape of each array of a stage by its name, where its networks have these options."""
    there = stage_of(stage)
    if "ffn" not in there.options:
        return dict(there.inputs)
    ffn = "blocks.i.ffn" if stage == "model" else "ffn"
    others = {name: axes for name, axes in there.inputs.items() if not name.startswith(f"{ffn}.")}
    network = STAGES[FEED_FORWARDS[options.get("ffn", "standard")]].inputs
    return others | _under(ffn, {name: axes for name, axes in network.items() if "." in name})


def stage_of(name: str) -> Stage:
    """The stage of that name.

    Raises:
        ArgumentError: there is none.
    """
    if name not in STAGES:
        raise unknown("stage", name, STAGES)
    return STAGES[name]
