"""TokenMixer-Large: its equations, what its residual keeps, its parameters and its start."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(31)
SIZES = [(4, 8, 2), (3, 8, 4), (3, 6, 3), (2, 12, 6), (1, 4, 2)]
RESIDUALS = ["aligned", "original", "standard", "reverted", "mixed_again"]


def scrambled(module):
    """Weights at which no network is small."""
    for parameter in module.parameters():
        parameter.data = parameter.data + RNG.normal(size=parameter.shape)
    return module


def count(module):
    return sum(p.size for p in module.parameters())


def swiglu(part, x):
    """Of each token alone."""
    w1, w2, w3 = (w.weight.data for w in (part.w1, part.w2, part.w3))
    tokens = [w2[t] @ (F.silu(w1[t] @ x[:, t].T) * (w3[t] @ x[:, t].T)) for t in range(len(w1))]
    return np.stack([token.T for token in tokens], axis=1)


class TestBlock:
    @pytest.mark.parametrize(("T", "D", "H"), SIZES)
    @pytest.mark.parametrize("norm", ["inside", "outside"])
    def test_it_is_its_equations(self, T, D, H, norm):
        block = scrambled(nn.TokenMixerLargeBlock(T, D, H, norm=norm, expansion=2))
        x = RNG.normal(size=(2, T, D))

        def normed(part, x):
            return F.rms_norm(x, part.norm.weight.data)

        h = x.reshape(2, T, H, D // H).transpose(0, 2, 1, 3).reshape(2, H, -1)
        if norm == "inside":
            m = h + swiglu(block.mixed, normed(block.mixed, h))
        else:
            m = normed(block.mixed, h + swiglu(block.mixed, h))
        r = m.reshape(2, H, T, D // H).transpose(0, 2, 1, 3).reshape(2, T, D)
        if norm == "inside":
            y = x + swiglu(block.reverted, normed(block.reverted, r))
        else:
            y = normed(block.reverted, x + swiglu(block.reverted, r))
        np.testing.assert_allclose(block(x).data, y, atol=1e-10)

    @given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
    def test_its_parameters(self, T, H, d, n):
        D = H * d
        block = nn.TokenMixerLargeBlock(T, D, H, expansion=n)
        norms = T * d + D
        assert (count(block) - norms) * H == 3 * n * T * D**2 * (H + T)  # 3nTD²(1 + T/H)
        assert count(block.mixed) == 3 * n * T**2 * D**2 // H + T * d
        assert count(block.reverted) == 3 * n * T * D**2 + D

    def test_more_heads_than_tokens_make_the_mix_stage_cheaper(self):
        few, many = (count(nn.TokenMixerLargeBlock(4, 16, H).mixed) for H in (2, 16))
        assert 7 < few / many < 8.1

    @pytest.mark.parametrize("norm", ["inside", "outside"])
    def test_it_starts_near_the_identity(self, norm):
        x = RNG.normal(size=(2, 4, 16))
        y = nn.TokenMixerLargeBlock(4, 16, 2, norm=norm, rng=0)(x).data
        want = x if norm == "inside" else F.rms_norm(x)
        assert 0 < np.abs(y - want).max() < 0.01

    def test_down_projections_start_a_hundredth_of_a_linear_layer_s(self):
        block = nn.TokenMixerLargeBlock(8, 64, 8, rng=0)
        for part in (block.mixed, block.reverted):
            for slice_ in part.w2.weight.data:
                bound = 1 / np.sqrt(slice_.shape[1])
                assert slice_.std() == pytest.approx(0.01 * bound / np.sqrt(3), rel=0.05)
            for slice_ in part.w1.weight.data:
                assert slice_.std() == pytest.approx(1 / np.sqrt(3 * slice_.shape[1]), rel=0.05)

    def test_every_token_sees_every_token_in_one_block_whatever_the_heads(self):
        for T, D, H in SIZES:
            block = scrambled(nn.TokenMixerLargeBlock(T, D, H))
            x = RNG.normal(size=(1, T, D))
            slopes = nx.jacobian(block, x).data.reshape(T, D, T, D)
            assert (np.abs(slopes).max(axis=(1, 3)) > 0).all()

    def test_it_does_not_have_the_null_space_of_the_sum(self):
        T, d = 4, 3
        A = RNG.normal(size=(T, T, d))
        A = 10 * (A - A.transpose(1, 0, 2)).reshape(1, T, T * d)
        x = RNG.normal(size=(1, T, T * d))
        rankmixer = nn.RankMixerBlock(T, T * d, T, norm="post", rng=0).eval()
        assert np.abs(rankmixer(x + A).data - rankmixer(x).data).max() < 1e-12
        for norm in ("inside", "outside"):
            large = nn.TokenMixerLargeBlock(T, T * d, T, norm=norm, rng=0)
            assert np.abs(large(x + A).data - large(x).data).max() > 0.1

    @pytest.mark.parametrize("norm", ["inside", "outside"])
    def test_networks_of_one_s_own(self, norm):
        made = []

        def ffn(tokens, width):
            made.append((tokens, width))
            return nn.PerTokenLinear(tokens, width, width, rng=len(made))

        block = nn.TokenMixerLargeBlock(3, 8, 4, ffn=ffn, norm=norm)
        assert made == [(4, 6), (3, 8)]
        assert "reverted.network.weight" in block.state_dict()
        x = RNG.normal(size=(2, 3, 8))
        f, g = block.mixed.network, block.reverted.network
        h = F.token_mix(x, 4).reshape(2, 4, 6)
        if norm == "inside":
            m = h + f(F.rms_norm(h)).data
            r = F.token_revert(m.reshape(2, 3, 8), 4)
            y = x + g(F.rms_norm(r)).data
        else:
            m = F.rms_norm(h + f(h).data)
            r = F.token_revert(m.reshape(2, 3, 8), 4)
            y = F.rms_norm(x + g(r).data)
        np.testing.assert_allclose(block(x).data, y, atol=1e-14)

    def test_experts_may_be_the_networks_of_every_block(self):
        def ffn(tokens, width):
            return nn.SparsePerTokenMoE(tokens, width, num_experts=2, top_k=1)

        model = nn.TokenMixerLarge(3, 8, 4, 2, ffn=ffn)
        assert model(np.ones((2, 3, 8))).shape == (2, 3, 8)
        assert model.blocks[0].mixed.network is not model.blocks[1].mixed.network
        for options in ({"expansion": 2}, {"dropout": 0.1}):
            with pytest.raises(ArgumentError, match="networks of your own have their widths"):
                nn.TokenMixerLargeBlock(3, 8, 4, ffn=ffn, **options)

    @pytest.mark.parametrize(("norm", "placement"), [("inside", "pre"), ("outside", "post")])
    def test_networks_that_have_norm_and_residual_stay_as_they_are(self, norm, placement):
        made = []

        def ffn(tokens, width):
            made.append(nn.PerTokenFeedForward(tokens, width, 5, norm=placement, rng=0))
            return made[-1]

        block = nn.TokenMixerLargeBlock(3, 8, 4, ffn=ffn, norm=norm)
        assert [block.mixed, block.reverted] == made
        other = "outside" if norm == "inside" else "inside"
        with pytest.raises(ArgumentError, match="in this block the norm of the network is"):
            nn.TokenMixerLargeBlock(3, 8, 4, ffn=ffn, norm=other)

    @pytest.mark.parametrize("norm", ["inside", "outside"])
    def test_it_runs_on_arrays(self, norm):
        model = nn.TokenMixerLarge(3, 8, 4, 2, norm=norm, rng=0)
        x = RNG.normal(size=(2, 3, 8))
        y = nn.functional_call(model, model.state_dict(), x)
        assert type(y) is np.ndarray
        np.testing.assert_array_equal(y, model(x).data)
        for wrong in (x[:, :2], x[0], x[..., :4]):
            with pytest.raises(ShapeError, match="TokenMixerLargeBlock takes x of shape"):
                model(wrong)

    def test_dropout_is_off_unless_asked(self):
        x = np.ones((1, 4, 8))
        block = nn.TokenMixerLargeBlock(4, 8, 2, rng=0)
        np.testing.assert_array_equal(block(x).data, block(x).data)
        block = nn.TokenMixerLargeBlock(4, 8, 2, dropout=0.5, rng=0)
        assert (block(x).data != block(x).data).any()

    def test_steps(self):
        seen = []
        with nx.observe.observing(lambda name, value: seen.append((name, value.shape))):
            nn.TokenMixerLargeBlock(3, 8, 4)(np.ones((2, 3, 8)))
        stages = dict(seen)
        assert (stages["merge"], stages["revert"]) == ((2, 3, 8), (2, 3, 8))
        assert (stages["mixed"], stages["reverted"]) == ((2, 4, 6), (2, 3, 8))

    def test_float32_and_no_rows(self):
        block = nn.TokenMixerLargeBlock(3, 8, 4, dtype="float32")
        assert block(np.ones((0, 3, 8), np.float32)).dtype == np.float32

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"norm": "post"}, "norm is 'inside' or 'outside': got 'post'"),
            ({"residual": "x"}, "residual is 'aligned', .* or 'mixed_again': got 'x'"),
            ({"expansion": 0}, "expansion is a positive integer: got 0"),
            ({"eps": -1.0}, "eps must be at least 0: got -1.0"),
        ],
    )
    def test_options_outside_their_range(self, options, text):
        with pytest.raises(ArgumentError, match=text):
            nn.TokenMixerLargeBlock(3, 8, 4, **options)

    def test_input_that_does_not_fit(self):
        block = nn.TokenMixerLargeBlock(3, 8, 4)
        with pytest.raises(ShapeError, match=r"takes x of shape \(B, T, D\) with T = 3, D = 8"):
            block(np.ones((2, 4, 8)))
        with pytest.raises(DTypeError, match="takes float64 input"):
            block(np.ones((2, 3, 8), np.float32))
        with pytest.raises(ShapeError, match="must be divisible by num_heads: got 8 and 3"):
            nn.TokenMixerLargeBlock(3, 8, 3)


class TestResiduals:
    """With F and G at 0 a block shows what its residuals carry."""

    @staticmethod
    def carried(residual, T, H, norm="inside"):
        block = nn.TokenMixerLargeBlock(T, 2 * H, H, residual=residual, norm=norm)
        for part in (block.mixed, block.reverted):
            part.w2.weight.data = 0 * part.w2.weight.data
        x = np.arange(1.0, 2 * T * H + 1).reshape(1, T, 2 * H)
        return x, block(x).data

    @pytest.mark.parametrize("residual", ["aligned", "original", "mixed_again", "reverted"])
    def test_original_tokens_reach_the_output(self, residual):
        x, y = self.carried(residual, 3, 4)
        np.testing.assert_array_equal(y, x)

    def test_the_standard_one_carries_mixed_tokens(self):
        x, y = self.carried("standard", 3, 4)
        np.testing.assert_array_equal(y, F.token_mix(x, 4))

    @pytest.mark.parametrize("residual", RESIDUALS)
    def test_only_putting_back_aligns_the_networks_of_a_token(self, residual):
        """Which tokens the last network of token 0 reads first hand, past F."""
        T, H = 3, 4
        block = nn.TokenMixerLargeBlock(T, 2 * H, H, residual=residual)
        block.mixed.w2.weight.data = 0 * block.mixed.w2.weight.data
        x = RNG.normal(size=(1, T, 2 * H))
        slopes = nx.jacobian(lambda x: block(x)[:, 0], x).data.reshape(2 * H, T, 2 * H)
        reads = [t for t in range(T) if np.abs(slopes[:, t]).max() > 0]
        assert reads == ([0] if residual in ("aligned", "reverted") else [0, 1, 2])

    def test_the_reverted_sum_holds_the_first_network_a_second_time(self):
        x = RNG.normal(size=(1, 3, 8))
        blocks = [
            nn.TokenMixerLargeBlock(3, 8, 4, residual=residual, rng=0)
            for residual in ("aligned", "reverted")
        ]
        for block in blocks:
            block.reverted.w2.weight.data = 0 * block.reverted.w2.weight.data
        aligned, reverted = (block(x).data for block in blocks)
        np.testing.assert_array_equal(aligned, x)
        h = F.token_mix(x, 4).reshape(1, 4, 6)
        r = F.token_revert(blocks[0].mixed(h).data.reshape(1, 3, 8), 4)
        np.testing.assert_array_equal(reverted, r)
        assert np.abs(r - x).max() > 1e-5

    def test_mixing_again_is_the_paper_s_where_tokens_equal_heads(self):
        x = RNG.normal(size=(2, 4, 8))
        for H, same in ((4, True), (2, False)):
            aligned, again = (
                nn.TokenMixerLargeBlock(4, 8, H, residual=residual, rng=0)(x).data
                for residual in ("aligned", "mixed_again")
            )
            assert np.array_equal(aligned, again) == same

    def test_all_have_the_same_parameters(self):
        shapes = [
            [(name, p.shape) for name, p in block.named_parameters()]
            for block in (nn.TokenMixerLargeBlock(3, 8, 4, residual=r) for r in RESIDUALS)
        ]
        assert all(one == shapes[0] for one in shapes)


class TestModel:
    @pytest.mark.parametrize(
        ("L", "k", "layers"),
        [
            (6, 2, [2, 4]),
            (7, 3, [3, 6]),
            (6, 3, [3]),
            (3, 1, [1, 2]),
            (2, 2, []),
            (1, 1, []),
            (3, 9, []),
        ],
    )
    def test_every_few_layers_their_input_is_added_but_not_at_the_last(self, L, k, layers):
        model = scrambled(nn.TokenMixerLarge(3, 4, 2, L, interval=k, expansion=1))
        x = RNG.normal(size=(2, 3, 4))
        after = {0: x}  # by the number of the layer
        for number, block in enumerate(model.blocks, 1):
            y = block(after[number - 1]).data
            after[number] = y + after[number - k] if number in layers else y
        outputs = model.outputs(nx.tensor(x))
        assert len(outputs) == len(layers) + 1
        for output, number in zip(outputs, [*layers, L], strict=True):
            np.testing.assert_array_equal(output.data, after[number])
        np.testing.assert_array_equal(model(x).data, after[L])

    def test_auxiliary_losses_train_the_layers_below_only(self):
        model = nn.TokenMixerLarge(3, 4, 2, 4, rng=0)
        auxiliary, _ = model.outputs(nx.tensor(RNG.normal(size=(2, 3, 4))))
        (auxiliary**2).sum().backward()
        trained = [any(p.grad is not None for p in block.parameters()) for block in model.blocks]
        assert trained == [True, True, False, False]

    def test_its_blocks_take_the_options_and_start_apart(self):
        model = nn.TokenMixerLarge(3, 8, 4, 2, norm="outside", residual="standard", rng=3)
        first, second = model.blocks
        assert first.mixed.norm_placement == second.reverted.norm_placement == "post"
        assert first.residual == second.residual == "standard"
        assert not np.array_equal(first.mixed.w1.weight.data, second.mixed.w1.weight.data)
        again = nn.TokenMixerLarge(3, 8, 4, 2, rng=3)
        np.testing.assert_array_equal(
            again.blocks[1].mixed.w1.weight.data, second.mixed.w1.weight.data
        )

    def test_names_of_parameters(self):
        names = list(nn.TokenMixerLarge(3, 8, 4, 1).state_dict())
        parts = ("norm.weight", "w1.weight", "w2.weight", "w3.weight")
        assert sorted(names) == sorted(
            f"blocks.0.{stage}.{part}" for stage in ("mixed", "reverted") for part in parts
        )

    @pytest.mark.parametrize("name", ["num_layers", "interval"])
    def test_sizes_that_are_none(self, name):
        with pytest.raises(ArgumentError, match=f"{name} is a positive integer: got 0"):
            nn.TokenMixerLarge(3, 8, 4, **({"num_layers": 2} | {name: 0}))
