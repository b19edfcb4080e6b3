"""What stands behind the last block: the mean of the tokens, and a head for each task."""

from collections.abc import Iterable

import numpy as np

from ..array import DTypeLike, shape_of
from ..errors import ArgumentError, ShapeError, shown
from ..functional.elementary import concatenate
from ..reductions import mean
from ..tensors import Tensor
from .linear import Linear
from .module import Module, Rng

__all__ = ["MeanPooling", "TaskHeads"]


class MeanPooling(Module):
    """y = Σ_t x_t / T: all tokens become one.

    Returns:
        When called with x (B, T, D), y (B, D).

    Raises:
        ShapeError: when called, for x that is not (B, T, D), or has no tokens.

    Source: RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numixology as nx
        >>> nx.nn.MeanPooling()(nx.tensor([[[1.0, 2.0], [3.0, 6.0]]]))
        Tensor([[2., 4.]], from=divide)
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, D)."""
        shape = shape_of(x, "MeanPooling")
        if len(shape) != 3 or shape[1] == 0:
            invariant = "MeanPooling takes x of shape (B, T, D) with T at least 1"
            raise ShapeError(invariant, str(shape), "pool what a block returns")
        return mean(x, axis=1)


class TaskHeads(Module):
    """y_k = w_k · x + b_k: from one vector a logit for each task.

    The part is ``heads``, a list of :class:`Linear` from D to 1, one for each task. Any module of
    these shapes may replace one, such as a tower of several layers.

    Args:
        hidden_dim: D, the number of features.
        tasks: the names of the K tasks.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, D), the logits (B, K), in the order of ``tasks``.

    Source: RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> heads = nx.nn.TaskHeads(8, ["finish", "skip"], rng=0)
        >>> heads(nx.tensor(np.ones((4, 8)))).shape
        (4, 2)
        >>> list(heads.state_dict())
        ['heads.0.weight', 'heads.0.bias', 'heads.1.weight', 'heads.1.bias']
    """

    _settings = ("tasks",)

    def __init__(
        self,
        hidden_dim: int,
        tasks: Iterable[str],
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.tasks = () if isinstance(tasks, str) else tuple(tasks)
        if len({*self.tasks}) < max(len(self.tasks), 1):
            invariant = "tasks is a list of at least one name, and of none twice"
            raise ArgumentError(invariant, shown(tasks), 'use e.g. ["click"]')
        rng = np.random.default_rng(rng)
        self.heads = [Linear(hidden_dim, 1, rng=rng, dtype=dtype) for _ in self.tasks]

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) to (B, K)."""
        return concatenate([head(x) for head in self.heads], axis=-1)  # K of (B, 1)
