"""Bugs of what surrounds the numbers: inputs written to, dtypes, shapes, NaN, and chance."""

from collections.abc import Callable

import numpy as np

from ....array import Array, ignoring_fp_errors
from ..stages import Inputs
from ..textbook import Textbook
from .registry import Override, table
from .steps import chance, of_output

__all__ = ["BUGS"]


def _refused(refuse: Callable[[Array], bool], words: str) -> Override:
    """An override that refuses some inputs."""

    def forward(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Array:
        if refuse(inputs["x"]):
            raise ValueError(words)
        y: Array = f(stage, inputs)
        return y

    return forward


def _input_overwritten(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Array:
    y: Array = f(stage, inputs)
    with ignoring_fp_errors():
        inputs["x"][...] -= inputs["x"].mean(axis=-1, keepdims=True)
    return y


def _cotangent_overwritten(
    s: Textbook, f: Override, stage: str, inputs: Inputs, cotangent: Array
) -> dict[str, Array]:
    found: dict[str, Array] = f(stage, inputs, cotangent)
    with ignoring_fp_errors():
        cotangent += found["x"]
    return found


def _weight_overwritten(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Array:
    y: Array = f(stage, inputs)
    weight = inputs.get("weight", np.zeros((1, 2)))
    if weight.shape[0] == weight.shape[-1]:
        weight[...] = weight.T.copy()
    return y


def _other_dtype(s: Textbook, x: Array) -> Array:
    with ignoring_fp_errors():
        return x.astype(np.float32 if s.dtype == "float64" else np.float64)


def _buffer_reused(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Array:
    y = f(stage, inputs)
    buffers = s.__dict__.setdefault("buffers", {})
    kept: Array = buffers.setdefault((stage, y.shape), np.empty_like(y))
    kept[...] = y
    return kept


def _piled_up(
    s: Textbook, f: Override, stage: str, inputs: Inputs, cotangent: Array
) -> dict[str, Array]:
    found: dict[str, Array] = f(stage, inputs, cotangent)
    kept = s.__dict__.setdefault("kept", {})
    for name, one in found.items():
        key = stage, name, one.shape
        with ignoring_fp_errors():
            kept[key] = one + kept.get(key, 0)
    return {name: kept[stage, name, one.shape] for name, one in found.items()}


def _race(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Array:
    y: Array = f(stage, inputs)
    rows = y.reshape(-1, y.shape[-1])
    i, j = chance(s).integers(0, len(rows), 2)
    rows[i] = rows[j]
    return rows.reshape(y.shape)


BUGS = table("contracts", [
    ("layer_norm softmax", "forward"),
    ("input-overwritten", _input_overwritten,
     "the result of the subtraction is written over the input"),
    ("gelu layer_norm", "vjp"),
    ("cotangent-overwritten", _cotangent_overwritten,
     "the backward adds to its cotangent in place"),
    ("linear", "forward"),
    ("weight-overwritten", _weight_overwritten,
     "the weight is transposed in place when it is square"),
    ("layer_norm gelu token_mix", "wrapped"),
    ("nan-hidden",
     lambda s, f, inputs: f(
         {**inputs, "x": np.where(np.isnan(x := inputs["x"]), x.dtype.type(0), x)}),
     "NaN in the input becomes zero"),
    ("gelu token_mix", "forward"),
    ("nan-everywhere", of_output(lambda y: y * y.dtype.type(np.nan) if np.isnan(y).any() else y),
     "one NaN makes the whole result NaN, as a check of the whole tensor does"),
    ("silu softmax", "forward"),
    ("nan-refused", _refused(lambda x: bool(np.isnan(x).any()), "there is NaN in the input"),
     "NaN in the input is refused, as a check of all numbers does"),
    ("gelu linear", "forward"),
    ("result-in-other-dtype", lambda s, f, stage, inputs: _other_dtype(s, f(stage, inputs)),
     "the output comes in float32 where float64 came in, and else in float64"),
    ("linear", "vjp"),
    ("gradient-in-other-dtype",
     lambda s, f, stage, inputs, ct: {
         **(g := f(stage, inputs, ct)), "weight": _other_dtype(s, g["weight"])},
     "the weight's gradient comes in float32 where float64 came in, and else in float64"),
    ("layer_norm token_mix", "forward"),
    ("output-transposed", of_output(lambda y: y.swapaxes(0, 1)),
     "the batch and the tokens of the output are exchanged"),
    ("linear embedding", "forward"),
    ("axes-flattened", of_output(lambda y: y.reshape(-1, y.shape[-1])),
     "the output is a matrix of tokens: the axis of the batch is lost"),
    ("softmax", "forward"),
    ("axes-squeezed", of_output(np.squeeze), "axes of length one are lost"),
    ("linear", "vjp"),
    ("bias-gradient-not-reduced",
     lambda s, f, stage, inputs, ct: {**f(stage, inputs, ct), "bias": ct.copy()},
     "the bias's gradient is not summed over the tokens"),
    ("bias-gradient-over-first-axis",
     lambda s, f, *args: {**f(*args), "bias": args[2].sum(axis=0)},
     "the bias's gradient is summed over the first axis, as if there were two"),
    ("weight-gradient-not-reduced",
     lambda s, f, stage, inputs, ct: {
         **f(stage, inputs, ct), "weight": ct.swapaxes(1, 2) @ inputs["x"]},
     "the weight's gradient is not summed over the batch"),
    ("linear layer_norm", "vjp"),
    ("bias-gradient-left-out",
     lambda s, f, *args: {name: g for name, g in f(*args).items() if name != "bias"},
     "the bias's gradient is not returned"),
    ("layer_norm linear", "forward"),
    ("gaps-refused", _refused(lambda x: not x.flags.c_contiguous, "the input must be contiguous"),
     "arrays with gaps, or in Fortran's order, are refused"),
    ("token_mix gelu", "forward"),
    ("buffer-reused", _buffer_reused,
     "every call returns the same buffer, which the next one overwrites"),
    ("linear", "vjp"),
    ("gradients-pile-up", _piled_up, "gradients are added to those of the call before", "unsteady"),
    ("layer_norm softmax", "forward"),
    ("tokens-race", _race,
     "two threads write one token, and which of them is last is left to chance", "unsteady"),
])  # fmt: skip
