"""A block somebody has in torch, as a backend: numixology conform torch_block.py"""

from torch import nn

from numixology.verify.conformance.adapters.torch import torch_module


class Block(nn.Module):
    def __init__(self, dim, heads, hidden, eps):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(dim, eps), nn.LayerNorm(dim, eps)
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x):
        b, t, d = x.shape
        mixed = x.unflatten(-1, (self.heads, -1)).transpose(1, 2).reshape(b, t, d)
        y = self.ln1(x + mixed)
        return y + self.net(self.ln2(y))


# Our name of each parameter, and that of the module.
NAMES = {
    "mixer.norm.weight": "ln1.weight",
    "mixer.norm.bias": "ln1.bias",
    "ffn.norm.weight": "ln2.weight",
    "ffn.norm.bias": "ln2.bias",
    "ffn.linear1.weight": "net.0.weight",
    "ffn.linear1.bias": "net.0.bias",
    "ffn.linear2.weight": "net.2.weight",
    "ffn.linear2.bias": "net.2.bias",
}


def block(sizes):
    return Block(sizes.hidden_dim, sizes.num_heads, sizes.ff_dim, sizes.eps)


def adapter(device="cpu", dtype="float32"):
    """For the command, which may say more: torch_block.py:dtype=bfloat16"""
    return torch_module(block, NAMES, "block", device=device, dtype=dtype)
