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


class TorchSwiGLU(torch.nn.Module):
    """For each token three matrices, one token after another."""

    def __init__(self, num_tokens, width, hidden):
        super().__init__()
        self.norm = torch.nn.RMSNorm(width, eps=1e-5)
        self.w1 = torch.nn.Module()
        self.w2 = torch.nn.Module()
        self.w3 = torch.nn.Module()
        for layer, out, n in ((self.w1, hidden, width), (self.w3, hidden, width)):
            layer.weight = torch.nn.Parameter(torch.empty(num_tokens, out, n))
        self.w2.weight = torch.nn.Parameter(torch.empty(num_tokens, width, hidden))

    def forward(self, x):
        weights = zip(self.w1.weight, self.w2.weight, self.w3.weight, strict=True)
        tokens = [
            (torch.nn.functional.silu(x[:, t] @ w1.T) * (x[:, t] @ w3.T)) @ w2.T
            for t, (w1, w2, w3) in enumerate(weights)
        ]
        return torch.stack(tokens, 1)


class TorchLargeBlock(torch.nn.Module):
    """Mixing and its inverse by lists of chunks."""

    def __init__(self, num_tokens, hidden_dim, num_heads, expansion, norm, residual):
        super().__init__()
        width = num_tokens * hidden_dim // num_heads
        self.mixed = TorchSwiGLU(num_heads, width, expansion * width)
        self.reverted = TorchSwiGLU(num_tokens, hidden_dim, expansion * hidden_dim)
        self.num_heads, self.placement, self.residual = num_heads, norm, residual

    def network(self, part, x, to):
        return to + part(part.norm(x)) if self.placement == "inside" else part.norm(to + part(x))

    def forward(self, x):
        B, T, D = x.shape
        H = self.num_heads
        heads = [torch.cat([t.chunk(H, -1)[h] for t in x.unbind(1)], -1) for h in range(H)]
        h = torch.stack(heads, 1)
        m = self.network(self.mixed, h, h)
        if self.residual in ("original", "standard"):
            r = m.reshape(B, T, D)
        elif self.residual == "mixed_again":
            r = m.reshape(B, T, H, D // H).transpose(1, 2).reshape(B, T, D)
        else:
            tokens = [torch.cat([s.chunk(T, -1)[t] for s in m.unbind(1)], -1) for t in range(T)]
            r = torch.stack(tokens, 1)
        to = x if self.residual in ("aligned", "original", "mixed_again") else r
        return self.network(self.reverted, r, to)


class TorchLarge(torch.nn.Module):
    def __init__(self, num_layers, interval, *block):
        super().__init__()
        self.blocks = torch.nn.ModuleList(TorchLargeBlock(*block) for _ in range(num_layers))
        self.interval = interval

    def forward(self, x):
        inputs = [x]
        for i, block in enumerate(self.blocks):
            x = block(x)
            if (i + 1) % self.interval == 0 and i + 1 < len(self.blocks):
                x = x + inputs[i + 1 - self.interval]
            inputs.append(x)
        return x


@pytest.mark.parametrize("residual", ["aligned", "original", "standard", "reverted", "mixed_again"])
@pytest.mark.parametrize("norm", ["inside", "outside"])
def test_token_mixer_large_block(norm, residual):
    for seed, (T, D, H) in enumerate([(4, 8, 2), (3, 8, 4), (2, 6, 3), (3, 6, 3), (5, 4, 1)]):
        x = np.random.default_rng(seed).standard_normal((2, T, D))
        options = {"norm": norm, "residual": residual}
        ours = nx.nn.TokenMixerLargeBlock(T, D, H, expansion=2, rng=seed, **options)
        theirs = TorchLargeBlock(T, D, H, 2, **options)
        agree(f"TokenMixerLargeBlock: {norm}", ours, theirs, x, seed=seed)


@pytest.mark.parametrize(("num_layers", "interval"), [(5, 2), (4, 2), (4, 3), (2, 2), (1, 1)])
def test_token_mixer_large(num_layers, interval):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    ours = nx.nn.TokenMixerLarge(3, 4, 2, num_layers, interval=interval, expansion=1, rng=0)
    theirs = TorchLarge(num_layers, interval, 3, 4, 2, 1, "inside", "aligned")
    agree("TokenMixerLarge", ours, theirs, x)
