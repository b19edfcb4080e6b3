"""Derivatives of functions: ``grad``, ``vjp``, ``jvp`` and ``jacobian``.

None of them touches any ``.grad``. All of them read the tape that calling the function left. To
``vjp``, ``jvp`` and ``jacobian`` the inputs are all that varies: tensors that the function closes
over, such as the parameters of a module, are constants, and no gradient flows to them later.
"""

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias

import numpy as np

from .arithmetic import where
from .array import Array, Scalar, Setting, Shape
from .autograd import is_recording
from .errors import DTypeError, ShapeError, TapeError
from .functional.elementary import stack
from .observe import paused
from .primitives import copy_of, gradients, recorded
from .tensors import Tensor, cotangent_for, leaf, tensor

__all__ = ["Pullback", "grad", "jacobian", "jvp", "pull", "vjp"]

#: Whether a transform is calling the function that it differentiates.
_differentiating: ContextVar[bool] = ContextVar("differentiating", default=False)

_ARRAYS = (Tensor, np.ndarray, np.generic)

#: What an input may be.
Input: TypeAlias = Tensor | Array | Scalar | Sequence[Any]
#: A tensor, or several.
Tensors: TypeAlias = Tensor | Sequence[Tensor]
#: From the cotangent of the output to the cotangents of the inputs.
Pullback: TypeAlias = Callable[..., tuple[Tensor, ...]]


def grad(
    outputs: Tensors, inputs: Tensors, grad_outputs: Any = None, create_graph: bool = False
) -> tuple[Tensor, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``: one per input, nothing stored.

    With several outputs, the gradient of Σ ⟨grad_output, output⟩. The tape stays, so it can be
    read again.

    Args:
        outputs: a tensor, or several, computed from the inputs.
        inputs: a tensor, or several; they need not be leaves.
        grad_outputs: the cotangent of each output, of its shape and dtype; None stands for 1
            where the output is a single number.
        create_graph: record this calculation too, so that the gradients can be differentiated.

    Returns:
        A tuple with one tensor per input, of its shape and dtype.

    Raises:
        TapeError: an output does not depend on an input, or the tape was freed.
        ShapeError: a cotangent is missing or has another shape.
        DTypeError: a cotangent has another dtype, or what should be a tensor is none.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor(2.0, requires_grad=True)
        >>> (slope,) = nx.grad(x**3, x, create_graph=True)
        >>> (curvature,) = nx.grad(slope, x)
        >>> slope.item(), curvature.item()
        (12.0, 12.0)
    """
    outs, ins = _listed(outputs, "outputs"), _listed(inputs, "inputs")
    seeds = [None] * len(outs) if grad_outputs is None else grad_outputs
    alone = isinstance(seeds, Tensor | np.ndarray | np.generic | bool | int | float)
    listed = isinstance(seeds, list | tuple) and len(seeds) == 1 and isinstance(seeds[0], Tensor)
    if alone or (isinstance(outputs, Tensor) and grad_outputs is not None and not listed):
        seeds = [seeds]
    _check_count("grad_outputs has one entry per output, or None for 1", seeds, outs)
    cotangents = [cotangent_for(output, seed) for output, seed in zip(outs, seeds, strict=True)]
    found = pull(outs, cotangents, ins, create_graph)
    for i, (one, gradient) in enumerate(zip(ins, found, strict=True)):
        if gradient is None:
            raise TapeError(
                "every output's gradient is taken with respect to tensors it was computed from",
                f"inputs[{i}], of shape {one.shape}, which no output depends on",
                "leave it out, or pass requires_grad=True before computing the output",
            )
    return tuple(gradient for gradient in found if gradient is not None)


def vjp(fn: Callable[..., Any], *inputs: Input) -> tuple[Any, Pullback]:
    """The value of ``fn`` and its pullback, from a cotangent v to v·J for each input.

    Args:
        fn: a function of tensors that returns a tensor, or a tuple of them.
        *inputs: arrays or tensors of floating-point numbers; they are copied.

    Returns:
        ``(output, pullback)``. ``pullback(cotangent)`` (one per output if there are several)
        returns a tuple with one tensor per input, zeros where the output does not depend on
        it. It may be called again.

    Raises:
        DTypeError: an input is not floating-point, or ``fn`` returns no tensor.
        ShapeError: the cotangent has another shape than the output.

    Example:
        >>> import numixology as nx
        >>> output, pullback = nx.vjp(lambda x: x * x, [1.0, 2.0, 3.0])
        >>> pullback(nx.tensor([1.0, 10.0, 100.0]))
        (Tensor([  2.,  40., 600.]),)
    """
    nested = _nested(inputs)
    tracked, output, outs = _traced(fn, inputs)

    def pullback(*cotangents: Any) -> tuple[Tensor, ...]:
        if len(cotangents) == 1 and isinstance(cotangents[0], list | tuple):
            cotangents = tuple(cotangents[0]) if len(outs) > 1 else cotangents
        _check_count("the pullback takes one cotangent per output", cotangents, outs)
        pairs = zip(outs, cotangents, strict=True)
        return _pull_or_zero(pairs, tracked, nested or _nested(cotangents))

    return output if nested else _detached(output), pullback


def jvp(
    fn: Callable[..., Any], inputs: Input | Sequence[Input], tangents: Input | Sequence[Input]
) -> tuple[Any, Any]:
    """The value of ``fn`` and its directional derivative J·u.

    Reverse mode twice: the pullback v ↦ v·J is linear in v, and the pullback of that linear map
    is u ↦ J·u.

    Args:
        fn: a function of tensors that returns a tensor, or a tuple of them.
        inputs: a tuple with the arguments of ``fn``, or a list of tensors or arrays; anything
            else is taken as the only one, a list of numbers as an array.
        tangents: the direction u: one per input, of its shape.

    Returns:
        ``(output, tangent)``, both of the structure that ``fn`` returns.

    Raises:
        DTypeError: an input is not floating-point, or ``fn`` returns no tensor.
        ShapeError: the tangents do not fit the inputs.

    Example:
        >>> import numixology as nx
        >>> output, tangent = nx.jvp(lambda x: x * x, ([1.0, 2.0, 3.0],), ([1.0, 0.0, 10.0],))
        >>> tangent
        Tensor([ 2.,  0., 60.])
    """
    points, directions = _arguments(inputs), _arguments(tangents)
    _check_count("there is one tangent per input", directions, points)
    nested = _nested((*points, *directions))
    tracked, output, outs = _traced(fn, points)
    units = [
        cotangent_for(one, u if isinstance(u, Tensor) else tensor(u, dtype=one.dtype))
        for one, u in zip(tracked, directions, strict=True)
    ]
    v = [leaf(np.zeros(out.shape, out.dtype), requires_grad=True) for out in outs]
    dependent = [(out, one) for out, one in zip(outs, v, strict=True) if out.requires_grad]
    pulled = pull([out for out, _ in dependent], [one for _, one in dependent], tracked, True)
    linear = [(g, u) for g, u in zip(pulled, units, strict=True) if g is not None]
    tangent = _pull_or_zero(linear, v, nested)
    value = output if nested else _detached(output)
    return value, tangent if isinstance(output, tuple) else tangent[0]


def jacobian(fn: Callable[..., Any], *inputs: Input) -> Any:
    """J = ∂output/∂input, one backward per element of the output.

    Args:
        fn: a function of tensors that returns a tensor.
        *inputs: arrays or tensors of floating-point numbers; they are copied.

    Returns:
        A tensor of shape ``output.shape + input.shape``; a tuple of them if there are several
        inputs.

    Raises:
        DTypeError: an input is not floating-point, or ``fn`` does not return one tensor.

    Example:
        >>> import numixology as nx
        >>> nx.jacobian(lambda x: x * x, [1.0, 2.0, 3.0])
        Tensor([[2., 0., 0.],
                [0., 4., 0.],
                [0., 0., 6.]])
    """
    nested = _nested(inputs)
    tracked, output, _ = _traced(fn, inputs)
    if isinstance(output, tuple):
        invariant = "jacobian takes a function that returns one tensor"
        raise DTypeError(invariant, "a tuple", "use nx.vjp")
    rows = []
    for i in range(output.size):
        unit = np.zeros(output.shape, output.dtype)
        unit.flat[i] = 1
        rows.append(_pull_or_zero([(output, unit)], tracked, nested))
    found = tuple(
        paused(recorded, _stacked, [row[k] for row in rows], (*output.shape, *one.shape), one)
        for k, one in enumerate(tracked)
    )
    return found[0] if len(found) == 1 else found


def _stacked(rows: Sequence[Tensor], shape: Shape, one: Tensor) -> Tensor:
    """The rows of a Jacobian under one shape; recorded where they are."""
    if not rows:
        return leaf(np.zeros(shape, one.dtype))
    made = stack(rows).reshape(shape)
    return made if made.requires_grad else made.detach()


def pull(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    inputs: Sequence[Tensor],
    create_graph: bool = False,
) -> list[Tensor | None]:
    """The cotangent of each input, or None where no output depends on it; nothing is checked."""
    seeds = list(cotangents) if create_graph else [one.data for one in cotangents]
    found = gradients(outputs, seeds, inputs, create_graph=create_graph)
    pulled: list[Tensor | None] = []
    for i, one in enumerate(inputs):
        gradient = found.get(one)
        if gradient is not None:
            if any(one is other for other in inputs[:i]):
                # not the memory that the first one got
                gradient = paused(recorded, copy_of, gradient)
            gradient = gradient if isinstance(gradient, Tensor) else leaf(gradient)
            if create_graph and not gradient.requires_grad:
                # That of a linear function is constant, and its own derivative is 0.
                gradient = paused(recorded, where, False, one, gradient)
        pulled.append(gradient)
    return pulled


def _pull_or_zero(
    pairs: Iterable[tuple[Tensor, Any]], inputs: Sequence[Tensor], create_graph: bool
) -> tuple[Tensor, ...]:
    """The cotangent of each input, from pairs of an output and its cotangent."""
    checked = [(out, cotangent_for(out, ct)) for out, ct in pairs if out.requires_grad]
    found = pull([out for out, _ in checked], [ct for _, ct in checked], inputs, create_graph)
    return tuple(
        leaf(np.zeros(one.shape, one.dtype)) if gradient is None else gradient
        for one, gradient in zip(inputs, found, strict=True)
    )


def _nested(inputs: Sequence[Any]) -> bool:
    """Whether what a transform returns will itself be differentiated: it is recorded then.

    That is so inside a function that another transform is differentiating, and where an input
    lies on the caller's own tape; but nowhere inside ``no_grad``.
    """
    tracked = any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
    return is_recording() and (_differentiating.get() or tracked)


def _traced(
    fn: Callable[..., Any], inputs: Sequence[Any]
) -> tuple[list[Tensor], Any, list[Tensor]]:
    """The inputs on a tape, ``fn`` of them, recorded even inside ``no_grad``, and its outputs."""
    tracked = [_tracked(one, i) for i, one in enumerate(inputs)]
    with Setting(_differentiating, True):
        output = recorded(fn, *tracked)
    return tracked, output, _outputs(output)


def _tracked(value: Any, i: int) -> Tensor:
    """An input with a place of its own on the tape: gradients stop there, or pass if nested."""
    if isinstance(value, Tensor) and value.requires_grad:
        made: Tensor = paused(recorded, copy_of, value)
        return made
    fresh = tensor(value)
    if fresh.dtype.kind != "f":
        invariant = "derivatives need floating-point inputs"
        raise DTypeError(invariant, f"inputs[{i}] of {fresh.dtype}", "use float64")
    fresh.requires_grad = True
    return fresh


def _check_count(invariant: str, given: Sequence[Any], wanted: Sequence[Any]) -> None:
    if len(given) != len(wanted):
        raise ShapeError(invariant, f"{len(given)} for {len(wanted)}", "pass each of them")


def _listed(tensors: Tensors, name: str) -> list[Tensor]:
    alone = isinstance(tensors, Tensor | np.ndarray) or not isinstance(tensors, Iterable)
    listed: list[Any] = [tensors] if alone else list(tensors)
    for one in listed:
        if not isinstance(one, Tensor):
            raise DTypeError(f"{name} are tensors", type(one).__name__, "wrap them with nx.tensor")
    return listed


def _outputs(output: Any) -> list[Tensor]:
    listed = list(output) if isinstance(output, tuple) else [output]
    for one in listed:
        if not isinstance(one, Tensor):
            invariant = "the function must return a tensor, or a tuple of them"
            instead = "keep the calculation in tensors: no np.asarray, numpy() or item() inside"
            raise DTypeError(invariant, type(one).__name__, instead)
    if not any(one.requires_grad for one in listed):
        invariant = "the output must depend on an input through recorded operations"
        instead = "use no detach() or no_grad() inside, and create_graph=True for a gradient inside"
        raise TapeError(invariant, "an output that does not require a gradient", instead)
    return listed


def _arguments(given: Any) -> Sequence[Input]:
    """The arguments of a function; what is no tuple or list of them is the only one."""
    if isinstance(given, list) and not any(isinstance(one, _ARRAYS) for one in given):
        return (given,)
    return given if isinstance(given, list | tuple) else (given,)


def _detached(output: Any) -> Any:
    return tuple(one.detach() for one in output) if isinstance(output, tuple) else output.detach()
