"""Where does a failing backend go wrong: in which rows and columns, and from which size on?"""

import math
import re
from typing import Any, TypeAlias

import numpy as np

from ...array import Array
from ...text import ordinal
from .adapter import Declaration
from .bounds import Answers, Judged, judged, prepare
from .calling import answered, called
from .cases import Case, make_case
from .sizes import Sizes, fitted, sizes_in
from .stages import inputs_of, stage_of

__all__ = ["Edge", "Trials", "axes_of", "edges_of", "place_of"]

#: An axis, in letters, and the first of its indices that goes wrong.
Edge: TypeAlias = tuple[str, int]


def axes_of(case: Case, tensor: str) -> str:
    """The axes of a tensor, such as ``"BTD"`` for the output of most stages."""
    shape = stage_of(case.stage).output
    if tensor != "output":
        shape = inputs_of(case.stage, case.inputs)[re.sub(r"^blocks\.\d+", "blocks.i", tensor)]
    return re.sub("[^A-Z]", "", shape)


# In an array -----------------------------------------------------------------------------


def place_of(one: Judged) -> str:
    """Where a tensor is wrong, in a sentence."""
    wrong, case = one.wrong(), one.one.case
    letters, count = axes_of(case, one.tensor), f"the {called(one.tensor)} is wrong "
    if wrong.all():
        return f"{count}everywhere"
    axes = range(wrong.ndim)
    along = [np.asarray(wrong.any(axis=tuple({*axes} - {axis}))) for axis in axes]
    places = [
        _said(_word(letters, axis), those, case.inputs.get("num_heads", 1) * (letters[axis] == "D"))
        for axis, those in enumerate(along)
    ]
    box = np.zeros_like(wrong)
    box[np.ix_(*along)] = True
    if letters.startswith("BT") and (wrong != box).any():
        rows = np.asarray(wrong.any(axis=-1))
        if _regular(rows.ravel()) and (wrong == rows[..., None] & along[-1]).all():
            places = [_said("row", rows.ravel()), *places[2:]]
        elif _regular(wrong.ravel()):
            places = [_said("number", wrong.ravel())]
    said = " of ".join(filter(None, reversed(places)))
    return f"{count}in {wrong.sum():,} of {wrong.size:,} numbers" + (f": {said}" if said else "")


def _word(letters: str, axis: int) -> str:
    """What an index of an axis is called."""
    last = "column" if axis else "entry"
    word = {"B": "batch entry", "T": "token", "V": "id"}.get(letters[axis], "")
    return word or (last if axis == len(letters) - 1 else "row")


def _regular(wrong: Array) -> bool:
    """Whether what is wrong follows each other at equal distances."""
    return len(np.unique(np.diff(np.flatnonzero(wrong)))) <= 1


def _said(word: str, wrong: Array, heads: int = 0) -> str:
    """Which indices of an axis are wrong, in words; nothing if all are."""
    if wrong.all():
        return ""
    by_head = wrong.reshape(max(heads, 1), -1)
    if 1 < heads < len(wrong) and (by_head.all(axis=1) == by_head.any(axis=1)).all():
        word, wrong = "head", by_head[:, 0]
    first, *others = map(int, np.flatnonzero(wrong))
    words = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    if not others:
        return f"the last {word} ({first:,})" if wrong[-1] else f"{word} {first:,}"
    if not _regular(wrong):
        return f"{len(others) + 1:,} of {len(wrong):,} {words}, the first being {first:,}"
    if (step := others[0] - first) > 1:
        return f"every {ordinal(step)} {word} from {first:,} on"
    return f"{words} {first:,} to {others[-1]:,} of {len(wrong):,}"


def edges_of(one: Judged) -> list[Edge]:
    """The axes along which a tensor is right up to an index, and wrong beyond."""
    wrong, letters = one.wrong(), axes_of(one.one.case, one.tensor)
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


#: How many cases are tried, and how many others of the same sizes.
_TRIALS, _SEEDS = 100, 6
#: A tensor fails if it is nearer to the first failure than to its bound, or so many bounds off; a
#: case, if two thirds as many tensors do as in any other. What is less may be what a library's
#: rounding does where a size is 1, and no sign of the bug.
_CLEAR = 1000.0
#: Axes that a kernel flattens into one, with what it counts then.
_FLAT = {"BT": "rows", "BTD": "numbers", "VD": "numbers of the table", "FD": "weights"}


def _named(axis: str, n: int) -> str:
    """A size of an axis, in words."""
    return f"{n:,} {_FLAT[axis]} ({'·'.join(axis)})" if axis in _FLAT else f"{axis} = {n:,}"


class Trials:
    """A failing backend asked at other sizes.

    Args:
        adapter: what speaks for the backend.
        case: one on which it fails; others are made like it.

    Attributes:
        sizes: at which it fails, at first those of the case.
        edges: from where on it fails.
        said: the same in words.
        telling: the sizes; if there is an edge, also some far beyond it, where what begins there
            differs from what recurs, and some before it, where the backend is right and a known
            bug may not be.
    """

    def __init__(self, adapter: Any, case: Case) -> None:
        self.adapter, self.case, self.about = adapter, case, Declaration(adapter)
        self.known: dict[tuple[int, ...], bool] = {}
        self.limit, self.most = 0.0, 0
        self.sizes, self.edges, self.said = sizes_in(case.stage, case.inputs), list[Edge](), ""
        self.sizes, self.telling = self.fitted(), list[Sizes]()

    def fitted(self, **others: int) -> Sizes:
        """The present sizes but for some, or the nearest that the backend supports."""
        return fitted(self.sizes | others, self.about.requires)

    def asked(self, sizes: Sizes) -> tuple[Answers, str]:
        """What the backend says at these sizes, and what is at fault with that."""
        case, about = self.case, self.about
        again = make_case(case.stage, case.kind, case.seed, case.dtype, sizes, about.options)
        (one,) = prepare([again], about.accumulation, about.rounds == "once")
        answer = answered(self.adapter, again, about.has_vjp)
        return judged(one.under(about.profile), answer.results), answer.fault

    def fails(self, **others: int) -> bool | None:
        """Whether it fails at sizes of which some are others; None if it is not asked any more."""
        sizes = self.fitted(**others)
        key = tuple(sizes.values())
        if key not in self.known and len(self.known) < _TRIALS:
            results, fault = self.asked(sizes)
            far = max((one.ratio for one in results.tensors.values()), default=0.0)
            self.limit = self.limit or min(_CLEAR, max(1.0, math.sqrt(far)))
            clear = sum(one.ratio > self.limit for one in results.tensors.values())
            self.most = max(self.most, clear)
            self.known[key] = bool(fault or 0 < 2 * self.most <= 3 * clear)
        return self.known.get(key)

    def right(self, letter: str, n: int) -> bool:
        """Whether it is asked for that size of a letter, and does not fail."""
        own = self.fitted(**{letter: n}) == {**self.sizes, letter: n}
        return own and self.fails(**{letter: n}) is False

    def least(self, letter: str) -> None:
        """Take the smallest size of a letter at which it fails, if it does so from there on."""
        low, high = int(letter == "V"), self.sizes[letter]  # a single id is no choice
        while high - low > 1:
            middle = (low + high) // 2
            middle += middle % 2 == 0 and middle + 1 < high  # tiles are whole at even sizes only
            low, high = (low, middle) if self.fails(**{letter: middle}) else (middle, high)
        self.sizes = self.fitted(**{letter: high})

    def shrink(self) -> bool:
        """Make one size after another smaller, while the backend fails; False if it does not."""
        if not self.fails():
            return False
        order = sorted(self.sizes, key=lambda letter: (letter != "H", -self.sizes[letter]))
        for letter in order:
            tiny = {letter: 1 + (letter == "V")}
            if self.fails(**tiny):
                self.sizes = self.fitted(**tiny)
            else:  # before others are so small that LayerNorm makes all rows alike
                self.least(letter)
        for letter in order:
            self.least(letter)
        flat, said, self.telling = self._flattened(), list[str](), [self.sizes]
        for letter, size in self.sizes.items():
            lower = (self.fitted(**{letter: n})[letter] for n in range(size - 1, 0, -1))
            below, far = next((n for n in lower if n < size), 0), 2 * size + 1
            heads = self.sizes.get("H", 1) if letter == "D" else 1
            if size < 3 * heads or not below or not (others := self._others_wrong(letter, below)):
                continue
            axis = flat.get(letter, letter)
            right = [n for n in (size + 1, far) if not self.fails(**{letter: n})]
            if len(right) == 2 and others < _SEEDS:  # one size alone, and that not always
                continue
            if not self.edges:
                beside = [n for n in (far, below) if n not in right]
                self.telling += [self.fitted(**{letter: n}) for n in beside]
            self.edges.append((axis, below))
            tile = axis == letter and all(self.right(letter, n * below) for n in (2, 3))
            also = " and at its multiples" if tile and not right else ""
            where = "wrong at some sizes" if right else "wrong"
            at, before = _named(axis, size), _named(axis, below)
            said.append(f"right up to {before}{also}, {where} from {at} on")
        self.said = " and ".join(said)
        return True

    def _others_wrong(self, letter: str, below: int) -> int:
        """Of how many other numbers it is wrong here, if all are right below.

        What is wrong by its value is so anywhere, and a small part of a sum may not show.
        """
        wrong = 0
        for seed in range(1, 1 + _SEEDS):
            again = Trials(self.adapter, self.case._replace(seed=self.case.seed + seed))
            again.sizes = self.sizes
            wrong += bool(again.fails())
            if again.fails(**{letter: below}):
                return 0
        return wrong

    def _flattened(self) -> dict[str, str]:
        """By their first letter, axes of which the product of the sizes matters, all along it."""
        flat = {}
        for axes in _FLAT:
            first, letters, now = axes[0], axes[1:], self.sizes
            if not {*axes} <= {*now} or now[first] * max(now[k] for k in letters) < 3:
                continue
            ones = {k: 1 for k in now if k in letters or (k == "H" and "D" in letters)}
            count, least = int(np.prod([now[k] for k in axes])), 1 + (first == "V")
            there, turned = ones | {first: count}, ones | {first: least, letters[-1]: count}
            own = self.fitted(**there) == now | there
            if own and self.fails(**there) and self.fails(**turned):
                self.sizes, flat[first] = now | there, axes
                self.least(first)
        return flat

    def tile(self) -> None:
        """Find the axis whose size has to be a multiple of some number for it to be right."""
        tiles = (4, 8, 16, 32, 64, 128)
        for letter in "BTDF":
            for n in tiles if letter in self.sizes and self.right(letter, tiles[-1]) else ():
                multiples = all(self.right(letter, m) for m in (n, 2 * n, 3 * n))
                others = (n + 1, 2 * n + 1, 3 * n - 1)
                if multiples and all(self.fails(**{letter: m}) for m in others):
                    self.edges = [(letter, n)]
                    self.said = f"right where {letter} is a multiple of {n}, wrong elsewhere"
                    return
