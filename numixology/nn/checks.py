"""What modules take: parameters of one dtype, and input that fits them."""

from typing import Any

import numpy as np

from ..array import Array, DTypeLike
from ..checks import as_dtype
from ..errors import DTypeError, ShapeError
from ..tensors import Tensor, leaf

__all__ = ["check_input", "parameter"]


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
    if not isinstance(x, (Tensor, np.ndarray)):
        raise DTypeError(
            f"{type(module).__name__} takes a tensor or an array",
            type(x).__name__,
            "wrap it with nx.tensor",
        )
    shape, dtype, own = x.shape, x.dtype, like.dtype
    any_number = axes[1] == "."
    if shape[-len(lengths) :] != lengths or not (any_number or len(shape) == axes.count(",") + 1):
        names = axes.strip("()").split(", ")[-len(lengths) :]
        known = ", ".join(f"{a} = {n}" for a, n in zip(names, lengths, strict=True))
        raise ShapeError(
            f"{type(module).__name__} takes x of shape {axes} with {known}",
            str(shape),
            "reshape the input, or make the module with other sizes",
        )
    if dtype != own and "c" not in (dtype.kind, own.kind):
        raise DTypeError(
            f"{type(module).__name__} has {own} parameters and takes {own} input",
            str(dtype),
            f"use x.astype('{own}')"
            + (f", or make the module with dtype='{dtype}'" if dtype.char in "fd" else ""),
        )
