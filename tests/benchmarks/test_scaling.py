"""The script that measures writes a file of the shape that the package reads."""

import json

import pytest
from benchmarks import scaling

from numixology.explain import measured_scaling
from numixology.explain.cost.scaling import Measured


@pytest.fixture(scope="module")
def found():
    return scaling.measured(lengths=(2, 4), turns=2)


def test_it_has_the_fields_of_the_committed_file(found):
    committed = measured_scaling()
    assert found.keys() == set(committed._fields)
    assert found["layers"].keys() == committed.layers.keys()
    for rows in found["layers"].values():
        assert [Measured(**row).num_tokens for row in rows] == [2, 4]


def test_times_and_memory_are_measured(found):
    for rows in found["layers"].values():
        for row in rows:
            assert 0 < row["fastest"] <= row["seconds"]
            assert row["peak_bytes"] > 0
    assert json.loads(json.dumps(found)) == found


def test_peak_memory_is_that_of_one_call():
    assert scaling.peak_bytes(lambda: bytearray(10**7)) == pytest.approx(10**7, rel=0.01)
