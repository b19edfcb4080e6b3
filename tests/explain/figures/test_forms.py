"""The forms of the block, and how stacked weights start."""

import pytest
from support import refused

from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain.figures.forms import forms_scene


def test_the_equations_are_those_of_the_definition() -> None:
    norms, networks = forms_scene().panels
    assert [*norms.rows] == [
        ("guide", "norm(x + mix(x))", "s + f(norm(s))"),
        ("post", "norm(x + mix(x))", "norm(s + f(s))"),
        ("pre", "x + mix(norm(x))", "s + f(norm(s))"),
        ("bare_mix", "norm(mix(x))", "norm(x + f(s))"),
    ]
    standard, gated = "linear2(gelu(linear1(h)))", "w2(silu(w1(h)) * w3(h))"
    assert [row[:2] for row in networks.rows] == [
        ("standard", standard),
        ("swiglu", gated),
        ("per_token", standard),
        ("per_token_swiglu", gated),
    ]


def test_the_equations_follow_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self, x, residual=None):
        return self.norm(self.network(x)) + self.norm(x)

    monkeypatch.setattr(nn.ResidualNetwork, "forward", forward)
    assert forms_scene().panels[0].rows[0][2] == "norm(f(s)) + norm(s)"


@pytest.mark.parametrize(("T", "D"), [(2, 4), (4, 8), (3, 12)])
def test_the_parameters_are_counted_by_the_formulas(T, D) -> None:
    rows = {name: cells for name, *cells in forms_scene(T, D).panels[1].rows}
    F = 4 * D
    assert rows["standard"][1:] == [str((F, D)), f"{2 * D * F + F + 3 * D:,}"]
    assert rows["swiglu"][1:] == [str((F, D)), f"{3 * D * F + 2 * D:,}"]
    own = T * (2 * D * F + F + D) + 2 * D
    assert rows["per_token"][1:] == [str((T, F, D)), f"{own:,}"]
    assert rows["per_token_swiglu"][1:] == [str((T, F, D)), f"{3 * T * D * F + 2 * D:,}"]


def test_forms_that_do_not_exist_are_refused() -> None:
    with refused(ShapeError, "divisible"):
        forms_scene(3, 8)
    with refused(ArgumentError, "hidden_dim", "choose smaller sizes"):
        forms_scene(1000, 1000)
