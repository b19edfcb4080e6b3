"""The block and the model."""

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError

RNG = np.random.default_rng(31)


def model(**options):
    arguments = dict(
        vocab_size=11, num_tokens=3, hidden_dim=8, num_heads=4, num_layers=2, rng=0, dropout=0.0
    )
    return nn.RankMixerModel(**{**arguments, **options})


IDS = np.array([[1, 10, 3], [3, 3, 0]])


FORMS = ["guide", "post", "pre", "bare_mix"]
FFNS = ["standard", "swiglu", "per_token", "per_token_swiglu"]


class Doubled(nn.Module):
    """A network of the user's, which has a parameter."""

    def __init__(self):
        self.scale = nx.tensor([2.0], requires_grad=True)

    def forward(self, x):
        return x * self.scale


class TestBlock:
    def test_names_and_shapes(self):
        block = nn.RankMixerBlock(3, 8, 4, ff_dim=5, rng=0)
        assert {name: p.shape for name, p in block.named_parameters()} == {
            "mixer.norm.weight": (8,),
            "mixer.norm.bias": (8,),
            "ffn.norm.weight": (8,),
            "ffn.norm.bias": (8,),
            "ffn.linear1.weight": (5, 8),
            "ffn.linear1.bias": (5,),
            "ffn.linear2.weight": (8, 5),
            "ffn.linear2.bias": (8,),
        }
        assert isinstance(block.mixer, nn.TokenMixer)
        assert isinstance(block.ffn, nn.FeedForward)

    def test_mixer_then_network(self):
        block = nn.RankMixerBlock(3, 8, 4, rng=0).eval()
        x = RNG.normal(size=(2, 3, 8))
        mixed = F.layer_norm(x + F.token_mix(x, 4))
        np.testing.assert_array_equal(block(nx.tensor(x)).data, block.ffn(mixed).data)

    @pytest.mark.parametrize("ffn", FFNS)
    @pytest.mark.parametrize("placement", FORMS)
    def test_norms_stand_where_the_formula_has_them(self, placement, ffn):
        block = nn.RankMixerBlock(3, 8, 4, norm=placement, ffn=ffn, ff_dim=5, rng=0).eval()
        state = {k: v + 0.3 * RNG.normal(size=v.shape) for k, v in block.state_dict().items()}
        block.load_state_dict(state)
        x = RNG.normal(size=(2, 3, 8))
        p = {k: nx.tensor(v) for k, v in state.items()}

        def first(v):
            return F.layer_norm(v, p["mixer.norm.weight"], p["mixer.norm.bias"])

        def second(v):
            return F.layer_norm(v, p["ffn.norm.weight"], p["ffn.norm.bias"])

        def mix(v):
            return F.token_mix(v, 4)

        def linear(h, name):
            weight, bias = p[f"ffn.{name}.weight"], p.get(f"ffn.{name}.bias", 0.0)
            return F.einsum("bti,toi->bto" if weight.ndim == 3 else "bti,oi->bto", h, weight) + bias

        def network(h):
            if "swiglu" in ffn:
                return linear(F.silu(linear(h, "w1")) * linear(h, "w3"), "w2")
            return linear(F.gelu(linear(h, "linear1")), "linear2")

        s = {
            "guide": lambda: first(x + mix(x)),
            "post": lambda: first(x + mix(x)),
            "pre": lambda: x + mix(first(x)),
            "bare_mix": lambda: first(mix(x)),
        }[placement]()
        expected = {
            "guide": lambda: s + network(second(s)),
            "post": lambda: second(s + network(s)),
            "pre": lambda: s + network(second(s)),
            "bare_mix": lambda: second(x + network(s)),
        }[placement]()
        np.testing.assert_allclose(block(nx.tensor(x)).data, expected.data, rtol=1e-13, atol=1e-13)

    def test_options_reach_their_parts(self):
        block = nn.RankMixerBlock(
            3,
            8,
            4,
            activation="relu",
            dropout=0.3,
            mixing="guide",
            eps=0.25,
            educational=True,
            rng=0,
        )
        assert block.ffn.activation.name == "relu"
        assert block.ffn.dropout.p == 0.3
        assert block.mixer.mixing == "guide"
        assert block.mixer.norm.eps == block.ffn.norm.eps == 0.25
        assert block.mixer.educational
        assert nn.RankMixerBlock(3, 8, 4).ffn.linear1.weight.shape == (32, 8)
        assert nn.RankMixerBlock(3, 8, 4).ffn.dropout.p == 0.1

    def test_unknown_options_are_refused_by_name(self):
        for make in (lambda **k: nn.RankMixerBlock(3, 8, 4, **k), lambda **k: model(**k)):
            with pytest.raises(TypeError) as caught:
                make(droput=0.0, bias=False)
            assert str(caught.value) == (
                "a block has the options ff_dim, ffn, activation, dropout, mixing, norm, "
                "educational, eps, rng, dtype: got bias, droput; check the spelling"
            )

    def test_swiglu(self):
        block = nn.RankMixerBlock(3, 8, 4, ffn="swiglu", ff_dim=5, dropout=0.3, eps=0.25, rng=0)
        assert isinstance(block.ffn, nn.SwiGLUFeedForward)
        assert block.ffn.w1.weight.shape == (5, 8)
        assert block.ffn.dropout.p == 0.3
        assert block.mixer.norm.eps == block.ffn.norm.eps == 0.25
        assert "ffn.w1.bias" not in block.state_dict()

    def test_the_names_of_the_paper_s_block(self):
        T, D, F = 4, 8, 5
        block = nn.RankMixerBlock(T, D, 4, ffn="per_token", norm="post", ff_dim=F, rng=0)
        assert {name: p.shape for name, p in block.named_parameters()} == {
            "mixer.norm.weight": (D,),
            "mixer.norm.bias": (D,),
            "ffn.norm.weight": (D,),
            "ffn.norm.bias": (D,),
            "ffn.linear1.weight": (T, F, D),
            "ffn.linear1.bias": (T, F),
            "ffn.linear2.weight": (T, D, F),
            "ffn.linear2.bias": (T, D),
        }
        assert isinstance(block.ffn, nn.PerTokenFeedForward)

    def test_options_reach_the_per_token_networks(self):
        block = nn.RankMixerBlock(
            3, 8, 4, ffn="per_token", activation="relu", dropout=0.3, eps=0.25, rng=0
        )
        assert (block.ffn.activation.name, block.ffn.dropout.p) == ("relu", 0.3)
        assert block.ffn.norm.eps == 0.25
        block = nn.RankMixerBlock(3, 8, 4, ffn="per_token_swiglu", ff_dim=5, dropout=0.3, rng=0)
        assert isinstance(block.ffn, nn.PerTokenSwiGLU)
        assert {name: p.shape for name, p in block.ffn.named_parameters()} == {
            "norm.weight": (8,),
            "norm.bias": (8,),
            "w1.weight": (3, 5, 8),
            "w2.weight": (3, 8, 5),
            "w3.weight": (3, 5, 8),
        }
        assert block.ffn.dropout.p == 0.3

    @pytest.mark.parametrize("placement", FORMS)
    def test_a_network_of_the_user_s_gets_norm_and_residual(self, placement):
        block = nn.RankMixerBlock(3, 8, 4, ffn=Doubled(), norm=placement, eps=0.25, rng=0)
        assert [name for name, _ in block.ffn.named_parameters()] == [
            *("norm.weight", "norm.bias", "network.scale"),
        ]
        x = RNG.normal(size=(2, 3, 8))
        s = block.mixer(x).data

        def norm(v):
            return F.layer_norm(v, eps=0.25)

        want = {
            "guide": s + 2 * norm(s),
            "post": norm(s + 2 * s),
            "pre": s + 2 * norm(s),
            "bare_mix": norm(x + 2 * s),
        }[placement]
        np.testing.assert_allclose(block(nx.tensor(x)).data, want, rtol=1e-13, atol=1e-13)

    @pytest.mark.parametrize("placement", FORMS)
    def test_a_network_that_has_both_stays_as_it_is(self, placement):
        norm = "post" if placement in ("post", "bare_mix") else "pre"
        own = nn.FeedForward(8, 5, bias=False, norm=norm, rng=0)
        block = nn.RankMixerBlock(3, 8, 4, ffn=own, norm=placement)
        assert block.ffn is own
        other = nn.SwiGLUFeedForward(8, norm="pre" if norm == "post" else "post")
        with pytest.raises(ArgumentError) as caught:
            nn.RankMixerBlock(3, 8, 4, ffn=other, norm=placement)
        assert str(caught.value) == (
            f"in this block the norm of the network is {norm!r}: got a SwiGLUFeedForward with "
            f"norm={other.norm_placement!r}; make it with norm={norm!r}"
        )

    def test_options_that_a_network_of_the_user_s_would_not_read(self):
        with pytest.raises(ArgumentError) as caught:
            nn.RankMixerBlock(3, 8, 4, ffn=Doubled(), dropout=0.1, ff_dim=5)
        assert str(caught.value) == (
            "a network of your own has its width, activation and dropout: got dropout, ff_dim; "
            "leave out what it was made with"
        )

    @pytest.mark.parametrize("placement", FORMS)
    def test_parts_may_be_replaced(self, placement):
        """By any module of the same shapes: here the mixer, the whole network, and a norm."""
        x = RNG.normal(size=(2, 3, 8))
        block = nn.RankMixerBlock(3, 8, 4, norm=placement, rng=0).eval()
        block.mixer = nn.Linear(8, 8, rng=1)
        block.ffn = nn.ResidualNetwork(Doubled(), 8, norm="post")
        block.ffn.norm = nn.RMSNorm(8)
        s = block.mixer(x)
        want = F.rms_norm((x if placement == "bare_mix" else s) + 2 * s)
        np.testing.assert_allclose(block(nx.tensor(x)).data, want.data, rtol=1e-13)
        assert sorted(block.state_dict()) == [
            *("ffn.network.scale", "ffn.norm.weight", "mixer.bias", "mixer.weight"),
        ]

    def test_swiglu_has_an_activation_of_its_own(self):
        with pytest.raises(ArgumentError, match="the per_token_swiglu network has an activation"):
            nn.RankMixerBlock(3, 8, 4, ffn="per_token_swiglu", activation="relu")
        for activation in ("relu", "silu", "gelu_tanh"):
            with pytest.raises(ArgumentError) as caught:
                nn.RankMixerBlock(3, 8, 4, ffn="swiglu", activation=activation)
            assert str(caught.value) == (
                f"the swiglu network has an activation of its own: got {activation!r}; "
                "leave activation out"
            )

    @pytest.mark.parametrize(
        ("option", "text"),
        [
            ({"ffn": "moe"}, "ffn is 'standard', .* or 'per_token_swiglu': got 'moe'; use one"),
            ({"ffn": None}, "ffn is 'standard', .* or 'per_token_swiglu': got None"),
            ({"norm": "x"}, "norm is 'guide', 'post', 'pre' or 'bare_mix': got 'x'"),
            ({"mixing": "x"}, "mixing is 'rankmixer', 'guide', "),
            ({"activation": "x"}, "activation is 'gelu', .* or 'silu': got 'x'; use one of them"),
            ({"dropout": 1.0}, r"the dropout probability p lies in \[0, 1\): got 1.0"),
            ({"ff_dim": 0}, "ff_dim is a positive integer: got 0"),
            ({"eps": -1}, "eps must be at least 0: got -1"),
        ],
    )
    def test_unknown_words_and_values_outside(self, option, text):
        for make in (lambda **k: nn.RankMixerBlock(3, 8, 4, **k), lambda **k: model(**k)):
            with pytest.raises(ArgumentError, match=text):
                make(**option)

    def test_input_of_other_shapes(self):
        block = nn.RankMixerBlock(3, 8, 4, rng=0)
        for shape in [(2, 4, 8), (2, 3, 4), (3, 8), (2, 0, 8)]:
            with pytest.raises(ShapeError, match=r"takes x of shape \(B, T, D\) with T = 3, D = 8"):
                block(nx.tensor(np.zeros(shape)))

    def test_educational_prints_the_mixer_s_steps(self, capsys):
        nn.RankMixerBlock(3, 8, 4, educational=True, rng=0)(nx.tensor(np.zeros((1, 3, 8))))
        lines = capsys.readouterr().out.splitlines()
        assert [line.partition(":")[0] for line in lines] == [
            "input", "partition", "permute", "flatten", "merge", "residual", "norm",
        ]  # fmt: skip

    @pytest.mark.parametrize(("mixing", "sees"), [("rankmixer", True), ("guide", False)])
    def test_whether_one_token_sees_the_other(self, mixing, sees):
        block = nn.RankMixerBlock(2, 8, 2, mixing=mixing, rng=0).eval()
        J = nx.jacobian(block, RNG.normal(size=(1, 2, 8))).data.reshape(2, 8, 2, 8)
        assert J[0, :, 1].any() == J[1, :, 0].any() == sees
        assert J[0, :, 0].all()


class TestNullSpace:
    """Where T = H, x + mix(x) loses every A with A_t^h = -A_h^t."""

    T, D = 4, 12

    def direction(self):
        """Such an A, from any x: less the chunks of which it is the mirror."""
        x = np.random.default_rng(0).normal(size=(1, self.T, self.D))
        return x - F.token_mix(x, self.T)

    def change(self, **options):
        block = nn.RankMixerBlock(self.T, self.D, self.T, rng=0, **options).eval()
        x = np.random.default_rng(1).normal(size=(1, self.T, self.D))
        return np.abs(block(x + self.direction()).data - block(x).data).max()

    def test_the_direction_is_antisymmetric(self):
        chunks = self.direction().reshape(self.T, self.T, -1)
        np.testing.assert_array_equal(chunks, -chunks.transpose(1, 0, 2))
        assert np.abs(chunks).max() > 1

    @pytest.mark.parametrize("ffn", FFNS)
    @pytest.mark.parametrize("placement", FORMS)
    def test_only_blocks_with_the_norm_behind_the_mixing_are_blind_to_it(self, placement, ffn):
        change = self.change(norm=placement, ffn=ffn)
        if placement in ("guide", "post"):
            assert change < 1e-14
        else:
            assert change > 0.1

    def test_the_identity_is_not(self):
        assert self.change(norm="post", mixing="guide") > 0.1


class TestModel:
    def test_names_and_shapes(self):
        block = nn.RankMixerBlock(3, 8, 4, rng=0)
        want = {"token_embedding.weight": (11, 8), "position_embedding.weight": (3, 8)}
        for i in range(2):
            want |= {f"blocks.{i}.{n}": p.shape for n, p in block.named_parameters()}
        assert {name: p.shape for name, p in model().named_parameters()} == want
        assert len(model(num_layers=5).blocks) == 5

    def test_embeddings_then_blocks(self):
        one = model()
        h = one.token_embedding.weight.data[IDS] + one.position_embedding.weight.data
        for block in one.blocks:
            h = block(h)
        np.testing.assert_array_equal(one(IDS).data, h.data)
        assert one(IDS).shape == (2, 3, 8)

    def test_ids_of_many_kinds(self):
        one = model()
        want = one(IDS).data
        for ids in (IDS.tolist(), nx.tensor(IDS), IDS.astype("uint8")):
            np.testing.assert_array_equal(one(ids).data, want)

    def test_no_two_blocks_start_alike(self):
        state = model(num_layers=3).state_dict()
        for name in ("ffn.linear1.weight", "ffn.linear1.bias", "ffn.linear2.weight"):
            first, second, third = (state[f"blocks.{i}.{name}"] for i in range(3))
            assert (first != second).all()
            assert (first != third).all()
            assert (second != third).all()

    @pytest.mark.parametrize("ffn", ["standard", "swiglu"])
    def test_the_same_seed_makes_the_same_model_and_the_same_masks(self, ffn):
        one, same, other = (model(rng=seed, ffn=ffn, dropout=0.5) for seed in (1, 1, 2))
        first = one(IDS).data
        np.testing.assert_array_equal(same(IDS).data, first)
        np.testing.assert_array_equal(same(IDS).data, one(IDS).data)
        assert (one(IDS).data != first).any()
        assert (other.token_embedding.weight.data != one.token_embedding.weight.data).all()

    def test_options_reach_every_block(self):
        one = model(
            ff_dim=5, activation="silu", dropout=0.3, mixing="guide", eps=0.25, educational=True
        )
        for block in one.blocks:
            assert block.ffn.linear1.weight.shape == (5, 8)
            assert (block.ffn.activation.name, block.ffn.dropout.p) == ("silu", 0.3)
            assert (block.mixer.mixing, block.mixer.num_heads) == ("guide", 4)
            assert block.mixer.norm.eps == block.ffn.norm.eps == 0.25
            assert block.mixer.educational
        swiglu = model(ffn="swiglu")
        assert all(isinstance(block.ffn, nn.SwiGLUFeedForward) for block in swiglu.blocks)
        plain = nn.RankMixerModel(11, 3, 8, 4, 1)
        assert plain.blocks[0].ffn.dropout.p == 0.1
        assert not plain.blocks[0].mixer.educational

    def test_the_paper_s_model(self):
        one = model(ffn="per_token", norm="post", ff_dim=5)
        assert [block.norm_placement for block in one.blocks] == ["post"] * 2
        assert one.state_dict()["blocks.1.ffn.linear1.weight"].shape == (3, 5, 8)
        assert one(IDS).shape == (2, 3, 8)

    def test_a_module_that_is_given_is_shared_by_the_blocks(self):
        own = Doubled()
        one = nn.RankMixerModel(11, 3, 8, 4, 2, ffn=own, rng=0)
        assert one.blocks[0].ffn.network is one.blocks[1].ffn.network is own
        assert sum(p is own.scale for p in one.parameters()) == 1
        assert one(IDS).shape == (2, 3, 8)

    def test_the_position_table_is_broadcast_over_the_batch(self):
        one = model()
        seen = {}
        with nx.observe.observing(seen.__setitem__):
            y = one(IDS)
        assert seen["position_embedding"].shape == (3, 8)
        ct = RNG.normal(size=y.shape)
        at_sum, table, tokens = nx.grad(
            y,
            [seen["embedding"], one.position_embedding.weight, one.token_embedding.weight],
            ct,
        )
        np.testing.assert_allclose(table.data, at_sum.data.sum(0), rtol=1e-12)
        want = np.zeros((11, 8))
        for b in range(2):
            for t in range(3):
                want[IDS[b, t]] += at_sum.data[b, t]
        np.testing.assert_allclose(tokens.data, want, rtol=1e-12, atol=1e-15)

    def test_a_position_matters(self):
        swapped = model()(IDS[:, [1, 0, 2]]).data
        assert not np.allclose(swapped[0, [1, 0, 2]], model()(IDS).data[0])

    def test_steps_of_the_embeddings_and_blocks(self):
        seen = []
        with nx.observe.observing(lambda name, value: seen.append(name)):
            model()(IDS)
        assert seen[:3] == ["token_embedding", "position_embedding", "embedding"]
        each = [
            *("input", "partition", "permute", "flatten", "merge", "residual", "norm", "mixer"),
            *("norm", "linear1", "activation", "dropout", "linear2", "dropout", "residual", "ffn"),
        ]
        assert seen[3:] == [*each, "blocks.0", *each, "blocks.1"]

    def test_silent_unless_asked(self, capsys):
        model()(IDS)
        assert capsys.readouterr().out == ""

    def test_an_empty_batch(self):
        one = model()
        y = one(np.zeros((0, 3), int))
        assert y.shape == (0, 3, 8)
        y.sum().backward()
        for p in one.parameters():
            np.testing.assert_array_equal(p.grad.data, np.zeros(p.shape))

    def test_gradients_against_differences_of_functional_calls(self):
        one = model(num_layers=1)
        state = one.state_dict()
        ct = RNG.normal(size=(2, 3, 8))
        tiny = 2.0**-66
        y = one(IDS)
        names = [name for name, _ in one.named_parameters()]
        gradients = nx.grad(y, list(one.parameters()), ct)
        for name, gradient in zip(names, gradients, strict=True):
            direction = RNG.normal(size=gradient.shape)
            moved = {**state, name: state[name] + 1j * tiny * direction}
            slope = (nn.functional_call(one, moved, IDS).imag / tiny * ct).sum()
            np.testing.assert_allclose((gradient.data * direction).sum(), slope, rtol=1e-11)

    @pytest.mark.parametrize("shape", [(), (3,), (2, 4), (2, 3, 1), (2, 0), (0,)])
    def test_ids_of_other_shapes(self, shape):
        with pytest.raises(ShapeError) as caught:
            model()(np.zeros(shape, int))
        assert str(caught.value) == (
            f"ids have shape (B, T) with T = 3: got {shape}; pad or cut the sequences"
        )

    def test_ragged_ids(self):
        with pytest.raises(ShapeError, match="the model takes nested lists of equal lengths: got"):
            model()([[1, 2, 3], [4]])

    @pytest.mark.parametrize(("bad", "place"), [(11, "(1, 2)"), (-1, "(1, 2)"), (10**12, "(1, 2)")])
    def test_ids_outside_the_vocabulary(self, bad, place):
        ids = IDS.copy()
        ids[1, 2] = bad
        with pytest.raises(IndexRangeError) as caught:
            model()(ids)
        assert str(caught.value).startswith(f"ids lie from 0 to 10: got {bad} at {place}; check")

    @pytest.mark.parametrize("kind", [float, bool, complex, str])
    def test_ids_that_are_no_integers(self, kind):
        with pytest.raises(DTypeError, match=r"ids are integers: got .*; convert with"):
            model()(np.ones((2, 3)).astype(kind))

    def test_heads_that_do_not_divide(self):
        with pytest.raises(ShapeError, match="hidden_dim must be divisible by num_heads: got 8"):
            model(num_heads=3)

    def test_it_learns_to_copy_only_if_it_mixes(self):
        """Without mixing no token's output depends on its neighbor at all."""
        ids = np.array([[0, 1, 2], [7, 1, 2]])
        for mixing, depends in (("rankmixer", True), ("guide", False)):
            y = model(mixing=mixing)(ids).data
            assert (y[0, 1] != y[1, 1]).any() == depends
            assert (y[0, 0] != y[1, 0]).any()


class TestDefaults:
    def test_silence_and_eps(self, capsys):
        block = nn.RankMixerBlock(3, 8, 4, rng=0)
        plain = nn.RankMixerModel(11, 3, 8, 4, 1, rng=0)
        block(np.zeros((1, 3, 8)))
        plain(IDS)
        assert capsys.readouterr().out == ""
        for one in (block, *plain.blocks, nn.RankMixerBlock(3, 8, 4, ffn="swiglu", rng=0)):
            assert one.mixer.norm.eps == one.ffn.norm.eps == 1e-5
            assert one.mixer.mixing == "rankmixer"

    @pytest.mark.parametrize("ffn", ["standard", "swiglu"])
    def test_float32_reaches_every_part(self, ffn):
        one = model(ffn=ffn, dtype="float32")
        assert {p.dtype for p in one.parameters()} == {np.dtype(np.float32)}
        assert one(IDS).dtype == np.float32
