"""The tape: what a call of a primitive records, and how backward reads it.

A :class:`Node` is a value and where it came from. A :class:`Primitive` is a function of arrays with
one rule per argument, its vector-Jacobian product (vjp): from the cotangent of the output (how much
each of its entries counts in the number that is differentiated) to the cotangent of that argument.
Called with a node, a primitive computes the value and makes a node that remembers its inputs. Those
references are the tape, and :func:`backward` reads it.

Nothing here knows tensors, or what else surrounds a call: see ``primitives``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial, update_wrapper
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np

from .array import A, Array, Carrier, Shape, upcast
from .errors import bad_rule, no_argument, no_rule, tape_freed, value_changed

__all__ = ["Node", "Primitive", "backward", "is_recording"]

#: A vjp: ``rule(cotangent, output, *arguments, **options)``, on arrays or on nodes.
Rule: TypeAlias = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])
N = TypeVar("N", bound="Node")

# Whether calls are recorded, in this thread or task; no_grad switches it off.
_recording: ContextVar[bool] = ContextVar("recording", default=True)
is_recording = _recording.get


class Node:
    """A value, and if it requires a gradient the record of the call that made it.

    Attributes:
        data: the array.
        requires_grad: whether gradients flow to this node.
        primitive: what made it; None for a leaf.
        depth: 0 for a leaf, else one more than the deepest input that requires a gradient.
        inputs: the arguments it was made from, nodes and constants; None once freed, or where
            nothing was recorded.
        saved: the output and those arguments, as arrays.
        options: the keyword options of the call, for its rules.
    """

    __slots__ = ("__weakref__", "_data", "_requires_grad", "depth", "inputs", "options",
                 "primitive", "saved")  # fmt: skip
    depth: int
    inputs: tuple[Any, ...] | None
    options: Mapping[str, Any]
    primitive: "Primitive | None"
    saved: tuple[Any, ...]

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        self._data, self._requires_grad = data, requires_grad
        self.primitive, self.inputs, self.depth = None, (), 0

    @property
    def data(self) -> Array:
        """The array."""
        return self._data

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this node."""
        return self._requires_grad

    @classmethod
    def made_by(cls: type[N], primitive: "Primitive", data: Array) -> N:
        """A node around an output; a subclass may refuse what it cannot hold."""
        node = cls.__new__(cls)
        node._data, node._requires_grad = data, False
        node.primitive, node.inputs, node.depth = primitive, None, 0
        return node


class Primitive:
    """A forward on arrays, and one rule per differentiable argument.

    Called with arrays only it returns an array and records nothing; called with a node it returns a
    node of that class. Positional arguments may be differentiable; keyword-only ones are options.
    """

    def __init__(self, forward: Callable[..., Any], *, broadcasts: bool = False) -> None:
        self.forward, self.broadcasts = forward, broadcasts
        code = forward.__code__
        self.arguments = code.co_varnames[: code.co_argcount]
        self.rules: dict[str, Rule] = {}
        update_wrapper(self, forward)
        self.__name__ = forward.__name__.lstrip("_")

    def vjp(self, argument: str) -> Callable[[F], F]:
        """Register the rule of one argument, ``rule(cotangent, output, *arguments, **options)``.

        It runs on arrays in an ordinary backward and on nodes under ``create_graph=True``. For a
        forward with ``*arguments`` one rule serves them all, and gets the position first.
        """
        if argument not in self.arguments and (self.arguments or argument[0] != "*"):
            raise no_argument(self, argument)

        def register(rule: F) -> F:
            self.rules[argument] = rule
            return rule

        return register

    def rule(self, i: int) -> Rule | None:
        """The rule of the i-th argument."""
        if self.arguments:
            return self.rules.get(self.arguments[i])
        return next((partial(rule, i) for rule in self.rules.values()), None)

    @overload
    def __call__(self, x: A, /, *others: Any, **options: Any) -> A: ...
    @overload
    def __call__(self, /, *arguments: Any, **options: Any) -> Any: ...
    def __call__(self, /, *arguments: Any, **options: Any) -> Any:
        """The value; called with a node, a new node that holds it and what it came from."""
        arguments, options = self.bind(arguments, options)
        kind, depth = None, 0
        for one in arguments:
            if isinstance(one, Node):
                kind = type(one)
                if one._requires_grad and one.depth >= depth:
                    depth = one.depth + 1
        recorded = depth > 0 and is_recording()
        if recorded:  # constants are copied: whoever gave them may change them before backward
            arguments = tuple([x.copy("K") if type(x) is np.ndarray else x for x in arguments])
        values = [x._data if isinstance(x, Node) else x for x in arguments]
        value, options = self.run(values, options, recorded)
        if kind is None:
            return value
        node = kind.made_by(self, value if isinstance(value, Carrier) else np.asarray(value))
        if recorded and node._data.dtype.kind in "fc":
            node._requires_grad, node.depth, node.inputs = True, depth, arguments
            node.saved, node.options = (node._data, *values), options
        return node

    # What may surround a call; see primitives.Checked

    def bind(self, arguments: Any, options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments in their places."""
        return arguments, options

    def run(self, values: Sequence[Any], options: Any, recorded: bool) -> tuple[Any, Any]:
        """The value, and the options that the rules get."""
        return self.forward(*values, **options), options


def backward(
    outputs: Sequence[Node],
    cotangents: Sequence[Any],
    inputs: Sequence[Node] | None = None,
    *,
    create_graph: bool = False,
    free: bool = False,
) -> dict[Node, Any]:
    """Read the tape backwards and return the cotangent of each input, or of each leaf.

    Deepest first. A node is one deeper than its deepest input, so whatever it was used for lies
    deeper than it, and when its turn comes all of its cotangent has arrived. No recursion, and
    every node is visited once.

    Args:
        outputs: nodes that require a gradient.
        cotangents: one for each, of its shape and dtype; nodes under ``create_graph``.
        inputs: the nodes wanted; the leaves if None. Those that no output depends on are left out.
        create_graph: run the rules on nodes, so that what arrives can be differentiated again;
            ``primitives.gradients`` sees to it that they are recorded.
        free: forget each node's inputs once its rules have run.

    Returns:
        Arrays, which may share memory, or nodes.

    Raises:
        TapeError: the tape was freed, or a value on it was changed after it was used.
    """
    tape = tape_below(outputs, inputs)
    wanted = {node for node in tape if node.primitive is None} if inputs is None else set(inputs)
    needed = set(wanted)
    for node, parents in reversed(tape.items()):  # shallowest first: what leads to a wanted one
        if not needed.isdisjoint(parents):
            needed.add(node)
    total: dict[Node, Any] = {}
    for output, cotangent in zip(outputs, cotangents, strict=True):
        total[output] = total[output] + cotangent if output in total else cotangent
    for node in tape:
        if node in needed:
            cotangent = total[node] if node in wanted else total.pop(node)
            for parent, part in pulled_back(node, cotangent, needed, create_graph):
                total[parent] = total[parent] + part if parent in total else part
            if free and node.primitive is not None:
                node.inputs, node.saved = None, ()
    return {node: total[node] for node in tape if node in wanted and node in total}


def tape_below(outputs: Sequence[Node], inputs: Sequence[Node] | None) -> dict[Node, list[Node]]:
    """The outputs and what they were made from, deepest first; each with its parents.

    The parents of a node are those of its inputs that require a gradient.
    """
    tape: dict[Node, list[Node]] = {}  # no set: equal depths keep the order in which they were met
    stack = [*outputs]
    while stack:
        node = stack.pop()
        if node in tape:
            continue
        forgotten = node.primitive is not None and node.inputs is None  # what lies below
        if forgotten and (inputs is None or any(one.depth < node.depth for one in inputs)):
            raise tape_freed(node.primitive)
        tape[node] = [x for x in node.inputs or () if isinstance(x, Node) and x._requires_grad]
        stack.extend(tape[node])
    return {node: tape[node] for node in sorted(tape, key=attrgetter("depth"), reverse=True)}


def pulled_back(
    node: Node, cotangent: Any, needed: set[Node], create_graph: bool
) -> Iterator[tuple[Node, Any]]:
    """Run the rules of one node: each needed input, and its part of the cotangent."""
    if node.primitive is None or node.inputs is None:
        return
    output, *values = node.saved
    if node._data is not output:
        raise value_changed(node.primitive, output.shape)
    arguments = (node, *node.inputs) if create_graph else node.saved
    for i, (one, value) in enumerate(zip(node.inputs, values, strict=True)):
        if not isinstance(one, Node):
            continue
        if one._data is not value:
            raise value_changed(node.primitive, value.shape)
        if one in needed and one._requires_grad:
            rule = node.primitive.rule(i)
            if rule is None:
                raise no_rule(node.primitive, i)
            part = rule(cotangent, *arguments, **node.options)
            if getattr(part, "shape", None) != value.shape:
                part = unbroadcast(node.primitive, part, value.shape)
            yield one, (part if part.dtype == value.dtype else part.astype(value.dtype))


def unbroadcast(primitive: Primitive, part: Any, shape: Shape) -> Any:
    """Broadcasting copies a value; its cotangent is the sum over the copies, added in float64."""
    added = getattr(part, "ndim", -1) - len(shape)
    fits = added >= 0 and all(n in (1, m) for n, m in zip(shape, part.shape[added:], strict=True))
    if not (primitive.broadcasts and fits):
        raise bad_rule(primitive, part, shape)
    copied = (*range(added), *(added + i for i, n in enumerate(shape) if n == 1))
    return upcast(part).sum(axis=copied, keepdims=True).reshape(shape)
