"""The figures of shapes, batches and memory, held to arrays that are made here."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology.errors import ArgumentError, ShapeError
from numixology.explain import Grid, panel_text
from numixology.explain.figures.shapes import batch_scene, strides_scene

SMALL = st.integers(1, 7)


def labels(row):
    return [cell.label for chunk in row.chunks for cell in chunk]


def test_sizes_are_positive() -> None:
    with refused(ArgumentError, "num_tokens"):
        batch_scene(2, 0, 4)


# Batches ----------------------------------------------------------------------------


@given(B=SMALL, T=SMALL, D=st.integers(1, 6))
def test_every_token_of_a_small_batch_is_a_cell(B, T, D) -> None:
    tokens, opened = batch_scene(B, T, D).panels
    assert isinstance(tokens, Grid)
    assert [row.name for row in tokens.rows] == [f"x[{b}]" for b in range(B)]
    for b, row in enumerate(tokens.rows):
        assert labels(row) == [f"{b},{t}" for t in range(T)]
        assert [cell.group for chunk in row.chunks for cell in chunk] == list(range(T))
        assert f"{row.name}: [{b},0]" in panel_text(tokens)
    assert [labels(row) for row in opened.rows] == [[f"f{i + 1}" for i in range(D)]] * 2
    assert [row.name for row in opened.rows] == ["x[0, 0]", f"x[{B - 1}, {T - 1}]"]
    assert f"({T}, {D})" in tokens.note and f"({D},)" in tokens.note


def test_a_large_batch_is_shown_by_its_ends() -> None:
    tokens, opened = batch_scene(20, 30, 768).panels
    names = [row.name for row in tokens.rows]
    assert names[0] == "x[0]" and "" in names and names[-1] == "x[19]"
    assert labels(tokens.rows[names.index("")]) == ["..."]
    assert labels(tokens.rows[0])[-3:] == ["...", "0,28", "0,29"]
    assert labels(tokens.rows[-1])[-1] == "19,29"
    assert labels(opened.rows[1]) == ["f1", "f2", "f3", "...", "f767", "f768"]


# Memory -----------------------------------------------------------------------------


def tensors(T, D, H, B):
    """The same steps in NumPy, as a dict."""
    x = np.arange(float(B * T * D)).reshape(B, T, D)
    cut = x.reshape(B, T, H, D // H)
    swapped = cut.transpose(0, 2, 1, 3)
    copied = np.ascontiguousarray(swapped)
    flat = copied.reshape(B, H * T, D // H)
    return {"x": x, "cut": cut, "swapped": swapped, "copied": copied, "flat": flat}


@given(T=SMALL, H=st.integers(1, 5), d=st.integers(1, 4), B=st.integers(1, 3))
def test_strides_and_places_are_those_of_numpy(T, H, d, B) -> None:
    D = H * d
    (places,) = strides_scene(T, D, H, batch=B).panels
    arrays = tensors(T, D, H, B)
    for place, (name, array) in zip(places.rows, arrays.items(), strict=True):
        strides = tuple(step // array.itemsize for step in array.strides)
        assert place.name.startswith(f"{name} (")
        if 1 not in array.shape:  # the stride of an axis of length 1 says nothing
            assert place.name == f"{name} {strides}"
        values = array.reshape(-1)[:10].astype(int)
        own = values if np.shares_memory(array, arrays["x"]) else np.arange(len(values))
        assert labels(place) == [str(one) for one in own]
        tokens = [cell.group for chunk in place.chunks for cell in chunk]
        assert tokens == [int(one) // D for one in values]
        assert f"{place.name}:" in panel_text(places)


@pytest.mark.parametrize("sizes", [(1, 10, 2), (5, 10, 1)])
def test_with_one_token_or_one_head_nothing_is_copied(sizes) -> None:
    (places,) = strides_scene(*sizes).panels
    assert "nothing moves" in places.note
    assert "nothing moves" not in strides_scene(3, 10, 2).panels[0].note


def test_a_head_count_that_does_not_divide() -> None:
    with refused(ShapeError, "10 and 3"):
        strides_scene(3, 10, 3)
