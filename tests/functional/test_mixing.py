"""Token mixing: the stages, the permutation, and the laws it obeys."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.derivatives import assert_matches_complex_step, tape

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, ShapeError

SIZES = [(1, 1), (1, 3), (3, 1), (2, 3), (3, 2), (2, 6), (5, 4), (4, 4), (8, 3), (3, 8)]
sizes = pytest.mark.parametrize(("T", "H"), SIZES)
positive = st.integers(1, 7)

# Order / layers until every token sees every token / % rank of I + P, as published.
TABLE_HEADS = (2, 3, 4, 6, 8, 12, 16, 32)
TABLE = """
2  | 2/1/75  | 4/1/83  | 3/1/100 | 10/1/92  | 4/1/75  | 11/1/100 | 5/1/100  | 6/1/84
3  | 4/2/83  | 2/1/67  | 5/1/100 | 16/1/94  | 11/1/100| 12/1/89  | 23/1/100 | 36/1/96
4  | 3/2/100 | 5/2/100 | 2/1/63  | 11/1/100 | 5/1/100 | 23/1/100 | 3/1/100  | 7/1/100
6  | 10/3/92 | 16/2/94 | 11/2/100| 2/1/58   | 23/1/100| 35/1/100 | 9/1/100  | 19/1/100
8  | 4/3/75  | 11/2/100| 5/2/100 | 23/2/100 | 2/1/56  | 12/1/90  | 7/1/100  | 8/1/87
12 | 11/4/100| 12/3/89 | 23/2/100| 35/2/100 | 12/2/90 | 2/1/54   | 95/1/100 | 191/1/100
16 | 5/4/100 | 23/3/100| 3/2/100 | 9/2/100  | 7/2/100 | 95/2/100 | 2/1/53   | 9/1/100
32 | 6/5/84  | 36/4/96 | 7/3/100 | 19/2/100 | 8/2/87  | 191/2/100| 9/2/100  | 2/1/52
"""
CELLS = [
    (int(row[0]), H, *map(int, cell.split("/")))
    for row in (line.split("|") for line in TABLE.strip().splitlines())
    for H, cell in zip(TABLE_HEADS, row[1:], strict=True)
]


def numbered(B, T, D):
    """Every value different."""
    return np.arange(B * T * D).reshape(B, T, D)


def by_loop(x, H):
    """Regroup the head-major sequence, one chunk at a time."""
    B, T, D = x.shape
    d = D // H
    out = np.empty_like(x)
    for b in range(B):
        sequence = [x[b, t, h * d : (h + 1) * d] for h in range(H) for t in range(T)]
        for s in range(T):
            out[b, s] = np.concatenate(sequence[s * H : (s + 1) * H])
    return out


def matrix(T, H):
    """The permutation of chunks as a matrix, read off token_mix itself with d = 1."""
    chunks = T * H
    return F.token_mix(np.eye(chunks).reshape(chunks, T, H), H).reshape(chunks, chunks).T


class TestStages:
    def test_names_and_shapes(self):
        stages = F.mixing_steps(np.zeros((2, 3, 10)), 5)
        assert {name: x.shape for name, x in stages.items()} == {
            "input": (2, 3, 10),
            "partition": (2, 3, 5, 2),
            "permute": (2, 5, 3, 2),
            "flatten": (2, 15, 2),
            "merge": (2, 3, 10),
        }
        assert list(stages) == ["input", "partition", "permute", "flatten", "merge"]

    def test_names_and_shapes_of_the_guide(self):
        stages = F.mixing_steps(np.zeros((2, 3, 10)), 5, mixing="guide")
        assert [(name, x.shape) for name, x in stages.items()] == [
            ("input", (2, 3, 10)),
            ("partition", (2, 3, 5, 2)),
            ("permute", (2, 5, 3, 2)),
            ("flatten", (2, 15, 2)),
            ("unflatten", (2, 5, 3, 2)),
            ("restore", (2, 3, 5, 2)),
            ("merge", (2, 3, 10)),
        ]

    def test_the_guide_s_own_listing(self):
        letters = np.array([[f"{token}{i}" for i in range(1, 9)] for token in "abcd"])
        x = np.stack([letters, np.char.upper(letters)])  # (2, 4, 8), H = 4, d = 2
        stages = F.mixing_steps(x, 4, mixing="guide")
        partition = [[[f"{t}{2 * h + 1}", f"{t}{2 * h + 2}"] for h in range(4)] for t in "abcd"]
        assert partition[0] == [["a1", "a2"], ["a3", "a4"], ["a5", "a6"], ["a7", "a8"]]
        assert stages["partition"][0].tolist() == partition
        head_major = [
            [["a1", "a2"], ["b1", "b2"], ["c1", "c2"], ["d1", "d2"]],
            [["a3", "a4"], ["b3", "b4"], ["c3", "c4"], ["d3", "d4"]],
            [["a5", "a6"], ["b5", "b6"], ["c5", "c6"], ["d5", "d6"]],
            [["a7", "a8"], ["b7", "b8"], ["c7", "c8"], ["d7", "d8"]],
        ]
        assert stages["permute"][0].tolist() == head_major
        assert stages["flatten"][0].tolist() == sum(head_major, [])
        assert stages["unflatten"][0].tolist() == head_major  # step 4 is step 2
        assert stages["restore"][0].tolist() == partition
        assert stages["merge"].tolist() == x.tolist()  # and so nothing was mixed
        mixed = F.mixing_steps(x, 4)
        for name in ("partition", "permute", "flatten"):
            assert mixed[name].tolist() == stages[name].tolist()
        assert mixed["merge"][0].tolist() == [
            ["a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2"],
            ["a3", "a4", "b3", "b4", "c3", "c4", "d3", "d4"],
            ["a5", "a6", "b5", "b6", "c5", "c6", "d5", "d6"],
            ["a7", "a8", "b7", "b8", "c7", "c8", "d7", "d8"],
        ]
        assert mixed["merge"][1, 1].tolist() == ["A3", "A4", "B3", "B4", "C3", "C4", "D3", "D4"]

    @pytest.mark.parametrize("mixing", ["rankmixer", "guide"])
    def test_tensors_give_tensors_that_can_be_differentiated(self, mixing):
        x = nx.tensor(numbered(1, 2, 6).astype(float), requires_grad=True)
        stages = F.mixing_steps(x, 3, mixing=mixing)
        assert stages["input"] is x
        for name, want in F.mixing_steps(x.data, 3, mixing=mixing).items():
            np.testing.assert_array_equal(stages[name].data, want)
        (gradient,) = nx.grad(stages["merge"], x, stages["merge"].data)
        np.testing.assert_array_equal(gradient.data, x.data)  # an orthogonal map

    def test_every_stage_is_observed_once_in_order(self):
        seen = []
        with nx.observe.observing(lambda name, value: seen.append((name, value.shape))):
            F.token_mix(nx.tensor(np.zeros((1, 2, 6))), 3)
        assert seen == [
            ("input", (1, 2, 6)),
            ("partition", (1, 2, 3, 2)),
            ("permute", (1, 3, 2, 2)),
            ("flatten", (1, 6, 2)),
            ("merge", (1, 2, 6)),
        ]


class TestPermutation:
    @given(st.integers(0, 3), positive, positive, st.integers(1, 3))
    def test_it_is_the_naive_loop(self, B, T, H, d):
        x = numbered(B, T, H * d)
        np.testing.assert_array_equal(F.token_mix(x, H), by_loop(x, H))

    @given(positive, positive, st.integers(1, 3))
    def test_a_permutation_within_each_batch_row(self, T, H, d):
        x = numbered(2, T, H * d)
        for before, after in zip(x, F.token_mix(x, H), strict=True):
            assert sorted(after.ravel()) == before.ravel().tolist()

    @given(positive, positive, st.integers(1, 3))
    def test_the_inverse_is_the_shuffle_with_tokens_and_heads_exchanged(self, T, H, d):
        x = numbered(2, T, H * d)
        there = F.token_mix(x, H)
        back = F.token_mix(there.reshape(2, H, T * d), T)
        np.testing.assert_array_equal(back.reshape(x.shape), x)

    @given(positive, positive, st.integers(1, 3))
    def test_reverting_is_that_inverse_on_either_side(self, T, H, d):
        x = numbered(2, T, H * d)
        np.testing.assert_array_equal(F.token_revert(F.token_mix(x, H), H), x)
        np.testing.assert_array_equal(F.token_mix(F.token_revert(x, H), H), x)
        exchanged = F.token_mix(x.reshape(2, H, T * d), T).reshape(x.shape)
        np.testing.assert_array_equal(F.token_revert(x, H), exchanged)

    def test_mixing_again_reverts_only_where_tokens_equal_heads(self):
        for T, H in [(2, 2), (2, 3), (3, 2), (3, 3)]:
            x = numbered(1, T, H)
            assert np.array_equal(F.token_revert(x, H), F.token_mix(x, H)) == (T == H)

    @given(positive, positive, st.integers(1, 3))
    def test_the_vjp_of_reverting_is_mixing(self, T, H, d):
        x = numbered(2, T, H * d).astype(float)
        (gradient,) = tape(lambda x: F.token_revert(x, H), [x], x + 0.5)
        np.testing.assert_array_equal(gradient, F.token_mix(x + 0.5, H))

    @given(positive, positive, st.integers(1, 3))
    def test_the_vjp_is_that_inverse(self, T, H, d):
        x = numbered(2, T, H * d).astype(float)
        ct = x + 0.5
        (gradient,) = tape(lambda x: F.token_mix(x, H), [x], ct)
        inverse = F.token_mix(ct.reshape(2, H, T * d), T).reshape(x.shape)
        np.testing.assert_array_equal(gradient, inverse)
        np.testing.assert_array_equal(F.token_mix(gradient, H), ct)

    @sizes
    def test_the_jacobian_is_the_matrix(self, T, H):
        J = nx.jacobian(lambda x: F.token_mix(x, H), np.zeros((1, T, H))).data
        np.testing.assert_array_equal(J.reshape(T * H, T * H), matrix(T, H))

    def test_complex_step_and_second_order(self):
        x = np.random.default_rng(0).normal(size=(2, 3, 4))
        assert_matches_complex_step(lambda x: F.token_mix(x, 2), x)
        leaf = nx.tensor(x, requires_grad=True)
        (first,) = nx.grad((F.token_mix(leaf, 2) ** 3).sum(), leaf, create_graph=True)
        np.testing.assert_allclose(first.data, 3 * x**2)
        (second,) = nx.grad(first.sum(), leaf)
        np.testing.assert_allclose(second.data, 6 * x)

    @given(st.integers(1, 6), st.integers(1, 3))
    def test_an_involution_where_tokens_equal_heads(self, T, d):
        x = numbered(2, T, T * d)
        np.testing.assert_array_equal(F.token_mix(F.token_mix(x, T), T), x)

    @given(st.integers(1, 6), st.integers(1, 3))
    def test_the_paper_s_formula_where_tokens_equal_heads(self, T, d):
        """s^h = concat over t of x_t^h."""
        x = numbered(2, T, T * d)
        want = np.empty_like(x)
        for h in range(T):
            head = slice(h * d, (h + 1) * d)
            want[:, h] = np.concatenate([x[:, t, head] for t in range(T)], axis=-1)
        np.testing.assert_array_equal(F.token_mix(x, T), want)

    def test_the_guide_mixes_nothing(self):
        x = numbered(2, 3, 8)
        np.testing.assert_array_equal(F.token_mix(x, 4, mixing="guide"), x)
        (gradient,) = tape(lambda x: F.token_mix(x, 4, mixing="guide"), [x * 1.0], x + 0.5)
        np.testing.assert_array_equal(gradient, x + 0.5)
        J = nx.jacobian(lambda x: F.token_mix(x, 4, mixing="guide"), x[:1] * 1.0).data
        np.testing.assert_array_equal(J.reshape(24, 24), np.eye(24))

    @pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "complex128", "<U2"])
    def test_any_dtype(self, dtype):
        assert F.token_mix(np.zeros((1, 2, 4), dtype), 2).dtype == dtype

    def test_infinities_and_nan_only_move(self):
        x = np.zeros((1, 2, 4))
        x[0, 0, 2], x[0, 1, 0] = np.nan, np.inf
        want = [[[0, 0, np.inf, 0], [np.nan, 0, 0, 0]]]
        np.testing.assert_array_equal(F.token_mix(x, 2), want)

    def test_empty_batch(self):
        assert F.token_mix(np.zeros((0, 3, 4)), 2).shape == (0, 3, 4)
        (gradient,) = tape(lambda x: F.token_mix(x, 2), [np.zeros((0, 3, 4))])
        assert gradient.shape == (0, 3, 4)


class TestLaws:
    @sizes
    def test_destinations(self, T, H):
        to = F.chunk_destinations(T, H)
        last = T * H - 1
        assert to.tolist() == [i * T % last if i < last else i for i in range(T * H)]
        assert to.dtype == np.int64
        sequence = np.arange(T * H)
        mixed = F.token_mix(sequence.reshape(1, T, H), H).ravel()
        np.testing.assert_array_equal(mixed[to], sequence)

    @given(positive, positive)
    def test_cycles_are_the_orbits_of_the_destinations(self, T, H):
        to = F.chunk_destinations(T, H)
        cycles = F.chunk_cycles(T, H)
        assert sorted(sum(cycles, [])) == list(range(T * H))
        for cycle in cycles:
            assert cycle[0] == min(cycle)
            for here, there in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
                assert to[here] == there
        assert [cycle[0] for cycle in cycles] == sorted(cycle[0] for cycle in cycles)

    @given(positive, positive)
    def test_fixed_chunks(self, T, H):
        fixed = sum(len(cycle) == 1 for cycle in F.chunk_cycles(T, H))
        assert fixed == (math.gcd(T - 1, H - 1) + 1 if T * H > 1 else 1)
        assert fixed == int(matrix(T, H).trace())

    @given(positive, positive)
    def test_order_is_the_least_number_of_mixings_that_undo_themselves(self, T, H):
        order = F.mixing_order(T, H)
        assert order == math.lcm(*(len(cycle) for cycle in F.chunk_cycles(T, H)))
        x = start = numbered(1, T, H)
        for n in range(1, order + 1):
            x = F.token_mix(x, H)
            assert np.array_equal(x, start) == (n == order)

    @given(st.integers(1, 200), st.integers(2, 40))
    def test_depth_is_the_least_power_that_reaches_every_token(self, T, H):
        depth = F.depth_to_mix(T, H)
        assert H**depth >= T
        assert depth == 0 or H ** (depth - 1) < T

    def test_depth_by_integers_where_logarithms_would_round(self):
        assert F.depth_to_mix(3**30, 3) == 30
        assert F.depth_to_mix(3**30 + 1, 3) == 31
        assert F.depth_to_mix(10**15, 10) == 15
        assert type(F.depth_to_mix(8, 2)) is int

    @given(st.integers(1, 6), st.integers(2, 4))
    def test_depth_is_that_of_repeated_mixing(self, T, H):
        """Follow which tokens reach which: a token's chunks go to places hT + t."""
        sees = np.eye(T, dtype=int)
        once = np.zeros((T, T), int)
        for chunk, place in enumerate(F.chunk_destinations(T, H)):
            once[place // H, chunk // H] = 1
        depth = 0
        while not sees.all():
            sees, depth = once @ sees, depth + 1
        assert depth == F.depth_to_mix(T, H)

    @given(st.integers(1, 12), st.integers(1, 12))
    def test_rank_and_condition_are_those_of_the_matrix(self, T, H):
        values = np.linalg.svd(np.eye(T * H) + matrix(T, H), compute_uv=False)
        rank = int((values > 1e-9).sum())
        assert F.mixing_rank(T, H) == rank
        condition = F.mixing_condition(T, H)
        if rank < T * H:
            assert condition == math.inf
        else:
            assert condition == pytest.approx(values[0] / values[-1], rel=1e-12)

    @given(st.integers(1, 40), st.integers(1, 40))
    def test_rank_counts_the_even_cycles(self, T, H):
        lengths = [len(cycle) for cycle in F.chunk_cycles(T, H)]
        assert F.mixing_rank(T, H) == T * H - sum(n % 2 == 0 for n in lengths)
        assert (F.mixing_condition(T, H) == math.inf) == any(n % 2 == 0 for n in lengths)
        assert F.mixing_order(T, H) == max(lengths) == math.lcm(*lengths)

    @pytest.mark.parametrize(
        ("T", "H", "condition"),
        [(1, 1, 1), (1, 5, 1), (2, 4, 2), (3, 4, 3.24), (12, 16, 60.5), (32, 12, 121.6)],
    )
    def test_conditions_as_published(self, T, H, condition):
        assert F.mixing_condition(T, H) == pytest.approx(condition, rel=2e-3)

    @given(st.integers(2, 1000))
    def test_heads_of_the_square_of_the_tokens_have_condition_2_and_lose_nothing(self, T):
        assert F.mixing_condition(T, T * T) == pytest.approx(2, rel=1e-15)
        assert F.mixing_rank(T, T * T) == T**3
        assert F.depth_to_mix(T, T * T) == 1

    def test_laws_of_many_chunks_take_no_loop_over_them(self):
        T = 10**6
        assert F.mixing_rank(T, T) == T * (T + 1) // 2
        assert (F.mixing_order(T, T), F.mixing_condition(T, T)) == (2, math.inf)
        assert pow(T, F.mixing_order(T, T - 17), T * (T - 17) - 1) == 1

    def test_where_it_never_mixes(self):
        assert F.depth_to_mix(2, 1) is None
        assert F.depth_to_mix(4, 4, mixing="guide") is None
        assert F.depth_to_mix(1, 1) == 0
        assert F.depth_to_mix(1, 4, mixing="guide") == 0

    @pytest.mark.parametrize(("T", "H", "order", "depth", "percent"), CELLS)
    def test_the_published_table(self, T, H, order, depth, percent):
        assert F.mixing_order(T, H) == order
        assert F.depth_to_mix(T, H) == depth
        rank = F.mixing_rank(T, H)
        assert math.floor(100 * rank / (T * H) + 0.5) == percent
        if T == H:
            assert rank * 2 * T == (T + 1) * T * H

    def test_the_table_is_whole(self):
        assert len(CELLS) == 64

    @sizes
    def test_the_null_space_of_the_residual_has_a_dimension_per_even_cycle(self, T, H):
        even = sum(len(cycle) % 2 == 0 for cycle in F.chunk_cycles(T, H))
        rank = np.linalg.matrix_rank(np.eye(T * H) + matrix(T, H))
        assert T * H - rank == even

    def test_a_chunk_antisymmetric_input_is_lost(self):
        T, d = 3, 2
        A = np.random.default_rng(0).integers(-9, 9, (T, T, d))
        A = A - A.transpose(1, 0, 2)
        x = A.reshape(1, T, T * d)
        assert np.abs(x).max() > 0
        np.testing.assert_array_equal(x + F.token_mix(x, T), np.zeros_like(x))


class TestRefusals:
    @pytest.mark.parametrize("call", [F.token_mix, F.token_revert, F.mixing_steps])
    @pytest.mark.parametrize("shape", [(), (4,), (2, 4), (1, 2, 2, 4)])
    def test_number_of_dimensions(self, call, shape):
        with pytest.raises(ShapeError) as caught:
            call(np.zeros(shape), 2)
        assert str(caught.value) == (f"x has shape (B, T, D): got {shape}; add or merge axes first")

    @pytest.mark.parametrize("call", [F.token_mix, F.token_revert, F.mixing_steps])
    @pytest.mark.parametrize("shape", [(2, 0, 4), (2, 3, 0)])
    def test_no_tokens_or_features(self, call, shape):
        with pytest.raises(ShapeError, match="at least one token and one feature: got"):
            call(np.zeros(shape), 2)

    @pytest.mark.parametrize("call", [F.token_mix, F.token_revert, F.mixing_steps])
    @pytest.mark.parametrize(
        ("D", "H", "divisors"), [(8, 3, "1, 2, 4 or 8"), (1, 2, "1"), (7, 14, "1 or 7")]
    )
    def test_heads_that_do_not_divide(self, call, D, H, divisors):
        with pytest.raises(ShapeError) as caught:
            call(np.zeros((1, 2, D)), H)
        assert str(caught.value) == (
            f"hidden_dim must be divisible by num_heads: got {D} and {H}; try {divisors}"
        )
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize("heads", [0, -2, 2.0, "2", None, True])
    def test_heads_that_are_no_positive_integer(self, heads):
        with pytest.raises(ArgumentError, match="num_heads is a positive integer: got .*; use"):
            F.token_mix(np.zeros((1, 2, 4)), heads)

    @pytest.mark.parametrize("word", ["RankMixer", "", None, "paper"])
    def test_unknown_words(self, word):
        for call in (F.token_mix, F.mixing_steps):
            with pytest.raises(ArgumentError, match="mixing is 'rankmixer' or 'guide': got"):
                call(np.zeros((1, 2, 4)), 2, mixing=word)
        with pytest.raises(ArgumentError, match="mixing is 'rankmixer' or 'guide': got"):
            F.depth_to_mix(4, 2, mixing=word)

    @pytest.mark.parametrize(
        "law",
        [
            *(F.depth_to_mix, F.mixing_order, F.mixing_rank, F.mixing_condition),
            *(F.chunk_cycles, F.chunk_destinations),
        ],
    )
    @pytest.mark.parametrize(
        ("T", "H", "name"),
        [
            (0, 2, "tokens"),
            (4, 0, "heads"),
            (4, -1, "heads"),
            (2.0, 2, "tokens"),
            (4, True, "heads"),
        ],
    )
    def test_laws_of_no_tokens_or_no_heads(self, law, T, H, name):
        with pytest.raises(ArgumentError, match=f"num_{name} is a positive integer: got .*; use"):
            law(T, H)

    def test_numpy_s_integers_do_not_overflow(self):
        x = nx.tensor(np.arange(288.0).reshape(1, 12, 24), requires_grad=True)
        F.token_mix(x, np.int8(12)).backward(x.data)
        np.testing.assert_array_equal(x.grad.data, F.token_mix(x.data, 12))  # an involution
        assert F.depth_to_mix(np.int64(2**62 + 1), np.int64(2**40)) == 2
        assert F.mixing_order(np.int32(50000), np.int32(50000)) == 2
        assert len(F.chunk_destinations(np.uint8(16), np.uint8(16))) == 256
        assert len(F.chunk_cycles(np.uint8(16), np.uint8(16))) == 16 + 15 * 16 // 2

    @pytest.mark.parametrize("law", [F.mixing_order, F.mixing_rank, F.mixing_condition])
    def test_more_chunks_than_are_factored(self, law):
        with pytest.raises(ArgumentError, match="up to 1,000,000,000,000 chunks: got 6 tokens and"):
            law(6, np.uint64(2**63))

    def test_a_list_is_no_array(self):
        for call in (F.token_mix, F.token_revert, F.mixing_steps):
            with pytest.raises(DTypeError, match="takes arrays or tensors: got list; convert it"):
                call([[[1.0, 2.0]]], 1)
