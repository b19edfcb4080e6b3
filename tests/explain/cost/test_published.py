"""The formulas of the paper's models are what modules have and run; what is published is apart."""

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import CONFIGURATIONS, closed_form, complexity
from numixology.explain.cost.closed_forms import added, value
from numixology.explain.cost.published import FLOPS, PARAMETERS, Configuration

SMALL, LARGE = CONFIGURATIONS.values()


@pytest.mark.parametrize(
    ("T", "D", "L", "k", "B"), [(2, 6, 1, 1, 3), (4, 8, 3, 2, 2), (3, 9, 2, 5, 1)]
)
def test_a_stack_has_and_runs_what_the_formulas_say(T, D, L, k, B):
    stack = Configuration(T, D, L, 0.0, 0.0).build(expansion=k, rng=0, dtype="float64")
    counted = complexity(stack, np.zeros((B, T, D)))
    sizes = {"B": B, "T": T, "D": D, "N": L, "F": k * D}
    assert counted.parameters == value(PARAMETERS, sizes)
    assert counted.flops == value(FLOPS, sizes)
    form = closed_form(stack.blocks[0], B, T)
    assert added(form.total.parameters, times="N") == PARAMETERS
    assert added(form.total.flops, times="N") == FLOPS


def test_a_stack_is_the_papers_blocks_in_a_row():
    stack = Configuration(3, 6, 2, 0.0, 0.0).build(rng=0, dtype="float64")
    x = np.random.default_rng(0).standard_normal((2, 3, 6))
    y = nx.tensor(x)
    for block in stack.blocks:
        h = nx.functional.layer_norm(y + nx.functional.token_mix(y, 3))
        y = nx.functional.layer_norm(h + block.ffn.network(h))
    np.testing.assert_allclose(stack(x).data, y.data, rtol=1e-14, atol=1e-14)
    assert not np.array_equal(*(block.ffn.linear1.weight.data for block in stack.blocks))
    with refused(ShapeError, "divisible"):
        Configuration(4, 6, 1, 0.0, 0.0).build()
    with refused(ArgumentError, "expansion"):
        Configuration(3, 6, 1, 0.0, 0.0).build(expansion=0)


@pytest.mark.parametrize("norm", ["inside", "outside"])
@pytest.mark.parametrize(("T", "D", "H", "n"), [(4, 12, 2, 3), (2, 12, 6, 1), (3, 12, 3, 4)])
def test_the_first_terms_of_token_mixer_large(T, D, H, n, norm):
    block = nn.TokenMixerLargeBlock(T, D, H, expansion=n, norm=norm, rng=0)
    mixed, reverted = (
        sum(p.size for name, p in part.named_parameters() if "norm" not in name)
        for part in (block.mixed, block.reverted)
    )
    assert mixed * H == 3 * n * T**2 * D**2
    assert reverted == 3 * n * T * D**2
    assert (mixed + reverted) * H == 3 * n * T * D**2 * (H + T)


def test_the_configurations_are_those_of_the_paper():
    assert SMALL[:3] == (16, 768, 2)
    assert LARGE[:3] == (32, 1536, 2)
    assert (SMALL.count(), LARGE.count()) == (151_123_968, 1_208_463_360)
    assert SMALL.count(expansion=2) < SMALL.parameters < SMALL.count(expansion=3)
    assert round(SMALL.implied_expansion, 2) == 2.83
    assert round(LARGE.implied_expansion, 2) == 3.64
    assert round(SMALL.flops_per_parameter, 2) == 4.25
    assert round(LARGE.flops_per_parameter, 2) == 3.73
    for one in CONFIGURATIONS.values():
        exact = one.implied_expansion
        T, D, L = one[:3]
        assert 2 * exact * L * T * D**2 == pytest.approx(one.parameters)


def test_a_configuration_is_built_by_its_sizes():
    tiny = SMALL._replace(num_tokens=2, hidden_dim=4, num_layers=3)
    stack = tiny.build(expansion=2, rng=0)
    assert sum(p.size for p in stack.parameters()) == tiny.count(expansion=2)
    assert {str(p.dtype) for p in stack.parameters()} == {"float32"}
    assert tiny.build(rng=0, dtype="float64").blocks[0].ffn.linear1.weight.shape == (2, 16, 4)
