"""The LayerNorm layer."""

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..functional.normalization import check_eps, layer_norm
from ..tensors import Tensor
from .checks import check_input, parameter
from .module import Module, Rng

__all__ = ["LayerNorm"]


class LayerNorm(Module):
    """y = (x - mean) / √(var + eps) · weight + bias over the last axis.

    ``weight`` (D,) starts as ones and ``bias`` (D,) as zeros.

    Args:
        features: D, the number of features.
        eps: added to the variance; at least 0.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (..., D), y (..., D).

    Source: Ba, Kiros and Hinton 2016, equation 4 (arXiv 1607.06450).

    Example:
        >>> import numixology as nx
        >>> nx.nn.LayerNorm(4)(nx.tensor([[5.0, 5.0, 5.0, 5.0]]))
        Tensor([[0., 0., 0., 0.]], from=layer_norm, requires_grad=True)
    """

    def __init__(
        self, features: int, eps: float = 1e-5, *, rng: Rng = None, dtype: DTypeLike = np.float64
    ) -> None:
        (D,) = positive(features=features)
        check_eps(eps)
        self.weight = parameter(np.ones(D), dtype)
        self.bias = parameter(np.zeros(D), dtype)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        check_input(x, self, self.weight, "(..., D)", self.weight.shape[0])
        return layer_norm(x, self.weight, self.bias, self.eps)
