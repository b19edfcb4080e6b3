"""A seeded part of both sweeps, and that each sees what it looks for."""

import numpy as np
import pytest
from sweeps import false_alarms, planted_errors
from sweeps.false_alarms import Made, Row, alarms, run, share_passed, summary

from numixology.verify.suite import CASES, _module_cases

RUNS, CHUNK = 250, 25
SUITE = [*CASES, *_module_cases()]

# False alarms -----------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(0, RUNS, CHUNK))
def test_right_gradients_raise_no_alarm(start) -> None:
    found = list(false_alarms.outcomes(range(start, start + CHUNK), seed=3))
    assert not alarms(found), summary(found, 3)
    assert share_passed(found) >= 0.7, summary(found, 3)  # of few runs; the sweep asks for more


def test_every_case_of_the_suite_is_drawn() -> None:
    names = {row.name for row in false_alarms.ROWS}
    assert {case.name for case in SUITE} <= names


def test_every_choice_is_drawn() -> None:
    rows = false_alarms.ROWS
    said = " ".join(
        false_alarms.described(*false_alarms.drawn(0, number, rows[number % len(rows)]))
        for number in range(2 * RUNS)
    )
    kinds = (*false_alarms.KINDS, *false_alarms.LAYOUTS, "float32", "float64", "order 2")
    for choice in (*kinds, "fast", "full", "auto", "complex", "central", "()", "(1,"):
        assert choice in said, choice


def test_a_run_depends_on_seed_and_number_alone() -> None:
    assert run(0, 40) == run(0, 40)
    assert run(0, 40) != run(1, 40)
    shapes = {run(0, 40 + i * len(false_alarms.ROWS)).how for i in range(4)}
    assert len(shapes) == 4


def test_inputs_lie_in_memory_as_their_layout_says() -> None:
    x = np.arange(6.0).reshape(2, 3)
    laid = {name: lay(x) for name, lay in false_alarms.LAYOUTS.items()}
    assert laid["Fortran-ordered"].flags.f_contiguous
    assert laid["strided"].strides == (48, 16)
    assert laid["stride-0"].strides == (0, 8)
    assert not laid["read-only"].flags.writeable
    for name in ("contiguous", "Fortran-ordered", "strided", "read-only"):
        np.testing.assert_array_equal(laid[name], x)


def wrong(error: float) -> tuple[Row, ...]:
    def vjp(ct, x):
        return ct * np.exp(x) * (1 + error)

    row = Row("exp", lambda d: Made(np.exp, [d.array(3)], vjp), -3, 0, "near 1", by_hand=True)
    return (row,)


def test_a_wrong_gradient_is_counted_and_shown() -> None:
    found = [run(0, number, wrong(1e-3)) for number in range(30)]
    failed = alarms(found)
    assert len(failed) > 20, summary(found, 0)
    assert all(one.verdict == "fail" for one in failed)
    text = summary(found, 0)
    assert f"--seed 0 --only {failed[0].number}" in text
    assert text.count("false alarm: exp") == len(failed)
    assert not alarms([run(0, number, wrong(0.0)) for number in range(30)])


def test_an_exception_is_an_alarm() -> None:
    def refuse(ct, x):
        raise ValueError("not today")

    row = Row("refuses", lambda d: Made(np.exp, [d.array(3)], refuse), 0, 0, "", by_hand=True)
    draw, made = false_alarms.drawn(0, 0, row)
    found = false_alarms.judged(draw, made, 0)
    assert found == ("error", "ValueError: not today")


def test_a_sweep_of_inconclusive_runs_is_noticed() -> None:
    def constant(d):
        return Made(lambda x: x * 0 + 1, [d.array(3)], lambda ct, x: ct * 0 + 1e-300)

    row = Row("constant", constant, 0, 0, "", by_hand=True)
    found = [run(0, number, (row,)) for number in range(10)]
    assert share_passed(found) < false_alarms.ENOUGH


# Planted errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", SUITE, ids=lambda case: case.name)
@pytest.mark.parametrize("order", [1, 2])
def test_an_error_of_1e_12_is_caught(case, order) -> None:
    """Without one they pass: ``verify/test_suite.py`` runs them all."""
    places = list(planted_errors.spread(case, order, seed=0, most=1))
    which, entry = places[len(case.name) % len(places)]
    assert not planted_errors.ours(case, order, 0, (which, 1e-12, entry))


def test_what_is_planted_is_an_error_of_that_size_in_one_entry() -> None:
    gradient = np.array([4.0, -1.0, 2.0])
    wrong = planted_errors.Plant(1e-3, entry=1, order=1).into(gradient)
    np.testing.assert_allclose(wrong, [4.0, -1.004, 2.0], rtol=1e-15)
    np.testing.assert_array_equal(gradient, [4.0, -1.0, 2.0])


def test_errors_too_small_are_not_caught() -> None:
    case = CASES[0]
    assert planted_errors.smallest(planted_errors.OURS, case, 1, 0) in (1e-13, 1e-14)
    assert planted_errors.ours(case, 1, 0, (0, 1e-17, 0))


def test_the_table_names_every_case_and_sums_up() -> None:
    rows = list(planted_errors.measured(CASES[:2], runs=2, torch=False, most=1))
    assert [(row.case, row.order) for row in rows] == [
        ("add", 1),
        ("add", 2),
        ("subtract", 1),
        ("subtract", 2),
    ]
    assert [row.at_12 for row in rows] == [(4, 4)] * 4
    text = planted_errors.table(rows, torch=False)
    assert "Of errors of 1e-12 16 of 16 were caught" in text
    assert "torch is not installed" in text
    assert planted_errors.good(rows)
    assert not planted_errors.good([*rows[:3], rows[3]._replace(at_12=(3, 4))])
    assert not planted_errors.good([row._replace(at_13=(1, 4)) for row in rows])
