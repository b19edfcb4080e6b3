"""Bugs that any stage may have: something is done to its output, an input, or a gradient."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..stages import NETWORKS, stage_of
from .overrides import changed, of_output
from .registry import Bug, Row, table

__all__ = ["general_bugs"]

#: What is done to a tensor, or to a gradient, which is an array.
_Change: TypeAlias = Callable[[Any], Any]


def _along(axis: int, places: Callable[[int], Any]) -> _Change:
    """A change of the places along an axis, counted from the last."""

    def change(x: Any) -> Any:
        if x.ndim < -axis:
            return x
        return x[(..., places(x.shape[axis]), *[slice(None)] * (-1 - axis))]

    return change


def _cut(limit: float) -> _Change:
    return lambda x: np.clip(x, -limit, limit)


_AXES = ((-1, "its last axis"), (-2, "its last axis but one"), (-3, "its first axis"))
_PLACES: dict[str, Callable[[int], Any]] = {
    "backwards": lambda n: np.arange(n)[::-1],
    "one early": lambda n: np.arange(n) - 1,
    "one late": lambda n: (np.arange(n) + 1) % n,
    "the first entry everywhere": lambda n: np.zeros(n, int),
}
_CHANGES: dict[str, _Change] = {
    "zero": lambda x: 0 * x,
    "halved": lambda x: 0.5 * x,
    "squared": lambda x: x * x,
    "without its sign": np.abs,
    "never negative": lambda x: np.maximum(x, 0.0),
    "averaged over its last axis": lambda x: 0 * x + x.mean(-1, keepdims=True),
    "less its mean": lambda x: x - x.mean(-1, keepdims=True),
    "transposed": lambda x: x.swapaxes(-1, -2) if x.ndim > 1 and len({*x.shape[-2:]}) < 2 else x,
    **{f"cut to {n}": _cut(n) for n in (1, 2, 3, 5, 6, 7, 8, 10, 20, 30)},
    **{
        f"{how} along {words}": _along(axis, places)
        for axis, words in _AXES
        for how, places in _PLACES.items()
    },
}
#: Steps of networks, and what comes out of them.
_STEPS = {
    "activation": "the inner layer",
    "silu": "the activated gate",
    "gated": "the gated product",
    "first_norm": "the normalized x",
    "token_mix": "the mixed x",
}


def general_bugs(stage: str, failing: Sequence[str]) -> list[Bug]:
    """What may have been done to the output or an input, or else to the gradients that fail.

    Args:
        stage: a key of :data:`.STAGES`.
        failing: the tensors that are wrong.

    Example:
        >>> from numixology.verify.conformance.bugs import general_bugs
        >>> first, *others = general_bugs("gelu", ["x"])
        >>> first.name, first.description
        ('gradient-of-x-zero', 'the gradient of x is zero')
    """

    def named(what: str) -> list[tuple[str, _Change, str]]:
        said = [(how, change, f"{what} is {how}") for how, change in _CHANGES.items()]
        kebab = [what.removeprefix("the ") + f" {how}" for how, *_ in said]
        return [
            (name.replace(" ", "-").replace(".", "-"), change, text)
            for name, (_, change, text) in zip(kebab, said, strict=True)
        ]

    inputs = [k for k, shape in stage_of(stage).inputs.items() if k != "ids" and shape != "()"]
    if "output" not in failing:
        rows: list[Row] = [(stage, "vjp")]
        for name in failing:
            for row, change, text in named(f"the gradient of {name}"):
                rows.append((row, partial(_gradient, name, change), text))
            for other in inputs:
                row = f"gradient-of-{name}-times-{other}".replace(".", "-")
                text = f"the gradient of {name} is multiplied by {other} once too often"
                rows.append((row, partial(_multiplied, name, other), text))
        return table("general", rows)
    rows = [(stage, "run")]
    for row, change, text in named("the output"):
        rows.append((row, partial(_output, change), text))
    for name in inputs:
        for row, change, text in named(name):
            rows.append((row, partial(_input, name, change), text))
    for step, what in _STEPS.items() if stage in NETWORKS else ():
        rows.append((stage, step, of_output))
        rows += named(what)
    if stage in NETWORKS:
        rows.append((stage, "gated", changed(0, 1)))
        rows += named("gate and up")
    return table("general", rows)


def _output(change: _Change, s: Any, f: Any, stage: str, p: Any) -> Any:
    return change(f(stage, p))


def _input(name: str, change: _Change, s: Any, f: Any, stage: str, p: Any) -> Any:
    return f(stage, p if p.get(name) is None else {**p, name: change(p[name])})


def _gradient(name: str, change: _Change, s: Any, f: Any, stage: str, p: Any, ct: Any) -> Any:
    found = f(stage, p, ct)
    return {**found, name: change(found[name])}


def _multiplied(name: str, other: str, s: Any, f: Any, stage: str, p: Any, ct: Any) -> Any:
    found = f(stage, p, ct)
    fits = p.get(other) is not None and np.shape(p[other]) == found[name].shape
    return {**found, name: found[name] * p[other]} if fits else found
