"""The paper's block in torch is judged as such, and what public code gets wrong is named."""

import runpy
from pathlib import Path

import pytest
import torch

from numixology.verify.conformance import conform
from numixology.verify.conformance.adapters.torch import torch_module

FILE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "adapters" / "torch_per_token.py"
EXAMPLE = runpy.run_path(str(FILE))
gelu = torch.nn.functional.gelu


def mixed(x):
    return x.unflatten(-1, (x.shape[1], -1)).transpose(1, 2).flatten(2)


def of_tokens(order, block, x):
    """A block whose tokens have the layers of others."""

    def layer(part, x):
        order_of = order(torch.arange(x.shape[1]))
        return torch.einsum("btd,tfd->btf", x, part.weight[order_of]) + part.bias[order_of]

    y = block.ln1(x + mixed(x))
    return block.ln2(y + layer(block.down, gelu(layer(block.up, y))))


def without_mixing_residual(block, x):
    return block.ln2(x + block.down(gelu(block.up(block.ln1(mixed(x))))))


def without_network_residual(block, x):
    return block.ln2(block.down(gelu(block.up(block.ln1(x + mixed(x))))))


def judged(forward):
    class Block(EXAMPLE["Block"]):
        pass

    Block.forward = forward

    def make(sizes):
        return Block(sizes.tokens, sizes.hidden_dim, sizes.ff_dim, sizes.eps)

    adapter = torch_module(make, EXAMPLE["NAMES"], "block", **EXAMPLE["FORM"])
    return conform(adapter, stages=["block"], quick=True, seeds=1)


def test_a_right_block_passes() -> None:
    report = conform(EXAMPLE["adapter"], stages=["block"], quick=True, seeds=1)
    assert report.verdict == "pass", str(report)


@pytest.mark.parametrize(
    ("forward", "bug"),
    [
        (lambda b, x: of_tokens(lambda i: 0 * i, b, x), "first-of-token-layers-for-all"),
        (lambda b, x: of_tokens(lambda i: i.roll(1), b, x), "token-layers-read-one-early"),
        (without_mixing_residual, "norms-of-guide-and-pre-exchanged"),
        (without_network_residual, "network-residual-missing"),
    ],
)
def test_what_is_wrong_is_named(forward, bug) -> None:
    diagnosis = judged(forward).first_failure.diagnosis
    assert (diagnosis.bug, diagnosis.by) == (bug, "value")
