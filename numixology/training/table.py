"""Tables of categorical and numeric features, as recommenders have them, and a model of them."""

import math
from typing import Any, NamedTuple, Unpack

import numpy as np

from ..array import Array
from ..functional import binary_cross_entropy_with_logits, sigmoid
from ..functional.mixing import depth_to_mix
from ..nn import (
    BlockOptions,
    Embedding,
    GroupTokenizer,
    Linear,
    MeanPooling,
    Module,
    RankMixerBlock,
)
from ..nn.module import Rng
from ..tensors import Tensor

__all__ = ["FeatureTable", "TableModel", "generated_table"]


class FeatureTable(NamedTuple):
    """Rows of features, and a target of 0 and 1.

    Attributes:
        names: of the C categorical and then the M numeric columns.
        ids: (N, C), integers that count the categories of all columns in one row.
        numbers: (N, M), of mean 0 and standard deviation 1.
        target: (N,), 0 or 1.

    Example:
        >>> import numixology as nx
        >>> table = nx.training.generated_table(5, rng=0)
        >>> table.names, table.ids.shape, table.numbers.shape, table.target.tolist()
        (('site', 'device', 'age', 'price'), (5, 2), (5, 2), [0.0, 0.0, 0.0, 1.0, 1.0])
    """

    names: tuple[str, ...]
    ids: Array
    numbers: Array
    target: Array

    def rows(self, chosen: Array) -> "FeatureTable":
        """The table with these rows only."""
        ids, numbers, target = self.ids[chosen], self.numbers[chosen], self.target[chosen]
        return FeatureTable(self.names, ids, numbers, target)

    def loss(self, model: "TableModel") -> Tensor:
        """The mean cross-entropy over all rows."""
        numbers = self.numbers.astype(model.head.weight.dtype)
        return binary_cross_entropy_with_logits(model(self.ids, numbers), self.target)


def generated_table(num_rows: int = 4000, *, rng: Rng = None) -> FeatureTable:
    """A table whose columns say nothing of the target one by one, and much in pairs.

    The logit of the target is 2 (±1 by whether (site + device) mod 4 < 2, ±1 by the sign of
    age · price).

    Args:
        num_rows: N, the number of rows.
        rng: a seed or a Generator.

    Returns:
        A table of two categorical and two numeric columns.

    Example:
        >>> import numixology as nx
        >>> table = nx.training.generated_table(rng=0)
        >>> [round(table.target[table.ids[:, 0] == site].mean().item(), 1) for site in range(4)]
        [0.5, 0.5, 0.5, 0.5]
    """
    rng = np.random.default_rng(rng)
    site, device = rng.integers(4, size=(2, num_rows))
    age, price = rng.standard_normal((2, num_rows))
    logits = 2.0 * (np.where((site + device) % 4 < 2, 1, -1) + np.sign(age * price))
    target = 1.0 * (rng.random(num_rows) < sigmoid(logits))
    ids, numbers = np.stack([site, device + 4], axis=1), np.stack([age, price], axis=1)
    return FeatureTable(("site", "device", "age", "price"), ids, numbers, target)


class TableModel(Module):
    """A token for each column, as many blocks as mixing needs to reach all, and a logit.

    A category is embedded, and a number is itself; a :class:`.GroupTokenizer` makes tokens of them.
    The parts are ``embedding``, ``tokenizer``, ``blocks``, ``pooling`` and ``head``.

    Args:
        table: whose columns it reads.
        **options: those of :class:`.RankMixerBlock`, of which D = 16 and H = 4; ``ffn`` is
            ``"per_token"``, ``norm`` ``"post"`` and ``dropout`` 0 unless given.

    Returns:
        When called with ids (B, C) and numbers (B, M), logits (B,).

    Source: RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numixology as nx
        >>> table = nx.training.generated_table(100, rng=0)
        >>> model = nx.training.TableModel(table, rng=0)
        >>> len(model.blocks), table.loss(model).item() > 0
        (1, True)
    """

    def __init__(self, table: FeatureTable, **options: Unpack[BlockOptions]) -> None:
        D, H, rng = 16, 4, np.random.default_rng(options.get("rng"))
        (_, C), (_, M) = table.ids.shape, table.numbers.shape
        options = {"ffn": "per_token", "norm": "post", "dropout": 0.0, **options, "rng": rng}
        own: dict[str, Any] = {"rng": rng, "dtype": options.get("dtype", np.float64)}
        self.embedding = Embedding(1 + int(table.ids.max(initial=0)), D, **own)
        self.tokenizer = GroupTokenizer(C * [D] + M * [1], D, **own)
        depth = max(depth_to_mix(C + M, H) or 0, 1)
        self.blocks = [RankMixerBlock(C + M, D, H, **options) for _ in range(depth)]
        self.pooling = MeanPooling()
        self.head = Linear(D, 1, **own)

    def forward(self, ids: Array, numbers: Array) -> Tensor:
        """Ids (B, C) and numbers (B, M) to logits (B,)."""
        tokens = self.embedding(ids)  # (B, C, D)
        embedded = tokens.reshape(len(ids), math.prod(tokens.shape[1:]))  # (B, C·D)
        x = self.tokenizer(embedded, numbers)  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        return self.head(self.pooling(x)).reshape(-1)  # (B,)
