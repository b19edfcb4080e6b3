"""Other mixers: learned ones, their limits, and the wrong ones that look right."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(29)
LEARNED = ["matrix", "matrix_per_head", "full", "sinkhorn", "attention"]
FIXED = ["identity", "channels", "neighbors", "twice"]
sizes = given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))


def matrix_of(mixing, T, D):
    """The matrix of a linear mixing, read off its output."""
    units = np.eye(T * D).reshape(T * D, T, D)
    return np.asarray(mixing(units)).reshape(T * D, T * D).T


def sees(mixing, T, D):
    """[s, t]: whether token s of the output depends on token t."""
    blocks = matrix_of(mixing, T, D).reshape(T, D, T, D)
    return (blocks != 0).any(axis=(1, 3))


def order_of(P):
    power, n = P, 1
    while not np.array_equal(power, np.eye(len(P))):
        power, n = power @ P, n + 1
    return n


class TestEveryMixing:
    @pytest.mark.parametrize("name", nn.MIXINGS)
    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_it_takes_tokens_and_returns_tokens(self, name, dtype):
        mixing = nn.MIXINGS[name](3, 8, 4, rng=0, dtype=dtype)
        x = nx.tensor(RNG.normal(size=(2, 3, 8)).astype(dtype))
        y = mixing(x)
        assert (y.shape, y.dtype) == (x.shape, x.dtype)
        rows = np.concatenate([np.asarray(mixing(x[i : i + 1])) for i in range(2)])
        np.testing.assert_allclose(rows, y.data, rtol=1e-5)  # batch rows do not see each other

    @pytest.mark.parametrize("name", nn.MIXINGS)
    def test_a_block_trains_through_it(self, name):
        block = nn.RankMixerBlock(3, 8, 4, mixing=name, norm="post", dropout=0.0, rng=0)
        x = nx.tensor(RNG.normal(size=(2, 3, 8)), requires_grad=True)
        (block(x) ** 3).sum().backward()
        assert x.grad.data.any()
        learned = [p for key, p in block.named_parameters() if key.startswith("mixer.mixing.")]
        assert bool(learned) == (name in LEARNED)
        assert all(p.grad is not None for p in learned)

    @pytest.mark.parametrize("name", LEARNED)
    def test_no_two_blocks_of_a_model_start_alike(self, name):
        model = nn.RankMixerModel(9, 3, 8, 4, 2, mixing=name, rng=5)
        first, second = (block.mixer.mixing.state_dict() for block in model.blocks)
        for key in first:
            assert not np.array_equal(first[key], second[key])

    @pytest.mark.parametrize("name", ["matrix", "matrix_per_head", "full", "sinkhorn"])
    def test_what_does_not_fit_is_refused(self, name):
        mixing = nn.MIXINGS[name](3, 8, 4)
        with pytest.raises(ShapeError, match=r"takes x of shape \(B, T, D\) with T = 3, D = 8"):
            mixing(np.ones((2, 4, 8)))
        with pytest.raises(DTypeError, match="float64 parameters and takes float64 input"):
            mixing(np.ones((2, 3, 8), np.float32))
        with pytest.raises(ArgumentError, match="num_tokens is a positive integer"):
            nn.MIXINGS[name](0, 8, 4)


class TestChunkMixing:
    @sizes
    def test_it_is_a_sum_over_tokens_for_each_head(self, T, H, d):
        mixing = nn.ChunkMixing(T, H * d, H, rng=0)
        x = RNG.normal(size=(2, T, H * d))
        want = np.zeros((2, T, H, d))
        for t in range(T):
            for s in range(T):
                for h in range(H):
                    weight = mixing.weight.data[h, t, s]
                    want[:, t, h] += weight * x.reshape(2, T, H, d)[:, s, h]
        np.testing.assert_allclose(mixing(x).data, want.reshape(x.shape), atol=1e-14)

    def test_one_head_is_one_matrix_for_all_features(self):
        mixing = nn.MIXINGS["matrix"](3, 8, 4, rng=0)
        assert mixing.weight.shape == (1, 3, 3)
        x = RNG.normal(size=(2, 3, 8))
        np.testing.assert_allclose(mixing(x).data, mixing.weight.data[0] @ x, atol=1e-15)

    def test_orthogonal_matrices_keep_every_rank_and_ones_collapse(self):
        mixing = nn.ChunkMixing(5, 8, 4, rng=0)
        assert np.linalg.cond(matrix_of(mixing, 5, 8)) == pytest.approx(1, abs=1e-12)
        mixing.weight.data = np.ones((4, 5, 5))
        x = RNG.normal(size=(1, 5, 8))
        assert np.linalg.matrix_rank(mixing(x).data[0]) == 1
        assert np.linalg.matrix_rank(matrix_of(mixing, 5, 8)) == 8  # of 40: one token's worth

    def test_initial_matrices_are_uniform_over_rotations_and_reflections(self):
        W = nn.ChunkMixing(2, 4000, 4000, rng=0).weight.data
        assert abs(W.mean(axis=0)).max() < 0.05
        assert abs(np.linalg.det(W).mean()) < 0.05


class TestFullMixing:
    def test_every_linear_mixing_is_a_case_of_it(self):
        mixing = nn.FullMixing(3, 8, rng=0)
        assert mixing.weight.shape == (24, 24)
        assert np.abs(mixing.weight.data).max() < 1 / math.sqrt(24)
        x = RNG.normal(size=(2, 3, 8))
        mixing.weight.data = matrix_of(lambda x: F.token_mix(x, 4), 3, 8)
        np.testing.assert_array_equal(mixing(x).data, F.token_mix(x, 4))


class TestSinkhornMixing:
    def test_it_mixes_chunks_by_its_matrix(self):
        mixing = nn.SinkhornMixing(3, 8, 4, rng=0)
        x = RNG.normal(size=(2, 3, 8))
        want = np.einsum("ij,bjd->bid", mixing.matrix().data, x.reshape(2, 12, 2))
        np.testing.assert_allclose(mixing(x).data, want.reshape(x.shape), atol=1e-14)

    def test_the_steps_are_sinkhorn_s(self):
        mixing = nn.SinkhornMixing(2, 4, 2, temperature=0.5, steps=3, rng=0)
        A = mixing.weight.data
        W = np.exp((A + A.T) / 2 / 0.5)
        for _ in range(3):
            W = W / W.sum(axis=1, keepdims=True)
            W = W / W.sum(axis=0, keepdims=True)
        np.testing.assert_allclose(mixing.matrix().data, W, rtol=1e-13)

    @pytest.mark.parametrize("T", [2, 3, 4])
    def test_its_limit_where_tokens_equal_heads_can_be_the_paper_s_mixing_exactly(self, T):
        mixing = nn.SinkhornMixing(T, 2 * T, T, temperature=1e-3)
        mixing.weight.data = matrix_of(lambda x: F.token_mix(x, T), T, T)  # symmetric
        x = RNG.normal(size=(2, T, 2 * T))
        np.testing.assert_array_equal(mixing(x).data, F.token_mix(x, T))
        assert mixing.report()[0].smallest_singular_value < 1e-15

    def test_elsewhere_it_cannot_since_that_is_not_symmetric(self):
        mixing = nn.SinkhornMixing(2, 6, 3, temperature=1e-3, steps=200)
        mixing.weight.data = matrix_of(lambda x: F.token_mix(x, 3), 2, 3)
        np.testing.assert_allclose(mixing.matrix().data, mixing.matrix().data.T, atol=1e-3)
        x = RNG.normal(size=(2, 2, 6))
        assert np.abs(mixing(x).data - F.token_mix(x, 3)).max() > 0.1

    def test_the_report_is_of_the_matrix(self):
        mixing = nn.SinkhornMixing(2, 4, 2, temperature=0.3, steps=2, rng=0)
        (row,) = mixing.report()
        W = mixing.matrix().data
        assert row.temperature == 0.3
        assert row.row_error == np.abs(W.sum(axis=1) - 1).max() > 1e-6
        assert row.column_error == np.abs(W.sum(axis=0) - 1).max() < 1e-15
        assert row.asymmetry == np.abs(W - W.T).max() > 1e-6
        assert row.smallest_singular_value == np.linalg.norm(np.eye(4) + W, -2)

    @pytest.mark.parametrize("seed", range(5))
    def test_annealing_walks_into_the_null_space(self, seed):
        mixing = nn.SinkhornMixing(4, 16, 4, steps=1000, rng=seed)
        warm, cool, cold = mixing.report(1.0, 0.2, 0.05)
        assert 0.6 < warm.smallest_singular_value < 0.85
        assert cool.smallest_singular_value < 0.3
        assert cold.smallest_singular_value < 0.05
        assert max(warm.row_error, warm.asymmetry) < 1e-12

    @pytest.mark.parametrize("seed", range(5))
    def test_five_steps_do_not_reach_the_sums_when_it_is_cold(self, seed):
        warm, cold = nn.SinkhornMixing(4, 16, 4, steps=5, rng=seed).report(1.0, 0.05)
        assert warm.row_error < 1e-4
        assert cold.row_error > 0.3

    def test_no_temperature_leaves_the_range(self):
        mixing = nn.SinkhornMixing(2, 4, 2, temperature=1e-300, rng=0)
        assert np.isfinite(mixing.matrix().data).all()

    @pytest.mark.parametrize("tau", [0, -1.0, math.nan])
    def test_a_temperature_of_zero(self, tau):
        mixing = nn.SinkhornMixing(2, 4, 2)
        refused = pytest.raises(ArgumentError, match=f"temperature is above 0: got {tau}; ")
        with refused:
            nn.SinkhornMixing(2, 4, 2, temperature=tau)
        for asked in (mixing.matrix, mixing.report):
            with refused:
                asked(tau)
        mixing.temperature = tau  # as where it falls to the end
        with refused:
            mixing(np.ones((1, 2, 4)))

    def test_a_temperature_of_numpy_s_leaves_float32_as_it_is(self):
        mixing = nn.SinkhornMixing(2, 4, 2, temperature=np.float64(0.5), dtype="float32")
        assert mixing(np.ones((1, 2, 4), "float32")).dtype == np.float32
        mixing.temperature = np.float64(0.25)
        assert mixing.matrix().dtype == np.float32


class TestFixedMixings:
    @pytest.mark.parametrize("name", FIXED)
    @pytest.mark.parametrize(("T", "H"), [(3, 4), (4, 4), (2, 3), (5, 2), (1, 1)])
    def test_they_are_permutations(self, name, T, H):
        P = matrix_of(nn.MIXINGS[name](T, 2 * H, H), T, 2 * H)
        assert (P.sum(0) == 1).all() and (P.sum(1) == 1).all() and set(P.ravel()) == {0, 1}

    def test_identity(self):
        x = RNG.normal(size=(2, 3, 8))
        assert nn.MIXINGS["identity"](3, 8, 4)(x) is x

    def test_channels_transposed_have_another_order_and_lose_nothing(self):
        T, D = 16, 32
        P = matrix_of(nn.MIXINGS["channels"](T, D, T), T, D)
        x = RNG.normal(size=(1, T, D))
        np.testing.assert_array_equal(P @ x.ravel(), x[0].T.ravel())
        assert order_of(P) == 9
        assert np.linalg.matrix_rank(np.eye(T * D) + P) == T * D
        assert nn.TokenMixer(T, D, T).lost_dimensions == 240

    @pytest.mark.parametrize(("T", "H"), [(4, 4), (6, 2), (5, 3)])
    def test_neighbors_swapped_are_an_involution_whose_reach_never_grows(self, T, H):
        D = 2 * H
        mixing = nn.MIXINGS["neighbors"](T, D, H)
        P = matrix_of(mixing, T, D)
        np.testing.assert_array_equal(P @ P, np.eye(T * D))
        once = sees(mixing, T, D).astype(int)
        assert (once @ once > 0).sum() == (once > 0).sum() == T + 2 * (T // 2)

    def test_neighbors_swapped_are_the_paper_s_mixing_of_two_tokens(self):
        x = RNG.normal(size=(2, 2, 6))
        np.testing.assert_array_equal(nn.MIXINGS["neighbors"](2, 6, 2)(x), F.token_mix(x, 2))

    @sizes
    def test_mixing_again_undoes_it_only_where_the_order_divides_two(self, T, H, d):
        x = np.arange(2 * T * H * d).reshape(2, T, H * d)
        y = nn.MIXINGS["twice"](T, H * d, H)(x)
        np.testing.assert_array_equal(y, F.token_mix(F.token_mix(x, H), H))
        assert np.array_equal(x, y) == (F.mixing_order(T, H) <= 2)

    def test_a_function_of_one_s_own(self):
        mixing = nn.FixedMixing(F.token_revert, 4)
        assert repr(mixing) == "FixedMixing(name='token_revert', num_heads=4)"
        x = RNG.normal(size=(2, 3, 8))
        np.testing.assert_array_equal(mixing(x), F.token_revert(x, 4))
