"""The activations of the standard feed-forward network, as parts without parameters."""

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from ..checks import one_of
from ..functional.activations import gelu, relu, silu
from ..tensors import Tensor
from .module import Module

__all__ = ["Activation", "ActivationName"]

#: The activations that a network may have.
ActivationName: TypeAlias = Literal["gelu", "gelu_tanh", "relu", "silu"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_tanh": partial(gelu, approximate="tanh"),
    "relu": relu,
    "silu": silu,
}


class Activation(Module):
    """The function of that name, as a part of a network."""

    def __init__(self, name: ActivationName) -> None:
        one_of("activation", name, _ACTIVATIONS)
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return _ACTIVATIONS[self.name](x)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"
