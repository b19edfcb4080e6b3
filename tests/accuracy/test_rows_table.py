"""A seeded twentieth of the table of rows: every part of every function within its limit."""

import mpmath as mp
import numpy as np
import pytest
from accuracy import rows_table
from accuracy.rows_table import PARTS, Case, measured, off, table, truth


@pytest.fixture(scope="module")
def rows():
    return list(measured(1, seed=1, peers={}))


def test_every_part_is_within_its_limit(rows):
    assert len(rows) == 2 * sum(len(parts) for parts in PARTS.values())
    assert [row for row in rows if not row.ours <= 1] == []


def test_the_table_names_every_row(rows):
    lines = table(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert all(line.startswith(row.what) for line, row in zip(lines[2:], rows, strict=True))


def test_rows_of_every_kind_and_width_are_drawn():
    rng = np.random.default_rng(0)
    widths = [case.x.shape[1] for case in rows_table.cases(rng, np.float64, "softmax")]
    assert {widths.count(width) for width in rows_table.WIDTHS} == {len(rows_table.KINDS)}
    assert widths.count(768) == 2


def test_the_largest_share_of_a_limit_counts():
    true = [(mp.mpf(1), mp.mpf("0.5")), (mp.mpf(2), mp.mpf("0.125"))]
    assert off(np.array([1.0, 2.0]), true) == 0
    assert off(np.array([1.25, 2.25]), true) == 2
    assert off(np.array([1.0, np.nan]), true) == np.inf
    assert off(np.array([1.0, -np.inf]), true) == np.inf


def test_what_overflows_in_truth_is_left_out():
    assert off(np.array([np.inf, 1.0]), [(mp.mpf(10) ** 400, mp.mpf(1)), (mp.mpf(1), 1)]) == 0


@pytest.mark.parametrize("function", PARTS)
def test_every_limit_sees_an_error_of_its_size(function):
    """The truth, rounded, passes; moved by two limits it does not."""
    rng = np.random.default_rng(2)
    x, ct = rng.normal(size=(2, 3)), rng.normal(size=(2, 1 if function == "logsumexp" else 3))
    case = Case(x, ct, rng.normal(size=3), rng.normal(size=3), 1e-5)
    if function == "linear":
        case = case._replace(weight=rng.normal(size=(3, 3)))
    for entries in truth(case, function).values():
        right = np.array([float(true) for true, _ in entries])
        moved = np.array([float(true + 2 * limit) for true, limit in entries])
        assert off(right, entries) <= 0.5
        assert 1 < off(moved, entries) < 3


def test_a_share_of_600_below_has_its_digits():
    """1 - p is e^-600 there, which 60 digits alone would round away."""
    case = Case(np.array([[600.0, 0.0]]), np.array([[1.0, 0.0]]))
    (first, _), (second, _) = truth(case, "softmax")["gradient"]
    assert float(first) == pytest.approx(np.exp(-600.0), rel=1e-12)
    assert first == pytest.approx(-second, rel=1e-50)


def test_dx_of_many_narrow_rows_where_what_is_subtracted_nearly_cancels():
    rng = np.random.default_rng(4)
    x, ct = rng.normal(size=(2, 2500, 4))
    case = Case(x, ct, rng.normal(size=4), None, 1e-5)
    assert off(rows_table.with_ours(case, "layer_norm")["dx"], truth(case, "layer_norm")["dx"]) < 1
