"""The dropout layer."""

import numpy as np

from ..array import DTypeLike
from ..checks import as_dtype
from ..functional.affine import check_probability, dropout
from ..tensors import Tensor
from .module import Module, Rng

__all__ = ["Dropout"]


class Dropout(Module):
    """In training mode zeros with probability p, the rest divided by 1 - p; else the input.

    Args:
        p: the probability of a zero, in [0, 1).
        rng: a seed or a Generator for the masks; the same seed gives the same masks in turn.
        dtype: taken like every module's; the output has the input's dtype.

    Returns:
        When called with x of any shape, the shape and dtype of x.

    Source: guide, Feed Forward Network Flow (Dropout).

    Example:
        >>> import numixology as nx
        >>> layer = nx.nn.Dropout(0.5, rng=0)
        >>> layer(nx.tensor([1.0, 1.0, 1.0, 1.0]))
        Tensor([2., 0., 0., 0.], from=multiply)
        >>> layer.eval()(nx.tensor([1.0, 1.0, 1.0, 1.0]))
        Tensor([1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None, dtype: DTypeLike = np.float64) -> None:
        check_probability(p)
        as_dtype(dtype)
        self.p = p
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return dropout(x, self.p, training=self.training, rng=self.rng)

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
