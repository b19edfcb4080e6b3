"""Two tasks that no block learns whose tokens do not see each other, and what proves it.

There are T = 4 fields of 4 values each, and training is on all 4⁴ = 256 inputs at once.

- ``copy``: token t outputs the value of field t - 1. Without mixing the output of token t is a
  function of field t, which says nothing of field t - 1: the loss is at least ln 4, a guess's.
- ``cross``: one output says whether (x₀ + x₁) mod 4 < 2. Without mixing the mean of the tokens, and
  so the logit, is a sum of functions of one field each. For each value of one field half of the
  targets are 1, so no such sum does better than 0: the loss is at least ln 2.
"""

import math
from typing import Any, NamedTuple, Unpack

import numpy as np

from ..array import Array
from ..functional import binary_cross_entropy_with_logits, cross_entropy
from ..nn import BlockOptions, Embedding, Linear, Module, RankMixerBlock
from ..tensors import Tensor

__all__ = ["TASKS", "Task", "TaskModel"]

_FIELDS = _VALUES = 4
#: All inputs, (256, 4).
_IDS = np.indices((_VALUES,) * _FIELDS).reshape(_FIELDS, -1).T


class Task(NamedTuple):
    """What to learn.

    Attributes:
        about: the task in a few words.
        ids: all inputs, (B, T).
        target: the values of each token (B, T), or 0 and 1 (B,).
        bound: the least loss without mixing.

    Example:
        >>> import numixology as nx
        >>> task = nx.training.TASKS["copy"]
        >>> task.ids[27].tolist(), task.target[27].tolist(), round(task.bound, 6)
        ([0, 1, 2, 3], [3, 0, 1, 2], 1.386294)
    """

    about: str
    ids: Array
    target: Array
    bound: float

    def loss(self, model: "TaskModel") -> Tensor:
        """The mean cross-entropy over all inputs."""
        if model.pooled:
            return binary_cross_entropy_with_logits(model(self.ids), self.target)
        return cross_entropy(model(self.ids), self.target)


_BEFORE = np.roll(_IDS, 1, axis=1)
_CROSSED = (_IDS[:, 0] + _IDS[:, 1]) % 4 < 2
TASKS = {
    "copy": Task("token t outputs field t - 1", _IDS, _BEFORE, math.log(4)),
    "cross": Task("one output: (x0 + x1) mod 4 < 2", _IDS, 1.0 * _CROSSED, math.log(2)),
}


class TaskModel(Module):
    """An embedding for each token, one block as in the paper, and a linear head.

    The head is on every token, or with ``pooled`` on their mean. The parts are ``embedding``,
    ``block`` and ``head``.

    Args:
        task: one of :data:`TASKS`.
        **options: those of :class:`.RankMixerBlock`, of which T = H = 4 and D = 16; ``ffn`` is
            ``"per_token"``, ``norm`` ``"post"`` and ``dropout`` 0 unless given.

    Returns:
        When called with ids (B, T), logits (B, T, 4), or (B,).

    Source: RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numixology as nx
        >>> task = nx.training.TASKS["cross"]
        >>> model = nx.training.TaskModel(task, rng=0, mixing="identity")
        >>> optimizer = nx.optim.Adam(model.parameters(), lr=3e-3)
        >>> for loss in nx.training.train(lambda: task.loss(model), optimizer, steps=20):
        ...     assert loss > task.bound
    """

    def __init__(self, task: Task, **options: Unpack[BlockOptions]) -> None:
        T, D, rng = _FIELDS, 16, np.random.default_rng(options.get("rng"))
        options = {"ffn": "per_token", "norm": "post", "dropout": 0.0, **options, "rng": rng}
        own: dict[str, Any] = {"rng": rng, "dtype": options.get("dtype", np.float64)}
        self.pooled = task.target.ndim == 1
        self.embedding = Embedding(T * _VALUES, D, **own)
        self.block = RankMixerBlock(T, D, T, **options)
        self.head = Linear(D, 1 if self.pooled else _VALUES, **own)

    def forward(self, ids: Array) -> Tensor:
        """Ids (B, T) to logits."""
        x = self.block(self.embedding(ids + _VALUES * np.arange(_FIELDS)))  # (B, T, D)
        return self.head(x.mean(axis=1)).reshape(-1) if self.pooled else self.head(x)
