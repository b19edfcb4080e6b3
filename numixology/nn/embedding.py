"""The embedding layer: a table of rows looked up by id."""

from typing import Any

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..functional.affine import embedding
from ..tensors import Tensor
from .checks import parameter
from .module import Module, Rng

__all__ = ["Embedding"]


class Embedding(Module):
    """y = weight[ids]; ``weight`` (V, D) starts standard normal, as in torch.

    Args:
        num_embeddings: V, the number of ids.
        embedding_dim: D, the number of features.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with ids of any shape (B, T), the rows (B, T, D).

    Raises:
        DTypeError: when called, for ids that are not integers.
        IndexRangeError: when called, for ids that do not lie from 0 to V - 1.

    Source: guide, Multi-Layer Model (Token Embeddings, Position Embeddings).

    Example:
        >>> import numixology as nx
        >>> nx.nn.Embedding(10, 4, rng=0)([[1, 2, 3]]).shape
        (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        V, D = positive(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.weight = parameter(np.random.default_rng(rng).standard_normal((V, D)), dtype)

    def forward(self, ids: Any) -> Tensor:
        """Ids of any shape (B, T) to rows (B, T, D)."""
        return embedding(ids, self.weight)
