"""What makes an override of a change: of what comes in, of what comes out, of gradients alone."""

from collections.abc import Callable
from typing import Any

from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import Override
from .steps import constant, in_format

__all__ = ["arguments", "changed", "formula", "gradient_by", "gradient_of", "instead", "of_output",
           "output", "part_of"]  # fmt: skip


def formula(compute: Callable[..., Tensor]) -> Override:
    """An override that computes something else of the arguments."""
    return lambda s, f, *args: compute(*args)


def instead(compute: Callable[..., Tensor]) -> Override:
    """An override that computes something else of the arguments, and stores it."""
    return lambda s, f, *args: s.store(compute(*args))


def of_output(change: Callable[..., Any]) -> Override:
    """An override that changes what comes out."""
    return lambda s, f, *args: change(f(*args))


def gradient_of(compute: Callable[..., Tensor]) -> Override:
    """The right value, with the gradient of something else of the arguments."""
    return lambda s, f, *args: straight_through(f(*args), s.store(compute(*args)))


def gradient_by(place: int) -> Callable[[Override], Override]:
    """The right value, with another gradient of one argument: that of what an override computes."""

    def wrap(like: Override) -> Override:
        def override(s: Textbook, f: Callable[..., Tensor], *args: Any) -> Tensor:
            if args[place] is None:
                return f(*args)
            others = [constant(x) if i == place else x for i, x in enumerate(args)]
            alone = [x if i == place else constant(x) for i, x in enumerate(args)]
            return straight_through(f(*args), f(*others) + s.store(like(s, f, *alone)))

        return override

    return wrap


def part_of(place: int) -> Callable[[Callable[[Tensor], Tensor]], Override]:
    """The right value, with the gradient of one argument by a part of the output."""
    return lambda part: gradient_by(place)(lambda s, f, *args: part(f(*args)))


def changed(*places: int) -> Callable[[Callable[[Any], Any]], Override]:
    """Overrides that change some of the arguments, as far as they are given."""
    return lambda change: (
        lambda s, f, *args: f(
            *(change(x) if i in places and x is not None else x for i, x in enumerate(args))
        )
    )


def output(kind: str, rounded: Callable[..., Tensor] = in_format) -> Override:
    """An override that rounds what comes out."""
    return of_output(lambda y: rounded(y, kind))


def arguments(*places: int, rounded: Callable[..., Tensor] = in_format) -> Callable[..., Override]:
    """Overrides that round some of the arguments, by the format."""
    return lambda kind: changed(*places)(lambda x: rounded(x, kind))
