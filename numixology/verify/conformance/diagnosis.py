"""Which known bug does a failing backend have, and where does it go wrong?

Every known bug of the stage is run on cases where the backend is wrong, and on some where it is
right, since a bug must also explain where nothing is wrong. The one whose results come nearest is
named, and how near that is: one bug for all tensors if there is one, otherwise the fewest that
explain them, such as one for the output and one for a gradient. Where rounding is the bug, no two
orders of summation agree in a digit: then the sizes of the errors are compared.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...array import Array
from .adapter import Declaration
from .bounds import Answers, Judged, Prepared, judged
from .bugs import Bug, bugs_of, edge_bugs
from .calling import answered
from .cases import Case, Truth
from .contracts import contracts_of
from .parts import bugs_at_one_place
from .stages import NETWORKS, OPTIONS, parts_of
from .verdicts import NEAREST, Diagnosis
from .whereabouts import Trials, edges_of, place_of

__all__ = ["Lineup", "diagnose"]

#: A bug is named if it leaves no more than this share of the difference unexplained.
NEAR = 0.2
#: The same of a bug that explains some tensors only.
_PART = 0.05
#: The same where only the sizes of errors, or the words of a breach, can agree.
_LIKE = 0.5
#: On how many cases the bugs are run, and of how many numbers if smaller ones fail.
_CASES, _SMALL = 12, 20_000
#: How many bugs are looked at closely though they are not near.
_FEW = 3
#: Lengths of the tiles that a row may be worked on in.
_TILES = (4, 8, 16, 32, 64, 128)

#: What is said of tensors that a diagnosis leaves unexplained.
_UNKNOWN = "matches no known bug"
_NOTHING = Diagnosis("", "", 1.0, "", "", "")


class Lineup:
    """What known bugs make of the cases of a stage, found out when asked, and remembered.

    Args:
        cases: all of one stage.
        accumulation: the dtype in which sums are formed.
    """

    def __init__(self, cases: Sequence[Prepared], accumulation: str | None = None) -> None:
        self.cases, self.dtype, self.accumulation = cases, cases[0].case.dtype, accumulation
        self._known: dict[tuple[Any, ...], Answers] = {}

    def results(self, bug: Bug, one: Prepared) -> Answers:
        """What the bug makes of a case; nothing if that cannot be compared."""
        key = bug.kind, one.case.name, one.case.seed
        if key not in self._known:
            backend = bug.make(self.dtype, self.accumulation)
            self._known[key] = judged(one, answered(backend, one.case, True).results)
        return self._known[key]

    def breaches(self, bug: Bug) -> tuple[str, ...]:
        """Which contracts the bug breaks."""
        backend = bug.make(self.dtype, self.accumulation)
        for one in self.cases:
            if fault := answered(backend, one.case, True).fault:
                return (f"{fault} (on {one.case.name})",)
        return contracts_of(backend, self.cases, True).broken

    def pairs(self, bug: Bug, seen: Sequence[Answers]) -> Iterator[tuple[Judged, Judged | None]]:
        """The tensors that are wrong, and those in which the bug is wrong, with what it says."""
        for each in seen:
            results = self.results(bug, each.one).tensors
            for name, mine in each.tensors.items():
                its = results.get(name)
                if mine.fails or its is None or its.fails:
                    yield mine, its

    def unlike(self, bug: Bug, seen: Sequence[Answers]) -> float:
        """How unlike the sizes of the bug's errors are to those of the backend."""
        return _unlike(
            (mine.far, its.far if its else np.inf) for mine, its in self.pairs(bug, seen)
        )


def _unlike(pairs: Iterable[tuple[float, float]]) -> float:
    """How unlike the sizes of pairs are; chance doubles one, or halves it."""
    found = [1 - np.sqrt(min(pair) / max(pair)) for pair in pairs if max(pair)]
    return float(np.mean(found)) if found else 0.0


class _Left:
    """What a bug leaves unexplained of each tensor, less noise and with it, and what there is.

    It counts against a bug where it differs from the truth and the backend does not.
    """

    def __init__(self, lineup: Lineup, bug: Bug, seen: Sequence[Answers]) -> None:
        self.bug, self.sums = bug, dict[str, Array]()
        self.fails = Counter(name for each in seen for name in each.failing)
        for mine, its in lineup.pairs(bug, seen):
            gap = mine.gap(its.got) if its else 2.0
            left = np.array([max(0.0, gap - mine.noise), gap]) / (max(mine.far, gap) or 1.0)
            self.sums[mine.tensor] = self.sums.get(mine.tensor, np.zeros(2)) + left

    def rank(self, *tensors: str) -> tuple[float, float]:
        """The share that is left, to two places, and with what rounding does, to all.

        By default of all tensors, also of those in which the bug alone is wrong.
        """
        chosen = tensors or (*{**self.fails, **self.sums},)
        sums = [self.sums[name] for name in chosen if name in self.sums]
        score, raw = sum(sums, np.zeros(2)) / sum(self.fails[name] for name in chosen)
        return round(float(score), 2), float(raw)

    def explained(self, near: float) -> list[str]:
        """The failing tensors of which next to nothing is left."""
        return [name for name in self.fails if self.rank(name)[0] <= near]


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
        The nearest, with how near it is, and the case that shows it best; None if nothing is
        wrong.

    Example:
        >>> from numixology.verify.conformance import BUGS, diagnose
        >>> from numixology.verify.conformance.bounds import prepared
        >>> cases = prepared("float32", "float32", ["silu"], seeds=1)
        >>> print(diagnose(BUGS["sigmoid-missing"].make("float32"), cases))
        matches: the gate is left out: x comes out (sigmoid-missing), explains all of the difference
    """
    about = None if adapter is None else Declaration(adapter)
    cases = [one.under(about.profile if about else profile) for one in cases]
    known = [*answers]
    for one in cases[len(known) :]:
        results, fault, *_ = answered(adapter, one.case, about is None or about.has_vjp)
        known.append(results)
        if fault and not broken:
            broken = (f"{fault} (on {one.case.name})",)
    seen = [judged(one, results) for one, results in zip(cases, known, strict=True)]
    lineup = lineup or Lineup(cases, cases[0].accumulation)
    return _Search(adapter, about, lineup, seen, broken).found()


class _Search:
    """What is known of a failing stage while its bug is looked for; see :func:`diagnose`."""

    def __init__(
        self,
        adapter: Any,
        about: Declaration | None,
        lineup: Lineup,
        seen: Sequence[Answers],
        broken: Sequence[str],
    ) -> None:
        self.adapter, self.about, self.lineup, self.broken = adapter, about, lineup, broken
        self.stage, self.dtype = seen[0].one.case.stage, lineup.dtype
        faulty = [one.case for one, _ in seen if f"(on {one.case.name})" in "".join(broken)]
        self.faulty = next(iter(faulty), None)
        self.seen = _telling([each for each in seen if each.tensors])
        self.worst = _worst(self.seen[0]) if self.seen and self.seen[0].failing else None
        self.smaller, self.large = list[Answers](), list[Answers]()
        self.trials: Trials | None = None

    def found(self) -> Diagnosis | None:
        """The bug that comes nearest, and where the backend goes wrong."""
        if not self.worst and not self.broken:
            return None
        where, start = "", self.faulty
        if self.worst:
            where, start = place_of(self.worst), self.worst.one.case
        if self.about and start:
            self._shrink(Trials(self.adapter, start))
        tried = self._candidates(self.worst) if self.worst else iter([self._by_promise()])
        found = _NOTHING
        for one in tried:
            complete = one.by and _UNKNOWN not in one.rest
            found = found if found.by and not complete else one
            if complete:
                break
        if start:
            found = found._replace(code=_made(self.worst.one.case if self.worst else start))
        if self.trials:
            shape = ",".join(f"{letter}={n}" for letter, n in self.trials.sizes.items())
            found = found._replace(edge=self.trials.said, shape=shape)
        return found._replace(where=where)

    def _shrink(self, trials: Trials) -> None:
        """Find the smallest sizes at which it fails; if the case is large, they are looked at."""
        if not trials.shrink():
            return
        self.trials, asked = trials, [trials.asked(sizes)[0] for sizes in trials.telling]
        if self.worst and asked[0].failing:
            self.smaller = [each for each in asked if each.tensors]
            if _numbers(self.worst.one) > _SMALL:
                self.large = self.seen[:1]
                self.seen = [*self.smaller, *(each for each in self.seen if not each.failing)]
                self.worst = _worst(self.seen[0])

    def _candidates(self, worst: Judged) -> Iterator[Diagnosis]:
        """What it may be, the likeliest first; the last is what comes nearest, if nothing is."""
        parts = [self.stage, *parts_of(self.stage, worst.one.case.inputs)]
        suspects = {bug.name: bug for part in parts for bug in bugs_of(part, self.dtype)}
        steady = [bug for bug in suspects.values() if not bug.unsteady]
        nearest = self._by_value(steady, self.seen)
        named = [bug for bug in steady if bug.name == nearest.bug]
        if not self.large or self._by_value(named, self.large).by:  # no chance of few numbers
            yield nearest
        if self.about:
            yield self._by_chance(self.about.has_vjp)
        if self.trials and not self.trials.edges:
            self.trials.tile()
        edges = [*(self.trials.edges if self.trials else ()), *edges_of(worst)]
        begin = [bug for axis, n in dict.fromkeys(edges) for bug in edge_bugs(self.stage, axis, n)]
        yield self._by_value(begin, self.smaller or self.seen[:1])
        tiles = [bug for n in _TILES for bug in edge_bugs(self.stage, "D", n)]
        yield self._by_value([bug for bug in tiles if "-tile-of-" in bug.name], self.seen)
        yield self._by_value(bugs_at_one_place(worst.one.case, steady), self.seen)
        kept = [bug for bug in suspects.values() if bug.family == "memory"]
        yield self._by_breach(kept) if self.broken and nearest.distance > NEAREST else nearest

    def _by_value(self, bugs: Sequence[Bug], seen: Sequence[Answers]) -> Diagnosis:
        """The bug whose numbers come nearest, or the fewest that each explain some tensors."""
        first, shown = list[Answers](), set[str]()
        for each in seen:  # a few that show every tensor that fails
            if not shown >= {*each.failing}:
                first.append(each)
                shown |= {*each.failing}
        tried = self._ranked(bugs, first)
        near = [one.bug for i, one in enumerate(tried) if i < _FEW or one.explained(_LIKE)]
        if not (found := self._ranked(near, seen)):
            return _NOTHING
        second, (score, raw) = "".join(one.bug.name for one in found[1:2]), found[0].rank()
        nearest = _named(found[0].bug, raw, second)
        parts, left = _in_parts(found, seen) if score > _PART else (None, ["output"])
        if score <= NEAR and left:  # one bug of all tensors, unless several explain more
            return nearest._replace(distance=raw if raw <= NEAR else score, by="value")
        enough = parts and (not left or ("output" not in left and "output" in found[0].fails))
        noisy = [(self.lineup.unlike(bug, seen), bug) for bug in bugs if bug.noisy and not enough]
        return _alike(noisy, "size", parts or nearest)

    def _ranked(self, bugs: Sequence[Bug], seen: Sequence[Answers]) -> list[_Left]:
        return sorted((_Left(self.lineup, bug, seen) for bug in bugs), key=_Left.rank)

    def _by_chance(self, has_vjp: bool) -> Diagnosis:
        """The bug whose results change as much from call to call, if these change."""
        changes = [*self._changes(self.adapter, has_vjp)]
        if not any(one.fails for one in changes):
            return _NOTHING
        found = []
        for bug in bugs_of(self.stage, self.dtype):
            if bug.unsteady:
                both = zip(changes, self._changes(bug.make(self.dtype), has_vjp), strict=True)
                pairs = [(mine.far, its.far) for mine, its in both if mine.fails or its.fails]
                found.append((_unlike(pairs), bug))
        return _alike(
            found, "chance", Diagnosis("unsteady", "no two calls agree", 0, "", "", "chance")
        )

    def _changes(self, backend: Any, has_vjp: bool) -> Iterator[Judged]:
        """What tensors of some failing cases change to, judged as if the first answer were true.

        They are asked for four times, since chance may twice say the same.
        """
        for one, tensors in [each for each in self.seen if each.failing][:4]:
            first, *others = (answered(backend, one.case, has_vjp).results for _ in range(4))
            true = {name: x.astype(np.float64) for name, x in first.items()}
            again = one._replace(truth=Truth(true["output"], true))
            for name in tensors:
                yield max((Judged(again, name, other[name]) for other in others), key=_severity)

    def _by_promise(self) -> Diagnosis:
        """The bug of a backend that is right in every case: one that shows in promises alone."""
        unseen = [
            bug
            for bug in bugs_of(self.stage, self.dtype)
            if bug.family in ("contracts", "memory")
            or (self.stage not in NETWORKS and not any(self.lineup.pairs(bug, self.seen)))
        ]
        return self._by_breach(unseen)

    def _by_breach(self, bugs: Sequence[Bug]) -> Diagnosis:
        """The one of some bugs that breaks the same promises."""
        found = []
        for bug in bugs:
            if not bug.unsteady:
                found.append((_apart(self.lineup.breaches(bug), self.broken), bug))
                if not found[-1][0]:
                    break  # to try the promises of a bug takes long
        telling = sorted(self.broken, key=lambda text: bool(re.search("NaN|empty", text)))
        unknown = Diagnosis("broken-contract", telling[0], 0.0, "", "", "contract")
        return _alike(found, "contract", unknown)


def _worst(each: Answers) -> Judged:
    """The tensor that shows best what is wrong."""
    return max(each.tensors.values(), key=_severity)


def _severity(one: Judged) -> tuple[bool, bool, float]:
    """What shows a bug best: an error, and a finite one."""
    finite = bool(np.isfinite([one.worst.got, one.worst.true]).all())
    return one.fails, finite, one.ratio


def _numbers(one: Prepared) -> int:
    """How many numbers a backend returns of a case."""
    return sum(scale.size for scale in one.scales.values())


def _telling(seen: Sequence[Answers]) -> list[Answers]:
    """What shows the bug best, first: of every kind and shape the case that is farthest off.

    Beside them stand some cases that are right. Large ones are left out, but for the smallest that
    fails if no other does.
    """
    most = max(_SMALL, min((_numbers(each.one) for each in seen if each.failing), default=0))
    small = [each for each in seen if _numbers(each.one) <= most]
    small.sort(key=lambda each: _severity(_worst(each)), reverse=True)
    first = {key: each for each in small[::-1] for key in _looks(each)}
    taken = {id(each) for each in first.values()}
    chosen = [each for each in small if id(each) in taken]
    right = [each for each in small if id(each) not in taken and not each.failing]
    return [*chosen, *right[: max(0, _CASES - len(chosen))]]


def _looks(each: Answers) -> tuple[Any, Any]:
    """The kind of a case, and the shapes of its inputs."""
    case = each.one.case
    return case.kind, tuple(np.shape(x) for x in case.inputs.values())


def _named(bug: Bug, distance: float, second: str = "", by: str = "") -> Diagnosis:
    return Diagnosis(bug.name, bug.description, distance, second, "", by)


def _alike(found: Sequence[tuple[float, Bug]], by: str, otherwise: Diagnosis) -> Diagnosis:
    """The bug that is least unlike, if it is alike at all."""
    tried = sorted(found, key=lambda each: (each[0], each[1].name))
    if not tried or tried[0][0] > _LIKE:
        return otherwise
    (unlike, bug), *others = tried
    return _named(bug, unlike, "".join(one.name for _, one in others[:1]), by)


def _apart(texts: Sequence[str], others: Sequence[str]) -> float:
    """How unlike broken promises are: two thirds by what is broken, one by the words for it."""

    def unlike(parts: Callable[[str], Sequence[str]]) -> float:
        a, b = ({part for text in each for part in parts(text)} for each in (texts, others))
        return 1 - len(a & b) / len(a | b) if a else 1.0

    def broken(text: str) -> Sequence[str]:
        return [re.split(r": | \(on ", text)[0] + ", NaN" * (" is nan," in text)]

    return (2 * unlike(broken) + unlike(str.split)) / 3


def _in_parts(
    found: Sequence[_Left], seen: Sequence[Answers]
) -> tuple[Diagnosis | None, list[str]]:
    """Few bugs that explain what fails, each of them some tensors, and what they leave.

    The output must be explained, or else nearly all: some gradient looks like a bug's by chance.
    """
    failing = [*found[0].fails]
    chosen, rest = list[tuple[_Left, list[str]]](), failing
    for one in sorted(
        found, key=lambda one: (-len(one.explained(_PART)), one.rank(*one.explained(_PART)))
    ):
        if own := [name for name in one.explained(_PART) if name in rest]:
            chosen.append((one, own))
            rest = [name for name in rest if name not in own]
    most = 1 if "output" in rest else len(failing) // 2
    if not chosen or (len(rest) > most and not {"output"} <= {*failing} - {*rest}):
        return None, failing
    (first, tensors), *others = sorted(chosen, key=lambda each: "output" not in each[1])
    said = [
        f"{_called(own, failing)}: {one.bug.description} ({one.bug.name})" for one, own in others
    ]
    said += [f"{_called(rest, failing)} {_UNKNOWN}"] if rest else []
    right = {name for each in seen for name in each.tensors} - {*failing}
    said += ["the output is right"] if "output" in right else []
    said += ["the gradients are right"] if right and failing == ["output"] else []
    by, (_, raw) = _called(tensors, failing), first.rank(*tensors)
    return _named(first.bug, raw, by=by)._replace(rest="; ".join(said)), rest


def _called(tensors: Sequence[str], failing: Sequence[str]) -> str:
    """Some of the tensors that fail, in words."""
    gradients = [tensor for tensor in tensors if tensor != "output"]
    said = ["the output"] if "output" in tensors else []
    if len(gradients) > 1 and {*gradients} == {*failing} - {"output"}:
        said += ["the gradients"]
    elif gradients:
        few = gradients if len(gradients) < 4 else [*gradients[:2], f"{len(gradients) - 2} others"]
        said += [f"the gradient of {' and '.join(few)}"]
    return " and ".join(said)


def _made(case: Case) -> str:
    """What makes a case."""
    given = [case.stage, case.kind, case.seed, case.dtype]
    options = {name: case.inputs[name] for name in OPTIONS if name in case.inputs}
    more = [dict(case.sizes), *filter(None, [options])] if case.sizes or options else []
    return f"make_case({', '.join(map(repr, [*given, *more]))})"
