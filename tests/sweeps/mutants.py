"""Run the conformance kit on backends that are known to be wrong, and on others known to be right.

Every known bug, as a backend that adds up in another order than the one that it is compared with,
must fail at the stages where it shows first, and should be taken for what it is. Every legitimate
rewrite must pass. The status is 0 if no bug survived and no rewrite was called wrong.
"""

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

# Run as a script, this file has the folder of its own on the path; the others start from tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sweeps.rewrites import REWRITES, Rewrite

from numixology.text import columns
from numixology.verify.conformance import BUGS, FORMATS, STAGES, Bug, Textbook, make_case
from numixology.verify.conformance.bounds import Prepared, prepare, prepared
from numixology.verify.conformance.bugs import bugs_of
from numixology.verify.conformance.diagnosis import Lineup, diagnose
from numixology.verify.conformance.kit import examined


class Trial(NamedTuple):
    """One bug at one stage: whether it was caught, and what it was taken for, if for anything."""

    bug: str
    family: str
    stage: str
    caught: bool
    taken_for: str
    nearest: str


class Check(NamedTuple):
    """One rewrite at one stage: how many tensors were compared, and what was wrongly found wrong.

    The ratio is how near to its bound an error came at most; 0 if the rewrite declares a profile.
    """

    rewrite: str
    stage: str
    comparisons: int
    alarms: tuple[str, ...]
    ratio: float


#: Where bugs show that need size, masks or long sums: a kind, a seed, and sizes.
FURTHER: dict[str, tuple[tuple[str, int, dict[str, int] | None], ...]] = {
    "embedding": tuple(("kernel", 0, {"B": 5, "T": 4, "D": 6, "V": v}) for v in (300, 70_001)),
    "token_mix": (("kernel", 0, {"B": 3, "T": 4, "D": 15, "H": 5}),),
    "softmax": (("masked", 0, None), ("positive", 0, {"B": 2, "T": 3, "D": 1001})),
    "layer_norm": (("positive", 0, {"B": 2, "T": 3, "D": 1001}),),
    "linear": (("positive", 0, {"B": 2, "T": 3, "D": 1001, "F": 5}),),
}


def cases_for(stage: str, dtype: str, seeds: int) -> list[Prepared]:
    """The quick set, and what some bugs need to show."""
    accumulation = Textbook(dtype).accumulation
    further = [
        one
        for kind, seed, sizes in FURTHER.get(stage, ())
        for one in prepare([make_case(stage, kind, seed, dtype, sizes)], accumulation)
    ]
    return prepared(dtype, accumulation, [stage], seeds) + further


def trials(cases: Sequence[Prepared], names: Collection[str] = tuple(BUGS)) -> Iterator[Trial]:
    """The bugs of a stage, or those of that name."""
    stage, dtype = cases[0].case.stage, cases[0].case.dtype
    lineup = Lineup(cases, Textbook(dtype).accumulation)
    for bug in bugs_of(stage, dtype):
        if bug.name in names:
            yield tried(bug, cases, lineup)


def tried(bug: Bug, cases: Sequence[Prepared], lineup: Lineup) -> Trial:
    case = cases[0].case
    backend = bug.make(case.dtype, None if bug.noisy else "float64")
    backend.accumulation = lineup.accumulation  # though it rounds otherwise than the dictionary
    if bug.family in ("contracts", "memory", "storage") or bug.unsteady:
        report = examined(backend, cases, lineup)
        caught, found = report.outcome == "fail", report.diagnosis
    else:  # it breaks no promise, and trying them takes long
        found = diagnose(backend, cases, (), lineup)
        caught = found is not None
    return Trial(
        bug.name,
        bug.family,
        case.stage,
        caught,
        found.bug if found and found.by else "",
        found.bug if found else "",
    )


def checks(cases: Sequence[Prepared]) -> Iterator[Check]:
    """The rewrites that make a difference at a stage."""
    for one in REWRITES.values():
        if cases[0].case.stage in one.stages:
            yield checked(one, cases)


def checked(one: Rewrite, cases: Sequence[Prepared]) -> Check:
    report = examined(one.make(cases[0].case.dtype), cases)
    wrong = [
        f"{one.name}: {c.tensor} of {c.case} is off by {c.error:.3g}, {c.bound:.3g} is allowed"
        for c in report.comparisons
        if c.outcome == "fail"
    ]
    wrong += [f"{one.name}: {text} ({report.stage})" for text in report.broken]
    if report.outcome == "inconclusive":
        wrong.append(f"{one.name}: {'; '.join(report.remarks)} ({report.stage})")
    ratio = max((0.0 if one.profile else c.ratio for c in report.comparisons), default=0.0)
    return Check(one.name, report.stage, len(report.comparisons), tuple(wrong), ratio)


def misnamed(found: Sequence[Trial]) -> list[Trial]:
    return [one for one in found if one.caught and one.taken_for != one.bug]


def survivors(found: Sequence[Trial]) -> list[Trial]:
    return [one for one in found if not one.caught]


def summary(found: Sequence[Trial], rewrites: Sequence[Check]) -> str:
    rows = []
    for family in [*dict.fromkeys(one.family for one in found), "all"]:
        own = [one for one in found if family in (one.family, "all")]
        caught = len(own) - len(survivors(own))
        rows.append((family, str(len(own)), str(caught), str(caught - len(misnamed(own)))))
    lines = [columns(("family", "tried", "caught", "named"), rows, "<>>>")]
    lines += [f"survives: {one.bug} ({one.stage})" for one in survivors(found)]
    lines += [
        f"misnamed: {one.bug} ({one.stage}) is taken for {one.taken_for or 'none'}, the nearest is "
        f"{one.nearest}"
        for one in misnamed(found)
    ]
    alarms = [text for one in rewrites for text in one.alarms]
    compared = sum(one.comparisons for one in rewrites)
    nearest = max(rewrites, key=lambda one: one.ratio)
    lines += [
        f"{len({one.rewrite for one in rewrites})} legitimate rewrites: {compared} tensors "
        f"compared, {len(alarms)} false alarms",
        *(f"false alarm: {text}" for text in alarms),
        f"nearest to its bound: {nearest.rewrite} ({nearest.stage}), at {nearest.ratio:.2g} of it",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=FORMATS, default="float32", help="the format (float32)")
    parser.add_argument("--seeds", type=int, default=3, help="cases of every kind (3)")
    parser.add_argument("--stage", choices=STAGES, action="append", help="by default all")
    options = parser.parse_args(arguments)
    found: list[Trial] = []
    rewrites: list[Check] = []
    for stage in options.stage or STAGES:
        cases = cases_for(stage, options.dtype, options.seeds)
        found += trials(cases)
        rewrites += checks(cases)
        if sys.stderr.isatty():
            print(f"\r\x1b[K{stage}", end="", file=sys.stderr, flush=True)
    print(summary(found, rewrites))
    return int(bool(survivors(found) or any(one.alarms for one in rewrites)))


if __name__ == "__main__":
    sys.exit(main())
