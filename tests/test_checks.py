"""What arguments may be."""

import numpy as np
import pytest

from numixology.checks import one_of, positive
from numixology.errors import ArgumentError


@pytest.mark.parametrize("kind", [int, np.int8, np.uint64, np.int64, np.array])
def test_sizes_become_python_s_integers(kind):
    found = positive(num_tokens=kind(12), num_heads=kind(3))
    assert found == (12, 3)
    assert all(type(size) is int for size in found)


@pytest.mark.parametrize(
    "size",
    [0, -3, 1.5, 2.0, "8", None, True, np.True_, np.float64(2), np.int64(0), [8]],
)
def test_what_is_no_size(size):
    with pytest.raises(ArgumentError, match="num_heads is a positive integer: got .*; use e.g. 8"):
        positive(num_tokens=4, num_heads=size)


def test_a_list_without_end_is_refused_in_few_words():
    endless = []
    endless.append(endless)
    for size, text in ((endless, "[[...]]"), (np.int64(0), "np.int64(0)"), ([8] * 10**6, "[8, ")):
        with pytest.raises(ArgumentError) as caught:
            positive(num_heads=size)
        assert text in str(caught.value)
        assert len(str(caught.value)) < 100


@pytest.mark.parametrize("word", ["A", "", None, ["a"] * 1000])
def test_a_word_that_is_none_of_those_known(word):
    assert one_of("letter", "b", ("a", "b", "c")) is None
    with pytest.raises(ArgumentError) as caught:
        one_of("letter", word, ("a", "b", "c"))
    assert str(caught.value).startswith("letter is 'a', 'b' or 'c': got ")
    assert str(caught.value).endswith("; use one of them")
    assert len(str(caught.value)) < 100
