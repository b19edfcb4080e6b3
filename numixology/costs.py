"""What primitives cost by the textbook, and who is told when one runs.

A multiply-add, one term of a matrix product, counts as 2 FLOPs, and is counted as one multiply-add
besides. An addition, a multiplication, a division, a comparison, a square root, and every
elementary function such as exp, log, erf or tanh, counts 1 per element. So the sum of n numbers is
n - 1, and their mean n. Whatever only moves, views, chooses or converts values counts 0.

These are the operations of the equation in the docstring. How a kernel here computes it, with more
digits than one number has, is another matter, and costs time but no more FLOPs in this sense.

Bytes are those of whole arrays: a primitive that computes or copies reads each of its arguments
once and writes its result once. A lookup reads only what arrives in the result. A view reads and
writes nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .array import Array

__all__ = [
    "Call",
    "Cost",
    "CostRule",
    "Watcher",
    "each",
    "gathers",
    "moves",
    "products",
    "reduces",
    "told",
    "unwatched",
    "watching",
]


class Cost(NamedTuple):
    """What one call of a primitive costs.

    Attributes:
        flops: floating-point operations; a multiply-add counts as 2.
        multiply_adds: how many of them are multiply-adds, each counted once.
        bytes_read: what is read of the arguments; None for all of them.

    Example:
        >>> import numixology as nx
        >>> from numixology.costs import Cost
        >>> @nx.primitive(cost=lambda y, x: Cost(2 * y.size))
        ... def cube(x):
        ...     return x * x * x
        >>> nx.explain.complexity(cube, nx.tensor([1.0, 2.0, 3.0])).flops
        6
    """

    flops: int
    multiply_adds: int = 0
    bytes_read: int | None = None


#: ``cost(result, *arguments, **options)`` of arrays, or None for an argument that is left out: what
#: that call of a primitive costs.
CostRule: TypeAlias = Callable[..., Cost]


class Call(NamedTuple):
    """One call of a primitive, as a watcher is told of it.

    Attributes:
        name: the primitive's.
        result: the array that it returned.
        arguments: the arrays and numbers that it was given.
        cost: what it cost.
    """

    name: str
    result: Array
    arguments: tuple[Any, ...]
    cost: Cost

    @property
    def is_view(self) -> bool:
        """Whether the result lies in the memory of an argument."""
        return any(np.may_share_memory(self.result, x) for x in self._arrays())

    @property
    def bytes_read(self) -> int:
        """0 for a view."""
        if self.is_view:
            return 0
        some = self.cost.bytes_read
        return sum(x.nbytes for x in self._arrays()) if some is None else some

    @property
    def bytes_written(self) -> int:
        """0 for a view."""
        return 0 if self.is_view else self.result.nbytes

    def _arrays(self) -> Iterator[Array]:
        return (x for x in self.arguments if isinstance(x, np.ndarray))


#: Told of each call of a primitive, as it happens.
Watcher: TypeAlias = Callable[[Call], None]

# Who is told; nobody, unless inside watching().
_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())

#: Who is told, asked by every call of a primitive: a bound method is quicker than looking it up.
told = _watchers.get


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Tell ``watcher`` of every primitive that is called inside the ``with`` block.

    Of primitives that call others only the outermost is told of; of a backward nothing is, nor of
    operators between plain arrays, which are NumPy's own.

    Args:
        watcher: a function of a :class:`Call`. It must not change the arrays.

    Returns:
        A context manager, which holds in this thread or task only.

    Example:
        >>> import numixology as nx
        >>> from numixology.costs import watching
        >>> with watching(lambda call: print(call.name, call.result.shape, call.cost.flops)):
        ...     _ = nx.functional.matmul(nx.tensor([[1.0, 2.0]]), nx.tensor([[3.0], [4.0]])) + 1
        matmul (1, 1) 4
        add (1, 1) 1
    """
    token = _watchers.set((*told(), watcher))
    try:
        yield
    finally:
        _watchers.reset(token)


@contextmanager
def unwatched() -> Iterator[None]:
    """Tell nobody of what is called inside the ``with`` block."""
    token = _watchers.set(())
    try:
        yield
    finally:
        _watchers.reset(token)


# Costs that many primitives share


def each(operations: int) -> CostRule:
    """That many operations for every element of the result."""

    def cost(y: Array, *arguments: Any, **options: Any) -> Cost:
        return Cost(operations * y.size)

    return cost


def moves(y: Array, *arguments: Any, **options: Any) -> Cost:
    """Nothing is computed: the values are those of the arguments, in other places."""
    return Cost(0)


def gathers(y: Array, *arguments: Any, **options: Any) -> Cost:
    """Nothing is computed, and only what arrives in the result is read."""
    return Cost(0, bytes_read=y.nbytes)


def reduces(y: Array, x: Array, **options: Any) -> Cost:
    """n - 1 operations for each result that is made of n values."""
    return Cost(max(x.size - y.size, 0))


def products(multiply_adds: int, others: int = 0) -> Cost:
    """That many multiply-adds, of 2 FLOPs each, and other operations beside them."""
    return Cost(2 * multiply_adds + others, multiply_adds)
