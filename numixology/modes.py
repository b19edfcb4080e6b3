"""Switching the tape off: ``no_grad``, as a ``with`` block or on a function."""

import inspect
from collections.abc import Callable, Generator
from functools import partial, wraps
from typing import Any

from .array import Setting
from .autograd import _recording
from .errors import DTypeError

__all__ = ["no_grad"]


class no_grad(Setting):
    """Record nothing inside the ``with`` block, in this thread or task only.

    Also a decorator, ``@nx.no_grad()``, of functions, generator functions and coroutine functions:
    then nothing is recorded while their own lines run, and all else is left as it is. One object
    serves one thread or task at a time; each ``nx.no_grad()`` makes another.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(3.0, requires_grad=True)
        >>> with nx.no_grad():
        ...     y = x * x
        >>> y.requires_grad
        False
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_recording, False)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, recording nothing.

        Raises:
            DTypeError: an asynchronous generator function, or no function.
        """
        if inspect.isasyncgenfunction(function) or not callable(function):
            invariant = "no_grad() decorates functions, generator functions and coroutine functions"
            instead = "write `with nx.no_grad():` around its calculations"
            raise DTypeError(invariant, type(function).__name__, instead)

        @wraps(function)
        def called(*arguments: Any, **options: Any) -> Any:
            with no_grad():
                return function(*arguments, **options)

        @wraps(function)
        def stepped(*arguments: Any, **options: Any) -> Generator[Any, Any, Any]:
            return _stepped(function(*arguments, **options))

        @wraps(function)
        async def awaited(*arguments: Any, **options: Any) -> Any:
            with no_grad():
                return await function(*arguments, **options)

        if inspect.iscoroutinefunction(function):
            return awaited
        return stepped if inspect.isgeneratorfunction(function) else called


def _stepped(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The generator, where only its own steps record nothing: not whoever waits for them."""
    step = partial(next, generator)
    while True:
        try:
            with no_grad():
                item = step()
        except StopIteration as end:
            return end.value
        try:
            sent = yield item
            step = partial(generator.send, sent)
        except BaseException as error:  # also GeneratorExit, which closes it
            step = partial(generator.throw, error)
