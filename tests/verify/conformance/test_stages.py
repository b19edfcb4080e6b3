"""Each stage is what the module or the function of that name computes, bit for bit."""

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError
from numixology.verify.conformance import STAGES, make_case, truth_of
from numixology.verify.conformance.networks import Networks
from numixology.verify.conformance.stages import NETWORKS, OPTIONS, depth_of, part, stage_of

FUNCTIONS = {
    "embedding": F.embedding,
    "token_mix": F.token_mix,
    "layer_norm": F.layer_norm,
    "linear": F.linear,
    "per_token_linear": F.per_token_linear,
    "token_revert": F.token_revert,
    "rms_norm": F.rms_norm,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softmax": F.softmax,
}
OTHERS = {"relu": F.relu}


class Functions(Networks):
    """The networks put together from functions, where the reference has them from modules."""

    token_mix, token_revert = staticmethod(F.token_mix), staticmethod(F.token_revert)

    def __getattr__(self, stage):
        return (FUNCTIONS | OTHERS)[stage]


def test_every_stage_is_one_or_the_other() -> None:
    assert sorted([*NETWORKS, *FUNCTIONS]) == sorted(STAGES)
    for name, stage in STAGES.items():
        assert stage.name == name
        assert stage.formula
        assert stage.output.startswith("(B, T, ")


FORMS = [(stage, {}) for stage in STAGES] + [
    (stage, {name: word})
    for stage, known in STAGES.items()
    for name in known.options
    for word in OPTIONS[name][1:]
]
FORMS += [("block", {"ffn": "swiglu", "norm": norm}) for norm in OPTIONS["norm"][1:]]


@pytest.mark.parametrize(("stage", "options"), FORMS)
def test_a_stage_is_made_of_functions_bit_for_bit(stage, options) -> None:
    for seed in range(3):
        case = make_case(stage, "plain", seed, options=options)
        assert options.items() <= case.inputs.items()
        tracked = {
            name: nx.tensor(case.inputs[name], requires_grad=True) for name in case.differentiable
        }
        output = Functions().run(stage, {**case.inputs, **tracked})
        gradients = nx.grad(output, list(tracked.values()), case.cotangent)
        truth = truth_of(case)
        assert (output.numpy() == truth.output).all()
        assert truth.gradients.keys() == tracked.keys()
        for name, gradient in zip(tracked, gradients, strict=True):
            assert (gradient.numpy() == truth.gradients[name]).all(), name


def test_the_two_gelus_differ_and_softmax_adds_up() -> None:
    p = make_case("gelu").inputs
    assert not (STAGES["gelu"].reference(p) == STAGES["gelu_tanh"].reference(p)).all()
    np.testing.assert_allclose(STAGES["softmax"].reference(p).sum(-1), 1.0, rtol=1e-15)


@pytest.mark.parametrize("stage", STAGES)
def test_shapes_are_as_listed(stage) -> None:
    """One length per letter, in every input and in the output."""
    case = make_case(stage, "plain", 1)
    lengths: dict[str, int] = {}
    named = {"output": (STAGES[stage].output, case.cotangent.shape)}
    for name, axes in STAGES[stage].inputs.items():
        for i in range(2):
            one = name.replace(".i.", f".{i}.")
            named[one] = (axes, np.shape(case.inputs[one]))
    for axes, shape in named.values():
        letters = [letter for letter in axes.strip("(,)").split(", ") if letter]
        assert len(letters) == len(shape)
        for letter, length in zip(letters, shape, strict=True):
            assert lengths.setdefault(letter, length) == length
    assert set(case.inputs) == set(named) - {"output"} - {n for n in named if ".i." in n}


def test_parts_of_the_inputs() -> None:
    p = {"ffn.norm.weight": 1, "ffn.norm.bias": 2, "ffnorm": 3, "eps": 4, "num_heads": 5}
    assert part(p, "ffn", x=6) == {
        "norm.weight": 1,
        "norm.bias": 2,
        "eps": 4,
        "num_heads": 5,
        "x": 6,
    }
    assert part({"a.b": 1}, "a") == {"b": 1}
    assert depth_of(make_case("model").inputs) == 2
    assert depth_of({"blocks.11.x": 0, "blocks.2.x": 0}) == 12


def test_stages_by_name() -> None:
    assert all(stage_of(name) is stage for name, stage in STAGES.items())
    with refused(ArgumentError, "'attention'", "token_mix, token_revert"):
        stage_of("attention")
