"""What may be done to any tensor is found where no known bug matches, alone or beside another."""

import numpy as np
import pytest

from numixology import functional as F
from numixology.verify.conformance import BUGS, STAGES, Textbook, conform, make_case
from numixology.verify.conformance.bugs import general_bugs


def wrong(step, change):
    """A backend in which something is done to what comes out of a step."""
    right = getattr(Textbook, step)

    def method(self, *args, **named):
        return change(right(self, *args, **named))

    return type("Wrong", (Textbook,), {step: method})("float32")


def diagnosed(backend, stage):
    return conform(backend, stages=[stage], seeds=1, quick=True).first_failure.diagnosis


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_some_of_its_own_names(stage) -> None:
    case = make_case(stage, "plain", 0)
    for failing in (["output"], [name for name in STAGES[stage].inputs if name in ("x", "weight")]):
        bugs = general_bugs(stage, failing)
        assert len({bug.name for bug in bugs}) == len(bugs)
        for bug in bugs[::7]:
            found = bug.make().vjp(stage, case.inputs, case.cotangent)
            assert found.keys() == Textbook().vjp(stage, case.inputs, case.cotangent).keys()


@pytest.mark.parametrize(
    ("stage", "step", "change", "name"),
    [
        ("token_mix", "token_mix", lambda y: y[:, ::-1], "mixed-tokens-reversed"),
        ("softmax", "softmax", lambda y: y[..., ::-1], "output-backwards-along-its-last-axis"),
        ("embedding", "embedding", F.abs, "output-without-its-sign"),
        (
            "swiglu_feed_forward",
            "gated",
            lambda y: F.maximum(y, 0.0),
            "gated-product-never-negative",
        ),
    ],
)
def test_what_is_done_to_a_tensor_is_named(stage, step, change, name) -> None:
    found = diagnosed(wrong(step, change), stage)
    assert (found.bug, found.by) == (name, "value")


def test_a_gradient_that_is_multiplied_once_too_often() -> None:
    class Twice(Textbook):
        def vjp(self, stage, inputs, cotangent):
            found = super().vjp(stage, inputs, cotangent)
            return {**found, "weight": found["weight"] * inputs["weight"]}

    found = diagnosed(Twice("float32"), "layer_norm")
    assert found.description == "the gradient of weight is multiplied by weight once too often"


def test_errors_that_are_larger_than_those_of_a_bug() -> None:
    class Softer(Textbook):
        def linear(self, x, weight, bias):
            return super().linear(x, weight, bias if bias is None else 0.3 * bias)

    found = diagnosed(Softer("float32"), "linear")
    assert (found.bug, found.by) == ("bias-missing", "factor")
    assert str(found) == (
        "matches in the direction of its errors, all of them: errors 0.7 times those of this: "
        "bias missing (bias-missing)"
    )


def test_two_bugs_at_once() -> None:
    names = ["norm-weight-read-backwards", "divided-by-variance"]
    both = type("Both", tuple(BUGS[name].kind for name in names), {})
    found = diagnosed(both("float32"), "layer_norm")
    assert (found.bug, found.by) == ("+".join(names), "value")
    assert found.description.endswith(", and the root of the variance is missing")


def test_a_bug_in_one_of_the_two_networks_of_token_mixer_large() -> None:
    class Swapped(Textbook):
        calls = 0

        def run(self, stage, p):
            self.calls = 0
            return super().run(stage, p)

        def gated(self, gate, up):
            self.calls += 1
            return super().gated(up, gate) if self.calls == 2 else super().gated(gate, up)

    found = diagnosed(Swapped("float32"), "mixer_large")
    assert found.bug == "gate-and-up-swapped-in-gated-2"
    assert found.description == "w3 is activated, and not w1, in the 2nd gated alone"
    assert np.isclose(found.distance, 0, atol=1e-3)
