"""How far off a backend may be: as far as rounding takes the reference, in the backend's format.

Every stage is evaluated by :class:`.Textbook` in the backend's format and accumulation, in several
orders of summation, and compared with the reference. The largest error over these orders and all
cases of one kind, in roundings of each number's scale, times :data:`GUARD`, is the bound for that
tensor and kind. Where nothing is calculated (the mixing of tokens, the look-up of an embedding) the
bound is 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from ...errors import ArgumentError
from .cases import Case, Truth, cases_of, inside, make_case, truth_of
from .formats import format_of
from .scales import Scales, scales_of
from .stages import STAGES
from .textbook import Textbook

__all__ = ["EXACT", "GUARD", "Measured", "Prepared", "every_case", "measured", "prepared"]

#: How many times the reference's own error a backend may be off.
GUARD = 8.0
#: Rounding in any order of at least this much is allowed, in roundings of the scale.
_LEAST = 1.0
_ORDERS = (None, 1, 2)

#: Tensors in which nothing is calculated, by stage.
EXACT = {"embedding": ("output",), "token_mix": ("output", "x")}


class Measured(NamedTuple):
    """An error, in roundings of the scale, and where it is."""

    error: float
    place: tuple[int, ...]
    got: float
    true: float


def measured(got: Array, true: Array, scale: Array, dtype: str) -> Measured:
    """How far a tensor is from the truth at most."""
    form = format_of(dtype)
    if true.size == 0:
        return Measured(0.0, (), 0.0, 0.0)
    with ignoring_fp_errors():
        found = np.asarray(got, np.float64)
        # Beyond the largest number infinity is right, if of that sign.
        held = form.stored(true)
        overflown = np.isinf(held) & (found == held)
        same = (found == true) | (np.isnan(found) & np.isnan(true)) | overflown
        errors = np.where(same, 0.0, np.abs(found - true) / scale / form.unit)
        errors = np.where(np.isnan(errors), np.inf, errors)
    j = np.unravel_index(int(np.argmax(errors)), true.shape)
    return Measured(float(errors[j]), tuple(map(int, j)), float(found[j]), float(true[j]))


class Prepared(NamedTuple):
    """A case with all that is needed to judge a backend on it.

    Attributes:
        case: the inputs.
        truth: what the reference says.
        scales: by what errors are measured.
        bounds: in roundings of the scale, by tensor.
    """

    case: Case
    truth: Truth
    scales: Scales
    bounds: Mapping[str, float]

    def wide(self, profile: str) -> Scales:
        """The scales under a profile."""
        return scales_of(self.case, self.truth, [profile])


def true_tensors(truth: Truth) -> dict[str, Array]:
    """The output and the gradients under one roof."""
    return {"output": truth.output} | truth.gradients


def prepared(
    dtype: str, accumulation: str, stages: Sequence[str] = tuple(STAGES), seeds: int = 3
) -> list[Prepared]:
    """Every case of the stages with its truth, scales and bounds."""
    found = []
    for stage in stages:
        groups: dict[str, list[Case]] = {}
        for case in every_case(stage, dtype, seeds):
            groups.setdefault(case.kind, []).append(case)
        for group in groups.values():
            found += _group(group, accumulation)
    return found


def every_case(stage: str, dtype: str, seeds: int) -> Iterator[Case]:
    """The stage on its own, and inside a block or a model.

    Raises:
        ArgumentError: no seeds, or no such stage.
    """
    if seeds < 1:
        raise ArgumentError("seeds is a positive integer", str(seeds), "choose 1 or more")
    yield from cases_of(stage, dtype, range(seeds))
    if stage not in ("block", "model"):
        for seed in range(seeds):
            for network in ("block", "model"):
                for case in inside(make_case(network, "plain", seed, dtype)):
                    if case.stage == stage:
                        yield case


def _group(cases: Sequence[Case], accumulation: str) -> list[Prepared]:
    """Cases of one stage and kind, which have their bounds in common."""
    dtype = cases[0].dtype
    truths = [truth_of(case) for case in cases]
    scales = [scales_of(case, truth) for case, truth in zip(cases, truths, strict=True)]
    errors: dict[str, float] = {}
    for order in _ORDERS:
        textbook = Textbook(dtype, accumulation, order)
        for case, truth, scale in zip(cases, truths, scales, strict=True):
            results = {"output": textbook.forward(case.stage, case.inputs)}
            results |= textbook.vjp(case.stage, case.inputs, case.cotangent)
            for name, true in true_tensors(truth).items():
                error = measured(results[name], true, scale[name], dtype).error
                errors[name] = max(errors.get(name, 0.0), error)
    exact = EXACT.get(cases[0].stage, ())
    bounds = {
        name: 0.0 if name in exact else GUARD * max(error, _LEAST) for name, error in errors.items()
    }
    return [
        Prepared(case, truth, scale, bounds)
        for case, truth, scale in zip(cases, truths, scales, strict=True)
    ]
