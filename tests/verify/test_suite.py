"""What ``numixology check`` runs: every check passes, and each fails where something is broken."""

import importlib
import math
import pkgutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import numixology as nx
from numixology import arithmetic
from numixology import functional as F
from numixology.autograd import Primitive
from numixology.functional import mixing
from numixology.verify import suite
from numixology.verify.suite import CASES, COMPOSITIONS, Case, Result, every_primitive, results

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
PRIMITIVES = sorted(every_primitive(), key=lambda primitive: primitive.__name__)
RULES = [
    pytest.param(primitive, argument, id=f"{primitive.__name__}-{argument}")
    for primitive in PRIMITIVES
    for argument in primitive.rules
]


@pytest.fixture(scope="module")
def users() -> dict[tuple[Primitive, str], list[Case]]:
    """The cases in whose backward each rule is run, seen by running them."""
    found = defaultdict(list)
    met = set()

    def recording(primitive, argument, rule):
        def recorded(*arguments, **options):
            met.add((primitive, argument))
            return rule(*arguments, **options)

        return recorded

    with pytest.MonkeyPatch.context() as patch:
        for primitive in PRIMITIVES:
            for argument, rule in primitive.rules.items():
                patch.setitem(primitive.rules, argument, recording(primitive, argument, rule))
        for case in CASES:
            met.clear()
            inputs = [nx.tensor(x, requires_grad=x.dtype.kind == "f") for x in case.inputs]
            output = case.fn(*inputs)
            output.backward(np.ones(output.shape))
            for one in met:
                found[one].append(case)
    return found


def only(monkeypatch, cases=(), **compositions):
    """Leave of all cases these alone; the laws stay."""
    monkeypatch.setattr(suite, "CASES", tuple(cases))
    monkeypatch.setattr(suite, "_module_cases", lambda: iter(()))
    monkeypatch.setattr(suite, "COMPOSITIONS", compositions)


def first_failure() -> Result:
    """The first result that failed; the checks after it are not run."""
    return next(result for result in results() if not result.passed)


# As it is --------------------------------------------------------------------------


def test_every_case_is_checked_three_ways_and_passes_with_room_to_spare() -> None:
    checked = defaultdict(set)
    found = list(results())  # the whole check, and the only test that runs it
    assert f"\nPASSED: {len(found)} checks in " in README
    for result in found:
        assert result.passed
        assert 0 <= result.error <= result.limit
        if result.dtype == "float64" and "ulp" not in result.group:
            assert result.error < 1e-13
        checked[result.group].add((result.what, result.dtype))
    for kind, cases in (("functions", CASES), ("modules", suite._module_cases())):
        names = {case.name for case in cases}
        for what, dtype in (
            ("gradient", "float64"),
            ("second order", "float64"),
            ("float32", "float32"),
        ):
            assert checked[f"{kind}: {what}"] == {(name, dtype) for name in names}
    assert checked["compositions"] == {
        (f"{name}, order {order}", "float64") for name in COMPOSITIONS for order in (1, 2, 3)
    }
    assert checked["laws of mixing"] == {(law, "int64") for law in LAWS.values()}
    assert checked["golden values"] and checked["golden values, ulp"]


def test_names_are_unique() -> None:
    names = [case.name for case in suite._cases()]
    assert len(set(names)) == len(names)


def test_results_are_alike_every_time() -> None:
    first, again = results(), results()
    assert [next(first) for _ in range(9)] == [next(again) for _ in range(9)]


def test_every_primitive_of_the_package_is_found() -> None:
    found = set()
    for module in pkgutil.walk_packages(nx.__path__, "numixology."):
        if not module.name.endswith("__main__") and ".conformance" not in module.name:  # wrong ones
            found |= {
                thing
                for thing in vars(importlib.import_module(module.name)).values()
                if isinstance(thing, Primitive) and any(thing.rules)
            }
    assert found == every_primitive()


def test_a_result_has_passed_if_its_verdict_says_so() -> None:
    assert Result("group", "what", "float64", 0.0, 1.0, "pass").passed
    for verdict in ("fail", "inconclusive"):
        assert not Result("group", "what", "float64", 0.0, 1.0, verdict).passed


def test_a_check_is_true_if_everything_passed(monkeypatch) -> None:
    only(monkeypatch, CASES[:1])
    monkeypatch.setattr(suite, "every_primitive", lambda: suite._primitives_of(CASES[0]))
    report = suite.check()
    assert report and not report.failed
    assert (report.verdict, report.exit_code, report.as_dict()["passed"]) == ("pass", 0, True)
    doubted = Result("functions", "zero", "float64", 0.0, 1.0, "inconclusive")
    report = report._replace(results=[*report.results, doubted])
    assert not report and report.failed == [doubted]
    assert (report.verdict, report.exit_code) == ("inconclusive", 3)
    wrong = Result("functions", "sin", "float64", math.nan, 1.0, "fail")
    report = report._replace(results=[*report.results, wrong])
    assert (report.verdict, report.exit_code) == ("fail", 1)
    assert report.as_dict()["checks"][-1]["error"] == "nan"


# With a broken rule -------------------------------------------------------------------


@pytest.mark.parametrize(("primitive", "argument"), RULES)
def test_a_rule_that_is_off_by_a_thousandth_fails(primitive, argument, users, monkeypatch) -> None:
    cases = users[primitive, argument]
    assert cases, f"no case runs the rule of {argument} of {primitive}"
    rule = primitive.rules[argument]

    def broken(*arguments, **options):
        right = rule(*arguments, **options)
        ct = arguments[0 if primitive.arguments else 1]
        flat = ("sign", "x"), ("floor_divide", "a"), ("floor_divide", "b"), ("where", "condition")
        if (primitive.__name__, argument) in flat:
            return right + 0.001 * ct  # their gradient is 0
        return right * 1.001

    only(monkeypatch, cases[:1])
    monkeypatch.setitem(primitive.rules, argument, broken)
    failure = first_failure()
    assert failure.group in ("functions: gradient", "functions: second order")
    assert failure.what == cases[0].name
    assert failure.verdict == "fail"
    assert failure.error > failure.limit


def test_a_rule_that_raises_is_a_failure_and_not_the_end(monkeypatch) -> None:
    case = next(case for case in CASES if case.name == "exp")
    only(monkeypatch, [case])
    monkeypatch.setitem(F.exp.rules, "x", lambda ct, y, x: (ct * y).sum())
    found = list(results())
    failures = [result for result in found if not result.passed and result.what[:5] == "exp ("]
    assert len(failures) == 3
    for failure in failures:
        assert failure.verdict == "fail"
        assert "exp" in failure.what.partition("(")[2]  # what the error says names the primitive
        assert math.isnan(failure.error)
    assert any(result.passed for result in found[found.index(failures[-1]) :])  # a law


def test_a_primitive_without_a_case_fails(monkeypatch) -> None:
    @nx.primitive
    def brand_new(x):
        return 2 * x

    @brand_new.vjp("x")
    def brand_new_dx(ct, y, x):
        return 2 * ct

    monkeypatch.setattr(arithmetic, "brand_new", brand_new, raising=False)
    assert brand_new in every_primitive()
    only(monkeypatch, CASES[:1])
    result = next(r for r in results() if r.group == "primitives")
    assert not result.passed
    assert "brand_new" in result.what
    before = len(every_primitive()) - 1
    assert result.error > before - 5  # only those that the first case uses are met
    assert brand_new(3) == brand_new_dx(3, 0, 0) == 6


def test_a_fused_function_that_is_not_its_composition_fails(monkeypatch) -> None:
    x = np.array([0.3, -1.2, 2.0])
    planted = Case("planted", F.tanh, [x])
    only(monkeypatch, [planted], planted=lambda x: F.tanh(x) + 1e-9 * x * x * x)
    found = [r for r in results() if r.what.startswith("planted, order")]
    assert [r.what[-1] for r in found] == ["1", "2", "3"]
    assert not any(r.passed for r in found)


def test_a_composition_that_differs_in_its_third_derivative_only_fails(monkeypatch) -> None:
    """The first-order gradient may be right with a wrong tape behind it."""

    @nx.primitive
    def cube(x):
        return x * x * x

    @cube.vjp("x")
    def cube_dx(ct, y, x):
        return ct * 3 * square(x)

    @nx.primitive
    def square(x):
        return x * x

    @square.vjp("x")
    def square_dx(ct, y, x):
        return ct * np.asarray(x) * 2  # x is a constant to the tape here

    x = np.array([0.3, -1.2, 2.0])
    only(monkeypatch, [Case("cube", cube, [x])], cube=lambda x: x * x * x)
    found = [r for r in results() if r.what.startswith("cube, order")]
    assert [r.passed for r in found] == [True, True, False]


# With broken mixing -----------------------------------------------------------------------

LAWS = {
    "permutation": "mixing is a permutation",
    "inverse": "mixing with T and H exchanged undoes it",
    "revert": "token_revert undoes mixing",
    "rank": "mixing_rank and mixing_condition are those of I + P",
    "involution": "mixing twice is the identity where T = H",
    "paper": "mixing is the paper's formula where T = H",
    "chunks": "chunk i moves to iT mod (TH - 1)",
    "order": "mixing_order mixings are the identity, and no fewer",
    "depth": "after depth_to_mix layers every token sees every token, and not before",
    "digraph": "token s sees the H tokens from sH on, modulo T",
    "null space": "mixing turns null_space_direction into its negative",
    "guide": "the guide's mixing mixes nothing",
}
right_mix = F.token_mix


def rolled(x, num_heads, *, mixing="rankmixer"):
    """A permutation, and the wrong one."""
    y = right_mix(x, num_heads, mixing=mixing)
    return F.concatenate([y[:, 1:], y[:, :1]], axis=1)


def not_mixing(x, num_heads, *, mixing="rankmixer"):
    return x


def averaging(x, num_heads, *, mixing="rankmixer"):
    y = right_mix(x, num_heads, mixing=mixing)
    return y if mixing == "guide" or y.shape[1] == 1 else (y + y[:, ::-1]) // 2


def mixing_always(x, num_heads, *, mixing="rankmixer"):
    return right_mix(x, num_heads)


@pytest.mark.parametrize(
    ("mix", "broken"),
    [
        (not_mixing, {"paper", "depth", "order", "revert", "rank", "digraph", "null space"}),
        (mixing_always, {"guide"}),
        (rolled, {"inverse", "involution", "paper", "guide"}),
    ],
)
def test_broken_mixing_breaks_these_laws(mix, broken, monkeypatch) -> None:
    only(monkeypatch)
    monkeypatch.setattr(F, "token_mix", mix)
    found = {r.what: r for r in results() if r.dtype == "int64"}
    assert set(found) == set(LAWS.values())
    failed = {law for law, what in LAWS.items() if not found[what].passed}
    assert failed >= broken
    assert "chunks" not in failed
    if mix is not rolled:
        assert failed == broken
    for law in failed:
        result = found[LAWS[law]]
        assert (result.error, result.limit, result.verdict) == (1.0, 0.0, "fail")


def test_values_that_get_lost_break_the_permutation(monkeypatch) -> None:
    only(monkeypatch)
    monkeypatch.setattr(F, "token_mix", averaging)
    assert first_failure_of_the_laws() == LAWS["permutation"]


def first_failure_of_the_laws() -> str:
    return next(r.what for r in results() if r.dtype == "int64" and not r.passed)


@pytest.mark.parametrize(
    ("function", "laws"),
    [
        ("chunk_destinations", "chunks"),
        ("mixing_order", "order rank"),
        ("mixing_rank", "rank"),
        ("depth_to_mix", "depth"),
    ],
)
def test_arithmetic_that_is_off_breaks_its_law(function, laws, monkeypatch) -> None:
    only(monkeypatch)
    right = getattr(mixing, function)

    def off(num_tokens, num_heads):
        answer = right(num_tokens, num_heads)
        return answer if answer is None or (num_tokens, num_heads) != (5, 3) else answer + 1

    monkeypatch.setattr(mixing, function, off)
    failed = [r.what for r in results() if r.dtype == "int64" and not r.passed]
    assert failed == [LAWS[law] for law in laws.split()]
