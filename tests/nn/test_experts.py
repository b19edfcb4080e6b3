"""Mixtures of experts of each token."""

import math

import numpy as np
import pytest
from support import complex_step, refused

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(41)
B, T, D, E, F = 5, 3, 4, 2, 7
S = RNG.normal(size=(B, T, D))

gelu = np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))))


def silu(x):
    return x / (1 + np.exp(-x))


def one_by_one(s, state, prefix=""):
    """e (B, T, E, D), expert after expert."""
    w1, b1, w2, b2 = (state[f"{prefix}linear{i}.{n}"] for i in (1, 2) for n in ("weight", "bias"))
    e = np.empty((*s.shape[:2], w1.shape[1], s.shape[2]))
    for t in range(w1.shape[0]):
        for j in range(w1.shape[1]):
            hidden = gelu(s[:, t] @ w1[t, j].T + b1[t, j])
            e[:, t, j] = hidden @ w2[t, j].T + b2[t, j]
    return e


def swiglu_one_by_one(s, state, prefix=""):
    w1, w2, w3 = (state[f"{prefix}w{i}.weight"] for i in (1, 2, 3))
    e = np.empty((*s.shape[:2], w1.shape[1], s.shape[2]), np.result_type(s, w1))
    for t in range(w1.shape[0]):
        for j in range(w1.shape[1]):
            gated = silu(s[:, t] @ w1[t, j].T) * (s[:, t] @ w3[t, j].T)
            e[:, t, j] = gated @ w2[t, j].T
    return e


class TestExperts:
    def test_names_and_shapes(self):
        experts = nn.Experts(T, D, E, F, rng=0)
        assert {name: p.shape for name, p in experts.named_parameters()} == {
            "linear1.weight": (T, E, F, D),
            "linear1.bias": (T, E, F),
            "linear2.weight": (T, E, D, F),
            "linear2.bias": (T, E, D),
        }
        assert {n: p.shape for n, p in nn.SwiGLUExperts(T, D, E, F).named_parameters()} == {
            "w1.weight": (T, E, F, D),
            "w2.weight": (T, E, D, F),
            "w3.weight": (T, E, F, D),
        }
        assert nn.Experts(T, D, E).linear1.weight.shape == (T, E, 4 * D, D)
        assert nn.SwiGLUExperts(T, D, E).w1.weight.shape == (T, E, 4 * D, D)
        assert len(nn.Experts(T, D, E, bias=False).state_dict()) == 2
        assert len(nn.SwiGLUExperts(T, D, E, bias=True).state_dict()) == 6

    def test_it_is_the_loop_over_experts(self):
        experts = nn.Experts(T, D, E, F, rng=0)
        want = one_by_one(S, experts.state_dict())
        np.testing.assert_allclose(experts(S).data, want, rtol=1e-12, atol=1e-14)
        experts = nn.SwiGLUExperts(T, D, E, F, rng=0)
        want = swiglu_one_by_one(S, experts.state_dict())
        np.testing.assert_allclose(experts(S).data, want, rtol=1e-12, atol=1e-14)

    def test_every_slice_starts_as_a_linear_layer(self):
        """The spread of each expert is that of uniform numbers in ±1/√in."""
        experts = nn.Experts(3, 16, 4, 64, rng=0)
        for layer, n in ((experts.linear1, 16), (experts.linear2, 64)):
            spread = layer.weight.data.std(axis=(2, 3)) * math.sqrt(3 * n)
            assert np.abs(spread - 1).max() < 0.06
            assert np.abs(layer.weight.data).max() <= 1 / math.sqrt(n)
            assert np.abs(layer.bias.data).max() <= 1 / math.sqrt(n)
        slices = experts.linear1.weight.data.reshape(12, -1)
        assert len(np.unique(slices[:, 0])) == 12

    @pytest.mark.parametrize("shape", [(B, D), (B, T + 1, D), (B, T, D + 1), (B, T, D, 1)])
    def test_other_shapes(self, shape):
        with refused(ShapeError, "ExpertLinear takes x of shape (B, T"):
            nn.Experts(T, D, E)(np.zeros(shape))

    def test_other_types(self):
        with refused(DTypeError, "ExpertLinear takes a tensor or an array"):
            nn.Experts(T, D, E)([[[1.0]]])
        with refused(DTypeError, "has float32 parameters and takes float32 input"):
            nn.SwiGLUExperts(T, D, E, dtype="float32")(S)
        with refused(ArgumentError, "num_experts is a positive integer: got 0"):
            nn.Experts(T, D, 0)
        with refused(ArgumentError, "activation is 'gelu'"):
            nn.Experts(T, D, E, activation="swish")


class TestMixture:
    @pytest.mark.parametrize("policy", ["joint", "separate", "tied", "single"])
    @pytest.mark.parametrize("training", [True, False])
    def test_experts_are_weighted_by_their_gates(self, policy, training):
        moe = nn.SparseMoE(T, D, E, F, policy=policy, rng=0).train(training)
        gates = moe.router(S).data
        e = one_by_one(S, moe.state_dict(), "experts.")
        np.testing.assert_allclose(moe(S).data, np.einsum("bte,bted->btd", gates, e), rtol=1e-11)

    @pytest.mark.parametrize("shared", [True, False])
    def test_the_shared_expert_is_added_as_it_is(self, shared):
        moe = nn.SparsePerTokenMoE(T, D, 4, 2, shared=shared, rng=0)
        state = moe.state_dict()
        assert state["experts.w1.weight"].shape == (T, 4, D, D)  # 4D / E, which is D
        v = np.einsum("bte,bted->btd", moe.router(S).data, swiglu_one_by_one(S, state, "experts."))
        if shared:
            assert state["shared.w2.weight"].shape == (T, 1, D, D)
            v += swiglu_one_by_one(S, state, "shared.")[:, :, 0]
        else:
            assert not any(name.startswith("shared") for name in state)
        np.testing.assert_allclose(moe(S).data, v, rtol=1e-11, atol=1e-14)

    def test_widths_of_the_experts(self):
        assert nn.SparsePerTokenMoE(T, D, 3, 2, 5).experts.w1.weight.shape == (T, 3, 5, D)
        assert nn.SparseMoE(T, D, 3).experts.linear1.weight.shape == (T, 3, 4 * D, D)
        with refused(ShapeError, "num_experts divides 4 hidden_dim: got 3 and 4 · 4"):
            nn.SparsePerTokenMoE(T, D, 3, 2)

    def test_a_mixture_of_parts_of_one_s_own(self):
        class Double(nn.Module):
            def forward(self, s):
                return (s * 2).reshape(B, T, 1, D)

        class Ones(nn.Module):
            def forward(self, s):
                return nx.functional.sum(s * 0, axis=-1, keepdims=True) + 1  # (B, T, 1)

        s = nx.tensor(S)
        np.testing.assert_array_equal(nn.MixtureOfExperts(Ones(), Double())(s).data, 2 * S)
        np.testing.assert_array_equal(
            nn.MixtureOfExperts(Ones(), Double(), Double())(s).data, 4 * S
        )

    def test_tokens_are_processed_alone(self):
        slopes = nx.jacobian(nn.SparseMoE(T, D, E, F, rng=0), S[:1]).data
        np.testing.assert_array_equal((slopes != 0).any(axis=(0, 2, 3, 5)), np.eye(T))

    def test_no_two_parts_start_alike(self):
        moe = nn.SparsePerTokenMoE(T, D, 4, 2, rng=0)
        starts = [float(p.data.flat[0]) for p in moe.parameters()]
        assert len(set(starts)) == len(starts)
        again = nn.SparsePerTokenMoE(T, D, 4, 2, rng=0).state_dict()
        for name, values in moe.state_dict().items():
            np.testing.assert_array_equal(values, again[name])

    def test_float32(self):
        for moe in (
            nn.SparseMoE(T, D, E, F, rng=0, dtype="float32"),
            nn.SparsePerTokenMoE(T, D, 2, 1, rng=0, dtype="float32"),
        ):
            assert moe(S.astype("float32")).dtype == np.float32
            assert moe.eval()(S.astype("float32")).dtype == np.float32

    def test_gradients_equal_complex_steps_of_the_loop(self):
        """By NumPy alone: the choice of the k largest is taken from where the layer stands."""
        moe = nn.SparsePerTokenMoE(T, D, E, 1, F, rng=0)
        state = moe.state_dict()
        chosen = moe.router(S).data > 0

        def loop(s):
            h = np.einsum("btd,ted->bte", s, state["router.scores.weight"])
            p = np.exp(h + state["router.scores.bias"])
            gates = 2 * chosen * p / p.sum(axis=-1, keepdims=True)
            e = swiglu_one_by_one(s, state, "experts.")
            shared = swiglu_one_by_one(s, state, "shared.").sum(axis=2)
            return np.einsum("bte,bted->btd", gates, e) + shared

        s, ct = nx.tensor(S, requires_grad=True), RNG.normal(size=S.shape)
        moe(s).backward(nx.tensor(ct))
        (want,) = complex_step(loop, [S], ct)
        np.testing.assert_allclose(s.grad.data, want, rtol=1e-12, atol=1e-14)


class TestReport:
    def test_experts_that_are_dead_are_named(self):
        moe = nn.SparseMoE(T, D, E, F, rng=0)
        state = moe.state_dict()
        state["router.sparse.bias"][:] = 50.0
        state["router.sparse.bias"][1, 0] = state["router.sparse.bias"][2, 1] = -50.0
        moe.load_state_dict(state)
        report = moe.report(S)
        assert report.dead == ((1, 0), (2, 1))
        assert report.active == (2 + 1 + 1) / 3
        assert str(report).startswith("1.33 of 2 experts active, 2 of 6 dead; serving has ")

    @pytest.mark.parametrize("policy", ["joint", "separate", "tied", "single"])
    def test_the_scale_is_that_of_serving_to_training(self, policy):
        moe = nn.SparseMoE(T, D, E, F, policy=policy, rng=0)
        training, serving = moe(S).data, moe.eval()(S).data
        want = np.sqrt((serving**2).mean() / (training**2).mean())
        np.testing.assert_allclose(moe.report(nx.tensor(S)).scale, want, rtol=1e-13)
        if policy == "single":
            assert want == 1

    def test_a_layer_is_left_as_it_was(self):
        moe = nn.SparseMoE(T, D, E, F, rng=0)
        moe.experts.eval()
        moe.report(S)
        assert moe.training
        assert moe.router.training
        assert not moe.experts.training

    def test_a_layer_whose_experts_are_all_dead_has_no_scale(self):
        moe = nn.SparseMoE(T, D, E, F, policy="single", rng=0)
        moe.router.sparse.weight.data, moe.router.sparse.bias.data = (
            np.zeros((T, E, D)),
            -np.ones((T, E)),
        )
        report = moe.report(S)
        assert (report.active, len(report.dead), np.isnan(report.scale)) == (0, T * E, True)

    def test_what_is_as_sparse_in_training_has_the_scale_one(self):
        report = nn.SparsePerTokenMoE(T, D, 4, 2, rng=0).report(S)
        assert (report.active, report.scale) == (2, 1)
