"""Sizes cross every edge from both sides, and what a backend requires is met nearby."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology.errors import ArgumentError
from numixology.verify.conformance import STAGES
from numixology.verify.conformance.cases import cases_of
from numixology.verify.conformance.sizes import (
    EDGES,
    LETTERS,
    fitted,
    kernel_sizes,
    letters_of,
    read_shape,
)
from numixology.verify.conformance.stages import inputs_of

PER_TOKEN = ("per_token_feed_forward", "per_token_swiglu")  # in the sizes of per_token_linear
MIXES = ("token_mix", "token_revert", "mixer", "block", "model")


@pytest.mark.parametrize("stage", [one for one in STAGES if one != "mixer_large"])
def test_each_edge_of_each_axis_is_crossed_from_both_sides(stage) -> None:
    """Below, at and above, forward and backward: every case has a cotangent."""
    found = [case.sizes for case in cases_of(stage, "float32", 1, quick=False)]
    letters = letters_of(stage)
    axes = [axis for axis in EDGES if axis in letters] + ["rows"]
    if stage not in MIXES:
        axes.remove("T")  # there tokens are rows
    for axis in axes:
        sizes = {
            one["B"] * one["T"] if axis == "rows" else one.get(axis)
            for one in found
            if one.keys() == set(letters)
        }
        for edge in EDGES[axis]:
            assert {edge - 1, edge, edge + 1} <= sizes, (axis, edge)
        assert 1 in sizes or axis == "V"


@pytest.mark.parametrize("stage", MIXES)
def test_some_have_as_many_heads_as_tokens_and_some_have_not(stage) -> None:
    sizes = list(kernel_sizes(stage))
    assert {one["T"] == one["H"] > 1 for one in sizes} == {True, False}
    assert all(one["D"] % one["H"] == 0 for one in sizes)
    assert max(one["T"] for one in sizes) > 128
    if "F" in letters_of(stage):
        assert {(one["F"] > one["D"]) - (one["F"] < one["D"]) for one in sizes} == {-1, 0, 1}


def test_sizes_in_cases_are_those_of_the_arrays() -> None:
    sizes = {"B": 2, "T": 3, "D": 8, "H": 4, "F": 5, "V": 300, "L": 3}
    (*_, case) = cases_of("model", "float32", 1, shapes=[sizes])
    assert case.name == "model/shape/B=2,T=3,D=8,H=4,F=5,V=300,L=3"
    assert case.inputs["ids"].shape == (2, 3)
    assert case.inputs["token_embedding.weight"].shape == (300, 8)
    assert case.inputs["blocks.2.ffn.linear1.weight"].shape == (5, 8)
    assert "blocks.3.ffn.linear1.weight" not in case.inputs


@pytest.mark.parametrize("stage", [one for one in STAGES if one not in PER_TOKEN])
@pytest.mark.parametrize(
    "requires",
    [{"H": "T"}, {"D": 64}, {"D": [64, "power of two"], "T": "<=16", "B": ">=2"}, {"F": "D"}],
)
def test_every_case_is_within_what_a_backend_requires(stage, requires) -> None:
    largest = 0
    for case in cases_of(
        stage, "float32", 1, quick=stage in ("model", "mixer_large"), requires=requires
    ):
        if "/in " in case.name:
            continue
        sizes = case.sizes
        assert fitted(sizes, requires) == sizes
        assert sizes.get("D", 1) % sizes.get("H", 1) == 0
        if "F" in sizes and "F" in requires:
            assert sizes["F"] == sizes["D"]
        if "H" in sizes and "H" in requires:
            assert sizes["H"] == sizes["T"]
        if "D" in sizes and "D" in requires:
            assert sizes["D"] % 64 == 0
        largest = max(largest, case.cotangent.size)
    assert largest < 1 << 21


@given(st.dictionaries(st.sampled_from("BTDHFV"), st.integers(1, 5000), min_size=2))
def test_sizes_that_are_supported_stay_as_they_are(sizes) -> None:
    found = fitted(sizes, {})
    assert fitted(found, {}) == found
    assert {k: n for k, n in found.items() if k != "D"} == {
        k: n for k, n in sizes.items() if k != "D"
    }
    assert found.get("D", 0) % found.get("H", 1) == 0


def test_sizes_are_moved_as_little_as_can_be() -> None:
    assert fitted({"D": 100}, {"D": 64}) == {"D": 128}
    assert fitted({"D": 90}, {"D": 64}) == {"D": 64}
    assert fitted({"T": 33}, {"T": "<=32"}) == {"T": 32}
    assert fitted({"T": 5}, {"T": ">= 16"}) == {"T": 16}
    assert fitted({"T": 5}, {"T": "power of two"}) == {"T": 4}
    assert fitted({"T": 6, "D": 64, "H": 2}, {"D": "power of two", "H": "T"}) == {
        "T": 8,
        "D": 64,
        "H": 8,
    }


@pytest.mark.parametrize("rule", ["64", 0, "T<=3", 1.5, "<=", None])
def test_rules_that_cannot_be_read(rule) -> None:
    with refused(ArgumentError, "requires of a size", 'write such as {"D": 64'):
        fitted({"D": 7}, {"D": rule})


def test_rules_that_no_size_meets() -> None:
    with refused(ArgumentError, "requires of D can be met", "'<=3' and '>=5'"):
        fitted({"D": 7}, {"D": ["<=3", ">=5"]})


def test_shapes_in_writing() -> None:
    assert read_shape("B=512, T=16,D=768,H=16,F=3072") == {
        "B": 512,
        "T": 16,
        "D": 768,
        "H": 16,
        "F": 3072,
    }
    for text in ("B", "B=0", "b=3", "B=-1", "B=x", ""):
        with refused(ArgumentError, f"positive sizes of {', '.join(LETTERS)}", "B=512,T=16"):
            read_shape(text)
    with refused(ArgumentError, "H divides D", "D=10, H=4"):
        read_shape("D=10,H=4")


def test_letters_of_a_stage() -> None:
    assert letters_of("linear") == "BTDF"
    assert letters_of("model") == "BTDHFVL"
    assert letters_of("embedding") == "BTDV"


def test_a_gated_block_has_the_gated_network() -> None:
    assert "ffn.w3.weight" in inputs_of("block", {"ffn": "swiglu"})
    assert "ffn.linear1.bias" not in inputs_of("block", {"ffn": "swiglu"})
    assert "blocks.i.ffn.w1.weight" in inputs_of("model", {"ffn": "swiglu"})
    assert inputs_of("linear", {"ffn": "swiglu"}) == STAGES["linear"].inputs


def test_what_would_have_too_large_weights_is_left_out() -> None:
    cases = [one for one in cases_of("mixer_large", "float32", 1, quick=False) if one.sizes]
    for letter in "TH":
        assert {15, 16, 17, 31, 32, 33} <= {one.sizes[letter] for one in cases}
    assert max(x.size for one in cases for x in one.inputs.values() if np.ndim(x)) <= 1 << 18
