"""Equations whose rules get *residuals*: what the forward had at hand, so as not to redo it.

:func:`computed_by` lets a kernel compute an equation on real arrays; :func:`sharing` names what a
forward and its rules are written in.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..autograd import Node, Rule
from ..numerics import Kernel
from ..primitives import Checked

__all__ = ["Computed", "computed_by", "sharing"]

F = TypeVar("F", bound=Callable[..., Any])


def _inside(rule: Callable[..., Any], register: Callable[[Rule], Rule]) -> Callable[[F], F]:
    """A decorator: what is registered is ``rule(equation, ...)``, and the equation stays itself."""

    def decorate(equation: F) -> F:
        register(partial(rule, equation))
        return equation

    return decorate


class Computed(Checked):
    """A function of one number that is written as its equation, and so is its rule.

    On real arrays a kernel computes both to the last digits. Complex arrays follow the equation,
    and a rule that gets tensors follows its own. So a recorded gradient has the derivatives of the
    equation, and a complex step (see :func:`.real_part`) checks the kernel by other code.
    """

    def __init__(self, equation: Callable[..., Any], kernel: Kernel) -> None:
        super().__init__(equation)
        self.kernel = kernel

    def compute(
        self, values: Sequence[Any], options: Mapping[str, Any], recorded: bool
    ) -> tuple[Any, Mapping[str, Any]]:
        """The value, and if it is recorded the slope for the rule."""
        x = np.asanyarray(values[0])
        if x.dtype.kind == "c":
            return self.forward(x), options
        if not recorded:
            return self.kernel(x), options
        value, slope = self.kernel.with_slope(x)
        return value, {"slope": slope}

    def vjp(self, argument: str) -> Callable[[F], F]:
        """Register the rule as an equation; where the kernel's slope is at hand, it is used."""
        return _inside(self._rule, super().vjp(argument))

    def _rule(self, equation: Rule, ct: Any, y: Any, x: Any, slope: Any = None) -> Any:
        return equation(ct, y, x) if slope is None or isinstance(y, Node) else ct * slope


def computed_by(kernel: Kernel) -> Callable[[Callable[..., Any]], Computed]:
    """Make a primitive of an equation, and let ``kernel`` compute it on real arrays."""
    return lambda equation: Computed(equation, kernel)


class Sharing(Checked):
    """A primitive whose forward and rules get residuals as keywords."""

    def __init__(self, forward: Callable[..., Any], residuals: Callable[..., Any]) -> None:
        super().__init__(forward, broadcasts=True)
        self.residuals = residuals
        code = residuals.__code__
        self.asked = code.co_varnames[: code.co_argcount]

    def _with_residuals(self, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        given = {**dict(zip(self.arguments, arguments, strict=True)), **options}
        return {**options, **self.residuals(*[given[name] for name in self.asked])}

    def compute(
        self, values: Sequence[Any], options: Mapping[str, Any], recorded: bool
    ) -> tuple[Any, Mapping[str, Any]]:
        """The value, and the options with the residuals."""
        options = self._with_residuals(values, options)
        return self.forward(*values, **options), options

    def vjp(self, argument: str) -> Callable[[F], F]:
        """Register the rule of one argument; on tensors it gets residuals that have a past."""
        return _inside(self._rule, super().vjp(argument))

    def _rule(self, equation: Rule, ct: Any, y: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(y, Node):
            options = self._with_residuals(arguments, options)
        return equation(ct, y, *arguments, **options)


def sharing(residuals: Callable[..., Any]) -> Callable[[Callable[..., Any]], Sharing]:
    """Make a primitive whose forward and rules share ``residuals``, a function that returns a dict.

    It asks for arguments and options of the forward by their names. It is called with the arrays of
    the forward, and for rules on tensors once more, with those. The arguments broadcast.
    """
    return lambda forward: Sharing(forward, residuals)
