"""The RMSNorm layer."""

import numpy as np

from ..array import DTypeLike
from ..checks import positive
from ..functional.normalization import check_eps, rms_norm
from ..tensors import Tensor
from .checks import check_input, parameter
from .module import Module, Rng

__all__ = ["RMSNorm"]


class RMSNorm(Module):
    """y = x / √(mean(x²) + eps) · weight over the last axis.

    ``weight`` (D,) starts as ones; there is no bias, and no mean is subtracted.

    Args:
        features: D, the number of features.
        eps: added to the mean of the squares; at least 0.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with x (..., D), y (..., D).

    Source: Zhang and Sennrich 2019, equation 4 (arXiv 1910.07467).

    Example:
        >>> import numixology as nx
        >>> nx.nn.RMSNorm(4, eps=0.0)(nx.tensor([[1.0, -1.0, 7.0, 7.0]]))
        Tensor([[ 0.2, -0.2,  1.4,  1.4]], from=rms_norm, requires_grad=True)
    """

    def __init__(
        self, features: int, eps: float = 1e-5, *, rng: Rng = None, dtype: DTypeLike = np.float64
    ) -> None:
        (D,) = positive(features=features)
        check_eps(eps)
        self.weight = parameter(np.ones(D), dtype)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        check_input(x, self, self.weight, "(..., D)", self.weight.shape[0])
        return rms_norm(x, self.weight, self.eps)
