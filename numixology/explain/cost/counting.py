"""What a calculation costs, counted while it runs.

The primitives that run are watched, and each costs what its textbook equation says. The
conventions of what counts as an operation are those of :mod:`numixology.explain.cost.formulas`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array import Shape
from ...checks import DTYPES
from ...modes import no_grad
from ...nn import Module
from ...observe import Call, observing
from ...tensors import leaf, tensor
from ...text import columns
from .formulas import cost_of

__all__ = ["Complexity", "CountedCall", "complexity"]


class CountedCall(NamedTuple):
    """One primitive that ran, and what that cost.

    Attributes:
        name: the primitive's.
        shape: that of its result.
        flops: floating-point operations; a multiply-add counts as 2.
        multiply_adds: how many of them are multiply-adds, each counted once.
        bytes_read: the bytes of the arrays that it was given; 0 for a view.
        bytes_written: the bytes of its result; 0 for a view.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> call = nx.explain.complexity(nx.functional.softmax, x).rows[0]
        >>> call.name, call.shape, call.flops
        ('softmax', (2, 2), 16)
    """

    name: str
    shape: Shape
    flops: int
    multiply_adds: int
    bytes_read: int
    bytes_written: int


class Complexity(NamedTuple):
    """What a calculation costs; prints as a table of its primitives, in the order they ran.

    Attributes:
        parameters: how many numbers the module has to learn; 0 for a function.
        parameter_bytes: the bytes of those.
        rows: a :class:`.CountedCall` for each primitive that ran.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> mixer = nx.nn.TokenMixer(num_tokens=3, hidden_dim=8, num_heads=2)
        >>> print(nx.explain.complexity(mixer, np.zeros((1, 3, 8))))
        primitive   result     FLOPs  multiply-adds  bytes read  bytes written
        ----------  ---------  -----  -------------  ----------  -------------
        token_mix   1 x 3 x 8      0              0         192            192
        add         1 x 3 x 8     24              0         384            192
        layer_norm  1 x 3 x 8    174              0         320            192
        total                    198              0         896            576
        parameters: 16, in 128 bytes
    """

    parameters: int
    parameter_bytes: int
    rows: tuple[CountedCall, ...]

    @property
    def flops(self) -> int:
        """Floating-point operations of all calls; a multiply-add counts as 2."""
        return sum(call.flops for call in self.rows)

    @property
    def multiply_adds(self) -> int:
        """How many of the operations are multiply-adds, each counted once."""
        return sum(call.multiply_adds for call in self.rows)

    @property
    def bytes_read(self) -> int:
        """The bytes that the primitives read, each of its arguments once."""
        return sum(call.bytes_read for call in self.rows)

    @property
    def bytes_written(self) -> int:
        """The bytes that the primitives wrote, each its result once."""
        return sum(call.bytes_written for call in self.rows)

    def __str__(self) -> str:
        header = ("primitive", "result", "FLOPs", "multiply-adds", "bytes read", "bytes written")
        rows = [
            (call.name, " x ".join(map(str, call.shape)) or "a number", *_grouped(call[2:]))
            for call in self.rows
        ]
        numbers = (self.flops, self.multiply_adds, self.bytes_read, self.bytes_written)
        table = columns(header, [*rows, ("total", "", *_grouped(numbers))], "<<>>>>")
        return f"{table}\nparameters: {self.parameters:,}, in {self.parameter_bytes:,} bytes"


def _grouped(numbers: Sequence[Any]) -> list[str]:
    return [f"{number:,}" for number in numbers]


def complexity(fn: Callable[..., Any], *inputs: Any) -> Complexity:
    """Call ``fn`` once and count what its primitives cost.

    Only what runs is counted: dropout, for one, costs nothing in evaluation, and in training a
    multiplication per element. Only the forward is counted, without recording it. What ``fn`` does
    with plain arrays of its own, by NumPy alone, is not seen.

    Args:
        fn: a module or a function of tensors.
        *inputs: what to call it with. Arrays are made tensors first, so that operators are seen.
            What is no array, and integers of a dtype that no tensor has, are handed on.

    Returns:
        A :class:`.Complexity`, which prints as a table.

    Raises:
        UnsupportedError: a primitive ran that has no formula for its cost.
        DTypeError: an array of floating-point numbers that no tensor holds: float16, complex ones,
            or one with a mask.

    Source: guide, Computational Complexity.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> counted = nx.explain.complexity(nx.nn.Linear(8, 5, rng=0), np.zeros((2, 3, 8)))
        >>> counted.flops, counted.multiply_adds, counted.parameters
        (510, 240, 45)
    """
    calls: list[CountedCall] = []

    def count(call: Call) -> None:
        flops, multiply_adds, read = cost_of(call)
        arrays = [x for x in call.arguments if isinstance(x, np.ndarray)]
        if any(np.may_share_memory(call.result, x) for x in arrays):
            moved = (0, 0)  # a view
        else:
            read = sum(x.nbytes for x in arrays) if read is None else read
            moved = (read, call.result.nbytes)
        name, shape = call.primitive.__name__, call.result.shape
        calls.append(CountedCall(name, shape, flops, multiply_adds, *moved))

    with no_grad(), observing(call=count):
        fn(*map(_seen, inputs))
    learnt = list(fn.parameters()) if isinstance(fn, Module) else []
    numbers = sum(one.size for one in learnt)
    return Complexity(numbers, sum(one.data.nbytes for one in learnt), tuple(calls))


def _seen(x: Any) -> Any:
    """An array as a tensor, whose operators are seen, in the memory order that it has."""
    if x.__class__ is np.ndarray and x.dtype in DTYPES:
        return leaf(x)
    if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
        return tensor(x)  # float64 of another byte order; of all others it says what is wrong
    return x
