"""Losses: a number that says how far an output is from its target.

``reduction`` is what is done with the losses of the single elements: ``"mean"`` or ``"sum"`` makes
one number of them, and ``"none"`` leaves them as they are; another word is an ArgumentError. A
target is an array, a tensor or nested lists; in the two losses of single numbers it has a gradient
too, and if it has another shape than the output it is a ShapeError.
"""

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ..arithmetic import add, negative, subtract
from ..array import A, Array, flatten_leading, shape_of
from ..checks import one_of
from ..errors import ShapeError
from ..primitives import as_array, primitive
from ..reductions import mean, sum
from ..tensors import Tensor
from .activations import softplus
from .affine import as_ids, check_ids, real_dtype
from .distributions import log_softmax
from .elementary import square

__all__ = ["Reduction", "binary_cross_entropy_with_logits", "cross_entropy", "mse_loss"]

#: What is done with the losses of the single elements.
Reduction: TypeAlias = Literal["mean", "sum", "none"]


def cross_entropy(logits: A, target: Any, reduction: Reduction = "mean") -> A:
    """-log_softmax(logits)[target]: the surprise at the right class.

    Args:
        logits: (..., C), floating-point.
        target: (...), integers from 0 to C - 1.
        reduction: see above.

    Returns:
        A single number, or (...) with ``"none"``; of the dtype of ``logits``.

    Raises:
        ShapeError: target has another shape than logits without the last axis.
        DTypeError: a target that is not integers, or logits that are neither an array nor a
            tensor.
        IndexRangeError: a target outside the classes.

    Example:
        >>> import numixology as nx
        >>> nx.functional.cross_entropy(nx.tensor([[0.0, 0.0], [0.0, 0.0]]), [0, 1])
        Tensor(0.69314718, from=divide)
    """
    ids, shape = as_ids(target, "cross_entropy"), shape_of(logits, "cross_entropy")
    if not shape or ids.shape != shape[:-1]:
        invariant = "cross_entropy takes logits (..., C) and target (...)"
        instead = "put the classes on the last axis"
        raise ShapeError(invariant, f"{shape} and {ids.shape}", instead)
    check_ids(ids, shape[-1], "target classes")
    log_p = flatten_leading(log_softmax(logits))  # (N, C)
    losses = -log_p[np.arange(ids.size), ids.reshape(-1)]  # (N,)
    return _by_reduction(losses.reshape(ids.shape), reduction)


def binary_cross_entropy_with_logits(logits: A, target: Any, reduction: Reduction = "mean") -> A:
    """-t ln σ(x) - (1 - t) ln σ(-x), where -ln σ(x) = softplus(-x).

    An infinite logit that is right costs nothing: 0 · ∞ counts 0.

    Args:
        logits: x, any shape, floating-point.
        target: t, of that shape, between 0 and 1.
        reduction: see above.

    Returns:
        A single number, or the shape of ``logits`` with ``"none"``; of NumPy's common dtype.

    Source: RankMixer's task heads predict clicks with it.

    Example:
        >>> import numixology as nx
        >>> nx.functional.binary_cross_entropy_with_logits(nx.tensor([0.0]), nx.tensor([1.0]))
        Tensor(0.69314718, from=divide)
    """
    t = _target(logits, target, "binary_cross_entropy_with_logits")
    if_1, if_0 = softplus(negative(logits)), softplus(logits)
    losses: A = add(_weighed(t, if_1), _weighed(subtract(1, t), if_0))
    return _by_reduction(losses, reduction)


@primitive
def _weighed(weight: Array, loss: Array) -> Array:
    """weight · loss, where 0 · ∞ counts 0."""
    return np.where((weight == 0) & (loss == np.inf), 0, weight * loss)


@_weighed.vjp("weight")
def _weighed_dweight(ct: A, y: A, weight: A, loss: A) -> A:
    return ct * loss


@_weighed.vjp("loss")
def _weighed_dloss(ct: A, y: A, weight: A, loss: A) -> A:
    return ct * weight


def mse_loss(x: A, target: Any, reduction: Reduction = "mean") -> A:
    """(x - t)².

    Args:
        x: any shape, floating-point.
        target: t, of that shape.
        reduction: see above.

    Returns:
        A single number, or the shape of ``x`` with ``"none"``; of NumPy's common dtype.

    Example:
        >>> import numixology as nx
        >>> nx.functional.mse_loss(nx.tensor([1.0, 2.0]), nx.tensor([1.0, 4.0]))
        Tensor(2., from=divide)
    """
    return _by_reduction(square(subtract(x, _target(x, target, "mse_loss"))), reduction)


def _target(x: Any, target: Any, name: str) -> Any:
    shape = shape_of(x, name)
    target = target if isinstance(target, Tensor) else as_array(target, name)
    if target.shape != shape:
        shapes = f"{shape} and {target.shape}"
        raise ShapeError(f"{name} compares equal shapes", shapes, "reshape or broadcast first")
    if target.dtype.kind in "iub":
        target = target.astype(real_dtype(x.dtype))
    return target


def _by_reduction(losses: A, reduction: str) -> A:
    one_of("reduction", reduction, get_args(Reduction))
    if reduction == "none":
        return losses
    return sum(losses) if reduction == "sum" else mean(losses)
