"""The kit run on its own dictionary: what is wrong is caught and named, what is right passes."""

import re

import pytest
from sweeps import mutants
from sweeps.mutants import Check, Trial, cases_for, checked, summary, trials
from sweeps.rewrites import Rewrite

from numixology.verify.conformance import BUGS, STAGES, bounds


@pytest.mark.parametrize("stage", STAGES)
def test_every_bug_is_caught_and_named_in_float64(stage) -> None:
    names = [bug.name for bug in BUGS.values() if bug.stages[0] == stage]
    found = list(trials(cases_for(stage, "float64", 1), names))
    assert {one.bug for one in found} == {n for n in names if "float64" in BUGS[n].dtypes}
    assert mutants.survivors(found) == mutants.misnamed(found) == []


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_some_bugs_in_other_formats(dtype) -> None:
    """One of each family, whose name is the shortest."""
    longest_first = sorted(BUGS.values(), key=lambda bug: -len(bug.name))
    first = {bug.family: bug for bug in longest_first if "model" not in bug.stages}
    for bug in first.values():
        found = list(trials(cases_for(bug.stages[0], dtype, 1), [bug.name]))
        assert mutants.survivors(found) == mutants.misnamed(found) == []


def test_a_wrong_rewrite_is_an_alarm(monkeypatch) -> None:
    wrong = [
        checked(Rewrite(name, "", ("gelu",), BUGS[name].kind, ()), cases_for("gelu", "float32", 1))
        for name in ("quick-gelu", "nan-hidden")
    ]
    alarms = [text for one in wrong for text in one.alarms]
    assert any(re.match(r"quick-gelu: output of gelu/.* is off by", text) for text in alarms)
    assert "nan-hidden: NaN in its input does not reach its output (gelu)" in alarms
    monkeypatch.setattr(bounds, "GUARD", 1e300)  # which lets anything pass
    right = next(mutants.checks(cases_for("gelu", "float32", 1)))
    assert any("a zero output" in text for text in right.alarms)


def test_the_sweep_says_what_it_found() -> None:
    found = [
        Trial("a", "linear", "linear", True, "a", "a"),
        Trial("b", "linear", "linear", True, "a", "a"),
        Trial("c", "mixing", "token_mix", True, "", "a"),
        Trial("d", "mixing", "token_mix", False, "", ""),
    ]
    rewrites = [Check("r", "linear", 10, (), 0.25), Check("s", "linear", 5, ("s: wrong",), 0.5)]
    text = summary(found, rewrites)
    assert re.search(r"^all +4 +3 +1$", text, re.MULTILINE)
    assert "survives: d (token_mix)" in text
    assert "misnamed: b (linear) is taken for a, the nearest is a" in text
    assert "misnamed: c (token_mix) is taken for none" in text
    assert "2 legitimate rewrites: 15 tensors compared, 1 false alarms" in text
    assert "false alarm: s: wrong" in text
    assert "nearest to its bound: s (linear), at 0.5 of it" in text


def test_the_status_is_0_where_all_is_as_it_should_be(capsys, monkeypatch) -> None:
    line = ["--dtype", "float32", "--seeds", "1", "--stage", "silu"]
    assert mutants.main(line) == 0
    assert re.search(r"\d+ tensors compared, 0 false alarms", capsys.readouterr().out)
    monkeypatch.setattr(mutants, "checks", lambda cases: [Check("r", "silu", 1, ("wrong",), 0.5)])
    assert mutants.main(line) == 1
