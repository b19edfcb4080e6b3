"""What an elementwise function costs beside SciPy's or NumPy's, per point.

    python tests/benchmarks/functions.py --write docs/accuracy_cost.txt

A million standard normal numbers in float64, one thread. All contestants take turns in one process,
and the fastest turn of each counts.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is loaded

import numpy as np
import scipy
from scipy import special

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where `benchmarks` is, for a script

from benchmarks.timing import interleaved

import numixology as nx
from numixology import functional as F
from numixology.text import columns


class Pair(NamedTuple):
    """A function, and how one has it without numixology."""

    name: str
    ours: Callable[[np.ndarray], np.ndarray]
    other: str
    theirs: Callable[[np.ndarray], np.ndarray]


PAIRS = (
    Pair("erf", F.erf, "special.erf(x)", special.erf),
    Pair("normal_cdf", F.normal_cdf, "special.ndtr(x)", special.ndtr),
    Pair("gelu", F.gelu, "x * special.ndtr(x)", lambda x: x * special.ndtr(x)),
    Pair("sigmoid", F.sigmoid, "special.expit(x)", special.expit),
    Pair("silu", F.silu, "x * special.expit(x)", lambda x: x * special.expit(x)),
    Pair("tanh", F.tanh, "np.tanh(x)", np.tanh),
    Pair("softplus", F.softplus, "np.logaddexp(0, x)", partial(np.logaddexp, 0.0)),
)


class Cost(NamedTuple):
    """Seconds per point: theirs, ours, and ours with the slope, which a recorded call keeps."""

    pair: Pair
    theirs: float
    ours: float
    recorded: float


def costs(size: int = 1_000_000, rounds: int = 15) -> list[Cost]:
    """Every pair's cost; the three that are compared run right after each other."""
    x = np.random.default_rng(0).standard_normal(size)
    t = nx.tensor(x, requires_grad=True)
    found = []
    for pair in PAIRS:
        steps = {
            "theirs": partial(pair.theirs, x),
            "ours": partial(pair.ours, x),
            "recorded": partial(pair.ours, t),
        }
        times = interleaved(steps, rounds)
        found.append(Cost(pair, **{name: min(each) / size for name, each in times.items()}))
    return found


def table(found: list[Cost]) -> str:
    cells = [
        (
            cost.pair.name,
            f"{1e9 * cost.ours:.1f}",
            f"{1e9 * cost.recorded:.1f}",
            cost.pair.other,
            f"{1e9 * cost.theirs:.1f}",
            f"{cost.ours / cost.theirs:.2f}",
            f"{cost.recorded / cost.theirs:.2f}",
        )
        for cost in found
    ]
    header = ("function", "ns", "with slope", "beside", "ns", "ratio", "with slope")
    return columns(header, cells, "<>><>>>")


def conditions() -> str:
    """What the figures depend on, as far as it can be asked."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    instructions = ", ".join(found) or "its baseline"
    return f"NumPy {np.__version__} using {instructions}; SciPy {scipy.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contestant (15)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    text = f"{table(costs(rounds=options.rounds))}\n\n{conditions()}"
    print(text)
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
