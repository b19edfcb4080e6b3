"""Bugs of the feed-forward networks, the block and the model, whose parts are right."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..stages import Inputs, part
from ..textbook import Textbook, straight_through
from .overrides import arguments, changed, formula, output, part_of
from .registry import Override, Row, each, in_formats, table
from .steps import GRADIENTS, MISREAD, cast, chance, constant, kept_part, silu_slope

__all__ = ["BUGS"]

#: Stages that share their bugs.
_STANDARD, _SWIGLU = "feed_forward per_token_feed_forward", "swiglu_feed_forward per_token_swiglu"
_FEED_FORWARD = f"{_STANDARD} {_SWIGLU}"
#: What goes wrong with x in x + y.
_RESIDUALS: list[Row] = [
    ("{0}-missing", lambda s, f, x, y: y),
    ("{0}-halved", lambda s, f, x, y: f(0.5 * x, y)),
    ("{0}-twice", lambda s, f, x, y: f(2 * x, y)),
    ("{0}-and-branch-averaged", lambda s, f, x, y: f(x, y) / 2),
    ("{0}-minus-branch", lambda s, f, x, y: f(x, -y)),
    ("{0}-and-branch-over-root-two", lambda s, f, x, y: f(x, y) / math.sqrt(2)),
    ("{0}-plus-half-the-branch", lambda s, f, x, y: f(x, 0.5 * y)),
    ("{0}-plus-twice-the-branch", lambda s, f, x, y: f(x, 2 * y)),
    ("{0}-gradient-dropped", lambda s, f, x, y: f(x.detach(), y)),
    ("{0}-of-first-token-for-all", lambda s, f, x, y: f(x[:, :1], y)),
]


def _dropped(x: Tensor, seed: int | np.random.Generator) -> Tensor:
    """A tenth of the numbers zero, the others larger."""
    return x * ((np.random.default_rng(seed).random(x.shape) >= 0.1) / 0.9).astype(x.dtype)


def _autocast(kind: str) -> dict[str, Override]:
    """A branch computed by a textbook of that format."""
    coarse = Textbook(kind, "float64")
    return {
        step: lambda s, f, p, *h, step=step: getattr(coarse, step)(
            {k: cast(x, kind) for k, x in p.items()}, *(cast(x, kind) for x in h)
        )
        for step in ("branch", "gated_branch")
    }


def _gated_backward(like: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Override:
    """The right value, with the gradient of something else made of silu(gate), gate and up."""
    return lambda s, f, g, u: straight_through(f(g, u), s.store(like(s.silu(g).detach(), g, u)))


def _mixed(change: Override) -> Override:
    """An override of a sum that is not a step of its own."""
    return lambda s, f, x, H: change(s, s.residual, x, s.token_mix(x, H))


def _norm(p: Inputs, source: str, target: str) -> dict[str, Any]:
    """The parameters of one norm under the names of another."""
    return {f"{target}.norm.{name}": p[f"{source}.norm.{name}"] for name in ("weight", "bias")}


def _given(other: Callable[[Inputs], Inputs]) -> Override:
    """An override that gives a network other inputs."""
    return lambda s, f, p, *args: f({**p, **other(p)}, *args)


def _packed(p: Inputs) -> Tensor:
    """The weights of gate and up, one above the other."""
    both: Tensor = F.concatenate([p["w1.weight"], p["w3.weight"]], -2)
    return both


def _exchanged(forms: str) -> Callable[[Inputs], Inputs]:
    """A block in the form beside that which is asked for, of two pairs."""
    a, b, c, d = forms.split()
    other = {a: b, b: a, c: d, d: c}
    return lambda p: {"norm": other[p.get("norm", "guide")]}


def _block(both: Callable[..., tuple[Tensor, Tensor]]) -> Override:
    """A block that adds two tensors made of x, the mixer, and what is added in the network."""
    return lambda s, f, p: s.residual(*both(
        p["x"], lambda x: s.mixer(x, p["num_heads"], part(p, "mixer.norm")),
        lambda x: s.branch(q := part(p, "ffn", x=x), s.first_norm(q))))  # fmt: skip


BUGS = table("networks", [
    (_FEED_FORWARD, "residual"),
    *each(_RESIDUALS, "residual"),
    *in_formats("residual-stream-in-{}", output),
    *in_formats("residual-cast-to-{}", arguments(0, rounded=cast)),
    (_FEED_FORWARD, "first_norm"),
    ("branch-gradient-dropped", _given(lambda p: {"x": p["x"].detach()})),
    ("pre-norm-missing", lambda s, f, p: p["x"]),
    ("normed-twice", lambda s, f, p: f({**p, "x": f(p)})),
    (_FEED_FORWARD, "around"),
    ("residual-of-the-normed", lambda s, f, p, g: s.residual(h := s.first_norm(p), g(p, h))),
    ("post-norm-for-pre-norm",
     lambda s, f, p, g: s.first_norm({**p, "x": s.residual(p["x"], g(p, p["x"]))})),
    ("norm-after-branch",
     lambda s, f, p, g: s.residual(p["x"], s.first_norm({**p, "x": g(p, p["x"])}))),
    *in_formats("inner-in-{}", lambda kind: dict.fromkeys(("activation", "gated"), output(kind))),
    *in_formats("branch-autocast-to-{}", _autocast),
    (_STANDARD, "activation"),
    ("tanh-gelu-inside", lambda s, f, x: s.gelu_tanh(x)),
    ("silu-inside", lambda s, f, x: s.silu(x)),
    ("relu-inside", lambda s, f, x: F.relu(x)),
    ("activation-missing", lambda s, f, x: x),
    ("inner-times-one-minus-p", lambda s, f, x: 0.9 * f(x), "the inner layer is scaled by 1 - p"),
    (_STANDARD, "branch"),
    ("activation-again-at-the-end", lambda s, f, p, h: s.activation(f(p, h))),
    ("activation-after-second-layer",
     {"activation": lambda s, f, x: x, "branch": lambda s, f, p, h: s.gelu(f(p, h))}),
    ("first-bias-missing", _given(lambda p: {"linear1.bias": None})),
    ("second-bias-missing", _given(lambda p: {"linear2.bias": None})),
    ("weights-tied", _given(lambda p: {"linear2.weight": p["linear1.weight"].transpose(-1, -2)})),
    (_STANDARD, "dropout"),
    ("dropout-active", lambda s, f, x: _dropped(x, chance(s)), "dropout still drops", "unsteady"),
    ("dropout-scaled-up", lambda s, f, x: x / 0.9, "dropout still multiplies by 1 / (1 - p)"),
    ("dropout-scaled-down", lambda s, f, x: x * 0.9, "dropout multiplies by 1 - p"),
    ("dropout-in-backward-only", lambda s, f, x: straight_through(x, _dropped(x, 0))),
    (_SWIGLU, "gated"),
    ("gate-not-activated", lambda s, f, g, u: s.store(g * u)),
    ("sigmoid-gate", lambda s, f, g, u: s.store(F.sigmoid(g) * u), "the gate is σ, as in GLU"),
    ("relu-gate", lambda s, f, g, u: s.store(F.relu(g) * u), "the gate is ReLU, as in ReGLU"),
    ("gate-and-up-swapped", lambda s, f, g, u: f(u, g), "w3 is activated, and not w1"),
    ("activation-of-product", lambda s, f, g, u: s.silu(g * u)),
    ("both-activated", lambda s, f, g, u: f(g, s.silu(u)), "w1 and w3 are activated"),
    ("up-missing", lambda s, f, g, u: s.silu(g), "the gate is not multiplied by w3(h)"),
    ("up-plus-one", lambda s, f, g, u: f(g, u + 1), "one is added to w3(h)"),
    ("gate-and-up-added", lambda s, f, g, u: s.store(s.silu(g) + u)),
    *in_formats("gated-product-in-{}", lambda kind: lambda s, f, g, u: cast(
        cast(s.silu(g), kind) * cast(u, kind), kind)),
    (_SWIGLU, "gated", _gated_backward),
    ("gate-and-up-gradients-swapped", lambda a, g, u: a * g + (silu_slope(g) * u).detach() * u),
    ("up-gradient-without-activation", lambda a, g, u: F.silu(g) * u.detach() + u * g.detach()),
    ("gate-gradient-of-sigmoid", lambda a, g, u: a * u + F.sigmoid(g) * u.detach()),
    ("gate-gradient-with-silu-for-its-slope", lambda a, g, u: a * u + g * (a * u).detach()),
    ("gate-and-up-weight-gradients-swapped", {"vjp": lambda s, f, *args: {
        **(g := f(*args)), "w1.weight": g["w3.weight"], "w3.weight": g["w1.weight"]}}),
    (_SWIGLU, "gated_branch"),
    ("up-of-the-input-not-normed", lambda s, f, p, h, k: f(p, h, p["x"])),
    ("gate-weight-for-up-too", _given(lambda p: {"w3.weight": p["w1.weight"]})),
    ("gate-and-up-rows-interleaved", _given(
        lambda p: {f"w{i}.weight": _packed(p)[..., i // 2 :: 2, :] for i in (1, 3)})),
    ("up-path-gradient-dropped", lambda s, f, p, h, k: f(p, h, k.detach())),
    ("gate-path-gradient-dropped", lambda s, f, p, h, k: f(p, h.detach(), k)),
    ("mixer block", "mixed", _mixed),
    *each(_RESIDUALS, "mixer-residual"),
    ("mixing-gradient-dropped", lambda s, f, x, y: f(x, y.detach())),
    *in_formats("mixer-residual-cast-to-{}", arguments(0, rounded=cast)),
    ("mixer-missing", lambda s, f, x, y: x, "there is no mixer: norm(x) alone"),
    ("mixer block", "mixer"),
    ("mixer-norm-inside", lambda s, f, x, H, n: s.residual(x, s.mixer_norm(s.token_mix(x, H), n)),
     "the norm is of the mixed tokens alone: x + norm(mix(x))"),
    ("mixer-residual-around-norm-too", lambda s, f, x, H, norm: s.residual(x, f(x, H, norm))),
    ("mixer-norm-missing", lambda s, f, x, H, norm: s.mixed(x, H)),
    ("one-head", lambda s, f, x, H, norm: f(x, 1, norm), "nothing is mixed, or with one head only"),
    ("mixer", "mixer"),
    ("mixer-pre-norm", lambda s, f, x, H, n: s.residual(x, s.token_mix(s.mixer_norm(x, n), H))),
    ("block", "block", _given),
    ("norms-shared", lambda p: _norm(p, "mixer", "ffn")),
    ("norms-swapped", lambda p: _norm(p, "mixer", "ffn") | _norm(p, "ffn", "mixer")),
    *((f"norms-of-{name}-exchanged", _exchanged(forms))
      for name, forms in (("guide-and-paper", "guide post pre bare_mix"),
                          ("guide-and-pre", "guide pre post bare_mix"),
                          ("paper-and-pre", "post pre guide bare_mix"))),
    ("block", "around"),
    ("network-residual-missing", lambda s, f, p, g: f(p, lambda p, h: g(p, h) - p["x"])),
    ("block", "block"),
    ("feed-forward-first", _block(lambda x, mixer, branch: (mixer(x + branch(x)), 0 * x))),
    ("feed-forward-missing", _block(lambda x, mixer, branch: (mixer(x), 0 * x))),
    ("mixer-and-branch-side-by-side", _block(lambda x, mixer, branch: (mixer(x), branch(x)))),
    ("second-residual-of-the-block-input", _block(lambda x, mixer, branch: (x, branch(mixer(x))))),
    ("mixer_large", "large_network"),
    ("second-residual-to-reverted", lambda s, f, p, h, to: f(p, h, h),
     "the second network is added to what was put back, and not to the block's input"),
    ("large-norms-outside", _given(lambda p: {"large_norm": "outside"})),
    ("large-residuals-missing", lambda s, f, p, h, to: f(p, h, 0 * to)),
    ("residuals-of-the-normed", lambda s, f, p, h, to: f(p, h, s.large_norm(to, p))),
    ("first-network-missing", {"mixer_large": lambda s, f, p: s.large_network(
        part(p, "reverted"), p["x"], p["x"])}),
    ("model", "layers", formula),
    ("first-block-for-all", lambda depth: [0] * depth),
    ("last-block-for-all", lambda depth: [depth - 1] * depth),
    ("first-block-skipped", lambda depth: range(1, depth)),
    ("last-block-skipped", lambda depth: range(depth - 1)),
    ("last-block-twice", lambda depth: [*range(depth), depth - 1]),
    ("blocks-reversed", lambda depth: reversed(range(depth))),
    ("model", "layer"),
    ("tape-cut-between-blocks", lambda s, f, p, i, x: f(p, i, x.detach())),
    ("positions-added-before-every-block",
     lambda s, f, p, i, x: f(p, i, s.residual(x, p["position_embedding.weight"]) if i else x)),
    ("positions-added-after-first-block", {
        "embedded": lambda s, f, ids, tokens, positions: f(ids, tokens, 0 * positions),
        "layer": lambda s, f, p, i, x: s.residual(f(p, i, x), p["position_embedding.weight"])
        if i == 0 else f(p, i, x)}),
    ("embeddings-added-before-every-block", lambda s, f, p, i, x: f(p, i, s.residual(x, s.embedded(
        p["ids"], p["token_embedding.weight"], p["position_embedding.weight"])) if i else x)),
    *in_formats("stream-in-{}", output),
    *in_formats("stream-cast-to-{}", lambda kind: output(kind, cast)),
    ("norm-after-last-block", {"model": lambda s, f, p: s.store(s.normalized(f(p), 1e-5))}),
    ("model", "embedded", changed(2)),
    *each(MISREAD, "positions"),
    ("positions-from-one-and-cut", lambda p: p[np.minimum(np.arange(len(p)) + 1, len(p) - 1)]),
    ("model", "embedded", part_of(2)),
    *each(GRADIENTS, "positions"),
    ("model", "embedded", changed(1)),
    ("token-embedding-not-trained", constant),
    ("model", "embedded"),
    ("positions-added-to-first-row-only", lambda s, f, ids, tokens, positions: f(
        ids, tokens, kept_part(np.s_[:1])(positions + 0 * s.embedding(ids, tokens).detach()))),
    ("norm-after-the-embedding", lambda s, f, *args: s.store(s.normalized(f(*args), 1e-5))),
])  # fmt: skip
