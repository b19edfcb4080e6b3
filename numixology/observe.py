"""Who is watching: observers of the steps that a calculation takes, and of the calls it makes.

A layer announces its steps with :func:`step`, which hands each value on unchanged, and every call
of a primitive announces itself. Usually nobody watches. Educational mode is an observer that prints
steps, a trace is one that remembers them, and counting is one that adds up what calls cost. There
is one forward pass, and watching it never changes it.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar, copy_context
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from .array import Array, Setting, shape_of

__all__ = [
    "Call", "CallObserver", "StepObserver", "debug_shapes", "educational", "observing", "silence",
    "step",
]  # fmt: skip


class Call(NamedTuple):
    """One call of a primitive, as an observer is told of it.

    Attributes:
        primitive: what was called; its ``__name__`` is its name.
        result: the array that it returned.
        arguments: the arrays and numbers that it was given.
        options: its keyword options.

    Example:
        >>> import numixology as nx
        >>> calls = []
        >>> with nx.observe.observing(call=calls.append):
        ...     _ = 2 * nx.tensor([1.0, 2.0])
        >>> calls[0].primitive.__name__, calls[0].result, calls[0].arguments
        ('multiply', array([2., 4.]), (2, array([1., 2.])))
    """

    primitive: Any
    result: Array
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


#: Called with the name of a step and its value, an array or a tensor.
StepObserver: TypeAlias = Callable[[str, Any], None]
#: Called with each call of a primitive.
CallObserver: TypeAlias = Callable[[Call], None]


class Observer(NamedTuple):
    """Who is told of steps, of calls, or of both."""

    step: StepObserver | None
    call: CallObserver | None


V = TypeVar("V")

_observers: ContextVar[tuple[Observer, ...]] = ContextVar("observers", default=())

#: Who is watching; a bound method, since every call of a primitive asks.
observers = _observers.get


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
    for observer in observers():
        if observer.step is not None:
            observer.step(name, value)
    return value


def announce(call: Call) -> None:
    """Tell whoever watches calls of this one; what they calculate themselves is not announced."""
    for observer in observers():
        if observer.call is not None:
            paused(observer.call, call)


def observing(step: StepObserver | None = None, *, call: CallObserver | None = None) -> Setting:
    """Watch what happens inside the ``with`` block.

    Of primitives that call others only the outermost is announced; of a backward nothing is, nor of
    operators between plain arrays, which are NumPy's own.

    Args:
        step: called with the name and the value of each step. It must not change the value.
        call: called with the :class:`Call` of each primitive. It must not change the arrays.

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
        >>> with nx.observe.observing(call=lambda call: print(call.primitive, call.result.shape)):
        ...     _ = nx.functional.exp(nx.tensor([1.0, 2.0])) + 1
        <primitive exp> (2,)
        <primitive add> (2,)
    """
    return Setting(_observers, (*observers(), Observer(step, call)))


def paused(function: Callable[..., V], *arguments: Any, **options: Any) -> V:
    """Call a function, and announce no calls that it makes; its steps are shown all the same.

    It runs in a context of its own, which ends with it, however it ends.
    """

    def alone() -> V:
        _observers.set(tuple(Observer(one.step, None) for one in observers() if one.step))
        return function(*arguments, **options)

    return copy_context().run(alone)


def educational() -> Setting:
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
    return Setting(_observers, (*_others(), Observer(_print_step, None)))


def silence() -> Setting:
    """Print nothing inside the ``with`` block; other observers keep watching.

    Returns:
        A context manager, which holds in this thread or task only.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> with nx.educational(), nx.observe.silence():
        ...     _ = nx.functional.token_mix(np.zeros((2, 4, 8)), 4)
    """
    return Setting(_observers, _others())


def _others() -> tuple[Observer, ...]:
    """Whoever watches but does not print."""
    return tuple(one for one in observers() if one.step is not _print_step)


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
    shape_of(x, "debug_shapes")
    _print_step(step_name, x)
    return x


def _print_step(name: str, value: Any) -> None:
    array = np.asarray(value)
    print(f"{name}: {array.shape}, contiguous: {array.flags.c_contiguous}")
