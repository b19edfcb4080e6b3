"""Other mixers and TokenMixer-Large against the same in torch, state dicts moved by name."""

import numpy as np
import pytest
import torch
from backends.test_torch_modules import agree

import numixology as nx

SEEDS = range(3)
SIZES = pytest.mark.parametrize(("T", "D", "H"), [(4, 8, 4), (3, 8, 2), (2, 6, 3), (5, 4, 1)])


class TorchChunks(torch.nn.Module):
    """For each head the tokens' chunks, one product after another."""

    def __init__(self, num_tokens, num_heads):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(num_heads, num_tokens, num_tokens))

    def forward(self, x):
        heads = x.chunk(len(self.weight), dim=-1)
        mixed = [torch.einsum("ts,bsd->btd", w, h) for w, h in zip(self.weight, heads, strict=True)]
        return torch.cat(mixed, -1)


class TorchFull(torch.nn.Module):
    def __init__(self, num_tokens, hidden_dim):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(*2 * [num_tokens * hidden_dim]))

    def forward(self, x):
        return torch.nn.functional.linear(x.flatten(1), self.weight).view_as(x)


class TorchSinkhorn(torch.nn.Module):
    """Quotients of exponentials, where ours subtracts logarithms."""

    def __init__(self, num_tokens, num_heads, temperature, steps):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(*2 * [num_tokens * num_heads]))
        self.temperature, self.steps = temperature, steps

    def forward(self, x):
        W = ((self.weight + self.weight.T) / 2 / self.temperature).exp()
        for _ in range(self.steps):
            W = W / W.sum(1, keepdim=True)
            W = W / W.sum(0, keepdim=True)
        chunks = x.reshape(len(x), len(W), -1)
        return torch.einsum("ij,bjd->bid", W, chunks).reshape(x.shape)


class TorchFixed(torch.nn.Module):
    def __init__(self, name, num_heads):
        super().__init__()
        self.name, self.num_heads = name, num_heads

    def forward(self, x):
        if self.name == "channels":
            return x.transpose(1, 2).reshape(x.shape)
        if self.name == "twice":
            for _ in range(2):
                chunks = x.unflatten(2, (self.num_heads, -1))
                x = chunks.transpose(1, 2).reshape(x.shape)
        if self.name == "neighbors":
            (_, T, D), H = x.shape, self.num_heads
            grid = x.reshape(-1, T, H, D // H).clone()
            for t in range(0, T - 1, 2):
                for h in range(0, H - 1, 2):
                    swapped = grid[:, [t + 1, t], [h, h + 1]]
                    grid[:, [t, t + 1], [h + 1, h]] = swapped
            x = grid.reshape(x.shape)
        return x


@SIZES
def test_learned_mixings(T, D, H):
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((2, T, D))
        ours = nx.nn.ChunkMixing(T, D, H, rng=seed)
        agree("ChunkMixing", ours, TorchChunks(T, H), x, seed=seed)
        agree("FullMixing", nx.nn.FullMixing(T, D, rng=seed), TorchFull(T, D), x, seed=seed)
        for temperature, steps in [(1.0, 20), (0.2, 5)]:
            ours = nx.nn.SinkhornMixing(T, D, H, temperature=temperature, steps=steps, rng=seed)
            theirs = TorchSinkhorn(T, H, temperature, steps)
            agree(f"SinkhornMixing at {temperature}", ours, theirs, x, seed=seed)


@pytest.mark.parametrize("name", ["identity", "channels", "neighbors", "twice"])
@SIZES
def test_fixed_mixings(T, D, H, name):
    x = np.random.default_rng(0).standard_normal((2, T, D))
    agree(f"FixedMixing: {name}", nx.nn.MIXINGS[name](T, D, H), TorchFixed(name, H), x)
