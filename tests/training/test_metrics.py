"""The area under the ROC curve: exactly the share of pairs in order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology.errors import ArgumentError, ShapeError
from numixology.training import auc

ranked = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=20).filter(
    lambda rows: len({positive for _, positive in rows}) == 2
)


@given(ranked)
def test_it_is_the_share_of_pairs_in_order(rows) -> None:
    pairs = [(s, t) for s, positive in rows if positive for t, other in rows if not other]
    share = sum(Fraction((s > t) * 2 + (s == t), 2) for s, t in pairs) / len(pairs)
    assert auc(*zip(*rows, strict=True)) == float(share)


@given(ranked)
def test_it_knows_only_the_order(rows) -> None:
    scores, target = map(np.array, zip(*rows, strict=True))
    assert auc(np.exp(scores), target) == auc(scores, target)
    assert auc(-scores, target) == pytest.approx(1 - auc(scores, target))
    assert auc(scores, ~target) == pytest.approx(1 - auc(scores, target))


def test_its_ends_and_its_middle() -> None:
    assert auc([1, 2, 3], [0, 0, 1]) == 1
    assert auc([1, 2, 3], [1, 0, 0]) == 0
    assert auc([5, 5, 5], [1, 0, 0]) == 0.5


def test_what_is_no_ranking_is_refused() -> None:
    for scores, target in (([1.0, 2.0], [1, 1]), ([1.0, np.nan], [0, 1]), ([], [])):
        with refused(ArgumentError, "a ranking has positives, negatives and no NaN"):
            auc(scores, target)
    for target in ([1, 2], [-1, 1], [0.2, 0], [np.nan, 0], ["no", "yes"]):
        with refused(ArgumentError, "a target is 0 or 1"):
            auc([1.0, 2.0], target)
    for scores, target in (([1.0, 2.0], [1]), ([[1.0, 2.0]], [[0, 1]])):
        with refused(ShapeError, "scores and target have the same shape (n,)"):
            auc(scores, target)
