"""Time and memory of the layers as the sequence grows, for the figures of the page on cost.

    python tests/benchmarks/scaling.py --write docs/scaling.json

One sequence of 128 to 8,192 tokens in float32, one thread, the forward alone. At each length the
layers take turns, after one that does not count. The memory is the most that is allocated at once
in a call, beyond the input and the parameters. Attention has two heads: each head keeps tables of
T x T numbers, and with twelve they would not fit the memory of most machines. What is written is a
scene, which the page draws.
"""

import argparse
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np

import numixology as nx
from numixology.explain import Chart, Scene, Series

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


class Measured(NamedTuple):
    """One layer's forward at one length: FLOPs by its closed form, the fastest of its turns, and
    the most that was allocated at once, beyond input and parameters.
    """

    num_tokens: int
    flops: int
    seconds: float
    peak_bytes: int


def rows(lengths: tuple[int, ...], turns: int) -> Iterator[tuple[str, Measured]]:
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
            flops = nx.explain.closed_form(layer, 1, num_tokens).flops
            yield name, Measured(num_tokens, flops, min(times[name]), peaks[name])


def scene(found: dict[str, list[Measured]], turns: int) -> Scene:
    """What was measured, as curves over the length."""
    attention, mixer = found["attention"], found["mixer"]
    ratios = {
        "FLOPs, counted": [a.flops / m.flops for a, m in zip(attention, mixer, strict=True)],
        "time, measured": [a.seconds / m.seconds for a, m in zip(attention, mixer, strict=True)],
    }
    times = {name: [1e3 * row.seconds for row in rows] for name, rows in found.items()}
    peaks = {name: [row.peak_bytes / 2**20 for row in rows] for name, rows in found.items()}
    how = (
        f"NumPy {np.__version__}, float32, threads: 1, B = 1, D = {HIDDEN_DIM}, H = {NUM_HEADS}, "
        f"F = {FF_DIM}"
    )

    def chart(title: str, unit: str, curves: dict[str, list[float]], note: str = "") -> Chart:
        x = tuple(float(row.num_tokens) for row in mixer)
        series = tuple(
            Series(name, tuple(float(f"{y:.6g}") for y in values))
            for name, values in curves.items()
        )
        return Chart(title, "T", x, unit, series, log_x=True, log_y=True, note=note)

    panels = (
        chart("Time", "milliseconds", times, f"{how}, fastest of {turns} turns"),
        chart("Attention / mixer", "times", ratios),
        chart("Peak memory", "MiB", peaks, how),
    )
    about = (
        "Time over length for mixer, attention and network, then attention to mixer, then the peak "
        "memory of all three."
    )
    return Scene("Time and memory of one forward, measured", about, panels)


def measured(lengths: tuple[int, ...] = LENGTHS, turns: int = 5) -> Scene:
    """The figure."""
    found: dict[str, list[Measured]] = {}
    for name, row in rows(lengths, turns):
        print(name, row, flush=True)
        found.setdefault(name, []).append(row)
    return scene(found, turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="turns of each layer (5)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the scene there")
    options = parser.parse_args()
    text = measured(turns=options.turns).json()
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
