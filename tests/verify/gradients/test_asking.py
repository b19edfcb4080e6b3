"""What a gradient check cannot be asked."""

import pytest
from support import numbers, refused

import numixology as nx
from numixology.errors import ArgumentError


@pytest.mark.parametrize("rng", [None, -1, 1.5, "0"], ids=repr)
def test_a_check_is_repeatable_so_its_seed_is_a_number(rng) -> None:
    with refused(ArgumentError, "rng is a seed or a Generator", repr(rng), "rng=1"):
        nx.gradcheck(nx.functional.exp, numbers(2), rng=rng)
