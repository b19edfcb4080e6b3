"""What can go wrong, said so that it can be mended.

Every error of numixology has three parts: the invariant that was broken, what was received,
and what to do instead. Each class also derives from the Python exception that a user would
think of first, so ``except ValueError`` keeps working.
"""

__all__ = [
    "ArgumentError",
    "DTypeError",
    "GradientError",
    "IndexRangeError",
    "NumixologyError",
    "ShapeError",
    "StateDictError",
    "TapeError",
]


class NumixologyError(Exception):
    """The invariant, what was received, and what to do instead.

    Args:
        invariant: what always holds, as a sentence without a full stop.
        received: what came instead of it.
        instead: what the caller can do about it.

    Example:
        >>> print(ShapeError("hidden_dim must be divisible by num_heads", "8 and 3", "try 2 or 4"))
        hidden_dim must be divisible by num_heads: got 8 and 3; try 2 or 4
    """

    def __init__(self, invariant: str, received: str, instead: str) -> None:
        super().__init__(invariant, received, instead)

    def __str__(self) -> str:
        invariant, received, instead = self.args
        return f"{invariant}: got {received}; {instead}"


class ShapeError(NumixologyError, ValueError):
    """A number of dimensions, an axis or a length does not fit."""


class ArgumentError(NumixologyError, ValueError):
    """A value lies outside its range, or a name is not one of those known."""


class DTypeError(NumixologyError, TypeError):
    """A type or dtype does not fit, or an operation is not one that tensors have."""


class IndexRangeError(NumixologyError, IndexError):
    """An index, or an id looked up in a table, lies outside it."""


class TapeError(NumixologyError, RuntimeError):
    """The tape cannot answer: nothing was recorded, it was freed, or a value on it changed."""


class StateDictError(NumixologyError, KeyError, ValueError):
    """Names are missing or unknown, or shapes differ; the message lists every one of them.

    A missing name is a KeyError and a misshapen entry a ValueError; one message lists both, so
    this class is both.
    """


class GradientError(NumixologyError, RuntimeError):
    """A gradient check did not pass, and was asked to raise."""
