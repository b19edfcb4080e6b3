"""Where does a failing backend go wrong: in which rows and columns, and from which size on?"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...array import Array
from ...text import ordinal
from .adapter import Declaration
from .bounds import Prepared, errors_of, prepare, true_tensors
from .calling import answered, called
from .cases import Case, make_case
from .sizes import Sizes, fitted, sizes_in
from .stages import inputs_of, stage_of

__all__ = [
    "Edge",
    "Smallest",
    "axes_of",
    "edges_of",
    "multiples_of",
    "place_of",
    "smallest_failing",
]

#: An axis, in letters, and the first of its indices that goes wrong.
Edge: TypeAlias = tuple[str, int]


def axes_of(case: Case, tensor: str) -> str:
    """The axes of a tensor, such as ``"BTD"`` for the output of most stages."""
    shape = stage_of(case.stage).output
    if tensor != "output":
        shape = inputs_of(case.stage, case.inputs)[re.sub(r"^blocks\.\d+", "blocks.i", tensor)]
    return re.sub("[^A-Z]", "", shape)


# In an array -----------------------------------------------------------------------------


def wrong_entries(one: Prepared, tensor: str, got: Array, profile: Sequence[str] = ()) -> Array:
    """Which entries of a tensor are beyond their bound, and that of a declared profile."""
    scale = np.max([one.scales[tensor], *(one.wide(name)[tensor] for name in profile)], axis=0)
    errors = errors_of(got, true_tensors(one.truth)[tensor], scale, one.case.dtype)
    return np.asarray(errors > one.bounds[tensor])


def place_of(one: Prepared, tensor: str, got: Array) -> str:
    """Where a tensor is wrong, in a sentence.

    Args:
        one: the case.
        tensor: ``"output"``, or whose gradient it is.
        got: what the backend says.
    """
    wrong, letters = wrong_entries(one, tensor, got), axes_of(one.case, tensor)
    if wrong.all():
        return f"the {called(tensor)} is wrong everywhere"
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
    count = f"the {called(tensor)} is wrong in {int(wrong.sum()):,} of {wrong.size:,} numbers"
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
        ending = ordinal(step).removeprefix(str(step))
        return f"every {step:,}{ending} {word} from {first:,} on"
    if last == length - 1:
        return f"the last {count:,} of {length:,} {words}, from {first:,} on"
    if not first:
        return f"the first {count:,} of {length:,} {words}"
    return f"{words} {first:,} to {last:,} of {length:,}"


def edges_of(one: Prepared, tensor: str, got: Array) -> list[Edge]:
    """The axes along which a tensor is right up to an index, and wrong beyond."""
    wrong, letters = wrong_entries(one, tensor, got), axes_of(one.case, tensor)
    sets = {letter: np.moveaxis(wrong, axis, 0) for axis, letter in enumerate(letters)}
    if letters.startswith("BT"):
        sets |= {"BT": wrong.reshape(-1, wrong.shape[-1]), letters: wrong.ravel()}
    found = []
    for axis, those in sets.items():
        first = int(np.argmax(those.reshape(len(those), -1).any(axis=1)))
        if first and those[first:].mean() > 0.9:  # some may be right by chance
            found.append((axis, first))
    return found


# Among sizes -----------------------------------------------------------------------------


class Smallest(NamedTuple):
    """The smallest sizes at which a backend fails.

    Attributes:
        sizes: of which none can be smaller.
        edges: from where on it fails.
        said: the same in words.
        asked: the case of these sizes and what the backend says of it; if there is an edge, also
            one far beyond it, where what begins there differs from what recurs, and one before it,
            where the backend is right and a known bug may not be.
    """

    sizes: Sizes
    edges: list[Edge]
    said: str
    asked: list[tuple[Prepared, dict[str, Array]]]


#: How many cases are tried.
_TRIALS = 100


def smallest_failing(adapter: Any, case: Case) -> Smallest | None:
    """Make the sizes of a failing case smaller, one after another, while the backend fails.

    Args:
        adapter: what speaks for the backend.
        case: one on which it fails; not from inside a network.

    Returns:
        The smallest sizes; None if it does not fail at the sizes of the case, or cannot be asked.
    """
    trials = _Trials(adapter, case)
    sizes = trials.fitted(sizes_in(case.stage, case.inputs))
    if not trials.fails(sizes):
        return None
    order = sorted(sizes, key=lambda letter: (letter != "H", -sizes[letter]))
    for letter in order:
        tiny = {**sizes, letter: 1 + (letter == "V")}  # a single id is no choice
        sizes = trials.fitted(tiny) if trials.fails(tiny) else sizes
    for letter in order:
        sizes = trials.least(sizes, letter)
    sizes, edges, said = _along(trials, sizes)
    further = [{**sizes, axis[0]: 2 * sizes[axis[0]] + 1} for axis, _ in edges]
    asked = [sizes, *(each for each in further[:1] if trials.fails(each))]
    asked += [{**sizes, axis[0]: n} for axis, n in edges[:1]]
    return Smallest(sizes, edges, said, [trials.made(each) for each in asked])


class _Trials:
    """A backend asked at several sizes."""

    def __init__(self, adapter: Any, case: Case) -> None:
        self.adapter, self.case, self.about = adapter, case, Declaration(adapter)
        self.known: dict[tuple[tuple[str, int], ...], bool] = {}

    def fitted(self, sizes: Sizes) -> Sizes:
        """The nearest sizes that the backend supports."""
        return fitted(sizes, self.about.requires)

    def made(self, sizes: Sizes) -> tuple[Prepared, dict[str, Array]]:
        """The case of these sizes, and what the backend says of it."""
        case, sizes = self.case, self.fitted(sizes)
        again = make_case(case.stage, case.kind, case.seed, case.dtype, sizes, self.about.options)
        (one,) = prepare([again], self.about.accumulation, self.about.rounds == "once")
        return one, answered(self.adapter, again, self.about.has_vjp).results

    def fails(self, sizes: Sizes) -> bool:
        """Whether it fails at these sizes, or at the nearest that it supports."""
        sizes = self.fitted(sizes)
        key = tuple(sorted(sizes.items()))
        if key not in self.known:
            if len(self.known) >= _TRIALS:
                return False
            one, results = self.made(sizes)
            self.known[key] = any(
                wrong_entries(one, tensor, got, self.about.profile).any()
                for tensor, got in results.items()
            )
        return self.known[key]

    def right(self, sizes: Sizes, letter: str, n: int) -> bool:
        """Whether it is asked for that size of a letter, and does not fail."""
        there = {**sizes, letter: n}
        return self.fitted(there) == there and not self.fails(there)

    def least(self, sizes: Sizes, letter: str) -> Sizes:
        """The smallest size of a letter at which it fails, if it does so from there on."""
        low, high = int(letter == "V"), sizes[letter]
        while high - low > 1:
            middle = (low + high) // 2
            if self.fails({**sizes, letter: middle}):
                high = middle
            else:
                low = middle
        return self.fitted({**sizes, letter: high})

    def below(self, sizes: Sizes, letter: str) -> int:
        """The largest size of a letter, below the present one, that the backend supports."""
        for n in range(sizes[letter] - 1, 0, -1):
            if (found := self.fitted({**sizes, letter: n})[letter]) < sizes[letter]:
                return found
        return 0


def _along(trials: _Trials, sizes: Sizes) -> tuple[Sizes, list[Edge], str]:
    """Along which axes a backend fails from a size on."""
    sizes, flat = _flattened(trials, sizes)
    edges, said = list[Edge](), list[str]()
    for letter, size in sizes.items():
        if size < 3:
            continue
        axis = flat if letter == "B" and flat else letter
        below = trials.below(sizes, letter)
        if not below:
            continue
        right = [n for n in (size + 1, 2 * size + 1) if not trials.fails({**sizes, letter: n})]
        at, before = _NAMES[axis].format(size), _NAMES[axis].format(below)
        edges.append((axis, below))
        if right:
            said.append(f"wrong at {at}, right at {before} and {_NAMES[axis].format(right[0])}")
        else:
            said.append(f"right up to {before}, wrong from {at} on")
    return sizes, edges, " and ".join(said)


_NAMES = {"B": "B = {:,}", "BT": "{:,} rows (B·T)", "BTD": "{:,} numbers (B·T·D)"}
_NAMES |= {letter: f"{letter} = {{:,}}" for letter in "TDHFVL"}


def _flattened(trials: _Trials, sizes: Sizes) -> tuple[Sizes, str]:
    """Sizes with all rows, or all numbers, along B, if it is their product that matters."""
    flat, found = "", sizes
    for axes, letters in (("BT", "T"), ("BTD", "TD")):
        if not {*axes} <= {*sizes} or found["B"] * max(found[k] for k in letters) < 3:
            continue
        ones = dict.fromkeys([*letters, *("H" if "D" in letters else "")], 1)
        there = {**found, **{k: n for k, n in ones.items() if k in found}}
        there["B"] = int(np.prod([found[k] for k in axes]))
        turned = {**there, "B": 1, letters[-1]: there["B"]}
        if trials.fitted(there) == there and trials.fails(there) and trials.fails(turned):
            found, flat = trials.least(there, "B"), axes
    return found, flat


def multiples_of(adapter: Any, case: Case) -> tuple[list[Edge], str]:
    """The axis whose size has to be a multiple of some number for a backend to be right.

    Args:
        adapter: what speaks for the backend.
        case: the smallest on which it fails.
    """
    trials, sizes = _Trials(adapter, case), sizes_in(case.stage, case.inputs)
    tiles = (4, 8, 16, 32, 64, 128)
    for letter in "BTDF":
        if letter not in sizes or not trials.right(sizes, letter, tiles[-1]):
            continue
        for n in tiles:
            if all(trials.right(sizes, letter, m) for m in (n, 2 * n, 3 * n)):
                if trials.right(sizes, letter, n + 1):
                    return [], f"wrong at {letter} = {sizes[letter]}, right at {letter} = {n}"
                return [(letter, n)], f"right where {letter} is a multiple of {n}, wrong elsewhere"
    return [], ""
