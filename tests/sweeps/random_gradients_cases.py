"""A function, a gradient of it that is right or wrong, how wrong, and what checks say of it.

What a mistake amounts to is computed here, and not asked of the check: from the cotangent that the
check hands over, the right gradient in extended precision, and the largest difference relative to
the largest entry of that input's gradient. At a kink or a tie several gradients are right; there
the right one is taken at many points around, and only what lies outside of all of them counts.
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from sweeps import random_gradients_idioms, random_gradients_layers
from sweeps.random_gradients_drawing import Array, Draw, Made, Vjp
from sweeps.random_gradients_functions import FAMILIES, Family
from sweeps.random_gradients_mistakes import (
    Change,
    change_of_call,
    change_of_result,
    listed,
    mapped,
)

import numixology as nx

#: Where functions enlist themselves, beside the module that has the list.
MODULES = (random_gradients_idioms, random_gradients_layers)
#: A mistake below this is rounding: another one is drawn. Where it is the check's cotangent that
#: hides it, the run does not count.
LEAST = 5e-14
_EXTENDED = np.longdouble


class Case(NamedTuple):
    """A function with a gradient, and what is known about it."""

    number: int
    family: Family
    made: Made
    mistake: str  # empty if the gradient is right
    vjp: Vjp | None  # None where it is the tape's
    kinds: str
    marks: "tuple[Mark, ...]" = ()  # on the tape, what is done to the gradient by each input


class Outcome(NamedTuple):
    """What a check said, and how wrong the gradient was."""

    case: Case
    verdict: str
    size: float
    detectable: float
    seconds: float
    reason: str
    elsewhere: Mapping[str, str] = {}  # what other tools say

    @property
    def offends(self) -> bool:
        """Whether a wrong gradient passed although the report says that it would be caught."""
        return bool(self.case.mistake) and self.verdict == "pass" and self.size > self.detectable

    @property
    def name(self) -> str:
        return f"{self.case.family.name}:{self.case.number}"


# Drawing --------------------------------------------------------------------------------


def drawn(seed: int, number: int, right: bool) -> Case:
    """The case of this number, which is another one of its family if there are more families."""
    return drawn_of(FAMILIES[number % len(FAMILIES)], seed, number // len(FAMILIES), right)


def drawn_of(one: Family, seed: int, number: int, right: bool) -> Case:
    """The case of a family that has this number in it."""
    rng = np.random.default_rng((seed, crc32(one.name.encode()), number, int(right)))
    taped = one.tape and rng.random() < 0.2
    single = one.single and rng.random() < 0.08
    draw = Draw(rng, plain=single)
    with np.errstate(all="ignore"):
        while True:
            draw.kinds.clear()
            made = one.make(draw)
            if single:
                made = made._replace(inputs=tuple(map(in_single, made.inputs)))
            if not usable(made):
                continue
            if taped:
                marks = marked(draw, made, right)
                kinds = ", ".join(("tape", *draw.kinds, *(["float32"] if single else [])))
                return Case(number, one, made, "" if right else marks[0], None, kinds, marks[1])
            name, vjp = ("", made.vjp) if right else mistaken(draw, made)
            if vjp is not None:
                break
    kinds = ", ".join((*draw.kinds, *(["float32"] if single else [])))
    return Case(number, one, made, name, vjp, kinds)


def in_single(x: Array) -> Array:
    return np.asarray(x, np.float32) if np.asarray(x).dtype.kind == "f" else x


def usable(made: Made) -> bool:
    """Whether function and gradient are finite there, and some gradient is not zero."""
    try:
        out = made.fn(*made.inputs)
        ones = mapped(lambda y: np.ones(np.shape(y)), out)
        found = listed(made.vjp(ones, *made.inputs))
    except (ValueError, np.linalg.LinAlgError):
        return False
    flat = listed(tuple(out.values()) if isinstance(out, dict) else out)
    finite = all(np.isfinite(y).all() for y in (*flat, *found))
    return finite and all(np.size(g) and np.any(g) for g in found)


def mistaken(draw: Draw, made: Made) -> tuple[str, Vjp | None]:
    """A mistake that shows at these inputs, and the wrong gradient."""
    out = made.fn(*made.inputs)
    probe = mapped(lambda y: draw.rng.standard_normal(np.shape(y)), out)
    shapes = [np.shape(g) for g in listed(made.vjp(probe, *made.inputs))]
    rounding = size_of(made, made.vjp, probe)
    for _ in range(8):
        kind = draw.among("own", "own", "result", "result", "call")
        name, wrong = "", made.vjp
        if kind == "own" and made.mistakes:
            name = draw.among(*made.mistakes)
            wrong = made.mistakes[name]
        elif kind == "result":
            if (changed := change_of_result(draw, shapes)) is None:
                continue
            name, wrong = changed[0], after(made.vjp, changed[1])
        elif kind == "call":
            name, wrong = change_of_call(draw, made.vjp, made.fn)
            if name in ("stale cotangent", "result added to the last one"):
                return name, wrong
        try:
            if name and size_of(made, wrong, probe) > max(LEAST, 10 * rounding):
                return name, wrong
        except (ValueError, IndexError):  # what cannot be called this way
            continue
    return "", None


def after(vjp: Vjp, change: Callable[[list[Array]], list[Array]]) -> Vjp:
    return lambda ct, *inputs: tuple(change(listed(vjp(ct, *inputs))))


# On the tape ----------------------------------------------------------------------------


class Mark:
    """What is done to the gradient that arrives at an input, and how wrong that made it first."""

    def __init__(self, change: Change | None) -> None:
        self.change, self.size = change, math.nan

    def __call__(self, gradient: Array) -> Array:
        if self.change is None:
            return gradient
        wrong = np.asarray(self.change([gradient])[0], gradient.dtype)
        if math.isnan(self.size):
            self.size = off([wrong], [gradient])
        return wrong


@nx.primitive
def marking(x: Any, *, mark: Mark) -> Any:
    return x


@marking.vjp("x")
def marking_dx(ct: Any, y: Any, x: Any, *, mark: Mark) -> Any:
    return mark(ct)


def marked(draw: Draw, made: Made, right: bool) -> tuple[str, tuple[Mark, ...]]:
    """A change of the gradient by one input of a function of tensors, or none."""
    count = len(made.inputs)
    if right:
        return "", (Mark(None),) * count
    probe = mapped(lambda y: draw.rng.standard_normal(np.shape(y)), made.fn(*made.inputs))
    gradients = [np.asarray(g) for g in listed(made.vjp(probe, *made.inputs))]
    while True:
        which = draw.size(0, count - 1)
        found = change_of_result(draw, [gradients[which].shape])
        if found is None:
            continue
        name, change = found
        if off(change([gradients[which]]), [gradients[which]]) > LEAST:
            return name, tuple(Mark(change if i == which else None) for i in range(count))


# How wrong ------------------------------------------------------------------------------


def extended(x: Any) -> Any:
    return np.asarray(x, _EXTENDED) if np.asarray(x).dtype.kind == "f" else x


def truths(made: Made, ct: Any, looks: int) -> list[list[Array]]:
    """The right gradient in extended precision, and at a kink those of points around it.

    Half of them are on one side of a kink, so that it is passed over once in 2**looks times.
    """
    vjp = made.exact or made.vjp
    inputs, ct = tuple(map(extended, made.inputs)), mapped(extended, ct)
    rng = np.random.default_rng(0)

    def around() -> list[Array]:
        moved = [
            x + np.where(x == 0, 1e-25, 4e-18 * np.abs(x)) * rng.uniform(-1, 1, np.shape(x))
            if np.asarray(x).dtype.kind == "f"
            else x
            for x in inputs
        ]
        return [np.asarray(g) for g in listed(vjp(ct, *moved))]

    try:
        found = [[np.asarray(g) for g in listed(vjp(ct, *inputs))]]
        found += [around() for _ in range(looks)]
    except TypeError:  # NumPy's linear algebra has no extended precision
        ct = mapped(lambda one: np.asarray(one, float), ct)
        return [[np.asarray(g) for g in listed(vjp(ct, *made.inputs))]]
    if any(off(a, b) > 1e-13 for b in found[1:] for a in found[:1]):
        found += [around() for _ in range(24)]
    for other in (made.vjp, *made.others) if made.others else ():
        found.append([np.asarray(g) for g in listed(other(ct, *inputs))])
    return [one for one in found if all(np.isfinite(g).all() for g in one)] or found[:1]


def off(gradients: Sequence[Array], others: Sequence[Array]) -> float:
    """The largest difference, relative to the largest entry of that input's gradient."""
    return max(
        float(np.abs(a - b).max(initial=0) / (np.abs(b).max(initial=0) or 1e-300))
        for a, b in zip(gradients, others, strict=True)
    )


def size_of(made: Made, wrong: Vjp, ct: Any) -> float:
    return sizes_of(made, [np.asarray(g) for g in listed(wrong(ct, *made.inputs))], ct)


def sizes_of(made: Made, wrong: Sequence[Array], ct: Any, looks: int = 2) -> float:
    """How far these gradients are from all that are right."""
    found = truths(made, ct, looks)
    if any(g.shape != np.shape(x) for g, x in zip(wrong, found[0], strict=True)):
        return math.inf
    largest = [float(np.abs(g).max(initial=0)) or 1e-300 for g in found[0]]
    wrong = [np.asarray(g, _EXTENDED) for g in wrong]
    if not all(np.isfinite(g).all() for g in wrong):
        return math.inf
    distances, kinked = [], []
    for i, g in enumerate(wrong):
        each = np.stack([one[i] for one in found])
        low, high = each.min(0), each.max(0)
        distances.append(np.maximum(np.maximum(low - g, g - high), 0) / largest[i])
        kinked.append(high - low > 1e-13 * largest[i])
    size = max(float(d.max(initial=0)) for d in distances)
    count = sum(int(k.sum()) for k in kinked)
    if count:  # tied inputs moved together: what all right gradients add up to there
        sums = [sum(float(one[i][k].sum()) for i, k in enumerate(kinked)) for one in found]
        mine = sum(float(wrong[i][k].sum()) for i, k in enumerate(kinked))
        if max(sums) - min(sums) < 1e-12 * max(largest):
            size = max(size, abs(mine - sums[0]) / count / max(largest))
    return size


# Checking -------------------------------------------------------------------------------


class Recorder:
    """A gradient that remembers the first cotangent it was given, and what it returned."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.first: tuple[Any, list[Array]] | None = None

    def __call__(self, ct: Any, *inputs: Any) -> Any:
        kept = mapped(np.array, ct)
        found = self.case.vjp(ct, *inputs)
        if self.first is None and all(map(np.array_equal, inputs, self.case.made.inputs)):
            self.first = kept, [np.array(g) for g in listed(found)]
        return found

    def size(self) -> float:
        """How wrong the gradient is with the first cotangent."""
        if self.case.mistake in ("stale cotangent", "result added to the last one"):
            return 1.0  # from the second call on
        if self.first is None:
            return math.nan
        ct, found = self.first
        return sizes_of(self.case.made, found, ct, looks=20)


def function_of(case: Case) -> Callable[..., Any]:
    """What is checked: the function, or on the tape the function of marked inputs."""
    if not case.marks:
        return case.made.fn

    def fn(*inputs: Any) -> Any:
        pairs = zip(inputs, case.marks, strict=True)
        return case.made.fn(*(marking(x, mark=mark) for x, mark in pairs))

    return fn


def outcome(case: Case, others: Mapping[str, Callable[..., str]] = {}) -> Outcome:
    """What gradcheck says, and what others do where they can be asked."""
    recorder = None if case.vjp is None else Recorder(case)
    started = time.perf_counter()
    detectable = math.nan
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = nx.gradcheck(
                function_of(case), *case.made.inputs, vjp=recorder, rng=case.number % 97
            )
        verdict, reason, detectable = report.verdict, report.reason, report.detectable
    except Exception as error:  # whatever a check raises, a user meets
        verdict, reason = "raised", f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started
    size = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.mistake:
            if recorder is None:
                size = max((m.size for m in case.marks if m.change is not None), default=math.nan)
            else:
                size = recorder.size()
        asked = case.vjp is not None and "float32" not in case.kinds
        said = {
            name: ask(case.made.fn, case.vjp, case.made.inputs)
            for name, ask in (others.items() if asked else ())
        }
    return Outcome(case, verdict, size, detectable, seconds, reason, said)
