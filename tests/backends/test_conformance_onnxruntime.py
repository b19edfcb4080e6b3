"""ONNX Runtime through the conformance kit: it passes as declared, and says what it lacks."""

import doctest
import importlib
import pickle

import numpy as np
import pytest
from support import refused

from numixology.errors import DTypeError, UnsupportedError
from numixology.verify.conformance import STAGES, conform, make_case
from numixology.verify.conformance.adapters import load
from numixology.verify.conformance.adapters.onnxruntime import PROFILE, OnnxRuntime

adapters = importlib.import_module("numixology.verify.conformance.adapters.onnxruntime")


#: The quick set, one case of every kind.
#: Networks which take long, and whose layers are there.
BY_TOKEN = ("per_token_feed_forward", "per_token_swiglu")
QUICK = {"seeds": 1, "quick": True}


def declaring(adapter, profile):
    adapter.profile = profile
    return adapter


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_it_passes_as_declared(dtype) -> None:
    adapter = load(f"onnxruntime:dtype={dtype}")
    adapter.stages = [one for one in adapter.stages if one not in BY_TOKEN]
    # the cases at the sizes where kernels break in one format
    report = conform(adapter, seeds=1, quick=dtype != "float32")
    assert report.verdict == "pass", str(report)
    covered = [one for one in report.stages if one.outcome != "not covered"]
    assert [one.stage for one in covered] == adapter.stages
    for one in covered:
        assert {c.tensor for c in one.comparisons} == {"output"}
        assert one.remarks[0] == "its gradients are not covered: the adapter has no vjp"
        assert "arrays as they lie in memory do not reach this backend" in one.remarks
        assert not any("cases are not covered" in text for text in one.remarks)
        assert not one.broken


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_stage_has_kernels(dtype) -> None:
    assert OnnxRuntime(dtype).stages == list(STAGES)


def test_in_float64_some_stages_may_have_none() -> None:
    # without a kernel for Gelu in float64, neither it nor what is made of it can run
    stages = set(OnnxRuntime("float64").stages)
    assert {"embedding", "token_mix", "layer_norm", "linear", "softmax", "silu"} <= stages
    assert ("block" in stages) == ("gelu" in stages)


@pytest.mark.parametrize(
    ("dtype", "profile", "stage"),
    [
        ("float32", "tails", "silu"),
        ("float32", "offsets", "layer_norm"),
        ("float64", "tails", "silu"),
        ("float64", "constants", "layer_norm"),
        ("float64", "constants", "gelu_tanh"),
    ],
)
def test_every_profile_that_is_declared_is_needed(dtype, profile, stage) -> None:
    rest = tuple(one for one in PROFILE[dtype] if one != profile)
    report = conform(declaring(OnnxRuntime(dtype), rest), stages=[stage], quick=True)
    assert report.verdict == "fail"


def test_an_adapter_survives_a_process_boundary() -> None:
    adapter = OnnxRuntime()
    case = make_case("block", seed=1, dtype="float32")
    before = adapter.forward("block", case.inputs)
    again = pickle.loads(pickle.dumps(adapter))
    np.testing.assert_array_equal(again.forward("block", case.inputs), before)
    assert not again.stages or again.stages == adapter.stages


def test_a_bug_in_a_graph_is_found(monkeypatch) -> None:
    def forgetful(self, x, weight, bias, eps):
        return self.node("LayerNormalization", x, weight, axis=-1, epsilon=eps)

    monkeypatch.setattr(adapters._Graph, "layer_norm", forgetful)
    report = conform(
        OnnxRuntime(), stages=["token_mix", "layer_norm", "linear", "block"], quick=True
    )
    assert [one.outcome for one in report.stages] == ["pass", "fail", "pass", "fail"]
    assert report.first_failure.stage == "layer_norm"


def test_what_is_not_there_is_refused() -> None:
    with refused(UnsupportedError, "bfloat16", "float64, float32, float16"):
        load("onnxruntime:dtype=bfloat16")
    with refused(DTypeError, "'int8'"):
        load("onnxruntime:dtype=int8")


def test_the_examples() -> None:
    found = doctest.testmod(adapters, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 2
    assert not found.failed
