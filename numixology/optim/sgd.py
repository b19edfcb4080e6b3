"""Stochastic gradient descent, with momentum."""

from collections.abc import Iterable

from ..array import Array
from ..errors import ArgumentError, shown
from ..tensors import Tensor
from .optimizer import Optimizer, not_negative
from .schedules import Schedule

__all__ = ["SGD"]


class SGD(Optimizer):
    """p ← p - lr · b with b ← momentum · b + g, where g is the gradient plus weight_decay · p.

    With ``nesterov`` the step is p - lr (g + momentum · b).

    Args:
        parameters, lr, weight_decay: see :mod:`numixology.optim`.
        momentum: how much of the last step is kept, at least 0.
        nesterov: see above.

    Raises:
        ArgumentError: also for nesterov without momentum.

    Source: Sutskever et al. 2013, section 2, in the form that torch has.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = nx.optim.SGD([x], lr=0.25)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        Tensor([0.5, 1. ], requires_grad=True)
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float | Schedule,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum, self.weight_decay = not_negative(
            momentum=momentum, weight_decay=weight_decay
        )
        if nesterov and not momentum:
            raise ArgumentError("nesterov needs momentum", shown(momentum), "use e.g. 0.9")
        self.nesterov, self.moments = nesterov, ("momentum_buffer",) if momentum else ()
        super().__init__(parameters, lr)

    def update(self, p: Array, g: Array, lr: float, state: dict[str, Array]) -> Array:
        """One parameter's equation."""
        g = g + self.weight_decay * p if self.weight_decay else g
        if not self.momentum:
            return p - lr * g
        b = state["momentum_buffer"] = self.momentum * state["momentum_buffer"] + g
        return p - lr * (g + self.momentum * b if self.nesterov else b)
