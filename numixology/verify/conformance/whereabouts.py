"""Where does a failing backend go wrong: in which rows and columns, and from which size on?"""

from collections.abc import Sequence

import numpy as np

from ...array import Array, ignoring_fp_errors
from .bounds import Prepared, true_tensors
from .cases import Case
from .formats import format_of
from .stages import stage_of

__all__ = ["letters_of", "place_of", "wrong_entries"]


def letters_of(case: Case, tensor: str) -> str:
    """The axes of a tensor, such as ``"BTD"`` for the output of most stages."""
    stage = stage_of(case.stage)
    start, *rest = tensor.split(".")
    name = ".".join((start, "i", *rest[1:])) if start == "blocks" else tensor
    return (stage.output if tensor == "output" else stage.inputs[name]).translate(_PUNCTUATION)


_PUNCTUATION = str.maketrans("", "", "(,) ")


def wrong_entries(one: Prepared, tensor: str, got: Array) -> Array:
    """Which entries of a tensor are beyond their bound."""
    true, form = true_tensors(one.truth)[tensor], format_of(one.case.dtype)
    allowed = one.bounds[tensor] * form.unit * one.scales[tensor]
    with ignoring_fp_errors():
        found, held = np.asarray(got, np.float64), form.stored(true)
        right = (found == held) | (np.isnan(found) & np.isnan(true))
        return np.asarray(~(right | (np.abs(found - true) <= allowed)))


def place_of(one: Prepared, tensor: str, got: Array) -> str:
    """Where a tensor is wrong, in a sentence.

    Args:
        one: the case.
        tensor: ``"output"``, or whose gradient it is.
        got: what the backend says.
    """
    wrong, letters = wrong_entries(one, tensor, got), letters_of(one.case, tensor)
    called = "the output" if tensor == "output" else f"the gradient of {tensor}"
    if wrong.all():
        return f"{called} is wrong everywhere"
    sets = [np.flatnonzero(_projected(wrong, axis)) for axis in range(wrong.ndim)]
    box = np.zeros_like(wrong)
    box[np.ix_(*sets)] = True
    places = [
        _of_axis(one.case, letters, axis, indices, wrong.shape[axis])
        for axis, indices in enumerate(sets)
    ]
    if (wrong != box).any() and letters.startswith("BT"):
        rows, flat = np.asarray(wrong.any(axis=-1)), np.flatnonzero(wrong)
        whole = (wrong == rows[..., None] & wrong.any(axis=(0, 1))).all()
        if whole and _regular(np.flatnonzero(rows)):
            places = [_said("row", np.flatnonzero(rows), rows.size), *places[2:]]
        elif _regular(flat):
            places = [_said("number", flat, wrong.size)]
    places = [place for place in places if place]
    count = f"{called} is wrong in {int(wrong.sum()):,} of {wrong.size:,} numbers"
    return f"{count}: {' of '.join(reversed(places))}" if places else count


def _projected(wrong: Array, axis: int) -> Array:
    others = tuple(i for i in range(wrong.ndim) if i != axis)
    return np.asarray(wrong.any(axis=others))


def _of_axis(case: Case, letters: str, axis: int, indices: Array, length: int) -> str:
    """Which indices of an axis are wrong; nothing if all are."""
    if len(indices) == length:
        return ""
    heads = case.inputs.get("num_heads", 1)
    width = length // heads
    if letters[axis] == "D" and heads > 1 and width > 1 and len(indices) % width == 0:
        those = np.unique(indices // width)
        if len(those) * width == len(indices):
            return _said("head", those, heads)
    last = axis == len(letters) - 1
    word = {"B": "batch entry", "T": "token", "V": "id"}.get(letters[axis], "")
    return _said(
        word or ("column" if last and axis else "entry" if last else "row"), indices, length
    )


def _regular(indices: Array) -> bool:
    """Whether indices follow each other at equal distances."""
    return len(indices) > 0 and len(np.unique(np.diff(indices))) <= 1


def _said(word: str, indices: Sequence[int] | Array, length: int) -> str:
    """Some of the indices of an axis, in words."""
    words = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    count, first, last = len(indices), int(indices[0]), int(indices[-1])
    if count == 1:
        return f"{word} {first:,}" if last < length - 1 else f"the last of {length:,} {words}"
    if not _regular(np.asarray(indices)):
        return f"{count:,} of {length:,} {words}, the first being {first:,}"
    step = int(indices[1] - indices[0])
    if step > 1:
        return f"every {step:,}{_ordinal(step)} {word} from {first:,} on"
    if last == length - 1:
        return f"the last {count:,} of {length:,} {words}, from {first:,} on"
    if not first:
        return f"the first {count:,} of {length:,} {words}"
    return f"{words} {first:,} to {last:,} of {length:,}"


def _ordinal(n: int) -> str:
    return {1: "st", 2: "nd", 3: "rd"}.get(n % 10 if n // 10 % 10 != 1 else 0, "th")
