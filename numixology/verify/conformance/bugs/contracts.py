"""Bugs of what surrounds the numbers: inputs written to, dtypes, shapes, NaN, and chance."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ....array import Array, ignoring_fp_errors
from ..stages import Inputs
from ..textbook import Textbook
from .registry import Bug, Override, table

__all__ = ["BUGS"]

_Forward: TypeAlias = Callable[[str, Inputs], Array]
_Vjp: TypeAlias = Callable[[str, Inputs, Array], dict[str, Array]]


def _of_output(change: Callable[[Array], Array]) -> Override:
    """An override that changes the output."""
    return lambda s, right, stage, inputs: change(right(stage, inputs))


def _refused(refuse: Callable[[Array], bool], words: str) -> Override:
    """An override that refuses some inputs."""

    def forward(s: Textbook, right: _Forward, stage: str, inputs: Inputs) -> Array:
        if refuse(inputs["x"]):
            raise ValueError(words)
        return right(stage, inputs)

    return forward


def _input_overwritten(s: Textbook, right: _Forward, stage: str, inputs: Inputs) -> Array:
    y = right(stage, inputs)
    with ignoring_fp_errors():
        inputs["x"][...] -= inputs["x"].mean(axis=-1, keepdims=True)
    return y


def _cotangent_overwritten(
    s: Textbook, right: _Vjp, stage: str, inputs: Inputs, cotangent: Array
) -> dict[str, Array]:
    found = right(stage, inputs, cotangent)
    with ignoring_fp_errors():
        cotangent += found["x"]
    return found


def _weight_overwritten(s: Textbook, right: _Forward, stage: str, inputs: Inputs) -> Array:
    y, weight = right(stage, inputs), inputs.get("weight", np.zeros((1, 2)))
    if weight.shape[0] == weight.shape[-1]:
        weight[...] = weight.T.copy()
    return y


def _other_dtype(s: Textbook, x: Array) -> Array:
    with ignoring_fp_errors():
        return x.astype(np.float32 if s.dtype == "float64" else np.float64)


def _buffer_reused(s: Textbook, right: _Forward, stage: str, inputs: Inputs) -> Array:
    y = right(stage, inputs)
    buffers = s.__dict__.setdefault("buffers", {})
    kept: Array = buffers.setdefault((stage, y.shape), np.empty_like(y))
    kept[...] = y
    return kept


def _piled_up(
    s: Textbook, right: _Vjp, stage: str, inputs: Inputs, cotangent: Array
) -> dict[str, Array]:
    found = right(stage, inputs, cotangent)
    kept = s.__dict__.setdefault("kept", {})
    for name, one in found.items():
        key = stage, name, one.shape
        with ignoring_fp_errors():
            kept[key] = one + kept.get(key, 0)
    return {name: kept[stage, name, one.shape] for name, one in found.items()}


def _race(y: Array) -> Array:
    rows = y.reshape(-1, y.shape[-1])
    i, j = np.random.default_rng().integers(0, len(rows), 2)
    rows[i] = rows[j]
    return rows.reshape(y.shape)


def _bug(
    stages: str, step: str, name: str, description: str, override: Override, **flags: Any
) -> list[Bug]:
    return table("contracts", stages, step, [(name, description, override)], **flags)


BUGS = [
    *_bug("layer_norm softmax", "forward", "input-overwritten",
          "the result of the subtraction is written over the input", _input_overwritten),
    *_bug("gelu layer_norm", "vjp", "cotangent-overwritten",
          "the backward adds to its cotangent in place", _cotangent_overwritten),
    *_bug("linear", "forward", "weight-overwritten",
          "the weight is transposed in place when it is square", _weight_overwritten),
    *_bug("layer_norm gelu token_mix", "wrapped", "nan-hidden", "NaN in the input becomes zero",
          lambda s, right, inputs: right({**inputs, "x": np.where(
              np.isnan(x := inputs["x"]), x.dtype.type(0), x)})),
    *_bug("gelu token_mix", "forward", "nan-everywhere",
          "one NaN makes the whole result NaN, as a check of the whole tensor does",
          _of_output(lambda y: y * y.dtype.type(np.nan) if np.isnan(y).any() else y)),
    *_bug("silu softmax", "forward", "nan-refused",
          "NaN in the input is refused, as a check of all numbers does",
          _refused(lambda x: bool(np.isnan(x).any()), "there is NaN in the input")),
    *_bug("gelu linear", "forward", "result-in-other-dtype",
          "the output comes in float32 where float64 came in, and else in float64",
          lambda s, right, stage, inputs: _other_dtype(s, right(stage, inputs))),
    *_bug("linear", "vjp", "gradient-in-other-dtype",
          "the weight's gradient comes in float32 where float64 came in, and else in float64",
          lambda s, right, stage, inputs, ct: {
              **(found := right(stage, inputs, ct)), "weight": _other_dtype(s, found["weight"])}),
    *_bug("layer_norm token_mix", "forward", "output-transposed",
          "the batch and the tokens of the output are exchanged",
          _of_output(lambda y: y.swapaxes(0, 1))),
    *_bug("linear embedding", "forward", "axes-flattened",
          "the output is a matrix of tokens: the axis of the batch is lost",
          _of_output(lambda y: y.reshape(-1, y.shape[-1]))),
    *_bug("softmax", "forward", "axes-squeezed", "axes of length one are lost",
          _of_output(np.squeeze)),
    *_bug("linear", "vjp", "bias-gradient-not-reduced",
          "the bias's gradient is not summed over the tokens",
          lambda s, right, stage, inputs, ct: {**right(stage, inputs, ct), "bias": ct.copy()}),
    *_bug("linear layer_norm", "vjp", "bias-gradient-left-out",
          "the bias's gradient is not returned",
          lambda s, right, stage, inputs, ct: {
              name: one for name, one in right(stage, inputs, ct).items() if name != "bias"}),
    *_bug("layer_norm linear", "forward", "gaps-refused",
          "arrays with gaps, or in Fortran's order, are refused",
          _refused(lambda x: not x.flags.c_contiguous, "the input must be contiguous")),
    *_bug("token_mix gelu", "forward", "buffer-reused",
          "every call returns the same buffer, which the next one overwrites", _buffer_reused),
    *_bug("linear", "vjp", "gradients-pile-up",
          "gradients are added to those of the call before", _piled_up, unsteady=True),
    *_bug("layer_norm softmax", "forward", "tokens-race",
          "two threads write one token, and which of them is last is left to chance",
          _of_output(_race), unsteady=True),
]  # fmt: skip
