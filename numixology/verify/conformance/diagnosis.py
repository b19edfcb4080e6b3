"""Which known bug does a failing backend have?

Every known bug of the stage is run on cases where the backend is wrong, and on some where it is
right, since a bug must also explain where nothing is wrong. The one whose results come nearest is
named, and how near that is. Where rounding is the bug, no two orders of summation agree in a
digit: then the sizes of the errors are compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from .adapter import Declaration, declared
from .bounds import GUARD, Prepared, measured, true_tensors
from .bugs import Bug, bugs_of
from .calling import answered
from .cases import Case
from .contracts import contracts_of, most_rows
from .formats import format_of
from .verdicts import LOADING, Diagnosis

__all__ = ["Lineup", "diagnose"]

#: A bug is named if it leaves no more than this share of the difference unexplained.
NEAR = 0.2
#: The same where only the sizes of errors, or the words of a breach, can agree.
_LIKE = 0.5
#: How many cases the bugs are run on.
_CASES = 12

#: What a stage is made of: if a backend does not offer those, their bugs may be in it.
_PARTS = {
    "feed_forward": ("layer_norm", "linear", "gelu"),
    "swiglu_feed_forward": ("layer_norm", "linear", "silu"),
    "block": ("token_mix", "layer_norm", "linear", "gelu", "feed_forward"),
    "model": ("embedding", "token_mix", "layer_norm", "linear", "gelu", "feed_forward", "block"),
}


class Lineup:
    """What known bugs make of the cases of a stage, found out when asked, and remembered.

    Args:
        cases: all of one stage.
        accumulation: the dtype in which sums are formed.
    """

    def __init__(self, cases: Sequence[Prepared], accumulation: str | None = None) -> None:
        self.cases = cases
        self.dtype = cases[0].case.dtype
        self.accumulation = accumulation
        self._known: dict[tuple[str, int], dict[str, Any]] = {}
        self._fails: dict[tuple[str, int, str], bool] = {}
        self._breaches: dict[str, tuple[str, ...]] = {}

    def results(self, bug: Bug, i: int) -> dict[str, Any]:
        """What the bug makes of a case; nothing if that cannot be compared."""
        if (bug.name, i) not in self._known:
            backend = bug.make(self.dtype, self.accumulation)
            self._known[bug.name, i] = answered(backend, self.cases[i].case, True).results
        return self._known[bug.name, i]

    def fails(self, bug: Bug, i: int, tensor: str) -> bool:
        """Whether the bug shows in a tensor of a case."""
        if (bug.name, i, tensor) not in self._fails:
            one, results = self.cases[i], self.results(bug, i)
            found, true = results.get(tensor), true_tensors(one.truth)[tensor]
            self._fails[bug.name, i, tensor] = found is None or (
                measured(found, true, one.scales[tensor], self.dtype).error > one.bounds[tensor]
            )
        return self._fails[bug.name, i, tensor]

    def shows(self, bug: Bug) -> bool:
        """Whether the bug shows in any number."""
        return any(
            self.fails(bug, i, tensor) for i, one in enumerate(self.cases) for tensor in one.bounds
        )

    def size(self, bug: Bug, i: int, tensor: str) -> float:
        """How far from the truth the bug takes a tensor of a case."""
        one, found = self.cases[i], self.results(bug, i)[tensor]
        true = true_tensors(one.truth)[tensor]
        return _gap(np.asarray(found, np.float64), true, one.scales[tensor])

    def breaches(self, bug: Bug) -> tuple[str, ...]:
        """Which contracts the bug breaks."""
        if bug.name not in self._breaches:
            self._breaches[bug.name] = self._broken(bug.make(self.dtype, self.accumulation))
        return self._breaches[bug.name]

    def _broken(self, backend: Any) -> tuple[str, ...]:
        for one in self.cases:
            if fault := answered(backend, one.case, True).fault:
                return (f"{fault} (on {one.case.name})",)
        try:
            return contracts_of(backend, most_rows(self.cases), True).broken
        except Exception as error:  # as a check of the inputs does
            return (f"it raised {type(error).__name__}: {' '.join(str(error).split())}",)


def diagnose(
    adapter: Any,
    cases: Sequence[Prepared],
    broken: Sequence[str] = (),
    lineup: Lineup | None = None,
    answers: Sequence[Mapping[str, Array]] = (),
) -> Diagnosis | None:
    """The known bug that comes nearest to what a backend computes.

    Args:
        adapter: what speaks for the backend.
        cases: all of one stage, at which it fails.
        broken: which contracts it breaks.
        lineup: what known bugs make of these cases, if several backends are diagnosed on them.
        answers: what it returned for each case, if that is known.

    Returns:
        The nearest, with how near it is, and lines that show the difference; None if nothing
        is wrong.

    Example:
        >>> from numixology.verify.conformance import BUGS, diagnose
        >>> from numixology.verify.conformance.bounds import prepared
        >>> cases = prepared("float32", "float32", ["silu"], seeds=1)
        >>> print(diagnose(BUGS["sigmoid-missing"].make("float32"), cases))
        matches: the gate is left out: x comes out (sigmoid-missing), all but 0 % of the difference
    """
    about = declared(adapter)
    lineup = lineup or Lineup(cases, about.accumulation)
    known = list(answers)
    for i, one in enumerate(cases[len(known) :], len(known)):
        results, fault, *_ = answered(adapter, one.case, about.has_vjp)
        if fault:
            return _by_breach(
                lineup, broken or (f"{fault} (on {one.case.name})",), i, about.has_vjp
            )
        known.append(results)
    seen = [each for i, results in enumerate(known) for each in _seen(cases[i], i, results)]
    worst = max((one for one in seen if one.fails), key=_severity, default=None)
    rows = cases.index(most_rows(cases))
    if worst is None:
        return _by_breach(lineup, broken, rows, about.has_vjp) if broken else None
    code = _value_code(cases[worst.i], worst)
    chosen = _telling(seen, cases)
    telling = sorted((one for one in seen if one.i in chosen), key=_severity, reverse=True)
    if not _steady(adapter, about, cases, telling, known):
        return _by_chance(lineup, telling, code)
    found = _by_value(lineup, _suspects(about, cases[0].case.stage), telling, code)
    if not found.by and broken:
        other = _by_breach(lineup, broken, rows, about.has_vjp)
        return other if other.by else found
    return found


class _Seen(NamedTuple):
    """One tensor of one case."""

    i: int
    tensor: str
    got: Array
    true: Array
    scale: Array
    bound: float
    noise: float  # what rounding does, relative to the scale
    fails: bool
    far: float  # from the truth, in the root mean square
    ratio: float
    place: tuple[int, ...]
    inside: bool  # a network, and so less easily shown


def _seen(one: Prepared, i: int, results: Mapping[str, Array]) -> Iterable[_Seen]:
    dtype = one.case.dtype
    for tensor, true in true_tensors(one.truth).items():
        if tensor in results:
            bound, scale = one.bounds[tensor], one.scales[tensor]
            found = measured(results[tensor], true, scale, dtype)
            got = np.asarray(results[tensor], np.float64)
            yield _Seen(
                i,
                tensor,
                got,
                true,
                scale,
                bound,
                bound / GUARD * format_of(dtype).unit,
                found.error > bound,
                _gap(got, true, scale),
                found.error / bound if bound else found.error * np.inf if found.error else 0.0,
                found.place,
                one.case.kind.startswith("in "),
            )


def _severity(one: _Seen) -> tuple[bool, bool, float]:
    """What shows a bug best: an error outside of networks, and a finite one."""
    finite = bool(np.isfinite(one.got[one.place]) and np.isfinite(one.true[one.place]))
    return not one.inside, finite, one.ratio


def _telling(seen: Sequence[_Seen], cases: Sequence[Prepared]) -> set[int]:
    """Of every kind the case that is farthest off, and some that are right though others fail."""
    worst: dict[int, float] = {}
    for one in seen:
        worst[one.i] = max(worst.get(one.i, 0.0), one.ratio)
    failing = {one.i for one in seen if one.fails}
    chosen: dict[str, int] = {}
    for i in sorted(worst, key=lambda i: -worst[i]):
        chosen.setdefault(cases[i].case.kind, i)
    right = [i for i in worst if i not in failing and i not in chosen.values()]
    return {*chosen.values(), *right[: max(0, _CASES - len(chosen))]}


def _suspects(about: Declaration, stage: str) -> list[Bug]:
    missing = [part for part in _PARTS.get(stage, ()) if part not in about.stages]
    found = {bug.name: bug for part in (stage, *missing) for bug in bugs_of(part, about.dtype)}
    return [bug for bug in found.values() if not bug.unsteady]


# By value


def _by_value(
    lineup: Lineup, suspects: Sequence[Bug], seen: Sequence[_Seen], code: str
) -> Diagnosis:
    found: list[tuple[float, float, Bug]] = []  # the nearest first
    for bug in suspects:
        limit = found[1][0] if len(found) > 1 else np.inf
        score, raw = _unexplained(lineup, bug, seen, limit)
        found.append((round(score, 2), raw, bug))
        found.sort(key=lambda one: one[:2])
    score, raw, nearest = found[0]
    if score > NEAR:
        sizes = ((_unlike_in_size(lineup, one, seen), one) for one in suspects if one.noisy)
        size, noisy = min(sizes, key=lambda one: one[0], default=(np.inf, nearest))
        if size <= _LIKE:
            runner_up = next(bug for *_, bug in (*found, found[0]) if bug is not noisy)
            return Diagnosis(noisy.name, noisy.description, size, runner_up.name, code, "size")
    by = "value" if score <= NEAR else ""
    second = found[1][2].name if len(found) > 1 else ""
    return Diagnosis(nearest.name, nearest.description, raw, second, code, by)


def _unexplained(
    lineup: Lineup, bug: Bug, seen: Sequence[_Seen], limit: float
) -> tuple[float, float]:
    """The share of the differences that a bug leaves unexplained: less noise, and with it.

    It counts against a bug where it differs from the truth and the backend does not. Beyond the
    limit nobody wants to know how far off it is.
    """
    score = raw = 0.0
    failing = sum(one.fails for one in seen)
    for one in seen:
        results = lineup.results(bug, one.i)
        if one.tensor not in results:
            return np.inf, np.inf
        if one.fails or lineup.fails(bug, one.i, one.tensor):
            left = _gap(one.got, np.asarray(results[one.tensor], np.float64), one.scale)
            most = max(one.far, left) or 1.0
            score += max(0.0, left - one.noise) / most / failing
            raw += left / most / failing
        if score > limit + 0.01:
            return np.inf, np.inf
    return score, raw


def _unlike_in_size(lineup: Lineup, bug: Bug, seen: Sequence[_Seen]) -> float:
    """How unlike the sizes of a bug's errors are to those of the backend."""
    unlike = []
    for one in seen:
        if one.fails or lineup.fails(bug, one.i, one.tensor):
            size = lineup.size(bug, one.i, one.tensor)
            unlike.append(1 - _quotient(one.far, size))
    return float(np.mean(unlike))


def _quotient(a: float, b: float) -> float:
    """The smaller by the larger of two numbers."""
    return min(a, b) / max(a, b) if max(a, b) else 1.0


def _gap(got: Array, other: Array, scale: Array) -> float:
    """How far apart two tensors are, in the root mean square; no two numbers more than two."""
    with ignoring_fp_errors():
        scale = np.fmax(scale, np.where(np.isfinite(got), np.abs(got), 0.0))
        same = (got == other) | (np.isnan(got) & np.isnan(other))
        gaps = np.where(same, 0.0, np.abs(got - other) / scale)
        gaps = np.minimum(np.where(np.isnan(gaps), 2.0, gaps), 2.0)
        return float(np.sqrt((gaps * gaps).mean()))


# By chance


def _steady(
    adapter: Any,
    about: Declaration,
    cases: Sequence[Prepared],
    seen: Sequence[_Seen],
    answers: Sequence[Mapping[str, Array]],
) -> bool:
    """Whether a backend says the same when it is asked again, but for rounding."""
    for i in list(dict.fromkeys(one.i for one in seen if one.fails))[:4]:
        again = answered(adapter, cases[i].case, about.has_vjp).results
        for one in seen:
            if one.i == i:
                first, second = (
                    np.asarray(each[one.tensor], np.float64) for each in (answers[i], again)
                )
                if measured(second, first, one.scale, about.dtype).error > one.bound:
                    return False
    return True


def _by_chance(lineup: Lineup, seen: Sequence[_Seen], code: str) -> Diagnosis:
    found = sorted(
        (_unlike_in_size(lineup, bug, seen), bug.name, bug.description)
        for bug in bugs_of(lineup.cases[0].case.stage, lineup.dtype)
        if bug.unsteady
    )
    if not found:
        return Diagnosis("unsteady", "no two calls agree", 0.0, "", code, "chance")
    (size, name, description), *others = found
    return Diagnosis(name, description, size, others[0][1] if others else "", code, "chance")


# By contract


def _by_breach(lineup: Lineup, broken: Sequence[str], i: int, has_vjp: bool) -> Diagnosis:
    """The bug that breaks the same contracts, in the same words as far as possible."""
    one = lineup.cases[i].case
    found = sorted(
        (_unlike(lineup.breaches(bug), broken), bug.name, bug.description)
        for bug in bugs_of(one.stage, one.dtype)
        if bug.family == "contracts" or not lineup.shows(bug)
    )
    code = _breach_code(one, " ".join(broken), has_vjp)
    if not found or found[0][0] > _LIKE:
        return Diagnosis("broken-contract", broken[0], 0.0, "", code, "contract")
    (unlike, name, description), *others = found
    return Diagnosis(name, description, unlike, others[0][1] if others else "", code, "contract")


def _unlike(texts: Sequence[str], others: Sequence[str]) -> float:
    """The share of words that two lists of sentences do not have in common."""
    a, b = set(" ".join(texts).split()), set(" ".join(others).split())
    return 1 - len(a & b) / len(a | b) if a | b else 1.0


# Lines to paste


def _begun(one: Case, *more: str) -> list[str]:
    """The lines that import what is needed, load the backend and make a case."""
    made, names = _made(one)
    imported = ", ".join(("adapters", names, *more))
    return [
        f"from numixology.verify.conformance import {imported}",
        f"# {LOADING}",
        f"case = {made}",
    ]


def _made(one: Case) -> tuple[str, str]:
    """How a case is made, and what that needs."""
    if not one.kind.startswith("in "):
        return f'make_case("{one.stage}", "{one.kind}", {one.seed}, "{one.dtype}")', "make_case"
    seed, i = divmod(one.seed, 100)
    network = f'make_case("{one.kind[3:]}", "plain", {seed}, "{one.dtype}")'
    return f"list(inside({network}))[{i}]", "inside, make_case"


def _value_code(one: Prepared, worst: _Seen) -> str:
    if worst.tensor == "output":
        got, true = "my_backend.forward(case.stage, case.inputs)", "output"
    else:
        got = f'my_backend.vjp(case.stage, case.inputs, case.cotangent)["{worst.tensor}"]'
        true = f'gradients["{worst.tensor}"]'
    place = list(worst.place)
    return "\n".join(
        (
            *_begun(one.case, "truth_of"),
            f"got = {got}",
            f"true = truth_of(case).{true}",
            f'print(got{place}, "and truly", true{place})',
        )
    )


def _breach_code(one: Case, broken: str, has_vjp: bool) -> str:
    lines = _begun(one)
    name = "ids" if "ids" in one.inputs else "x"
    forward = "my_backend.forward(case.stage, case.inputs)"
    vjp = "my_backend.vjp(case.stage, case.inputs, case.cotangent)"
    changed = f'inputs = {{**case.inputs, "{name}": case.inputs["{name}"].copy()}}'
    if "writes into" in broken:
        lines += [
            "before = [str(x) for x in (*case.inputs.values(), case.cotangent)]",
            forward,
            *([vjp] if has_vjp else []),
            "print([str(x) for x in (*case.inputs.values(), case.cotangent)] == before)",
        ]
    elif "NaN" in broken:
        lines += [
            changed,
            'inputs["x"][0, 0, 0] = float("nan")',
            "print(my_backend.forward(case.stage, inputs))",
        ]
    elif "depends on the others" in broken:
        lines += [
            changed,
            f'inputs["{name}"][-1] = inputs["{name}"][-1, ::-1]',
            f"print(my_backend.forward(case.stage, inputs)[:-1] - {forward}[:-1])",
        ]
    elif "overwrites" in broken:
        lines += [
            f"first = {forward}",
            "before = first.copy()",
            f'my_backend.forward(case.stage, {{**case.inputs, "{name}": '
            f'case.inputs["{name}"][:, ::-1]}})',
            "print((first == before).all())",
        ]
    else:
        lines += [
            f'results = {{"output": {forward}}}',
            *([f"results |= {vjp}"] if has_vjp else []),
            "print({name: (x.shape, x.dtype) for name, x in results.items()})",
            "print(case.cotangent.shape, case.cotangent.dtype)",
        ]
    return "\n".join(lines)
