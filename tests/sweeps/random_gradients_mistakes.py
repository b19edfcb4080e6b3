"""Mistakes that people make in gradients of any function, for random_gradients.py."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from sweeps.random_gradients_drawing import Array, Draw, Vjp

#: Gradients as a list, one per floating-point input, to wrong ones; None where it cannot be made.
Change: TypeAlias = Callable[[list[Array]], list[Array]]


def listed(gradients: Any) -> list[Any]:
    return list(gradients) if isinstance(gradients, list | tuple) else [gradients]


def leaves(ct: Any) -> list[Any]:
    """The arrays of an output or a cotangent, which may be a tuple or a dict."""
    if isinstance(ct, dict):
        return [leaf for one in ct.values() for leaf in leaves(one)]
    if isinstance(ct, list | tuple):
        return [leaf for one in ct for leaf in leaves(one)]
    return [ct]


def mapped(fn: Callable[[Any], Any], ct: Any) -> Any:
    """The same structure with every array replaced."""
    if isinstance(ct, dict):
        return {name: mapped(fn, one) for name, one in ct.items()}
    if isinstance(ct, list | tuple):
        return tuple(mapped(fn, one) for one in ct)
    return fn(ct)


# Of what the gradient returns ------------------------------------------------------------


def in_one(which: int, change: Callable[[Array], Array]) -> Change:
    """A change of the gradient by one input."""

    def changed(gradients: list[Array]) -> list[Array]:
        one = np.array(gradients[which])
        new = np.asarray(change(one)).reshape(one.shape)
        return [new if i == which else g for i, g in enumerate(gradients)]

    return changed


def entry(j: int, change: Callable[[Array, float], Any]) -> Callable[[Array], Array]:
    def changed(g: Array) -> Array:
        g = np.array(g)
        g.flat[j] = change(g.flat[j], np.abs(g).max())
        return g

    return changed


def smallest(g: Array) -> Array:
    """The wrong sign of the smallest entry that is not zero."""
    g = np.array(g)
    sizes = np.where(g == 0, np.inf, np.abs(g))
    j = int(np.argmin(sizes))
    g.flat[j] = -g.flat[j]
    return g


def halved_axis(axis: int) -> Callable[[Array], Array]:
    """As if a broadcast axis had been averaged where it is to be summed."""
    return lambda g: g / g.shape[axis]


def change_of_result(draw: Draw, shapes: Sequence[tuple[int, ...]]) -> tuple[str, Change] | None:
    """A wrong result made from the right one."""
    which = draw.size(0, len(shapes) - 1)
    shape = shapes[which]
    size = int(np.prod(shape))
    j = draw.size(0, size - 1)
    places = -draw.among(3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    digits = draw.among(-1.0, 1.0) * 10.0**places
    name = draw.among(
        "sign of one entry",
        "factor 2",
        *(4 * ["constant slightly wrong"]),
        *(4 * ["one entry bumped"]),
        "sign of the smallest entry",
        "off by one",
        "transposed",
        "one input forgotten",
        "wrong order",
        "gradient clipped",
        "mean for sum over an axis",
        "rounded to float32",
        "one entry forgotten",
    )
    factor = draw.among(2.0, 0.5)
    changes: dict[str, Callable[[Array], Array]] = {
        "sign of one entry": entry(j, lambda g, _: -g),
        "factor 2": lambda g: g * factor,
        "constant slightly wrong": lambda g: g * (1 + digits),
        "one entry bumped": entry(j, lambda g, largest: g + digits * largest),
        "sign of the smallest entry": smallest,
        "one input forgotten": lambda g: 0 * g,
        "gradient clipped": lambda g: np.clip(g, -1, 1),
        "rounded to float32": lambda g: g.astype(np.float32).astype(g.dtype),
        "one entry forgotten": entry(j, lambda g, _: 0 * g),
    }
    if name == "off by one":
        if size < 2 or not shape:
            return None
        return name, in_one(which, lambda g: np.roll(g, 1, axis=int(np.argmax(shape))))
    if name == "mean for sum over an axis":
        long = [axis for axis, n in enumerate(shape) if n > 1]
        return (name, in_one(which, halved_axis(long[0]))) if long else None
    if name == "transposed":
        square = len(shape) > 1 and shape[-1] == shape[-2] > 1
        return (name, in_one(which, lambda g: g.swapaxes(-1, -2))) if square else None
    if name == "wrong order":
        twins = [i for i, other in enumerate(shapes) if i != which and other == shape]
        if not twins:
            return None
        other = twins[0]

        def exchanged(gradients: list[Array]) -> list[Array]:
            new = list(gradients)
            new[which], new[other] = gradients[other], gradients[which]
            return new

        return name, exchanged
    if name in ("sign of one entry", "one entry forgotten", "one entry bumped") and not size:
        return None
    return name, in_one(which, changes[name])


# Of how the gradient is called ----------------------------------------------------------


def change_of_call(draw: Draw, vjp: Vjp, fn: Callable[..., Any]) -> tuple[str, Vjp]:
    """A gradient that does something wrong with its cotangent, its inputs or its memory."""
    name = draw.among(
        "no cotangent",
        "cotangent used twice",
        "cotangent clipped",
        "float32 inside the gradient",
        "second output ignored",
        "cotangent summed",
        "stale cotangent",
        "result added to the last one",
        "cotangent and input exchanged",
        "at rounded inputs",
    )

    def ignoring(ct: Any, *inputs: Any) -> Any:
        first = leaves(ct)[0]
        return vjp(mapped(lambda one: one if one is first else 0 * one, ct), *inputs)

    def in_float32(ct: Any, *inputs: Any) -> Any:
        low = [one.astype(np.float32) if one.dtype.kind == "f" else one for one in inputs]
        found = vjp(mapped(lambda one: np.asarray(one).astype(np.float32), ct), *low)
        floats = [one for one in inputs if one.dtype.kind == "f"]
        return tuple(
            np.asarray(g).astype(x.dtype) for g, x in zip(listed(found), floats, strict=True)
        )

    def exchanged(ct: Any, *inputs: Any) -> Any:
        if len(leaves(ct)) > 1 or np.shape(ct) != inputs[0].shape:
            return vjp(ct, *inputs)
        return vjp(inputs[0], ct, *inputs[1:])

    def rounded(ct: Any, *inputs: Any) -> Any:
        moved = [
            one.astype(np.float32).astype(one.dtype) if one.dtype.kind == "f" else one
            for one in inputs
        ]
        return vjp(ct, *moved)

    class Remembers:
        """A layer's gradient with state of its own."""

        cotangent: Any = None
        total: list[Any] | None = None

        def stale(self, ct: Any, *inputs: Any) -> Any:
            last, self.cotangent = self.cotangent, ct
            return vjp(ct if last is None else last, *inputs)

        def adding(self, ct: Any, *inputs: Any) -> Any:
            new = listed(vjp(ct, *inputs))
            old = self.total or [0 * g for g in new]
            self.total = [a + b for a, b in zip(old, new, strict=True)]
            return tuple(self.total)

    makers: dict[str, Vjp] = {
        "no cotangent": lambda ct, *x: vjp(mapped(np.ones_like, ct), *x),
        "cotangent used twice": lambda ct, *x: vjp(mapped(lambda one: one * one, ct), *x),
        "cotangent clipped": lambda ct, *x: vjp(mapped(lambda one: np.clip(one, -1, 1), ct), *x),
        "float32 inside the gradient": in_float32,
        "second output ignored": ignoring,
        "cotangent summed": lambda ct, *x: vjp(
            mapped(lambda one: np.full_like(one, np.sum(one)), ct), *x
        ),
        "stale cotangent": Remembers().stale,
        "result added to the last one": Remembers().adding,
        "cotangent and input exchanged": exchanged,
        "at rounded inputs": rounded,
    }
    return name, makers[name]
