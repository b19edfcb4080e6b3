"""Bugs of what surrounds the numbers: inputs written to, dtypes, shapes, NaN, and chance."""

from collections.abc import Callable

import numpy as np

from ....array import Array
from ..stages import Inputs
from ..textbook import Textbook
from .overrides import of_output
from .registry import Override, table
from .steps import chance, in_buffer

__all__ = ["BUGS"]


def _refused(refuse: Callable[[Array], bool]) -> Override:
    """An override that refuses some inputs."""

    def forward(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Array:
        if refuse(inputs["x"]):
            raise ValueError("such an input is refused")
        y: Array = f(stage, inputs)
        return y

    return forward


def _spoils(spoil: Callable[[Inputs], object]) -> Override:
    """An override that spoils the inputs when it is done with them."""
    return lambda s, f, stage, inputs: (f(stage, inputs), spoil(inputs))[0]


def _input_overwritten(inputs: Inputs) -> None:
    inputs["x"][...] -= inputs["x"].mean(axis=-1, keepdims=True)


def _weight_overwritten(inputs: Inputs) -> None:
    weight = inputs.get("weight", np.zeros((1, 2)))
    if weight.shape[0] == weight.shape[-1]:
        weight[...] = weight.T.copy()


def _other_dtype(s: Textbook, x: Array) -> Array:
    return x.astype(np.float32 if s.dtype == "float64" else np.float64)


def _piled_up(s: Textbook, f: Override, stage: str, *more: object) -> dict[str, Array]:
    return {
        name: in_buffer(s, f"{stage} {name}", one, add=True).copy()
        for name, one in f(stage, *more).items()
    }


def _race(s: Textbook, f: Override, *args: object) -> Array:
    y: Array = f(*args)
    rows = y.reshape(-1, y.shape[-1])
    i, j = chance(s).integers(0, len(rows), 2)
    rows[i] = rows[j]
    return rows.reshape(y.shape)


def _gradient(name: str, other: Override) -> Override:
    """An override with another gradient of one input, by what is right, inputs and cotangent."""
    return lambda s, f, stage, inputs, ct: {
        **(g := f(stage, inputs, ct)),
        name: other(s, g[name], inputs, ct),
    }


BUGS = table("contracts", [
    ("layer_norm softmax", "forward", _spoils),
    ("input-overwritten", _input_overwritten, "the subtraction's result is written over the input"),
    ("linear", "forward", _spoils),
    ("weight-overwritten", _weight_overwritten, "a square weight is transposed in place"),
    ("gelu layer_norm", "vjp"),
    ("cotangent-overwritten",
     lambda s, f, *args: (g := f(*args), np.add(args[2], g["x"], out=args[2]))[0],
     "the backward adds to its cotangent in place"),
    ("layer_norm gelu token_mix", "wrapped"),
    ("nan-hidden",
     lambda s, f, inputs: f(
         {**inputs, "x": np.where(np.isnan(x := inputs["x"]), x.dtype.type(0), x)}),
     "NaN in the input becomes zero"),
    ("gelu token_mix", "forward", of_output),
    ("nan-everywhere", lambda y: y * y.dtype.type(np.nan) if np.isnan(y).any() else y,
     "one NaN makes the whole result NaN, as a check of the whole tensor does"),
    ("silu softmax", "forward", _refused),
    ("nan-refused", lambda x: bool(np.isnan(x).any()), "NaN in the input is refused"),
    ("layer_norm linear", "forward", _refused),
    ("gaps-refused", lambda x: not x.flags.c_contiguous, "arrays with gaps are refused"),
    ("gelu linear", "forward"),
    ("result-in-other-dtype", lambda s, f, stage, inputs: _other_dtype(s, f(stage, inputs)),
     "the output comes in float32 where float64 came in, and else in float64"),
    ("layer_norm token_mix", "forward", of_output),
    ("output-transposed", lambda y: y.swapaxes(0, 1), "batch and tokens are exchanged"),
    ("linear embedding", "forward", of_output),
    ("axes-flattened", lambda y: y.reshape(-1, y.shape[-1]), "the axis of the batch is lost"),
    ("softmax", "forward", of_output),
    ("axes-squeezed", np.squeeze, "axes of length one are lost"),
    ("linear", "vjp"),
    ("gradient-in-other-dtype", _gradient("weight", lambda s, g, inputs, ct: _other_dtype(s, g)),
     "the weight's gradient comes in float32 where float64 came in, and else in float64"),
    ("bias-gradient-not-reduced", _gradient("bias", lambda s, g, inputs, ct: ct.copy()),
     "the bias's gradient is not summed over the tokens"),
    ("bias-gradient-over-first-axis", _gradient("bias", lambda s, g, inputs, ct: ct.sum(axis=0)),
     "the bias's gradient is summed over the first axis, as if there were two"),
    ("weight-gradient-not-reduced",
     _gradient("weight", lambda s, g, inputs, ct: ct.swapaxes(1, 2) @ inputs["x"]),
     "the weight's gradient is not summed over the batch"),
    ("gradients-pile-up", _piled_up, "gradients are added to those of the call before", "unsteady"),
    ("linear layer_norm", "vjp"),
    ("bias-gradient-left-out",
     lambda s, f, *args: {name: g for name, g in f(*args).items() if name != "bias"},
     "the bias's gradient is not returned"),
    ("token_mix gelu", "forward"),
    ("buffer-reused", lambda s, f, *args: in_buffer(s, args[0], f(*args)),
     "every call returns the same buffer, which the next one overwrites"),
    ("layer_norm softmax", "forward"),
    ("tokens-race", _race,
     "two threads write one token, and which of them is last is left to chance", "unsteady"),
])  # fmt: skip
