"""Who is watching: observers of the steps that a calculation takes.

A layer names its steps with :func:`step`, which hands each value on unchanged. Usually nobody
watches. Educational mode is an observer that prints; a trace is an observer that remembers.
There is one forward pass, and watching it never changes it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

import numpy as np

__all__ = ["Observer", "debug_shapes", "educational", "observing", "silence", "step"]

#: Called with the name of a step and its value, an array or a tensor.
Observer: TypeAlias = Callable[[str, Any], None]

V = TypeVar("V")

_observers: ContextVar[tuple[Observer, ...]] = ContextVar("observers", default=())


def step(name: str, value: V) -> V:
    """Show ``value`` to whoever is watching, under ``name``, and return it unchanged.

    Args:
        name: what to call the step.
        value: an array or a tensor.

    Returns:
        ``value`` itself.

    Example:
        >>> import numixology as nx
        >>> from numixology.observe import step
        >>> with nx.educational():
        ...     doubled = step("doubled", 2 * nx.tensor([1.0, 2.0]))
        doubled: (2,), contiguous: True
    """
    for observer in _observers.get():
        observer(name, value)
    return value


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Call ``observer(name, value)`` at every step taken inside the ``with`` block.

    Args:
        observer: a function of a step's name and its value. It must not change the value.

    Returns:
        A context manager, which holds in this thread or task only.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> seen = []
        >>> with nx.observe.observing(lambda name, value: seen.append(name)):
        ...     _ = nx.functional.token_mix(np.zeros((2, 4, 8)), 4)
        >>> seen
        ['input', 'partition', 'permute', 'flatten', 'merge']
    """
    token = _observers.set((*_observers.get(), observer))
    try:
        yield
    finally:
        _observers.reset(token)


@contextmanager
def educational() -> Iterator[None]:
    """Print every step, as it happens, inside the ``with`` block.

    Returns:
        A context manager, which holds in this thread or task only.

    Source: guide, Educational Mode.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> with nx.educational():
        ...     _ = nx.functional.token_mix(np.zeros((2, 4, 8)), 4)
        input: (2, 4, 8), contiguous: True
        partition: (2, 4, 4, 2), contiguous: True
        permute: (2, 4, 4, 2), contiguous: False
        flatten: (2, 16, 2), contiguous: True
        merge: (2, 4, 8), contiguous: True
    """
    others = tuple(o for o in _observers.get() if o is not _print_step)
    token = _observers.set((*others, _print_step))
    try:
        yield
    finally:
        _observers.reset(token)


@contextmanager
def silence() -> Iterator[None]:
    """Print nothing inside the ``with`` block; other observers keep watching.

    Returns:
        A context manager, which holds in this thread or task only.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> with nx.educational(), nx.observe.silence():
        ...     _ = nx.functional.token_mix(np.zeros((2, 4, 8)), 4)
    """
    token = _observers.set(tuple(o for o in _observers.get() if o is not _print_step))
    try:
        yield
    finally:
        _observers.reset(token)


def debug_shapes(x: V, step_name: str) -> V:
    """Print the shape of ``x`` and whether it is contiguous, and return ``x`` itself.

    Args:
        x: an array or a tensor of any shape and dtype.
        step_name: what to call it.

    Returns:
        ``x`` itself.

    Source: guide, Debugging Tensor Shapes.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        >>> y = nx.debug_shapes(x.permute(1, 0), "after permute")
        after permute: (3, 2), contiguous: False
    """
    _print_step(step_name, x)
    return x


def _print_step(name: str, value: Any) -> None:
    array = np.asarray(value)
    print(f"{name}: {array.shape}, contiguous: {array.flags.c_contiguous}")
