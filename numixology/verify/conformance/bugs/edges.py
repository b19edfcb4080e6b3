"""Bugs of size: what begins at an index of an axis, or beyond the last whole tile.

They are made when the axis and the edge are known, for there is no end of sizes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from .... import functional as F
from ....array import Array
from ....errors import ArgumentError
from ....tensors import Tensor
from ..stages import NETWORKS, Inputs, Stage, stage_of
from ..textbook import Textbook
from .registry import Bug, Override, Row, table
from .steps import exponentials

__all__ = ["AXES", "edge_bugs"]

#: What the indices of an axis are called. Letters together are one axis, as a kernel flattens them.
AXES = {
    "B": "rows of the batch",
    "T": "tokens",
    "D": "columns",
    "F": "columns of F",
    "H": "heads",
    "V": "ids",
    "L": "blocks",
    "BT": "rows",
    "BTD": "numbers",
    "BTF": "numbers",
}

_Start: TypeAlias = Callable[[int], int]  # where the error begins in an axis of that length


def edge_bugs(stage: str, axis: str, edge: int) -> list[Bug]:
    """The forms of an error that begins at an edge of an axis.

    Each is a bug like those of :data:`BUGS`, of the family "edges". Its gradient is that of what
    it computes, but where it says that a gradient is wrong. Where it begins is said in two ways:
    from an index on, and beyond whole tiles of that length. The two are one where the axis is
    longer than a tile and shorter than two.

    Args:
        stage: a key of :data:`.STAGES`.
        axis: a key of :data:`AXES`: a letter of the sizes of a case, or ``"BT"`` for the tokens of
            all rows of the batch, ``"BTD"`` and ``"BTF"`` for all numbers of the output.
        edge: the first index that is wrong; also the length of a tile.

    Returns:
        The forms that the stage can have there; none if it has no such axis.

    Raises:
        ArgumentError: no such stage or axis.

    Example:
        >>> from numixology.verify.conformance.bugs import edge_bugs
        >>> first, *others = edge_bugs("gelu", "D", 1024)
        >>> first.name, first.description
        ('columns-from-1024-zero', 'columns from 1,024 on stay zero')
    """
    there = stage_of(stage)
    if axis not in AXES:
        raise ArgumentError("an axis is one of those known", repr(axis), f"use {', '.join(AXES)}")
    what = AXES[axis]
    begins: Sequence[tuple[str, str, _Start]] = (
        (f"from-{edge}", f"from {edge:,} on", lambda n: min(edge, n)),
        (f"beyond-tiles-of-{edge}", f"beyond whole tiles of {edge:,}", lambda n: n // edge * edge),
    )
    rows: list[Row] = [
        (f"{what} {name} {form}".replace(" ", "-").lower(), f"{what} {words} {text}", steps)
        for name, words, start in begins
        for form, text, steps in _forms(there, axis, start)
    ]
    rows += [
        (f"{form}-tile-of-{edge}", f"{text} tile of {edge:,} {what}", steps)
        for form, text, steps in _of_tiles(there, axis, edge)
    ]
    return table("edges", stage, stage, rows)


def _forms(there: Stage, axis: str, start: _Start) -> Iterator[Row]:
    """What may happen beyond the start: a name, what follows the words for the place, and how."""
    at = partial(_At, axis=axis, start=start)
    output = at(there.output)
    around = partial(_around, there)
    if output.there:
        yield "zero", "stay zero", around(lambda f, p: output.zero(f(p)))
        yield "wrapped", "are the first ones again", around(lambda f, p: output.wrapped(f(p)))
        yield "clamped", "are the last one before", around(lambda f, p: output.clamped(f(p)))
    if output.there and _trained(there):
        fixed = around(lambda f, p: output.where(f(_fixed(p)), f(p)))
        yield "not-in-parameters", "do not count in the gradients of the parameters", fixed
    x = at(there.inputs.get("x", "()"))
    if x.there:
        fixed = around(partial(_with, "x", x.fixed))
        yield "gradient-zero", "of the input's gradient stay zero", fixed
    if output.there and there.inputs.get("x") == there.output:
        yield "kept", "are those of the input", around(lambda f, p: output.where(p["x"], f(p)))
    if output.there and not x.there and "x" in there.inputs:
        fixed = around(lambda f, p: output.where(f({**p, "x": p["x"].detach()}), f(p)))
        yield "not-in-gradient", "do not count in the input's gradient", fixed
    for name, shape in there.inputs.items():
        here = at(shape)
        if here.there and name in _trained(there) and (there.name not in NETWORKS or axis in "TV"):
            for form, text, change in (
                ("zero", "taken for zero", here.zero),
                ("wrapped", "the first ones again", here.wrapped),
                ("clamped", "the last one before", here.clamped),
                ("not-trained", "given no gradient", here.fixed),
            ):
                key = re.sub("[_.]", "-", f"{name}-{form}")
                yield key, f"of {name} are {text}", around(partial(_with, name, change))
    yield from _of_sums(there.name, axis, start)


def _around(there: Stage, change: Callable[..., Tensor]) -> Override:
    """An override of a stage by what ``change`` makes of it, a function of inputs, and of them."""

    def stage(s: Textbook, right: Callable[..., Tensor], *args: Any, **named: Any) -> Tensor:
        if there.name in NETWORKS:
            return change(right, *args)
        inputs = dict(zip(there.inputs, args, strict=False)) | named
        return change(lambda p: right(**p), inputs)

    return stage


def _with(
    name: str, change: Callable[[Tensor], Tensor], right: Callable[[Inputs], Tensor], p: Inputs
) -> Tensor:
    return right(p if p.get(name) is None else {**p, name: change(p[name])})


def _trained(there: Stage) -> list[str]:
    """The names of a stage's parameters."""
    return [k for k, shape in there.inputs.items() if k not in ("x", "ids") and shape != "()"]


def _fixed(p: Inputs) -> Inputs:
    """The inputs, with constants for parameters."""
    return {k: v.detach() if isinstance(v, Tensor) and k != "x" else v for k, v in p.items()}


class _At:
    """Where the error begins in arrays of a shape, which is given in letters."""

    def __init__(self, shape: str, *, axis: str, start: _Start) -> None:
        letters = re.findall("[A-Z]", shape)
        self.there = axis in "".join(letters)
        first = letters.index(axis[0]) if self.there else 0
        self.axes, self.start = slice(first, first + len(axis)), start

    def where(self, x: Any, y: Tensor) -> Tensor:
        """``x`` beyond the start, and ``y`` before."""
        lengths = y.shape[self.axes]
        index = np.arange(np.prod(lengths, dtype=int))
        shape = *lengths, *[1] * (y.ndim - self.axes.stop)
        before: Array = (index < self.start(len(index))).reshape(shape)
        chosen: Tensor = F.where(np.broadcast_to(before, y.shape), y, x)
        return chosen

    def zero(self, x: Tensor) -> Tensor:
        """Zero beyond the start."""
        return self.where(0.0, x)

    def fixed(self, x: Tensor) -> Tensor:
        """A constant beyond the start."""
        return self.where(x.detach(), x)

    def wrapped(self, x: Tensor) -> Tensor:
        """The first entries again beyond the start."""
        return self._moved(x, lambda i, k: i % k)

    def clamped(self, x: Tensor) -> Tensor:
        """The last entry before the start, beyond it."""
        return self._moved(x, lambda i, k: np.minimum(i, k - 1))

    def _moved(self, x: Tensor, places: Callable[[Array, int], Array]) -> Tensor:
        flat = x.reshape(*x.shape[: self.axes.start], -1, *x.shape[self.axes.stop :])
        length = flat.shape[self.axes.start]
        moved = places(np.arange(length), max(self.start(length), 1))
        return flat[(*[slice(None)] * self.axes.start, moved)].reshape(x.shape)


def _of_sums(stage: str, axis: str, start: _Start) -> Sequence[Row]:
    """The forms inside a stage: its sums leave out what lies beyond the start, and the like."""

    def before(x: Any) -> Any:
        return x[..., : start(x.shape[-1])]

    def left_out(**steps: Callable[..., Any]) -> Row:
        return "not-summed", "are not in the sums", steps

    inner = _At("(B, T, F)", axis="F", start=start)
    statistics = {
        "mean": lambda s, right, x: right(before(x)),
        "variance": lambda s, right, x, h: s.mean(h * h),
    }
    heads = _At("(B, T, H, d)", axis=axis, start=start)
    read: Sequence[Row] = [
        (f"read-{form}", f"are read {text}", {"permute": lambda s, right, x, c=c: right(c(x))})
        for form, text, c in (
            ("zero", "as zero", heads.zero),
            ("wrapped", "from the first on again", heads.wrapped),
            ("clamped", "as the last one before", heads.clamped),
        )
    ]
    known: dict[tuple[str, str], Sequence[Row]] = {
        ("layer_norm", "D"): [
            left_out(total=lambda s, right, x: right(before(x))),
            ("not-in-statistics", "are left out of the mean and the variance", statistics),
        ],
        ("softmax", "D"): [left_out(total=lambda s, right, x: right(before(x)))],
        ("linear", "D"): [left_out(product=lambda s, right, x, w: right(before(x), before(w)))],
        ("feed_forward", "F"): [left_out(activation=lambda s, right, x: inner.zero(right(x)))],
        ("swiglu_feed_forward", "F"): [
            left_out(gated=lambda s, right, gate, up: inner.zero(right(gate, up)))
        ],
        ("token_mix", "T"): read,
        **{(one, "H"): read for one in ("token_mix", "block", "model")},
        ("model", "L"): [
            ("left-out", "are left out", {"layers": lambda s, right, L: range(start(L))}),
            (
                "wrapped",
                "have the parameters of the first again",
                {"layers": lambda s, right, L: [i % max(start(L), 1) for i in range(L)]},
            ),
        ],
    }
    return known.get((stage, axis), [])


def _of_tiles(there: Stage, axis: str, edge: int) -> Iterator[Row]:
    """What happens to tiles: a name and words, which both end in their length, and how."""

    def tiles(x: Tensor) -> list[Tensor]:
        return [x[..., i : i + edge] for i in range(0, x.shape[-1], edge)]

    def joined(s: Textbook, right: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
        return F.concatenate([right(tile, *args) for tile in tiles(x)], axis=-1)

    def within(s: Textbook, right: object, x: Tensor, h: Tensor) -> Tensor:
        own = [tile - s.mean(tile) for tile in tiles(x)]
        return s.total(F.concatenate([one * one for one in own], axis=-1)) / x.shape[-1]

    def unscaled(s: Textbook, right: object, x: Tensor) -> Tensor:
        return s.store(exponentials(x) / sum(s.total(exponentials(tile)) for tile in tiles(x)))

    name, last = there.name, _At(there.output, axis=axis, start=lambda n: (n - 1) // edge * edge)
    if last.there and axis in ("B", "T", "BT") and _trained(there):
        of_last = _around(there, lambda f, p: last.where(f(p), f(_fixed(p))))
        yield "gradients-of-last", "the gradients of the parameters are those of the last", of_last
    if (name, axis) in (("layer_norm", "D"), ("softmax", "D")):
        total = {"total": lambda s, right, x: right(tiles(x)[-1])}
        yield "sums-of-last", "the sums are those of the last", total
    if (name, axis) == ("layer_norm", "D"):
        yield (
            "statistics-of-each",
            "the mean and the variance are those of each",
            {"normalized": joined},
        )
        yield "variance-within", "the variance is that within", {"variance": within}
    if (name, axis) == ("softmax", "D"):
        yield "softmax-of-each", "the softmax is that of each", {"softmax": joined}
        yield "not-rescaled", "the sums are not rescaled to one maximum over", {"softmax": unscaled}
    if (name, axis) == ("linear", "D"):
        product = {"product": lambda s, right, x, w: right(tiles(x)[-1], tiles(w)[-1])}
        yield "sums-of-last", "the sums are those of the last", product
