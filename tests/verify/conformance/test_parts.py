"""A network with a wrong part says so, and a bug in one of its several layers says in which."""

import numpy as np
import pytest

from numixology.verify.conformance import BUGS, Textbook, conform, make_case
from numixology.verify.conformance.parts import bugs_at_one_place


def diagnoses(backend, stages):
    return {
        one.stage: one.diagnosis
        for one in conform(
            backend, stages=["layer_norm", "linear", *stages], seeds=1, quick=True
        ).stages
        if one.outcome == "fail"
    }


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_network_fails_as_its_part(dtype) -> None:
    found = diagnoses(BUGS["unbiased-variance"].make(dtype), ["mixer", "block"])
    assert found["layer_norm"].bug == "unbiased-variance"
    for one in (found["mixer"], found["block"]):
        assert (one.bug, one.by) == ("layer_norm", "part")
        assert str(one) == "its part layer_norm fails too: begin there"
        assert one.named


def test_a_part_that_a_profile_would_excuse_is_not_to_blame() -> None:
    class Coarse(Textbook):
        def forward(self, stage, inputs):
            y = super().forward(stage, inputs)
            tail = stage == "gelu" and inputs["x"] < -3
            return np.where(tail, y - inputs["x"] * np.float32(2**-25), y)

        def residual(self, x, y):
            return y

    found = conform(Coarse("float32"), stages=["gelu", "feed_forward"], seeds=1, quick=True)
    gelu, network = found.stages
    assert (gelu.outcome, gelu.excuse) == ("fail", "tails")
    assert network.diagnosis.by == "value"


class SecondNorm(Textbook):
    """Its second LayerNorm divides by D - 1, and it offers no parts."""

    stages = ("block",)

    def first_norm(self, p):
        return BUGS["unbiased-variance"].make(self.dtype).first_norm(p)


def test_a_bug_in_one_layer_of_a_block_is_named_with_its_place() -> None:
    found = conform(SecondNorm("float32"), seeds=1, quick=True).first_failure.diagnosis
    assert (found.bug, found.by) == ("unbiased-variance-in-layer_norm-2", "value")
    assert found.description == "the variance divides by D - 1, in the 2nd layer_norm alone"


def test_a_bug_has_one_place_for_every_layer_of_its_kind() -> None:
    bugs = [BUGS["unbiased-variance"], BUGS["bias-twice"], BUGS["weight-overwritten"]]
    names = [bug.name for bug in bugs_at_one_place(make_case("feed_forward"), bugs)]
    assert names == ["bias-twice-in-linear-1", "bias-twice-in-linear-2"]
    assert bugs_at_one_place(make_case("model"), bugs) == []
    assert bugs_at_one_place(make_case("linear"), bugs) == []
    case = make_case("feed_forward")
    backends = [Textbook(), *(bug.make() for bug in bugs_at_one_place(case, bugs))]
    true, first, second = (
        one.vjp(case.stage, case.inputs, case.cotangent)["linear2.bias"] for one in backends
    )
    np.testing.assert_allclose(first, true)
    np.testing.assert_allclose(second, 2 * true)
