"""The networks out of layers: forward, and the chain rule written out backward.

``p`` is a dict of parameters under their dotted names. The gradients are dicts with the same
names, and ``x`` for the input.
"""

from collections.abc import Callable
from typing import Any

import mpmath as mp
from oracle import layers, rows
from oracle.arithmetic import dot, mapped, plus, through, times, value_of
from oracle.elementwise import FUNCTIONS
from oracle.layers import Batch, Gradients

Parameters = dict[str, Any]


def part(p: Parameters, name: str) -> Parameters:
    """The parameters of one part, under the names that they have there."""
    return {key[len(name) + 1 :]: value for key, value in p.items() if key.startswith(f"{name}.")}


def named(name: str, gradients: Gradients) -> Gradients:
    """The reverse: a part's gradients, less its input's, under their full names."""
    return {f"{name}.{key}": value for key, value in gradients.items() if key != "x"}


def _activated(x: Batch, name: str) -> Batch:
    f = FUNCTIONS[name]
    return mapped(lambda one: through(f.value, one, f.value_ulps), x)


def _slopes(x: Batch, name: str) -> Batch:
    f = FUNCTIONS[name]
    return mapped(lambda one: through(f.slope, one, f.slope_ulps), x)


def _norm(x: Batch, p: Parameters, eps: float) -> Batch:
    return layers.layer_norm(x, p["norm.weight"], p["norm.bias"], eps)


def _stacked(p: Parameters, name: str) -> bool:
    """Whether every token has a weight of its own."""
    return isinstance(p[f"{name}.weight"][0][0], list)


def _linear(x: Batch, p: Parameters, name: str) -> Batch:
    layer = layers.per_token_linear if _stacked(p, name) else layers.linear
    return layer(x, p[f"{name}.weight"], p.get(f"{name}.bias"))


def _linear_back(ct: Batch, x: Batch, p: Parameters, name: str) -> tuple[Batch, Gradients]:
    """The input's gradient, and those of the parameters that there are."""
    back = layers.per_token_linear_gradients if _stacked(p, name) else layers.linear_gradients
    found = back(ct, x, p[f"{name}.weight"])
    return found["x"], {k: v for k, v in named(name, found).items() if k in p}


# Feed-forward -----------------------------------------------------------------

# What a network computes of h, and how a cotangent comes back: (p, h) and (ct, p, h).
Inside = Callable[[Parameters, Batch], Batch]
Back = Callable[[Batch, Parameters, Batch], tuple[Batch, Gradients]]


def _residual(x: Batch, p: Parameters, eps: float, norm: str, inside: Inside) -> Batch:
    """x + inside(LayerNorm(x)), or post-norm LayerNorm(x + inside(x))."""
    if norm == "post":
        return _norm(plus(x, inside(p, x)), p, eps)
    return plus(x, inside(p, _norm(x, p, eps)))


def _residual_back(
    ct: Batch, x: Batch, p: Parameters, eps: float, norm: str, inside: Inside, back: Back
) -> Gradients:
    if norm == "post":
        last = layers.layer_norm_gradients(ct, plus(x, inside(p, x)), p["norm.weight"], eps)
        dx, found = back(last["x"], p, x)
        return {"x": plus(last["x"], dx), **named("norm", last), **found}
    dh, found = back(ct, p, _norm(x, p, eps))
    first = layers.layer_norm_gradients(dh, x, p["norm.weight"], eps)
    return {"x": plus(ct, first["x"]), **named("norm", first), **found}


def _standard(activation: str) -> tuple[Inside, Back]:
    """W₂ f(W₁ h + b₁) + b₂."""

    def inside(p: Parameters, h: Batch) -> Batch:
        return _linear(_activated(_linear(h, p, "linear1"), activation), p, "linear2")

    def back(ct: Batch, p: Parameters, h: Batch) -> tuple[Batch, Gradients]:
        inner = _linear(h, p, "linear1")
        d_outer, second = _linear_back(ct, _activated(inner, activation), p, "linear2")
        dh, first = _linear_back(times(d_outer, _slopes(inner, activation)), h, p, "linear1")
        return dh, {**first, **second}

    return inside, back


def _gated(p: Parameters, h: Batch) -> Batch:
    """W₂ (SiLU(W₁ h) · W₃ h)."""
    gate, up = _linear(h, p, "w1"), _linear(h, p, "w3")
    return _linear(times(_activated(gate, "silu"), up), p, "w2")


def _gated_back(ct: Batch, p: Parameters, h: Batch) -> tuple[Batch, Gradients]:
    gate, up = _linear(h, p, "w1"), _linear(h, p, "w3")
    opened = _activated(gate, "silu")
    d_product, down = _linear_back(ct, times(opened, up), p, "w2")
    d_gate = times(times(d_product, up), _slopes(gate, "silu"))
    dh_gate, first = _linear_back(d_gate, h, p, "w1")
    dh_up, third = _linear_back(times(d_product, opened), h, p, "w3")
    return plus(dh_gate, dh_up), {**first, **down, **third}


def feed_forward(x: Batch, p: Parameters, activation: str, eps: float, norm: str = "pre") -> Batch:
    """x + W₂ f(W₁ LayerNorm(x) + b₁) + b₂, or post-norm."""
    return _residual(x, p, eps, norm, _standard(activation)[0])


def feed_forward_gradients(
    ct: Batch, x: Batch, p: Parameters, activation: str, eps: float, norm: str = "pre"
) -> Gradients:
    return _residual_back(ct, x, p, eps, norm, *_standard(activation))


def swiglu_feed_forward(x: Batch, p: Parameters, eps: float, norm: str = "pre") -> Batch:
    """x + W₂ (SiLU(W₁ h) · W₃ h) with h = LayerNorm(x), or post-norm."""
    return _residual(x, p, eps, norm, _gated)


def swiglu_feed_forward_gradients(
    ct: Batch, x: Batch, p: Parameters, eps: float, norm: str = "pre"
) -> Gradients:
    return _residual_back(ct, x, p, eps, norm, _gated, _gated_back)


# Self-attention ---------------------------------------------------------------


def _heads(x: Batch, count: int) -> Batch:
    """Every head of every sequence by itself: [b count + h][t][i]."""
    width = len(x[0][0]) // count
    return [
        [row[h * width : (h + 1) * width] for row in sequence]
        for sequence in x
        for h in range(count)
    ]


def _joined(heads: Batch, count: int) -> Batch:
    """The reverse of _heads."""
    return [
        [sum((head[t] for head in heads[b : b + count]), []) for t in range(len(heads[b]))]
        for b in range(0, len(heads), count)
    ]


def self_attention(x: Batch, p: Parameters, num_heads: int) -> Batch:
    q, k, v = (_heads(_linear(x, p, name), num_heads) for name in ("query", "key", "value"))
    return _linear(_joined(layers.attention(q, k, v), num_heads), p, "output")


def self_attention_gradients(ct: Batch, x: Batch, p: Parameters, num_heads: int) -> Gradients:
    q, k, v = (_heads(_linear(x, p, name), num_heads) for name in ("query", "key", "value"))
    joined = _joined(layers.attention(q, k, v), num_heads)
    d_joined, found = _linear_back(ct, joined, p, "output")
    parts = layers.attention_gradients(_heads(d_joined, num_heads), q, k, v)
    dx: Batch | None = None
    for name in ("query", "key", "value"):
        share, gradients = _linear_back(_joined(parts[name], num_heads), x, p, name)
        dx = share if dx is None else plus(dx, share)
        found |= gradients
    return {"x": dx, **found}


# Mixer, block and model -------------------------------------------------------


def token_mixer(x: Batch, p: Parameters, num_heads: int, mixing: str, eps: float) -> Batch:
    """LayerNorm(x + mixed x)."""
    return _norm(plus(x, layers.token_mix(x, num_heads, mixing)), p, eps)


def token_mixer_gradients(
    ct: Batch, x: Batch, p: Parameters, num_heads: int, mixing: str, eps: float
) -> Gradients:
    both = plus(x, layers.token_mix(x, num_heads, mixing))
    norm = layers.layer_norm_gradients(ct, both, p["norm.weight"], eps)
    dx = plus(norm["x"], layers.token_mix_gradient(norm["x"], num_heads, mixing))
    return {"x": dx, **named("norm", norm)}


def block(
    x: Batch,
    p: Parameters,
    num_heads: int,
    ffn: str,
    activation: str,
    mixing: str,
    eps: float,
    norm: str = "guide",
) -> Batch:
    mixed = token_mixer(x, part(p, "mixer"), num_heads, mixing, eps)
    if "swiglu" in ffn:
        return swiglu_feed_forward(mixed, part(p, "ffn"), eps, norm)
    return feed_forward(mixed, part(p, "ffn"), activation, eps, norm)


def block_gradients(
    ct: Batch,
    x: Batch,
    p: Parameters,
    num_heads: int,
    ffn: str,
    activation: str,
    mixing: str,
    eps: float,
    norm: str = "guide",
) -> Gradients:
    mixed = token_mixer(x, part(p, "mixer"), num_heads, mixing, eps)
    if "swiglu" in ffn:
        network = swiglu_feed_forward_gradients(ct, mixed, part(p, "ffn"), eps, norm)
    else:
        network = feed_forward_gradients(ct, mixed, part(p, "ffn"), activation, eps, norm)
    mixer = token_mixer_gradients(network["x"], x, part(p, "mixer"), num_heads, mixing, eps)
    return {"x": mixer["x"], **named("mixer", mixer), **named("ffn", network)}


def _embedded(ids: list[list[int]], p: Parameters) -> Batch:
    tokens = layers.embedding(ids, p["token_embedding.weight"])
    return [plus(sequence, p["position_embedding.weight"]) for sequence in tokens]


def model(ids: list[list[int]], p: Parameters, num_layers: int, **how: Any) -> Batch:
    """Token plus position embeddings, then the blocks."""
    x = _embedded(ids, p)
    for layer in range(num_layers):
        x = block(x, part(p, f"blocks.{layer}"), **how)
    return x


def model_gradients(
    ct: Batch, ids: list[list[int]], p: Parameters, num_layers: int, **how: Any
) -> Gradients:
    inputs = [_embedded(ids, p)]
    for layer in range(num_layers - 1):
        inputs.append(block(inputs[-1], part(p, f"blocks.{layer}"), **how))
    found: Gradients = {}
    for layer in reversed(range(num_layers)):
        name = f"blocks.{layer}"
        gradients = block_gradients(ct, inputs[layer], part(p, name), **how)
        found = named(name, gradients) | found
        ct = gradients["x"]
    positions = [list(range(len(sequence))) for sequence in ids]
    return {
        "token_embedding.weight": layers.embedding_gradient(ct, ids, p["token_embedding.weight"]),
        "position_embedding.weight": layers.embedding_gradient(
            ct, positions, p["position_embedding.weight"]
        ),
        **found,
    }


# Experts ----------------------------------------------------------------------

# Gates of a router, (p, s), and how their cotangents come back to s and p, (ct, p, s).
Gates = tuple[Callable[[Parameters, Batch], Batch], Back]


def _scaled(e: Batch, gates: Batch, j: int) -> Batch:
    """Each token's row times its gate of expert j."""
    return [
        [[g[j] * one for one in row] for row, g in zip(sequence, gs, strict=True)]
        for sequence, gs in zip(e, gates, strict=True)
    ]


def _expert(p: Parameters, j: int) -> Parameters:
    """The parameters of expert j of every token, as those of a per-token network."""
    return {name: [token[j] for token in value] for name, value in p.items()}


def _count(p: Parameters) -> int:
    """How many experts a token has."""
    return len(next(iter(p.values()))[0])


def relu_gates() -> Gates:
    """ReLU(h(s))."""

    def gates(p: Parameters, s: Batch) -> Batch:
        return _activated(_linear(s, p, "sparse"), "relu")

    def back(ct: Batch, p: Parameters, s: Batch) -> tuple[Batch, Gradients]:
        return _linear_back(times(ct, _slopes(_linear(s, p, "sparse"), "relu")), s, p, "sparse")

    return gates, back


def top_k_gates(k: int) -> Gates:
    """E / k softmax(h(s)) where the score is one of the k largest of its token."""

    def chosen(scores: list[Any]) -> list[Any]:
        least = sorted((value_of(one) for one in scores), reverse=True)[k - 1]
        return [mp.mpf(len(scores)) / k * (value_of(one) >= least) for one in scores]

    def gates(p: Parameters, s: Batch) -> Batch:
        return [
            [times(chosen(scores), rows.softmax(scores)) for scores in sequence]
            for sequence in _linear(s, p, "scores")
        ]

    def back(ct: Batch, p: Parameters, s: Batch) -> tuple[Batch, Gradients]:
        d_scores = [
            [rows.softmax_gradient(times(chosen(x), c), x) for c, x in zip(cs, xs, strict=True)]
            for cs, xs in zip(ct, _linear(s, p, "scores"), strict=True)
        ]
        return _linear_back(d_scores, s, p, "scores")

    return gates, back


def _experts_of(p: Parameters) -> tuple[Inside, Back]:
    return (_gated, _gated_back) if "w1.weight" in p else _standard("gelu")


def mixture(s: Batch, p: Parameters, router: Gates) -> Batch:
    """Σ_j G_j e_j(s), and the shared experts with gates of 1."""
    own, shared = part(p, "experts"), part(p, "shared")
    gates = router[0](part(p, "router"), s)
    inside = _experts_of(own)[0]
    terms = [_scaled(inside(_expert(own, j), s), gates, j) for j in range(_count(own))]
    terms += [inside(_expert(shared, j), s) for j in range(_count(shared) if shared else 0)]
    v = terms[0]
    for term in terms[1:]:
        v = plus(v, term)
    return v


def mixture_gradients(ct: Batch, s: Batch, p: Parameters, router: Gates) -> Gradients:
    own, shared = part(p, "experts"), part(p, "shared")
    inside, back = _experts_of(own)
    gates = router[0](part(p, "router"), s)
    outputs = [inside(_expert(own, j), s) for j in range(_count(own))]
    d_gates = [
        [[dot(c, e[b][t]) for e in outputs] for t, c in enumerate(sequence)]
        for b, sequence in enumerate(ct)
    ]
    ds, found = router[1](d_gates, part(p, "router"), s)
    gradients = named("router", found)
    for name, parameters in (("experts", own), ("shared", shared)):
        by_expert = []
        for j in range(_count(parameters) if parameters else 0):
            c = _scaled(ct, gates, j) if name == "experts" else ct
            more, one = back(c, _expert(parameters, j), s)
            ds = plus(ds, more)
            by_expert.append(one)
        gradients |= {
            f"{name}.{key}": [[one[key][t] for one in by_expert] for t in range(len(s[0]))]
            for key in parameters
        }
    return {"x": ds, **gradients}


# TokenMixer-Large -------------------------------------------------------------


def heads(x: Batch, count: int) -> Batch:
    """Token n of the result has chunk n of every token: T tokens of count chunks change places."""
    width = len(x[0][0]) // count
    return [
        [sum((row[n * width : (n + 1) * width] for row in sequence), []) for n in range(count)]
        for sequence in x
    ]


def _stage(x: Batch, to: Batch, p: Parameters, norm: str, eps: float) -> Batch:
    """to + F(norm(x)), or with the norm outside norm(to + F(x))."""
    if norm == "outside":
        return layers.rms_norm(plus(to, _gated(p, x)), p["norm.weight"], eps)
    return plus(to, _gated(p, layers.rms_norm(x, p["norm.weight"], eps)))


def _stage_back(
    ct: Batch, x: Batch, to: Batch, p: Parameters, norm: str, eps: float
) -> tuple[Batch, Batch, Gradients]:
    """The gradients of x, of to, and of the parameters."""
    weight = p["norm.weight"]
    if norm == "outside":
        last = layers.rms_norm_gradients(ct, plus(to, _gated(p, x)), weight, eps)
        dx, found = _gated_back(last["x"], p, x)
        return dx, last["x"], {**named("norm", last), **found}
    dh, found = _gated_back(ct, p, layers.rms_norm(x, weight, eps))
    first = layers.rms_norm_gradients(dh, x, weight, eps)
    return first["x"], ct, {**named("norm", first), **found}


def large_block(x: Batch, p: Parameters, num_heads: int, norm: str, eps: float) -> Batch:
    h = heads(x, num_heads)
    m = _stage(h, h, part(p, "mixed"), norm, eps)
    return _stage(heads(m, len(x[0])), x, part(p, "reverted"), norm, eps)


def large_block_gradients(
    ct: Batch, x: Batch, p: Parameters, num_heads: int, norm: str, eps: float
) -> Gradients:
    h = heads(x, num_heads)
    mixed, reverted = part(p, "mixed"), part(p, "reverted")
    r = heads(_stage(h, h, mixed, norm, eps), len(x[0]))
    dr, dx, second = _stage_back(ct, r, x, reverted, norm, eps)
    dh, d_sum, first = _stage_back(heads(dr, num_heads), h, h, mixed, norm, eps)
    dx = plus(dx, heads(plus(dh, d_sum), len(x[0])))
    return {"x": dx, **named("mixed", first), **named("reverted", second)}
