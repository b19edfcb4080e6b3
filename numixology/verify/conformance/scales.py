"""By what an error is measured: the size of the terms that were added up to make each number.

An error of one rounding means little by itself: relative to a result that came about by canceling
it may be everything. So each number has a scale, the size of what went into it, and errors are
given in roundings of that scale.

A backend may say that it does less than the reference. Its profiles widen the scales: where it
passes only so, that is listed as a known difference.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

import numpy as np

from ... import functional as F
from ...array import Array, ignoring_fp_errors
from .cases import Case, Truth, in_float64
from .formats import Format, format_of

__all__ = ["PROFILES", "Scales", "scales_of"]

#: What a backend may declare, and what that means.
PROFILES = {
    "tails": "activations are accurate relative to their input, not to tiny results in the tails",
    "steps": "activations are calculated step by step, and every step is rounded to the format",
    "offsets": "LayerNorm loses to an offset of its rows that offset's share of its digits",
    "constants": "eps and the constants of the tanh GELU are rounded to float32",
    "subnormals": "results below the smallest normal number may come out as zero",
}

Profile: TypeAlias = Collection[str]
Scales: TypeAlias = dict[str, Array]
Settings: TypeAlias = Mapping[str, Any]


def scales_of(case: Case, truth: Truth, profile: Profile = ()) -> Scales:
    """The scale of every number of the output and of every gradient.

    Args:
        case: what was computed.
        truth: what is true of it.
        profile: some of :data:`PROFILES`.

    Returns:
        Arrays of the shapes of the output and the gradients, under ``"output"`` and their names.
    """
    p, ct = in_float64(case.inputs), np.abs(case.cotangent.astype(np.float64))
    form = format_of(case.dtype)
    least = 2.0**form.lowest  # smaller numbers have fewer digits
    if "subnormals" in profile:
        least /= 8 * form.unit  # a bound is of 8 roundings at least: so much is 2**lowest
    with ignoring_fp_errors():
        rule: Callable[..., Scales] = _RULES.get(case.stage, _network)
        found = rule(p, ct, truth, profile, form)
        if "constants" in profile:
            found = _with_constants(found, p, ct, case.stage, form)
        if case.stage in _ACTIVATIONS:
            least = least * (1 + np.abs(p["x"])) * (1 + ct)
    shapes = {"output": truth.output.shape} | {k: g.shape for k, g in truth.gradients.items()}
    return {name: np.broadcast_to(found[name] + least, shape) for name, shape in shapes.items()}


def _exact(p: Settings, ct: Array, truth: Truth, profile: Profile, form: Format) -> Scales:
    return {"output": np.abs(truth.output), "x": ct.max(initial=0.0)}


def _embedding(p: Settings, ct: Array, truth: Truth, profile: Profile, form: Format) -> Scales:
    sizes = np.zeros_like(p["weight"])
    np.add.at(sizes, p["ids"], ct)
    return {"output": np.abs(truth.output), "weight": sizes}


def _layer_norm(p: Settings, ct: Array, truth: Truth, profile: Profile, form: Format) -> Scales:
    x, weight = p["x"], np.abs(p["weight"])
    h = np.abs(F.layer_norm(x, eps=p["eps"]))
    rstd = 1 / _deviation(x, p["eps"])
    worse = 1 + _offset(x, p["eps"], form) if "offsets" in profile else 1.0
    rows = tuple(range(x.ndim - 1))
    return {
        "output": worse * (h * weight + np.abs(p["bias"])).max(axis=-1, keepdims=True),
        "x": worse * (ct * weight).max(axis=-1, keepdims=True) * rstd,
        "weight": (worse * ct * (1 + h)).sum(axis=rows),
        "bias": ct.sum(axis=rows),
    }


def _deviation(x: Array, eps: float) -> Array:
    h = x - x.mean(axis=-1, keepdims=True)
    deviation: Array = np.sqrt((h * h).mean(axis=-1, keepdims=True) + eps)
    return deviation


def _finer(form: Format) -> float:
    """One rounding of the dtype in which a kernel calculates, in roundings of the format."""
    return format_of(np.dtype(form.wide).name).unit / form.unit


def _offset(x: Array, eps: float, form: Format) -> Array:
    """How many deviations a row's mean is from zero: so much larger a kernel's roundings are."""
    found: Array = _finer(form) * np.abs(x.mean(axis=-1, keepdims=True)) / _deviation(x, eps)
    return found


def _with_constants(found: Scales, p: Settings, ct: Array, stage: str, form: Format) -> Scales:
    """What it makes of a result that eps, or the factors of x and x³, are off by a rounding."""
    single = format_of("float32").unit / form.unit
    if stage == "gelu_tanh":
        value, slope, exponent = _tanh_gate(p["x"])
        moved = np.abs(p["x"]) * slope * exponent
        by_x = ct * (value + np.abs(p["x"]) * slope) * (1 + exponent)
        return {"output": found["output"] + single * moved, "x": found["x"] + single * by_x}
    if "eps" not in p:
        return found
    if stage != "layer_norm":  # eps is all of var + eps at most
        return {name: scale * (1 + single) for name, scale in found.items()}
    x = p["x"]
    share = single * p["eps"] / _deviation(x, p["eps"]) ** 2  # by which 1 / √(var + eps) moves
    moved = share * np.abs(F.layer_norm(x, eps=p["eps"]))
    return {
        "output": found["output"] + moved * np.abs(p["weight"]),
        "x": found["x"] * (1 + share),
        "weight": found["weight"] + (ct * moved).sum(axis=tuple(range(x.ndim - 1))),
        "bias": found["bias"],
    }


def _linear(p: Settings, ct: Array, truth: Truth, profile: Profile, form: Format) -> Scales:
    x, weight = np.abs(p["x"]), np.abs(p["weight"])
    rows = ct.reshape(-1, ct.shape[-1])
    return {
        "output": x @ weight.T + np.abs(p["bias"]),
        "x": ct @ weight,
        "weight": rows.T @ x.reshape(-1, x.shape[-1]),
        "bias": rows.sum(axis=0),
    }


def _softmax(p: Settings, ct: Array, truth: Truth, profile: Profile, form: Format) -> Scales:
    """A difference that is off by a rounding moves its exponential by as many as it is large."""
    x, y = p["x"], truth.output
    amplified = y * (1 + x.max(axis=-1, keepdims=True) - x)
    return {"output": amplified, "x": amplified * (ct + (ct * y).sum(axis=-1, keepdims=True))}


def _activation(gate: Callable[[Array], tuple[Array, Array, Array]]) -> Callable[..., Scales]:
    """x g(x), where far to the left g(x) is an exponential whose exponent is off by a rounding."""

    def rule(p: Settings, ct: Array, truth: Truth, profile: Profile, form: Format) -> Scales:
        x = p["x"]
        value, slope, exponent = gate(x)
        left = 1 + np.where(x < 0, exponent, 0)
        output = np.abs(x) * value * left
        by_x = ct * (value * left + np.abs(x) * slope * (1 + exponent))
        coarse = 1.0 if "steps" in profile else _finer(form) if "tails" in profile else 0.0
        # σ(x) (1 + x (1 - σ(x))) loses x roundings where σ(x) is nearly 1
        return {
            "output": output + coarse * np.abs(x),
            "x": by_x + coarse * ct * (1 + np.abs(x)),
        }

    return rule


def _normal_gate(x: Array) -> tuple[Array, Array, Array]:
    return F.normal_cdf(x), F.normal_pdf(x), x * x / 2


def _sigmoid_gate(x: Array) -> tuple[Array, Array, Array]:
    return F.sigmoid(x), F.sigmoid(x) * F.sigmoid(-x), np.abs(x)


def _tanh_gate(x: Array) -> tuple[Array, Array, Array]:
    x = np.clip(x, -1e3, 1e3)  # farther out every gate is flat
    u = np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)
    du = np.sqrt(8 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return F.sigmoid(u), F.sigmoid(u) * F.sigmoid(-u) * du, np.abs(u)


def _network(p: Settings, ct: Array, truth: Truth, profile: Profile, form: Format) -> Scales:
    """The largest entry of each: what went into one number of a network is in all of them."""
    eps = p["eps"]
    worse = 1.0
    if "offsets" in profile:
        x = p["x"] if "x" in p else p["token_embedding.weight"]
        worse += float(_offset(x, eps, form).max())
    largest = {"output": np.abs(truth.output).max(initial=0.0)}
    largest |= {name: np.abs(one).max(initial=0.0) for name, one in truth.gradients.items()}
    if "offsets" in profile:  # h is 0 in constant rows, and may be anything up to 1 for a backend
        largest |= {
            name: max(size, largest[name.replace("weight", "bias")])
            for name, size in largest.items()
            if name.endswith("norm.weight")
        }
    return {name: worse * size for name, size in largest.items()}


_ACTIVATIONS = ("gelu", "gelu_tanh", "silu")
_RULES: dict[str, Callable[..., Scales]] = {
    "embedding": _embedding,
    "token_mix": _exact,
    "layer_norm": _layer_norm,
    "linear": _linear,
    "softmax": _softmax,
    "gelu": _activation(_normal_gate),
    "gelu_tanh": _activation(_tanh_gate),
    "silu": _activation(_sigmoid_gate),
}
