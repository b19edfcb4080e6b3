"""Bugs of what surrounds the numbers: inputs written to, dtypes, shapes, NaN, and chance."""

from typing import Any

import numpy as np

from ....array import Array, ignoring_fp_errors
from ..stages import Inputs
from ..textbook import Textbook
from .registry import known


@known("layer_norm", "softmax")
class InputOverwritten(Textbook):
    """The result of the subtraction is written over the input."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y = super().forward(stage, inputs)
        with ignoring_fp_errors():
            inputs["x"][...] -= inputs["x"].mean(axis=-1, keepdims=True)
        return y


@known("gelu", "layer_norm")
class CotangentOverwritten(Textbook):
    """The backward adds to its cotangent in place."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        with ignoring_fp_errors():
            cotangent += found["x"]
        return found


@known("linear")
class WeightOverwritten(Textbook):
    """The weight is transposed in place when it is square."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y, weight = super().forward(stage, inputs), inputs.get("weight", np.zeros((1, 2)))
        if weight.shape[0] == weight.shape[-1]:
            weight[...] = weight.T.copy()
        return y


@known("layer_norm", "gelu", "token_mix")
class NanHidden(Textbook):
    """NaN in the input becomes zero."""

    def wrapped(self, inputs: Inputs) -> dict[str, Any]:
        x = inputs["x"]
        return super().wrapped({**inputs, "x": np.where(np.isnan(x), x.dtype.type(0), x)})


@known("gelu", "token_mix")
class NanEverywhere(Textbook):
    """One NaN makes the whole result NaN, as a check of the whole tensor does."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y = super().forward(stage, inputs)
        return y * y.dtype.type(np.nan) if np.isnan(y).any() else y


@known("silu", "softmax")
class NanRefused(Textbook):
    """NaN in the input is refused, as a check of all numbers does."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        if np.isnan(inputs["x"]).any():
            raise ValueError("there is NaN in the input")
        return super().forward(stage, inputs)


@known("gelu", "linear")
class ResultInOtherDtype(Textbook):
    """The output comes in float32 where float64 came in, and else in float64."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        other = np.float32 if self.dtype == "float64" else np.float64
        with ignoring_fp_errors():
            return super().forward(stage, inputs).astype(other)


@known("linear")
class GradientInOtherDtype(Textbook):
    """The weight's gradient comes in float32 where float64 came in, and else in float64."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        other = np.float32 if self.dtype == "float64" else np.float64
        with ignoring_fp_errors():
            return {**found, "weight": found["weight"].astype(other)}


@known("layer_norm", "token_mix")
class OutputTransposed(Textbook):
    """The batch and the tokens of the output are exchanged."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        return super().forward(stage, inputs).swapaxes(0, 1)


@known("linear", "embedding")
class AxesFlattened(Textbook):
    """The output is a matrix of tokens: the axis of the batch is lost."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y = super().forward(stage, inputs)
        return y.reshape(-1, y.shape[-1])


@known("softmax")
class AxesSqueezed(Textbook):
    """Axes of length one are lost."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        return super().forward(stage, inputs).squeeze()


@known("linear")
class BiasGradientNotReduced(Textbook):
    """The bias's gradient is not summed over the tokens."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        return {**super().vjp(stage, inputs, cotangent), "bias": cotangent.copy()}


@known("linear", "layer_norm")
class BiasGradientLeftOut(Textbook):
    """The bias's gradient is not returned."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        return {name: one for name, one in found.items() if name != "bias"}


@known("layer_norm", "linear")
class GapsRefused(Textbook):
    """Arrays with gaps, or in Fortran's order, are refused."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        if not inputs["x"].flags.c_contiguous:
            raise ValueError("the input must be contiguous")
        return super().forward(stage, inputs)


@known("token_mix", "gelu")
class BufferReused(Textbook):
    """Every call returns the same buffer, which the next one overwrites."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y = super().forward(stage, inputs)
        buffers = self.__dict__.setdefault("buffers", {})
        kept: Array = buffers.setdefault((stage, y.shape), np.empty_like(y))
        kept[...] = y
        return kept


@known("linear", unsteady=True)
class GradientsPileUp(Textbook):
    """Gradients are added to those of the call before."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        kept = self.__dict__.setdefault("kept", {})
        for name, one in found.items():
            key = stage, name, one.shape
            with ignoring_fp_errors():
                kept[key] = one + kept.get(key, 0)
        return {name: kept[stage, name, one.shape] for name, one in found.items()}


@known("layer_norm", "softmax", unsteady=True)
class TokensRace(Textbook):
    """Two threads write one token, and which of them is last is left to chance."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y = super().forward(stage, inputs)
        rows = y.reshape(-1, y.shape[-1])
        i, j = np.random.default_rng().integers(0, len(rows), 2)
        rows[i] = rows[j]
        return rows.reshape(y.shape)
