"""How good a ranking is."""

from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError, shown

__all__ = ["auc"]


def auc(scores: Any, target: Any) -> float:
    """P(s⁺ > s⁻) + P(s⁺ = s⁻) / 2, for the scores of a random positive and a random negative.

    It is the area under the ROC curve, and is computed from ranks: of the P N pairs of a positive
    and a negative, Σ⁺ rank - P (P + 1) / 2 are in order, where equal scores share a mean rank.

    Args:
        scores: (n,), higher for what is more likely positive.
        target: (n,), 1 or True for positives, 0 or False for negatives.

    Returns:
        A number from 0 to 1; 1/2 is that of a guess.

    Raises:
        ShapeError: the two have different shapes, or more axes than one.
        ArgumentError: there are no positives or no negatives, or other targets, or a score is NaN.

    Source: Mann and Whitney 1947.

    Example:
        >>> import numixology as nx
        >>> nx.training.auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
        0.75
    """
    s, t = np.asarray(scores), np.asarray(target)
    if not np.isin(t, (0, 1)).all():
        raise ArgumentError("a target is 0 or 1", shown(target), "compare it with a threshold")
    positive = t.astype(bool)
    if s.shape != positive.shape or s.ndim != 1:
        got = f"{s.shape} and {positive.shape}"
        raise ShapeError("scores and target have the same shape (n,)", got, "flatten them")
    P, N = int(positive.sum()), int((~positive).sum())
    if P * N == 0 or np.isnan(s).any():
        got = f"{P} positives, {N} negatives and {np.isnan(s).sum()} NaN"
        raise ArgumentError("a ranking has positives, negatives and no NaN", got, "see the scores")
    _, place, counts = np.unique(s, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][positive].sum() - P * (P + 1) / 2) / (P * N))
