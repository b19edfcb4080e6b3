"""What a report says, in words and as data."""

import json
import math

import pytest

from numixology.verify.conformance import (
    EXIT_CODES,
    STAGES,
    Comparison,
    ConformanceReport,
    Diagnosis,
    StageReport,
)


def comparison(**changes):
    found = Comparison(
        case="gelu/plain/0",
        kind="plain",
        tensor="output",
        error=2.0,
        bound=8.0,
        outcome="pass",
        profile="",
        place=(0, 1),
        got=1.5,
        true=1.25,
        detectable=1e-7,
    )
    return found._replace(**changes)


def report(*stages):
    return ConformanceReport("mine", "float32", "float32", ["tails"], stages)


PASS = StageReport("gelu", "pass", [comparison()], detectable=1e-7)
KNOWN = StageReport(
    "silu", "known", [comparison(), comparison(outcome="known", profile="tails", error=9.0)]
)
FAIL = StageReport(
    "layer_norm",
    "fail",
    [comparison(), comparison(tensor="x", outcome="fail", error=80.0), comparison(error=7.9)],
    broken=["it writes into x"],
    remarks=["two calls differ"],
    detectable=2e-6,
    diagnosis=Diagnosis(
        "eps",
        "eps outside the root",
        3e-7,
        "no eps",
        "make_case('layer_norm')",
        edge="right to D = 64",
    ),
    sizes={"D": (1, 4097)},
)
BLIND = StageReport(
    "linear", "inconclusive", [comparison()], remarks=["a zero output would have passed too"]
)
NOT = StageReport("model", "not covered")
RAISED = StageReport("block", "fail", [], ["it raised ValueError: no"])


@pytest.mark.parametrize(
    ("stages", "verdict"),
    [
        ([PASS], "pass"),
        ([PASS, KNOWN, NOT], "pass"),
        ([KNOWN], "pass"),
        ([PASS, BLIND], "inconclusive"),
        ([PASS, BLIND, FAIL], "fail"),
        ([RAISED, PASS], "fail"),
        ([NOT], "unsupported"),
        ([], "unsupported"),
    ],
)
def test_the_verdict_and_its_exit_code(stages, verdict) -> None:
    found = report(*stages)
    assert found.verdict == verdict
    assert found.exit_code == EXIT_CODES[verdict]
    assert bool(found) == (verdict == "pass")
    assert str(found).startswith(f"{verdict.upper()}: ")


def test_exit_codes_are_those_of_every_command() -> None:
    assert EXIT_CODES == {
        "pass": 0,
        "fail": 1,
        "usage": 2,
        "inconclusive": 3,
        "unsupported": 4,
    }


def test_ratios() -> None:
    assert comparison().ratio == 0.25
    assert comparison(bound=0.0, error=0.0).ratio == 0.0
    assert comparison(bound=0.0, error=1e-9).ratio == math.inf


def test_the_worst_is_a_failing_one_if_there_is_one() -> None:
    assert FAIL.worst.tensor == "x"
    assert KNOWN.worst.profile == "tails"
    assert BLIND.worst == comparison()
    assert NOT.worst is None
    passing = StageReport("gelu", "fail", [comparison(), comparison(error=3.0)], ["it writes"])
    assert passing.worst.error == 3.0


def test_a_broken_promise_that_no_bug_breaks_is_said_once() -> None:
    found = Diagnosis("broken-contract", "it writes into x", 0.0, "", "", by="contract")
    text = str(report(FAIL._replace(diagnosis=found)))
    assert text.count("it writes into x") == 1


def test_a_failure_in_words() -> None:
    lines = str(report(PASS, KNOWN, FAIL, BLIND, NOT)).splitlines()
    assert lines[:9] == [
        "FAIL: 4 of 19 stages covered, 7 tensors compared",
        "mine: float32, sums in float32",
        "",
        "layer_norm fails",
        "  right to D = 64",
        "  x.grad[0, 1] of gelu/plain/0 is 1.5; it should be 1.25",
        "  it writes into x",
        "  matches: eps outside the root (eps), explains all of the difference",
        "  a case that shows it: make_case('layer_norm')",
    ]
    rows = [" ".join(line.split()) for line in lines[12:16]]
    assert rows == [
        "gelu pass 1 0.25 1e-07 output (plain)",
        "silu known (1) 1 1.1 output (plain)",
        "layer_norm fail 1 10 2e-06 x.grad (plain)",
        "linear inconclusive 1 0.25 output (plain)",
    ]
    missing = [name for name in STAGES if name not in ("gelu", "silu", "layer_norm", "linear")]
    assert " ".join("\n".join(lines).split()).endswith(f"Not covered: {', '.join(missing)}")
    assert [line for line in lines if len(line) > 80] == []
    for note in (
        "errors are in units of rounding error (1 = 2^-24)",
        "layer_norm: two calls differ",
        "linear: a zero output would have passed too",
        "silu: 1 tensor beyond the bound as the profile tails says",
        "Sizes: D 1 to 4,097; the sizes at which kernels break were left out",
    ):
        assert note in lines
    assert report(PASS, FAIL, RAISED).first_failure is FAIL


def test_what_is_said_of_all_stages_is_said_once() -> None:
    stages = [PASS._replace(stage=name, remarks=["sums are so"]) for name in STAGES]
    assert "\nall: sums are so" in str(report(*stages))
    assert "\nembedding, token_mix: sums are so" in str(report(*stages[:2]))


def test_long_names_of_tensors_are_cut() -> None:
    long = comparison(tensor="blocks.0.ffn.linear2.weight")
    stages = [StageReport(name, "pass", [long]) for name in STAGES]
    lines = str(report(*stages)).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.endswith(" blocks.0.ffn.linear2.we…") for line in lines)


def test_a_failure_without_numbers_or_diagnosis_in_words() -> None:
    text = str(report(RAISED))
    assert "\n\nblock fails\n  it raised ValueError: no\nNot covered" in text
    assert "nan" not in text
    assert report(PASS).first_failure is None
    assert " fails" not in str(report(PASS)).replace("above 1 fails", "")
    bare = StageReport("gelu", "fail", [comparison()], ["it writes into x"])
    assert "truly" not in str(report(bare))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_the_unit_is_named(dtype) -> None:
    exponent = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[dtype]
    assert f"(1 = 2^-{exponent})\n" in str(report(PASS)._replace(dtype=dtype))


def test_everything_covered_is_said_too() -> None:
    full = report(*(PASS._replace(stage=name) for name in STAGES))
    assert full.not_covered == []
    assert full.summary == "PASS: 19 of 19 stages covered, 19 tensors compared"
    assert "Not covered" not in str(full)


def strict(found):
    """As JSON and back; NaN and infinity are no JSON."""
    text = json.dumps(found.as_dict(), allow_nan=False)
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_as_data() -> None:
    odd = comparison(error=math.inf, got=math.nan, true=-math.inf, outcome="fail")
    found = strict(report(FAIL, NOT, StageReport("gelu", "fail", [odd])))
    assert list(found) == [
        "backend",
        "dtype",
        "accumulation",
        "profile",
        "verdict",
        "exit_code",
        "not_covered",
        "stages",
    ]
    assert (found["backend"], found["profile"], found["exit_code"]) == ("mine", ["tails"], 1)
    first, other, last = found["stages"]
    assert list(first) == [
        "stage",
        "outcome",
        "comparisons",
        "broken",
        "remarks",
        "detectable",
        "diagnosis",
        "sizes",
        "excuse",
    ]
    assert list(first["comparisons"][0]) == [
        "case",
        "kind",
        "tensor",
        "error",
        "bound",
        "outcome",
        "profile",
        "place",
        "got",
        "true",
        "detectable",
    ]
    assert first["comparisons"][0]["place"] == [0, 1]
    assert list(first["diagnosis"]) == [*Diagnosis._fields]
    assert (other["comparisons"], other["detectable"], other["diagnosis"]) == ([], "nan", None)
    (worst,) = last["comparisons"]
    assert [worst[name] for name in ("error", "got", "true")] == ["inf", "nan", "-inf"]


def test_a_gradient_is_not_mistaken_for_the_input() -> None:
    assert comparison().label == "output"
    assert comparison(tensor="norm.bias").label == "norm.bias.grad"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (("eps", 2e-3, "value"), "matches: about (eps), explains 99.8 % of the difference"),
        (("eps", 0.0, "size"), "matches by the size of its errors: about (eps)"),
        (("eps", 0.0, "contract"), "matches by the promise that it breaks: about (eps)"),
        (("eps", 0.0, "chance"), "matches in that no two calls agree: about (eps)"),
        (("broken-contract", 0.0, "contract"), "no known bug does so: about"),
        (("eps", 1.0, ""), "no known bug comes near"),
        (
            ("eps", 0.6, ""),
            "no known bug comes near; the nearest leaves 60% of the difference unexplained: "
            "about (eps)",
        ),
    ],
)
def test_how_sure_a_diagnosis_is(found, says) -> None:
    bug, distance, by = found
    assert str(Diagnosis(bug, "about", distance, "", "", by)) == says
