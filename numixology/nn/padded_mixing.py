"""Mixing with a number of heads that does not divide the features, by padding."""

import math
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ..array import A, Array
from ..checks import one_of, positive
from ..functional.elementary import concatenate
from ..functional.mixing import token_mix
from ..tensors import Tensor
from .checks import check_input
from .module import Module

__all__ = ["PaddedMixing", "Remainder"]

#: What is left of a padded mixing.
Remainder: TypeAlias = Literal["values", "front"]


class PaddedMixing(Module):
    """Every token padded with zeros until H divides it, mixed, and brought back to D features.

    - ``"values"`` takes the zeros out of the sequence again and regroups what is left, D per token:
      a permutation, but no shuffle of chunks.
    - ``"front"`` keeps the first D features of each mixed token, zeros among them.

    It may stand for a mixing, ``mixing=`` of a token mixer or a block. Its laws have no closed
    form: they are read off the module as it runs on whole numbers. Where H divides D nothing is
    padded, and they are those of mixing.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, any number of heads.
        keep: ``"values"`` or ``"front"``.

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Example:
        >>> import numixology as nx
        >>> whole = nx.nn.PaddedMixing(4, 8, 4)
        >>> whole.pad, whole.order, whole.depth_to_mix, whole.lost_values
        (0, 2, 1, 0)
        >>> padded = nx.nn.PaddedMixing(4, 6, 4)
        >>> padded.pad, padded.order, padded.depth_to_mix, padded.lost_values
        (2, 5, 2, 0)
    """

    _settings = ("num_tokens", "hidden_dim", "num_heads", "keep")

    def __init__(
        self, num_tokens: int, hidden_dim: int, num_heads: int, *, keep: Remainder = "values"
    ) -> None:
        one_of("keep", keep, get_args(Remainder))
        T, D, H = positive(num_tokens=num_tokens, hidden_dim=hidden_dim, num_heads=num_heads)
        self.num_tokens, self.hidden_dim, self.num_heads, self.keep = T, D, H, keep
        self.pad = -D % H
        real = token_mix(self._padded(np.ones((1, T, D))), H)
        self._places = np.flatnonzero(real)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        T, D = self.num_tokens, self.hidden_dim
        check_input(x, self, x, "(B, T, D)", T, D)
        y = token_mix(self._padded(x), self.num_heads)  # (B, T, D + pad)
        if self.keep == "front":
            return y[:, :, :D]
        return y.reshape(len(x), T * (D + self.pad))[:, self._places].reshape(len(x), T, D)

    def _padded(self, x: A) -> A:
        zeros: Any = np.zeros((*x.shape[:2], self.pad), x.dtype)
        padded: A = concatenate([x, zeros], axis=2)  # (B, T, D + pad)
        return padded

    def _sources(self) -> Array:
        """Which value of the input, counted from 1, is at each place of the output; 0 for none."""
        T, D = self.num_tokens, self.hidden_dim
        numbers = np.arange(1, T * D + 1).reshape(1, T, D)
        return np.asarray(self(numbers)).reshape(T, D)

    @property
    def lost_values(self) -> int:
        """How many of the T·D values are nowhere in the output."""
        sources = self._sources()
        return int(sources.size - np.count_nonzero(sources))

    @property
    def order(self) -> int | None:
        """How many of these mixings in a row are the identity; None where values are lost."""
        to = (self._sources() - 1).ravel()
        if to.min() < 0:
            return None
        order, seen = 1, np.zeros(to.size, np.bool_)
        for first in range(to.size):
            length, place = 0, first
            while not seen[place]:
                seen[place], length, place = True, length + 1, to[place]
            order = math.lcm(order, length or 1)
        return order

    @property
    def depth_to_mix(self) -> int | None:
        """How many layers let every token see every token, residual included; None if none do."""
        T, D = self.num_tokens, self.hidden_dim
        sources = self._sources()
        sees = np.eye(T, dtype=np.bool_)  # of the residual
        rows, columns = np.nonzero(sources)
        sees[rows, (sources[rows, columns] - 1) // D] = True
        reach, depth = np.eye(T, dtype=np.bool_), 0
        while not reach.all():
            further = reach @ sees
            if (further == reach).all():
                return None
            reach, depth = further, depth + 1
        return depth
