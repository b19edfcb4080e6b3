"""A tape as it was recorded, and as it is read backwards.

Everything is read from the nodes themselves, and what a node sends to its inputs is what its rules
return. No derivative is worked out here.
"""

from collections.abc import Sequence
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from ...autograd import Node, pulled_back, tape_below
from ...errors import ArgumentError, TapeError
from ...tensors import Tensor, cotangent_for, tensor
from ...text import counted
from ...transforms import grad
from ..drawing.panels import Box, Graph, Table
from ..drawing.scene import Scene

__all__ = [
    "backward_scene",
    "example_backward",
    "example_order",
    "example_second_derivative",
    "example_tape",
    "tape_scene",
]

_MOST_NUMBERS = 6  # of an array that is written out; a larger one is shown by its shape
_PART = (
    "a part is the gradient where it comes from, times the local gradient: how far the value there "
    "moves when the value here does"
)


class _Tape(NamedTuple):
    """The tracked nodes below an output, none before its inputs, and what each is called."""

    nodes: list[Node]
    names: dict[int, str]

    def name(self, node: Node) -> str:
        return self.names[id(node)]


class _Visit(NamedTuple):
    """A node at the moment when its rules run: what has arrived so far, and what it sends."""

    node: Node
    total: Array
    parts: list[tuple[Node, Array]]


class _Place(NamedTuple):
    """Where something is drawn, and until which row its column is taken."""

    row: int
    column: int
    until: int


def tape_scene(output: Tensor, /, **names: Tensor) -> Scene:
    """The tape that a calculation left: one box per node, and arrows from what it was made of.

    The rows are the depths of the nodes. A constant is drawn at each of its uses. Options are named
    where they differ from their defaults.

    Args:
        output: the tensor whose past is drawn.
        **names: what to call tensors of the calculation; unnamed leaves are called x, y, z, …
            and all else %1, %2, …

    Returns:
        A :class:`.Scene` of a graph.

    Raises:
        TapeError: nothing was recorded, or the tape was freed.
        ArgumentError: a name for a tensor that is not part of the calculation.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(2.0, requires_grad=True)
        >>> print(nx.explain.tape_scene(x * x + 1).text())
        The tape of %2: 3 nodes
        <BLANKLINE>
        Graph
          x = 2   leaf
          %1 = 4  multiply  reads x = 2 and x = 2
          1       constant
          %2 = 5  add       reads %1 = 4 and 1
    """
    tape = _tape_of(output, names)
    description = "Every value with the operation that made it and arrows from what it was made of."
    title = f"The tape of {tape.name(output)}: {counted(len(tape.nodes), 'node')}"
    return Scene(title, description, (_graph(tape),))


def backward_scene(output: Tensor, cotangent: Any = None, /, **names: Tensor) -> Scene:
    """How gradients flow back through a tape: value and gradient in each box, in order of visits.

    Where both values are single numbers an arrow shows what is multiplied, and elsewhere the
    product alone.

    Args:
        output: the tensor whose gradient is taken.
        cotangent: of its shape; 1 if None, for an output that is a single number.
        **names: what to call tensors of the calculation, as for :func:`.tape_scene`.

    Returns:
        A :class:`.Scene` of a graph.

    Raises:
        TapeError: nothing was recorded, or the tape was freed.
        ShapeError: no cotangent for an output that is not a single number, or of another shape.
        ArgumentError: a name for a tensor that is not part of the calculation.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(2.0, requires_grad=True)
        >>> (graph,) = nx.explain.backward_scene(x * x + x).panels
        >>> for box in graph.boxes:
        ...     print(f"{box.name:6}  {box.shape}  {box.labels}")
        %2 = 6  gradient 1  ()
        %1 = 4  gradient 1  ('1 * 1',)
        x = 2   gradient 5  ('1 * 2', '1 * 2', '1 * 1')
    """
    tape = _tape_of(output, names)
    visits, _ = _read(tape.nodes[::-1], cotangent_for(output, cotangent).data)
    description = "Every value with its gradient, and arrows with what adds up to it."
    title = f"Backwards from {tape.name(output)}: {counted(len(visits), 'visit')}"
    return Scene(title, description, (_upwards(tape, visits),))


def example_tape() -> Scene:
    """The tape of s · (s + 1) with s = x · w: a value that is used twice."""
    y, names = _example()
    return tape_scene(y, **names)


def example_backward() -> Scene:
    """Backpropagation through s · (s + 1): what each input of a step gets is the gradient at its
    output, times the local gradient (the chain rule); what a value gets from several adds up."""
    y, names = _example()
    return backward_scene(y, **names)


def example_order() -> Scene:
    """A diamond: a is used by b and by y, and b must be visited before it.

    The wrong order is that of a search which goes deep first: each node as soon as it is found.
    """
    x = tensor(2.0, requires_grad=True)
    a = x * x
    b = a + x
    y = b * a
    tape = _tape_of(y, {"x": x, "a": a, "b": b, "y": y})
    found: list[Node] = []
    stack: list[Node] = [y]
    while stack:
        node = stack.pop()
        if all(node is not one for one in found):
            found.append(node)
            stack += filter(_tracked, node.inputs or ())
    description = "The same tape read twice: each node as soon as it is found, and deepest first."
    panels = (
        _graph(tape),
        _visits(tape, "Wrong: as soon as found", found),
        _visits(tape, "Right: deepest first", tape.nodes[::-1]),
    )
    return Scene("Two ways to read the tape of y", description, panels)


def example_second_derivative() -> Scene:
    """The tape that the gradient of x · x · x left, and the gradient of that gradient."""
    x = tensor(5.0, requires_grad=True)
    y = x * x * x
    before = {id(node) for node in _tape_of(y, {}).nodes}
    (slope,) = grad(y, x, create_graph=True)
    tape = _tape_of(slope, {"x": x, "slope": slope})
    old = [tape.name(node) for node in tape.nodes if id(node) in before]
    note = f"The forward recorded {' and '.join(old)}; the gradient recorded the rest."
    title = f"The slope of x * x * x at {_shown(x.data)}, and the slope of that"
    description = "The tape that taking the gradient left, and what flows back through it."
    backwards = _visits(tape, "Backwards", tape.nodes[::-1])
    return Scene(title, description, (_graph(tape)._replace(note=note), backwards))


def _example() -> tuple[Tensor, dict[str, Tensor]]:
    x, w = tensor(2.0, requires_grad=True), tensor(3.0, requires_grad=True)
    s = x * w
    t = s + 1
    y = s * t
    return y, {"x": x, "w": w, "s": s, "t": t, "y": y}


# The tape, forwards


def _tape_of(output: Tensor, names: dict[str, Tensor]) -> _Tape:
    if not output.requires_grad:
        raise TapeError(
            "a tape is drawn from a tensor that has one",
            "a tensor that does not require a gradient",
            "pass requires_grad=True to a leaf, and use no no_grad()",
        )
    nodes = [*tape_below([output], None)][::-1]
    given = {id(one): name for name, one in names.items()}
    known = {id(one) for node in nodes for one in (node, *(node.inputs or ()))}
    for name, one in names.items():
        if id(one) not in known:
            raise ArgumentError(
                "names are for tensors that the output was computed from",
                f"{name}, which it was not",
                "leave it out",
            )
    letters = (word for word in chain("xyzuvw", map("x{}".format, count(1))) if word not in names)
    others = (word for word in map("%{}".format, count(1)) if word not in names)
    called = {
        id(node): given.get(id(node)) or next(others if node.primitive else letters)
        for node in nodes
    }
    return _Tape(nodes, given | called)


def _graph(tape: _Tape) -> Graph:
    places = _laid_out(tape)
    boxes = []
    for node in tape.nodes:
        reads = []
        for i, one in enumerate(node.inputs or ()):
            reads.append(tape.name(one) if _tracked(one) else f"{tape.name(node)} {i}")
            if not _tracked(one):
                where = places[id(node), i][:2]
                boxes.append(Box(reads[-1], _word(tape, one), "constant", place=where))
        words = (tape.name(node), _title(tape, node), _made_by(node))
        boxes.append(Box(*words, reads=tuple(reads), place=places[id(node)][:2]))
    return Graph("Graph", tuple(boxes))


def _laid_out(tape: _Tape) -> dict[Any, _Place]:
    """A place for every node by its id, and for every use of a constant, by the id and the number.

    The row is the depth. A value keeps its column to itself until its last use, so that an arrow
    down from it passes no other box.
    """
    last = {id(one): node.depth for node in tape.nodes for one in node.inputs or ()}
    places: dict[Any, _Place] = {}
    for row in range(tape.nodes[-1].depth + 1):
        for node in tape.nodes:
            if node.depth == row:
                keys = (
                    id(one) if _tracked(one) else (id(node), i)
                    for i, one in enumerate(node.inputs or ())
                )
                column = _free_column(places, [places[key].column for key in keys], row)
                places[id(node)] = _Place(row, column, last.get(id(node), row + 1))
        for node in tape.nodes:
            for i, one in enumerate(node.inputs or ()):
                if node.depth == row + 1 and not _tracked(one):
                    places[id(node), i] = _Place(row, _free_column(places, [], row), row + 1)
    return places


def _free_column(places: dict[Any, _Place], near: Sequence[int], row: int) -> int:
    """A column that is free in this row: that of an input if possible, else the leftmost."""
    busy = {place.column for place in places.values() if place.row == row or place.until > row}
    return next(i for i in chain(near, count()) if i not in busy)


# The tape, backwards


def _read(order: Sequence[Node], seed: Array) -> tuple[list[_Visit], dict[int, Array]]:
    """Visit the nodes in that order; and what has arrived at each in the end."""
    totals, visits = {id(order[0]): seed}, []
    for node in order:
        parts = _parts(node, totals[id(node)])
        visits.append(_Visit(node, totals[id(node)], parts))
        for one, part in parts:
            totals[id(one)] = totals.get(id(one), 0) + part
    return visits, totals


def _parts(node: Node, total: Array) -> list[tuple[Node, Array]]:
    """What the rules of a node send to its inputs."""
    return list(pulled_back(node, total, set(filter(_tracked, node.inputs or ())), False))


def _sent(visit: _Visit) -> list[tuple[Node, str]]:
    """What a node sends, in words: its gradient times the local gradient, or their product."""
    slopes = _parts(visit.node, np.ones_like(visit.total))
    return [
        (one, _shown(part) if part.ndim or visit.total.ndim else f"{visit.total:.6g} * {slope:.6g}")
        for (one, part), (_, slope) in zip(visit.parts, slopes, strict=True)
    ]


def _upwards(tape: _Tape, visits: Sequence[_Visit]) -> Graph:
    """The boxes of the tape with the gradients that arrive, and the arrows turned round."""
    places = _laid_out(tape)
    boxes = []
    for node, total, _ in visits:
        arrows = [
            (places[id(other.node)].column, tape.name(other.node), words)
            for other in visits
            for one, words in _sent(other)
            if one is node
        ]
        _, reads, labels = zip(*sorted(arrows), strict=True) if arrows else ((), (), ())
        shape = f"gradient {_shown(total)}"
        where = places[id(node)][:2]
        boxes.append(Box(tape.name(node), _title(tape, node), shape, "", reads, where, labels))
    return Graph("Value and gradient", tuple(boxes), _PART)


def _visits(tape: _Tape, title: str, order: Sequence[Node]) -> Table:
    """What each node has when its turn comes and what it sends, and what came too late."""
    visits, ends = _read(order, np.array(1.0))
    rows, notes = [], []
    for visit in visits:
        name, end = tape.name(visit.node), ends[id(visit.node)]
        sent = ", ".join(f"{words} to {tape.name(one)}" for one, words in _sent(visit))
        rows.append((name, _shown(visit.total), sent))
        if visit.node.primitive is None:
            notes.append(f"{name} ends with {_shown(end)}.")
        elif end != visit.total:
            notes.insert(0, f"Too late for {name}: {_shown(end - visit.total)}.")
    return Table(title, ("node", "has", "sends"), tuple(rows), "<><", " ".join(notes))


# Words


def _tracked(one: Any) -> bool:
    return isinstance(one, Node) and one.requires_grad


def _title(tape: _Tape, node: Node) -> str:
    """A node's name and its value, or the shape of it."""
    shown = _shown(node.data)
    return f"{tape.name(node)} {'' if shown.startswith('(') else '= '}{shown}"


def _made_by(node: Node) -> str:
    """The primitive that made a node, with the options that were not left at their defaults."""
    if node.primitive is None:
        return "leaf"
    forward = node.primitive.forward
    code, defaults = forward.__code__, forward.__kwdefaults__ or {}
    names = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    chosen = ((name, *map(_constant, (node.options[name], defaults.get(name)))) for name in names)
    words = ", ".join(f"{name}={value}" for name, value, usual in chosen if value != usual)
    return node.primitive.__name__ + (f"({words})" if words else "")


def _word(tape: _Tape, one: Any) -> str:
    """What an argument is called: its name if it has one, or else what it is."""
    return tape.names.get(id(one)) or _constant(one)


def _constant(one: Any) -> str:
    value = one.data if isinstance(one, Node) else one
    return _shown(np.asarray(value)) if isinstance(value, np.ndarray | float) else repr(value)


def _shown(value: Array) -> str:
    """A few numbers as they are, to six digits; of many their shape."""
    if value.size > _MOST_NUMBERS:
        return str(value.shape)
    form = "{:.6g}".format if value.dtype.kind in "fc" else str
    return np.array2string(value, separator=", ", formatter={"all": form}).replace("\n", "")
