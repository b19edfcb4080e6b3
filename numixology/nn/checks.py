"""What modules take: parameters of one dtype, and input that fits them."""

from typing import Any

import numpy as np

from ..array import Array, DTypeLike
from ..checks import as_dtype
from ..errors import DTypeError, ShapeError
from ..tensors import Tensor, leaf

__all__ = ["check_input", "parameter", "returned"]


def parameter(values: Array, dtype: DTypeLike) -> Tensor:
    """A leaf that requires a gradient, of one of the floating-point dtypes."""
    kind = as_dtype(dtype)
    if kind.kind != "f":
        raise DTypeError("parameters are float64 or float32", str(kind), "pass dtype=np.float64")
    return leaf(values.astype(kind), requires_grad=True)


def check_input(x: Any, module: Any, like: Tensor, axes: str, *lengths: int) -> None:
    """Raise unless ``x`` has the last lengths, and the dtype of a parameter.

    Args:
        x: what the module was called with.
        module: the module, for the message.
        like: a parameter of it.
        axes: the axes of x: ``"(B, T, D)"``, or ``"(..., D)"`` for any number of leading ones.
        *lengths: the lengths of the last axes.
    """
    taker = type(module).__name__
    if not isinstance(x, (Tensor, np.ndarray)):
        what = type(x).__name__
        raise DTypeError(f"{taker} takes a tensor or an array", what, "wrap it with nx.tensor")
    shape, dtype, own = x.shape, x.dtype, like.dtype
    names = axes.strip("()").split(", ")
    if shape[-len(lengths) :] != lengths or not (names[0] == "..." or len(shape) == len(names)):
        known = [f"{a} = {n}" for a, n in zip(names[-len(lengths) :], lengths, strict=True)]
        invariant = f"{taker} takes x of shape {axes} with {', '.join(known)}"
        instead = "reshape the input, or make the module with other sizes"
        raise ShapeError(invariant, str(shape), instead)
    if dtype != own and "c" not in (dtype.kind, own.kind):
        instead = f", or make the module with dtype='{dtype}'" if dtype.char in "fd" else ""
        invariant = f"{taker} has {own} parameters and takes {own} input"
        raise DTypeError(invariant, str(dtype), f"use x.astype('{own}'){instead}")


def returned(y: Any, x: Any, what: str) -> Tensor:
    """What a module of the user's gave for x, unless it would be cut off or broadcast."""
    instead = "change what it returns"
    if not isinstance(y, Tensor if isinstance(x, Tensor) else Tensor | np.ndarray):
        invariant = f"{what} returns a tensor for a tensor, since gradients flow through it"
        raise DTypeError(invariant, type(y).__name__, instead)
    if y.shape != x.shape:
        invariant = f"{what} returns tokens of the shape that it takes, {x.shape}"
        raise ShapeError(invariant, str(y.shape), instead)
    if y.dtype != x.dtype and "c" not in (x.dtype.kind, y.dtype.kind):
        invariant = f"{what} returns tokens of the dtype that it takes, {x.dtype}"
        raise DTypeError(invariant, str(y.dtype), instead)
    given: Tensor = y
    return given
