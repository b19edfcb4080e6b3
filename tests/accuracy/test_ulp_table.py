"""A seeded twentieth of the accuracy table: every function within its target."""

import numpy as np
import pytest
from accuracy.ulp_table import ROWS, far, measured, table, worst


@pytest.fixture(scope="module")
def rows():
    return list(measured(1, seed=1))


def test_every_function_is_within_its_target(rows):
    assert len(rows) == 4 * len(ROWS)
    assert [row for row in rows if not row.ours <= row.limit] == []


def test_the_table_names_every_row(rows):
    lines = table(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert all(line.startswith(row.what) for line, row in zip(lines[2:], rows, strict=True))


def test_an_error_of_one_ulp_is_seen():
    x = np.array([0.5, 1.0])
    erf = ROWS[0].value
    right = np.array([float(erf(v)) for v in x])
    assert worst(right, x, erf) <= 0.5
    assert 0.5 <= worst(np.nextafter(right, 9), x, erf) <= 1.5


def test_far_out_the_truth_is_the_limit():
    for row in ROWS:
        for end in (-(10.0**30), 10.0**30):
            gated = row.name in ("silu", "gelu", "gelu_tanh")
            left = -1 if row.name in ("erf", "tanh") else 0
            limit = (end if gated else 1) if end > 0 else left
            assert float(far(row.value, row_point(end))) == pytest.approx(limit, abs=1e-300)


def row_point(value):
    return ROWS[0].value(0) + value
