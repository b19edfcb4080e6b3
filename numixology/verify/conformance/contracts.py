"""What a backend promises besides its numbers.

It leaves alone what it is given and what it has returned, reads arrays wherever they lie, remembers
nothing from call to call, keeps the rows of a batch apart, hands NaN on, is linear in its
cotangent, and says the same when it is asked again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...array import ignoring_fp_errors
from .adapter import Declaration
from .arithmetic import linear, masked, sums, tiny_results
from .bench import COTANGENT, Bench, Results, Trial, arrays_of, with_arrays
from .bounds import EXACT, Prepared, prepare
from .calling import Fault, Raised, Refused, called
from .cases import Case, truth_of
from .memory import LAYOUTS, REPEATING, held
from .stages import NETWORKS

__all__ = ["PROMISES", "Contracts", "contracts_of", "most_rows"]

Promise = Callable[[Bench], Iterable[Trial | str]]


class Contracts(NamedTuple):
    """What came of the promises.

    Attributes:
        broken: those that are broken, in sentences.
        remarks: what was not covered, what differs within the bounds, and what was measured.
    """

    broken: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def most_rows(cases: Sequence[Prepared]) -> Prepared:
    """The case for the contracts: a small plain one, with several rows in its batch.

    They are of odd length if such a case is there, so that loads of four reach beyond a row.
    """

    def fit(one: Prepared) -> tuple[bool, bool, bool, bool, int]:
        output = one.truth.output
        small, plain = output.size < 1 << 16, one.case.kind == "plain"
        return small, plain, len(output) > 1, output.shape[-1] % 4 > 0, len(output)

    return max(cases, key=fit)


def contracts_of(
    adapter: Any, cases: Sequence[Prepared], backward: bool, repeat: int = 1
) -> Contracts:
    """Try every promise on small cases of one stage.

    Args:
        adapter: what speaks for the backend.
        cases: all of the stage.
        backward: whether its gradients are tried.
        repeat: how many times it is asked the same again.
    """
    about = Declaration(adapter)
    broken: list[str] = []
    with ignoring_fp_errors():
        try:
            bench = Bench(about, most_rows(cases), backward)
        except Fault as fault:
            return Contracts((str(fault),))
        except Refused as why:
            return Contracts(remarks=(f"not covered: {why}",))
        steady: Promise = partial(repeated, repeat=repeat)
        for group in ((steady,), *PROMISES):
            for promise in () if broken else group:
                broken += _broken(bench, promise(bench))
    if lost := [layout for layout in LAYOUTS if layout in about.lost]:
        which = "arrays as they lie in memory" if len(lost) == len(LAYOUTS) else _listed(lost)
        bench.remarks.append(f"{which} do not reach this backend")
    texts = (*bench.noted, *broken), bench.remarks
    return Contracts(*(tuple(dict.fromkeys(each)) for each in texts))


def _broken(bench: Bench, trials: Iterable[Trial | str]) -> Iterator[str]:
    """What is wrong, each thing once; after a call that is not steady nothing else is said."""
    failed = set()
    try:
        for trial in trials:
            if isinstance(trial, str):
                yield trial
            elif trial.when not in failed and (sentence := bench.tried(trial)):
                failed.add(trial.when)
                again = map(bench.tried, [_again(bench)] * 8)
                if unsteady := next(filter(None, again), ""):
                    yield from (unsteady, sentence) if trial.when in SEQUENCES else (unsteady,)
                    return
                if not bench.tried(trial._replace(call=trial.again or trial.call)):
                    yield f"it is not steady: once, and not again, {sentence}"
                    return
                yield from [*filter(None, map(bench.tried, trial.narrower))] or [sentence]
    except Fault as fault:
        yield f"asked for another case {fault}"
    except Refused as why:
        bench.remarks.append(f"not covered: {why}")


def _again(bench: Bench, **how: Any) -> Trial:
    return bench.trial("asked the same again", bench.base, "before", **how)


# Promises -----------------------------------------------------------------------------


def repeated(bench: Bench, repeat: int = 1) -> Iterator[str]:
    """It says the same again, in all but the last digits; asked often, of a case with many rows."""
    asked = bench
    if repeat > 1:
        case = bench.made(bench.case.stage, B=96, T=16, D=64, H=16, F=64)
        (most,) = prepare([case], bench.one.accumulation, bench.one.once)
        asked = Bench(bench.about, most, "vjp" in bench.functions)
    differing: dict[str, int] = {}
    for _ in range(repeat):
        again = asked.ask()
        if sentence := asked.tried(_again(asked, call=partial(dict, again))):
            yield sentence
            return
        for name, a in asked.base.items():
            count = int((~((a == again[name]) | (np.isnan(a) & np.isnan(again[name])))).sum())
            differing[name] = max(count, differing.get(name, 0))
    bench.noted |= asked.noted
    bench.remarks += [
        f"two calls differ in {count} of {asked.base[name].size} numbers of the {called(name)}"
        for name, count in differing.items()
        if count
    ]
    if repeat > 1:
        bench.remarks.append(
            f"{repeat} more calls on {asked.case.name} agree; of a race that shows once in a "
            f"thousand calls so many see nothing with a chance of {0.999**repeat:.0%}"
        )


def laid(bench: Bench) -> Iterator[Trial]:
    """Arrays that lie elsewhere in memory have the same numbers."""
    arrays = arrays_of(bench.case, bench.functions)
    for layout in LAYOUTS:
        ours = [COTANGENT] if layout == "one number repeated" else [*arrays]
        if layout == "stride 0" and bench.case.stage in NETWORKS:
            # With a parameter of equal rows a norm may get rows that are constant but for rounding.
            ours = [name for name in ours if name in ("x", COTANGENT)]
        if layout in bench.about.lost or not ours or not {*ours} <= {*arrays}:
            continue
        case, wanted = bench.case, bench.base
        if layout in REPEATING:
            repeated = {name: held(arrays[name], layout).array.copy() for name in ours}
            case = with_arrays(case, repeated)
            wanted = bench.ask(case)
        yield _with_layout(bench, case, wanted, layout, ours)


def _with_layout(
    bench: Bench, case: Case, wanted: Results, layout: str, names: Sequence[str]
) -> Trial:
    """All these arrays in a layout; if that goes wrong, one after the other."""
    each = [[name] for name in names] if len(names) > 1 else []
    narrower = [_with_layout(bench, case, wanted, layout, name) for name in each]
    when, call = f"with {layout} in {_listed(names)}", partial(bench.ask, case, (), layout, names)
    return bench.trial(when, wanted, "without", case, call=call, narrower=narrower)


def apart(bench: Bench) -> Iterator[Trial]:
    """What happens in one row of a batch, or at one token, does not happen in the others."""
    name = "ids" if "ids" in bench.case.inputs else "x"
    value = bench.case.inputs[name]
    places: dict[str, Any] = {"a row of the batch depends on the others": (np.s_[-1], np.s_[:-1])}
    if "num_heads" not in bench.case.inputs:  # no token mixes with others
        places["a token depends on the others"] = np.s_[:, -1], np.s_[:, :-1]
    wanted = {k: one for k, one in bench.base.items() if k in ("output", "x")}
    for says, (place, others) in places.items():
        changed = value.copy()
        changed[place] = np.roll(value[place], 1) if name == "ids" else value[place] / -2
        call = partial(bench.ask, with_arrays(bench.case, {name: changed}))
        yield bench.trial(says, wanted, "", call=call, part=others)


def not_a_number(bench: Bench) -> Iterator[str]:
    """NaN reaches what depends on it, and nothing else."""
    if "x" not in bench.case.inputs:
        return
    x = bench.case.inputs["x"].copy()
    x[0, 0, 0] = np.nan
    case = with_arrays(bench.case, {"x": x})
    true = np.isnan(truth_of(case).output)
    try:
        found = np.isnan(bench.ask(case, ["forward"])["output"])
    except Fault as fault:
        yield f"with NaN in x {fault}"
        return
    if (true & ~found).any():
        yield "NaN in its input does not reach its output"
    if (found & ~true).any():
        yield "NaN reaches more of its output than it should"


def empty(bench: Bench) -> Iterator[Trial | str]:
    """A batch of nothing has an output of nothing, and gradients of zero."""
    nothing = first_rows(bench.case, 0)
    try:
        got = bench.ask(nothing)
    except (Raised, Refused) as why:
        bench.remarks.append(f"an empty batch is not covered: {why}")
        return
    except Fault as fault:
        yield f"with an empty batch {fault}"
        return
    for name, one in got.items():
        if one.any():  # NaN too
            yield f"with an empty batch its {called(name)} is not zero"
    again = partial(in_turn, [partial(bench.ask, nothing), bench.ask])
    yield bench.trial("after an empty batch", bench.base, "before it", again=again)


def single(bench: Bench) -> Iterator[str]:
    """Of one row nothing is added up; its gradients are arrays of their own even so."""
    if bench.case.stage not in EXACT:
        bench.ask(bench.made(bench.case.stage, B=1, T=1, D=10, H=2, F=13, V=9, L=1))
    yield from ()


# Nothing is remembered from call to call. A kernel may keep what its forward computed for its
# backward, a packed copy of a weight, or a workspace: it must be of this call.

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
    a, both = bench.case, bench.functions
    players = {"a": a, "b": other_numbers(a), "c": first_rows(a, max(1, len(a.cotangent) - 1))}
    players |= _other_settings(bench) | _other_stage(bench)
    if bench.right():
        # What was kept of others is wrong in the first call of these.
        for when, letter, functions in (
            ("with no forward before its backward", "b", both[1:]),
            ("with other numbers of the same shape", "b", both),
            ("with other settings", "e", both),
        ):
            if functions and (case := players.get(letter)):
                wanted = _of(functions, truth_of(case).tensors)
                call = partial(bench.ask, case, functions)
                yield bench.trial(when, wanted, "is right", case, call=call, slack=4)
    alone = {letter: bench.ask(players[letter]) for letter in "bce" if letter in players}
    alone["a"], own = bench.base, "with them in arrays of their own"
    refilled = partial(_refilled, bench, players["b"])
    when = "with other numbers in the same arrays"
    yield bench.trial(when, alone["b"], own, players["b"], call=refilled)
    for when, sequence in SEQUENCES.items():
        steps = [*zip(sequence[::3], sequence[1::3], strict=True)]
        done: list[Callable[[], Results]] = []
        for step, letter in steps if {letter for _, letter in steps} <= {*players} else ():
            function = {"f": "forward", "g": "vjp"}[step]
            if function in both:
                case, wanted = players[letter], _of([function], alone.get(letter, {}))
                done.append(partial(bench.ask, case, [function]))
                own, again = "in a call of its own", partial(in_turn, done[:])
                yield bench.trial(when, wanted, own, case, call=done[-1], again=again)


def many_rows(bench: Bench) -> Iterator[Trial]:
    """Two cases of more rows than a block of a kernel has, one after the other."""
    if bench.right():
        many = bench.made(bench.case.stage, B=70, T=3, D=10, H=2, F=13, V=9, L=2)
        other = other_numbers(many)
        both = partial(in_turn, [partial(bench.ask, many), partial(bench.ask, other)])
        wanted = _of(bench.functions, truth_of(other).tensors)
        when = "with other numbers of the same shape in many rows"
        yield bench.trial(when, wanted, "is right", other, call=both, slack=4)


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
    fixed |= bench.case.stage == "mixer_large"  # whose weights have sizes that depend on H
    others: dict[str, Any] = {"eps": 0.25} if "eps" in inputs else {}
    if "num_heads" in inputs and not fixed:
        heads = [n for n in range(2, width + 1) if width % n == 0 and n != inputs["num_heads"]]
        others |= {"num_heads": heads[0]} if heads else {}
    return {"e": bench.case._replace(inputs={**inputs, **others})} if others else {}


def _other_stage(bench: Bench) -> dict[str, Case]:
    names = bench.about.stages
    i = (names.index(bench.case.stage) + 1) % len(names)
    return {"s": bench.made(names[i], B=2, T=4, D=14, H=2, F=13, V=9, L=2)} if names[1:] else {}


#: Every promise, as a generator of what is tried, or of what is wrong. Of a backend that remembers
#: earlier calls nothing else is asked.
PROMISES: tuple[tuple[Promise, ...], ...] = (
    (remembered,),
    (laid, apart, not_a_number, empty, single, linear, masked, sums, tiny_results),
    (many_rows,),
)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
