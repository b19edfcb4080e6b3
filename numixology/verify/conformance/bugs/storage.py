"""Bugs of what is kept, in which format and for how long, and of where it lies."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ....array import Array
from ..formats import format_of
from ..stages import Inputs
from ..textbook import Textbook
from .families import in_formats
from .registry import Override, table
from .steps import in_buffer

__all__ = ["BUGS"]


def _kept(x: Any, kind: str) -> Any:
    """Arrays of floating-point numbers as they are after they have been kept in a format."""
    if isinstance(x, Mapping):
        return {name: _kept(one, kind) for name, one in x.items()}
    floating = isinstance(x, np.ndarray) and x.dtype.kind == "f"
    return format_of(kind).stored(x).astype(x.dtype) if floating else x


def _result_in(kind: str) -> Override:
    return lambda s, f, *args: _kept(f(*args), kind)


def _residuals_in(kind: str) -> Override:
    return lambda s, f, stage, inputs, ct: f(stage, _kept(inputs, kind), ct)


def _cotangent_in(kind: str) -> Override:
    return lambda s, f, stage, inputs, ct: f(stage, inputs, _kept(ct, kind))


def _calculated_in(kind: str) -> dict[str, Override]:
    def all_in(s: Textbook, f: Override, stage: str, *args: Any) -> Any:
        return _kept(f(stage, *(_kept(x, kind) for x in args)), kind)

    return {"forward": all_in, "vjp": all_in}


def _key(stage: str, inputs: Inputs) -> tuple[Any, ...]:
    return stage, *(np.shape(x) for x in inputs.values())


def _saving(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Any:
    copies = {name: np.array(x) if np.ndim(x) else x for name, x in inputs.items()}
    s.__dict__.setdefault("saved", {})[_key(stage, inputs)] = copies
    return f(stage, inputs)


def _from_saved(s: Textbook, f: Override, stage: str, inputs: Inputs, ct: Array) -> Any:
    return f(stage, s.__dict__.get("saved", {}).get(_key(stage, inputs), inputs), ct)


def _in_place(s: Textbook, f: Override, stage: str, inputs: Inputs) -> Array:
    y: Array = f(stage, inputs)
    if not inputs["x"].flags.writeable:
        return y
    inputs["x"][...] = y
    x: Array = inputs["x"]
    return x


def _memory(x: Array) -> Array:
    """All that an array is a view of, as it lies."""
    return np.asarray(x if x.base is None else x.base).ravel(order="K")


def _without_gaps(x: Array) -> Array:
    """Rows that follow each other at once, with the stride of their elements, if there are such."""
    memory, step = _memory(x), x.strides[-1]
    strides = [step * int(np.prod(x.shape[i + 1 :])) for i in range(x.ndim)]
    first = x.ctypes.data - memory.ctypes.data
    if step <= 0 or first + step * x.size > memory.nbytes:
        return x
    return np.ndarray(x.shape, x.dtype, memory, first, strides)


def _without_offset(x: Array) -> Array:
    """A view of as many numbers from the beginning of the memory, if its strides allow that."""
    if min(x.strides) < 0 or x.base is None:
        return x
    return np.ndarray(x.shape, x.dtype, _memory(x), 0, x.strides)


def _without_sign(x: Array) -> Array:
    return x[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in x.strides)]


def _read(change: Callable[[Array], Array]) -> Override:
    """An override that reads another input."""
    return lambda s, f, inputs: f({**inputs, "x": change(inputs["x"])})


BUGS = table("storage", [
    ("layer_norm linear gelu gelu_tanh silu softmax", "forward"),
    *in_formats("result-in-{}", _result_in, "bfloat16 float16"),
    ("layer_norm linear gelu gelu_tanh silu softmax", "vjp"),
    *in_formats("calculated-in-{}", _calculated_in, "bfloat16 float16"),
    *in_formats("cotangent-in-{}", _cotangent_in, "bfloat16 float16"),
    *in_formats("saved-for-backward-in-{}", _residuals_in, "bfloat16 float16"),
    *in_formats("gradients-in-{}", _result_in, "bfloat16 float16"),
    ("layer_norm linear", "forward"),
    ("residuals-of-last-forward", {"forward": _saving, "vjp": _from_saved},
     "the backward starts from what the last forward saved, whichever that was"),
    ("linear gelu", "vjp"),
    ("gradient-buffers-reused",
     lambda s, f, *args: {name: in_buffer(s, name, g) for name, g in f(*args).items()}),
    ("gelu silu", "forward"),
    ("result-in-place", _in_place, "the result is written over the input"),
    ("layer_norm softmax gelu", "wrapped", _read),
    ("row-strides-ignored", _without_gaps, "rows are read as if there were no gaps between them"),
    ("storage-offset-ignored", _without_offset,
     "an input is read from where its storage begins, not where the view does"),
    ("strides-without-sign", _without_sign, "what runs backwards in memory is read forwards"),
])  # fmt: skip
