"""Who sees whom, of any function; what nobody sees; and what a new token moves."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, ShapeError
from numixology.explain import cross_token_jacobian, null_space_direction

SIZES = [(1, 3), (2, 3), (3, 2), (4, 4), (5, 2), (3, 8)]
sizes = pytest.mark.parametrize(("T", "H"), SIZES)


def drawn(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def dealt(T, H):
    """The chunk at each place after mixing: head 0 of every token, then head 1, …"""
    return np.array([t * H + h for h in range(H) for t in range(T)])


# Who sees whom --------------------------------------------------------------------------------


@sizes
def test_mixing_sees_the_root_of_the_features_it_moved(T, H):
    d = 3
    moved = np.zeros((T, T))
    for place, chunk in enumerate(dealt(T, H)):
        moved[place // H, chunk // H] += d
    found = cross_token_jacobian(lambda x: F.token_mix(x, H), drawn(1, T, H * d))
    np.testing.assert_allclose(found, np.sqrt(moved), atol=1e-9)
    assert ((found == 0) == (moved == 0)).all()  # exactly


@pytest.mark.parametrize("batch", [1, 2])
def test_a_modules_tape_and_differences_agree(batch):
    block = nx.nn.RankMixerBlock(3, 8, 2, ff_dim=5, rng=0).eval()
    x = drawn(batch, 3, 8)
    slopes = nx.jacobian(block, x).data  # (B, T, D, B, T, D)
    wanted = np.sqrt((slopes**2).sum((0, 2, 3, 5)))
    np.testing.assert_allclose(cross_token_jacobian(block, x), wanted, rtol=1e-13)

    def foreign(x):
        return block(x).data

    np.testing.assert_allclose(cross_token_jacobian(foreign, x), wanted, rtol=1e-8)


@pytest.mark.parametrize("probes", [None, 500])
@pytest.mark.parametrize("size", [1.0, 1e5, 1e12])
@pytest.mark.parametrize("dtypes", ["dd", "df", "ff", "fd"], ids="-to-".join)
def test_differences_are_as_wide_as_the_numbers_need(dtypes, size, probes):
    """A step that x, or a model of float32 behind it, rounds away shows nothing of what is seen."""
    given, returned = map(np.dtype, dtypes)
    seen = []

    def block(x):
        seen.append(x.dtype)
        return F.token_mix(x.astype(returned), 2)

    x = size * np.ones((1, 3, 2), given)
    expected = cross_token_jacobian(lambda x: nx.functional.token_mix(x, 2), np.ones((1, 3, 2)))
    found = cross_token_jacobian(block, x, probes=probes)
    np.testing.assert_allclose(found, expected, rtol=1e-3 if probes is None else 0.2)
    assert {*seen} == {given}


def test_a_foreign_function_of_float32_is_differentiated_as_far_as_that_goes():
    x = drawn(1, 2, 4).astype(np.float32)
    found = cross_token_jacobian(lambda x: np.float32(3) * x, x)
    np.testing.assert_allclose(found, 6 * np.eye(2), atol=1e-2)
    assert found[0, 1] == 0


def test_tokens_may_become_fewer():
    found = cross_token_jacobian(lambda x: x.mean(axis=1, keepdims=True), drawn(2, 5, 3))
    np.testing.assert_allclose(found, np.full((1, 5), math.sqrt(6) / 5))


@pytest.mark.parametrize("foreign", [False, True])
def test_probes_estimate_the_norms_and_keep_the_zeros(foreign):
    mixer = nx.nn.TokenMixer(8, 16, 2)
    fn = (lambda x: mixer(x).data) if foreign else mixer
    x = drawn(1, 8, 16)
    wanted, found = cross_token_jacobian(mixer, x), cross_token_jacobian(fn, x, probes=40)
    assert ((found == 0) == (wanted == 0)).all()
    assert (found[wanted > 0] / wanted[wanted > 0]).min() > 0.5
    assert (found[wanted > 0] / wanted[wanted > 0]).max() < 1.6


def test_what_cannot_be_differentiated_is_refused():
    x = drawn(2, 3, 4)
    with refused(ShapeError, "(B, T, D) to (B, T', D')", "(2, 3, 4) to (2, 4)"):
        cross_token_jacobian(lambda x: x.mean(axis=1), x)
    with refused(ShapeError, "(3, 4) to (3, 4)"):
        cross_token_jacobian(lambda x: x, x[0])
    with refused(ShapeError, "(2, 3, 4) to (1, 3, 4)"):
        cross_token_jacobian(lambda x: x[:1], x)
    with refused(DTypeError, "int64"):
        cross_token_jacobian(lambda x: x, np.ones((1, 2, 3), np.int64))
    with refused(ArgumentError, "probes"):
        cross_token_jacobian(lambda x: x, x, probes=0)


# What nobody sees -----------------------------------------------------------------------------


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3), st.sampled_from([None, 5]))
def test_mixing_turns_the_direction_into_its_negative(T, H, d, rng):
    even = sum(len(cycle) % 2 == 0 for cycle in F.chunk_cycles(T, H))
    if not even:
        with refused(ArgumentError, "where a cycle of chunks is even", f"T = {T} and H = {H}"):
            null_space_direction(T, H, d, rng=rng)
        return
    A = null_space_direction(T, H, d, rng=rng)
    assert A.shape == (T, H * d)
    assert A.any()
    np.testing.assert_array_equal(F.token_mix(A[None], H)[0], -A)
    if rng is None:
        assert set(np.abs(A.ravel())) <= {0, 1}
    if T == H:
        chunks = A.reshape(T, T, d)
        np.testing.assert_array_equal(chunks, -chunks.transpose(1, 0, 2))


@pytest.mark.parametrize("ffn", ["standard", "swiglu"])
@pytest.mark.parametrize(
    ("norm", "blind"), [("post", 1), ("guide", 1), ("pre", 0), ("bare_mix", 0)]
)
@pytest.mark.parametrize(("T", "H"), [(4, 4), (2, 3)])
def test_a_norm_after_the_sum_cannot_see_it_and_others_can(norm, blind, ffn, T, H):
    block = nx.nn.RankMixerBlock(T, 3 * H, H, norm=norm, ffn=ffn, rng=0).eval()
    A = null_space_direction(T, H, 3, rng=1)
    x = np.random.default_rng(2).standard_normal((3, T, 3 * H))
    change = np.abs(block(x + A).data - block(x).data).max()
    assert change < 1e-14 if blind else change > 0.1
