"""Self-attention beside the token mixer: what each costs, and their ratios."""

from typing import NamedTuple

from ...checks import positive
from ...functional.mixing import divided

__all__ = ["CostComparison", "compare"]


class CostComparison(NamedTuple):
    """Attention and mixer at one size. The FLOPs are those of one sequence; B cancels.

    Attributes:
        mixer_flops: mixing, residual and norm.
        attention_flops: self-attention, everything counted.
        network_flops: the feed-forward network with F = 4D, which either is followed by.
        ratio: attention to mixer, everything counted.
        leading_ratio: that of the largest terms alone, (8TD² + 4T²D) / 8TD.
        mixed_units: the guide's own rows, multiply-adds to FLOPs.
        block_ratio: attention with residual, norm and network, to the mixer's block.

    Example:
        >>> import numixology as nx
        >>> found = nx.explain.compare(512, 768)
        >>> found.leading_ratio, found.mixed_units
        (1024.0, 512.0)
        >>> round(found.ratio, 1), round(found.block_ratio, 2)
        (1030.2, 1.67)
    """

    mixer_flops: int
    attention_flops: int
    network_flops: int
    ratio: float
    leading_ratio: float
    mixed_units: float
    block_ratio: float


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
    mixer = 8 * T * D + 2 * T
    attention = 8 * T * D**2 + 4 * T**2 * D + 6 * H * T**2 + 4 * T * D - 2 * H * T
    network = 16 * T * D**2 + 33 * T * D + 2 * T
    return CostComparison(
        mixer,
        attention,
        network,
        ratio=attention / mixer,
        leading_ratio=D + T / 2,
        mixed_units=(4 * D + 2 * T) / 8,
        block_ratio=(attention + mixer + network) / (mixer + network),
    )
