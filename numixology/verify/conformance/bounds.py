"""How far off a backend may be: as far as rounding takes the reference, in the backend's format.

Every case is evaluated by :class:`.Textbook` in the backend's format and accumulation, and compared
with the reference. The largest error over the cases of one kind, in roundings of each number's
scale, times :data:`GUARD`, is the bound for that tensor. What other orders of summation may add is
in the scales already. Where nothing is calculated (the mixing of tokens, the look-up of an
embedding) the bound is 0, and a backend that rounds its results once is allowed that one rounding.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from .cases import KERNEL_KINDS, Case, Truth, cases_of, truth_of
from .formats import format_of
from .scales import GUARD, Scales, scales_of
from .stages import NETWORKS, STAGES
from .textbook import Textbook

__all__ = [
    "EXACT",
    "GUARD",
    "Answers",
    "Judged",
    "Measured",
    "Prepared",
    "errors_of",
    "in_groups",
    "judged",
    "measured",
    "prepare",
    "prepared",
]

#: Rounding in any order of at least this much is allowed, in roundings of the scale.
_LEAST = 1.0

#: Tensors in which nothing is calculated, by stage.
_MOVED = ("output", "x")
EXACT = {"embedding": ("output",), "token_mix": _MOVED, "token_revert": _MOVED}


class Measured(NamedTuple):
    """An error, in roundings of the scale, and where it is."""

    error: float
    place: tuple[int, ...]
    got: float
    true: float


def errors_of(got: Array, true: Array, scale: Array, dtype: str) -> Array:
    """How far every number of a tensor is from the truth, in roundings of its scale."""
    form = format_of(dtype)
    with ignoring_fp_errors():
        found = np.asarray(got, np.float64)
        errors = np.asarray(np.abs(found - true) / scale / form.unit)
        odd = ~np.isfinite(errors)
        if odd.any():  # beyond the largest number infinity is right, if of that sign
            a, b, size = found[odd], true[odd], np.broadcast_to(scale, true.shape)[odd]
            far = b + np.sign(b) * GUARD * form.unit * np.where(np.isinf(size), 0, size)
            beyond = np.isinf(a) & (a == form.stored(far))
            same = (a == b) | (np.isnan(a) & np.isnan(b)) | beyond | np.isinf(size)
            errors[odd] = np.where(same, 0.0, np.inf)
    return errors


def measured(got: Array, true: Array, scale: Array, dtype: str) -> Measured:
    """How far a tensor is from the truth at most."""
    if true.size == 0:
        return Measured(0.0, (), 0.0, 0.0)
    errors = errors_of(got, true, scale, dtype)
    j = np.unravel_index(int(np.argmax(errors)), true.shape)
    place = tuple(map(int, j))
    return Measured(float(errors[j]), place, float(np.asarray(got)[j]), float(true[j]))


class Prepared(NamedTuple):
    """A case with all that is needed to judge a backend on it.

    Attributes:
        case: the inputs.
        truth: what the reference says.
        scales: by what errors are measured.
        bounds: in roundings of the scale, by tensor.
        accumulation: the dtype in which sums are formed; by default the format's wide one.
        once: whether the backend says that it rounds its result once, and nothing else.
    """

    case: Case
    truth: Truth
    scales: Scales
    bounds: Mapping[str, float]
    accumulation: str = ""
    once: bool = False

    def under(self, profile: Iterable[str]) -> "Prepared":
        """The same with the scales of these profiles, where they are wider."""
        how = self.accumulation, self.once
        wide = [scales_of(self.case, self.truth, [name], *how) for name in profile]
        scales = {
            name: np.max([one, *(each[name] for each in wide)], axis=0)
            for name, one in self.scales.items()
        }
        return self._replace(scales=scales)


class Judged:
    """A tensor that a backend returned, beside what is true.

    Args:
        one: the case.
        tensor: ``"output"``, or whose gradient it is.
        got: what the backend says.

    Attributes:
        worst: its largest error.
        fails: whether that is beyond the bound.
    """

    def __init__(self, one: Prepared, tensor: str, got: Array) -> None:
        self.one, self.tensor, self.got = one, tensor, np.asarray(got, np.float64)
        self.true = one.truth.tensors[tensor]
        self.scale, self.bound = one.scales[tensor], one.bounds[tensor]
        self.worst = measured(self.got, self.true, self.scale, one.case.dtype)
        self.fails = self.worst.error > self.bound

    @property
    def ratio(self) -> float:
        """Its largest error by the bound, or by the least number where that is 0."""
        return self.worst.error / (self.bound or 2.0**-1022)

    def wrong(self) -> Array:
        """Which entries are beyond the bound."""
        errors = errors_of(self.got, self.true, self.scale, self.one.case.dtype)
        return np.asarray(errors > self.bound)

    @cached_property
    def far(self) -> float:
        """How far it is from the truth, in the root mean square."""
        return self.gap(self.true)

    @cached_property
    def noise(self) -> float:
        """What rounding does, relative to the scale; at most half of what there is to explain.

        Otherwise the truth itself would explain a result that is near it.
        """
        return min(self.bound / GUARD * format_of(self.one.case.dtype).unit, self.far / 2)

    def gap(self, other: Array) -> float:
        """How far it is from another array, in the root mean square; no number more than two."""
        with ignoring_fp_errors():
            scale = np.fmax(self.scale, np.where(np.isfinite(self.got), np.abs(self.got), 0.0))
            same = (self.got == other) | (np.isnan(self.got) & np.isnan(other))
            gaps = np.where(same, 0.0, np.abs(self.got - other) / scale)
            gaps = np.minimum(np.where(np.isnan(gaps), 2.0, gaps), 2.0)
            return float(np.sqrt((gaps * gaps).mean()))


class Answers(NamedTuple):
    """What a backend says of a case, tensor by tensor."""

    one: Prepared
    tensors: dict[str, Judged]

    @property
    def failing(self) -> list[str]:
        """The tensors that are wrong."""
        return [name for name, each in self.tensors.items() if each.fails]

    def excuses(self, groups: Iterable[Sequence[str]]) -> dict[str, str]:
        """By failing tensor, the first of some groups of profiles that excuses it."""
        found: dict[str, str] = {}
        for names in groups:
            if left := {k: self.tensors[k].got for k in self.failing if k not in found}:
                under = judged(self.one.under(names), left).tensors
                found |= {k: " and ".join(names) for k, each in under.items() if not each.fails}
        return found


def judged(one: Prepared, results: Mapping[str, Array]) -> Answers:
    """Every tensor of a case that a backend returned, beside the truth."""
    known = [name for name in one.bounds if name in results]
    return Answers(one, {name: Judged(one, name, results[name]) for name in known})


def prepared(
    dtype: str, accumulation: str, stages: Sequence[str] = tuple(STAGES), seeds: int = 3
) -> list[Prepared]:
    """Every case of the quick set with its truth, scales and bounds."""
    every = (cases_of(stage, dtype, seeds) for stage in stages)
    return [one for cases in every for one in in_groups(cases, accumulation)]


def in_groups(cases: Iterable[Case], accumulation: str, once: bool = False) -> Iterator[Prepared]:
    """Cases with their truth and bounds; those of one kind of the quick set share their bounds."""

    def bounds(case: Case) -> tuple[str, str]:
        return case.stage, case.name if case.kind in KERNEL_KINDS else case.kind

    for _, group in groupby(cases, key=bounds):
        yield from prepare([*group], accumulation, once)


def _formats(case: Case) -> tuple[str, ...]:
    """In which formats a case is evaluated: the backend's own.

    In float64 the textbook rounds as the reference does, and in a large network, in which a row may
    be all but constant, a backend need not: what float32 loses there shows by how much.
    """
    large = case.kind in ("kernel", "shape") and case.stage in NETWORKS
    return (case.dtype, "float32") if case.dtype == "float64" and large else (case.dtype,)


def prepare(cases: Sequence[Case], accumulation: str, once: bool = False) -> list[Prepared]:
    """Cases of one stage and kind, which have their bounds in common; often it is one alone.

    Args:
        cases: of one format too.
        accumulation: the dtype in which a backend forms sums.
        once: whether it says that it rounds the result of a layer once, and nothing else.
    """
    stage, dtype = cases[0].stage, cases[0].dtype
    once = once and stage not in NETWORKS
    errors: dict[str, float] = {}
    found = []
    for case in cases:
        truth = truth_of(case)
        scales, true = scales_of(case, truth, (), accumulation, once), truth.tensors
        errors = dict.fromkeys(true, _LEAST) | errors
        found.append((case, truth, scales))
        for form in () if once else _formats(case):
            textbook = Textbook(form, accumulation if form == dtype else form)
            results = textbook.vjp(stage, case.inputs, case.cotangent)
            results["output"] = textbook.forward(stage, case.inputs)
            for name, one in true.items():
                error = measured(results[name], one, scales[name], form).error
                errors[name] = max(errors[name], error)
    # The same roundings reach every tensor of a network. In a few numbers they may happen not to
    # show, so no tensor is allowed less than half of them are.
    least = float(np.median([*errors.values()])) if stage in NETWORKS else _LEAST
    exact = EXACT.get(stage, ())
    bounds = {n: 0.0 if n in exact else GUARD * max(error, least) for n, error in errors.items()}
    return [Prepared(*one, bounds, accumulation, once) for one in found]
