"""The golden values: what is shipped is whole, is met, and would not be by anything else."""

import json
import math

import numpy as np
import pytest

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import NumixologyError
from numixology.verify import goldens, suite
from numixology.verify.goldens import Golden, GoldenError, check_goldens, read_goldens
from numixology.verify.suite import results

STAGES = {
    *("erf", "sigmoid", "tanh", "relu", "silu", "gelu", "gelu_tanh", "softplus"),
    *("softmax", "log_softmax", "logsumexp", "layer_norm", "linear", "embedding", "token_mix"),
    *("attention", "self_attention", "feed_forward", "swiglu_feed_forward", "token_mixer"),
    *("block", "model", "rms_norm", "per_token_linear", "per_token_feed_forward"),
    *("per_token_swiglu", "sparse_moe", "sparse_per_token_moe"),
    *("token_revert", "chunk_mixing", "sinkhorn_mixing", "token_mixer_large_block"),
}
EXACT = ("embedding", "relu", "token_mix", "token_revert")
ENTRIES = read_goldens()


@pytest.fixture(scope="module")
def all_goldens() -> list[Golden]:
    return list(check_goldens())


def failed(stage: str) -> set[tuple[str, str]]:
    """Case and tensor of everything that fails in one stage."""
    return {(g.case, g.name) for g in check_goldens() if g.stage == stage and not g.passed}


# As it is ------------------------------------------------------------------------


def test_every_golden_value_is_met(all_goldens) -> None:
    assert [golden for golden in all_goldens if not golden.passed] == []
    for golden in all_goldens:
        assert 0 <= golden.error <= golden.limit
        assert golden.measure in ("ulp", "of the largest")
        assert golden.ulp >= golden.error or golden.measure != "ulp"
        assert golden.relative < 1e-14


def test_only_what_is_exact_has_a_limit_of_0(all_goldens) -> None:
    for golden in all_goldens:
        assert (golden.limit == 0) == (golden.stage in EXACT)
        if golden.measure != "ulp":
            assert golden.limit < 5e-12
    for entry in ENTRIES:
        assert all(bound > 0 for bound in entry.get("bounds", {"": 1}).values())


def test_every_stage_is_run(all_goldens) -> None:
    assert {golden.stage for golden in all_goldens} == STAGES
    for stage in STAGES:
        names = {golden.name for golden in all_goldens if golden.stage == stage}
        assert "output" in names
        assert len(names) > 1


def test_every_tensor_of_every_case_is_compared_once(all_goldens) -> None:
    expected = [
        (entry["stage"], entry["case"], name)
        for entry in ENTRIES
        for name in ("output", *(f"gradient of {one}" for one in entry["inputs"]))
    ]
    assert [(g.stage, g.case, g.name) for g in all_goldens] == expected
    assert len(set(expected)) == len(expected)


def test_networks_are_asked_about_all_their_parameters() -> None:
    for entry in ENTRIES:
        if entry["stage"] in goldens._MODULES:
            options = {k: v for k, v in entry["options"].items() if k != "ids"}
            module = goldens._MODULES[entry["stage"]](**options)
            assert set(entry["inputs"]) - {"x"} == set(module.state_dict())


def test_the_cases_are_not_easy() -> None:
    """No parameter is all ones or zeros, T is not H but in one case, and the tails are there."""
    for entry in ENTRIES:
        for values in entry["inputs"].values():
            assert len(np.unique(values)) > 1
    tokens = {(e["options"]["num_heads"], len(e["inputs"]["x"][0])) for e in of("token_mix")}
    assert (2, 3) in tokens
    assert (5, 2) in tokens
    for stage in goldens._ULPS:
        (tails,) = (e for e in of(stage) if e["case"] == "saturated")
        assert max(tails["inputs"]["x"]) >= 700
        assert min(tails["inputs"]["x"]) <= -700
    (offset,) = (e for e in of("layer_norm") if e["case"] == "rows of mean 1e8")
    assert np.min(offset["inputs"]["x"]) > 0.99e8


def of(stage: str) -> list[dict]:
    return [entry for entry in ENTRIES if entry["stage"] == stage]


def test_gelu_of_the_far_tail_is_not_0() -> None:
    (tails,) = (e for e in of("gelu") if e["case"] == "saturated")
    y = dict(zip(tails["inputs"]["x"], tails["output"], strict=True))
    assert -1e-300 < y[-38.2] < -5e-324


@pytest.mark.parametrize("stage", goldens._EXACT)
def test_what_only_moves_numbers_is_exact(stage, all_goldens) -> None:
    for golden in all_goldens:
        if golden.stage == stage:
            assert (golden.error, golden.limit) == (0, 0)


def test_the_check_reports_the_worst_of_every_stage_and_tensor(all_goldens, monkeypatch) -> None:
    monkeypatch.setattr(suite, "CASES", ())
    monkeypatch.setattr(suite, "_module_cases", lambda: iter(()))
    monkeypatch.setattr(suite, "COMPOSITIONS", {})
    found = {(r.group, r.what): r for r in results() if r.group.startswith("golden")}
    assert len(found) == len({(g.stage, g.name) for g in all_goldens})
    for (stage, name), group in {
        ("gelu", "output"): "golden values, ulp",
        ("softmax", "gradient of x"): "golden values",
        ("model", "gradient of blocks.1.ffn.linear1.weight"): "golden values",
    }.items():
        result = found[group, f"{stage}: {name}"]
        shares = [g.share for g in all_goldens if (g.stage, g.name) == (stage, name)]
        assert result.error / result.limit == pytest.approx(max(shares))
        assert (result.verdict, result.dtype) == ("pass", "float64")


# With something wrong -----------------------------------------------------------


@pytest.mark.parametrize("stage", sorted(goldens._FUNCTIONS))
def test_a_function_that_is_off_in_its_last_digits_fails(stage, monkeypatch) -> None:
    """1e-13 is what no function may be off; every output shows it."""
    right = goldens._FUNCTIONS[stage]
    off = {**goldens._FUNCTIONS, stage: lambda *a, **k: right(*a, **k) * (1 + 1e-13)}
    monkeypatch.setattr(goldens, "_FUNCTIONS", off)
    names = {name for _, name in failed(stage)}
    assert "output" in names
    assert any(name.startswith("gradient") for name in names)


@pytest.mark.parametrize("stage", sorted(goldens._MODULES))
def test_a_parameter_that_is_off_fails(stage, monkeypatch) -> None:
    right = nn.Module.load_state_dict

    def off(module, state):
        first = next(iter(state))
        right(module, {k: v * (1 + 1e-11) if k == first else v for k, v in state.items()})

    monkeypatch.setattr(nn.Module, "load_state_dict", off)
    assert {name for _, name in failed(stage)} >= {"output"}


def test_tanh_gelu_instead_of_gelu_fails_everywhere(monkeypatch) -> None:
    both = {**goldens._FUNCTIONS, "gelu": goldens._FUNCTIONS["gelu_tanh"]}
    monkeypatch.setattr(goldens, "_FUNCTIONS", both)
    cases = {entry["case"] for entry in of("gelu")}
    assert failed("gelu") == {(c, n) for c in cases for n in ("output", "gradient of x")}


def test_the_textbook_gelu_fails_in_the_tail_only(monkeypatch) -> None:
    """x (1 + erf(x / √2)) / 2 is 0 from -8.3 on."""

    def textbook(x):
        return 0.5 * x * (1 + F.erf(x / math.sqrt(2)))

    monkeypatch.setattr(goldens, "_FUNCTIONS", {**goldens._FUNCTIONS, "gelu": textbook})
    worst = {g.case: g.ulp for g in check_goldens() if (g.stage, g.name) == ("gelu", "output")}
    assert worst["saturated"] > 1e12


@pytest.mark.parametrize(
    ("stage", "wrong", "tensor"),
    [
        ("token_mix", lambda x, num_heads, mixing: F.token_mix(x, num_heads) * 1.0, "guide"),
        ("softmax", lambda x: F.softmax(x, axis=0), "plain"),
        ("layer_norm", lambda x, weight, bias, eps: F.layer_norm(x, weight, bias, 0.0), "plain"),
        ("layer_norm", lambda x, weight, bias, eps: F.layer_norm(x, bias, weight, eps), "plain"),
        ("linear", lambda x, weight, bias: F.linear(x, weight) + 0 * bias, "long numbers"),
    ],
)
def test_a_wrong_definition_fails(stage, wrong, tensor, monkeypatch) -> None:
    monkeypatch.setattr(goldens, "_FUNCTIONS", {**goldens._FUNCTIONS, stage: wrong})
    assert any(case.startswith(tensor) for case, _ in failed(stage))


def test_a_wrong_gradient_alone_fails(monkeypatch) -> None:
    primitive = next(p for p in suite.every_primitive() if p.__name__ == "layer_norm")
    rule = primitive.rules["weight"]
    off = lambda *a, **k: rule(*a, **k) * (1 + 1e-14)  # noqa: E731
    monkeypatch.setitem(primitive.rules, "weight", off)
    assert {name for _, name in failed("layer_norm")} == {"gradient of weight"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_result_that_is_no_number_fails(bad, monkeypatch) -> None:
    monkeypatch.setattr(goldens, "_FUNCTIONS", {**goldens._FUNCTIONS, "erf": lambda x: x * bad})
    found = [g for g in check_goldens() if g.stage == "erf"]
    assert found
    assert all(g.error == math.inf and not g.passed for g in found)
    assert {g.limit for g in found} == {2.0, 4.0}


def test_what_the_check_says_about_damage_and_about_errors(monkeypatch) -> None:
    monkeypatch.setattr(suite, "CASES", ())
    monkeypatch.setattr(suite, "_module_cases", lambda: iter(()))
    monkeypatch.setattr(suite, "COMPOSITIONS", {})
    monkeypatch.setattr(goldens, "_shipped", lambda: "{")
    last = list(results())[-1]
    assert last.group == "golden values"
    assert last.what.startswith("the golden values are JSON: got ")
    assert (last.verdict, math.isnan(last.error)) == ("fail", True)


# A damaged file -------------------------------------------------------------------


def shipped() -> dict:
    return json.loads(goldens._shipped())


def signed(content: dict) -> str:
    """The text of a file whose digest fits."""
    content["manifest"]["sha256"] = goldens._digest(content["cases"])
    return json.dumps(content)


def test_line_ends_and_spaces_do_not_matter() -> None:
    text = goldens._shipped()
    assert read_goldens(text.replace("\n", "\r\n")) == ENTRIES
    assert read_goldens(json.dumps(shipped())) == ENTRIES
    assert read_goldens(signed(shipped())) == ENTRIES


@pytest.mark.parametrize(
    "text", ["", "{", "not JSON", goldens._shipped()[:-100], goldens._shipped()[: 1 << 16]]
)
def test_a_truncated_file_is_an_error(text) -> None:
    with pytest.raises(GoldenError, match=r"are JSON: got .*; install numixology again") as caught:
        read_goldens(text)
    assert isinstance(caught.value, NumixologyError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"manifest": {"spec": "0.1"}, "cases": []}'])
def test_a_file_without_a_manifest_is_an_error(text) -> None:
    with pytest.raises(GoldenError, match="have a manifest and cases: got "):
        read_goldens(text)


def test_a_changed_digit_is_an_error() -> None:
    content = shipped()
    x = content["cases"][0]["output"]
    x[3] = math.nextafter(x[3], 2)
    with pytest.raises(GoldenError, match=r"have the sha256 [0-9a-f]{64}: got [0-9a-f]{64}; "):
        read_goldens(json.dumps(content))


def test_a_wrong_digest_is_an_error() -> None:
    content = shipped()
    content["manifest"]["sha256"] = "0" * 64
    with pytest.raises(GoldenError, match="sha256 0000"):
        read_goldens(json.dumps(content))


def test_another_version_is_an_error() -> None:
    content = shipped()
    content["manifest"]["spec"] = "9"
    with pytest.raises(GoldenError, match="have version 0.1: got '9'"):
        read_goldens(json.dumps(content))


def dropping(content) -> None:
    content["cases"].pop()


def doubling(content) -> None:
    content["cases"].append(content["cases"][0])


def renaming(content) -> None:
    content["cases"][0]["stage"] = "erfc"
    content["manifest"]["stages"]["erfc"] = {"core": content["manifest"]["stages"]["erf"]["core"]}
    del content["manifest"]["stages"]["erf"]["core"]


def shortening(content) -> None:
    content["cases"][0]["inputs"]["x"].pop()


def shortening_a_gradient(content) -> None:
    content["cases"][0]["gradients"]["x"].pop()


def writing_words(content) -> None:
    content["cases"][0]["inputs"]["x"] = "0.5"
    content["cases"][0]["output"] = "many"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (dropping, r"lists every case once: got \[\('model', 'two layers'\)\]"),
        (doubling, "lists every case once"),
        (renaming, r"that this version runs: got \['erfc'\]"),
        (shortening, "erf, core has the shapes .*: got "),
        (shortening_a_gradient, "the gradients of erf, core have its inputs' shapes"),
        (writing_words, "erf, core holds numbers: got "),
    ],
)
def test_damage_with_a_digest_that_fits_is_an_error(damage, message) -> None:
    content = shipped()
    damage(content)
    with pytest.raises(GoldenError, match=message):
        read_goldens(signed(content))


def test_a_file_that_is_missing_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(goldens, "files", lambda package: tmp_path)
    with pytest.raises(GoldenError, match=r"ships verify/data/goldens.json: got .*; install"):
        next(check_goldens())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "goldens.json").write_bytes(b"\xff")
    with pytest.raises(GoldenError, match="ships verify/data/goldens.json"):
        read_goldens()


def test_reading_changes_nothing_and_needs_no_tape() -> None:
    with nx.no_grad():
        assert read_goldens() == ENTRIES
