"""The token mixer as a layer."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(17)

STEPS = """\
input: (2, 3, 8), contiguous: True
partition: (2, 3, 4, 2), contiguous: True
permute: (2, 4, 3, 2), contiguous: False
flatten: (2, 12, 2), contiguous: True
merge: (2, 3, 8), contiguous: True
residual: (2, 3, 8), contiguous: True
norm: (2, 3, 8), contiguous: True
"""
GUIDE_STEPS = STEPS.replace(
    "merge",
    "unflatten: (2, 4, 3, 2), contiguous: True\nrestore: (2, 3, 4, 2), contiguous: False\nmerge",
)


def which_tokens_see_which(layers, T, D):
    """[s, t]: whether token s of the output becomes NaN where token t of the input is."""
    sees = np.zeros((T, T), bool)
    for t in range(T):
        y = np.arange(1.0 * T * D).reshape(1, T, D)
        y[0, t] = np.nan
        for layer in layers:
            y = layer(y)
        sees[:, t] = np.isnan(np.asarray(y)[0]).any(-1)
    return sees


def jacobian(layers, T, D):
    """Of tokens to tokens: [s, i, t, j] = ∂ y_si / ∂ x_tj."""

    def through(x):
        for layer in layers:
            x = layer(x)
        return x

    x = np.random.default_rng(2).normal(size=(1, T, D))
    return nx.jacobian(through, x).data.reshape(T, D, T, D)


class TestForward:
    @given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
    def test_it_normalizes_the_input_plus_the_mixed_tokens(self, T, H, d):
        x = RNG.normal(size=(2, T, H * d))
        mixer = nn.TokenMixer(T, H * d, H)
        want = F.layer_norm(x + F.token_mix(x, H))
        np.testing.assert_array_equal(mixer(nx.tensor(x)).data, want)

    def test_its_norm_has_the_parameters(self):
        mixer = nn.TokenMixer(3, 8, 4, eps=0.5)
        assert list(mixer.state_dict()) == ["norm.weight", "norm.bias"]
        weight, bias = RNG.normal(size=8), RNG.normal(size=8)
        mixer.load_state_dict({"norm.weight": weight, "norm.bias": bias})
        x = RNG.normal(size=(2, 3, 8))
        want = F.layer_norm(x + F.token_mix(x, 4), weight, bias, eps=0.5)
        np.testing.assert_array_equal(mixer(nx.tensor(x)).data, want)

    @given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
    def test_the_guide_s_is_the_norm_of_twice_the_input(self, T, H, d):
        x = RNG.normal(size=(2, T, H * d))
        mixer = nn.TokenMixer(T, H * d, H, mixing="guide")
        np.testing.assert_array_equal(mixer(nx.tensor(x)).data, F.layer_norm(2 * x))

    @pytest.mark.parametrize(
        ("B", "T", "D", "H"), [(2, 4, 8, 4), (4, 8, 768, 8), (2, 8, 256, 8), (1, 512, 768, 256)]
    )
    def test_the_guide_s_sizes(self, B, T, D, H):
        x = RNG.normal(size=(B, T, D)).astype(np.float32)
        mixer = nn.TokenMixer(num_tokens=T, hidden_dim=D, num_heads=H, dtype="float32")
        y = mixer(nx.tensor(x))
        assert y.shape == (B, T, D)
        want = F.layer_norm(x.astype(float) + F.token_mix(x, H))
        np.testing.assert_allclose(y.data, want, rtol=1e-4, atol=1e-5)

    def test_512_heads_do_not_divide_768(self):
        with pytest.raises(ShapeError, match="hidden_dim must be divisible by num_heads: got 768"):
            nn.TokenMixer(512, 768, 512)


class TestWhoSeesWhom:
    @pytest.mark.parametrize("T", [2, 3, 5])
    def test_with_the_guide_s_mixing_no_token_sees_another(self, T):
        layers = [nn.TokenMixer(T, 8, 4, mixing="guide") for _ in range(3)]
        np.testing.assert_array_equal(which_tokens_see_which(layers, T, 8), np.eye(T))
        J = jacobian(layers, T, 8)
        for s in range(T):
            for t in range(T):
                assert J[s, :, t].any() == (s == t)

    @pytest.mark.parametrize(
        ("T", "H"),
        [(2, 2), (2, 5), (3, 2), (4, 4), (5, 2), (6, 3), (9, 3), (10, 3), (16, 2), (8, 16)],
    )
    def test_after_depth_to_mix_layers_every_token_sees_every_token_and_not_before(self, T, H):
        D = 2 * H
        depth = nn.TokenMixer(T, D, H).depth_to_mix
        assert depth == math.ceil(math.log(T, H) - 1e-9)
        layers = [nn.TokenMixer(T, D, H) for _ in range(depth)]
        assert which_tokens_see_which(layers, T, D).all()
        assert not which_tokens_see_which(layers[:-1], T, D).all()

    @pytest.mark.parametrize(("T", "H"), [(2, 2), (2, 3), (3, 2), (5, 2), (4, 4)])
    def test_the_jacobian_says_the_same(self, T, H):
        D = 4 * H
        layers = [nn.TokenMixer(T, D, H) for _ in range(nn.TokenMixer(T, D, H).depth_to_mix)]
        blocks = np.abs(jacobian(layers, T, D)).max(axis=(1, 3))  # [s, t]
        assert (blocks > 0).all()
        fewer = np.abs(jacobian(layers[:-1], T, D)).max(axis=(1, 3))
        np.testing.assert_array_equal(fewer > 0, which_tokens_see_which(layers[:-1], T, D))
        assert not fewer.all()

    @pytest.mark.parametrize(("T", "H"), [(2, 2), (3, 2), (4, 4)])
    def test_every_channel_takes_one_layer_more(self, T, H):
        D = 4 * H
        depth = nn.TokenMixer(T, D, H).depth_to_mix
        layers = [nn.TokenMixer(T, D, H) for _ in range(depth + 1)]
        assert not jacobian(layers[:-1], T, D).all()
        assert jacobian(layers, T, D).all()

    def test_batch_rows_do_not_see_each_other(self):
        x = RNG.normal(size=(2, 3, 8))
        x[1] = np.nan
        y = np.asarray(nn.TokenMixer(3, 8, 4)(x))
        assert np.isfinite(y[0]).all()
        assert np.isnan(y[1]).all()


class TestLaws:
    def test_of_the_guide_s_example(self):
        mixer = nn.TokenMixer(4, 8, 4)
        assert (mixer.depth_to_mix, mixer.order) == (1, 2)
        assert (mixer.fixed_chunks, mixer.lost_dimensions) == (4, 12)

    @given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
    def test_they_are_the_function_s(self, T, H, d):
        mixer = nn.TokenMixer(T, H * d, H)
        assert mixer.depth_to_mix == F.depth_to_mix(T, H)
        assert mixer.order == F.mixing_order(T, H)
        assert mixer.fixed_chunks == (math.gcd(T - 1, H - 1) + 1 if T * H > 1 else 1)
        even = [cycle for cycle in F.chunk_cycles(T, H) if len(cycle) % 2 == 0]
        assert mixer.lost_dimensions == len(even) * d

    @pytest.mark.parametrize(("T", "H", "d"), [(3, 3, 2), (2, 4, 3), (4, 2, 1), (3, 8, 1)])
    def test_lost_dimensions_are_those_of_the_residual(self, T, H, d):
        D = H * d
        residual = nx.jacobian(lambda x: x + F.token_mix(x, H), np.zeros((1, T, D))).data
        rank = np.linalg.matrix_rank(residual.reshape(T * D, T * D))
        assert T * D - rank == nn.TokenMixer(T, D, H).lost_dimensions

    def test_a_chunk_antisymmetric_input_does_not_change_the_output(self):
        T, d = 3, 2
        A = RNG.integers(-9, 9, (T, T, d))
        A = (A - A.transpose(1, 0, 2)).reshape(1, T, T * d)
        x = RNG.integers(-9, 9, (1, T, T * d))
        mixer = nn.TokenMixer(T, T * d, T)
        np.testing.assert_array_equal(mixer(x + 1.0 * A).data, mixer(1.0 * x).data)
        assert A.any()

    def test_of_the_guide_s_mixing(self):
        mixer = nn.TokenMixer(4, 8, 2, mixing="guide")
        assert mixer.depth_to_mix is None
        assert (mixer.order, mixer.fixed_chunks, mixer.lost_dimensions) == (1, 8, 0)

    def test_one_head_never_mixes_and_one_token_need_not(self):
        assert nn.TokenMixer(2, 8, 1).depth_to_mix is None
        assert nn.TokenMixer(1, 8, 1).depth_to_mix == 0
        assert nn.TokenMixer(1, 8, 4).depth_to_mix == 0


class Reversed(nn.Module):
    """The tokens from the last to the first, each scaled."""

    def __init__(self, num_tokens):
        self.scale = nx.tensor(np.arange(1.0, num_tokens + 1)[:, None], requires_grad=True)

    def forward(self, x):
        return x[:, ::-1] * self.scale


class TestAnotherMixing:
    x = RNG.normal(size=(2, 3, 8))

    @pytest.mark.parametrize("norm", ["post", "pre", "bare"])
    def test_norm_and_residual_stand_around_a_module(self, norm):
        mixing = Reversed(3)

        def mix(x):
            return x[:, ::-1] * mixing.scale.data

        want = {
            "post": lambda x: F.layer_norm(x + mix(x)),
            "pre": lambda x: x + mix(F.layer_norm(x)),
            "bare": lambda x: F.layer_norm(mix(x)),
        }
        mixer = nn.TokenMixer(3, 8, 4, mixing=mixing, norm=norm)
        assert [*mixer.state_dict()] == ["mixing.scale", "norm.weight", "norm.bias"]
        np.testing.assert_array_equal(mixer(nx.tensor(self.x)).data, want[norm](self.x))

    @pytest.mark.parametrize("name", nn.MIXINGS)
    def test_a_name_makes_the_module(self, name):
        mixer = nn.TokenMixer(3, 8, 4, mixing=name, rng=1)
        alone = nn.MIXINGS[name](3, 8, 4, rng=1)
        want = F.layer_norm(self.x + np.asarray(alone(nx.tensor(self.x))))
        np.testing.assert_array_equal(mixer(nx.tensor(self.x)).data, want)

    def test_the_mixing_is_a_step_of_the_mixer(self):
        seen = []
        with nx.observe.observing(lambda name, value: seen.append(name)):
            nn.TokenMixer(3, 8, 4, mixing=Reversed(3))(nx.tensor(self.x))
        assert seen == ["mixing", "residual", "norm"]

    def test_it_is_shown_as_a_part(self):
        shown = repr(nn.TokenMixer(3, 8, 4, mixing="channels"))
        assert shown == (
            "TokenMixer(num_tokens=3, num_heads=4\n"
            "  (mixing): FixedMixing(name='channels', num_heads=4)\n"
            "  (norm): LayerNorm(weight[8], bias[8])\n)"
        )

    @pytest.mark.parametrize("law", ["depth_to_mix", "order", "fixed_chunks", "lost_dimensions"])
    @pytest.mark.parametrize("mixing", [Reversed(3), "identity", "sinkhorn"])
    def test_the_laws_are_of_the_permutation_only(self, law, mixing):
        mixer = nn.TokenMixer(3, 8, 4, mixing=mixing)
        with pytest.raises(ArgumentError) as caught:
            getattr(mixer, law)
        assert str(caught.value) == (
            "the laws of mixing are those of 'rankmixer' and 'guide': "
            f"got mixing={type(mixer.mixing).__name__}(...); "
            "measure it: nx.explain.cross_token_jacobian"
        )


class TestEducational:
    x = nx.tensor(RNG.normal(size=(2, 3, 8)))

    def test_silent_unless_asked(self, capsys):
        mixer = nn.TokenMixer(3, 8, 4)
        mixer(self.x)
        mixer.forward_production(self.x)
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize(("mixing", "text"), [("rankmixer", STEPS), ("guide", GUIDE_STEPS)])
    def test_it_prints_every_step_in_order(self, capsys, mixing, text):
        mixer = nn.TokenMixer(3, 8, 4, mixing=mixing, educational=True)
        mixer(self.x)
        assert capsys.readouterr().out == text
        mixer(self.x.data)
        assert capsys.readouterr().out == text

    def test_the_with_block_prints_the_same(self, capsys):
        mixer = nn.TokenMixer(3, 8, 4)
        with nx.educational():
            mixer(self.x)
        assert capsys.readouterr().out == STEPS
        mixer(self.x)
        assert capsys.readouterr().out == ""

    def test_asked_twice_it_prints_once(self, capsys):
        mixer = nn.TokenMixer(3, 8, 4, educational=True)
        with nx.educational():
            mixer(self.x)
        assert capsys.readouterr().out == STEPS

    def test_production_never_prints_but_lets_others_watch(self, capsys):
        mixer = nn.TokenMixer(3, 8, 4, educational=True)
        seen = []
        with nx.educational(), nx.observe.observing(lambda name, value: seen.append(name)):
            y = mixer.forward_production(self.x)
        assert capsys.readouterr().out == ""
        assert seen == re.findall(r"^(\w+):", STEPS, re.MULTILINE)
        np.testing.assert_array_equal(y.data, mixer(self.x).data)

    def test_printing_changes_neither_values_nor_gradients(self):
        ct = RNG.normal(size=(2, 3, 8))
        found = []
        for educational in (False, True):
            x = nx.tensor(self.x.data, requires_grad=True)
            y = nn.TokenMixer(3, 8, 4, educational=educational)(x)
            found.append((y.data, nx.grad(y, x, ct)[0].data))
        np.testing.assert_array_equal(found[0], found[1])

    def test_a_backward_prints_nothing(self, capsys):
        x = nx.tensor(self.x.data, requires_grad=True)
        y = nn.TokenMixer(3, 8, 4)(x).sum()
        with nx.educational():
            nx.grad(y, x)
        assert capsys.readouterr().out == ""

    def test_production_makes_no_warning_about_infinities(self):
        x = np.array([[[np.inf, np.inf, -np.inf, -np.inf]] * 2])
        for given_x in (x, nx.tensor(x)):
            y = nn.TokenMixer(2, 4, 2).forward_production(given_x)
            assert np.isnan(np.asarray(y)).all()


class TestRefusals:
    @pytest.mark.parametrize(
        "shape",
        [(), (8,), (3, 8), (1, 2, 3, 8), (2, 4, 8), (2, 3, 4), (2, 8, 3), (2, 0, 8), (2, 3, 0)],
    )
    def test_other_shapes(self, shape):
        for call in ("__call__", "forward_production"):
            with pytest.raises(ShapeError) as caught:
                getattr(nn.TokenMixer(3, 8, 4), call)(nx.tensor(np.zeros(shape)))
            assert str(caught.value) == (
                f"TokenMixer takes x of shape (B, T, D) with T = 3, D = 8: got {shape}; "
                "reshape the input, or make the module with other sizes"
            )

    def test_heads_that_do_not_divide(self):
        with pytest.raises(ShapeError) as caught:
            nn.TokenMixer(3, 8, 3)
        assert str(caught.value) == (
            "hidden_dim must be divisible by num_heads: got 8 and 3; try 1, 2, 4 or 8"
        )

    def test_divisors_of_a_large_number_are_not_searched_for_long(self):
        with pytest.raises(ShapeError, match="got 4611686018427387905 and 2; try 1, 5, .* or 46"):
            nn.TokenMixer(3, 2**62 + 1, 2)

    def test_numpy_s_integers_do_not_overflow(self):
        mixer = nn.TokenMixer(np.int8(12), np.int64(24), np.int8(12))
        assert (mixer.order, mixer.depth_to_mix, mixer.fixed_chunks) == (2, 1, 12)
        assert mixer.lost_dimensions == 132
        assert type(mixer.num_heads) is type(mixer.num_tokens) is type(mixer.hidden_dim) is int

    def test_unknown_mixing(self):
        for mixing in ("paper", None, nn.SelfAttention):
            with pytest.raises(ArgumentError, match="mixing is 'rankmixer', 'guide', .*: got"):
                nn.TokenMixer(3, 8, 4, mixing=mixing)

    def test_a_mixer_is_no_mixing(self):
        for make in (nn.TokenMixer, nn.RankMixerBlock):
            with pytest.raises(ArgumentError) as caught:
                make(3, 8, 4, mixing=nn.TokenMixer(3, 8, 4))
            assert str(caught.value) == (
                "a mixing has neither norm nor residual, which the mixer puts around it: "
                "got a TokenMixer; give what it mixes by, its .mixing, or set the .mixer of a block"
            )

    def test_a_mixing_that_changes_the_shape(self):
        class FirstToken(nn.Module):
            def forward(self, x):
                return x[:, :1]

        with pytest.raises(ShapeError) as caught:
            nn.TokenMixer(3, 8, 4, mixing=FirstToken())(np.ones((2, 3, 8)))
        assert str(caught.value) == (
            "a mixing returns tokens of the shape that it takes, (2, 3, 8): got (2, 1, 8); "
            "change what it returns"
        )

    def test_eps_below_zero(self):
        with pytest.raises(ArgumentError, match="eps must be at least 0: got -1.0"):
            nn.TokenMixer(3, 8, 4, eps=-1.0)
