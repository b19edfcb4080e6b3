"""Schedules: the learning rate as a function of the number of steps taken so far.

A schedule keeps nothing, so a resumed training needs only the number of its step. Every function
here returns one: a function n -> lr(n), with n counted from 0.

Args:
    lr: the learning rate, or the highest one.

Raises:
    ArgumentError: a count of steps that is not a positive integer.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

from ..checks import positive

__all__ = ["Schedule", "constant", "cosine", "step_decay", "warmup"]

#: The learning rate after so many steps.
Schedule: TypeAlias = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """lr(n) = lr.

    Returns:
        The schedule.

    Example:
        >>> import numixology as nx
        >>> nx.optim.constant(0.1)(1000)
        0.1
    """
    return lambda n: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """lr(n) = lr · factor^⌊n / every⌋.

    Args:
        every: the number of steps between two falls.
        factor: what the rate is multiplied by.

    Returns:
        The schedule.

    Example:
        >>> import numixology as nx
        >>> [nx.optim.step_decay(8.0, every=2, factor=0.5)(n) for n in range(6)]
        [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]
    """
    positive(every=every)
    return lambda n: lr * factor ** (n // every)


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """lr(n) = final + (lr - final) (1 + cos(π n / steps)) / 2, and ``final`` after that.

    Args:
        steps: the number of steps from ``lr`` to ``final``.
        final: the lowest rate.

    Returns:
        The schedule.

    Source: Loshchilov and Hutter 2017, equation 5 (arXiv 1608.03983).

    Example:
        >>> import numixology as nx
        >>> [round(nx.optim.cosine(1.0, steps=4)(n), 3) for n in range(6)]
        [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """
    positive(steps=steps)
    return lambda n: final + (lr - final) * (1 + math.cos(math.pi * min(n / steps, 1))) / 2


def warmup(schedule: Schedule, steps: int) -> Schedule:
    """lr(n) = schedule(n) · min((n + 1) / steps, 1).

    Args:
        schedule: what is scaled, counted from the same n = 0.
        steps: after how many steps it is reached.

    Returns:
        The schedule.

    Example:
        >>> import numixology as nx
        >>> [nx.optim.warmup(nx.optim.constant(1.0), steps=4)(n) for n in range(6)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    positive(steps=steps)
    return lambda n: schedule(n) * min((n + 1) / steps, 1)
