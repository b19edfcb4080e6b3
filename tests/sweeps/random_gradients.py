"""How often is gradcheck right about a gradient that somebody wrote by hand?

    python tests/sweeps/random_gradients.py --runs 20000 --write docs/random_gradients.txt
    python tests/sweeps/random_gradients.py --only "Huber loss:123" --right

A run draws a function, its shapes, numbers and constants, and its gradient as textbooks write it.
There are as many runs in which a mistake is made that people make. Of a wrong gradient that passes
the report says how small an error would have been caught; if this one was larger, the claim was
false. torch and JAX are asked about the same functions and gradients, but not about float32, nor
about numixology's tape.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# Run as a script, this file is not where its neighbors are looked for.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sweeps.random_gradients_cases import FAMILIES, LEAST, Outcome, drawn, drawn_of, outcome

from numixology.text import columns

#: Sizes of mistakes, in the rows of a table.
_SIZES = (1e-1, 1e-3, 1e-6, 1e-9, 1e-12, 0.0)
_TOOLS = ("torch", "JAX")


def outcomes(numbers: Iterable[int], right: bool, seed: int, elsewhere: bool) -> Iterator[Outcome]:
    others = tools() if elsewhere else {}
    for number in numbers:
        yield outcome(drawn(seed, number, right), others)


def tools() -> dict[str, Callable[..., str]]:
    if find_spec("torch") is None or find_spec("jax") is None:
        return {}
    from sweeps import random_gradients_elsewhere

    return {
        "torch": random_gradients_elsewhere.by_torch,
        "JAX": random_gradients_elsewhere.by_jax,
    }


# Tables ---------------------------------------------------------------------------------


def verdicts(found: Sequence[Outcome], tool: str) -> list[str]:
    """What a tool said, where it was asked."""
    if tool == "numixology":
        return [one.verdict for one in found]
    return [one.elsewhere[tool] for one in found if tool in one.elsewhere]


def share(said: Sequence[str], *wanted: str) -> str:
    if not said:
        return "-"
    part = sum(one in wanted for one in said) / len(said)
    return f"{part:.2%}" if 0 < part < 0.01 else f"{part:.1%}"


def of_the_right(found: Sequence[Outcome]) -> str:
    rows = []
    for tool in ("numixology", *_TOOLS):
        if said := verdicts(found, tool):
            row = [share(said, verdict) for verdict in ("pass", "fail", "inconclusive", "raised")]
            rows.append([tool, f"{len(said):,}", *row])
    return columns(
        ["right gradients", "runs", "pass", "fail", "inconclusive", "raises"], rows, "<>>>>>"
    )


def of_the_wrong(found: Sequence[Outcome], title: str, groups: dict[str, list[Outcome]]) -> str:
    """Of the wrong ones, what passes."""
    rows = []
    for name, members in {**groups, "all": list(found)}.items():
        if not members:
            continue
        said = verdicts(members, "numixology")
        passed = [share(said, "fail", "raised"), share(said, "inconclusive"), share(said, "pass")]
        false = str(sum(one.offends for one in members))
        others = [share(verdicts(members, tool), "pass") for tool in _TOOLS]
        rows.append([name, f"{len(members):,}", *passed, false, *others])
    header = [title, "runs", "fail", "inconcl.", "pass", "false claims", "torch", "JAX"]
    return columns(header, rows, "<>>>>>>>")


def by_size(found: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    above = np.inf
    for least in _SIZES:
        name = f"{least:.0e} and more" if np.isinf(above) else f"{least:.0e} to {above:.0e}"
        name = name if least else f"below {above:.0e}"
        groups[name] = [one for one in found if least <= one.size < above or one.size == above]
        above = least
    return groups


def by(found: Sequence[Outcome], key: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for one in sorted(found, key=key):
        groups.setdefault(key(one), []).append(one)
    return groups


def of_functions(right: Sequence[Outcome], wrong: Sequence[Outcome]) -> str:
    """Per function: right gradients that fail, and wrong ones that pass."""
    rows = []
    for family in FAMILIES:
        good = [one for one in right if one.case.family is family]
        bad = [one for one in wrong if one.case.family is family]
        if not good or not bad:
            continue
        fails = [share(verdicts(good, t), "fail", "raised") for t in ("numixology", *_TOOLS)]
        passes = [share(verdicts(bad, tool), "pass") for tool in ("numixology", *_TOOLS)]
        rows.append([family.name, *fails, *passes])
    header = ["function", "right fail", "torch", "JAX", "wrong pass", "torch", "JAX"]
    return columns(header, rows, "<>>>>>>")


def tables(right: Sequence[Outcome], wrong: Sequence[Outcome]) -> str:
    common = {
        name: found
        for name, found in by(wrong, lambda one: one.case.mistake).items()
        if len(found) >= len(wrong) / 200
    }
    return "\n\n".join(
        [
            of_the_right(right),
            of_the_wrong(wrong, "wrong by", by_size(wrong)),
            of_the_wrong(wrong, "mistake", common),
            of_functions(right, wrong),
        ]
    )


# Running --------------------------------------------------------------------------------


def described(one: Outcome) -> str:
    case = one.case
    inputs = ", ".join(repr(np.asarray(x).tolist()) for x in case.made.inputs)
    wrong = f"  mistake: {case.mistake}, size {one.size:.1e}\n" if case.mistake else ""
    return (
        f"{one.name} [{case.kinds}]: {one.verdict}\n{wrong}"
        f"  {one.reason} (detectable {one.detectable:.1e})\n  inputs {inputs}"
    )


def watched(found: Iterable[Outcome], count: int, what: str) -> Iterator[Outcome]:
    """The same, with a line on a terminal that counts them."""
    started = time.perf_counter()
    for done, one in enumerate(found, 1):
        if sys.stderr.isatty() and (done % 20 == 0 or done == count):
            rest = (time.perf_counter() - started) / done * (count - done)
            end = "\r\x1b[K" if done == count else ""
            line = f"\r\x1b[K{what}: {done:,} of {count:,}, {rest:.0f} s left{end}"
            print(line, end="", file=sys.stderr, flush=True)
        yield one


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="right ones, and wrong ones (1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="FUNCTION:NUMBER", help="this case alone")
    parser.add_argument("--right", action="store_true", help="with --only, the right gradient")
    parser.add_argument("--alone", action="store_true", help="without torch and JAX")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables there too")
    options = parser.parse_args(argv)
    if options.only is not None:
        name, number = options.only.rsplit(":", 1)
        family = next(one for one in FAMILIES if one.name == name)
        print(described(outcome(drawn_of(family, options.seed, int(number), options.right))))
        return 0
    numbers = range(options.runs)
    right, wrong = (
        list(
            watched(
                outcomes(numbers, good, options.seed, not options.alone),
                options.runs,
                "right ones" if good else "wrong ones",
            )
        )
        for good in (True, False)
    )
    wrong = [one for one in wrong if not one.size < LEAST]
    text = tables(right, wrong)
    print(text)
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")
    bad = [one for one in right if one.verdict in ("fail", "raised")]
    bad += [one for one in wrong if one.offends]
    for one in bad:
        print(described(one))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
