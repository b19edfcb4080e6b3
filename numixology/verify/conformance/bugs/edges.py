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
from ..stages import FEED_FORWARDS, NETWORKS, Inputs, Stage, stage_of
from ..textbook import Textbook, straight_through
from .overrides import of_output
from .registry import Bug, Override, Row, table
from .steps import constant, exponentials, tiles, variance_within

__all__ = ["AXES", "edge_bugs"]

#: What the indices of an axis are called. Letters together are one axis, as a kernel flattens them.
AXES = {
    "B": "rows of the batch", "T": "tokens", "D": "columns", "F": "columns of F", "H": "heads",
    "V": "ids", "L": "blocks", "BT": "rows", "BTD": "numbers", "BTF": "numbers",
    "VD": "numbers of the table", "FD": "weights",
}  # fmt: skip

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
            all rows of the batch, ``"BTD"`` and ``"BTF"`` for all numbers of the output, ``"VD"``
            and ``"FD"`` for those of a weight.
        edge: the first index that is wrong; also the length of a tile.

    Returns:
        The forms that the stage can have there; none if it has no such axis.

    Raises:
        ArgumentError: no such stage or axis.

    Example:
        >>> from numixology.verify.conformance.bugs import edge_bugs
        >>> first, *others = edge_bugs("gelu", "D", 1024)
        >>> first.name, first.description
        ('columns-from-1024-zero', 'columns from 1,024 on: zero')
    """
    there = stage_of(stage)
    if axis not in AXES:
        raise ArgumentError("an axis is one of those known", repr(axis), f"use {', '.join(AXES)}")
    what, kebab = AXES[axis], AXES[axis].replace(" ", "-").lower()
    rows: list[Row] = [(stage, "run", lambda change: lambda s, f, at, p: change(partial(f, at), p))]
    begins: Sequence[tuple[str, str, _Start]] = (
        ("from", "from {:,} on", lambda n: min(edge, n)),
        ("beyond-tiles-of", "beyond whole tiles of {:,}", lambda n: n // edge * edge),
    )
    for name, words, start in begins:
        for form, how in _forms(there, axis, start):
            text = f"{what} {words.format(edge)}: {form.replace('-', ' ')}"
            rows.append((f"{kebab}-{name}-{edge}-{form}", how, text))
    for form, how in _of_tiles(there, axis, edge):
        text = f"{form.replace('-', ' ')} tile of {edge:,} {what}"
        rows.append((f"{form}-tile-of-{edge}", how, text))
    return table("edges", rows)


def _forms(there: Stage, axis: str, start: _Start) -> Iterator[Row]:
    """What may happen beyond the start: a name, and a function of the stage and of its inputs.

    Where it happens inside the stage, overrides of the steps take that function's place.
    """
    at, trained = partial(_At, axis=axis, start=start), _trained(there)
    output, x = at(there.output), at(there.inputs.get("x", "()"))
    if output.there:
        for form, change in output.misread():
            yield form, lambda f, p, change=change: change(f(p))
        if trained:
            yield "not-in-gradients-of-parameters", lambda f, p: output.where(f(_fixed(p)), f(p))
        if there.inputs.get("x") == there.output:
            yield "those-of-the-input", lambda f, p: output.where(p["x"], f(p))
        elif "x" in there.inputs and not x.there:
            yield "not-in-gradient-of-x", lambda f, p: output.where(f(_fixed(p, "x")), f(p))
    if x.there:
        yield "gradient-zero", lambda f, p: f({**p, "x": x.fixed(p["x"])})
    for name in trained:
        own = at(there.inputs[name])
        if own.there and (there.name not in NETWORKS or axis in "TV"):
            for form, change in (*own.misread(), ("not-trained", own.fixed)):
                said = re.sub("[_.]", "-", f"{name}-{form}")
                yield said, lambda f, p, k=name, change=change: f({**p, k: change(p[k])})
    yield from _of_steps(there, axis, start)


def _of_steps(there: Stage, axis: str, start: _Start) -> Iterator[Row]:
    """The forms inside a stage: sums that leave out terms, and the like."""

    def before(x: Any) -> Any:
        return x[..., : start(x.shape[-1])]

    if axis == "D" and there.name in _SUMS:
        yield "not-summed", _SUMS[there.name](before)
    if (there.name, axis) == ("layer_norm", "D"):
        mean, variance = lambda s, f, x: f(before(x)), lambda s, f, x, h: s.mean(h * h)
        yield "not-in-statistics", {"mean": mean, "variance": variance}
    if (there.name, axis) == ("rms_norm", "D"):
        yield "not-in-statistics", {"variance": lambda s, f, x, h: s.mean(before(h * h))}
    if axis == "F" and there.name in (*FEED_FORWARDS.values(), "block", "model"):
        inner = of_output(_At("(B, T, F)", axis=axis, start=start).zero)
        yield "not-summed", {"activation": inner, "gated": inner}
    if (there.name, axis) == ("token_mix", "T") or (axis == "H" and there.name in _READ):
        for form, change in _At("(B, T, H, d)", axis=axis, start=start).misread():
            yield f"read-{form}", {"permute": lambda s, f, x, change=change: f(change(x))}
    if (there.name, axis) == ("model", "L"):
        yield "left-out", {"layers": lambda s, f, depth: range(start(depth))}
        yield "wrapped", {"layers": lambda s, f, n: np.arange(n) % max(start(n), 1)}


#: Stages in which heads are read once, by the mixer.
_READ = ("token_mix", "mixer", "block", "model")
#: Steps that count some of the columns in their sums, by the stage.
_SUMS: dict[str, Callable[[Callable[[Any], Any]], dict[str, Override]]] = {
    "layer_norm": lambda some: {
        "center": lambda s, f, x: x - s.total(some(x)) / x.shape[-1],
        "variance": lambda s, f, x, h: s.total(some(h * h)) / x.shape[-1],
    },
    "rms_norm": lambda some: {"variance": lambda s, f, x, h: s.total(some(h * h)) / x.shape[-1]},
    "softmax": lambda some: {"total": lambda s, f, x: f(some(x))},
    "linear": lambda some: {"product": lambda s, f, x, w: f(some(x), some(w))},
}


def _of_tiles(there: Stage, axis: str, edge: int) -> Iterator[Row]:
    """What happens to tiles: a name that ends in their length, and how."""

    def joined(s: Textbook, f: Override, x: Tensor, *args: Any) -> Any:
        return F.concatenate([f(tile, *args) for tile in tiles(x, edge)], axis=-1)

    def unscaled(s: Textbook, f: Override, x: Tensor) -> Tensor:
        tops = (F.max(x[..., : i + edge], -1, keepdims=True) for i in range(0, x.shape[-1], edge))
        total = sum(
            s.total(F.exp(tile - top)) for tile, top in zip(tiles(x, edge), tops, strict=True)
        )
        y = s.store(exponentials(x) / total).detach()
        return straight_through(y, s.store(y * (x - s.total(x * y))))  # as a backward has it from y

    last = _At(there.output, axis=axis, start=lambda n: (n - 1) // edge * edge)
    if last.there and axis in ("B", "T", "BT") and _trained(there):
        yield "gradients-of-last", lambda f, p: last.where(f(p), f(_fixed(p)))
    if (there.name, axis) == ("linear", "D"):
        added = {"linear": lambda s, f, x, w, b: f(x, w, b * -(-x.shape[-1] // edge))}
        yield "bias-added-by-each", added
    if last.there and axis in ("B", "T", "BT"):
        moved = _At(there.output, axis=axis, start=lambda n: max(n - edge, 0))
        yield (
            "shared-rows-added-by-last-shifted",
            lambda f, p: last.where(y := f(p), moved.where(2 * y, y)),
        )
    if axis == "D" and there.name in _SUMS:
        yield "sums-of-last", _SUMS[there.name](lambda x: tiles(x, edge)[-1])
    if (there.name, axis) == ("layer_norm", "D"):
        yield "statistics-of-each", {"normalized": joined}
        yield (
            "variance-within-each",
            {"variance": lambda s, f, x, h: variance_within(s, tiles(x, edge))},
        )
    if (there.name, axis) == ("softmax", "D"):
        yield "softmax-of-each", {"softmax": joined}
        yield "not-rescaled-over-each", {"softmax": unscaled}


def _trained(there: Stage) -> list[str]:
    """The names of a stage's parameters."""
    return [k for k, shape in there.inputs.items() if k not in ("x", "ids") and shape != "()"]


def _fixed(p: Inputs, *names: str) -> Inputs:
    """The inputs, with constants for those of these names, or else for the parameters."""
    return {k: constant(x) if k in names or (k != "x" and not names) else x for k, x in p.items()}


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

    def misread(self) -> Sequence[tuple[str, Callable[[Tensor], Tensor]]]:
        """Beyond the start: zero, the first entries again, or the last one before it."""
        return (
            ("zero", self.zero),
            ("wrapped", lambda x: self._moved(x, lambda i, k: i % k)),
            ("clamped", lambda x: self._moved(x, lambda i, k: np.minimum(i, k - 1))),
        )

    def _moved(self, x: Tensor, places: Callable[[Array, int], Array]) -> Tensor:
        flat = x.reshape(*x.shape[: self.axes.start], -1, *x.shape[self.axes.stop :])
        length = flat.shape[self.axes.start]
        moved = places(np.arange(length), max(self.start(length), 1))
        return flat[(*[slice(None)] * self.axes.start, moved)].reshape(x.shape)
