"""What arguments may be."""

import operator
from typing import Any

from .errors import ArgumentError, shown

__all__ = ["positive"]


def positive(**sizes: Any) -> tuple[int, ...]:
    """Sizes as Python's integers, which never overflow.

    Args:
        **sizes: lengths or counts, by their names.

    Returns:
        The sizes, in their order.

    Raises:
        ArgumentError: one that is no integer, or less than 1.
    """
    found = []
    for name, size in sizes.items():
        try:
            found.append(0 if isinstance(size, bool) else operator.index(size))
        except TypeError:
            found.append(0)
        if found[-1] < 1:
            raise ArgumentError(f"{name} is a positive integer", shown(size), "use e.g. 8")
    return tuple(found)
