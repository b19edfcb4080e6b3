"""Which known bug does a failing backend have, and where does it go wrong?

Every known bug of the stage is run on cases where the backend is wrong, and on some where it is
right, since a bug must also explain where nothing is wrong. The one whose results come nearest is
named, and how near that is: one bug for all tensors if there is one, otherwise the fewest that
explain them, such as one for the output and one for a gradient. Where rounding is the bug, no two
orders of summation agree in a digit: then the sizes of the errors are compared.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from .adapter import Declaration
from .bounds import GUARD, Prepared, measured, true_tensors, within
from .bugs import Bug, bugs_of, edge_bugs
from .calling import answered
from .cases import KERNEL_KINDS, KINDS, Case
from .contracts import contracts_of
from .formats import format_of
from .parts import part_bugs
from .relations import related
from .stages import FEED_FORWARDS, stage_of
from .verdicts import LOADING, Diagnosis
from .whereabouts import edges_of, multiples_of, place_of, smallest_failing

__all__ = ["Lineup", "diagnose"]

#: A bug is named if it leaves no more than this share of the difference unexplained.
NEAR = 0.2
#: The same of a bug that explains some tensors only.
_PART = 0.05
#: The same where only the sizes of errors, or the words of a breach, can agree.
_LIKE = 0.5
#: On how many cases the bugs are run, and of how many numbers if smaller ones fail.
_CASES, _SMALL = 12, 20_000
#: How many bugs are looked at closely though they are not near, and cases for a relation.
_FEW, _EXAMPLES = 3, 2
#: A relation leaves no more than this share of the difference unexplained.
_SAME = 0.01

#: Kinds of cases whose numbers are nothing special.
_NORMAL = {"plain", "kernel", "single"}

#: What a stage is made of: if a backend does not offer those, their bugs may be in it.
_PARTS: dict[str, tuple[str, ...]] = {
    "feed_forward": ("layer_norm", "linear", "gelu"),
    "swiglu_feed_forward": ("layer_norm", "linear", "silu"),
    "per_token_feed_forward": ("layer_norm", "per_token_linear", "gelu"),
    "per_token_swiglu": ("layer_norm", "per_token_linear", "silu"),
    "mixer": ("token_mix", "layer_norm"),
}
_PARTS["block"] = (*_PARTS["mixer"], "mixer")
_PARTS["model"] = ("embedding", *_PARTS["block"], "block")


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
        self._breaches: dict[str, tuple[str, ...]] = {}

    def beside(self, cases: Sequence[Prepared]) -> "Lineup":
        """The same with more cases at the end; what is known is not found out again."""
        wider = Lineup([*self.cases, *cases], self.accumulation)
        wider._known |= self._known
        wider._breaches = self._breaches
        return wider

    def results(self, bug: Bug, i: int) -> dict[str, Any]:
        """What the bug makes of a case; nothing if that cannot be compared."""
        if (bug.name, i) not in self._known:
            backend = bug.make(self.dtype, self.accumulation)
            self._known[bug.name, i] = answered(backend, self.cases[i].case, True).results
        return self._known[bug.name, i]

    def fails(self, bug: Bug, i: int, tensor: str, scale: Array | None = None) -> bool:
        """Whether the bug shows in a tensor of a case, perhaps by the scale of a profile."""
        one, found = self.cases[i], self.results(bug, i).get(tensor)
        scale = one.scales[tensor] if scale is None else scale
        return found is None or (
            measured(found, true_tensors(one.truth)[tensor], scale, self.dtype).error
            > one.bounds[tensor]
        )

    def shows(self, bug: Bug) -> bool:
        """Whether the bug shows in any number."""
        return any(
            self.fails(bug, i, tensor) for i, one in enumerate(self.cases) for tensor in one.bounds
        )

    def size(self, bug: Bug, i: int, tensor: str, scale: Array) -> float:
        """How far from the truth the bug takes a tensor of a case."""
        results = self.results(bug, i)
        if tensor not in results:
            return np.inf
        true = true_tensors(self.cases[i].truth)[tensor]
        return _gap(np.asarray(results[tensor], np.float64), true, scale)

    def breaches(self, bug: Bug) -> tuple[str, ...]:
        """Which contracts the bug breaks."""
        if bug.name not in self._breaches:
            self._breaches[bug.name] = self._broken(bug.make(self.dtype, self.accumulation))
        return self._breaches[bug.name]

    def _broken(self, backend: Any) -> tuple[str, ...]:
        for one in self.cases:
            if fault := answered(backend, one.case, True).fault:
                return (f"{fault} (on {one.case.name})",)
        return contracts_of(backend, self.cases, True).broken


def diagnose(
    adapter: Any,
    cases: Sequence[Prepared],
    broken: Sequence[str] = (),
    lineup: Lineup | None = None,
    answers: Sequence[Mapping[str, Array]] = (),
    profile: Sequence[str] = (),
) -> Diagnosis | None:
    """The known bug that comes nearest to what a backend computes, and where it goes wrong.

    Args:
        adapter: what speaks for the backend; None if there are only answers.
        cases: all of one stage, at which it fails.
        broken: which contracts it breaks.
        lineup: what known bugs make of these cases, if several backends are diagnosed on them.
        answers: what it returned for each case, if that is known.
        profile: which of :data:`.PROFILES` it declares, if there is no adapter that says so.

    Returns:
        The nearest, with how near it is, and lines that show the difference; None if nothing
        is wrong.

    Example:
        >>> from numixology.verify.conformance import BUGS, diagnose
        >>> from numixology.verify.conformance.bounds import prepared
        >>> cases = prepared("float32", "float32", ["silu"], seeds=1)
        >>> print(diagnose(BUGS["sigmoid-missing"].make("float32"), cases))
        matches: the gate is left out: x comes out (sigmoid-missing), explains all of the difference
    """
    about = None if adapter is None else Declaration(adapter)
    has_vjp = about is None or about.has_vjp
    lineup = lineup or Lineup(cases, about.accumulation if about else cases[0].accumulation)
    known = list(answers)
    for one in cases[len(known) :]:
        results, fault, *_ = answered(adapter, one.case, has_vjp)
        known.append(results)
        if fault and not broken:
            broken = (f"{fault} (on {one.case.name})",)
    faulty = [f"(on {one.case.name})" in "".join(broken) for one in cases]
    profile = about.profile if about else profile
    seen = [
        each for i, results in enumerate(known) for each in _seen(cases[i], i, results, profile)
    ]
    tried = cases[faulty.index(True) if any(faulty) else 0].case
    code = _breach_code(tried, any(faulty), has_vjp)
    if not any(one.fails for one in seen):
        return _by_breach(lineup, broken, tried, code) if broken else None
    only = _only_kinds(seen, cases)
    seen = _telling(seen, cases)
    shown = next(one for one in seen if one.fails)
    suspects, least = _suspects(about, cases[0].case), None
    if about and not shown.inside:
        least = smallest_failing(adapter, cases[shown.i].case)
    where = place_of(cases[shown.i], shown.tensor, shown.got) + only
    smaller: list[_Seen] = []
    if least:
        lineup = lineup.beside([one for one, _ in least.asked])
        for i, (one, results) in enumerate(least.asked, len(cases)):
            smaller += sorted(_seen(one, i, results, profile), key=_severity, reverse=True)
    if smaller and _numbers(cases[shown.i]) > _SMALL:  # the bugs are run on the smaller ones
        seen = [*smaller, *(one for one in seen if not one.fails)]
        shown = next(one for one in seen if one.fails)
    at_fault = lineup.cases[shown.i]
    parts = part_bugs(adapter, at_fault.case.stage, about.stages) if about else []
    found = _by_value(lineup, parts, seen)
    if found.by == "value":
        found = found._replace(by="part")
    else:
        found = _by_value(lineup, suspects, seen)
    if not found.by and about:
        found = _by_chance(adapter, about, lineup, seen) or found
    edges, edge = (least.edges, least.said) if least else ([], "")
    if not found.by:
        if least and not edges:
            edges, edge = multiples_of(adapter, least.asked[0][0].case)
        edges = [*edges, *edges_of(at_fault, shown.tensor, shown.got)]
        bugs = [
            bug
            for axis, n in dict.fromkeys(edges)
            for bug in edge_bugs(at_fault.case.stage, axis, n)
        ]
        edged = _by_value(lineup, bugs, smaller or [one for one in seen if one.i == shown.i])
        found = edged if edged.by else found
    if not found.by and (relations := _relations(lineup, seen)):
        found = found._replace(description="; ".join(relations), by="relation")
    if broken and found.by in ("", "relation"):
        breach = _by_breach(lineup, broken, tried, code, seen)
        found = breach if breach.named or not found.by else found
    return found._replace(
        code=found.code or _value_code(at_fault.case, shown, adapter is None),
        where=where,
        edge=edge,
        shape=",".join(f"{k}={n}" for k, n in least.sizes.items()) if least else "",
    )


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


def _seen(
    one: Prepared, i: int, results: Mapping[str, Array], profile: Sequence[str]
) -> Iterator[_Seen]:
    """What there is to explain: all tensors but those that a declared profile excuses."""
    dtype = one.case.dtype
    wide = {name: one.wide(name) for name in profile}
    for tensor, true in true_tensors(one.truth).items():
        if tensor not in results:
            continue
        bound, got = one.bounds[tensor], results[tensor]
        found = measured(got, true, one.scales[tensor], dtype)
        own = {name: scales[tensor] for name, scales in wide.items()}
        scale = np.max([one.scales[tensor], *own.values()], axis=0)
        fails = found.error > bound
        if fails and within(got, true, own, bound, dtype):
            continue
        got = np.asarray(got, np.float64)
        yield _Seen(
            i,
            tensor,
            got,
            true,
            scale,
            bound,
            bound / GUARD * format_of(dtype).unit,
            fails,
            _gap(got, true, scale),
            found.error / bound if bound else found.error * np.inf if found.error else 0.0,
            found.place,
            one.case.kind.startswith("in "),
        )


def _severity(one: _Seen) -> tuple[bool, bool, float]:
    """What shows a bug best: an error outside of networks, and a finite one."""
    finite = bool(np.isfinite(one.got[one.place]) and np.isfinite(one.true[one.place]))
    return not one.inside, finite, one.ratio


def _telling(seen: Sequence[_Seen], cases: Sequence[Prepared]) -> list[_Seen]:
    """What shows the bug best, first: of every kind the case that is farthest off.

    Beside them stand some cases that are right. Large ones are left out, but for the smallest that
    fails if no other does.
    """
    worst: dict[int, float] = {}
    for one in seen:
        worst[one.i] = max(worst.get(one.i, 0.0), one.ratio)
    failing = {one.i for one in seen if one.fails}
    most = max(_SMALL, min(_numbers(cases[i]) for i in failing))
    small = [i for i in worst if _numbers(cases[i]) <= most]
    chosen: dict[str, int] = {}
    for i in sorted(small, key=lambda i: -worst[i]):
        chosen.setdefault(cases[i].case.kind, i)
    right = [i for i in small if i not in failing and i not in chosen.values()]
    those = {*chosen.values(), *right[: max(0, _CASES - len(chosen))]}
    return sorted((one for one in seen if one.i in those), key=_severity, reverse=True)


def _only_kinds(seen: Sequence[_Seen], cases: Sequence[Prepared]) -> str:
    """On which kinds of numbers a backend fails, if they are one or two, and not normal ones."""
    kinds = dict.fromkeys(cases[one.i].case.kind for one in seen if one.fails)
    if len(kinds) > 2 or not kinds.keys() <= {**KINDS, **KERNEL_KINDS}.keys() - _NORMAL:
        return ""
    return f", and only on {' and '.join(f'{kind} cases' for kind in kinds)}"


def _numbers(one: Prepared) -> int:
    """How many numbers a backend returns of a case."""
    return sum(true.size for true in true_tensors(one.truth).values())


def _suspects(about: Declaration | None, one: Case) -> list[Bug]:
    """The bugs of a stage, and of those parts of it that the backend does not offer."""
    parts = _PARTS.get(one.stage, ())
    if "ffn" in stage_of(one.stage).options:
        network = FEED_FORWARDS[one.inputs.get("ffn", "standard")]
        parts = (*parts, *_PARTS[network], network)
    missing = [part for part in parts if not (about and part in about.stages)]
    found = {bug.name: bug for part in (one.stage, *missing) for bug in bugs_of(part, one.dtype)}
    return [bug for bug in found.values() if not bug.unsteady]


# By value


class _Left(NamedTuple):
    """What a bug leaves unexplained of each tensor, in sums over the cases."""

    bug: Bug
    score: dict[str, float]  # less noise
    raw: dict[str, float]
    counts: Mapping[str, int]  # in how many cases each tensor fails

    def share(self, tensors: Iterable[str], raw: bool = False) -> float:
        """The share of the differences in these tensors that is left."""
        tensors, sums = list(tensors), self.raw if raw else self.score
        return sum(sums.get(t, 0.0) for t in tensors) / sum(self.counts.get(t, 0) for t in tensors)

    def explained(self, tensors: Iterable[str], near: float = NEAR) -> list[str]:
        """Those tensors of which next to nothing is left."""
        return [tensor for tensor in tensors if self.share([tensor]) <= near]

    def ranked(self, tensors: Iterable[str]) -> tuple[float, float]:
        """What comes first leaves least of these; digits beyond rounding come second."""
        return round(self.share(tensors), 2), self.share(tensors, raw=True)

    @property
    def rank(self) -> tuple[float, float]:
        """The same of all tensors, also those in which the bug alone is wrong."""
        return self.ranked({**self.counts, **self.score})


def _by_value(lineup: Lineup, suspects: Sequence[Bug], seen: Sequence[_Seen]) -> Diagnosis:
    most: dict[str, int] = {}  # the tensors that fail, and a case that shows each of them well
    for one in seen:
        if one.fails and one.tensor not in most:
            most |= {o.tensor: o.i for o in seen if o.fails and o.i == one.i} | most
    first = [one for one in seen if one.i in most.values()]
    tried = sorted((_unexplained(lineup, bug, first) for bug in suspects), key=lambda one: one.rank)
    near = [one.bug for i, one in enumerate(tried) if i < _FEW or one.explained(most, _LIKE)]
    found = sorted((_unexplained(lineup, bug, seen) for bug in near), key=lambda one: one.rank)
    nearest = found[0] if found else None
    second = found[1].bug.name if len(found) > 1 else ""
    if nearest and nearest.rank[0] <= NEAR:
        bug, (score, raw) = nearest.bug, nearest.rank
        return Diagnosis(bug.name, bug.description, raw if raw <= NEAR else score, second, "")
    parts, complete = _by_parts(found, seen, most)
    if not complete:
        noisy = [bug for bug in suspects if bug.noisy]
        unlike = [_unlike_in_size(lineup, bug, seen) for bug in noisy]
        if noisy and min(unlike) <= _LIKE:
            bug = noisy[int(np.argmin(unlike))]
            return Diagnosis(bug.name, bug.description, min(unlike), second, "", "size")
    if parts or not nearest:
        return parts or Diagnosis("", "", 1.0, "", "", "")
    return Diagnosis(nearest.bug.name, nearest.bug.description, nearest.rank[1], second, "", "")


def _unexplained(lineup: Lineup, bug: Bug, seen: Sequence[_Seen]) -> _Left:
    """What a bug leaves unexplained.

    It counts against a bug where it differs from the truth and the backend does not.
    """
    left = _Left(bug, {}, {}, Counter(one.tensor for one in seen if one.fails))
    for one in seen:
        results = lineup.results(bug, one.i)
        if one.fails or lineup.fails(bug, one.i, one.tensor, one.scale):
            gap = 2.0
            if one.tensor in results:
                gap = _gap(one.got, np.asarray(results[one.tensor], np.float64), one.scale)
            most = max(one.far, gap) or 1.0
            score = max(0.0, gap - one.noise) / most
            left.score[one.tensor] = left.score.get(one.tensor, 0.0) + score
            left.raw[one.tensor] = left.raw.get(one.tensor, 0.0) + gap / most
    return left


def _by_parts(
    found: Sequence[_Left], seen: Sequence[_Seen], failing: Iterable[str]
) -> tuple[Diagnosis | None, bool]:
    """The fewest bugs that explain what fails, each of them some tensors, and whether all."""
    rest, chosen = list(failing), list[tuple[_Left, list[str]]]()
    while rest:
        covered = [(one, one.explained(rest, _PART)) for one in found]
        best, tensors = min(
            ((one, tensors) for one, tensors in covered if tensors),
            key=lambda each: (-len(each[1]), each[0].ranked(each[1]), each[0].rank),
            default=(None, []),
        )
        if best is None:
            break
        chosen.append((best, tensors))
        rest = [tensor for tensor in rest if tensor not in tensors]
    if not chosen or ("output" in rest and len(rest) > 1) or 2 * len(rest) > len({*failing}):
        return None, False  # some gradient looks like that of a bug by chance
    (first, tensors), *others = sorted(chosen, key=lambda each: "output" not in each[1])
    said = [
        f"{_called(also, failing)}: {one.bug.description} ({one.bug.name})" for one, also in others
    ]
    said += [f"{_called(rest, failing)} matches no known bug"] if rest else []
    right = {one.tensor for one in seen} - {*failing}
    said += ["the output is right"] if "output" in right else []
    said += ["the gradients are right"] if right and {*failing} == {"output"} else []
    bug, raw, by = first.bug, first.share(tensors, raw=True), _called(tensors, failing)
    found_parts = Diagnosis(bug.name, bug.description, raw, "", "", by, "; ".join(said))
    return found_parts, not rest


def _called(tensors: Sequence[str], failing: Iterable[str]) -> str:
    """Some of the tensors that fail, in words."""
    gradients = [tensor for tensor in tensors if tensor != "output"]
    said = ["the output"] if "output" in tensors else []
    if len(gradients) > 1 and {*gradients} == {*failing} - {"output"}:
        said += ["the gradients"]
    elif gradients:
        said += [f"the gradient of {' and '.join(gradients)}"]
    return " and ".join(said)


def _unlike_in_size(lineup: Lineup, bug: Bug, seen: Sequence[_Seen]) -> float:
    """How unlike the sizes of a bug's errors are to those of the backend."""
    unlike = []
    for one in seen:
        if one.fails or lineup.fails(bug, one.i, one.tensor, one.scale):
            size = lineup.size(bug, one.i, one.tensor, one.scale)
            unlike.append(1 - np.sqrt(_quotient(one.far, size)))  # chance doubles it, or halves it
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


def _relations(lineup: Lineup, seen: Sequence[_Seen]) -> list[str]:
    """What the tensors that fail have to do with the truth."""
    those = [one for one in seen if one.fails and np.isfinite(one.got).all()]
    those.sort(key=lambda one: lineup.cases[one.i].case.kind in ("huge", "tiny"))
    some = [
        one
        for i, one in enumerate(those)
        if sum(other.tensor == one.tensor for other in those[:i]) < _EXAMPLES
    ]
    return related(
        [(lineup.cases[one.i], one.tensor, one.got) for one in some],
        lambda i, other: (
            max(0.0, _gap(some[i].got, other, some[i].scale) - some[i].noise) < _SAME * some[i].far
        ),
    )


# By chance


def _changes(
    backend: Any, lineup: Lineup, seen: Sequence[_Seen], has_vjp: bool
) -> Iterator[tuple[float, bool]]:
    """By how much the tensors of some failing cases change from call to call, and if too much.

    They are asked for four times, since chance may twice say the same.
    """
    for i in list(dict.fromkeys(one.i for one in seen if one.fails))[:4]:
        case = lineup.cases[i].case
        calls = [answered(backend, case, has_vjp).results for _ in range(4)]
        for one in seen:
            if one.i == i:
                first, *others = (np.asarray(call[one.tensor], np.float64) for call in calls)
                errors = [measured(each, first, one.scale, case.dtype).error for each in others]
                with ignoring_fp_errors():
                    moved = [np.linalg.norm(np.nan_to_num(each - first)) for each in others]
                yield float(max(moved)), max(errors) > one.bound


def _by_chance(
    adapter: Any, about: Declaration, lineup: Lineup, seen: Sequence[_Seen]
) -> Diagnosis | None:
    """The bug whose results change as much from call to call; nothing if they do not change."""
    changes = [*_changes(adapter, lineup, seen, about.has_vjp)]
    if not any(changed for _, changed in changes):
        return None
    found = []
    for bug in bugs_of(lineup.cases[0].case.stage, lineup.dtype):
        if bug.unsteady:
            its = _changes(bug.make(about.dtype), lineup, seen, about.has_vjp)
            both = [
                (a, b) for (a, wrong), (b, too) in zip(changes, its, strict=True) if wrong or too
            ]
            unlike = float(np.mean([1 - _quotient(a, b) for a, b in both]))
            found.append((unlike, bug.name, bug.description))
    found.sort()
    if not found or found[0][0] > _LIKE:
        return Diagnosis("unsteady", "no two calls agree", 0.0, "", "", "chance")
    (size, name, description), *others = found
    return Diagnosis(name, description, size, others[0][1] if others else "", "", "chance")


# By contract


def _by_breach(
    lineup: Lineup, broken: Sequence[str], one: Case, code: str, seen: Sequence[_Seen] = ()
) -> Diagnosis:
    """The bug that breaks the same contracts, in the same words as far as possible.

    Where numbers are wrong too, its errors have to be as large.
    """
    found = sorted(
        (_unlike(lineup.breaches(bug), broken), bug.name, bug.description)
        for bug in bugs_of(one.stage, one.dtype)
        if not bug.unsteady
        and (bug.family == "contracts" or not (seen or lineup.shows(bug)))
        and (not seen or _unlike_in_size(lineup, bug, seen) <= _LIKE)
    )
    if not found or found[0][0] > _LIKE:
        return Diagnosis("broken-contract", broken[0], 0.0, "", code, "contract")
    (unlike, name, description), *others = found
    return Diagnosis(name, description, unlike, others[0][1] if others else "", code, "contract")


def _unlike(texts: Sequence[str], others: Sequence[str]) -> float:
    """The share of words that two lists of sentences do not have in common."""
    a, b = ({*" ".join(each).split()} for each in (texts, others))
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
        sizes = f", {dict(one.sizes)}" if one.sizes else ""
        made = f'make_case("{one.stage}", "{one.kind}", {one.seed}, "{one.dtype}"{sizes})'
        return made, "make_case"
    seed, i = divmod(one.seed, 100)
    network = f'make_case("{one.kind[3:]}", "plain", {seed}, "{one.dtype}")'
    return f"list(inside({network}))[{i}]", "inside, make_case"


def _value_code(one: Case, worst: _Seen, alone: bool) -> str:
    """Lines that print a wrong number and the right one."""
    place, true = list(worst.place), "output"
    got = "my_backend.forward(case.stage, case.inputs)"
    if worst.tensor != "output":
        got = f'my_backend.vjp(case.stage, case.inputs, case.cotangent)["{worst.tensor}"]'
        true = f'gradients["{worst.tensor}"]'
    if alone:
        first, _, made = _begun(one, "truth_of")
        lines = [first.replace("adapters, ", ""), made, f"true = truth_of(case).{true}"]
        return "\n".join(
            (*lines, f'print({float(worst.got[worst.place])!r}, "and truly", true{place})')
        )
    shown = f'print(got{place}, "and truly", true{place})'
    lines = [*_begun(one, "truth_of"), f"got = {got}", f"true = truth_of(case).{true}", shown]
    return "\n".join(lines)


def _breach_code(one: Case, fault: bool, has_vjp: bool) -> str:
    """Lines that try the promises again, or show what is at fault with an answer."""
    if not fault:
        asked = f'conform(my_backend, stages=["{one.stage}"], seeds=1, quick=True)'
        imported = "from numixology.verify.conformance import adapters, conform"
        return "\n".join((imported, f"# {LOADING}", f'print(*{asked}.stages[0].broken, sep="\\n")'))
    lines = [*_begun(one), 'results = {"output": my_backend.forward(case.stage, case.inputs)}']
    if has_vjp:
        lines.append("results |= my_backend.vjp(case.stage, case.inputs, case.cotangent)")
    lines.append("print({name: (x.shape, x.dtype) for name, x in results.items()})")
    return "\n".join((*lines, "print(case.cotangent.shape, case.cotangent.dtype)"))
