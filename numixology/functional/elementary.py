"""Elementary functions, and the ways to join and cut: what NumPy calls them, with gradients.

What all functions here share, unless they say otherwise:

Args:
    x: an array, a tensor or a number, of any shape.
    axis: counted from 0, or from the end if negative.

Returns:
    The shape and dtype of ``x``, float64 for integers; a tensor if ``x`` is one.

Raises:
    DTypeError: a boolean tensor, or an axis that is not an integer.
    ShapeError: no such axis.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import numerics
from ..array import A, Array, shape_of
from ..autograd import Node
from ..checks import as_integers, checked_axis
from ..errors import ArgumentError, DTypeError, ShapeError, shown
from ..primitives import as_constant, implements, primitive
from ..shapes import expand_dims, getitem

__all__ = [
    "concatenate", "einsum", "exp", "expm1", "log1p", "split", "sqrt", "square", "stack",
]  # fmt: skip


@primitive(np.exp)
def exp(x: Array) -> Array:
    """eˣ.

    Example:
        >>> import numixology as nx
        >>> nx.functional.exp(nx.tensor([0.0, 1.0]))
        Tensor([1.        , 2.71828183], from=exp)
    """
    return np.exp(x)


@exp.vjp("x")
def exp_dx(ct: A, y: A, x: A) -> A:
    return ct * y


@primitive(np.expm1)
def expm1(x: Array) -> Array:
    """eˣ - 1, accurate near 0.

    Example:
        >>> import numixology as nx
        >>> nx.functional.expm1(nx.tensor(1e-20))
        Tensor(1.e-20, from=expm1)
    """
    return np.expm1(x)


@expm1.vjp("x")
def expm1_dx(ct: A, y: A, x: A) -> A:
    return ct * exp(x)


@primitive(np.log1p)
def log1p(x: Array) -> Array:
    """ln(1 + x), accurate near 0: -inf at -1 and NaN below.

    Example:
        >>> import numixology as nx
        >>> nx.functional.log1p(nx.tensor(1e-20))
        Tensor(1.e-20, from=log1p)
    """
    return numerics.log1p(x)


@log1p.vjp("x")
def log1p_dx(ct: A, y: A, x: A) -> A:
    return ct / (1 + x)


@primitive(np.sqrt)
def sqrt(x: Array) -> Array:
    """√x; NaN below 0, and an infinite slope at 0.

    Example:
        >>> import numixology as nx
        >>> nx.functional.sqrt(nx.tensor([4.0, 9.0]))
        Tensor([2., 3.], from=sqrt)
    """
    return np.sqrt(x)


@sqrt.vjp("x")
def sqrt_dx(ct: A, y: A, x: A) -> A:
    return ct / (2 * y)


@primitive(np.square)
def square(x: Array) -> Array:
    """x².

    Example:
        >>> import numixology as nx
        >>> nx.functional.square(nx.tensor([2.0, 3.0]))
        Tensor([4., 9.], from=square)
    """
    return np.square(x)


@square.vjp("x")
def square_dx(ct: A, y: A, x: A) -> A:
    return ct * 2 * x


@primitive
def _concatenate(*parts: Array, axis: int) -> Array:
    return np.concatenate(parts, axis)


@_concatenate.vjp("*parts")
def _concatenate_dpart(position: int, ct: A, y: A, *parts: A, axis: int) -> A:
    start = sum(part.shape[axis] for part in parts[:position])
    rows = slice(start, start + parts[position].shape[axis])
    return getitem(ct, index=(slice(None),) * axis + (rows,))


@implements(np.concatenate)
def concatenate(parts: Sequence[A], axis: int = 0) -> A:
    """The parts one after another along an axis that they have.

    Args:
        parts: a list of tensors or arrays, equal in shape but for ``axis``.
        axis: where to join them.

    Returns:
        The shape of the parts, their lengths added along ``axis``; of NumPy's common dtype.

    Example:
        >>> import numixology as nx
        >>> nx.functional.concatenate([nx.tensor([1.0]), nx.tensor([2.0, 3.0])])
        Tensor([1., 2., 3.], from=concatenate)
    """
    listed = _several(parts, "concatenate")
    return _concatenate(*listed, axis=checked_axis(axis, listed[0].ndim))


@implements(np.stack)
def stack(parts: Sequence[A], axis: int = 0) -> A:
    """The parts one after another along a new axis.

    Args:
        parts: a list of tensors or arrays of one shape.
        axis: the new axis, counted in the result.

    Returns:
        The shape of the parts with one axis more, as long as there are parts; of NumPy's common
        dtype.

    Example:
        >>> import numixology as nx
        >>> nx.functional.stack([nx.tensor([1.0, 2.0]), nx.tensor([3.0, 4.0])])
        Tensor([[1., 2.],
                [3., 4.]], from=concatenate)
    """
    listed = _several(parts, "stack")
    shapes = {part.shape for part in listed}
    if len(shapes) > 1:
        raise ShapeError("stack joins parts of one shape", str(sorted(shapes)), "use concatenate")
    return concatenate([expand_dims(part, axis) for part in listed], axis)


@implements(np.split)
def split(x: A, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[A]:
    """x cut along an axis.

    Args:
        x: an array or a tensor with at least one axis.
        indices_or_sections: a number of equal parts, or the places to cut at: integers.
        axis: the axis to cut.

    Returns:
        A list of views, of the dtype of ``x``.

    Raises:
        ShapeError: the axis cannot be cut into that many equal parts, or is not there.
        DTypeError: a number of parts or a place that is not an integer.

    Example:
        >>> import numixology as nx
        >>> [part.tolist() for part in nx.functional.split(nx.tensor([1, 2, 3, 4]), 2)]
        [[1, 2], [3, 4]]
    """
    shape = shape_of(x, "split")
    axis = checked_axis(axis, len(shape))
    length = shape[axis]
    cuts = as_integers((indices_or_sections,), "a place to cut at")
    if np.ndim(indices_or_sections) == 0:
        (sections,) = cuts
        if sections < 1 or length % sections:
            what = f"{length} in {sections}"
            raise ShapeError("split cuts into equal parts", what, "give the places to cut at")
        cuts = tuple(length // sections * i for i in range(1, sections))
    before, bounds = (slice(None),) * axis, zip((0, *cuts), (*cuts, length), strict=True)
    return [x[(*before, slice(start, stop))] for start, stop in bounds]


@primitive
def _einsum(*operands: Array, inputs: tuple[str, ...], output: str) -> Array:
    y: Array = np.einsum(f"{','.join(inputs)}->{output}", *operands)
    return y


@_einsum.vjp("*operands")
def _einsum_doperand(
    position: int, ct: A, y: A, *operands: A, inputs: tuple[str, ...], output: str
) -> A:
    """Exchange the operand with the output; letters that it alone has were summed: repeat."""
    mine, shape = inputs[position], operands[position].shape
    others = inputs[:position] + inputs[position + 1 :]
    known = set(output).union(*others)
    found = "".join(letter for letter in mine if letter in known)
    rest = operands[:position] + operands[position + 1 :]
    part = _einsum(ct, *rest, inputs=(output, *others), output=found)
    part = part.reshape(tuple(n if s in known else 1 for s, n in zip(mine, shape, strict=True)))
    return part + np.zeros(shape, ct.dtype) if part.shape != shape else part


@implements(np.einsum)
def einsum(subscripts: str, *operands: A) -> A:
    """Einstein's summation: Σ over the letters that the output does not have.

    Args:
        subscripts: like ``"bij,bjk->bik"``. Without an arrow the output has the letters that
            occur once, in alphabetical order. No letter twice in one operand, and no ellipsis.
        *operands: one tensor or array per group of letters.

    Returns:
        One axis per letter of the output, in its order; of NumPy's common dtype.

    Raises:
        ArgumentError: subscripts that this function does not know.
        ShapeError: another number of operands or axes, or a letter that stands for two lengths.

    Example:
        >>> import numixology as nx
        >>> matrix = nx.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> nx.functional.einsum("ij,j->i", matrix, nx.tensor([1.0, 1.0]))
        Tensor([3., 7.], from=einsum)
    """
    if not isinstance(subscripts, str):
        raise DTypeError(
            "einsum takes subscripts as text", shown(subscripts), 'write einsum("ij,j->i", a, b)'
        )
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs: tuple[str, ...] = tuple(left.split(","))
    letters = "".join(inputs)
    if not arrow:
        output = "".join(sorted(s for s in set(letters) if letters.count(s) == 1))
    once = all(len(set(group)) == len(group) for group in (*inputs, output))
    if not (once and set(output) <= set(letters) and all(map(str.isalpha, letters))):
        invariant = "einsum takes letters, each once in a group, and an output made of them"
        instead = "write every axis as a letter; take diagonals by indexing"
        raise ArgumentError(invariant, repr(subscripts), instead)
    arrays: list[A] = _arrays(operands, "einsum")
    if [len(group) for group in inputs] != [x.ndim for x in arrays]:
        what = f"{subscripts!r} with shapes {', '.join(str(x.shape) for x in arrays)}"
        invariant = "einsum takes one operand per group, with one axis per letter"
        raise ShapeError(invariant, what, "count the letters")
    lengths: dict[str, int] = {}
    for group, x in zip(inputs, arrays, strict=True):
        for letter, n in zip(group, x.shape, strict=True):
            if lengths.setdefault(letter, n) != n:
                what = f"{subscripts!r} in which {letter} is both {lengths[letter]} and {n}"
                raise ShapeError("a letter of einsum stands for one length", what, "check them")
    return _einsum(*arrays, inputs=inputs, output=output)


def _several(parts: Sequence[A], name: str) -> list[A]:
    if not isinstance(parts, (list, tuple)) or not parts:
        raise ShapeError(f"{name} takes a list of parts", shown(parts), "list them")
    return _arrays(parts, name)


def _arrays(given: Sequence[Any], taker: str) -> list[Any]:
    """Tensors, and what else was given as arrays."""
    return [x if isinstance(x, Node) else np.asanyarray(as_constant(x, taker)) for x in given]
