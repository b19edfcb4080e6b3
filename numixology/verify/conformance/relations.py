"""What a wrong result has to do with the truth, where no known bug is near.

It may be a multiple of the truth, the truth in other places or of other inputs, another tensor, or
the truth and a multiple of something that is at hand, such as the bias.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np

from ...array import Array, ignoring_fp_errors
from .bounds import Prepared, true_tensors
from .calling import called
from .cases import in_float64, truth_of
from .sizes import sizes_in
from .stages import NETWORKS, stage_of
from .whereabouts import axes_of

__all__ = ["related"]

#: A case, a tensor of it, and what a backend says.
Wrong: TypeAlias = tuple[Prepared, str, Array]

_AXES = {"B": "the batch", "T": "the tokens", "V": "the ids"}


def related(wrong: Sequence[Wrong], near: Callable[[int, Array], bool]) -> list[str]:
    """What wrong tensors are, in sentences.

    Args:
        wrong: finite results, of several cases and tensors.
        near: whether one of them, by its place, is an array but for rounding.

    Returns:
        A sentence for every tensor of which one holds in all its cases.
    """
    said: dict[str, list[str]] = {}
    for tensor in dict.fromkeys(one[1] for one in wrong):
        those = [i for i, one in enumerate(wrong) if one[1] == tensor]
        if sum(wrong[i][2].size for i in those) < _LEAST:
            continue
        holding = [
            [text for text, other in _candidates(*wrong[i]) if near(i, other)] for i in those
        ]
        if common := [text for text in holding[0] if all(text in each for each in holding)]:
            said.setdefault(common[0], []).append(f"the {called(tensor)}")
    return [
        f"{' and '.join(tensors)} {'is' if len(tensors) == 1 else 'are'} {text}"
        for text, tensors in said.items()
    ]


#: In fewer numbers anything may look like anything.
_LEAST = 8


def _candidates(one: Prepared, tensor: str, got: Array) -> Iterator[tuple[str, Array]]:
    """What the result may be, in words and in numbers, the simplest first."""
    case, truths = one.case, true_tensors(one.truth)
    true = truths[tensor]
    yield "zero", np.zeros_like(true)
    with ignoring_fp_errors():
        yield from _multiples(one, got, true)
        yield from _moved(axes_of(case, tensor), true)
        others = {f"the {called(name)}": value for name, value in truths.items() if name != tensor}
        inputs = {k: v for k, v in case.inputs.items() if k in case.differentiable}
        given = {**inputs, "the cotangent": case.cotangent}
        for name, value in {**others, **given}.items():
            if value.shape == true.shape:
                yield f"{name}", np.asarray(value, np.float64)
        for name, value in {"one": np.ones(1), **given}.items():
            if _fits(value, true):
                term = np.broadcast_to(np.asarray(value, np.float64), true.shape)
                factor = _ratio(got - true, term)
                what = f"{factor:.2g} times {name}" if name != "one" else f"{factor:.2g}"
                yield f"the truth plus {what}", true + factor * term
        if case.stage not in NETWORKS:
            yield from _of_other_inputs(one) if tensor == "output" else _of_some_rows(one, tensor)


def _fits(value: Array, true: Array) -> bool:
    """Whether an array broadcasts to the shape of another."""
    ends = zip(value.shape[::-1], true.shape[::-1], strict=False)
    return value.ndim <= true.ndim and all(n in (1, m) for n, m in ends)


def _ratio(a: Array, b: Array) -> float:
    """How many times ``b`` is in ``a``."""
    whole = float((b * b).sum())
    return float((a * b).sum()) / whole if whole else 0.0


def _multiples(one: Prepared, got: Array, true: Array) -> Iterator[tuple[str, Array]]:
    factor = _ratio(got, true)
    sizes = sizes_in(one.case.stage, one.case.inputs)
    for count in (1, 2):
        for letters in combinations(sizes, count):
            n = int(np.prod([sizes[letter] for letter in letters]))
            if n > 1:
                by = "·".join(letters)
                yield f"the truth divided by {by}", true / n
                yield f"{by} times the truth", true * n
    yield f"{factor:.2g} times the truth", factor * true


def _moved(letters: str, true: Array) -> Iterator[tuple[str, Array]]:
    """The truth in other places."""
    last = len(letters) - 1
    for axis, letter in enumerate(letters):
        along = _AXES.get(letter, "the columns" if axis == last and axis else "the rows")
        yield f"the truth in reverse along {along}", np.flip(true, axis)
        yield f"the truth moved up by one along {along}", np.roll(true, 1, axis)
        yield f"the truth moved down by one along {along}", np.roll(true, -1, axis)
        first = np.broadcast_to(true.take([0], axis), true.shape)
        yield f"the first of {along} everywhere", first
        yield (
            f"the mean of the truth over {along}",
            np.broadcast_to(true.mean(axis, keepdims=True), true.shape),
        )
    for a, b in combinations(range(len(letters)), 2):
        if true.shape[a] == true.shape[b]:
            yield "the truth transposed", true.swapaxes(a, b)
        yield (
            "the truth transposed, read in its order",
            true.swapaxes(a, b).reshape(true.shape),
        )


def _of_other_inputs(one: Prepared) -> Iterator[tuple[str, Array]]:
    """The right output of inputs that are not those given."""
    for name in one.case.differentiable:
        value = one.case.inputs[name]
        changes = {
            f"{name} negated": -value,
            f"{name} doubled": 2 * value,
            f"{name} halved": value / 2,
            f"{name} moved by one": np.roll(value, 1, -1),
            f"{name} moved back by one": np.roll(value, -1, -1),
            f"{name} taken for zero": 0 * value,
        }
        if value.ndim == 2 and value.shape[0] == value.shape[1]:
            changes[f"{name} transposed"] = value.T
        for text, other in changes.items():
            inputs = in_float64({**one.case.inputs, name: other})
            yield f"right for {text}", stage_of(one.case.stage).reference(inputs)


def _of_some_rows(one: Prepared, tensor: str) -> Iterator[tuple[str, Array]]:
    """The gradient, if only some rows had a cotangent."""
    ct = one.case.cotangent
    for axis, word in enumerate(("batch entry", "token")):
        for text, i in (("first", 0), ("last", -1)):
            some = np.zeros_like(ct)
            place = (slice(None),) * axis + (i,)
            some[place] = ct[place]
            found = truth_of(one.case._replace(cotangent=some)).gradients[tensor]
            yield f"that of the {text} {word} alone", found
