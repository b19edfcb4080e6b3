"""How arrays lie in memory, and what else is there.

A kernel gets a pointer and strides. What lies between the rows of an array and around it belongs to
others: here it is NaN, so that reading it is found out, and writing to it as well.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ...array import Array

__all__ = ["LAYOUTS", "REPEATING", "Held", "held", "intruders"]

Shape = tuple[int, ...]


def _same(value: Shape) -> Shape:
    return value


def _swapped(a: Array) -> Array:
    return a.transpose(*range(a.ndim - 1)[::-1], a.ndim - 1)


#: By name, the shape of the memory for an array of some shape, and the array as a view of it.
LAYOUTS: dict[str, tuple[Callable[[Shape], Shape], Callable[[Array], Array]]] = {
    "storage offsets": (_same, np.asarray),
    "gaps between rows": (lambda s: (*s[:-1], s[-1] + 3), lambda a: a[..., :-3]),
    "gaps between elements": (lambda s: (*s[:-1], 2 * s[-1]), lambda a: a[..., ::2]),
    "rows in another order": (lambda s: (*s[-2::-1], s[-1]), _swapped),
    "Fortran order": (lambda s: s[::-1], np.transpose),
    "negative strides": (_same, np.flip),
    "read-only arrays": (_same, np.asarray),
    "stride 0": (lambda s: (1, *s[1:]), np.asarray),  # the first row, again and again
    "one number repeated": (lambda s: (1,) * len(s), np.asarray),  # as the gradient of a sum
}

#: The layouts that repeat some numbers, and so cannot have all.
REPEATING = ("stride 0", "one number repeated")
#: So many elements lie before an array and behind it.
_BAND = 5


class Held(NamedTuple):
    """An array as a backend gets it, the memory that it is a view of, and how that was before."""

    array: Array
    memory: Array
    before: Array


def held(value: Array, layout: str = "") -> Held:
    """A copy of an array in one of the :data:`LAYOUTS`, or without one contiguous and alone.

    "as it is" is no copy but the array itself.
    """
    if layout not in LAYOUTS:
        array = value if layout else value.copy()
        return Held(array, array, value.copy())
    shape, view = LAYOUTS[layout]
    inside = shape(value.shape)
    around = np.nan if value.dtype.kind == "f" else 0  # an id that there is
    memory = np.full(2 * _BAND + int(np.prod(inside)), around, value.dtype)
    array = view(memory[_BAND:-_BAND].reshape(inside))
    array[...] = value[tuple(map(slice, array.shape))]
    if array.shape != value.shape:
        array = np.broadcast_to(array, value.shape)
    elif layout == "read-only arrays":
        array.flags.writeable = False
    return Held(array, memory, memory.copy())


def intruders(arrays: Mapping[str, Held]) -> list[str]:
    """What has been written to: an array, or what surrounds it."""
    found = []
    for name, (array, memory, before) in arrays.items():
        if memory.tobytes() != before.tobytes():
            now = array.tobytes()
            memory[...] = before
            found.append(f"it writes {'outside of' if now == array.tobytes() else 'into'} {name}")
    return found
