"""The function under check as a map f from one vector x to another, and its gradient v J.

Inputs and outputs may be arrays, numbers, or tuples, lists and dicts of them. All numbers that are
differentiated form one vector x, and the outputs form one vector y. With a cotangent v the
check is about the single number ⟨v, f(x)⟩ and its gradient g = v J, of the size of x.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from ...autograd import Node
from ...errors import DTypeError
from ...primitives import as_array
from ...tensors import Tensor, leaf
from ...transforms import jvp, pull
from ..arrays.steps import Step, plain, stepped
from .asking import refuse_calls, refuse_dtypes
from .trees import argument_names, is_tree, leaves, rebuilt

__all__ = ["Outputs", "Problem", "Unfit", "second_order"]


class Unfit(Exception):
    """Gradients that do not belong to the inputs, and why."""


class Outputs(NamedTuple):
    """What f returned, and whether it still carries the complex step (see :mod:`.steps`)."""

    values: Array
    carried: bool


class Problem:
    """f at the inputs x, and the gradient that is to be checked."""

    def __init__(
        self,
        fn: Callable[..., Any],
        vjp: Callable[..., Any] | None,
        inputs: Sequence[Any],
        rng: "np.random.Generator",
        names: Sequence[str] = (),
    ) -> None:
        self.fn, self.vjp, self.inputs, self.on_tape = fn, vjp, list(inputs), vjp is None
        self.rng, self.second = rng, False
        #: Numbers that are not moved by a rounding, since f has a kink there.
        self.still: list[int] = []
        self.argument_names = names = list(names or argument_names(fn, len(inputs)))
        named = [
            pair for name, one in zip(names, inputs, strict=True) for pair in leaves(one, name)
        ]
        self.names = [name for name, _ in named]
        self.values = [_copied(one) for _, one in named]
        self.floating = [i for i, one in enumerate(self.values) if one.dtype.kind == "f"]
        refuse_dtypes([self.values[i].dtype for i in self.floating], self.values)
        refuse_calls(fn, vjp, self.inputs)
        #: Whether f may accept inputs with a leading axis (see :mod:`.batches`).
        self.batches = False
        self.precision = "float64"
        if any(self.values[i].dtype == np.float32 for i in self.floating):
            self.precision = "float32"
        self._differentiate(self.floating)
        self.template = self.fn(*self._trees(self._wrapped(self.arguments(), tracked=True)))
        #: Whether all that the tape holds carries complex steps, as the package's tests show.
        self.kept = self.on_tape and _of_the_house(self.template)
        #: Whether complex steps go through NumPy as Steps, which need no such tests.
        self.carry = not self.kept
        #: The outputs that are differentiated: their places, and their arrays.
        every = list(leaves(self.template, "fn"))
        beside = len(every) > 1  # what is no number may stand beside what is
        left_out = np.zeros(0, bool)
        found = [
            left_out if beside and (one is None or isinstance(one, str)) else self._output(one)
            for _, one in every
        ]
        kinds = [one.dtype.kind for one in found]
        if "c" in kinds:
            raise DTypeError("fn must be real", "complex128", "check its parts one by one")
        self.out_places = [k for k, kind in enumerate(kinds) if kind == "f" or "f" not in kinds]
        self.outputs = [
            np.array(one, one.dtype if one.dtype.kind == "f" else np.float64)
            for one in self.called(self.arguments())
        ]
        if all(one.dtype == np.float32 for one in self.outputs):
            self.precision = "float32"
        #: f at the inputs.
        self.y = vector(self.outputs)

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to call the function: no vjp, and no tape."""
        return self.__dict__ | {"vjp": None, "rng": None, "template": None}

    def leave_out_what_has_no_gradient(self, v: Array) -> None:
        """Differentiate no input for which the vjp returns None."""
        if self.vjp is not None:
            found = self.of_vjp(self.arguments(), self.cotangents(v))
            self._differentiate([i for i in self.places if found[i] is not None])

    # The inputs as one vector -----------------------------------------------------------

    def _differentiate(self, places: Sequence[int]) -> None:
        """Make x of these inputs."""
        self.places = places
        #: The arrays that are differentiated, and all of their numbers.
        self.points = [self.values[i] for i in places]
        self.x = vector(self.points)
        #: The stretch of x that belongs to each of them.
        ends = np.cumsum([0, *(one.size for one in self.points)]).tolist()
        self.stretches = [slice(*pair) for pair in itertools.pairwise(ends)]
        #: The scale of each number: the largest of its input; for an input of zeros 1 or less.
        largest = [float(np.abs(one).max(initial=0)) for one in self.points]
        usual = min(1.0, max(largest, default=0.0)) or 1.0
        pairs = zip(self.points, largest, strict=True)
        self.sizes = vector([np.full(one.size, most or usual) for one, most in pairs])

    def unit(self, j: int) -> Array:
        """The direction of the j-th number of x."""
        u = np.zeros(self.x.size)
        u[j] = 1
        return u

    def where(self, j: int) -> tuple[int, tuple[int, ...]]:
        """The input, and the index in it, of the j-th number of x."""
        which = next(k for k, one in enumerate(self.stretches) if j < one.stop)
        shape, start = self.points[which].shape, self.stretches[which].start
        return self.places[which], tuple(int(k) for k in np.unravel_index(j - start, shape))

    def named(self, j: int) -> str:
        """What to call the j-th number of x."""
        which, index = self.where(j)
        return f"{self.names[which]}{list(index)}" if index else self.names[which]

    def arguments(self, x: Array | None = None) -> list[Array]:
        """Copies of all inputs, those that are differentiated at x, which may be complex.

        If x has a leading axis so have they, and after it as many axes as the largest of them.
        """
        found = [one.copy() for one in self.values]
        if x is None:
            return found
        lead, most = x.shape[:-1], max((one.ndim for one in self.points), default=0)
        for i, part in zip(self.places, self.stretches, strict=True):
            dtype = self.values[i].dtype
            if np.iscomplexobj(x):
                dtype = np.dtype(np.complex64 if dtype == np.float32 else np.complex128)
            shape = self.values[i].shape
            ones = (1,) * (most - len(shape)) if lead else ()
            found[i] = x[..., part].astype(dtype).reshape((*lead, *ones, *shape))
        return found

    def _wrapped(self, arguments: Sequence[Array], tracked: bool = False) -> list[Any]:
        """The arguments as f wants them: tensors around these very arrays, or the arrays."""
        if not self.on_tape:
            return list(arguments)
        return [
            leaf(a, requires_grad=tracked and i in self.places) for i, a in enumerate(arguments)
        ]

    def _trees(self, arguments: Sequence[Any]) -> list[Any]:
        """The arguments in the tuples, lists and dicts in which the inputs came."""
        rest = iter(arguments)
        return [rebuilt(one, rest) for one in self.inputs]

    # f ----------------------------------------------------------------------------------

    def run(self, x: Array) -> Outputs:
        """f(x) as one vector; a complex x carries a step through NumPy where that is possible."""
        arguments: list[Any] = self.arguments(x)
        if np.iscomplexobj(x) and self.carry:
            arguments = [stepped(one) if one.dtype.kind == "c" else one for one in arguments]
        found = self.called(arguments)
        carried = self.kept or all(isinstance(one, Step) for one in found)
        return Outputs(vector([plain(one) for one in found], x.shape[:-1]), carried)

    def called(self, arguments: Sequence[Any]) -> list[Array]:
        """The outputs of f that are differentiated, at these arguments."""
        return [self._output(one) for one in self.returned(self._wrapped(arguments))]

    def returned(self, arguments: Sequence[Any]) -> list[Any]:
        """What f returns for them, of the outputs that are differentiated."""
        return self._chosen(self.fn(*self._trees(arguments)))

    def _chosen(self, output: Any) -> list[Any]:
        found = [one for _, one in leaves(output, "fn")]
        return [found[k] for k in self.out_places]

    def _output(self, found: Any) -> Array:
        """An output as an array of numbers that can be compared."""
        if self.on_tape and not isinstance(found, Tensor):
            raise DTypeError(
                "the function must return tensors",
                type(found).__name__,
                "keep the calculation in tensors, or give vjp= for a function of arrays",
            )
        return _numbers(found.data if isinstance(found, Tensor) else found, "fn", "return arrays")

    # Its gradient -------------------------------------------------------------------------

    def cotangents(self, v: Array) -> list[Array]:
        """v as one array per output."""
        ends = np.cumsum([one.size for one in self.outputs])[:-1]
        parts = zip(np.split(v, ends), self.outputs, strict=True)
        return [part.reshape(one.shape).astype(one.dtype) for part, one in parts]

    def gradient(self, v: Array, x: Array | None = None) -> Array:
        """The gradient of ⟨v, f⟩ that is to be checked, as one vector."""
        return vector(self.gradients(self.arguments(x), self.cotangents(v)))

    def gradients(self, arguments: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
        """The same as one array per input; the arrays given are handed over as they are."""
        if self.vjp is None:
            return self.both(arguments, cotangents)[1]
        found = self.of_vjp(arguments, cotangents)
        return [_zeros_for(self.values[i]) if (g := found[i]) is None else g for i in self.places]

    def both(
        self, arguments: Sequence[Array], cotangents: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]:
        """The outputs and the gradients; the tape gives both at once."""
        if self.vjp is not None:
            return self.called(arguments), self.gradients(arguments, cotangents)
        wrapped = self._wrapped(arguments, tracked=True)
        chosen = self.returned(wrapped)
        tracked = [wrapped[i] for i in self.places]
        seeds = [leaf(one) for one in cotangents]
        pulled = pulled_back(chosen, seeds, tracked)
        return [self._output(one) for one in chosen], [one.data for one in pulled]

    def of_vjp(self, arguments: Sequence[Array], cotangents: Sequence[Array]) -> list[Array | None]:
        """What the vjp returns: one array per input, None for an input without gradient."""
        every: list[Any] = [None for _ in leaves(self.template)]
        for k, ct in zip(self.out_places, cotangents, strict=True):
            every[k] = ct
        ct = rebuilt(self.template, iter(every))
        found = self.vjp(ct, *self._trees(arguments)) if self.vjp else None
        return self._aligned([_gradient(one) for one in self._parts(found)])

    def _parts(self, found: Any) -> list[Any]:
        """The gradients that a vjp returned: of a single input it may be the array alone."""
        single = len(self.inputs) == 1 and not is_tree(self.inputs[0])
        if single and not (isinstance(found, list | tuple | dict) and len(found) == 1):
            return [found]
        parts = list(found) if isinstance(found, list | tuple) else [found]
        if isinstance(found, dict) and set(found) == set(self.argument_names):
            parts = [found[name] for name in self.argument_names]
        return [one for part in parts for _, one in leaves(part)]

    def pushed(self, tangents: Sequence[Array], given: Callable[..., Any] | None) -> Array:
        """J u, by the jvp that was given or by that of the tape."""
        if given is not None:
            u = tangents[0] if len(tangents) == 1 else tuple(tangents)
            pushed = self._chosen(given(u, *self._trees(self.arguments())))
            return vector([self._output(one) for one in pushed])

        def of_floats(*floats: Any) -> Any:
            everything: list[Any] = [leaf(one.copy()) for one in self.values]
            for place, one in zip(self.places, floats, strict=True):
                everything[place] = one
            return tuple(self.returned(everything))

        _, pushed = jvp(of_floats, self.points, list(tangents))
        return vector([one.data for one in pushed])

    def _aligned(self, gradients: list[Array | None]) -> list[Array | None]:
        """One per input; those that are not floating-point may have been left out."""
        if len(gradients) == len(self.floating):
            given = dict(zip(self.floating, gradients, strict=True))
            gradients = [given.get(i) for i in range(len(self.values))]
        wanted = [self.values[i].shape for i in self.floating]
        if len(gradients) == len(self.values):
            floating = [gradients[i] for i in self.floating]
            if all(
                g is None or g.shape == shape for g, shape in zip(floating, wanted, strict=True)
            ):
                return gradients
        shapes = [None if one is None else one.shape for one in gradients]
        raise Unfit(
            f"the gradients have shapes {shapes}, and the inputs {wanted}: "
            "there must be one per floating-point input, of its shape"
        )


def vector(arrays: Sequence[Any], lead: tuple[int, ...] = ()) -> Array:
    """The numbers of all arrays in a row, in double precision; in a row for each copy of x."""
    flat = [np.asarray(one).reshape(*lead, -1) for one in arrays]
    kind = np.complex128 if any(one.dtype.kind == "c" for one in flat) else np.float64
    return np.concatenate([np.zeros((*lead, 0), kind), *flat], axis=-1).astype(kind)


def pulled_back(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    inputs: Sequence[Tensor],
    create_graph: bool = False,
) -> list[Tensor]:
    """The gradient by every input, zeros where no output depends on it."""
    pairs = [p for p in zip(outputs, cotangents, strict=True) if p[0].requires_grad]
    found = pull([p[0] for p in pairs], [p[1] for p in pairs], inputs, create_graph)
    return [
        leaf(np.zeros_like(one.data)) if g is None else g
        for one, g in zip(inputs, found, strict=True)
    ]


def second_order(problem: Problem, v: Array) -> Problem:
    """The map from the inputs to the gradient of ⟨v, f⟩, and the tape's gradient of that."""
    gradient = partial(_gradient_by_tape, problem, v)  # which other processes can be sent
    second = Problem(gradient, None, problem.values, problem.rng, problem.names)
    second.second, second.kept = True, second.kept and problem.kept
    second.carry = not second.kept
    return second


def _gradient_by_tape(problem: Problem, v: Array, *arguments: Tensor) -> tuple[Tensor, ...]:
    tracked = list(arguments)
    for i in problem.places:
        if not tracked[i].requires_grad:
            tracked[i] = leaf(tracked[i].data, requires_grad=True)
    outputs = problem.returned(tracked)
    seeds = [
        leaf(ct.astype(one.dtype)) for ct, one in zip(problem.cotangents(v), outputs, strict=True)
    ]
    inputs = [tracked[i] for i in problem.places]
    nested = any(one.requires_grad for one in arguments)
    return tuple(pulled_back(outputs, seeds, inputs, create_graph=nested))


def _of_the_house(output: Any) -> bool:
    """Whether all primitives on the tape of an output are numixology's own."""
    found: list[Node] = [one for _, one in leaves(output) if isinstance(one, Tensor)]
    seen = {id(one) for one in found}
    for node in found:  # which grows
        if node.primitive and not node.primitive.forward.__module__.startswith("numixology."):
            return False
        new = [one for one in node.inputs or () if isinstance(one, Node) and id(one) not in seen]
        seen.update(id(one) for one in new)
        found += new
    return True


def _copied(value: Any) -> Array:
    return np.array(value.data if isinstance(value, Tensor) else as_array(value, "gradcheck"))


def _zeros_for(one: Array) -> Array:
    return np.zeros(one.shape, one.dtype)


def _gradient(found: Any) -> Array | None:
    """A gradient as an array of its own, None where there is none, also as JAX says that."""
    if found is None or getattr(found, "dtype", None) == np.dtype([("float0", "V")]):
        return None
    array = _numbers(found, "vjp", "return one array per floating-point input")
    if array.dtype.kind == "c":  # what a complex step has left behind
        instead = "a vjp that uses what fn stored must call fn itself first"
        raise DTypeError("vjp must return arrays of real numbers", str(array.dtype), instead)
    return (
        array if array.dtype.kind == "f" else array.astype(np.float64)
    ).copy()  # of its own: a buffer may be used again


def _numbers(found: Any, giver: str, instead: str) -> Array:
    array = found if isinstance(found, np.ndarray) else as_array(found, giver)
    masked = isinstance(array, np.ma.MaskedArray)
    if masked or array.dtype.kind not in "fciub":
        is_object = masked or array.dtype.kind == "O"
        kind = type(found).__name__ if is_object else str(array.dtype)
        raise DTypeError(f"{giver} must return arrays of real numbers", kind, instead)
    return array
