"""Parameter tables in a terminal."""

import math
import re

import pytest

TOTALS = {
    "ffn": 8 * 768**2 + 7 * 768,
    "ffn --ffn swiglu": 12 * 768**2 + 2 * 768,
    "ffn --ffn per_token --tokens 3 --dim 8 --ff-dim 5": 3 * (2 * 8 * 5 + 5 + 8) + 2 * 8,
    "ffn --ffn per_token_swiglu --tokens 3 --dim 8 --ff-dim 5": 3 * 3 * 8 * 5 + 2 * 8,
    "block --ffn per_token --tokens 4 --heads 4 --dim 8": 4 * (8 * 64 + 5 * 8) + 4 * 8,
    "mixer": 2 * 768,
    "attention": 4 * 768**2 + 4 * 768,
    "block": 8 * 768**2 + 9 * 768,
    "block --ffn swiglu": 12 * 768**2 + 4 * 768,
    "model": 1000 * 768 + 8 * 768 + 2 * (8 * 768**2 + 9 * 768),
    "model --layers 1 --vocab 10 --tokens 4 --dim 8 --heads 2 --ff-dim 3": (
        80 + 32 + 2 * 16 + 2 * 8 * 3 + 3 + 8
    ),
}


@pytest.mark.parametrize("subject", TOTALS)
def test_parameter_tables(printed, subject) -> None:
    lines = printed(f"params {subject}").splitlines()
    assert lines[0].split() == ["parameter", "shape", "count", "share"]
    rows = [re.split(r"  +", line) for line in lines[2:-1]]
    counts = [int(row[2].replace(",", "")) for row in rows]
    assert counts == [math.prod(map(int, row[1].split(" x "))) for row in rows]
    assert sum(counts) == TOTALS[subject]
    assert lines[-1].split() == ["total", f"{TOTALS[subject]:,}", "100.000", "%"]


def test_the_shares_of_the_guides_network(printed) -> None:
    shares = [line.split()[-2] for line in printed("params ffn").splitlines()[2:-1]]
    assert shares == ["0.016", "0.016", "49.943", "0.065", "49.943", "0.016"]
