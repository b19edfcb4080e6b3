"""The dictionary of bugs: each is what it says; ``sweeps/test_mutants.py`` asks for their names."""

import re

import numpy as np
import pytest
from sweeps.mutants import cases_for

from numixology.verify.conformance import BUGS, FORMATS, STAGES, Textbook, conform, make_case
from numixology.verify.conformance.bugs import FAMILIES, bugs_of
from numixology.verify.conformance.cases import in_float64
from numixology.verify.conformance.diagnosis import Lineup

#: What these do to a number is rounding, which has no derivative.
ROUNDING = {name for name in BUGS if re.search("float|tf32|in-8-bits", name)}


def test_there_are_many_of_every_family() -> None:
    families = [bug.family for bug in BUGS.values()]
    counts = {family: families.count(family) for family in families}
    assert len(BUGS) >= 400
    assert {*counts} == {
        "activations", "contracts", "linear", "memory", "moving", "networks", "normalization",
        "storage",
    }  # fmt: skip
    assert min(counts.values()) >= 8


def test_a_bug_says_what_it_is() -> None:
    for name, bug in BUGS.items():
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", bug.name)
        assert bug.description, name
        assert not bug.description.endswith("."), name
        assert bug.stages, name
        assert set(bug.stages) <= set(STAGES), name
        made = bug.make("float32")
        assert (made.name, made.dtype) == (name, "float32")


def test_a_name_is_given_once() -> None:
    assert len(BUGS) == sum(len(family.BUGS) for family in FAMILIES)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("tanh-for-erf", "float64"),
        ("unbiased-variance", "float32"),
        ("mixer-identity", "bfloat16"),
        ("weight-gradient-transposed", "float16"),
    ],
)
def test_a_bug_alone_is_caught(name, dtype) -> None:
    bug = BUGS[name]
    report = conform(bug.make(dtype), stages=list(bug.stages), seeds=1, quick=True)
    assert report.verdict == "fail"
    assert report.first_failure.stage == bug.stages[0]
    assert report.first_failure.diagnosis.bug == name


@pytest.mark.parametrize("name", ["network-residual-missing", "norms-of-guide-and-paper-exchanged"])
def test_a_bug_of_the_papers_block_is_named(name) -> None:
    backend = BUGS[name].make("float32")
    backend.options = {"ffn": "per_token", "norm": "post"}
    report = conform(backend, stages=["block"], seeds=1, quick=True)
    assert report.first_failure.diagnosis.bug == name


@pytest.mark.parametrize("stage", ["swiglu_feed_forward", "model"])
def test_a_bug_of_a_layer_can_be_looked_for_in_a_network(stage) -> None:
    """Also where a linear layer has no bias, and what surrounds an embedding is not one."""
    case = make_case(stage, "plain", 0)
    for bug in BUGS.values():
        if bug.family == "linear" or "embedding" in bug.stages:
            found = bug.make().vjp(stage, case.inputs, case.cotangent)
            assert all(found[name].shape == case.inputs[name].shape for name in found)


@pytest.mark.parametrize("dtype", FORMATS)
def test_every_stage_has_bugs_in_every_format(dtype) -> None:
    for stage in STAGES:
        assert any(not bug.unsteady for bug in bugs_of(stage, dtype))


def shows(lineup, bug) -> bool:
    """Whether the bug shows in any number of any case."""
    known = ((one, lineup.results(bug, one).tensors) for one in lineup.cases)
    return any(n not in each or each[n].fails for one, each in known for n in one.bounds)


@pytest.mark.parametrize("stage", STAGES)
def test_every_bug_is_caught_in_float32(stage) -> None:
    lineup = Lineup(cases_for(stage, "float32", 1))
    for bug in bugs_of(stage, "float32"):
        if bug.unsteady:  # for which one backend has to be asked twice
            assert (
                conform(bug.make("float32"), stages=[stage], seeds=1, quick=True).verdict == "fail"
            ), bug.name
        else:
            assert shows(lineup, bug) or lineup.breaches(bug), bug.name


FORWARD = [
    bug
    for bug in BUGS.values()
    if bug.family not in ("contracts", "storage") and not bug.unsteady and bug.name not in ROUNDING
]


@pytest.mark.parametrize("stage", STAGES)
def test_a_wrong_value_has_the_gradient_of_what_is_computed(stage) -> None:
    bugs = (bug for bug in FORWARD if bug.stages[0] == stage)
    assert [bug.name for bug in bugs if not has_its_gradient(bug, stage)] == []


def has_its_gradient(bug, stage) -> bool:
    case = make_case(stage, "plain", 0)
    inputs = in_float64(case.inputs)
    backend = bug.make()
    value = backend.forward(stage, inputs)
    if np.array_equal(value, Textbook().forward(stage, inputs)):
        return True  # the bug is in the backward
    gradients = backend.vjp(stage, inputs, case.cotangent)
    rng = np.random.default_rng(0)
    along = {name: rng.standard_normal(g.shape) for name, g in gradients.items()}
    step = 1e-6

    def moved(by: float) -> float:
        shifted = {name: inputs[name] + by * way for name, way in along.items()}
        return float((backend.forward(stage, {**inputs, **shifted}) * case.cotangent).sum())

    slope = (moved(step) - moved(-step)) / (2 * step)
    predicted = sum(float((gradients[name] * way).sum()) for name, way in along.items())
    size = sum(float(np.abs(gradients[name] * way).sum()) for name, way in along.items())
    return abs(slope - predicted) <= 1e-6 * max(size, abs(slope))
