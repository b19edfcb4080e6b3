"""What a calculation did: every step it took, with its value, in order."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..array import Array, Shape
from ..observe import observing

__all__ = ["Step", "steps_of"]


class Step(NamedTuple):
    """One step of a calculation, as it happened.

    Attributes:
        name: what the layer calls it.
        value: a copy of its values.
        contiguous: whether they lay in memory in order.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> mixer = nx.nn.TokenMixer(2, 4, 2)
        >>> step = nx.explain.steps_of(mixer, nx.tensor(np.zeros((1, 2, 4))))[2]
        >>> step.name, step.shape, step.contiguous
        ('permute', (1, 2, 2, 2), False)
    """

    name: str
    value: Array
    contiguous: bool

    @property
    def shape(self) -> Shape:
        """The lengths of its axes."""
        return self.value.shape


def steps_of(fn: Callable[..., Any], *inputs: Any) -> list[Step]:
    """Call ``fn`` and return the steps that it took.

    Args:
        fn: a module, or a function that names its steps.
        *inputs: what to call it with.

    Returns:
        A list of :class:`.Step`, in the order in which they happened.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> mixer = nx.nn.TokenMixer(3, 4, 2)
        >>> for step in nx.explain.steps_of(mixer, nx.tensor(np.zeros((1, 3, 4)))):
        ...     print(step.name, step.shape)
        input (1, 3, 4)
        partition (1, 3, 2, 2)
        permute (1, 2, 3, 2)
        flatten (1, 6, 2)
        merge (1, 3, 4)
        residual (1, 3, 4)
        norm (1, 3, 4)
    """
    steps: list[Step] = []

    def remember(name: str, value: Any) -> None:
        array = np.asarray(value)
        steps.append(Step(name, array.copy(), bool(array.flags.c_contiguous)))

    with observing(remember):
        fn(*inputs)
    return steps
