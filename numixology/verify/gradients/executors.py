"""What a gradient check is spread over: whatever runs a function elsewhere.

The least of what ``concurrent.futures`` promises, said here since importing that would take a tenth
of the time in which the whole package is imported.
"""

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Executor", "Promise"]


class Promise(Protocol):
    """A result that may not be there yet."""

    def result(self) -> Any:
        """The result, once it is there; raises what the function raised."""


class Executor(Protocol):
    """A :class:`concurrent.futures.Executor`, or what submits functions as one does."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Promise:
        """Have a function called with these arguments, in whatever thread or process."""
