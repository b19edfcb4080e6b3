"""A tape as it was recorded, and as it is read backwards.

Everything is read from the nodes themselves. Totals, and the order of visits, are what backward
returns; what a single use contributes is found by taking that one step again, alone, and pulling
the cotangent back through it. No derivative is worked out here.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from ...autograd import Node, Primitive, pulled_back
from ...errors import ArgumentError, TapeError
from ...primitives import gradients
from ...tensors import Tensor, cotangent_for, tensor
from ...transforms import grad
from ..drawing.panels import Box, Graph, Lines, Table
from ..drawing.scene import Scene

__all__ = [
    "backward_scene",
    "example_backward",
    "example_order",
    "example_second_derivative",
    "example_tape",
    "backward_order_scene",
    "tape_scene",
]

_MOST_NUMBERS = 6  # of an array that is written out; a larger one is told by its shape


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
    """The tape that a calculation left: one box per node, and the same as a listing.

    The rows are the depths of the nodes. A constant is drawn at each of its uses.

    Args:
        output: the tensor whose past is drawn.
        **names: what to call tensors of the calculation; unnamed leaves are called x, y, z, …
            and all else %1, %2, …

    Returns:
        A :class:`.Scene` of a graph and a listing.

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
        <BLANKLINE>
        Listing
          x                     2, leaf
          %1 = multiply(x, x)   4, depth 1
          %2 = add(%1, 1)       5, depth 2
    """
    tape = _tape_of(output, names)
    description = "Every value with the operation that made it and arrows from what it was made of."
    title = f"The tape of {tape.name(output)}: {_counted(len(tape.nodes), 'node')}"
    return Scene(title, description, (_graph(tape), _listing(tape)))


def backward_scene(output: Tensor, cotangent: Any = None, /, **names: Tensor) -> Scene:
    """How gradients flow back through a tape, number by number, in the order of the visits.

    Args:
        output: the tensor whose gradient is taken.
        cotangent: of its shape; 1 if None, for an output that is a single number.
        **names: what to call tensors of the calculation, as for :func:`.tape_scene`.

    Returns:
        A :class:`.Scene` of a graph and a table.

    Raises:
        TapeError: nothing was recorded, or the tape was freed.
        ShapeError: no cotangent for an output that is not a single number, or of another shape.
        ArgumentError: a name for a tensor that is not part of the calculation.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(2.0, requires_grad=True)
        >>> scene = nx.explain.backward_scene(x * x + x)
        >>> print(nx.explain.panel_text(scene.panels[1]))
        Visits, in order
          node  what arrives              total
          ----  ------------------------  -----
          %2    1                             1
          %1    1 from %2                     1
          x     1 from %2, 2 + 2 from %1      5
    """
    tape = _tape_of(output, names)
    visits = _right_backward(tape, output, cotangent)
    description = "What arrives at every node, from which use of it, in the order of the visits."
    title = f"Backwards from {tape.name(output)}: {_counted(len(visits), 'visit')}"
    return Scene(title, description, (_upwards(tape, visits), _arrivals(tape, visits)))


def backward_order_scene(output: Tensor, cotangent: Any = None, /, **names: Tensor) -> Scene:
    """Why the order of a backward matters: the tape read in a wrong order, and in the right one.

    Args:
        output: the tensor whose gradient is taken.
        cotangent: of its shape; 1 if None, for an output that is a single number.
        **names: what to call tensors of the calculation, as for :func:`.tape_scene`.

    Returns:
        A :class:`.Scene` of the tape and two tables.

    Raises:
        TapeError: nothing was recorded, or the tape was freed.
        ShapeError: no cotangent for an output that is not a single number, or of another shape.
        ArgumentError: a name for a tensor that is not part of the calculation.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(2.0, requires_grad=True)
        >>> a = x * x
        >>> scene = nx.explain.backward_order_scene(a * (a + x), x=x, a=a)
        >>> for panel in scene.panels[1:]:
        ...     print(panel.note)
        Too late for a: 4. x ends with 28.
        x ends with 44.
    """
    tape = _tape_of(output, names)
    right = _right_backward(tape, output, cotangent)
    wrong, ends = _wrong_backward(output, right[0].total)
    late = []
    for visit in wrong:
        missed = ends[id(visit.node)] - visit.total
        if visit.node.primitive and missed.any():
            late.append(f"Too late for {tape.name(visit.node)}: {_shown(missed)}.")
    last = [_end(tape, {id(visit.node): visit.total for visit in right})]
    description = "The same tape read twice: each node as soon as it is reached, and deepest first."
    panels = (
        _graph(tape),
        _sent(tape, wrong, "Wrong: as soon as reached", [*late, _end(tape, ends)]),
        _sent(tape, right, "Right: deepest first", last),
    )
    return Scene(f"Two ways to read the tape of {tape.name(output)}", description, panels)


def example_tape() -> Scene:
    """The tape of s · (s + 1) with s = x · w: a value that is used twice."""
    y, names = _example()
    return tape_scene(y, **names)


def example_backward() -> Scene:
    """The same tape, backwards."""
    y, names = _example()
    return backward_scene(y, **names)


def example_order() -> Scene:
    """A diamond: a is used by b and by y, and b must be visited before it."""
    x = tensor(2.0, requires_grad=True)
    a = x * x
    b = a + x
    y = a * b
    return backward_order_scene(y, x=x, a=a, b=b, y=y)


def example_second_derivative() -> Scene:
    """The tape that the gradient of x · x · x left, and the gradient of that gradient."""
    x = tensor(5.0, requires_grad=True)
    y = x * x * x
    before = {id(node) for node in _tape_of(y, {}).nodes}
    (slope,) = grad(y, x, create_graph=True)
    names = {"x": x, "slope": slope}
    tape = _tape_of(slope, names)
    old = [tape.name(node) for node in tape.nodes if id(node) in before]
    note = f"The forward recorded {' and '.join(old)}; the gradient recorded the rest."
    visits = _right_backward(tape, slope, None)
    listing = _listing(tape)._replace(note=note)
    arrivals = _arrivals(tape, visits)
    title = f"The slope of x * x * x at {_shown(x.data)}, and the slope of that"
    description = "The tape that taking the gradient left, and what flows back through it."
    return Scene(title, description, (_graph(tape), listing, arrivals))


def _example() -> tuple[Tensor, dict[str, Tensor]]:
    x, w = tensor(2.0, requires_grad=True), tensor(3.0, requires_grad=True)
    s = x * w
    y = s * (s + 1)
    return y, {"x": x, "w": w, "s": s, "y": y}


# The tape, forwards


def _tape_of(output: Tensor, names: dict[str, Tensor]) -> _Tape:
    nodes = sorted(_past(output), key=lambda node: node.depth)
    given = {id(one): name for name, one in names.items()}
    known = {id(one) for node in nodes for one in (node, *(node.inputs or ()))}
    for name, one in names.items():
        if id(one) not in known:
            raise ArgumentError(
                "names are for tensors that the output was computed from",
                f"{name}, which it was not",
                "leave it out",
            )
    letters = (word for word in chain("xyzuvw", _numbered("x")) if word not in names)
    others = (word for word in _numbered("%") if word not in names)
    called = {
        id(node): given.get(id(node)) or next(others if node.primitive else letters)
        for node in nodes
    }
    return _Tape(nodes, given | called)


def _past(output: Tensor) -> list[Node]:
    """The tracked nodes that the output was computed from, each after its inputs."""
    if not output.requires_grad:
        raise TapeError(
            "a tape is drawn from a tensor that has one",
            "a tensor that does not require a gradient",
            "pass requires_grad=True to a leaf, and use no no_grad()",
        )
    found: dict[int, Node] = {}
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(output, False)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            found[id(node)] = node
        elif id(node) not in seen:
            seen.add(id(node))
            if node.inputs is None:
                raise TapeError(
                    "a tape can be drawn until a backward frees it",
                    f"one without the inputs of {node.primitive}",
                    "draw it first, or pass retain_graph=True to the backward",
                )
            stack.append((node, True))
            stack.extend((one, False) for one in reversed(node.inputs) if _tracked(one))
    return list(found.values())


def _listing(tape: _Tape) -> Lines:
    lines = []
    for node in tape.nodes:
        name, value = tape.name(node), _shown(node.data)
        if node.primitive is None:
            lines.append((name, f"{value}, leaf"))
        else:
            call = _call(tape, node.primitive, node)
            lines.append((f"{name} = {call}", f"{value}, depth {node.depth}"))
    return Lines("Listing", tuple(lines))


def _call(tape: _Tape, made_by: Primitive, node: Node) -> str:
    """The call that made a node, without the options that were left at their defaults."""
    words = [_word(tape, one) for one in node.inputs or ()]
    defaults = made_by.forward.__kwdefaults__ or {}
    for option in _keyword_only(made_by.forward):
        value = node.options[option]
        if repr(value) != repr(defaults.get(option)):
            words.append(f"{option}={_constant(value)}")
    return f"{made_by.__name__}({', '.join(words)})"


def _keyword_only(function: Callable[..., Any]) -> Sequence[str]:
    code = function.__code__
    first = code.co_argcount
    return code.co_varnames[first : first + code.co_kwonlyargcount]


def _graph(tape: _Tape) -> Graph:
    places, constants = _laid_out(tape)
    boxes = []
    for node in tape.nodes:
        reads = []
        for i, one in enumerate(node.inputs or ()):
            reads.append(tape.name(one) if _tracked(one) else f"{tape.name(node)} {i}")
            if not _tracked(one):
                place = constants[id(node), i]
                where = (place.row, place.column)
                boxes.append(Box(reads[-1], _word(tape, one), "constant", place=where))
        name, made_by = tape.name(node), node.primitive.__name__ if node.primitive else "leaf"
        shown = _shown(node.data)
        title = f"{name} {shown}" if shown.startswith("(") else f"{name} = {shown}"
        where = (places[id(node)].row, places[id(node)].column)
        boxes.append(Box(name, title, made_by, reads=tuple(reads), place=where))
    return Graph("Graph", tuple(boxes))


def _laid_out(tape: _Tape) -> tuple[dict[int, _Place], dict[tuple[int, int], _Place]]:
    """A place for every node and for every use of a constant.

    The row is the depth. A value keeps its column to itself until its last use, so that an arrow
    down from it passes no other box.
    """
    last = {id(one): node.depth for node in tape.nodes for one in node.inputs or ()}
    places: dict[int, _Place] = {}
    constants: dict[tuple[int, int], _Place] = {}
    for row in range(tape.nodes[-1].depth + 1):
        for node in tape.nodes:
            if node.depth == row:
                near = [
                    places.get(id(one)) or constants[id(node), i]
                    for i, one in enumerate(node.inputs or ())
                ]
                taken = [*places.values(), *constants.values()]
                until = last.get(id(node), row + 1)
                places[id(node)] = _Place(row, _free_column(taken, near, row), until)
        for node in tape.nodes:
            for i, one in enumerate(node.inputs or ()):
                if node.depth == row + 1 and not _tracked(one):
                    taken = [*places.values(), *constants.values()]
                    column = _free_column(taken, [], row)
                    constants[id(node), i] = _Place(row, column, row + 1)
    return places, constants


def _free_column(taken: Sequence[_Place], near: Sequence[_Place], row: int) -> int:
    """A column that is free in this row: that of an input if possible, else the leftmost."""
    busy = {place.column for place in taken if place.row == row or place.until > row}
    return next(i for i in chain((place.column for place in near), count()) if i not in busy)


# The tape, backwards


def _right_backward(tape: _Tape, output: Tensor, cotangent: Any) -> list[_Visit]:
    """What backward found, in its order."""
    seed = cotangent_for(output, cotangent).data
    found = gradients([output], [seed], tape.nodes)
    return [_Visit(node, total, _parts(node, total)) for node, total in found.items()]


def _parts(node: Node, total: Array) -> list[tuple[Node, Array]]:
    """What the rules of one step send to its inputs."""
    return list(pulled_back(node, total, set(filter(_tracked, node.inputs or ())), False))


def _wrong_backward(output: Node, cotangent: Array) -> tuple[list[_Visit], dict[int, Array]]:
    """WRONG, to show why: depth first, each node once, as soon as something arrives.

    What arrives at a node after its visit is added to its total, but goes no further.
    """
    totals = {id(output): cotangent}
    visits: list[_Visit] = []
    stack = [output]
    while stack:
        node = stack.pop()
        if all(node is not earlier.node for earlier in visits):
            parts = _parts(node, totals[id(node)])
            visits.append(_Visit(node, totals[id(node)], parts))
            for one, part in parts:
                totals[id(one)] = totals.get(id(one), 0) + part
            stack.extend(one for one, _ in reversed(parts))
    return visits, totals


def _upwards(tape: _Tape, visits: Sequence[_Visit]) -> Graph:
    """The boxes of the tape with what arrives at them, and the arrows turned round."""
    places, _ = _laid_out(tape)
    boxes = []
    for visit in visits:
        name = tape.name(visit.node)
        reads = tuple(
            tape.name(other.node) for other in visits for one, _ in other.parts if one is visit.node
        )
        where = (places[id(visit.node)].row, places[id(visit.node)].column)
        boxes.append(Box(name, name, _shown(visit.total), reads=reads, place=where))
    return Graph("Gradients, flowing up", tuple(boxes))


def _arrivals(tape: _Tape, visits: Sequence[_Visit]) -> Table:
    rows = []
    for visit in visits:
        sources = []
        for other in visits:
            parts = [_shown(part) for one, part in other.parts if one is visit.node]
            if parts:
                sources.append(f"{' + '.join(parts)} from {tape.name(other.node)}")
        total = _shown(visit.total)
        rows.append((tape.name(visit.node), ", ".join(sources) or total, total))
    return Table("Visits, in order", ("node", "what arrives", "total"), tuple(rows), "<<>")


def _sent(tape: _Tape, visits: Sequence[_Visit], title: str, notes: Sequence[str]) -> Table:
    rows = []
    for visit in visits:
        sent: dict[str, list[str]] = {}
        for one, part in visit.parts:
            sent.setdefault(tape.name(one), []).append(_shown(part))
        words = ", ".join(f"{' + '.join(parts)} to {name}" for name, parts in sent.items())
        rows.append((tape.name(visit.node), _shown(visit.total), words))
    return Table(title, ("node", "has", "sends"), tuple(rows), "<><", " ".join(notes))


def _end(tape: _Tape, totals: dict[int, Array]) -> str:
    ends = [
        f"{tape.name(node)} ends with {_shown(totals[id(node)])}."
        for node in tape.nodes
        if node.primitive is None
    ]
    return " ".join(ends)


# Words


def _tracked(one: Any) -> bool:
    return isinstance(one, Node) and one.requires_grad


def _numbered(letter: str) -> Iterator[str]:
    return (f"{letter}{i}" for i in count(1))


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _word(tape: _Tape, one: Any) -> str:
    """What an argument is called: its name if it has one, or else what it is."""
    return tape.names.get(id(one)) or _constant(one)


def _constant(one: Any) -> str:
    value = one.data if isinstance(one, Node) else one
    return _shown(np.asarray(value)) if isinstance(value, np.ndarray | float) else repr(value)


def _shown(value: Array) -> str:
    """A few numbers as they are, to six digits; of many their shape."""
    return _nested(value.tolist()) if value.size <= _MOST_NUMBERS else str(value.shape)


def _nested(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_nested, value))}]"
    return f"{value:.6g}" if isinstance(value, float | complex) else str(value)
