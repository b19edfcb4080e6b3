"""The tape.

A :class:`.Node` is a value and where it came from. A :class:`.Primitive` is a function of plain
arrays together with one rule per argument, its vector-Jacobian product (vjp): given the
cotangent of the output, the rule returns the cotangent of that argument. Called with a node, a
primitive computes the value and writes on the new node which inputs it came from. That is the
tape. :func:`.sweep` reads it backwards.

Only one thing about shapes is known here: a primitive that broadcasts is undone by summing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np

from .array import A, Array, Scalar, Shape, quietly, speak, whisper
from .costs import Call, Cost, CostRule, moves, told, unwatched
from .errors import (
    ArgumentError,
    DTypeError,
    IndexRangeError,
    NumixologyError,
    ShapeError,
    TapeError,
    UnsupportedError,
)

__all__ = ["NAMESAKES", "Node", "Primitive", "namesake", "no_grad", "primitive", "sweep"]

#: A vjp: ``rule(cotangent, output, *arguments, **options)``, on arrays or on nodes.
Rule: TypeAlias = Callable[..., Any]
#: What may stand beside nodes among the arguments of a primitive.
Constant: TypeAlias = Array | Scalar | Sequence[Any] | None

F = TypeVar("F", bound=Callable[..., Any])
N = TypeVar("N", bound="Node")

# float64, float32, int32, int64 (which is l or q) and bool.
_FIT = frozenset("dfilq?")

# Constants that need no second look.
_PLAIN = frozenset((np.ndarray, float, int, bool, type(None), np.float64))

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_is_recording = _recording.get  # bound, since every call asks

#: NumPy's function or ufunc -> ours: what ``np.exp(tensor)`` is looked up in.
NAMESAKES: dict[Callable[..., Any], Callable[..., Any]] = {}


class Node:
    """A value and where it came from: the tape's own words for what users of a tensor call
    ``data`` and ``requires_grad``, and below them the record of the call that made it.

    Attributes:
        value: the array.
        tracked: whether gradients flow to this node.
        primitive: what made it; None for a leaf.
        depth: 0 for a leaf, else one more than the deepest tracked input.
        inputs: the arguments it was made from, nodes and constants; None if it is not tracked,
            or once the tape was freed.
        options: the keyword options of that call, on tracked nodes.
        saved: the arrays of that call, the output and then the arguments, on tracked nodes.
        kept: by-products of the forward for the rules, on tracked nodes.
    """

    __slots__ = (
        "__weakref__", "depth", "inputs", "kept", "options", "primitive", "saved", "tracked",
        "value",
    )  # fmt: skip

    value: Array
    tracked: bool
    primitive: "Primitive | None"
    inputs: tuple[Any, ...] | None
    options: Mapping[str, Any]
    saved: tuple[Any, ...]
    kept: Any
    depth: int

    def __init__(self, value: Array, tracked: bool = False) -> None:
        self.value = value
        self.tracked = tracked
        self.primitive = None
        self.inputs = ()
        self.depth = 0


class Primitive:
    """A forward on plain arrays, and below it one rule per differentiable argument.

    Made by :func:`.primitive`. Called with arrays only it returns an array and records nothing;
    called with at least one node it returns a node of the same class. Positional arguments may
    be differentiable; keyword-only ones are options.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        broadcasts: bool = False,
        keeps: Callable[..., Any] | None = None,
        alone: Callable[..., Any] | None = None,
        cost: CostRule | None = None,
    ) -> None:
        code = forward.__code__
        self.forward = forward
        self.broadcasts = broadcasts
        self.keeps = keeps
        self.alone = alone
        self.cost = cost
        self.arguments = code.co_varnames[: code.co_argcount]
        self.variadic = bool(code.co_flags & 0x04)  # the forward has *arguments
        if self.variadic and self.arguments:
            raise ArgumentError(
                "a primitive has named arguments or *arguments",
                f"{', '.join(self.arguments)} beside the star in {forward.__name__}",
                "use one kind, and keywords for options",
            )
        if alone is not None and keeps is None:
            raise ArgumentError(
                "alone leaves out by-products",
                f"a forward {forward.__name__} without any",
                "say with keeps= what they are composed of",
            )
        defaults = forward.__defaults__ or ()
        self.defaults = dict(zip(self.arguments[::-1], defaults[::-1], strict=False))
        self.option_defaults = forward.__kwdefaults__ or {}
        self.has_defaults = bool(self.defaults or self.option_defaults)
        self.rules: list[Rule | None] = [None] * (len(self.arguments) or 1)
        self.__name__ = forward.__name__.lstrip("_")
        self.__qualname__ = forward.__qualname__
        self.__module__ = forward.__module__
        self.__doc__ = forward.__doc__
        self.__wrapped__ = forward
        # Our own rules return arrays of their own or those they were handed; of others' rules
        # that is not known, and what they return is copied before it is handed out.
        self.ours = forward.__module__.partition(".")[0] == __package__

    def __repr__(self) -> str:
        return f"<primitive {self.__name__}>"

    def vjp(self, argument: str) -> Callable[[F], F]:
        """Register the rule for one argument: ``rule(cotangent, output, *arguments, **options)``.

        The rule returns the cotangent of ``argument``. It is run on arrays by an ordinary
        backward and on tensors under ``create_graph=True``, so it is written with what both
        have: operators, ``@``, ``shape``, ``ndim``, ``dtype``, ``size``, ``reshape``, ``sum``,
        ``astype``, and primitives. For a forward with ``*arguments`` one rule, named with the
        star, serves them all and gets the position first. If the primitive ``keeps``
        by-products, the rule gets them as ``kept=``.

        Args:
            argument: its name; ``"*arguments"`` if the forward has those.

        Returns:
            A decorator, which returns the rule unchanged.

        Raises:
            ArgumentError: the forward has no such positional argument.
        """
        if argument.startswith("*") and self.variadic:
            return self._every
        if argument not in self.arguments:
            raise ArgumentError(
                f"a rule of {self.__name__} belongs to one of its positional arguments",
                repr(argument),
                f"use one of {', '.join(self.arguments) or '*arguments'}",
            )

        def register(rule: F) -> F:
            self.rules[self.arguments.index(argument)] = rule
            return rule

        return register

    def _every(self, rule: F) -> F:
        self.rules = [rule]
        return rule

    def each_rule(self, inputs: Sequence[Any]) -> list[Rule | None]:
        """The one rule of a variadic primitive, once for each position."""
        return [rule and partial(rule, i) for rule in self.rules for i in range(len(inputs))]

    @overload
    def __call__(self, x: N, /, *rest: Any, **options: Any) -> N: ...
    @overload
    def __call__(self, x: Constant, y: N, /, *rest: Any, **options: Any) -> N: ...
    @overload
    def __call__(self, x: Constant, y: Constant, z: N, /, **options: Any) -> N: ...
    @overload
    def __call__(self, /, *arguments: Constant, **options: Any) -> Array: ...
    @overload
    def __call__(self, x: A, /, *rest: Any, **options: Any) -> A: ...
    @overload
    def __call__(self, x: Constant, y: A, /, *rest: Any, **options: Any) -> A: ...
    @overload
    def __call__(self, x: Constant, y: Constant, z: A, /, **options: Any) -> A: ...
    def __call__(self, /, *arguments: Any, **options: Any) -> Any:
        """The value; called with a node, a new node that holds it and what it came from."""
        if told():
            return self._watched(arguments, options)
        if options or self.has_defaults:
            arguments, options = self._bind(arguments, options)
            for name, option in options.items():
                if isinstance(option, Node):
                    raise self._hidden(name)
        values: list[Any] = []
        kind = None
        depth = 0
        for argument in arguments:
            if isinstance(argument, Node):
                kind = argument.__class__
                values.append(argument.value)
                if argument.tracked and argument.depth >= depth:
                    depth = argument.depth + 1
            elif argument.__class__ in _PLAIN:
                values.append(argument)
            else:
                values.append(plain(argument, self.__name__))
        recording = depth and _is_recording()
        alone = None if recording else self.alone
        token = whisper()
        try:
            value = (alone or self.forward)(*values, **options)
        except NumixologyError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            raise self._refusal(values, error) from error
        finally:
            speak(token)
        kept = None
        if self.keeps is not None and alone is None:
            value, kept = value
        if kind is None:
            return value
        if value.__class__ is not np.ndarray:
            value = np.asarray(value)
        dtype = value.dtype
        if dtype.char not in _FIT:
            self._check_complex(dtype, arguments)
        node = kind.__new__(kind)
        node.value = value
        node.primitive = self
        if recording and dtype.kind in "fc":
            node.tracked = True
            node.inputs = arguments
            node.options = options
            node.saved = (value, *values)
            node.kept = kept
            node.depth = depth
        else:
            node.tracked = False
            node.inputs = None
            node.depth = 0
        return node

    def _watched(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The same call, which those who watch are then told of."""
        if self.cost is None:
            raise UnsupportedError(
                "a primitive that is counted declares what it costs",
                f"{self.__name__}, which does not",
                "give @primitive a cost=, a function of the result and the arguments that returns "
                "a numixology.costs.Cost",
            )
        watchers = told()
        with unwatched():
            made = self(*arguments, **options)
            result = made.value if isinstance(made, Node) else np.asarray(made)
            arguments, options = self._bind(arguments, options)
            values = tuple(
                one.value if isinstance(one, Node)
                else one if one.__class__ in _PLAIN
                else plain(one, self.__name__)
                for one in arguments
            )  # fmt: skip
            arrays = [None if value is None else np.asarray(value) for value in values]
            cost = self.cost(result, *arrays, **options)
            if not isinstance(cost, Cost):
                raise DTypeError(
                    f"the cost= of {self.__name__} returns a numixology.costs.Cost",
                    type(cost).__name__,
                    "wrap the number of FLOPs: Cost(flops)",
                )
            for watcher in watchers:
                watcher(Call(self.__name__, result, values, cost))
        return made

    def _hidden(self, name: str) -> DTypeError:
        return DTypeError(
            f"the options of {self.__name__} are constants",
            f"a tensor as {name}",
            "make it a positional argument of the forward and give it a rule",
        )

    def _check_complex(self, dtype: np.dtype[Any], arguments: Sequence[Any]) -> None:
        """Complex numbers come from complex nodes only, which the gradient check makes."""
        nodes = [one for one in arguments if isinstance(one, Node)]
        if dtype.kind == "c" and any(node.value.dtype.kind == "c" for node in nodes):
            return
        raise DTypeError(
            f"{self.__name__} of tensors holds float64, float32, int64, int32 or bool",
            f"arguments of which NumPy makes {dtype}",
            "convert them first, with .astype('float64') or .astype('int64')",
        )

    def _bind(
        self, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments given by keyword go to their places; what is left out gets its default."""
        positional = list(arguments)
        for name in self.arguments[len(positional) :]:
            if name not in options and name not in self.defaults:
                break
            positional.append(options.pop(name, self.defaults.get(name)))
        return tuple(positional), {**self.option_defaults, **options}

    def _refusal(self, values: Sequence[Any], error: Exception) -> Exception:
        """NumPy's complaint, with the name of the primitive and what it was given."""
        given = ", ".join(
            f"shape {v.shape} of {v.dtype}" if isinstance(v, np.ndarray) else repr(v)
            for v in values
        )
        if self.broadcasts and isinstance(error, ValueError) and "broadcast" in str(error):
            shapes = ", ".join(str(np.shape(v)) for v in values)
            return ShapeError(
                f"the shapes in {self.__name__} must broadcast",
                shapes,
                "make each axis equal or of length one, with reshape or expand_dims",
            )
        kinds = {IndexError: IndexRangeError, TypeError: DTypeError}
        kind = next(
            (ours for theirs, ours in kinds.items() if isinstance(error, theirs)), ShapeError
        )
        return kind(
            f"{self.__name__} needs arguments that fit together", given or "none", str(error)
        )


def plain(constant: Any, taker: str) -> Any:
    """A constant for a calculation: lists become arrays, and nothing hides a node or a mask.

    Raises:
        DTypeError: a list that holds nodes, or a subclass of array such as a matrix or one with
            a mask.
    """
    if isinstance(constant, (list, tuple)):
        if holds_node(constant):
            raise DTypeError(
                f"{taker} records tensors, not lists of them",
                "a list that holds a tensor",
                "join them first, with nx.functional.stack",
            )
        return np.asarray(constant)
    if isinstance(constant, np.ndarray):
        raise DTypeError(
            f"{taker} takes plain arrays",
            type(constant).__name__,
            "use np.asarray, or .filled(...) for a masked array",
        )
    return constant


def holds_node(data: Sequence[Any]) -> bool:
    """Whether a node is somewhere in nested lists."""
    return any(
        isinstance(one, Node) or (isinstance(one, (list, tuple)) and holds_node(one))
        for one in data
    )


@overload
def primitive(  # type: ignore[overload-overlap]  # a ufunc is a function too: it comes first
    *namesakes: np.ufunc,
    broadcasts: bool = ...,
    keeps: Callable[..., Any] | None = ...,
    alone: Callable[..., Any] | None = ...,
    cost: CostRule | None = ...,
) -> Callable[[Callable[..., Any]], Primitive]: ...
@overload
def primitive(forward: Callable[..., Any], /) -> Primitive: ...
def primitive(*namesakes: Any, **how: Any) -> Any:
    """Make a differentiable operation of a function of plain arrays.

    Use it bare, or with the NumPy ufuncs that it stands for, or with options. Its rules are
    written directly below it.

    Args:
        *namesakes: NumPy's ufuncs that this one stands in for when they meet a tensor; for
            NumPy's other functions there is ``namesake``.
        broadcasts: the arguments broadcast against each other, so each cotangent is summed back
            to its argument's shape.
        keeps: a composition of primitives that returns the forward's by-products. The forward
            then returns ``(output, kept)`` and every rule gets ``kept=``: the forward's own
            arrays in a first-order backward, and what ``keeps(*arguments, **options)``
            returns, which can be differentiated again, under ``create_graph=True``.
        alone: with ``keeps``, a function of the same arguments and options that returns the
            forward's output without by-products, to the bit. It takes the forward's place where
            nothing is recorded.
        cost: ``cost(output, *arguments, **options)`` of arrays, what such a call costs, as a
            :class:`.Cost`; needed only where :func:`.complexity` meets the primitive. Numbers and
            lists come as arrays too, and None as None.

    Returns:
        A :class:`.Primitive`.

    Raises:
        ArgumentError: the forward has named arguments beside ``*arguments``, or ``alone`` is
            given without ``keeps``.

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
    if namesakes and not isinstance(namesakes[0], np.ufunc):
        return Primitive(*namesakes, **how)

    def decorate(forward: Callable[..., Any]) -> Primitive:
        made = Primitive(forward, **how)
        for ufunc in namesakes:
            NAMESAKES[ufunc] = made
        return made

    return decorate


def namesake(*numpy_functions: Callable[..., Any]) -> Callable[[F], F]:
    """Let a composed function stand in for NumPy functions of the same meaning."""

    def decorate(function: F) -> F:
        for numpy_function in numpy_functions:
            NAMESAKES[numpy_function] = function
        return function

    return decorate


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the ``with`` block, in this thread or task only.

    Also a decorator: ``@nx.no_grad()``.

    Returns:
        A context manager.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(3.0, requires_grad=True)
        >>> with nx.no_grad():
        ...     y = x * x
        >>> y.requires_grad
        False
    """
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


@contextmanager
def record() -> Iterator[None]:
    """Record inside the ``with`` block, even where :func:`no_grad` surrounds it."""
    token = _recording.set(True)
    try:
        yield
    finally:
        _recording.reset(token)


def sweep(
    outputs: Sequence[Node],
    cotangents: Sequence[Any],
    inputs: Sequence[Node] | None = None,
    *,
    create_graph: bool = False,
    free: bool = False,
) -> list[tuple[Node, Any]]:
    """Read the tape backwards from ``outputs`` and return what arrives.

    Nodes are visited once each, deepest first: whatever a node was used for lies deeper than
    the node, so all of its cotangent has arrived before its own rules run. No recursion, and
    nothing written on the tape, except that ``free=True`` takes it apart on the way; after an
    error in a rule it is then taken apart in part, and the output must be computed again.

    Args:
        outputs: tracked nodes.
        cotangents: one for each output, of its shape and dtype: arrays, or nodes under
            ``create_graph``.
        inputs: the nodes wanted; the leaves if None.
        create_graph: run the rules on nodes, so that what arrives can be differentiated again.
        free: forget each node's inputs once its rules have run.

    Returns:
        Pairs of a wanted node and its cotangent; arrays share memory with nothing else.

    Raises:
        TapeError: the tape was freed, or a value on it was changed after it was used.
    """
    useful = None if inputs is None else _between(outputs, inputs)
    wanted = None if inputs is None else {id(node) for node in inputs}
    so_far = _Arrivals()
    total, owned, waiting = so_far.total, so_far.owned, so_far.waiting
    arrived: list[Node] = []

    with quietly(), unwatched(), record() if create_graph else nullcontext():
        for output, cotangent in zip(outputs, cotangents, strict=True):
            if useful is None or id(output) in useful:
                if id(output) in total:
                    total[id(output)] = total[id(output)] + cotangent
                else:
                    total[id(output)] = cotangent
                    waiting[output.depth].append(output)

        for depth in range(max(waiting, default=-1), -1, -1):
            for node in waiting.pop(depth, ()):
                key = id(node)
                made_by = node.primitive
                if made_by is None if wanted is None else key in wanted:
                    arrived.append(node)
                    cotangent = total[key]
                else:
                    cotangent = total.pop(key)
                if made_by is None:
                    continue
                if node.inputs is not None:
                    _visit(made_by, node, node.inputs, cotangent, so_far, useful, create_graph)
                elif wanted is None:
                    raise _freed(made_by)
                # else it is wanted itself, and nothing wanted lies below it
                if free:
                    node.inputs, node.saved, node.kept = None, (), None
        if create_graph:
            return [(node, _recorded_copy(total[id(node)], node)) for node in arrived]
    return [(n, total[id(n)] if id(n) in owned else np.array(total[id(n)])) for n in arrived]


class _Arrivals:
    """What has arrived so far, and where the sweep has yet to go.

    Attributes:
        total: the sum of the cotangents that have arrived at a node, by its id.
        owned: the ids whose total is an array that nobody else holds.
        waiting: the nodes to visit, by their depth.
    """

    __slots__ = ("owned", "total", "waiting")

    def __init__(self) -> None:
        self.total: dict[int, Any] = {}
        self.owned: set[int] = set()
        self.waiting: defaultdict[int, list[Node]] = defaultdict(list)


def _visit(
    made_by: Primitive,
    node: Node,
    inputs: tuple[Any, ...],
    cotangent: Any,
    so_far: _Arrivals,
    useful: set[int] | None,
    create_graph: bool,
) -> None:
    """Run the rules of one node, and add what they return to the totals of its inputs."""
    total, saved, options = so_far.total, node.saved, node.options
    if made_by.keeps is not None:
        kept = made_by.keeps(*inputs, **options) if create_graph else node.kept
        options = {**options, "kept": kept}
    if node.value is not saved[0]:
        raise _changed(made_by, node)
    arguments = (cotangent, node, *inputs) if create_graph else (cotangent, *saved)
    rules = made_by.each_rule(inputs) if made_by.variadic else made_by.rules
    for argument, value, rule in zip(inputs, saved[1:], rules):  # noqa: B905
        if not isinstance(argument, Node):
            continue
        if argument.value is not value:
            raise _changed(made_by, argument)
        key = id(argument)
        if not argument.tracked or (useful is not None and key not in useful):
            continue
        if rule is None:
            raise _no_rule(made_by, argument, inputs)
        part = rule(*arguments, **options)
        if getattr(part, "shape", None) != value.shape:
            part = _undo_broadcast(made_by, part, value.shape)
        if part.dtype is not value.dtype and part.dtype != value.dtype:
            part = part.astype(value.dtype)
        if key not in total:
            total[key] = part
            so_far.waiting[argument.depth].append(argument)
            if argument.depth == 0 and made_by.ours and _is_new(part, arguments, options):
                so_far.owned.add(key)
        elif key in so_far.owned:
            np.add(total[key], part, out=total[key])
        else:
            total[key] = part = total[key] + part
            if part.__class__ is np.ndarray:
                so_far.owned.add(key)


def _between(outputs: Sequence[Node], inputs: Sequence[Node]) -> set[int]:
    """The ids of the nodes on some way from ``inputs`` to ``outputs``, both ends included."""
    seen: dict[int, Node] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            made_by = node.primitive
            if made_by and node.inputs is None and any(n.depth < node.depth for n in inputs):
                raise _freed(made_by)  # what lies below it is forgotten
            stack.extend(n for n in node.inputs or () if isinstance(n, Node) and n.tracked)
    useful = {id(node) for node in inputs if id(node) in seen}
    for node in sorted(seen.values(), key=lambda node: node.depth):
        if any(id(n) in useful for n in node.inputs or ()):
            useful.add(id(node))
    return useful


@primitive(cost=moves)
def copy_of(x: Array) -> Array:
    """The same values in memory of their own."""
    return np.array(x)


@copy_of.vjp("x")
def copy_of_dx(ct: Any, y: Any, x: Any) -> Any:
    return ct


def _recorded_copy(cotangent: Any, like: Node) -> Node:
    """A recorded copy: two inputs may have been handed the same node."""
    if not isinstance(cotangent, Node):  # a rule returned a plain array: a constant
        array, cotangent = cotangent, like.__class__.__new__(like.__class__)
        Node.__init__(cotangent, np.asarray(array))
    copied: Node = copy_of(cotangent)
    return copied


def _is_new(part: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether a rule's result lies in memory of its own, not in that of an array it was handed."""
    if part.__class__ is not np.ndarray or not part.flags.writeable:
        return False
    memory = part if part.base is None else part.base
    if memory.size != part.size:
        return False
    handed = [*arguments]
    for option in options.values():
        handed.extend(option if isinstance(option, (list, tuple)) else (option,))
    for one in handed:
        if one.__class__ is np.ndarray and (one is memory or one.base is memory):
            return False
    return True


def _undo_broadcast(primitive: Primitive, part: Any, shape: Shape) -> Any:
    """Broadcasting copies a value; its cotangent is the sum over the copies."""
    if not hasattr(part, "shape"):
        raise DTypeError(
            f"a rule of {primitive.__name__} must return an array of shape {shape}",
            type(part).__name__,
            "mend the rule: it may lack a return",
        )
    added = part.ndim - len(shape)
    stretched = tuple(
        added + i for i, n in enumerate(shape) if n == 1 and part.shape[added + i] != 1
    ) if added >= 0 else ()  # fmt: skip
    fits = added >= 0 and all(
        n in (1, m) for n, m in zip(shape, part.shape[added:], strict=True)
    )  # fmt: skip
    if not primitive.broadcasts or not fits:
        raise ShapeError(
            f"a rule of {primitive.__name__} must return its argument's shape {shape}",
            str(part.shape),
            "mend the rule, or declare broadcasts=True if the forward broadcasts",
        )
    return part.sum(axis=(*range(added), *stretched), keepdims=True).reshape(shape)


def _freed(made_by: Primitive) -> TapeError:
    return TapeError(
        "a tape is read once",
        f"a second backward through {made_by.__name__}, whose inputs an earlier one has freed",
        "compute the output again, or pass retain_graph=True to the first backward",
    )


def _changed(made_by: Primitive, node: Node) -> TapeError:
    return TapeError(
        f"a value must stay as it was between {made_by.__name__}() and the backward through it",
        f"data of shape {node.value.shape} assigned in between",
        "assign to .data after the backward, or compute the output again",
    )


def _no_rule(primitive: Primitive, argument: Node, inputs: Sequence[Any]) -> TapeError:
    position = next(i for i, one in enumerate(inputs) if one is argument)
    name = "*arguments" if primitive.variadic else primitive.arguments[position]
    return TapeError(
        f"{primitive.__name__} must have a rule for every argument that requires a gradient",
        f"none for {name!r}",
        f"write one below it: @{primitive.__name__}.vjp({name!r}); or detach() the argument",
    )
