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
from numixology.verify.conformance.verdicts import LOADING


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
    diagnosis=Diagnosis("eps", "eps outside the root", 3e-7, "no eps", "x = [1]\ny = f(x)"),
)
BLIND = StageReport("linear", "inconclusive", [comparison()], blind="a zero output")
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
    assert f"\n{verdict.upper()}: " in str(found)


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


def test_a_failure_in_words() -> None:
    lines = str(report(PASS, KNOWN, FAIL, BLIND, NOT)).splitlines()
    assert lines[0] == "mine: float32, sums in float32"
    rows = [" ".join(line.split()) for line in lines[4:9]]
    assert rows == [
        "gelu pass 1 output (plain) 2 8 0.25 1.0e-07",
        "silu known 1 1 output (plain) 9 8 1.1",
        "layer_norm fail 1 x.grad (plain) 80 8 10 2.0e-06",
        "linear inconclusive 1 output (plain) 2 8 0.25",
        "model not covered",
    ]
    text = "\n".join(lines)
    assert "of which one is 2^-24" in text
    assert "FAIL: 4 of 13 stages covered, 7 tensors compared" in text
    missing = [name for name in STAGES if name not in ("gelu", "silu", "layer_norm", "linear")]
    assert f"Not covered: {', '.join(missing)} silu:" in " ".join(text.split())
    assert max(len(line) for line in lines if not line.startswith("matches")) <= 88
    for note in (
        "  layer_norm: it writes into x",
        "  layer_norm: two calls differ",
        "  layer_norm: x.grad[0, 1] of gelu/plain/0 is 1.5, and truly 1.25",
        "  linear: a zero output would have passed too",
        "  silu: 1 tensors differ as the profile 'tails' says",
        "First failing stage: layer_norm",
        "matches: eps outside the root (eps), all but 3e-05 % of the difference",
        "x = [1]",
    ):
        assert note in lines
    assert report(PASS, FAIL, RAISED).first_failure is FAIL


def test_a_failure_without_numbers_or_diagnosis_in_words() -> None:
    text = str(report(RAISED))
    assert text.endswith("  block: it raised ValueError: no\n\nFirst failing stage: block")
    assert "nan" not in text
    assert report(PASS).first_failure is None
    assert "First failing" not in str(report(PASS))
    bare = StageReport("gelu", "fail", [comparison()], ["it writes into x"])
    assert "truly" not in str(report(bare))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_the_unit_is_named(dtype) -> None:
    exponent = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[dtype]
    assert f"one is 2^-{exponent}\n" in str(report(PASS)._replace(dtype=dtype))


def test_everything_covered_is_said_too() -> None:
    full = report(*(PASS._replace(stage=name) for name in STAGES))
    assert full.not_covered == []
    assert full.summary == "PASS: 13 of 13 stages covered, 13 tensors compared"
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
        "blind",
        "detectable",
        "diagnosis",
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


def test_the_column_of_known_differences_is_there_if_there_are_any() -> None:
    assert " known " in str(report(PASS, KNOWN)).splitlines()[2]
    heading, _, row = str(report(PASS, FAIL)).splitlines()[2:5]
    assert heading.split()[:4] == ["stage", "outcome", "cases", "worst"]
    assert row.split() == ["gelu", "pass", "1", "output", "(plain)", "2", "8", "0.25", "1.0e-07"]


def test_a_gradient_is_not_mistaken_for_the_input() -> None:
    assert comparison().label == "output"
    assert comparison(tensor="norm.bias").label == "norm.bias.grad"
    assert "x.grad is the gradient by x" in str(report(PASS))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (("eps", 2e-3, "value"), "matches: about (eps), all but 0.2 % of the difference"),
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


def test_lines_to_paste_load_the_backend_from_where_it_is() -> None:
    lines = f"import it\n# {LOADING}\ncase = 1"
    found = report(PASS, FAIL._replace(diagnosis=FAIL.diagnosis._replace(code=lines)))
    loading = found.loading('C:\\my "own".py')
    code = loading.first_failure.diagnosis.code
    assert code == 'import it\nmy_backend = adapters.load("C:\\\\my \\"own\\".py")\ncase = 1'
    compile(code, "pasted", "exec")
    assert loading.stages[0] == PASS
    assert f"# {LOADING}" in str(found)
