"""A block of which only the outputs are seen, and how far apart two outputs are."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ...array import Array
from ...errors import ArgumentError, DTypeError, ShapeError
from ...nn.mixers import MixingName

__all__ = ["BlackBox", "Mixings", "Reply", "distance"]

#: An answer, None where it cannot be told, and what showed it.
Reply: TypeAlias = tuple[Any, str]
#: Where a mixing puts each feature, (T·D,), by its name and number of heads.
Mixings: TypeAlias = dict[tuple[MixingName, int], Array]

ROWS = 64  # sequences in a call
_MOST = 2048  # features whose effects are all looked at; of more, those of three tokens


class BlackBox:
    """A block of which only the outputs are seen.

    What is equal may differ by ``same`` of the largest entry, in which rounding has room; what
    differs does so by far more. ``huge`` makes a token so large that nothing of order 1 turns it.
    """

    def __init__(
        self,
        fn: Callable[[Any], Any],
        num_tokens: int,
        hidden_dim: int,
        dtype: np.dtype[Any],
        rng: np.random.Generator,
    ) -> None:
        self.fn, self.T, self.D, self.dtype, self.rng = fn, num_tokens, hidden_dim, dtype, rng
        unit = float(np.finfo(dtype).eps)
        self.same = 1000 * unit
        self.huge = 2.0 ** round(-0.4 * math.log2(unit))  # 2²¹, and in float32 2⁹

    def __call__(self, x: Array) -> Array:
        """(N, T, D) to (N, T, D), of float64, a few sequences at a time."""
        parts = [self._output(x[i : i + ROWS]) for i in range(0, len(x), ROWS)]
        return np.concatenate(parts)

    def _output(self, x: Array) -> Array:
        y = np.asarray(self.fn(x.astype(self.dtype)))
        if y.shape != x.shape:
            got = f"{x.shape} to {y.shape}"
            raise ShapeError("a block goes from (B, T, D) to (B, T, D)", got, "wrap it so")
        if np.result_type(y, self.dtype) != y.dtype:
            invariant, got = f"a block returns {self.dtype} for {self.dtype}", str(y.dtype)
            raise DTypeError(invariant, got, "ask with dtype float32")
        if not np.isfinite(y).all():
            raise ArgumentError("the outputs of a block are finite", "NaN or infinity", "mend it")
        return y.astype(np.float64)

    def draw(self, rows: int) -> Array:
        """Inputs next to whose variance any eps is small."""
        return 4 * self.rng.standard_normal((rows, self.T, self.D))

    def alone(self, x: Array, token: int) -> Array:
        """The same, with other values in one token."""
        x = x.copy()
        x[:, token] = self.draw(len(x))[:, token]
        return x

    @property
    def looked_at(self) -> list[int]:
        """The tokens whose features are followed one by one."""
        few = sorted({0, 1, self.T - 1})
        return [*range(self.T)] if self.T * self.D <= _MOST else few

    def check(self) -> None:
        """Raise unless the block is a function, sequence by sequence."""
        x = self.draw(2)
        y = self(x)
        for other, what in ((self(x), "the same input"), (self(x[:1]), "the same sequence alone")):
            if (off := distance(y[: len(other)], other)) > self.same:
                invariant = "a block has one output for an input"
                got = f"another for {what}, off by {off:.0e}"
                instead = "call its eval() first, or ask with dtype float32 if it rounds to that"
                raise ArgumentError(invariant, got, instead)


def distance(a: Array, b: Array, first: int = 0) -> float:
    """The largest difference, relative to the largest entry, of tokens from ``first`` on."""
    a, b = (x[:, first:] if first else x for x in (a, b))
    largest = max(np.abs(a).max(), np.abs(b).max())
    return float(np.abs(a - b).max() / largest) if largest else 0.0
