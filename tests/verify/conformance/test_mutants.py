"""The kit run on its own dictionary: what is wrong is caught and named, what is right passes."""

import json
import re
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from support import refused

from numixology.errors import ArgumentError, DTypeError
from numixology.verify.conformance import BUGS, REWRITES, STAGES, bounds, mutants, try_mutants
from numixology.verify.conformance.bugs import bugs_of
from numixology.verify.conformance.mutants import Check, MutantReport, Trial
from numixology.verify.conformance.rewrites import Rewrite


@pytest.mark.parametrize("stage", STAGES)
def test_every_bug_is_caught_and_named_in_float64(stage) -> None:
    names = [bug.name for bug in BUGS.values() if bug.stages[0] == stage]
    report = try_mutants("float64", seeds=1, bugs=names)
    assert report, str(report)
    assert {one.bug for one in report.trials} == set(names)
    assert report.misnamed == []


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_some_bugs_in_other_formats(dtype) -> None:
    """One of each family, whose name is the shortest."""
    longest_first = sorted(BUGS.values(), key=lambda bug: -len(bug.name))
    first = {bug.family: bug.name for bug in longest_first if "model" not in bug.stages}
    report = try_mutants(dtype, seeds=1, bugs=list(first.values()))
    assert report.survivors == report.misnamed == []
    assert len(report.trials) >= len(first) == 7


def test_without_names_the_rewrites_are_tried_too(monkeypatch) -> None:
    monkeypatch.setattr(mutants, "STAGES", {"silu": STAGES["silu"]})
    report = try_mutants("float32", seeds=1)
    assert report, str(report)
    assert {one.bug for one in report.trials} == {one.name for one in bugs_of("silu", "float32")}
    assert {one.rewrite for one in report.checks} == {
        one.name for one in REWRITES.values() if "silu" in one.stages
    }
    assert report.comparisons == sum(one.comparisons for one in report.checks) > 50
    assert 0 < report.closest.ratio < 1


def test_a_wrong_rewrite_is_an_alarm(monkeypatch) -> None:
    monkeypatch.setattr(mutants, "STAGES", {"gelu": STAGES["gelu"]})
    monkeypatch.setattr(mutants, "bugs_of", lambda stage, dtype: [])
    wrong = {
        name: Rewrite(name, "", ("gelu",), BUGS[name].kind, ())
        for name in ("quick-gelu", "nan-hidden")
    }
    monkeypatch.setattr(mutants, "REWRITES", wrong)
    report = try_mutants("float32", seeds=1)
    assert not report
    assert any(re.match(r"quick-gelu: output of gelu/.* is off by", text) for text in report.alarms)
    assert "nan-hidden: NaN in its input does not reach its output (gelu)" in report.alarms
    monkeypatch.setattr(bounds, "GUARD", 1e300)  # which lets anything pass
    alarms = try_mutants("float32", seeds=1).alarms
    assert any("a zero output" in text and "would have passed too" in text for text in alarms)


def test_stages_may_be_spread() -> None:
    names = ["mixer-identity", "ids-shifted", "tanh-for-erf"]
    alone, said = try_mutants(seeds=1, bugs=names), []
    with ThreadPoolExecutor(2) as pool:
        assert try_mutants(seeds=1, bugs=names, executor=pool, progress=said.append) == alone
    assert said == list(STAGES)
    with ProcessPoolExecutor(1) as pool:
        assert try_mutants(seeds=1, bugs=names, executor=pool) == alone


def test_the_report_is_printed_and_written() -> None:
    trials = [
        Trial("a", "linear", "linear", True, "a", "a", 0.0),
        Trial("b", "linear", "linear", True, "a", "a", 0.1),
        Trial("c", "mixing", "token_mix", True, "", "a", 0.9),
        Trial("d", "mixing", "token_mix", False, "", "", 1.0),
    ]
    checks = [Check("r", "linear", 10, (), 0.25), Check("s", "linear", 5, ("s: wrong",), 0.5)]
    report = MutantReport("float32", 1, trials, checks)
    text = str(report)
    assert not report
    assert "survives: d (token_mix)" in text
    assert "misnamed: b (linear) is taken for a, the nearest is a" in text
    assert "misnamed: c (token_mix) is taken for none" in text
    assert "2 legitimate rewrites: 15 tensors compared, 1 false alarms" in text
    assert "false alarm: s: wrong" in text
    assert "nearest to its bound: s (linear), at 0.5 of it" in text
    plain = json.loads(json.dumps(report.as_dict()))
    assert (plain["tried"], plain["killed"], plain["named"]) == (4, 3, 1)
    assert plain["survivors"] == [{"bug": "d", "stage": "token_mix"}]
    assert not MutantReport("float32", 1, trials[:1], checks)
    assert report.exit_code == 1
    assert MutantReport("float32", 1, trials[:1], checks[:1]).exit_code == 0
    assert "rewrites" not in str(MutantReport("float32", 1, trials[:1], []))


def test_what_is_not_known_is_refused() -> None:
    with refused(ArgumentError, "one of BUGS", "nothing"):
        try_mutants(bugs=["nothing"])
    with refused(DTypeError, "float8"):
        try_mutants("float8")
