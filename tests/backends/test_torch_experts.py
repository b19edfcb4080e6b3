"""Tokenizers, routers and experts against the same written with torch, parameters moved by name."""

import numpy as np
import pytest
import torch
from backends.agreement import compare, of_torch

import numixology as nx
from numixology import nn

F = torch.nn.functional
SEEDS = range(3)


def agree(group, module, theirs, x, *, seed=0, penalty=None):
    """Output and gradients of all parameters and x; ``theirs`` takes x and a dict of parameters.

    With a regularizer its penalty is added to the output.
    """
    state = {
        name: values + 0.3 * np.random.default_rng([seed, 5]).standard_normal(values.shape)
        for name, values in module.state_dict().items()
    }
    module.load_state_dict(state)
    inputs, inputs_torch = nx.tensor(x, requires_grad=True), of_torch(x, True)
    parameters = dict(module.named_parameters())
    parameters_torch = {name: of_torch(values, True) for name, values in state.items()}
    if penalty is None:
        y = module(inputs)
    else:
        with penalty.watching():
            y = module(inputs)
        y = y + penalty.penalty()
    y_torch = theirs(inputs_torch, parameters_torch)
    leaves = [*(parameters[name] for name in state), inputs]
    compare(group, (y, leaves), (y_torch, [*parameters_torch.values(), inputs_torch]), seed=seed)


def per_token(x, p, name):
    return torch.einsum("bti,toi->bto", x, p[f"{name}.weight"]) + p[f"{name}.bias"]


@pytest.mark.parametrize("pad", [0, 3])
def test_sliced_tokenizer(pad):
    def theirs(x, p):
        return per_token(F.pad(x, (0, pad)).unflatten(1, (4, -1)), p, "projection")

    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((5, 12 - pad))
        module = nn.SlicedTokenizer(12 - pad, 4, 6, pad=pad, rng=seed)
        agree("SlicedTokenizer", module, theirs, x, seed=seed)


@pytest.mark.parametrize("kind", ["learned", "projected"])
@pytest.mark.parametrize("place", ["first", "last"])
def test_group_tokenizer_with_a_global_token(kind, place):
    def theirs(x, p):
        tokens = [
            F.linear(g, *(p[f"tokenizer.projections.{t}.{n}"] for n in ("weight", "bias")))
            for t, g in enumerate(x.split([5, 2, 4], dim=1))
        ]
        if kind == "learned":
            token = p["token"].expand(len(x), -1)
        else:
            token = F.linear(x, p["projection.weight"], p["projection.bias"])
        return torch.stack([token, *tokens] if place == "first" else [*tokens, token], dim=1)

    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((5, 11))
        groups = nn.GroupTokenizer([5, 2, 4], 6, rng=seed)
        agree(
            "GlobalToken", nn.GlobalToken(groups, kind, place=place, rng=seed), theirs, x, seed=seed
        )


@pytest.mark.parametrize("keep", ["values", "front"])
def test_padded_mixing(keep):
    T, D, H = 3, 7, 4

    def theirs(x, p):
        y = F.pad(x, (0, 1)).unflatten(2, (H, 2)).transpose(1, 2).reshape(len(x), T, D + 1)
        if keep == "front":
            return y[..., :D]
        real = F.pad(torch.ones(1, T, D), (0, 1)).unflatten(2, (H, 2)).transpose(1, 2).flatten() > 0
        return y.flatten(1)[:, real].unflatten(1, (T, D))

    x = np.random.default_rng(0).standard_normal((2, T, D))
    agree("PaddedMixing", nn.PaddedMixing(T, D, H, keep=keep), theirs, x)


def relu_gates(s, p, policy, training, prefix=""):
    """The gates of the mode, and those that serve."""
    scores = per_token(s, p, f"{prefix}sparse")
    serving = scores.relu()
    if not training or policy == "single":
        return serving, serving
    if policy == "tied":
        return scores.softmax(-1), serving
    dense = per_token(s, p, f"{prefix}dense").softmax(-1)
    if policy == "separate":
        return dense, serving
    by_turns = [(serving if b % 2 else dense)[b] for b in range(len(s))]
    return torch.stack(by_turns), serving


def top_k_gates(s, p, k, scale, prefix=""):
    shares = per_token(s, p, f"{prefix}scores").softmax(-1)
    values, places = shares.topk(k, dim=-1)
    return torch.zeros_like(shares).scatter(-1, places, scale * values)


def experts(s, p, prefix=""):
    w1, b1, w2, b2 = (p[f"{prefix}linear{i}.{n}"] for i in (1, 2) for n in ("weight", "bias"))
    hidden = F.gelu(torch.einsum("btd,tefd->btef", s, w1) + b1)
    return torch.einsum("btef,tedf->bted", hidden, w2) + b2


def swiglu_experts(s, p, prefix=""):
    w1, w2, w3 = (p[f"{prefix}w{i}.weight"] for i in (1, 2, 3))
    gate, up = (torch.einsum("btd,tefd->btef", s, w) for w in (w1, w3))
    return torch.einsum("btef,tedf->bted", F.silu(gate) * up, w2)


def mixture(gates, outputs):
    return (gates.unsqueeze(-1) * outputs).sum(dim=2)


@pytest.mark.parametrize(
    ("policy", "training"),
    [("joint", True), ("separate", True), ("tied", True), ("single", True), ("single", False)],
)
def test_relu_router_with_its_penalty(policy, training):
    """The penalty reaches what the gates of training do not."""

    def theirs(s, p):
        gates, serving = relu_gates(s, p, policy, training)
        return gates + 0.1 * serving.sum() / len(s)

    for seed in SEEDS:
        s = np.random.default_rng(seed).standard_normal((5, 3, 4))
        module = nn.ReLURouter(3, 4, 6, policy, rng=seed).train(training)
        penalty = nn.AdaptiveRegularizer(2, weight=0.1)
        agree("ReLURouter", module, theirs, s, seed=seed, penalty=penalty)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_router(k):
    for seed in SEEDS:
        s = np.random.default_rng(seed).standard_normal((5, 3, 4))
        module = nn.TopKRouter(3, 4, 5, k, rng=seed)
        agree("TopKRouter", module, lambda s, p: top_k_gates(s, p, k, 5 / k), s, seed=seed)


def test_experts():
    for seed in SEEDS:
        s = np.random.default_rng(seed).standard_normal((5, 3, 4))
        agree("Experts", nn.Experts(3, 4, 2, 7, rng=seed), experts, s, seed=seed)
        agree("SwiGLUExperts", nn.SwiGLUExperts(3, 4, 2, 7, rng=seed), swiglu_experts, s, seed=seed)


@pytest.mark.parametrize(
    ("policy", "training"), [("joint", True), ("tied", True), ("single", False)]
)
def test_sparse_moe(policy, training):
    def theirs(s, p):
        gates, _ = relu_gates(s, p, policy, training, "router.")
        return mixture(gates, experts(s, p, "experts."))

    for seed in SEEDS:
        s = np.random.default_rng(seed).standard_normal((5, 3, 4))
        module = nn.SparseMoE(3, 4, 2, 7, policy=policy, rng=seed).train(training)
        agree("SparseMoE", module, theirs, s, seed=seed)


def test_sparse_per_token_moe():
    def theirs(s, p):
        gates = top_k_gates(s, p, 2, 1.5, "router.")
        v = mixture(gates, swiglu_experts(s, p, "experts."))
        return v + swiglu_experts(s, p, "shared.")[:, :, 0]

    for seed in SEEDS:
        s = np.random.default_rng(seed).standard_normal((5, 3, 4))
        module = nn.SparsePerTokenMoE(3, 4, 3, 2, 7, rng=seed)
        agree("SparsePerTokenMoE", module, theirs, s, seed=seed)
