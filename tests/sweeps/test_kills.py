"""A few kills of the sweep that kills a training."""

import multiprocessing

import pytest
from sweeps.kills import killed


@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="processes are forked"
)
def test_a_training_that_is_killed_loses_nothing_that_it_saved(tmp_path) -> None:
    found = killed(5, tmp_path, longest=0.02)
    assert (found.kills, found.lost) == (5, 0)
    assert found.steps >= 5
