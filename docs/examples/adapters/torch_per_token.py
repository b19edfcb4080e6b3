"""The paper's block, as somebody has it in torch: numixology conform torch_per_token.py"""

import torch
from torch import nn

from numixology.verify.conformance.adapters.torch import torch_module


class PerToken(nn.Module):
    def __init__(self, tokens, features, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(tokens, outputs, features) / features**0.5)
        self.bias = nn.Parameter(torch.zeros(tokens, outputs))

    def forward(self, x):
        return torch.einsum("btd,tfd->btf", x, self.weight) + self.bias


class Block(nn.Module):
    def __init__(self, tokens, dim, hidden, eps):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim, eps), nn.LayerNorm(dim, eps)
        self.up, self.down = PerToken(tokens, dim, hidden), PerToken(tokens, hidden, dim)

    def forward(self, x):
        mixed = x.unflatten(-1, (x.shape[1], -1)).transpose(1, 2).flatten(2)
        y = self.ln1(x + mixed)
        return self.ln2(y + self.down(nn.functional.gelu(self.up(y))))


# Ten lines from here to a verdict.
FORM = {"ffn": "per_token", "norm": "post", "heads": "tokens"}
PARTS = {"mixer.norm": "ln1", "ffn.norm": "ln2", "ffn.linear1": "up", "ffn.linear2": "down"}
NAMES = {f"{a}.{key}": f"{b}.{key}" for a, b in PARTS.items() for key in ("weight", "bias")}


def block(sizes):
    return Block(sizes.tokens, sizes.hidden_dim, sizes.ff_dim, sizes.eps)


adapter = torch_module(block, NAMES, "block", **FORM)
