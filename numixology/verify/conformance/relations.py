"""What a wrong result has to do with the truth, where no known bug is near.

It may be a multiple of the truth, the truth in other places or of other inputs, another tensor, or
the truth and a multiple of something that is at hand, such as the bias.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ...array import Array, ignoring_fp_errors
from .bounds import Judged
from .calling import called
from .cases import in_float64, truth_of
from .formats import FORMATS, format_of
from .sizes import sizes_in
from .stages import NETWORKS, stage_of
from .whereabouts import axes_of

__all__ = ["related"]

_AXES = {"B": "the batch", "T": "the tokens", "V": "the ids"}
#: In fewer numbers anything may look like anything.
_LEAST = 8
#: Of how many cases a relation has to hold.
_EXAMPLES = 2
#: Of rounding errors less than this share goes in the direction of the truth.
_ONE_SIDED = 0.5
#: A relation leaves no more than this share of the difference unexplained.
_SAME = 0.01


def related(wrong: Sequence[Judged]) -> str:
    """What wrong tensors are, in a sentence.

    Args:
        wrong: finite results, of several cases and tensors.

    Returns:
        What holds of a tensor in all its cases, for each of which something does.
    """
    said: dict[str, list[str]] = {}
    for tensor in dict.fromkeys(one.tensor for one in wrong):
        those = [one for one in wrong if one.tensor == tensor][:_EXAMPLES]
        if sum(one.got.size for one in those) < _LEAST:
            continue
        holding = [[*_holding(one), *_coarse(one)] for one in those]
        if common := [text for text in holding[0] if all(text in each for each in holding)]:
            said.setdefault(common[0], []).append(f"the {called(tensor)}")
    return "; ".join(
        f"{' and '.join(tensors)} {'is' if len(tensors) == 1 else 'are'} {text}"
        for text, tensors in said.items()
    )


def _coarse(one: Judged) -> Iterator[str]:
    """The format with fewer digits whose rounding makes errors of that size, of both signs."""
    wrong, dtype = one.got - one.true, one.one.case.dtype
    with ignoring_fp_errors():
        share = np.sqrt((wrong * wrong).mean() / (one.true * one.true).mean())
        one_sided = np.abs(_ratio(wrong, one.true)) / share
    for form in FORMATS.values():
        finer = form.digits < format_of(dtype).digits - 2
        if finer and form.unit / 8 <= share < form.unit and one_sided < _ONE_SIDED:
            yield f"off by as much as rounding to {form.digits} digits does, as in {form.name}"


def _holding(one: Judged) -> list[str]:
    """What the result is, but for rounding."""
    left = _SAME * one.far + one.noise
    with ignoring_fp_errors():
        return [text for text, other in _candidates(one) if one.gap(other) < left]


def _candidates(one: Judged) -> Iterator[tuple[str, Array]]:
    """What the result may be, in words and in numbers, the simplest first."""
    case, true, truths = one.one.case, one.true, one.one.truth.tensors
    p, sizes = in_float64(case.inputs), sizes_in(case.stage, case.inputs)
    yield "zero", np.zeros_like(true)
    for letters in (*sizes, *combinations(sizes, 2)):
        by, n = "·".join(letters), np.prod([sizes[letter] for letter in letters])
        if n > 1:
            yield f"the truth divided by {by}", true / n
            yield f"{by} times the truth", true * n
    factor = _ratio(one.got, true)
    yield f"{factor:.4g} times the truth", factor * true
    for how, other in _changed(true, axes_of(case, one.tensor)):
        yield f"the truth {how}", other
    others = {f"the {called(name)}": value for name, value in truths.items() if name != one.tensor}
    given = {name: p[name] for name in case.differentiable}
    given["the cotangent"] = case.cotangent.astype(np.float64)
    yield from ((k, value) for k, value in (others | given).items() if value.shape == true.shape)
    for name, value in {"": np.ones(1), **given}.items():
        ends = zip(value.shape[::-1], true.shape[::-1], strict=False)
        if value.ndim <= true.ndim and all(n in (1, m) for n, m in ends):  # it broadcasts
            term = np.broadcast_to(value, true.shape)
            factor = _ratio(one.got - true, term)
            what = f"{factor:.2g} times {name}" if name else f"{factor:.2g}"
            yield f"the truth plus {what}", true + factor * term
    if case.stage in NETWORKS:
        return
    if one.tensor == "output":
        for name in case.differentiable:
            for how, other in _changed(p[name], axes_of(case, name)):
                yield f"right for {name} {how}", stage_of(case.stage).reference({**p, name: other})
    else:
        for text, place in _SOME.items():
            some = np.zeros_like(case.cotangent)
            some[place] = case.cotangent[place]
            alone = truth_of(case._replace(cotangent=some)).gradients[one.tensor]
            yield f"that of the {text} alone", alone


_SOME: dict[str, Any] = {
    "first batch entry": np.s_[:1],
    "last batch entry": np.s_[-1:],
    "first token": np.s_[:, :1],
    "last token": np.s_[:, -1:],
}


def _ratio(a: Array, b: Array) -> float:
    """How many times ``b`` is in ``a``."""
    whole = float((b * b).sum())
    return float((a * b).sum()) / whole if whole else 0.0


def _changed(x: Array, letters: str) -> Iterator[tuple[str, Array]]:
    """An array changed in a simple way, or with its numbers in other places."""
    yield from (("negated", -x), ("doubled", 2 * x), ("halved", x / 2))
    for axis, letter in enumerate(letters):
        rows = "the columns" if 0 < axis == len(letters) - 1 else "the rows"
        along = f"along {_AXES.get(letter, rows)}"
        yield f"in reverse {along}", np.flip(x, axis)
        yield f"moved up by one {along}", np.roll(x, 1, axis)
        yield f"moved down by one {along}", np.roll(x, -1, axis)
        yield f"averaged {along}", x.mean(axis, keepdims=True) + 0 * x
    for a, b in combinations(range(len(letters)), 2):
        yield "transposed", x.swapaxes(a, b).reshape(x.shape)
