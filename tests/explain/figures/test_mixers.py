"""Mixed tokens put back, and a soft permutation that is cooled."""

import numpy as np
import pytest
from support import refused

from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError
from numixology.explain.figures import mixers


def labels(grid):
    return [[cell.label for chunk in row.chunks for cell in chunk] for row in grid.rows]


def groups(grid):
    return [[cell.group for chunk in row.chunks for cell in chunk] for row in grid.rows]


@pytest.mark.parametrize(("T", "H"), [(4, 2), (3, 3), (2, 5), (1, 2), (4, 1)])
def test_every_chunk_is_followed_there_and_back(T, H):
    x, mixed, back, again = mixers.revert_scene(T, H).panels
    names = [[f"{'abcd'[t]}{h + 1}" for h in range(H)] for t in range(T)]
    assert labels(x) == labels(back) == names
    assert labels(mixed) == [list(column) for column in zip(*names, strict=True)]
    assert groups(mixed) == [list(range(T))] * H
    twice = F.token_mix(F.token_mix(np.array([names]), H), H)[0].tolist()
    assert labels(again) == twice
    assert back.note == "This is x."
    assert again.note == ("This is x." if twice == names else "This is not x.")


@pytest.mark.parametrize(("T", "H"), [(64, 8), (8, 64), (1, 512), (512, 1), (20, 3)])
def test_no_line_is_wider_than_a_terminal(T, H):
    text = mixers.revert_scene(T, H).text()
    assert max(map(len, text.split("\n"))) <= 100


def test_the_curves_are_the_reports():
    keeps, rows = mixers.annealing_scene(3, 2).panels
    few, many = (
        nn.SinkhornMixing(3, 2, 2, steps=steps, rng=0).report(*keeps.x) for steps in (5, 200)
    )
    for report, kept, off in zip((few, many), keeps.series, rows.series, strict=True):
        assert kept.values == tuple(row.smallest_singular_value for row in report)
        assert off.values == tuple(row.row_error for row in report)
    assert [curve.name for curve in rows.series] == ["5 steps", "200 steps"]
    assert list(keeps.x) == sorted(keeps.x)


def test_cooling_loses_what_the_residual_keeps():
    keeps, rows = mixers.annealing_scene().panels
    for curve in keeps.series:
        assert curve.values[0] < 0.01 < 0.5 < curve.values[-1]
    few, many = (curve.values for curve in rows.series)
    assert few[0] > 0.1 > 0.02 > many[0]


def test_sizes_too_large_for_a_figure():
    with refused(ArgumentError, "num_tokens * num_heads is at most 512"):
        mixers.revert_scene(100, 100)
    with refused(ArgumentError, "num_tokens * num_heads is at most 64"):
        mixers.annealing_scene(9, 9)
