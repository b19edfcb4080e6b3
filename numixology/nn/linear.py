"""The linear layer."""

import math

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..functional.affine import linear
from ..tensors import Tensor
from .checks import check_input, parameter
from .module import Module, Rng

__all__ = ["Linear"]


class Linear(Module):
    """y = x Wᵀ + b.

    ``weight`` (out, in) and ``bias`` (out,) start uniform in ±1/√in, as in torch.

    Args:
        in_features: features of the input.
        out_features: features of the output.
        bias: whether there is a b.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (..., in), y (..., out).

    Source: guide, Feed Forward Network Flow.

    Example:
        >>> import numixology as nx
        >>> layer = nx.nn.Linear(3, 2, rng=0)
        >>> layer(nx.tensor([[1.0, 2.0, 3.0]])).shape
        (1, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        n, out = positive(in_features=in_features, out_features=out_features)
        rng = np.random.default_rng(rng)
        bound = 1 / math.sqrt(n)
        self.weight = parameter(rng.uniform(-bound, bound, (out, n)), dtype)
        self.bias = parameter(rng.uniform(-bound, bound, out), dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        check_input(x, self, self.weight, "(..., in)", self.weight.shape[1])
        return linear(x, self.weight, self.bias)
