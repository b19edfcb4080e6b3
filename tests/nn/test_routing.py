"""Routers and the regularizer that steers them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import integers, refused

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, StateDictError, TapeError
from numixology.nn.routing import _largest

RNG = np.random.default_rng(37)
S = RNG.normal(size=(6, 3, 4))
POLICIES = ["joint", "separate", "tied", "single"]


def scores(state, name):
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return np.einsum("btd,ted->bte", S, weight) + bias


def softmax(x):
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


def seen_in(module, s):
    """What the module returns, and the gates that serve."""
    steps = {}
    with nx.observe.observing(steps.__setitem__):
        y = module(s)
    return y, steps["serving_gates"]


class TestReLU:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_the_gates_are_those_of_the_table(self, policy):
        router = nn.ReLURouter(3, 4, 5, policy, rng=0)
        state = router.state_dict()
        relu = np.maximum(scores(state, "sparse"), 0)
        training = {
            "joint": lambda: np.stack(
                [relu[b] if b % 2 else softmax(scores(state, "dense"))[b] for b in range(len(S))]
            ),
            "separate": lambda: softmax(scores(state, "dense")),
            "tied": lambda: softmax(scores(state, "sparse")),
            "single": lambda: relu,
        }[policy]()
        np.testing.assert_allclose(router(S).data, training, rtol=1e-12)
        router.eval()
        np.testing.assert_allclose(router(S).data, relu, rtol=1e-12)
        assert 0 < (relu == 0).mean() < 1

    @pytest.mark.parametrize("policy", POLICIES)
    def test_the_serving_gates_are_announced_in_training_too(self, policy):
        router = nn.ReLURouter(3, 4, 5, policy, rng=0)
        _, announced = seen_in(router, S)
        np.testing.assert_array_equal(announced.data, router.eval()(S).data)

    @pytest.mark.parametrize(
        ("policy", "task", "penalty"),
        [
            ("joint", {"sparse", "dense"}, {"sparse"}),
            ("separate", {"dense"}, {"sparse"}),
            ("tied", {"sparse"}, {"sparse"}),
            ("single", {"sparse"}, {"sparse"}),
        ],
    )
    def test_what_is_learned_from_what(self, policy, task, penalty):
        """Of the task's gradient, and of the penalty's, which reaches the sparse scores alone."""
        router = nn.ReLURouter(3, 4, 5, policy, rng=0)
        for loss_of, want in ((lambda g, _: (g * g).sum(), task), (lambda _, g: g.sum(), penalty)):
            router.zero_grad()
            loss_of(*seen_in(router, S)).backward()
            moved = {
                n.partition(".")[0] for n, p in router.named_parameters() if p.grad is not None
            }
            assert moved == want

    def test_parts(self):
        names = ["sparse.weight", "sparse.bias", "dense.weight", "dense.bias"]
        for policy in POLICIES:
            count = 4 if policy in ("joint", "separate") else 2
            assert list(nn.ReLURouter(3, 4, 5, policy).state_dict()) == names[:count]
        assert nn.ReLURouter(3, 4, 5).sparse.weight.shape == (3, 5, 4)
        assert repr(nn.ReLURouter(3, 4, 5)).startswith("ReLURouter(policy='joint'\n")

    def test_unknown_policies(self):
        with refused(ArgumentError, "policy is 'joint', 'separate', 'tied' or 'single': got 'x'"):
            nn.ReLURouter(3, 4, 5, "x")

    def test_a_gate_at_its_kink_is_reported(self):
        router = nn.ReLURouter(2, 3, 2, "single", rng=0)
        state = router.state_dict()
        state["sparse.weight"][1, 0], state["sparse.bias"][1, 0] = 0, 0
        router.load_state_dict(state)
        report = nx.gradcheck(router, RNG.normal(size=(1, 2, 3)))
        assert report.passed
        places = [(kink.name, kink.place) for kink in report.kinks]
        assert ("sparse.bias", (1, 0)) in places
        assert {place[:2] for _, place in places} == {(1, 0)}


class TestTopK:
    @given(st.integers(1, 6).flatmap(lambda E: st.tuples(st.just(E), st.integers(1, E))))
    def test_the_k_largest_are_chosen_of_equal_ones_the_first(self, sizes):
        E, k = sizes
        values = integers(4, 3, E) // 5  # with many that are equal
        for row, mask in zip(
            values.reshape(-1, E), _largest(values, k).reshape(-1, E), strict=True
        ):
            wanted = sorted(range(E), key=lambda j: (-row[j], j))[:k]
            assert np.flatnonzero(mask).tolist() == sorted(wanted)

    @pytest.mark.parametrize("training", [True, False])
    def test_the_gates_are_scaled_shares_of_all(self, training):
        router = nn.TopKRouter(3, 4, 5, 2, rng=0).train(training)
        shares = softmax(scores(router.state_dict(), "scores"))
        for got, p in zip(router(S).data.reshape(-1, 5), shares.reshape(-1, 5), strict=True):
            chosen = np.argsort(-p)[:2]
            want = np.zeros(5)
            want[chosen] = 5 / 2 * p[chosen]
            np.testing.assert_allclose(got, want, rtol=1e-12)

    def test_all_experts_of_the_scale_one_are_softmax(self):
        router = nn.TopKRouter(3, 4, 5, 5, rng=0)
        assert router.gate_scale == 1
        np.testing.assert_allclose(router(S).data.sum(axis=-1), 1, rtol=1e-14)

    def test_the_scale_can_be_given_and_is_shown(self):
        router, other = nn.TopKRouter(3, 4, 5, 2, rng=0), nn.TopKRouter(3, 4, 5, 2, 5.0, rng=0)
        np.testing.assert_allclose(other(S).data, 2 * router(S).data, rtol=1e-14)
        assert repr(other).startswith("TopKRouter(top_k=2, gate_scale=5.0\n")

    def test_a_scale_of_numpy_s_leaves_float32_as_it_is(self):
        router = nn.TopKRouter(3, 4, 5, 2, np.float64(5), dtype="float32")
        assert router(S.astype("float32")).dtype == np.float32

    @pytest.mark.parametrize("method", ["auto", "complex"])
    def test_a_tie_is_reported_as_a_jump(self, method):
        router = nn.TopKRouter(2, 3, 3, 2, rng=0)
        state = router.state_dict()
        s = RNG.normal(size=(1, 2, 3))
        order = np.argsort(-(state["scores.weight"][0] @ s[0, 0] + state["scores.bias"][0]))
        assert "jumps" not in nx.gradcheck(router, s, method=method).reason
        for name in ("scores.weight", "scores.bias"):
            state[name][0, order[2]] = state[name][0, order[1]]
        router.load_state_dict(state)
        report = nx.gradcheck(router, s, method=method)
        assert report.passed
        names = "scores.weight, scores.bias"
        assert f"(fn jumps at {names}: this is the gradient of one side)" in report.reason

    def test_numbers_of_experts(self):
        with refused(ArgumentError, "top_k is at most num_experts: got 6 of 5", "from 1 to 5"):
            nn.TopKRouter(3, 4, 5, 6)
        with refused(ArgumentError, "top_k is a positive integer: got 0"):
            nn.TopKRouter(3, 4, 5, 0)


class TestRegularizer:
    def test_the_penalty_is_the_sum_over_a_sample(self):
        routers = nn.ReLURouter(3, 4, 5, rng=0), nn.TopKRouter(3, 4, 6, 2, rng=1)
        regularizer = nn.AdaptiveRegularizer(2, weight=0.5)
        with regularizer.watching():
            gates = [seen_in(router, S)[1].data for router in routers]
        want = 0.5 * sum(g.sum(axis=(1, 2)).mean() for g in gates)
        np.testing.assert_allclose(regularizer.penalty().item(), want, rtol=1e-13)
        counts = [(g > 0).sum(axis=-1).mean() for g in gates]
        assert counts[1] == 2
        np.testing.assert_allclose(regularizer.active, np.mean(counts), rtol=1e-14)

    @pytest.mark.parametrize(("budget", "times"), [(1.5, 1.2), (2.0, 1.0), (2.5, 1 / 1.2)])
    def test_the_weight_follows_the_budget(self, budget, times):
        regularizer = nn.AdaptiveRegularizer(budget)
        with regularizer.watching():
            nn.TopKRouter(3, 4, 6, 2, rng=1)(S)
        for n in itertools.count(1):
            regularizer.update()
            np.testing.assert_allclose(regularizer.weight, 1e-8 * times**n, rtol=1e-13)
            if n == 3:
                break

    def test_it_is_saved_with_the_model(self, tmp_path):
        router, file = nn.ReLURouter(3, 4, 5, rng=0), tmp_path / "run.npz"
        nx.save(file, model=router, regularizer=nn.AdaptiveRegularizer(2, weight=0.3))
        regularizer = nn.AdaptiveRegularizer(2)
        assert nx.load(file, model=nn.ReLURouter(3, 4, 5), regularizer=regularizer) == {}
        assert regularizer.weight == 0.3
        with refused(StateDictError, "missing weight; unexpected factor"):
            regularizer.load_state_dict({"factor": 1.2})

    def test_watching_again_forgets(self):
        regularizer, router = nn.AdaptiveRegularizer(2), nn.ReLURouter(3, 4, 5, rng=0)
        found = []
        for _ in range(2):
            with regularizer.watching():
                router(S)
            found.append(regularizer.penalty().item())
        assert found[0] == found[1]

    def test_nothing_was_watched(self):
        regularizer = nn.AdaptiveRegularizer(2)
        with refused(TapeError, "a regularizer has watched a model with routers: got no gates"):
            regularizer.penalty()
        with regularizer.watching():
            nn.Linear(4, 4, rng=0)(S)
        with refused(TapeError, "got no gates"):
            regularizer.update()

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"budget": 0}, "budget is above 0: got 0"),
            ({"budget": float("nan")}, "budget is above 0: got nan"),
            ({"budget": 1, "weight": 0.0}, "weight is above 0: got 0.0"),
            ({"budget": 1, "factor": 1}, "factor is above 1: got 1"),
        ],
    )
    def test_numbers_outside(self, options, says):
        with refused(ArgumentError, says):
            nn.AdaptiveRegularizer(**options)

    def test_it_steers_to_its_budget(self):
        """A task that pulls all gates up to ½ against the penalty, by gradient descent."""
        router = nn.ReLURouter(2, 4, 8, "single", rng=0)
        s = np.random.default_rng(0).standard_normal((64, 2, 4))
        regularizer = nn.AdaptiveRegularizer(budget=3, weight=1e-2, factor=1.02)
        active = []
        for _ in range(400):
            with regularizer.watching():
                error = router(s) - 0.5
            loss = (error * error).sum() / 64 + regularizer.penalty()
            router.zero_grad()
            loss.backward()
            regularizer.update()
            active.append(regularizer.active)
            for p in router.parameters():
                p.data = p.data - 0.02 * p.grad.data
        assert max(active) > 5
        assert abs(np.mean(active[-200:]) - 3) < 0.5
