"""What primitives cost by the textbook: a formula for each, registered beside none of them.

A multiply-add, one term of a matrix product, counts as 2 FLOPs, and is counted as one multiply-add
besides. An addition, a multiplication, a division, a comparison, a square root, and every
elementary function such as exp, log, erf or tanh, counts 1 per element. So the sum of n numbers is
n - 1, and their mean n. Whatever only moves, views, chooses or converts values counts 0.

These are the operations of the equation in the docstring. How a kernel computes it, with more
digits than one number has, is another matter, and costs time but no more FLOPs in this sense.

Bytes are those of whole arrays: a primitive that computes or copies reads each of its arguments
once and writes its result once. A lookup reads only what arrives in the result. A view reads and
writes nothing.

A formula is a function of the result, the arguments and the options of a call, all arrays; None
stands for an argument that is left out.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from ... import arithmetic, primitives, reductions, shapes
from ...array import Array
from ...autograd import Primitive
from ...errors import DTypeError, UnsupportedError
from ...functional import (
    activations,
    affine,
    distributions,
    elementary,
    losses,
    mixing,
    normalization,
    special,
)
from ...observe import Call

__all__ = ["Cost", "cost_of", "register_cost"]


class Cost(NamedTuple):
    """What one call of a primitive costs.

    Attributes:
        flops: floating-point operations; a multiply-add counts as 2.
        multiply_adds: how many of them are multiply-adds, each counted once.
        bytes_read: what is read of the arguments; None for all of them.

    Example:
        >>> import numixology as nx
        >>> nx.explain.Cost(flops=10, multiply_adds=5)
        Cost(flops=10, multiply_adds=5, bytes_read=None)
    """

    flops: int
    multiply_adds: int = 0
    bytes_read: int | None = None


#: ``formula(result, *arguments, **options)``: what that call of a primitive costs.
Formula: TypeAlias = Callable[..., Cost]
F = TypeVar("F", bound=Formula)

_FORMULAS: dict[Primitive, Formula] = {}


def register_cost(*registered: Primitive) -> Callable[[F], F]:
    """Register the formula of what a call of these primitives costs.

    Args:
        *registered: one primitive or several.

    Returns:
        A decorator, which returns the formula unchanged.

    Example:
        >>> import numixology as nx
        >>> @nx.primitive
        ... def cube(x):
        ...     return x * x * x
        >>> @nx.explain.register_cost(cube)
        ... def cube_cost(y, x):
        ...     return nx.explain.Cost(2 * y.size)
        >>> nx.explain.complexity(cube, nx.tensor([1.0, 2.0, 3.0])).flops
        6
    """

    def register(formula: F) -> F:
        _FORMULAS.update(dict.fromkeys(registered, formula))
        return formula

    return register


def cost_of(call: Call) -> Cost:
    """What a call costs, by the formula of its primitive.

    Raises:
        UnsupportedError: the primitive has no formula.
        DTypeError: the formula does not return a :class:`Cost`.
    """
    name = call.primitive.__name__
    if call.primitive not in _FORMULAS:
        raise UnsupportedError(
            "a primitive that is counted has a formula for its cost",
            f"{name}, which has none",
            f"register one: @nx.explain.register_cost({name}), a function of the result and the "
            "arguments that returns an nx.explain.Cost",
        )
    arrays = [None if one is None else np.asarray(one) for one in call.arguments]
    cost = _FORMULAS[call.primitive](call.result, *arrays, **call.options)
    if not isinstance(cost, Cost):
        raise DTypeError(
            f"the formula of {name} returns an nx.explain.Cost",
            type(cost).__name__,
            "wrap the number of FLOPs: Cost(flops)",
        )
    return cost


def _each(operations: int) -> Formula:
    """That many operations for every element of the result."""

    def formula(y: Array, *arguments: Any, **options: Any) -> Cost:
        return Cost(operations * y.size)

    return formula


def _products(multiply_adds: int, others: int = 0) -> Cost:
    """That many multiply-adds, of 2 FLOPs each, and other operations beside them."""
    return Cost(2 * multiply_adds + others, multiply_adds)


# Elementwise, counted in the equations of the docstrings

_ONE_EACH = """absolute add divide equal floor_divide greater greater_equal less less_equal log
    logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal power
    remainder sign subtract"""
register_cost(*(getattr(arithmetic, name) for name in _ONE_EACH.split()))(_each(1))
register_cost(elementary.exp, elementary.expm1, elementary.log1p)(_each(1))
register_cost(elementary.sqrt, elementary.square, special.erf)(_each(1))
register_cost(losses._weighed, activations.relu, activations.tanh)(_each(1))
register_cost(activations.softplus)(_each(3))  # exp, 1 +, ln
register_cost(activations.sigmoid)(_each(4))  # -x, exp, +, /
register_cost(activations._sigmoid_slope)(_each(9))  # two sigmoids, and their product
register_cost(special.normal_cdf)(_each(4))  # x / √2, erf, 1 +, ½ ·
register_cost(special.normal_pdf)(_each(4))  # x · x, times -½, exp, / √(2π)
register_cost(activations.silu)(_each(5))  # a sigmoid, and x times it
register_cost(activations._gelu)(_each(5))  # x / √2, erf, 1 +, ½ ·, x ·
# x · x · x, times 0.044715, x +, times √(2/π), tanh, 1 +, ½ ·, x ·
register_cost(activations._gelu_tanh)(_each(9))


@register_cost(arithmetic._clip)
def _clip(y: Array, x: Array, *, low: Any, high: Any) -> Cost:
    """One comparison for each bound."""
    return Cost(sum(bound is not None for bound in (low, high)) * y.size)


# Values that only move


@register_cost(
    shapes._reshape,
    shapes._transpose,
    shapes._contiguous,
    shapes._astype,
    shapes.scatter,
    arithmetic.where,
    elementary._concatenate,
    mixing._token_mix,
    primitives.copy_of,
)
def _moves(y: Array, *arguments: Any, **options: Any) -> Cost:
    """Nothing is computed: the values are those of the arguments, in other places."""
    return Cost(0)


@register_cost(shapes._broadcast_to, shapes.getitem, affine._embedding)
def _gathers(y: Array, *arguments: Any, **options: Any) -> Cost:
    """Nothing is computed, and only what arrives in the result is read."""
    return Cost(0, bytes_read=y.nbytes)


# Reductions


@register_cost(reductions._sum, reductions._max, reductions._min)
def _reduces(y: Array, x: Array, **options: Any) -> Cost:
    """n - 1 operations for each result that is made of n values."""
    return Cost(max(x.size - y.size, 0))


@register_cost(reductions._cumsum)
def _cumsum(y: Array, x: Array, *, axis: int) -> Cost:
    """n - 1 additions along an axis of n."""
    return Cost(x.size - x.size // x.shape[axis] if x.size else 0)


# Products


@register_cost(arithmetic.matmul)
def _matmul(y: Array, a: Array, b: Array) -> Cost:
    """Each y_ij is a sum of k products: of (n, k) and (k, m), 2nmk."""
    return _products(y.size * a.shape[-1])


@register_cost(elementary._einsum)
def _einsum(y: Array, *operands: Array, inputs: tuple[str, ...], output: str) -> Cost:
    """Each term is a product of all operands; where letters are summed over, terms are added."""
    lengths = {
        s: n
        for group, x in zip(inputs, operands, strict=True)
        for s, n in zip(group, x.shape, strict=True)
    }
    terms = math.prod(lengths.values())
    if len(operands) == 1:
        return Cost(max(terms - y.size, 0))
    if len(lengths) == len(output):
        return Cost((len(operands) - 1) * terms)
    return _products(terms, (len(operands) - 2) * terms)


@register_cost(affine._linear, affine._per_token_linear)
def _linear(y: Array, x: Array, weight: Array, bias: Array | None) -> Cost:
    """in multiply-adds for each output, and an addition where there is a bias."""
    return _products(y.size * x.shape[-1], 0 if bias is None else y.size)


# Rows


@register_cost(distributions._softmax)
def _softmax(p: Array, x: Array, *, axis: int) -> Cost:
    """The largest of n, n - 1; less it, n; exponentials, n; their sum, n - 1; divided, n."""
    n = x.shape[axis]
    return Cost((5 * n - 2) * (x.size // n))


@register_cost(distributions._log_softmax)
def _log_softmax(y: Array, x: Array, *, axis: int) -> Cost:
    """As softmax, with one logarithm of the sum, which is subtracted instead of divided by."""
    n = x.shape[axis]
    return Cost((5 * n - 1) * (x.size // n))


@register_cost(distributions._logsumexp)
def _logsumexp(y: Array, x: Array, *, axis: int, keepdims: bool) -> Cost:
    """The largest, less it, exponentials, their sum; its logarithm, and the largest added back."""
    return Cost(4 * x.size)


@register_cost(normalization._layer_norm)
def _layer_norm(y: Array, x: Array, weight: Array, bias: Array, *, eps: float) -> Cost:
    """Mean, deviations, squares, their mean, quotients: 5D; eps and the root, 2; D for each of
    weight and bias, unless they are the numbers 1 and 0. With both 7D + 2 for every row.
    """
    scales = weight.ndim + bias.ndim
    return Cost((5 + scales) * x.size + 2 * (x.size // x.shape[-1]))


@register_cost(normalization._rms_norm)
def _rms_norm(y: Array, x: Array, weight: Array, *, eps: float) -> Cost:
    """Squares, their mean, quotients: 3D; eps and the root, 2; D for a weight."""
    return Cost((3 + weight.ndim) * x.size + 2 * (x.size // x.shape[-1]))
