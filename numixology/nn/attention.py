"""Multi-head self-attention, the baseline that the guide compares the mixer with."""

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..functional.dot_product import attention
from ..functional.mixing import divided
from ..observe import step
from ..shapes import transpose
from ..tensors import Tensor
from .checks import check_input
from .linear import Linear
from .module import Module, Rng

__all__ = ["SelfAttention"]


class SelfAttention(Module):
    """y = W_o · concat over heads of softmax(Q Kᵀ / √d) V, with Q, K, V linear in x.

    It has neither norm nor residual nor mask of its own. The parts are ``query``, ``key``,
    ``value`` and ``output``, linear layers of D to D.

    Args:
        hidden_dim: D, the number of features.
        num_heads: H, a divisor of D.
        bias: whether the linear layers have biases.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: Vaswani et al. 2017, section 3.2.2 (arXiv 1706.03762); guide, Computational
    Complexity.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> nx.nn.SelfAttention(8, 2, rng=0)(nx.tensor(np.ones((1, 3, 8)))).shape
        (1, 3, 8)
    """

    def __init__(
        self,
        hidden_dim: int,
        num_heads: int,
        *,
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        D, H = positive(hidden_dim=hidden_dim, num_heads=num_heads)
        divided(D, H)
        rng = np.random.default_rng(rng)
        self.num_heads = H
        layers = (Linear(D, D, bias, rng=rng, dtype=dtype) for _ in range(4))
        self.query, self.key, self.value, self.output = layers

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D): every token attends to all of its row."""
        check_input(x, self, self.query.weight, "(B, T, D)", self.query.weight.shape[1])
        q, k, v = (self._heads(part(x)) for part in (self.query, self.key, self.value))
        y = step("attention", attention(q, k, v))  # (B, H, T, d)
        return self.output(transpose(y, (0, 2, 1, 3)).reshape(*x.shape))  # (B, T, D)

    def _heads(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        heads = x.reshape(B, T, self.num_heads, D // self.num_heads)  # (B, T, H, d)
        return transpose(heads, (0, 2, 1, 3))  # (B, H, T, d)
