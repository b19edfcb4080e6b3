"""Trees of arrays: their leaves, their names, and lists of numbers, which are arrays."""

import numpy as np
import pytest

from numixology.verify.gradients.trees import is_tree, leaves, rebuilt

ENDLESS: list = [1.0]
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("value", "tree"),
    [
        ([1.0, 2], False),
        ([[1, 2], [3.0]], False),
        ([1.0, np.ones(2)], True),
        ([np.float64(1.0)], True),
        ((), True),
        ([1.0, []], True),
        ({}, True),
        (np.ones(2), False),
        (None, False),
        (ENDLESS, False),
    ],
)
def test_lists_of_numbers_are_no_trees(value, tree) -> None:
    assert is_tree(value) is tree


def test_a_tree_is_rebuilt_of_its_leaves() -> None:
    tree = {"b": (1.0, [np.ones(2)]), "a": None}
    named = list(leaves(tree, "x"))
    assert [name for name, _ in named] == ["x['a']", "x['b'][0]", "x['b'][1][0]"]
    assert rebuilt(tree, iter("abc")) == {"b": ("b", ["c"]), "a": "a"}
