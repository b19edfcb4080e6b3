"""Mixers as people publish them in torch, all of them right, pass the kit.

The paper's mixer has as many heads as tokens. Most implementations take no head count, or refuse
any other; those that refuse in words need no declaration.
"""

import pytest
import torch
from torch import nn

from numixology.verify.conformance import conform
from numixology.verify.conformance.adapters.torch import torch_module


class Rearranged(nn.Module):
    """rearrange(x, "b t (h d) -> b h (t d)"), with as many heads as tokens."""

    def __init__(self, sizes):
        super().__init__()
        self.heads = sizes.tokens

    def forward(self, x):
        return x.unflatten(-1, (self.heads, -1)).permute(0, 2, 1, 3).flatten(2)


class Viewed(nn.Module):
    """view and transpose; T and D are read off x."""

    def __init__(self, sizes):
        super().__init__()

    def forward(self, x):
        B, T, D = x.shape
        return x.view(B, T, T, D // T).transpose(1, 2).contiguous().view(B, T, D)


class Chunked(nn.Module):
    """New token h is what the h-th chunks of all tokens are, one after the other."""

    def __init__(self, sizes):
        super().__init__()
        self.num_tokens = sizes.tokens

    def forward(self, x):
        heads = torch.chunk(x, self.num_tokens, dim=-1)
        return torch.stack([torch.cat(head.unbind(1), dim=-1) for head in heads], dim=1)


class RefusingInInit(nn.Module):
    """It takes a head count, and raises a ValueError where it is not that of the tokens."""

    def __init__(self, sizes):
        super().__init__()
        self.T, self.D, self.H = sizes.tokens, sizes.hidden_dim, sizes.num_heads
        if self.H != self.T:
            raise ValueError(
                f"num_heads ({self.H}) must equal num_tokens ({self.T}) for the residual to fit"
            )
        if self.D % self.H:
            raise ValueError(f"hidden_dim ({self.D}) must be divisible by num_heads ({self.H})")

    def forward(self, x):
        B = x.size(0)
        x = x.reshape(B, self.T, self.H, self.D // self.H)
        return x.transpose(1, 2).reshape(B, self.H, self.T * (self.D // self.H))


class AssertingInForward(nn.Module):
    """An einsum with the identity over heads, behind an assertion."""

    def __init__(self, sizes):
        super().__init__()
        self.n_heads = sizes.num_heads

    def forward(self, x):
        b, t, d = x.shape
        assert t == self.n_heads, "RankMixer needs as many heads as tokens"
        split = x.reshape(b, t, self.n_heads, d // self.n_heads)
        return torch.einsum("bthd->bhtd", split).reshape(b, t, d)


class WithResidualAndNorm(nn.Module):
    """The paper's layer: LayerNorm(x + mix(x))."""

    def __init__(self, sizes):
        super().__init__()
        self.norm = nn.LayerNorm(sizes.hidden_dim, eps=sizes.eps)

    def forward(self, x):
        b, t, d = x.shape
        mixed = x.reshape(b, t, t, d // t).permute(0, 2, 1, 3).reshape(b, t, d)
        return self.norm(x + mixed)


MIXERS = {
    Rearranged: "token_mix",
    Viewed: "token_mix",
    Chunked: "token_mix",
    RefusingInInit: "token_mix",
    AssertingInForward: "token_mix",
    WithResidualAndNorm: "mixer",
}


def described(mixer):
    return mixer.__name__


@pytest.mark.parametrize("mixer", MIXERS, ids=described)
def test_it_passes_with_as_many_heads_as_tokens(mixer):
    adapter = torch_module(mixer, stage=MIXERS[mixer], heads="tokens")
    report = conform(adapter, stages=adapter.stages, quick=True)
    assert report.exit_code == 0, str(report)


@pytest.mark.parametrize("mixer", MIXERS, ids=described)
def test_it_passes_with_nothing_declared_and_the_report_says_what_was_not_covered(mixer):
    adapter = torch_module(mixer, stage=MIXERS[mixer])
    report = conform(adapter, stages=adapter.stages)
    assert report.exit_code == 0, str(report)
    assert "T other than H is not covered" in str(report)
