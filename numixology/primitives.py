"""What surrounds a call of a primitive: arguments in their places, NumPy quiet, observers told.

:func:`primitive` makes a :class:`Checked` primitive of a function of arrays, for the package and
for its users alike; :func:`implements` says which functions of NumPy it stands for.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from sys import getrefcount
from typing import Any, TypeVar, overload

import numpy as np

from .array import ERRSTATE, IGNORE, Array, Carrier
from .autograd import Node, Primitive, _recording, backward
from .errors import ArgumentError, DTypeError, IndexRangeError, NumixologyError, ShapeError, shown
from .observe import Call, announce, observers, paused

__all__ = [
    "HANDLED_FUNCTIONS", "Checked", "as_array", "as_constant", "copy_of", "gradients", "implements",
    "primitive", "recorded",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])
V = TypeVar("V")

# Constants that need no second look.
_PLAIN = frozenset((np.ndarray, float, int, bool, type(None), np.float64))

# As deep as NumPy's arrays have axes.
_DEEPEST = 64

#: NumPy's function or ufunc -> ours: what ``np.exp(tensor)`` is looked up in.
HANDLED_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}


class Checked(Primitive):
    """A primitive whose calls are checked, quiet, and announced to whoever watches."""

    def __init__(self, forward: Callable[..., Any], *, broadcasts: bool = False) -> None:
        if not hasattr(forward, "__code__"):
            invariant = "a primitive is made of a function with named arguments, written in Python"
            instead = "write one that calls it; for NumPy's functions there is also @implements"
            raise DTypeError(invariant, shown(forward), instead)
        super().__init__(forward, broadcasts=broadcasts)
        if forward.__code__.co_flags & 0x04 and self.arguments:  # the forward has *arguments
            invariant = f"{self.__name__} has named arguments or *arguments"
            raise ArgumentError(invariant, "both", "use one kind")
        defaults = forward.__defaults__ or ()
        self.defaults = dict(zip(self.arguments[::-1], defaults[::-1], strict=False))
        self.option_defaults = forward.__kwdefaults__ or {}
        self.has_defaults = bool(self.defaults or self.option_defaults)

    def __repr__(self) -> str:
        return f"<primitive {self.__name__}>"

    def __reduce__(self) -> str:
        return str(vars(self)["__qualname__"])  # pickled by its name, as a function is

    def bind(self, arguments: Any, options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments given by keyword go to their places; what is left out gets its default."""
        if options or self.has_defaults:
            arguments, options = self._placed(arguments, options)
        for one in arguments:
            if not isinstance(one, Node) and one.__class__ not in _PLAIN:
                return tuple([as_constant(one, self.__name__) for one in arguments]), options
        return arguments, options

    def _placed(self, arguments: Any, options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        placed = list(arguments)
        for name in self.arguments[len(placed) :]:
            if name not in options and name not in self.defaults:
                break
            placed.append(options.pop(name, self.defaults.get(name)))
        for name, option in options.items():
            if isinstance(option, Node):
                invariant = f"the options of {self.__name__} are constants"
                instead = "make it a positional argument of the forward and give it a rule"
                raise DTypeError(invariant, f"a tensor as {name}", instead)
            elif isinstance(option, (np.ndarray, list, dict)):  # copied, as the tape copies others
                options[name] = copy(option)
        return tuple(placed), {**self.option_defaults, **options}

    def run(
        self, values: Sequence[Any], options: Mapping[str, Any], recorded: bool
    ) -> tuple[Any, Mapping[str, Any]]:
        """What :meth:`compute` returns, without NumPy's warnings and with complaints in our words.

        Observers are told of the call, but not of calls inside it.
        """
        watched, before = observers(), ERRSTATE.get()
        try:
            ERRSTATE.set(IGNORE)
            if not watched:
                return self.compute(values, options, recorded)
            value, given = paused(self.compute, values, options, recorded)
        except NumixologyError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise self._refusal(values, error) from error
        finally:
            ERRSTATE.set(before)
        announce(Call(self, np.asarray(value), tuple(values), options))
        return value, given

    def compute(
        self, values: Sequence[Any], options: Mapping[str, Any], recorded: bool
    ) -> tuple[Any, Mapping[str, Any]]:
        """The value, and the options of the rules.

        Residuals may join those of the call: what the forward computed and a rule needs.
        """
        return self.forward(*values, **options), options

    def _refusal(self, values: Sequence[Any], error: Exception) -> NumixologyError:
        """NumPy's complaint, with the name of the primitive and what it was given."""
        if self.broadcasts and isinstance(error, ValueError) and "broadcast" in str(error):
            invariant = f"the shapes in {self.__name__} must broadcast"
            instead = "make each axis equal or of length one, with reshape or expand_dims"
            return ShapeError(invariant, ", ".join(str(np.shape(v)) for v in values), instead)
        kinds = {IndexError: IndexRangeError, TypeError: DTypeError, OverflowError: DTypeError}
        kind = next((ours for its, ours in kinds.items() if isinstance(error, its)), ShapeError)
        given = ", ".join(shown(v) for v in values) or "none"
        return kind(f"{self.__name__} needs arguments that fit together", given, str(error))


def as_constant(constant: Any, taker: str) -> Any:
    """A constant for a calculation: lists become arrays, and nothing hides a node or a mask.

    Raises:
        DTypeError: a list that holds nodes, or a subclass of array such as a matrix or one with
            a mask.
        ShapeError: lists of unequal lengths, or ones that are nested too deep.
    """
    if isinstance(constant, (Node, Carrier)) or constant.__class__ in _PLAIN:
        return constant
    if isinstance(constant, (list, tuple)):
        return as_array(constant, taker)
    if isinstance(constant, np.ndarray):
        invariant = f"{taker} takes plain arrays"
        raise DTypeError(invariant, type(constant).__name__, "use np.asarray or .filled()")
    return constant if isinstance(constant, (complex, np.generic)) else np.array(constant)


def as_array(data: Any, taker: str) -> Array:
    """An array of nested lists of numbers, or of whatever else NumPy makes one of.

    Raises:
        DTypeError: a list that holds nodes.
        ShapeError: lists of unequal lengths, or nested deeper than arrays have axes.
    """
    level, depth = [data], 0
    while level:
        if any(isinstance(one, Node) for one in level):
            invariant = f"{taker} takes numbers"
            raise DTypeError(invariant, "a list that holds a tensor", "use nx.functional.stack")
        if depth > _DEEPEST:
            invariant = f"{taker} takes lists nested at most {_DEEPEST} deep"
            raise ShapeError(invariant, "deeper ones", "flatten them")
        lists = [one for one in level if isinstance(one, (list, tuple))]
        level = [*{id(part): part for one in lists for part in one}.values()]  # it may hold itself
        depth += 1
    try:
        return np.asarray(data)
    except ValueError as error:
        invariant = f"{taker} takes nested lists of equal lengths"
        raise ShapeError(invariant, str(error), "pad or cut them") from error
    except TypeError as error:  # of another library, whose dtype NumPy does not have
        invariant = f"{taker} takes what NumPy can read"
        raise DTypeError(invariant, str(error), "convert it to float32 or float64") from error


@overload
def primitive(  # type: ignore[overload-overlap]  # a ufunc is a function too: it comes first
    *numpy_functions: np.ufunc, **how: Any
) -> Callable[[Callable[..., Any]], Checked]: ...
@overload
def primitive(forward: Callable[..., Any], /) -> Checked: ...
def primitive(*numpy_functions: Any, **how: Any) -> Any:
    """Make a differentiable operation of a function of plain arrays.

    Use it bare, or with the NumPy functions that it stands for, or with options. Its rules are
    written directly below it.

    Args:
        *numpy_functions: NumPy's ufuncs that this one stands for when they meet a tensor; for
            NumPy's other functions there is :func:`.implements`.
        broadcasts: the arguments broadcast against each other, so each cotangent is summed back
            to its argument's shape.

    Returns:
        A :class:`.Primitive`.

    Raises:
        ArgumentError: the forward has named arguments beside ``*arguments``.
        DTypeError: the forward is no function written in Python.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> @nx.primitive
        ... def cube(x):
        ...     return x * x * x
        >>> @cube.vjp("x")
        ... def cube_dx(ct, y, x):
        ...     return ct * 3 * x * x
        >>> x = nx.tensor([1.0, 2.0], requires_grad=True)
        >>> cube(x).backward(np.ones(2))
        >>> x.grad
        Tensor([ 3., 12.])
    """
    if numpy_functions and not isinstance(numpy_functions[0], np.ufunc):
        return Checked(*numpy_functions, **how)

    def decorate(forward: Callable[..., Any]) -> Checked:
        return implements(*numpy_functions)(Checked(forward, **how))

    return decorate


def implements(*numpy_functions: Callable[..., Any]) -> Callable[[F], F]:
    """Let a function stand in for NumPy functions of the same meaning."""

    def decorate(function: F) -> F:
        HANDLED_FUNCTIONS.update(dict.fromkeys(numpy_functions, function))
        return function

    return decorate


@primitive
def copy_of(x: Array) -> Array:
    """The same values in memory of their own."""
    return np.array(x, subok=isinstance(x, Carrier))


@copy_of.vjp("x")
def copy_of_dx(ct: Any, y: Any, x: Any) -> Any:
    return ct


def gradients(
    outputs: Sequence[Node],
    cotangents: Sequence[Any],
    inputs: Sequence[Node] | None = None,
    *,
    create_graph: bool = False,
    free: bool = False,
) -> dict[Node, Any]:
    """:func:`.backward`, quiet and unobserved; what it returns shares memory with nothing."""

    def alone() -> dict[Node, Any]:
        ERRSTATE.set(IGNORE)
        _recording.set(create_graph)
        found = backward(outputs, cotangents, inputs, create_graph=create_graph, free=free)
        if create_graph:
            return {node: copy_of(total) for node, total in found.items()}
        holders = _holders(found)
        return {
            node: total if holders[node] == _NOBODY and _is_whole(total) else copy_of.forward(total)
            for node, total in found.items()
        }

    return paused(alone)


def _is_whole(array: Any) -> bool:
    """Whether it is a plain array with memory of its own; a rule may return any other."""
    return type(array) is np.ndarray and array.base is None


def _holders(totals: Mapping[Any, Array]) -> dict[Any, int]:
    """How many references there are to each array."""
    return {node: getrefcount(total) for node, total in totals.items()}


# What is counted where nobody but the dictionary holds an array. A copy of the gradient of a large
# weight takes a quarter of the time of a small batch's step.
_NOBODY = _holders({None: np.empty(0)})[None]


def recorded(function: Callable[..., V], *arguments: Any) -> V:
    """Call a function and record what it does, also inside ``no_grad``."""
    before = _recording.get()
    try:  # and no Setting: after an interrupt it would be undone later than the no_grad around it
        _recording.set(True)
        return function(*arguments)
    finally:
        _recording.set(before)
