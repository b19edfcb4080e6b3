"""Each stage is what the module of that name computes, bit for bit, under the module's names."""

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError
from numixology.verify.conformance import STAGES, make_case, truth_of
from numixology.verify.conformance.stages import NETWORKS, depth_of, part, stage_of

STREAMS = ("x", "ids")
SETTINGS = ("eps", "num_heads")


def module_of(stage, p):
    """The module that a stage is, of the sizes of its inputs."""
    if stage == "embedding":
        return nn.Embedding(*p["weight"].shape)
    if stage == "linear":
        return nn.Linear(*p["weight"].shape[::-1])
    if stage == "model":
        heads, tokens = p["num_heads"], p["ids"].shape[1]
        vocab, dim = p["token_embedding.weight"].shape
        width = len(p["blocks.0.ffn.linear1.bias"])
        return nn.RankMixerModel(vocab, tokens, dim, heads, 2, ff_dim=width, eps=p["eps"])
    _, tokens, dim = p["x"].shape
    if stage == "layer_norm":
        return nn.LayerNorm(dim, p["eps"])
    if stage == "feed_forward":
        return nn.FeedForward(dim, len(p["linear1.bias"]), eps=p["eps"])
    if stage == "swiglu_feed_forward":
        return nn.SwiGLUFeedForward(dim, len(p["w1.weight"]), eps=p["eps"])
    width = len(p["ffn.linear1.bias"])
    return nn.RankMixerBlock(tokens, dim, p["num_heads"], ff_dim=width, eps=p["eps"])


MODULES = ("embedding", "layer_norm", "linear", *NETWORKS)
FUNCTIONS = {
    "token_mix": lambda p: F.token_mix(p["x"], p["num_heads"]),
    "gelu": lambda p: F.gelu(p["x"]),
    "gelu_tanh": lambda p: F.gelu(p["x"], approximate="tanh"),
    "silu": lambda p: F.silu(p["x"]),
    "softmax": lambda p: F.softmax(p["x"], axis=-1),
}


def test_every_stage_is_one_or_the_other() -> None:
    assert sorted([*MODULES, *FUNCTIONS]) == sorted(STAGES)
    for name, stage in STAGES.items():
        assert stage.name == name
        assert stage.formula
        assert stage.output.startswith("(B, T, ")
    assert set(NETWORKS) < set(STAGES)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stage", MODULES)
def test_a_stage_is_its_module(stage, seed) -> None:
    case = make_case(stage, "plain", seed)
    p = dict(case.inputs)
    module = module_of(stage, p).eval()
    parameters = {k: v for k, v in p.items() if k not in (*STREAMS, *SETTINGS)}
    assert parameters.keys() == module.state_dict().keys()
    tracked = {k: nx.tensor(v, requires_grad=True) for k, v in parameters.items()}
    stream = p.get("x", p.get("ids"))
    if "x" in p:
        stream = tracked["x"] = nx.tensor(stream, requires_grad=True)
    named = {k: v for k, v in tracked.items() if k != "x"}
    output = nn.functional_call(module, named, stream)
    truth = truth_of(case)
    assert (output.numpy() == truth.output).all()
    gradients = nx.grad(output, list(tracked.values()), case.cotangent)
    assert truth.gradients.keys() == tracked.keys()
    for name, gradient in zip(tracked, gradients, strict=True):
        assert (gradient.numpy() == truth.gradients[name]).all(), name


@pytest.mark.parametrize("stage", FUNCTIONS)
def test_a_stage_is_its_function(stage) -> None:
    case = make_case(stage, "saturated", 1)
    assert (truth_of(case).output == FUNCTIONS[stage](case.inputs)).all()
    x = nx.tensor(case.inputs["x"], requires_grad=True)
    (slope,) = nx.grad(FUNCTIONS[stage]({**case.inputs, "x": x}), [x], case.cotangent)
    assert (truth_of(case).gradients["x"] == slope.numpy()).all()


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
    with refused(ArgumentError, "'attention'", "token_mix, layer_norm"):
        stage_of("attention")
