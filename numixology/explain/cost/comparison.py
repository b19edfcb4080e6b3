"""Self-attention beside the token mixer: what each costs, and their ratios."""

from typing import NamedTuple

from ...checks import positive
from ...functional.mixing import divided

__all__ = ["CostComparison", "compare"]


class CostComparison(NamedTuple):
    """Attention and mixer at one size. The FLOPs are those of one sequence; B cancels.

    Attributes:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, the number of heads.

    Example:
        >>> import numixology as nx
        >>> found = nx.explain.compare(512, 768)
        >>> found.leading_ratio, found.mixed_units
        (1024.0, 512.0)
        >>> round(found.ratio, 1), round(found.block_ratio, 2)
        (1030.2, 1.67)
    """

    num_tokens: int
    hidden_dim: int
    num_heads: int

    @property
    def mixer_flops(self) -> int:
        """Mixing, residual and norm, 8TD + 2T."""
        T, D, _ = self
        return 8 * T * D + 2 * T

    @property
    def attention_flops(self) -> int:
        """Self-attention, everything counted, 8TD² + 4T²D + 6HT² + 4TD - 2HT."""
        T, D, H = self
        return 8 * T * D**2 + 4 * T**2 * D + 6 * H * T**2 + 4 * T * D - 2 * H * T

    @property
    def network_flops(self) -> int:
        """The feed-forward network with F = 4D, which either is followed by, 16TD² + 33TD + 2T."""
        T, D, _ = self
        return 16 * T * D**2 + 33 * T * D + 2 * T

    @property
    def ratio(self) -> float:
        """Attention to mixer, everything counted, in FLOPs."""
        return self.attention_flops / self.mixer_flops

    @property
    def leading_ratio(self) -> float:
        """The largest terms alone, (8TD² + 4T²D) / 8TD = D + T/2, in FLOPs."""
        return self.hidden_dim + self.num_tokens / 2

    @property
    def mixed_units(self) -> float:
        """The guide's own rows, multiply-adds to FLOPs, which is (4D + 2T) / 8."""
        return (4 * self.hidden_dim + 2 * self.num_tokens) / 8

    @property
    def block_ratio(self) -> float:
        """Attention with residual, norm and network, to the mixer's block."""
        rest = self.mixer_flops + self.network_flops
        return (self.attention_flops + rest) / rest

    @property
    def mixer_numbers(self) -> int:
        """How many numbers the mixer makes and keeps, TD."""
        return self.num_tokens * self.hidden_dim

    @property
    def score_numbers(self) -> int:
        """The scores, one for every pair of tokens in every head, HT²."""
        return self.num_heads * self.num_tokens**2

    @property
    def attention_numbers(self) -> int:
        """Queries, keys, values and output besides the scores, 4TD + HT²."""
        return 4 * self.mixer_numbers + self.score_numbers


def compare(num_tokens: int, hidden_dim: int = 768, num_heads: int = 12) -> CostComparison:
    """Compare self-attention with the token mixer, by formulas: nothing is run.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, of the attention; the mixer's FLOPs do not depend on it.

    Returns:
        A :class:`.CostComparison`.

    Raises:
        ArgumentError: a size is not a positive integer.
        ShapeError: H does not divide D.

    Source: guide, Computational Complexity and Performance Scaling Chart.

    Example:
        >>> import numixology as nx
        >>> for T in (128, 8192):
        ...     print(T, nx.explain.compare(T).leading_ratio, nx.explain.compare(T).mixed_units)
        128 832.0 416.0
        8192 4864.0 2432.0
    """
    T, D, H = positive(num_tokens=num_tokens, hidden_dim=hidden_dim, num_heads=num_heads)
    divided(D, H)
    return CostComparison(T, D, H)
