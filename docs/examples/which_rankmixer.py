"""A RankMixer block somebody has in torch, and which form of it that is."""

import torch
from torch import nn

import numixology as nx


class Block(nn.Module):
    """A network for every token, in two einsums."""

    def __init__(self, tokens, dim, hidden):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.w1 = nn.Parameter(torch.randn(tokens, dim, hidden) / dim**0.5)
        self.w2 = nn.Parameter(torch.randn(tokens, hidden, dim) / hidden**0.5)
        self.b1 = nn.Parameter(torch.zeros(tokens, hidden))
        self.b2 = nn.Parameter(torch.zeros(tokens, dim))
        self.act = nn.GELU(approximate="tanh")

    def forward(self, x):
        b, t, d = x.shape
        mixed = x.view(b, t, t, d // t).transpose(1, 2).reshape(b, t, d)
        h = self.ln1(mixed)
        h = self.act(torch.einsum("btd,tdf->btf", h, self.w1) + self.b1)
        return self.ln2(x + torch.einsum("btf,tfd->btd", h, self.w2) + self.b2)


torch.manual_seed(0)
block = Block(tokens=4, dim=16, hidden=32).double().eval()


def outputs(x):
    """An array (B, T, D) to an array (B, T, D): all that is asked of a block."""
    with torch.no_grad():
        return block(torch.from_numpy(x)).numpy()


print(nx.verify.identify(outputs, num_tokens=4, hidden_dim=16))
