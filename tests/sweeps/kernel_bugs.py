"""Bugs that kernels have, and whether a default run of the kit sees them.

Each is a backend of its own, in ``size_bugs``, ``memory_bugs``, ``state_bugs`` and ``format_bugs``:
the right one of ``kernels`` with one step as a kernel might have it. They were thought of without
looking at the kit's cases. ``conform`` gets each at its defaults, in every format in which it is a
bug, for the stages that have it, and after them the right backend, which must pass::

    PYTHONPATH=.:tests python -m sweeps.kernel_bugs [--family size] [--format float32] [NAME ...]
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from sweeps import format_bugs, memory_bugs, size_bugs, state_bugs
from sweeps.kernel_bug import BUGS, Bug
from sweeps.kernels import Kernels

from numixology.verify.conformance import conform

FAMILIES = ("size", "memory", "state", "format")
FORMATS = ("float32", "bfloat16")
ENOUGH = 0.95
HONEST = (Kernels, format_bugs.Flushed, format_bugs.Once)
MODULES = (size_bugs, memory_bugs, state_bugs, format_bugs)  # which enter them


class Result(NamedTuple):
    """What the kit said of one backend in one format."""

    name: str
    family: str
    dtype: str
    verdict: str
    said: str
    seconds: float

    @property
    def caught(self) -> bool:
        return self.verdict == "fail"


def said_of(report: Any) -> str:
    """Which bug the report names, which contract was broken, and how many tensors were wrong."""
    words = []
    for one in report.stages:
        if one.outcome == "fail":
            wrong = sorted({c.case for c in one.comparisons if c.outcome == "fail"})
            words.append(f"{one.stage}: {len(wrong)} cases wrong")
            words += wrong[:1]
            words += [str(contract) for contract in one.broken]
            words += str(one.diagnosis or "undiagnosed").splitlines()
        elif one.outcome == "inconclusive":
            words.append(f"{one.stage}: inconclusive, {list(one.remarks)}")
    return "; ".join(words)


def wrongs(report: Any) -> set[tuple[str, str]]:
    """Every tensor of a case that is wrong, and every promise that is broken, without figures."""
    found = {
        (case.case, case.tensor)
        for one in report.stages
        for case in one.comparisons
        if case.outcome == "fail"
    }
    return found | {(s.stage, str(said).split(":")[0]) for s in report.stages for said in s.broken}


def judged(name: str, family: str, adapter: Any, right: Any = None) -> Result:
    """What a default run says, beyond what it says of the right backend."""
    begun = time.monotonic()
    try:
        report = conform(adapter, stages=adapter.stages)
        verdict, said = report.verdict, said_of(report)
        if verdict == "fail" and right is not None and not wrongs(report) - of_right(right):
            verdict = "pass"
    except Exception as error:
        verdict, said = "error", f"{type(error).__name__}: {error}"
    return Result(name, family, adapter.dtype, verdict, said, time.monotonic() - begun)


RIGHT: dict[Any, set[tuple[str, str]]] = {}


def of_right(right: Any) -> set[tuple[str, str]]:
    """What the kit finds wrong with the right backend, which is nothing unless the kit is wrong."""
    key = right.dtype, right.stages, type(right)
    if key not in RIGHT:
        RIGHT[key] = wrongs(conform(right, stages=right.stages))
    return RIGHT[key]


def right_of(one: Bug, dtype: str) -> Kernels:
    """The right backend with the bug's stages and declarations."""
    right = next(make for make in HONEST[::-1] if issubclass(one.make, make))(dtype)
    right.stages = one.stages
    return right


def results(bugs: list[Bug], formats: tuple[str, ...]) -> Iterator[Result]:
    for one in bugs:
        for dtype in one.formats:
            if dtype in formats:
                yield judged(one.name, one.family, one.make(dtype), right_of(one, dtype))


def line(one: Result) -> str:
    about = BUGS.get(one.name)
    where = f" [{' '.join(about.stages)}" if about else ""
    where += f", {about.axis} {about.begins}]" if about and about.axis else "]" if about else ""
    verdict = "caught" if one.caught else "MISSED" if one.verdict == "pass" else one.verdict
    verdict = verdict if about else one.verdict
    return f"{verdict:7} {one.dtype:8} {one.name}{where} {one.seconds:.1f} s\n        {one.said}"


def summary(found: list[Result]) -> str:
    total, caught = Counter(), Counter()
    for one in found:
        for key in ((one.family, one.dtype), ("all", one.dtype)):
            total[key] += 1
            caught[key] += one.caught
    lines = [f"{'':8}" + "".join(f"{dtype:>12}" for dtype in FORMATS)]
    for family in (*FAMILIES, "all"):
        counts = [f"{caught[family, d]}/{total[family, d]}" for d in FORMATS]
        lines.append(f"{family:8}" + "".join(f"{count:>12}" for count in counts))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="these alone")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="of these (all)")
    parser.add_argument("--format", action="append", choices=FORMATS, help="in these (both)")
    parser.add_argument("--stage", action="append", help="in these stages (all)")
    parser.add_argument("--list", action="store_true", help="name and describe them")
    parser.add_argument("--no-honest", action="store_true", help="without the right backend")
    options = parser.parse_args()
    chosen = [
        one
        for one in BUGS.values()
        if (not options.names or one.name in options.names)
        and (not options.family or one.family in options.family)
        and (not options.stage or set(options.stage) & set(one.stages))
    ]
    if options.list:
        for one in chosen:
            begins = f", {one.axis} from {one.begins}" if one.axis else ""
            print(f"{one.name} ({one.family}, {' '.join(one.stages)}{begins}): {one.description}")
        print(f"{len(chosen)} bugs")
        return 0
    formats = tuple(options.format or FORMATS)
    found: list[Result] = []
    for one in results(chosen, formats):
        found.append(one)
        print(line(one), flush=True)
    right: list[Result] = []
    if not options.no_honest:
        for make in HONEST:
            for dtype in formats:
                right.append(judged(f"right, {make.__name__}", "right", make(dtype)))
                print(line(right[-1]), flush=True)
    print(summary(found))
    print("missed:", ", ".join(f"{one.name} ({one.dtype})" for one in found if not one.caught))
    share = sum(one.caught for one in found) / max(1, len(found))
    return int(share < ENOUGH or any(one.verdict != "pass" for one in right))


if __name__ == "__main__":
    sys.exit(main())
