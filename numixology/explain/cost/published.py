"""The sizes and costs that the paper publishes, beside what its own formulas give.

With L layers of T tokens of D features, and networks of a hidden width of kD for each token, the
paper has about 2kLTD² parameters and 4kLTD² operations for a sample. k is not published.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ...array import DTypeLike
from ...checks import positive
from ...nn import BlockOptions, Module, RankMixerBlock
from ...nn.module import Rng
from ...tensors import Tensor
from .closed_forms import value

__all__ = ["CONFIGURATIONS", "FLOPS", "PARAMETERS", "Configuration", "Stack"]

#: Of N blocks with a network of width F for each token and both norms after their sums, as in the
#: paper: with F = kD the first terms are 2kNTD² and 4kNBTD².
PARAMETERS = "2NTDF + NTF + NTD + 4ND"
FLOPS = "4NBTDF + 17NBTD + 6NBTF + 4NBT"

#: The batch of the published operations.
BATCH = 512


class Configuration(NamedTuple):
    """A model of the paper: its sizes, and what the paper says that it has and costs.

    Attributes:
        num_tokens: T, which is H too.
        hidden_dim: D, the number of features.
        num_layers: L, the number of blocks.
        parameters: as published.
        flops: of a batch of 512, as published.

    Source: RankMixer (arXiv 2507.15551).

    Example:
        >>> import numixology as nx
        >>> small = nx.explain.CONFIGURATIONS["RankMixer-100M"]
        >>> small.num_tokens, small.hidden_dim, small.num_layers
        (16, 768, 2)
        >>> f"{small.count():,}"
        '151,123,968'
    """

    num_tokens: int
    hidden_dim: int
    num_layers: int
    parameters: float
    flops: float

    def count(self, of: str = PARAMETERS, *, expansion: int = 4, batch: int = 1) -> int:
        """What a formula gives for these sizes: the parameters, unless it is another.

        Args:
            of: a formula, such as ``FLOPS``.
            expansion: k, the hidden width of the networks over D.
            batch: B, the number of samples.

        Returns:
            A whole number.
        """
        T, D, N = self.num_tokens, self.hidden_dim, self.num_layers
        return value(of, {"B": batch, "T": T, "D": D, "N": N, "F": expansion * D})

    @property
    def implied_expansion(self) -> float:
        """The k for which 2kLTD² is the published number of parameters."""
        return self.parameters / (2 * self.num_layers * self.num_tokens * self.hidden_dim**2)

    @property
    def flops_per_parameter(self) -> float:
        """The published operations of a sample for each published parameter; 2, by the formulas."""
        return self.flops / BATCH / self.parameters

    def build(
        self, *, expansion: int = 4, rng: Rng = None, dtype: DTypeLike = "float32"
    ) -> "Stack":
        """The model: L of the paper's blocks, without dropout.

        Args:
            expansion: k, the hidden width of the networks over D.
            rng, dtype: see :mod:`numixology.nn`.

        Returns:
            A :class:`.Stack`.
        """
        T, D, L = self[:3]
        (k,) = positive(expansion=expansion)
        generator = np.random.default_rng(rng)
        options: BlockOptions = {"norm": "post", "ffn": "per_token", "ff_dim": k * D}
        options |= {"dropout": 0.0, "rng": generator, "dtype": dtype}
        return Stack(RankMixerBlock(T, D, T, **options) for _ in range(L))


class Stack(Module):
    """Blocks one after another, which are its one part, ``blocks``.

    Args:
        blocks: modules from (B, T, D) to (B, T, D).

    Returns:
        When called with x (B, T, D), y (B, T, D).

    Source: RankMixer, section 3 (arXiv 2507.15551).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> small = nx.explain.CONFIGURATIONS["RankMixer-100M"]._replace(hidden_dim=16)
        >>> small.build(rng=0, dtype="float64")(np.ones((2, 16, 16))).shape
        (2, 16, 16)
    """

    def __init__(self, blocks: Iterable[Module]) -> None:
        self.blocks = [*blocks]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        for block in self.blocks:
            x = block(x)  # (B, T, D)
        return x


#: The models that the paper names.
CONFIGURATIONS = {
    "RankMixer-100M": Configuration(16, 768, 2, 107e6, 233e9),
    "RankMixer-1B": Configuration(32, 1536, 2, 1.1e9, 2.1e12),
}
