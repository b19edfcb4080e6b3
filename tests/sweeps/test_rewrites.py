"""Legitimate rewrites pass, and what they cannot keep to is known of them."""

import numpy as np
import pytest
from sweeps.rewrites import REWRITES

from numixology.verify.conformance import STAGES, Textbook, conform, make_case
from numixology.verify.conformance.bounds import prepared
from numixology.verify.conformance.kit import examined
from numixology.verify.conformance.stages import NETWORKS

# A model has a block in it, and that a feed-forward network.
TRIED = [(stage, "float32") for stage in STAGES if stage not in ("feed_forward", "block")] + [
    (stage, dtype)
    for stage in STAGES
    if stage not in NETWORKS  # those take long; the sweep has them
    for dtype in ("float64", "bfloat16", "float16")
]


@pytest.mark.parametrize(("stage", "dtype"), TRIED)
def test_rewrites_pass(stage, dtype) -> None:
    cases = prepared(dtype, Textbook(dtype).accumulation, [stage], 1)
    tried = [one for one in REWRITES.values() if stage in one.stages]
    assert tried
    for one in tried:
        report = examined(one.make(dtype), cases)
        assert report.outcome in (("pass", "known") if one.profile else ("pass",)), (
            one.name,
            report.worst,
            report.broken,
        )
        assert report.diagnosis is None
        ratio = max(c.ratio for c in report.comparisons if c.outcome == "pass")
        assert one.profile or ratio <= 0.75, one.name  # bounds from few cases are the tightest


@pytest.mark.parametrize(
    ("name", "stage", "profile"),
    [
        ("plain-two-passes", "layer_norm", "offsets"),
        ("running-variance", "layer_norm", "offsets"),
        ("gelu-by-erf", "gelu", "tails"),
        ("sigmoid-by-tanh", "silu", "tails"),
    ],
)
def test_a_profile_is_needed_where_one_is_declared(name, stage, profile) -> None:
    honest = REWRITES[name].make("float32")
    report = conform(honest, stages=[stage], seeds=1, quick=True)
    assert report.stages[0].outcome == "pass" or report.verdict == "pass"
    assert {c.profile for s in report.stages for c in s.comparisons} == {"", profile}
    silent = REWRITES[name].make("float32")
    silent.profile = ()
    assert conform(silent, stages=[stage], seeds=1, quick=True).verdict == "fail"


@pytest.mark.parametrize("one", REWRITES.values(), ids=REWRITES)
def test_a_rewrite_is_close_to_the_textbook_and_says_what_it_does(one) -> None:
    assert one.description
    case = make_case(one.stages[0], "plain", 0)
    got = one.make().forward(case.stage, case.inputs)
    np.testing.assert_allclose(got, Textbook().forward(case.stage, case.inputs), rtol=1e-11)
