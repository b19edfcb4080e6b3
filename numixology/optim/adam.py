"""Adam, and AdamW, which decays the weights beside the moments instead of through them."""

from collections.abc import Iterable

import numpy as np

from ..array import Array
from ..errors import ArgumentError, shown
from ..tensors import Tensor
from .optimizer import Optimizer, not_negative
from .schedules import Schedule

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """p ← p - lr · m̂ / (√v̂ + eps), where m̂ and v̂ are means of g and of g² over past steps.

    In step n, m ← β₁ m + (1 - β₁) g and v ← β₂ v + (1 - β₂) g², and since both start at zero,
    m̂ = m / (1 - β₁ⁿ) and v̂ = v / (1 - β₂ⁿ). g is the gradient plus weight_decay · p.

    Args:
        parameters, lr, weight_decay: see :mod:`numixology.optim`.
        betas: β₁ and β₂, in [0, 1).
        eps: keeps the divisor from zero, at least 0.

    Source: Kingma and Ba 2015, algorithm 1 (arXiv 1412.6980), in the order of torch's operations.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([1.0, -20.0], requires_grad=True)
        >>> optimizer = nx.optim.Adam([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        Tensor([  0.5, -19.5], requires_grad=True)
    """

    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.eps, self.weight_decay = not_negative(eps=eps, weight_decay=weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ArgumentError("betas are in [0, 1)", shown(betas), "use e.g. (0.9, 0.999)")
        super().__init__(parameters, lr)
        self.betas = tuple(map(float, betas))

    def update(self, p: Array, g: Array, lr: float, state: dict[str, Array]) -> Array:
        """One parameter's equation."""
        g = g + self.weight_decay * p if self.weight_decay else g
        return self._moved(p, g, lr, state)

    def _moved(self, p: Array, g: Array, lr: float, state: dict[str, Array]) -> Array:
        """The equation without the decay."""
        (beta1, beta2), n = self.betas, int(state["step"])
        m = state["exp_avg"] = beta1 * state["exp_avg"] + (1 - beta1) * g
        v = state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * g * g
        root = np.sqrt(v) / (1 - beta2**n) ** 0.5 + self.eps
        moved: Array = p - lr / (1 - beta1**n) * m / root
        return moved


class AdamW(Adam):
    """Adam whose gradient knows nothing of the decay: p ← (1 - lr · weight_decay) p before a step.

    Args:
        parameters, lr, weight_decay: see :mod:`numixology.optim`; the decay is 0.01 unless given.
        betas, eps: see :class:`Adam`.

    Source: Loshchilov and Hutter 2019, algorithm 2 (arXiv 1711.05101), in torch's form.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([1.0, -20.0], requires_grad=True)
        >>> optimizer = nx.optim.AdamW([x], lr=0.5, weight_decay=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()
        >>> x
        Tensor([  0.25, -14.5 ], requires_grad=True)
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, p: Array, g: Array, lr: float, state: dict[str, Array]) -> Array:
        """One parameter's equation."""
        return self._moved(p * (1 - lr * self.weight_decay), g, lr, state)
