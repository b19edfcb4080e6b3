"""What all optimizers share: their parameters, their state, and a step over all of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..array import Array, ignoring_fp_errors
from ..checks import fitting_state
from ..errors import ArgumentError, DTypeError, shown
from ..tensors import Tensor
from .schedules import Schedule

__all__ = ["Optimizer", "as_parameters", "not_negative"]


class Optimizer:
    """The base of all optimizers: a subclass defines ``update``, one parameter's equation.

    A parameter without a gradient is left out of a step, and its state too, as in torch.

    Args:
        parameters: see :mod:`numixology.optim`.
        lr: likewise.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> class SignDescent(nx.optim.Optimizer):
        ...     def update(self, p, g, lr, state):
        ...         return p - lr * np.sign(g)
        >>> x = nx.tensor([1.0, -2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> SignDescent([x], lr=0.5).step()
        >>> x
        Tensor([ 0.5, -1.5], requires_grad=True)
    """

    #: The arrays that are kept for each parameter, of its shape; they start as zeros.
    moments: tuple[str, ...] = ()

    def __init__(self, parameters: Iterable[Tensor], lr: float | Schedule) -> None:
        self.parameters = as_parameters(parameters)
        if len(set(self.parameters)) < len(self.parameters):
            got = f"{len(self.parameters)}, of which {len(set(self.parameters))} differ"
            instead = "pass the parameters() of one module"
            raise ArgumentError("an optimizer has each parameter once", got, instead)
        if not callable(lr):
            not_negative(lr=lr)
        #: The learning rate, or its schedule; it may be set anew.
        self.lr = lr
        #: How many steps were taken.
        self.steps = 0
        self._state: list[dict[str, Array]] = [
            {"step": np.zeros((), np.int64)}
            | {name: np.zeros_like(p.data) for name in self.moments}
            for p in self.parameters
        ]

    def update(self, p: Array, g: Array, lr: float, state: dict[str, Array]) -> Array:
        """The new values of a parameter; subclasses define it.

        Args:
            p: its values.
            g: its gradient.
            lr: the learning rate of this step.
            state: the count ``"step"``, which is 1 in its first step, and its ``moments``; new
                ones are assigned to their names.

        Returns:
            The new values, of the same shape and dtype.

        Raises:
            TypeError: the subclass does not define it.
        """
        raise TypeError(f"{type(self).__name__} must define update(): got none; write one")

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        lr = float(self.lr(self.steps) if callable(self.lr) else self.lr)
        with ignoring_fp_errors():
            for p, state in zip(self.parameters, self._state, strict=True):
                if p.grad is not None:
                    state["step"] = state["step"] + np.int64(1)
                    p.data = np.asarray(self.update(p.data, p.grad.data, lr, state))
        self.steps += 1

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters:
            p.zero_grad()

    def _entries(self) -> dict[str, Array]:
        named = {
            f"{i}.{name}": array
            for i, state in enumerate(self._state)
            for name, array in state.items()
        }
        return {"steps": np.array(self.steps), **named}

    def state_dict(self) -> dict[str, Array]:
        """A copy of all that a step changes besides the parameters, by name.

        Returns:
            ``"steps"``, and for parameter i ``"i.step"`` and its moments. The settings, such as
            ``lr``, are not in it.

        Example:
            >>> import numixology as nx
            >>> weight = nx.tensor([1.0, 2.0], requires_grad=True)
            >>> nx.optim.SGD([weight], lr=0.1, momentum=0.9).state_dict()
            {'steps': array(0), '0.step': array(0), '0.momentum_buffer': array([0., 0.])}
        """
        return {name: np.array(array) for name, array in self._entries().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave.

        Args:
            state: an array of the right shape for every name of :meth:`state_dict`.

        Raises:
            StateDictError: names are missing or unknown, or entries do not fit; the message
                lists all of them, and nothing has changed.
        """
        loaded = fitting_state(state, self._entries())
        self.steps = int(loaded.pop("steps"))
        for name, array in loaded.items():
            i, _, moment = name.partition(".")
            self._state[int(i)][moment] = array


def as_parameters(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Parameters in a list; slices of one, and what was computed from it, never get a gradient."""
    listed = [*parameters]
    if strays := [p for p in listed if not isinstance(p, Tensor) or p.primitive is not None]:
        instead = "pass them in a list, or module.parameters()"
        raise DTypeError("parameters are leaf tensors", shown(strays[0]), instead)
    if not listed:
        instead = "call module.parameters() again, since an iterator is gone through once"
        raise ArgumentError("there is at least one parameter", "none", instead)
    return listed


def not_negative(**settings: float) -> list[float]:
    """Settings, each at least 0, as Python's numbers, beside which float32 stays float32."""
    for name, value in settings.items():
        if not value >= 0:
            raise ArgumentError(f"{name} is at least 0", shown(value), "use e.g. 0.01")
    return [float(value) for value in settings.values()]
