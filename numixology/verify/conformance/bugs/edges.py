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
from ..stages import NETWORKS, Inputs, Stage, part, stage_of
from ..textbook import Textbook, straight_through
from .registry import Bug, Override, Row, table
from .steps import constant, exponentials

__all__ = ["AXES", "edge_bugs"]

#: What the indices of an axis are called. Letters together are one axis, as a kernel flattens them.
AXES = {
    "B": "rows of the batch", "T": "tokens", "D": "columns", "F": "columns of F", "H": "heads",
    "V": "ids", "L": "blocks", "BT": "rows", "BTD": "numbers", "BTF": "numbers",
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
    what, kebab = AXES[axis], AXES[axis].replace(" ", "-").lower()
    rows: list[Row] = [(stage, stage)]
    begins: Sequence[tuple[str, str, _Start]] = (
        (f"from-{edge}", f"from {edge:,} on", lambda n: min(edge, n)),
        (f"beyond-tiles-of-{edge}", f"beyond whole tiles of {edge:,}", lambda n: n // edge * edge),
    )
    for name, words, start in begins:
        for form, how, text in _forms(there, axis, start):
            rows.append((f"{kebab}-{name}-{form}", how, f"{what} {words} {text}"))
    for form, how, text in _of_tiles(there, axis, edge):
        rows.append((f"{form}-tile-of-{edge}", how, f"{text} tile of {edge:,} {what}"))
    return table("edges", rows)


def _forms(there: Stage, axis: str, start: _Start) -> Iterator[Row]:
    """What may happen beyond the start: a name, how, and what follows the words for the place."""
    at, around = partial(_At, axis=axis, start=start), partial(_around, there)
    output, x = at(there.output), at(there.inputs.get("x", "()"))
    if output.there:
        yield "zero", around(lambda f, p: output.zero(f(p))), "stay zero"
        yield "wrapped", around(lambda f, p: output.wrapped(f(p))), "are the first ones again"
        yield "clamped", around(lambda f, p: output.clamped(f(p))), "are the last one before"
    if output.there and _trained(there):
        how = around(lambda f, p: output.where(f(_fixed(p)), f(p)))
        yield "not-in-parameters", how, "do not count in the gradients of the parameters"
    if output.there and x.there and there.inputs["x"] == there.output:
        yield "kept", around(lambda f, p: output.where(p["x"], f(p))), "are those of the input"
    if x.there:
        how = around(partial(_with, "x", x.fixed))
        yield "gradient-zero", how, "of the input's gradient stay zero"
    elif output.there and "x" in there.inputs:
        how = around(lambda f, p: output.where(f({**p, "x": p["x"].detach()}), f(p)))
        yield "not-in-gradient", how, "do not count in the input's gradient"
    for name in _trained(there):
        own = at(there.inputs[name])
        if own.there and (there.name not in NETWORKS or axis in "TV"):
            for form, change, text in (
                ("zero", own.zero, "taken for zero"),
                ("wrapped", own.wrapped, "the first ones again"),
                ("clamped", own.clamped, "the last one before"),
                ("not-trained", own.fixed, "given no gradient"),
            ):
                how = around(partial(_with, name, change))
                yield re.sub("[_.]", "-", f"{name}-{form}"), how, f"of {name} are {text}"
    yield from _of_steps(axis, start).get((there.name, axis), [])


def _of_steps(axis: str, start: _Start) -> dict[tuple[str, str], Sequence[Row]]:
    """The forms inside a stage, by stage and axis: sums that leave out terms, and the like."""

    def left_out(**steps: Override) -> Sequence[Row]:
        return [("not-summed", steps, "are not in the sums")]

    def before(x: Any) -> Any:
        return x[..., : start(x.shape[-1])]

    inner = _At("(B, T, F)", axis="F", start=start)
    heads = _At("(B, T, H, d)", axis=axis, start=start)
    read = [
        ("read-zero", {"permute": lambda s, f, x: f(heads.zero(x))}, "are read as zero"),
        ("read-wrapped", {"permute": lambda s, f, x: f(heads.wrapped(x))}, "are read as the first"),
        ("read-clamped", {"permute": lambda s, f, x: f(heads.clamped(x))}, "are read as the last"),
    ]
    return {
        ("layer_norm", "D"): [
            *left_out(center=lambda s, f, x: x - s.total(before(x)) / x.shape[-1],
                      variance=lambda s, f, x, h: s.total(before(h * h)) / x.shape[-1]),
            ("not-in-statistics", {"mean": lambda s, f, x: f(before(x)),
                                   "variance": lambda s, f, x, h: s.mean(h * h)},
             "are left out of the mean and the variance"),
        ],
        ("softmax", "D"): left_out(total=lambda s, f, x: f(before(x))),
        ("linear", "D"): left_out(product=lambda s, f, x, w: f(before(x), before(w))),
        ("feed_forward", "F"): left_out(activation=lambda s, f, x: inner.zero(f(x))),
        ("swiglu_feed_forward", "F"): left_out(gated=lambda s, f, g, u: inner.zero(f(g, u))),
        ("token_mix", "T"): read,
        **dict.fromkeys([(one, "H") for one in ("token_mix", "mixer", "block", "model")], read),
        ("model", "L"): [
            ("left-out", {"layers": lambda s, f, depth: range(start(depth))}, "are left out"),
            ("wrapped", {"layers": lambda s, f, depth: np.arange(depth) % max(start(depth), 1)},
             "have the parameters of the first again"),
        ],
    }  # fmt: skip


def _of_tiles(there: Stage, axis: str, edge: int) -> Iterator[Row]:
    """What happens to tiles: a name and words, which both end in their length, and how."""

    def tiles(x: Tensor) -> list[Tensor]:
        return [x[..., i : i + edge] for i in range(0, x.shape[-1], edge)]

    def joined(s: Textbook, f: Override, x: Tensor, *args: Any) -> Tensor:
        parts: list[Tensor] = [f(tile, *args) for tile in tiles(x)]
        return F.concatenate(parts, axis=-1)

    def within(s: Textbook, f: Override, x: Tensor, h: Tensor) -> Tensor:
        own = [tile - s.mean(tile) for tile in tiles(x)]
        return s.total(F.concatenate([one * one for one in own], axis=-1)) / x.shape[-1]

    def unscaled(s: Textbook, f: Override, x: Tensor) -> Tensor:
        total = sum(s.total(exponentials(tile)) for tile in tiles(x))
        y = s.store(exponentials(x) / total).detach()
        return straight_through(y, s.store(y * (x - s.total(x * y))))  # as a backward has it from y

    last = _At(there.output, axis=axis, start=lambda n: (n - 1) // edge * edge)
    if last.there and axis in ("B", "T", "BT") and _trained(there):
        how = _around(there, lambda f, p: last.where(f(p), f(_fixed(p))))
        yield "gradients-of-last", how, "the gradients of the parameters are those of the last"
    sums = {
        "layer_norm": {
            "center": lambda s, f, x: x - s.total(tiles(x)[-1]) / x.shape[-1],
            "variance": lambda s, f, x, h: s.total(tiles(h * h)[-1]) / x.shape[-1],
        },
        "softmax": {"total": lambda s, f, x: f(tiles(x)[-1])},
        "linear": {"product": lambda s, f, x, w: f(tiles(x)[-1], tiles(w)[-1])},
    }
    if axis == "D" and there.name in sums:
        yield "sums-of-last", sums[there.name], "the sums are those of the last"
    if (there.name, axis) == ("layer_norm", "D"):
        words = "the mean and the variance are those of each"
        yield "statistics-of-each", {"normalized": joined}, words
        yield "variance-within", {"variance": within}, "the variance is that within each"
    if (there.name, axis) == ("softmax", "D"):
        yield "softmax-of-each", joined, "the softmax is that of each"
        yield "not-rescaled", unscaled, "the sums are not rescaled to one maximum over each"


def _around(there: Stage, change: Callable[..., Tensor]) -> Override:
    """An override of a stage by what ``change`` makes of it, a function of inputs, and of them."""

    def stage(s: Textbook, f: Override, *args: Any) -> Tensor:
        if there.name == "mixer":
            x, heads, norm = args
            own = {f"norm.{name}": value for name, value in norm.items()}
            return change(lambda p: f(p["x"], heads, part(p, "norm")), {"x": x, **own})
        if there.name in NETWORKS:
            return change(f, *args)
        return change(lambda p: f(*p.values()), dict(zip(there.inputs, args, strict=True)))

    return stage


def _with(name: str, change: Callable[[Tensor], Tensor], f: Override, p: Inputs) -> Tensor:
    """A stage with one input changed; a linear layer may lack its bias."""
    y: Tensor = f(p if p[name] is None else {**p, name: change(p[name])})
    return y


def _trained(there: Stage) -> list[str]:
    """The names of a stage's parameters."""
    return [k for k, shape in there.inputs.items() if k not in ("x", "ids") and shape != "()"]


def _fixed(p: Inputs) -> Inputs:
    """The inputs, with constants for parameters."""
    return {name: x if name == "x" else constant(x) for name, x in p.items()}


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
