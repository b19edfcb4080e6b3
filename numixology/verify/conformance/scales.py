"""By what an error is measured: the size of what is rounded on the way to each number.

An error of one rounding means little by itself: relative to a result that came about by canceling
it may be everything. So each number has a scale, and errors are given in roundings of it. A kernel
rounds twice: what it stores, to its format, and what it adds up before, to the accumulation::

    scale = the larger of stored and finer · (terms + √n/5 · stored)

``stored`` is |result|, or what else may be stored on the way, ``terms`` the sum of the sizes of
all n terms, and ``finer`` one rounding of the accumulation in roundings of the format. n roundings
of sums that wander, the signs of the terms being mixed, come to less than one of ``terms``, in any
order. Sums of positive terms grow to the result; n roundings of them come to √n/6 of one of it. In
a format of few digits they all go one way: terms below the last digit of the sum are lost.

A backend may say that it does less than the reference. Its profiles widen the scales: where it
passes only so, that is listed as a known difference.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ... import functional as F
from ...array import Array, ignoring_fp_errors
from .cases import Case, Truth, in_float64
from .formats import Format, format_of
from .stages import NETWORKS
from .textbook import Textbook

__all__ = ["GUARD", "PROFILES", "Scales", "scales_of"]

#: How many roundings of the scale a backend may take where the reference takes one.
GUARD = 8.0
_FEW_DIGITS = 11

#: What a backend may declare, and what that means.
PROFILES = {
    "tails": "activations are accurate relative to their input, not to tiny results in the tails",
    "steps": "activations are calculated step by step, and every step is rounded to the format",
    "sums": "sums are rounded to the format at every term",
    "offsets": "LayerNorm loses to an offset of its rows that offset's share of its digits",
    "constants": "eps and the constants of the tanh GELU are rounded to float32",
    "subnormals": "results below the smallest normal number may come out as zero",
}

Profile: TypeAlias = Collection[str]
Scales: TypeAlias = dict[str, Array]
Settings: TypeAlias = Mapping[str, Any]


class Sum(NamedTuple):
    """What is stored if not the result alone, the sizes of the terms, and how many there are."""

    stored: Array | float = 0.0
    terms: Array | float = 0.0
    n: int = 0

    def formed(self, wide: Format, stored: Array) -> Array:
        """The size of what is rounded while the sum is formed."""
        growth = np.sqrt(self.n) / 5
        if wide.digits > _FEW_DIGITS:
            return np.asarray(self.terms + growth * stored)
        growth = max(growth, min(self.n, 1 / wide.unit) / GUARD)  # small terms may all be lost,
        in_range = self.terms < 2.0**wide.highest  # and a sum be infinite on its way
        return np.where(in_range, self.terms + growth * stored, np.inf)


Sums: TypeAlias = dict[str, Sum]
Rule: TypeAlias = Callable[[Settings, Array, Truth, Profile], Sums]


def scales_of(
    case: Case, truth: Truth, profile: Profile = (), accumulation: str = "", once: bool = False
) -> Scales:
    """The scale of every number of the output and of every gradient.

    Args:
        case: what was computed.
        truth: what is true of it.
        profile: some of :data:`PROFILES`.
        accumulation: the dtype in which sums are formed; by default the format's wide one.
        once: whether nothing but the result is stored, so that it is rounded to the format once.

    Returns:
        Arrays of the shapes of the output and the gradients, under ``"output"`` and their names.
    """
    p, ct = in_float64(case.inputs), case.cotangent.astype(np.float64)
    form, (rule, coarse) = format_of(case.dtype), _RULES[case.stage]
    wide = format_of(accumulation or np.dtype(form.wide).name)
    if any(name in profile for name in coarse):
        wide = form
    finer, more, found = wide.unit / form.unit, 1.0, {}
    if "constants" in profile and (case.stage == "gelu_tanh" or "eps" in p):
        more += format_of("float32").unit / form.unit
    with ignoring_fp_errors():
        least, sums = _least(case.stage, p, ct, form, profile), rule(p, ct, truth, profile)
        for name, result in truth.tensors.items():
            one = sums.get(name, Sum())
            stored = np.maximum(np.abs(result), one.stored)
            formed = finer * one.formed(wide, stored)
            scale = np.abs(result) / GUARD + formed if once else np.maximum(stored, formed)
            scale = np.where(np.isnan(scale), 0.0, more * scale)
            found[name] = np.broadcast_to(scale + least, result.shape)
    return found


def _least(stage: str, p: Settings, ct: Array, form: Format, profile: Profile) -> Any:
    """The smallest normal number, below which there are fewer digits, times what it is taken by."""
    least = 2.0**form.lowest
    if "subnormals" in profile:
        least /= GUARD * form.unit  # all of it
    if stage in _ACTIVATIONS:
        return least * (1 + np.abs(p["x"])) * (1 + np.abs(ct))
    if stage == "softmax":
        return least * (1 + np.abs(ct).max(axis=-1, keepdims=True, initial=0.0))
    return least


def _nothing(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
    return {}


def _embedding(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
    terms = np.zeros_like(p["weight"])
    np.add.at(terms, p["ids"], np.abs(ct))
    return {"weight": Sum(0.0, terms, int(np.bincount(p["ids"].ravel()).max(initial=0)))}


def _linear(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
    """x weightᵀ may be stored before the bias is added; a token may have weights of its own."""
    x, weight, bias, ct = (np.abs(a) for a in (p["x"], p["weight"], p["bias"], ct))
    t, (outputs, features) = "t" * (weight.ndim - 2), weight.shape[-2:]
    rows = len(x) if t else ct.size // outputs
    summed = partial(np.einsum, optimize=True)
    return {
        "output": Sum(bias, summed(f"bti,{t}oi->bto", x, weight) + bias, features),
        "x": Sum(0.0, summed(f"bto,{t}oi->bti", ct, weight), outputs),
        "weight": Sum(0.0, summed(f"bto,bti->{t}oi", ct, x), rows),
        "bias": Sum(0.0, summed(f"bto->{t}o", ct), rows),
    }


def _layer_norm(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
    """dx = rstd (c - mean(c) - h mean(c h)), where c = ct · weight; h may be stored for it.

    Of an offset, the forward loses the digits of what calculates; the backward, for which the mean
    may be stored, those of the format.
    """
    x, c = p["x"], ct * p["weight"]
    rows, features = tuple(range(x.ndim - 1)), x.shape[-1]
    n = x.size // features
    h, rstd = F.layer_norm(x, eps=p["eps"]), _rstd(x, p["eps"])
    offset = _offset(x, p["eps"]) if "offsets" in profile else 0.0
    y = np.abs(h * p["weight"]) + np.abs(p["bias"])
    moved = np.abs(c) + np.abs(_mean(c)) + np.abs(h * _mean(c * h))
    largest, ct = np.abs(c).max(axis=-1, keepdims=True), np.abs(ct)
    terms = ct * (1 + np.abs(h))
    length = np.sqrt(np.square(ct * h).sum(axis=rows))  # n roundings of random sign come to this
    # A mean is off by so much, and with it all of h: around one entry, terms have one sign.
    mean = (1 + offset) * (1 + np.sqrt(features) / 5)
    return {
        "output": Sum(y, mean * y.max(axis=-1, keepdims=True), features),
        "x": Sum(rstd * (moved + offset * largest), rstd * largest, features),
        "weight": Sum(length + (offset * terms).sum(axis=rows), (mean * terms).sum(axis=rows), n),
        "bias": Sum(0.0, ct.sum(axis=rows), n),
    }


def _rms_norm(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
    """dx = (c - h mean(c h)) / rms, where c = ct · weight; h may be stored for it."""
    x, c = p["x"], ct * p["weight"]
    rows, features = tuple(range(x.ndim - 1)), x.shape[-1]
    r = 1 / np.sqrt(_mean(x * x) + p["eps"])
    h = x * r
    counted, size = np.abs(ct * h), np.abs(c) * r
    return {
        "output": Sum(0.0, np.abs(truth.output), features),
        "x": Sum(
            size + np.abs(h * _mean(c * h)) * r,
            size + np.abs(h) * _mean(np.abs(c * h)) * r,
            features,
        ),
        "weight": Sum(
            np.sqrt(np.square(counted).sum(axis=rows)), counted.sum(axis=rows), x.size // features
        ),
    }


def _mean(x: Array) -> Array:
    return np.asarray(x.mean(axis=-1, keepdims=True))


def _rstd(x: Array, eps: float) -> Array:
    return np.asarray(1 / np.sqrt(_mean(np.square(x - _mean(x))) + eps))


def _offset(x: Array, eps: float) -> Array:
    """How many deviations a row's mean is from zero, or from the row's first entry if that is more.

    So much larger are the roundings of x, or of its differences to that entry.
    """
    mean = _mean(x)
    return np.asarray(np.maximum(np.abs(mean), np.abs(x[..., :1] - mean)) * _rstd(x, eps))


def _softmax(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
    """dx = y (ct - Σ ct y), where y may be stored; each of these is off by a rounding of its own.

    A difference x - max that is off by a rounding moves its exponential by as many as it is large.
    All cotangents may be shifted by one of them, and then the terms may all have one sign.
    """
    x, y = p["x"], truth.output
    total = (ct * y).sum(axis=-1, keepdims=True)
    length = np.sqrt(np.square(ct * y).sum(axis=-1, keepdims=True))
    amplified = y * (1 + np.where(y > 0, x.max(axis=-1, keepdims=True) - x, 0))
    largest = np.abs(ct).max(axis=-1, keepdims=True, initial=0.0)
    larger = np.abs(ct) + (1 + np.sqrt(x.shape[-1]) / 5) * largest
    return {
        "output": Sum(0.0, amplified, x.shape[-1]),
        "x": Sum(y * (np.abs(total) + length), amplified * larger, x.shape[-1]),
    }


def _activation(gate: Callable[[Array], tuple[Array, Array, Array, Array | float]]) -> Rule:
    """x g(x), where far to the left g(x) is an exponential whose exponent is off by a rounding.

    Far to the right a slope such as σ(u) (1 + x u' (1 - σ(u))) loses x u' roundings of 1.
    """

    def rule(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
        x, ct = p["x"], np.abs(ct)
        value, slope, exponent, steep = gate(x)
        left = 1 + np.where(x < 0, exponent, 0)
        size, coarse = np.abs(x), float("steps" in profile or "tails" in profile)
        by_x = value * (left + size) + size * slope * (1 + exponent)
        return {
            "output": Sum(0.0, size * value * left + coarse * size),
            "x": Sum(0.0, ct * (by_x + coarse * (1 + size * steep))),
        }

    return rule


def _normal_gate(x: Array) -> tuple[Array, Array, Array, float]:
    return F.normal_cdf(x), F.normal_pdf(x), x * x / 2, 1.0


def _sigmoid_gate(x: Array) -> tuple[Array, Array, Array, float]:
    return F.sigmoid(x), F.sigmoid(x) * F.sigmoid(-x), np.abs(x), 1.0


def _tanh_gate(x: Array) -> tuple[Array, Array, Array, Array]:
    x = np.clip(x, -1e3, 1e3)  # farther out every gate is flat
    u = np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)
    du = np.sqrt(8 / np.pi) * (1 + 3 * 0.044715 * x**2)
    steep = np.where(np.abs(u) < 50, np.maximum(du, 1), 1)  # farther out every tanh is 1
    return F.sigmoid(u), F.sigmoid(u) * F.sigmoid(-u) * du, np.abs(u), steep


def _network(stage: str) -> Rule:
    """The largest entry of each: what went into one number of a network is in all of them.

    Sums of n numbers of both signs are √n of these; so much larger are their terms. A profile of
    activations or of sums counts as if all of a tensor were made in its way.
    """

    def rule(p: Settings, ct: Array, truth: Truth, profile: Profile) -> Sums:
        rows, features = ct.size // ct.shape[-1], ct.shape[-1]
        width = max(x.shape[-1] for x in truth.gradients.values())
        size = {name: _largest(one) for name, one in truth.tensors.items()}
        x = p["x"] if "x" in p else p["token_embedding.weight"]
        offset, vanishing, coarse = 0.0, 0.0, dict.fromkeys(size, 0.0)
        if features <= 2:  # h is 0, or ±1: then c - mean(c) - h mean(c h) vanishes, of any c
            vanishing = max(size.values()) * _largest(_rstd(x, p["eps"]))
        if "offsets" in profile:
            offset = _largest(_offset(x, p["eps"]))
            # h is 0 in constant rows, and may be anything up to 1 for a backend
            norms = [name.removesuffix("bias") for name in size if name.endswith("norm.bias")]
            size |= {f"{one}weight": max(size[f"{one}weight"], size[f"{one}bias"]) for one in norms}
        if "steps" in profile or "tails" in profile:
            coarse = {name: max(one, size[name]) for name, one in _straight(stage, p, ct).items()}
        found = {}
        for name, one in size.items():
            n = width if name in ("output", "x") else max(width, rows)
            terms = np.sqrt(n) * (one + (1 + offset) * vanishing) + coarse[name]
            found[name] = Sum((1 + offset) * one, terms, n)
        return found

    return rule


class _Straight(Textbook):
    """A network whose activations return what they are given: so large are their roundings."""

    gelu = gelu_tanh = silu = relu = staticmethod(lambda x: x)


def _straight(stage: str, p: Settings, ct: Array) -> dict[str, float]:
    """The largest entries where activations are as large as their inputs, and their slopes 1.

    In its tail an activation is smaller than a rounding of its input, and so may be all of the
    gradients that come from it.
    """
    network = _Straight()
    found = network.vjp(stage, p, ct) | {"output": network.forward(stage, p)}
    return {name: _largest(one) for name, one in found.items()}


def _largest(x: Array) -> float:
    return float(np.abs(x).max(initial=0.0))


_ACTIVATIONS = ("gelu", "gelu_tanh", "silu")
_BOTH = ("steps", "sums")
#: By stage: what went into it, and under which profiles it calculates in the format itself.
_RULES: dict[str, tuple[Rule, Collection[str]]] = {
    "embedding": (_embedding, ("sums",)),
    "token_mix": (_nothing, ()),
    "token_revert": (_nothing, ()),
    "rms_norm": (_rms_norm, ("sums",)),
    "layer_norm": (_layer_norm, ("sums",)),
    "linear": (_linear, ("sums",)),
    "per_token_linear": (_linear, ("sums",)),
    "softmax": (_softmax, _BOTH),
    "gelu": (_activation(_normal_gate), ("steps",)),
    "gelu_tanh": (_activation(_tanh_gate), ("steps",)),
    "silu": (_activation(_sigmoid_gate), ("steps",)),
    **{name: (_network(name), _BOTH) for name in NETWORKS},
}
