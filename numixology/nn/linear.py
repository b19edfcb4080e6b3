"""The linear layers: one weight for all tokens, or one for each."""

import math

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..functional.affine import linear, per_token_linear
from ..tensors import Tensor
from .checks import check_input, parameter
from .module import Module, Rng

__all__ = ["Linear", "PerTokenLinear"]


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


class PerTokenLinear(Module):
    """y_t = x_t W_tᵀ + b_t: a linear layer for each token, in one batched product.

    Slice t of ``weight`` (T, out, in) and of ``bias`` (T, out) starts as a :class:`Linear` does,
    and one after another. Initializers that are given all of the weight take out · in for its
    number of inputs, as torch's do, and every slice starts √out times too small.

    Args:
        num_tokens: T, the number of tokens.
        in_features: features of the input.
        out_features: features of the output.
        bias: whether there is a b.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (B, T, in), y (B, T, out).

    Source: RankMixer, section 3.3 (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> layer = nx.nn.PerTokenLinear(4, 3, 2, rng=0)
        >>> layer(nx.tensor(np.ones((5, 4, 3)))).shape
        (5, 4, 2)
    """

    def __init__(
        self,
        num_tokens: int,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        (T,) = positive(num_tokens=num_tokens)
        rng = np.random.default_rng(rng)
        layers = [Linear(in_features, out_features, bias, rng=rng, dtype=dtype) for _ in range(T)]
        self.weight = parameter(np.stack([layer.weight.data for layer in layers]), dtype)
        biases = [layer.bias.data for layer in layers if layer.bias is not None]
        self.bias = parameter(np.stack(biases), dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, in) to (B, T, out)."""
        T, _, n = self.weight.shape
        check_input(x, self, self.weight, "(B, T, in)", T, n)
        return per_token_linear(x, self.weight, self.bias)
