"""The feed-forward networks."""

import math
from functools import partial

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(23)
X = RNG.normal(size=(2, 3, 4))

ACTIVATIONS = {
    "gelu": lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))),
    "gelu_tanh": lambda v: (
        0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
    ),
    "relu": lambda v: max(v, 0.0),
    "silu": lambda v: v / (1 + math.exp(-v)),
}


def shaken(module):
    """The module with no parameter at its start, where biases of norms are 0."""
    state = module.state_dict()
    module.load_state_dict({n: v + 0.3 * RNG.normal(size=v.shape) for n, v in state.items()})
    return module


def norm(x, s):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * s["norm.weight"] + s["norm.bias"]


class TestStandard:
    def test_names_and_shapes(self):
        module = nn.FeedForward(4, 6, rng=0)
        assert {name: p.shape for name, p in module.named_parameters()} == {
            "norm.weight": (4,),
            "norm.bias": (4,),
            "linear1.weight": (6, 4),
            "linear1.bias": (6,),
            "linear2.weight": (4, 6),
            "linear2.bias": (4,),
        }

    def test_four_times_as_wide_unless_asked_otherwise(self):
        assert nn.FeedForward(5, rng=0).linear1.weight.shape == (20, 5)

    @pytest.mark.parametrize(
        "kind", [nn.FeedForward, nn.SwiGLUFeedForward, partial(nn.ResidualNetwork, nn.Linear(4, 4))]
    )
    def test_a_norm_that_stands_nowhere(self, kind):
        with pytest.raises(ArgumentError, match="norm is 'pre' or 'post': got 'bare'"):
            kind(4, norm="bare")

    def test_without_biases(self):
        names = list(nn.FeedForward(4, bias=False, rng=0).state_dict())
        assert names == ["norm.weight", "norm.bias", "linear1.weight", "linear2.weight"]

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_it_is_the_formula(self, activation):
        module = shaken(nn.FeedForward(4, 6, activation=activation, rng=0)).eval()
        s = module.state_dict()
        hidden = norm(X, s) @ s["linear1.weight"].T + s["linear1.bias"]
        hidden = np.vectorize(ACTIVATIONS[activation])(hidden)
        want = X + hidden @ s["linear2.weight"].T + s["linear2.bias"]
        np.testing.assert_allclose(module(nx.tensor(X)).data, want, rtol=1e-12)

    def test_gelu_is_the_default(self):
        one, other = nn.FeedForward(4, rng=0), nn.FeedForward(4, activation="gelu", rng=0)
        np.testing.assert_array_equal(one.eval()(X).data, other.eval()(X).data)

    def test_eps_reaches_the_norm(self):
        assert nn.FeedForward(4, eps=0.25, rng=0).norm.eps == 0.25

    def test_tokens_are_processed_alone(self):
        module = nn.FeedForward(4, rng=0).eval()
        np.testing.assert_allclose(module(X[1, 2]).data, module(X).data[1, 2], rtol=1e-12)

    def test_dropout_after_the_activation_and_at_the_end(self):
        module = nn.FeedForward(4, 6, dropout=0.5, rng=0)
        seen = {}
        counted = []

        def watch(name, value):
            if name == "dropout":
                counted.append(np.array(value.data))
            seen[name] = np.array(value.data)

        x = nx.tensor(RNG.normal(size=(200, 4)))
        with nx.observe.observing(watch):
            y = module(x)
        first, second = counted
        for dropped, before in ((first, seen["activation"]), (second, seen["linear2"])):
            kept = dropped != 0
            np.testing.assert_allclose(dropped[kept], 2 * before[kept], rtol=1e-12)
            assert 0.4 < kept.mean() < 0.6
        s = module.state_dict()
        np.testing.assert_allclose(
            seen["linear2"], first @ s["linear2.weight"].T + s["linear2.bias"], rtol=1e-12
        )
        np.testing.assert_array_equal(y.data, x.data + second)

    def test_a_tenth_is_dropped_unless_asked_otherwise(self):
        assert nn.FeedForward(4, rng=0).dropout.p == 0.1

    def test_evaluation_is_deterministic_and_training_is_not(self):
        module = nn.FeedForward(4, dropout=0.5, rng=0)
        assert (module(X).data != module(X).data).any()
        module.eval()
        np.testing.assert_array_equal(module(X).data, module(X).data)

    def test_steps(self, capsys):
        with nx.educational():
            nn.FeedForward(4, 6, rng=0)(nx.tensor(X))
        assert capsys.readouterr().out.splitlines() == [
            f"{name}: (2, 3, {n}), contiguous: True"
            for name, n in [
                ("norm", 4),
                ("linear1", 6),
                ("activation", 6),
                ("dropout", 6),
                ("linear2", 4),
                ("dropout", 4),
                ("residual", 4),
            ]
        ]

    @pytest.mark.parametrize("word", ["swish", "GELU", None, ""])
    def test_unknown_activations(self, word):
        with pytest.raises(ArgumentError) as caught:
            nn.FeedForward(4, activation=word)
        assert str(caught.value) == (
            f"activation is 'gelu', 'gelu_tanh', 'relu' or 'silu': got {word!r}; use one of them"
        )

    def test_the_guide_s_size(self):
        module = nn.FeedForward(768, rng=0, dtype="float32").eval()
        x = nx.tensor(RNG.normal(size=(4, 8, 768)), dtype="float32", requires_grad=True)
        seen = []
        with nx.observe.observing(lambda name, value: seen.append(value.shape)):
            y = module(x)
        assert seen[1] == (4, 8, 3072)
        y.sum().backward()
        assert x.grad.shape == (4, 8, 768)


class TestSwiGLU:
    def test_names_and_shapes(self):
        module = nn.SwiGLUFeedForward(4, 6, rng=0)
        assert {name: p.shape for name, p in module.named_parameters()} == {
            "norm.weight": (4,),
            "norm.bias": (4,),
            "w1.weight": (6, 4),
            "w2.weight": (4, 6),
            "w3.weight": (6, 4),
        }
        assert nn.SwiGLUFeedForward(5, rng=0).w3.weight.shape == (20, 5)

    def test_it_is_the_formula(self):
        module = shaken(nn.SwiGLUFeedForward(4, 6, bias=True, rng=0)).eval()
        s = module.state_dict()
        assert "w1.bias" in s
        h = norm(X, s)
        gate = np.vectorize(ACTIVATIONS["silu"])(h @ s["w1.weight"].T + s["w1.bias"])
        up = h @ s["w3.weight"].T + s["w3.bias"]
        want = X + (gate * up) @ s["w2.weight"].T + s["w2.bias"]
        np.testing.assert_allclose(module(nx.tensor(X)).data, want, rtol=1e-12)

    def test_dropout_before_the_residual_only(self):
        module = nn.SwiGLUFeedForward(4, 6, dropout=0.5, rng=0)
        seen = []
        with nx.observe.observing(lambda name, value: seen.append((name, np.array(value.data)))):
            y = module(nx.tensor(X))
        names = [name for name, _ in seen]
        assert names == ["norm", "w1", "silu", "w3", "multiply", "w2", "dropout", "residual"]
        values = dict(seen)
        dropped = values["dropout"]
        assert 0 < np.count_nonzero(dropped) < dropped.size
        np.testing.assert_allclose(
            dropped[dropped != 0], 2 * values["w2"][dropped != 0], rtol=1e-12
        )
        np.testing.assert_array_equal(y.data, X + dropped)
        np.testing.assert_array_equal(values["silu"], F.silu(values["w1"]))
        np.testing.assert_array_equal(values["multiply"], values["silu"] * values["w3"])

    def test_a_tenth_is_dropped_unless_asked_otherwise_and_eps_reaches_the_norm(self):
        module = nn.SwiGLUFeedForward(4, eps=0.25, rng=0)
        assert module.dropout.p == 0.1
        assert module.norm.eps == 0.25

    def test_the_three_projections_start_differently(self):
        module = nn.SwiGLUFeedForward(4, 4, rng=0)
        w1, w2, w3 = (getattr(module, n).weight.data for n in ("w1", "w2", "w3"))
        assert (w1 != w2).all()
        assert (w1 != w3).all()
        assert (w2 != w3).all()


@pytest.mark.parametrize("kind", [nn.FeedForward, nn.SwiGLUFeedForward])
class TestBoth:
    @pytest.mark.parametrize("p", [1.0, -0.5, float("nan")])
    def test_dropout_outside(self, kind, p):
        with pytest.raises(ArgumentError, match=r"the dropout probability p lies in \[0, 1\)"):
            kind(4, dropout=p)

    @pytest.mark.parametrize("size", [0, -3, 1.5, "8", False])
    def test_widths_that_are_no_positive_integers(self, kind, size):
        with pytest.raises(ArgumentError, match=f"ff_dim is a positive integer: got {size!r}; use"):
            kind(4, size)

    @pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 1, 3, 4), (2, 0, 4)])
    def test_any_leading_axes(self, kind, shape):
        assert kind(4, rng=0)(nx.tensor(np.zeros(shape))).shape == shape

    @pytest.mark.parametrize("shape", [(), (3,), (4, 5), (2, 4, 0)])
    def test_other_features(self, kind, shape):
        with pytest.raises(ShapeError) as caught:
            kind(4, rng=0)(nx.tensor(np.zeros(shape)))
        assert str(caught.value) == (
            f"LayerNorm takes x of shape (..., D) with D = 4: got {shape}; "
            "reshape the input, or make the module with other sizes"
        )


def slice_of(state, t):
    """The parameters of token t, of which the norm's are shared."""
    return {name: p if name.startswith("norm") else p[t] for name, p in state.items()}


@pytest.mark.parametrize(
    ("kind", "single"),
    [(nn.PerTokenFeedForward, nn.FeedForward), (nn.PerTokenSwiGLU, nn.SwiGLUFeedForward)],
)
class TestPerToken:
    def test_names_are_those_of_the_shared_network_and_shapes_begin_with_t(self, kind, single):
        module, one = kind(3, 4, 6, rng=0), single(4, 6)
        assert {name: p.shape for name, p in module.named_parameters()} == {
            name: p.shape if name.startswith("norm") else (3, *p.shape)
            for name, p in one.named_parameters()
        }

    @pytest.mark.parametrize("norm", ["pre", "post"])
    @pytest.mark.parametrize("bias", [True, False])
    def test_every_token_has_its_own_network(self, kind, single, bias, norm):
        options = dict(bias=bias, norm=norm, eps=0.25)
        module = shaken(kind(3, 4, 6, rng=0, **options)).eval()
        y = module(nx.tensor(X)).data
        for t in range(3):
            one = single(4, 6, **options).eval()
            one.load_state_dict(slice_of(module.state_dict(), t))
            np.testing.assert_allclose(y[:, t], one(X[:, t]).data, rtol=1e-12)

    def test_defaults_are_those_of_the_shared_network(self, kind, single):
        module, one = kind(3, 5, rng=0), single(5)
        assert list(module.state_dict()) == list(one.state_dict())
        assert module.norm_placement == one.norm_placement
        assert module.dropout.p == one.dropout.p
        for name, p in module.named_parameters():
            assert p.shape[-2:] == one.state_dict()[name].shape or name.endswith("bias")

    def test_one_generator_moves_on(self, kind, single):
        state = kind(3, 4, 4, rng=0).state_dict()
        weights = [w for p in state.values() if p.ndim == 3 for w in p]
        assert len({w.tobytes() for w in weights}) == len(weights)

    def test_steps_are_those_of_the_shared_network(self, kind, single):
        def steps(module):
            seen = []
            with nx.observe.observing(lambda name, value: seen.append((name, value.shape))):
                module(nx.tensor(X))
            return seen

        assert steps(kind(3, 4, 6, rng=0)) == steps(single(4, 6, rng=0))

    def test_another_number_of_tokens(self, kind, single):
        with pytest.raises(ShapeError, match=r"PerTokenLinear takes .* with T = 2, in = 4: got"):
            kind(2, 4, rng=0)(nx.tensor(X))

    @pytest.mark.parametrize("size", [0, 1.5, "8"])
    def test_tokens_that_are_no_positive_integer(self, kind, single, size):
        with pytest.raises(ArgumentError, match=f"num_tokens is a positive integer: got {size!r}"):
            kind(size, 4)


def test_activations_reach_the_per_token_network():
    for name in ACTIVATIONS:
        module = nn.PerTokenFeedForward(3, 4, 6, activation=name, rng=0).eval()
        one = nn.FeedForward(4, 6, activation=name).eval()
        one.load_state_dict(slice_of(module.state_dict(), 1))
        np.testing.assert_allclose(module(X).data[:, 1], one(X[:, 1]).data, rtol=1e-12)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_network_that_returns_another_shape(norm):
    """(2, 3, 1) could be added to (2, 3, 4), and nobody would see it."""
    with pytest.raises(ShapeError) as caught:
        nn.ResidualNetwork(nn.Linear(4, 1, rng=0), 4, norm=norm)(X)
    assert str(caught.value) == (
        "a network returns tokens of the shape that it takes, (2, 3, 4): got (2, 3, 1); "
        "change what it returns"
    )


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_residual_beside_the_input(norm):
    """What the network gives is added to it, and not to the input."""
    x, other = RNG.normal(size=(2, 2, 3, 4))
    module = shaken(nn.ResidualNetwork(nn.Linear(4, 4, rng=0), 4, norm=norm))
    want = {
        "pre": lambda to: to + module.network(module.norm(x)).data,
        "post": lambda to: module.norm(to + module.network(x)).data,
    }[norm]
    np.testing.assert_array_equal(module(x, residual=other).data, want(other))
    np.testing.assert_array_equal(module(x).data, want(x))
