"""What a backend remembers: between two calls it should be nothing.

A kernel may keep what its forward computed for its backward, a packed copy of a weight, or a
workspace. Whatever it keeps must be of this call, and not of the one before.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from .bench import COTANGENT, Bench, Results, Trial, arrays_of, with_arrays
from .bounds import true_tensors
from .cases import Case, truth_of

__all__ = ["SEQUENCES", "first_rows", "in_turn", "other_numbers", "remembered"]

#: Calls in a row. f is forward and g is vjp; a is a case, b one of other numbers, c of other
#: shapes, e of other settings, and s of another stage.
SEQUENCES = {
    "with two forwards before their backwards": "fa fb ga gb fa fb gb ga",
    "with calls of two shapes in turn": "fa fc ga gc fa fc gc ga",
    "with calls of two settings in turn": "fa fe ga ge fa",
    "with calls of two stages in turn": "fa fs ga gs fa",
}


def remembered(bench: Bench) -> Iterator[Trial]:
    """Calls of several cases in turn, each of which must say what it says alone."""
    a = bench.case
    b, both = other_numbers(a), bench.functions
    players = {"a": a, "b": b, "c": first_rows(a, max(1, len(a.cotangent) - 1))}
    players |= _other_settings(bench) | _other_stage(bench)
    if bench.right():
        # What was kept of others is wrong in the first call of these.
        for when, letter, functions in (
            ("with no forward before its backward", "b", both[1:]),
            ("with other numbers of the same shape", "b", both),
            ("with other settings", "e", both),
        ):
            if functions and (case := players.get(letter)):
                wanted = _of(functions, true_tensors(truth_of(case)))
                call = partial(bench.ask, case, functions)
                yield Trial(when, call, wanted, "is right", bench.scales(case), slack=4)
    alone = {letter: bench.ask(players[letter]) for letter in "bce" if letter in players}
    alone["a"] = bench.base
    refilled, own = partial(_refilled, bench, b), "with them in arrays of their own"
    yield Trial("with other numbers in the same arrays", refilled, alone["b"], own, bench.scales(b))
    for when, sequence in SEQUENCES.items():
        steps = [*zip(sequence[::3], sequence[1::3], strict=True)]
        done: list[Callable[[], Results]] = []
        for step, letter in steps if {letter for _, letter in steps} <= {*players} else ():
            function = {"f": "forward", "g": "vjp"}[step]
            if function in both:
                case, wanted = players[letter], _of([function], alone.get(letter, {}))
                done.append(partial(bench.ask, case, [function]))
                own, again = "in a call of its own", partial(in_turn, done[:])
                yield Trial(when, done[-1], wanted, own, bench.scales(case), again=again)


def in_turn(calls: Sequence[Callable[[], Results]]) -> Results:
    """The result of the last call."""
    return [call() for call in calls][-1]


def _of(functions: Collection[str], results: Results) -> Results:
    """What some of the two functions return."""
    return {
        name: one
        for name, one in results.items()
        if ("forward" if name == "output" else "vjp") in functions
    }


def _refilled(bench: Bench, other: Case) -> Results:
    """The answer to another case, from arrays that have held the bench's own before."""
    own = {name: one.copy() for name, one in arrays_of(bench.case, ["vjp"]).items()}
    bench.ask(with_arrays(bench.case, own), layout="as it is")
    for name, one in arrays_of(other, ["vjp"]).items():
        own[name][...] = one
    return bench.ask(with_arrays(other, own), layout="as it is")


def other_numbers(case: Case) -> Case:
    """A case of the same shapes, settings and format, and of numbers of about the same size."""
    rolled = {name: np.roll(one, 1) for name, one in arrays_of(case, ["vjp"]).items()}
    halved = {k: one * one.dtype.type(-0.5) for k, one in rolled.items() if one.dtype.kind == "f"}
    return with_arrays(case, rolled | halved)


def first_rows(case: Case, rows: int) -> Case:
    """The case with so many rows of its batch."""
    batch = {k: v[:rows] for k, v in case.inputs.items() if k in ("x", "ids")}
    return with_arrays(case, {**batch, COTANGENT: case.cotangent[:rows]})


def _other_settings(bench: Bench) -> dict[str, Case]:
    inputs, width = bench.case.inputs, bench.case.cotangent.shape[-1]
    fixed = "H" in [*bench.about.requires, *bench.about.requires.values()]
    others: dict[str, Any] = {"eps": 0.25} if "eps" in inputs else {}
    heads = [n for n in range(2, width + 1) if width % n == 0 and n != inputs.get("num_heads")]
    if "num_heads" in inputs and heads and not fixed:
        others["num_heads"] = heads[0]
    return {"e": bench.case._replace(inputs={**inputs, **others})} if others else {}


def _other_stage(bench: Bench) -> dict[str, Case]:
    names = bench.about.stages
    i = (names.index(bench.case.stage) + 1) % len(names)
    return {"s": bench.made(names[i], B=2, T=3, D=10, H=2, F=13, V=9, L=2)} if names[1:] else {}
