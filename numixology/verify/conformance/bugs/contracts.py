"""Bugs of what surrounds the numbers: their memory, formats and shapes, NaN, state and chance."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from ....array import Array
from ..formats import format_of
from ..stages import Inputs
from ..textbook import Textbook
from .overrides import of_output
from .registry import Override, in_formats, table
from .steps import chance

__all__ = ["BUGS"]


def _refuse() -> NoReturn:
    raise ValueError("such an input is refused")


def _refused(where: Callable[[Array], bool]) -> Override:
    """An override that refuses some inputs."""
    return lambda s, f, stage, p: _refuse() if where(p["x"]) else f(stage, p)


def _overwritten(name: str, by: Callable[[Array], Array]) -> Override:
    """An override that writes into one input, if it can, when it is done with it."""
    return lambda s, f, stage, p: (f(stage, p), [np.add(by(x), 0, out=x) for k, x in p.items()
        if k == name and x.flags.writeable])[0]  # fmt: skip


def _other_dtype(s: Textbook, x: Array) -> Array:
    return x.astype(np.float32 if s.dtype == "float64" else np.float64)


def _grad(name: str, other: Override) -> Override:
    """An override with another gradient of one input, by what is right, inputs and cotangent."""
    return lambda s, f, stage, p, ct: {**(g := f(stage, p, ct)), name: other(s, g[name], p, ct)}


def _buffered(s: Textbook, name: str, x: Array, add: bool = False) -> Array:
    """A result in a buffer of the backend's own, in place of what that held or added to it."""
    buffers = s.__dict__.setdefault("buffers", {})
    kept: Array = buffers.setdefault((name, x.shape), np.zeros_like(x))
    kept[...] = x + kept if add else x
    return kept


def _piled_up(s: Textbook, f: Override, stage: str, *more: object) -> dict[str, Array]:
    return {k: _buffered(s, stage + k, g, add=True).copy() for k, g in f(stage, *more).items()}


def _race(s: Textbook, f: Override, *args: object) -> Array:
    y: Array = f(*args)
    rows = y.reshape(-1, y.shape[-1])
    i, j = chance(s).integers(0, len(rows), 2)
    rows[i] = rows[j]
    return rows.reshape(y.shape)


def _kept(x: Any, kind: str) -> Any:
    """Arrays of floating-point numbers as they are after they have been kept in a format."""
    if isinstance(x, Mapping):
        return {name: _kept(one, kind) for name, one in x.items()}
    floating = isinstance(x, np.ndarray) and x.dtype.kind == "f"
    return format_of(kind).stored(x).astype(x.dtype) if floating else x


def _result_in(kind: str) -> Override:
    return lambda s, f, *args: _kept(f(*args), kind)


def _calculated_in(kind: str) -> dict[str, Override]:
    def step(s: Textbook, f: Override, *args: Any) -> Any:
        return _kept(f(*(_kept(x, kind) for x in args)), kind)

    return {"forward": step, "vjp": step}


def _saved(s: Textbook, stage: str, p: Inputs) -> dict[str, Any]:
    """What the last forward of such a stage and of such shapes saved."""
    saved = s.__dict__.setdefault("saved", {})
    found: dict[str, Any] = saved.setdefault((stage, *map(np.shape, p.values())), {})
    return found


def _saving(s: Textbook, f: Override, stage: str, p: Inputs) -> Any:
    _saved(s, stage, p).update({k: np.array(x) if np.ndim(x) else x for k, x in p.items()})
    return f(stage, p)


def _as_first(of: Callable[[Inputs], tuple[Any, ...]]) -> Override:
    """An override that reads an input as it was in the first call with the same key."""

    def wrapped(s: Textbook, f: Override, inputs: Inputs) -> Any:
        name, *key = of(inputs)
        first = s.__dict__.setdefault("first", {})  # with the array, so that it keeps its address
        kept, _ = first.setdefault((name, *key), (np.copy(inputs[name])[()], inputs[name]))
        return f({**inputs, name: kept})

    return wrapped


def _in_place(s: Textbook, f: Override, stage: str, p: Inputs) -> Any:
    y, x = f(stage, p), p["x"]
    return np.add(y, 0, out=x) if x.flags.writeable else y


def _memory(x: Array) -> Array:
    """All that an array is a view of, as it lies."""
    return np.asarray(x if x.base is None else x.base).ravel(order="K")


def _as_it_lies(x: Array) -> Array:
    """The memory from the first number on, read as if there were no gaps and no other order."""
    first = (x.ctypes.data - _memory(x).ctypes.data) // x.itemsize
    return np.resize(_memory(x)[first:], x.shape)  # a stride of 0 leaves fewer numbers there


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


BUGS = table("contracts", [
    ("linear layer_norm", "forward"),
    ("input-overwritten", _overwritten("x", lambda x: x - x.mean(axis=-1, keepdims=True))),
    ("weight-overwritten", _overwritten("weight", lambda w: 2 * w)),
    ("layer_norm gelu token_mix", "wrapped", _read),
    ("nan-hidden", lambda x: np.where(np.isnan(x), x.dtype.type(0), x), "NaN becomes zero"),
    ("layer_norm linear softmax silu", "forward", _refused),
    ("nan-refused", lambda x: bool(np.isnan(x).any()), "NaN in the input is refused"),
    ("gaps-refused", lambda x: not x.flags.c_contiguous, "arrays with gaps are refused"),
    ("layer_norm linear token_mix", "forward", of_output),
    ("nan-everywhere", lambda y: y * y.dtype.type(np.nan) if np.isnan(y).any() else y),
    ("output-transposed", lambda y: y.swapaxes(0, 1), "batch and tokens are exchanged"),
    ("axes-flattened", lambda y: y.reshape(-1, y.shape[-1]), "the axis of the batch is lost"),
    ("axes-squeezed", np.squeeze, "axes of length one are lost"),
    ("gelu linear token_mix", "forward"),
    ("result-in-other-dtype", lambda s, f, *args: _other_dtype(s, f(*args))),
    ("result-buffer-reused", lambda s, f, *args: _buffered(s, args[0], f(*args))),
    ("tokens-race", _race, "two threads write one token, the last one by chance", "unsteady"),
    ("linear layer_norm", "vjp"),
    ("cotangent-overwritten", lambda s, f, at, p, ct: (f(at, p, ct), np.add(ct, ct, out=ct))[0]),
    ("bias-gradient-not-reduced", _grad("bias", lambda s, g, p, ct: ct.copy())),
    ("bias-gradient-over-first-axis", _grad("bias", lambda s, g, p, ct: ct.sum(axis=0))),
    ("bias-gradient-left-out", lambda s, f, *a: {k: g for k, g in f(*a).items() if k != "bias"}),
    ("gradient-in-other-dtype", _grad("weight", lambda s, g, p, ct: _other_dtype(s, g))),
    ("gradients-pile-up", _piled_up, "gradients are added to those of the call before", "unsteady"),
    ("weight-gradient-per-row", _grad("weight", lambda s, g, p, ct: ct.swapaxes(1, 2) @ p["x"])),
]) + table("storage", [
    ("layer_norm linear gelu gelu_tanh silu softmax", "forward"),
    *in_formats("result-in-{}", _result_in),
    ("layer_norm linear gelu gelu_tanh silu softmax", "vjp"),
    *in_formats("calculated-in-{}", _calculated_in),
    *in_formats("cotangent-in-{}", lambda kind: lambda s, f, at, p, ct: f(at, p, _kept(ct, kind))),
    *in_formats("saved-in-{}", lambda kind: lambda s, f, at, p, ct: f(at, _kept(p, kind), ct)),
    *in_formats("gradients-in-{}", _result_in),
    ("cotangent-cut-to-one", lambda s, f, stage, p, ct: f(stage, p, np.clip(ct, -1, 1))),
    ("gradients-cut-to-one", lambda s, f, *a: {k: np.clip(g, -1, 1) for k, g in f(*a).items()}),
]) + table("memory", [
    ("layer_norm linear", "forward"),
    ("backward-of-last-forward",
     {"forward": _saving, "vjp": lambda s, f, at, p, ct: f(at, {**p, **_saved(s, at, p)}, ct)}),
    ("linear gelu token_mix", "vjp"),
    ("gradient-buffers-reused", lambda s, f, *a: {k: _buffered(s, k, g) for k, g in f(*a).items()}),
    ("cotangent-strides-ignored", lambda s, f, stage, p, ct: f(stage, p, _as_it_lies(ct))),
    ("gelu silu", "forward"),
    ("result-written-over-the-input", _in_place),
    ("linear", "wrapped", _as_first),
    ("weight-transposed-once", lambda p: ("weight", p["weight"].shape),
     "a transposed weight is kept, also when the weight has changed"),
    ("weight-packed-by-address", lambda p: ("weight", p["weight"].ctypes.data),
     "a weight is packed once for each address, also if it has changed in place since"),
    ("token_mix", "wrapped", _as_first),
    ("indices-kept-without-heads", lambda p: ("num_heads", p["x"].shape),
     "the indices of a shape are kept, also for another number of heads"),
    ("layer_norm softmax gelu token_mix", "wrapped", _read),
    ("row-strides-ignored", _without_gaps, "rows are read as if there were no gaps between them"),
    ("storage-offset-ignored", _without_offset, "an input is read from where its storage begins"),
    ("strides-without-sign", _without_sign, "what runs backwards in memory is read forwards"),
    ("strides-ignored", _as_it_lies, "an input is read as if it were contiguous"),
])  # fmt: skip
