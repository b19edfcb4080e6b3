"""Time and memory of the layers as the sequence grows, for the figures of the page on cost.

    python tests/benchmarks/scaling.py --write numixology/explain/cost/data/scaling.json

One sequence of 128 to 8,192 tokens in float32, one thread, the forward alone. At each length the
layers take turns, after one that does not count. The memory is the most that is allocated at once
in a call, beyond the input and the parameters. Attention has two heads: each head keeps tables of
T x T numbers, and with twelve they would not fit the memory of most machines.
"""

import argparse
import json
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np

import numixology as nx

LENGTHS = tuple(128 * 2**i for i in range(7))
HIDDEN_DIM = 768
NUM_HEADS = 2
FF_DIM = 4 * HIDDEN_DIM


def layers(num_tokens: int) -> dict[str, nx.nn.Module]:
    """What is measured at one length; the feed-forward network is what both blocks share."""
    return {
        "mixer": nx.nn.TokenMixer(num_tokens, HIDDEN_DIM, NUM_HEADS, dtype="float32"),
        "attention": nx.nn.SelfAttention(HIDDEN_DIM, NUM_HEADS, rng=0, dtype="float32"),
        "network": nx.nn.FeedForward(HIDDEN_DIM, FF_DIM, rng=0, dtype="float32").eval(),
    }


def peak_bytes(step: Callable[[], Any]) -> int:
    """The most that is allocated at once in one call."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


def seconds(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def rows(lengths: tuple[int, ...], turns: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The name of a layer and what was measured at one length, length by length."""
    for num_tokens in lengths:
        x = np.random.default_rng(0).standard_normal((1, num_tokens, HIDDEN_DIM))
        x = nx.tensor(x, dtype="float32")
        steps = {name: partial(layer, x) for name, layer in layers(num_tokens).items()}
        with nx.no_grad():
            peaks = {name: peak_bytes(step) for name, step in steps.items()}  # also the warm-up
            times: dict[str, list[float]] = {name: [] for name in steps}
            for _ in range(turns):
                for name, step in steps.items():
                    times[name].append(seconds(step))
        for name, layer in layers(num_tokens).items():
            yield (
                name,
                {
                    "num_tokens": num_tokens,
                    "flops": nx.explain.closed_form(layer, 1, num_tokens).flops,
                    "seconds": round(median(times[name]), 7),
                    "fastest": round(min(times[name]), 7),
                    "peak_bytes": peaks[name],
                },
            )


def measured(lengths: tuple[int, ...] = LENGTHS, turns: int = 5) -> dict[str, Any]:
    """Everything that the file holds."""
    found: dict[str, list[dict[str, float]]] = {}
    for name, row in rows(lengths, turns):
        print(name, row, flush=True)
        found.setdefault(name, []).append(row)
    return {
        "numpy": np.__version__,
        "dtype": "float32",
        "threads": 1,
        "batch": 1,
        "hidden_dim": HIDDEN_DIM,
        "num_heads": NUM_HEADS,
        "ff_dim": FF_DIM,
        "turns": turns,
        "layers": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="turns of each layer (5)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the numbers there")
    options = parser.parse_args()
    text = json.dumps(measured(turns=options.turns), indent=1)
    if options.write:
        options.write.parent.mkdir(exist_ok=True)
        options.write.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
