"""Timing side by side, in one process, so that only ratios are read."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import pytest


def installed(builders: Mapping[str, Callable[[], Any]]) -> dict[str, Callable[[], Any]]:
    """The step of every engine that is installed; a builder skips where it is not."""
    steps = {}
    for name, build in builders.items():
        try:
            steps[name] = build()
        except pytest.skip.Exception:
            print(f"\n{name} is left out: not installed", end="")
    return steps


def interleaved(
    steps: Mapping[str, Callable[[], Any]], rounds: int, least: float = 0.02
) -> dict[str, list[float]]:
    """Seconds per call, round by round: each round runs every step for at least ``least`` s."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    calls = {}
    for name, step in steps.items():  # also the warm-up
        start = time.perf_counter()
        step()
        step()
        calls[name] = max(1, round(2 * least / (time.perf_counter() - start)))
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                step()
            times[name].append((time.perf_counter() - start) / calls[name])
    return times


def print_table(
    title: str, times: Mapping[str, list[float]], base: str, unit: str, per: float
) -> None:
    """Medians in ``unit`` of ``per`` seconds, and the rounds' median ratio to ``base``."""
    width = max(len(name) for name in (*times, "engine"))
    print(f"\n\n{title}\n{'engine':{width}}  {unit:>12}  {'x ' + base:>{len(base) + 8}}")
    for name, rounds in times.items():
        ratio = median(t / b for t, b in zip(rounds, times[base], strict=True))
        print(f"{name:{width}}  {median(rounds) / per:12.3f}  {ratio:{len(base) + 8}.2f}")
