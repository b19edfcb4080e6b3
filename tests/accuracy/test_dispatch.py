"""A small share of the dispatch table: within the targets whatever instructions NumPy may use."""

import numpy as np
import pytest
from accuracy.dispatch import (
    ALONG_ROWS,
    ELEMENTWISE,
    Compared,
    compared,
    evaluated,
    failed,
    goldens,
    inputs,
    levels,
    outside,
    table,
)


@pytest.fixture(scope="module")
def given():
    if not levels():
        pytest.skip("NumPy has no AVX2 code to switch off here")
    return inputs(50, seed=1)


@pytest.fixture(scope="module")
def found(given):
    return {name: evaluated(given, disabled) for name, disabled in levels().items()}


@pytest.fixture(scope="module")
def rows(given, found):
    return list(compared(given, found, sample=300))


def test_the_levels_are_what_they_are_called(found):
    assert {"AVX2", "X86_V3"} & {*found["AVX2"]["features"]}
    assert not [name for name in found["AVX2"]["features"] if "512" in name or name == "X86_V4"]
    assert found["baseline"]["features"].size == 0


def test_every_level_is_within_the_targets(rows, found):
    assert len(rows) == 4 * len(ELEMENTWISE) + 4 * len(ALONG_ROWS)
    assert outside(rows) == []
    assert all(row.errors.keys() == found.keys() for row in rows if row.limit)


def test_the_levels_hardly_differ(rows):
    assert [row for row in rows if row.apart > 8] == []
    assert sum(row.differ for row in rows) <= 0.2 * sum(row.points for row in rows)


def test_every_level_passes_the_golden_values(found):
    for name, values in found.items():
        assert values["goldens"].size > 100
        assert failed(values) == 0, name


def test_the_table_names_every_row(rows, found):
    lines = table(rows, list(found)).splitlines()
    assert len(lines) == len(rows) + 2
    assert all(line.startswith(row.what) for line, row in zip(lines[2:], rows, strict=True))
    assert all(f"({name})" in goldens(found) for name in found)


# What the comparison sees, with results made up ---------------------------------


def test_a_difference_of_one_ulp_is_counted():
    x = np.array([0.0, 0.5, 1.0])
    value = np.tanh(x)
    moved = np.where(x == 0.5, np.nextafter(value, 9), value)
    results = {"tanh float64 value": value, "tanh float64 slope": x}
    found = {"AVX2": results, "baseline": {**results, "tanh float64 value": moved}}
    first, second = compared({"tanh float64": x}, found, sample=3)
    assert (first.points, first.differ, first.apart) == (3, 1, 1)
    assert (second.differ, second.apart) == (0, 0)
    assert outside([first, second]) == [second]


def test_what_is_no_number_is_outside_its_limit():
    errors = {"AVX2": float("nan")}
    assert outside([Compared("erf value", "float64", 1, 0, 0.0, 2.0, errors)])
    assert failed({"goldens": np.array([0.5, np.inf, np.nan])}) == 2
