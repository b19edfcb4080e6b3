"""An equation that is read, and a kernel that computes it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..autograd import Node
from ..numerics import Kernel
from ..primitives import Checked

__all__ = ["Computed", "computed_by"]

F = TypeVar("F", bound=Callable[..., Any])


class Computed(Checked):
    """A function of one number that is written as its equation, and so is its rule.

    On real arrays a kernel computes both to the last digits. Complex arrays follow the equation,
    and tensors that of the rule: so a recorded gradient has the equation's derivatives, and a
    complex step checks the kernel by other code than its own.
    """

    def __init__(self, equation: Callable[..., Any], kernel: Kernel) -> None:
        super().__init__(equation)
        self.kernel = kernel

    def compute(
        self, values: Sequence[Any], options: Mapping[str, Any], recorded: bool
    ) -> tuple[Any, Mapping[str, Any]]:
        """The value, and if it is recorded the slope for the rule."""
        x = np.asarray(values[0])
        if x.dtype.kind == "c":
            return self.forward(x), {}
        if not recorded:
            return self.kernel(x), {}
        value, slope = self.kernel.with_slope(x)
        return value, {"slope": slope}

    def vjp(self, argument: str) -> Callable[[F], F]:
        """Register the rule as an equation; where the kernel's slope is at hand, it is used."""
        register = super().vjp(argument)

        def decorate(equation: F) -> F:
            def rule(ct: Any, y: Any, x: Any, slope: Any = None) -> Any:
                return equation(ct, y, x) if slope is None or isinstance(y, Node) else ct * slope

            register(rule)
            return equation

        return decorate


def computed_by(kernel: Kernel) -> Callable[[Callable[..., Any]], Computed]:
    """Make a primitive of an equation, and let ``kernel`` compute it on real arrays."""
    return lambda equation: Computed(equation, kernel)
