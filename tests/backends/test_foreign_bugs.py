"""The bugs in torch code: what they are planted in is right, and the sweep says what it finds."""

import pytest
from sweeps import stranger_bugs
from sweeps.foreign_bugs import BUGS, RIGHT, ask

from numixology.verify.conformance import STAGES, conform
from numixology.verify.conformance.adapters.torch import torch_module

EVERY, PARTS = BUGS + stranger_bugs.ROWS, RIGHT | stranger_bugs.RIGHT


@pytest.mark.parametrize("stage", PARTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_bugs_are_planted_in_is_right(stage, dtype):
    report = conform(
        torch_module(PARTS[stage], stage=stage, dtype=dtype), stages=[stage], quick=True
    )
    assert report.exit_code == 0, str(report)


def test_every_bug_has_a_name_and_a_stage_of_its_own():
    assert len({(bug.stage, bug.name) for bug in EVERY}) == len(EVERY)
    assert {bug.stage for bug in EVERY} == set(PARTS) <= set(STAGES)


def test_a_bug_is_caught_and_stands_beside_what_is_said_of_it():
    bug = next(bug for bug in BUGS if bug.name == "without-bias")
    found = ask(bug, "float32", quick=True)
    assert found.caught
    assert f"true: {bug.truth}" in str(found)
    assert f"said: {found.report.diagnosis}" in str(found)
