"""The block in torch on docs/which.rst is told, and prints what the page says."""

import re
import runpy
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from numixology.verify import identify

DOCS = Path(__file__).resolve().parents[2] / "docs"
T, D = 4, 16


def test_the_example_prints_what_the_page_says(capsys) -> None:
    runpy.run_path(str(DOCS / "examples" / "which_rankmixer.py"))
    page = (DOCS / "which.rst").read_text("utf-8")
    (block,) = re.findall(r"   :name: which-output\n\n((?:   .*\n)+)", page)
    assert capsys.readouterr().out == textwrap.dedent(block)


class Post(nn.Module):
    """The paper's block, with weights in the layout of a batched product."""

    def __init__(self, per_token: bool, eps: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(D, eps), nn.LayerNorm(D, eps)])
        count = T if per_token else 1
        self.up = nn.Parameter(torch.randn(count, D, 2 * D) / 4)
        self.down = nn.Parameter(torch.randn(count, 2 * D, D) / 6)
        for norm in self.norms:
            nn.init.normal_(norm.weight, 1.0, 0.3)
            nn.init.normal_(norm.bias, 0.0, 0.3)

    def forward(self, x):
        mixed = x.unflatten(-1, (T, -1)).transpose(1, 2).flatten(2)
        s = self.norms[0](x + mixed).transpose(0, 1)  # (T, B, D)
        h = nn.functional.gelu(torch.bmm(s, self.up.expand(T, -1, -1)))
        h = torch.bmm(h, self.down.expand(T, -1, -1))
        return self.norms[1]((s + h).transpose(0, 1))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("per_token", [False, True])
def test_a_trained_block_in_torch_is_told(per_token, dtype) -> None:
    torch.manual_seed(0)
    block = Post(per_token, 1e-6).to(getattr(torch, dtype)).eval()

    def outputs(x: np.ndarray) -> np.ndarray:
        return block(torch.from_numpy(x)).numpy(force=True)

    found = identify(outputs, T, D, dtype=dtype)
    network = "per token" if per_token else "shared"
    assert (found.norm, found.network, found.mixings) == ("post", network, (("rankmixer", 4),))
