"""A network that is wrong as its parts are says so."""

import numpy as np
import pytest

from numixology.verify.conformance import BUGS, Textbook, conform, make_case
from numixology.verify.conformance.parts import LAYERS, bugs_at_one_place, part_bugs
from numixology.verify.conformance.stages import NETWORKS


class Strange(Textbook):
    """Its LayerNorm and its linear layer are wrong as no known bug is."""

    def layer_norm(self, x, weight, bias, eps):
        return super().layer_norm(x, weight, bias, eps) * (1 + 0.1 * weight)

    def linear(self, x, weight, bias=None):
        return super().linear(x, weight, bias) * 1.01 + 0.3


class Wider(BUGS["unbiased-variance"].kind):
    """Its feed-forward network has a fault of its own beside that of its LayerNorm."""

    def branch(self, p, h):
        return super().branch(p, h) * 1.3


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
        assert str(one) == "it fails as its part layer_norm does"
        assert one.named


def test_parts_that_fail_together() -> None:
    found = diagnoses(Strange("float32"), ["feed_forward"])
    assert not found["layer_norm"].named
    assert str(found["feed_forward"]) == "it fails as its parts do together"


def test_a_network_with_a_fault_of_its_own_is_not_blamed_on_its_part() -> None:
    found = diagnoses(Wider("float32"), ["feed_forward", "mixer"])
    assert found["mixer"].by == "part"
    assert found["feed_forward"].by != "part"


def test_without_gradients_the_outputs_decide() -> None:
    class Forward:
        name, dtype = "forward", "float32"
        stages = ("layer_norm", "mixer")
        forward = staticmethod(BUGS["unbiased-variance"].make("float32").forward)

    found = conform(Forward(), stages=["mixer"], seeds=1, quick=True).first_failure.diagnosis
    assert (found.bug, found.by) == ("layer_norm", "part")


def test_what_is_put_together_is_the_network() -> None:
    backend = Textbook("float32")
    for stage in NETWORKS:
        case = make_case(stage, "plain", 0, "float32")
        *_, whole = part_bugs(backend, stage, LAYERS)
        made = whole.make("float32")
        assert (made.forward(stage, case.inputs) == backend.forward(stage, case.inputs)).all()
        found = made.vjp(stage, case.inputs, case.cotangent)
        for name, true in backend.vjp(stage, case.inputs, case.cotangent).items():
            assert abs(found[name] - true).max() < 1e-4, name
    assert part_bugs(backend, "gelu", LAYERS) == []


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


def test_a_backend_without_parts_has_none_to_blame() -> None:
    assert part_bugs(Textbook("float32"), "block", ["block"]) == []
    assert [bug.name for bug in part_bugs(Textbook(), "block", ["linear"])] == ["linear"]
