"""Arithmetic, comparisons, choices and the matrix product, with their gradients.

What all functions here share, unless they say otherwise:

Args:
    a, b: arrays, tensors or numbers of any dtype, whose shapes broadcast.
    x: an array, a tensor or a number.

Returns:
    The broadcast shape, of NumPy's common dtype, elementwise; a tensor if an argument is one.

Raises:
    ShapeError: the shapes do not broadcast.
    DTypeError: booleans where NumPy takes numbers.

A rule is ``rule(ct, y, *arguments)``: the cotangent of the output, the output, and the arguments.
"""

from typing import Any

import numpy as np

from .array import A, Array, Scalar, real_part
from .autograd import Node
from .errors import ArgumentError, DTypeError
from .primitives import Checked, implements, primitive
from .shapes import transpose

__all__ = [
    "absolute", "add", "clip", "divide", "equal", "floor_divide", "greater", "greater_equal",
    "less", "less_equal", "log", "logical_and", "logical_not", "logical_or", "logical_xor",
    "matmul", "maximum", "minimum", "multiply", "negative", "not_equal", "power",
    "remainder", "sign", "subtract", "swap_last", "where",
]  # fmt: skip


@primitive(np.add, broadcasts=True)
def add(a: Array, b: Array) -> Array:
    """a + b.

    Example:
        >>> import numixology as nx
        >>> nx.functional.add(nx.tensor([[1.0], [2.0]]), nx.tensor([10.0, 20.0]))
        Tensor([[11., 21.],
                [12., 22.]], from=add)
    """
    return np.add(a, b)


@add.vjp("a")
@add.vjp("b")
def add_dab(ct: A, y: A, a: A, b: A) -> A:
    return ct


@primitive(np.subtract, broadcasts=True)
def subtract(a: Array, b: Array) -> Array:
    """a - b.

    Example:
        >>> import numixology as nx
        >>> nx.functional.subtract(nx.tensor([5.0, 7.0]), 2.0)
        Tensor([3., 5.], from=subtract)
    """
    return np.subtract(a, b)


@subtract.vjp("a")
def subtract_da(ct: A, y: A, a: A, b: A) -> A:
    return ct


@subtract.vjp("b")
def subtract_db(ct: A, y: A, a: A, b: A) -> A:
    return -ct


@primitive(np.multiply, broadcasts=True)
def multiply(a: Array, b: Array) -> Array:
    """a · b.

    Example:
        >>> import numixology as nx
        >>> nx.functional.multiply(nx.tensor([2.0, 3.0]), nx.tensor([4.0, 5.0]))
        Tensor([ 8., 15.], from=multiply)
    """
    return np.multiply(a, b)


@multiply.vjp("a")
def multiply_da(ct: A, y: A, a: A, b: A) -> A:
    return ct * b


@multiply.vjp("b")
def multiply_db(ct: A, y: A, a: A, b: A) -> A:
    return ct * a


@primitive(np.true_divide, broadcasts=True)
def divide(a: Array, b: Array) -> Array:
    """a / b, in float64 for integers; x / 0 is ±inf, and 0 / 0 is NaN.

    Example:
        >>> import numixology as nx
        >>> nx.functional.divide(nx.tensor([1, 2]), 4)
        Tensor([0.25, 0.5 ], from=divide)
    """
    return np.true_divide(a, b)


@divide.vjp("a")
def divide_da(ct: A, y: A, a: A, b: A) -> A:
    return ct / b


@divide.vjp("b")
def divide_db(ct: A, y: A, a: A, b: A) -> A:
    return -ct * y / b


def _of_numbers(y: Array, a: Any, b: Any) -> Array:
    """y = f(a, b), unless NumPy took two booleans for numbers of eight bits."""
    if y.dtype == np.int8 and np.result_type(a, b) == np.bool_:
        raise DTypeError("// % ** take numbers", "two booleans", "use .astype('int64')")
    return y


@primitive(np.floor_divide, broadcasts=True)
def floor_divide(a: Array, b: Array) -> Array:
    """⌊a / b⌋; piecewise constant, so its gradient is 0."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        return np.floor_divide(real_part(a), real_part(b)).astype(np.result_type(a, b))
    return _of_numbers(np.floor_divide(a, b), a, b)


@floor_divide.vjp("a")
@floor_divide.vjp("b")
def floor_divide_dab(ct: A, y: A, a: A, b: A) -> A:
    return ct * 0


@primitive(np.remainder, broadcasts=True)
def remainder(a: Array, b: Array) -> Array:
    """a - b ⌊a / b⌋."""
    if np.iscomplexobj(a) or np.iscomplexobj(b):
        y: Array = a - b * np.floor_divide(real_part(a), real_part(b))  # analytic in each piece
        return y
    return _of_numbers(np.remainder(a, b), a, b)


@remainder.vjp("a")
def remainder_da(ct: A, y: A, a: A, b: A) -> A:
    return ct


@remainder.vjp("b")
def remainder_db(ct: A, y: A, a: A, b: A) -> A:
    return -ct * floor_divide(a, b)


@primitive(np.negative)
def negative(x: Array) -> Array:
    """-x.

    Example:
        >>> import numixology as nx
        >>> nx.functional.negative(nx.tensor([1.0, -2.0]))
        Tensor([-1.,  2.], from=negative)
    """
    return np.negative(x)


@negative.vjp("x")
def negative_dx(ct: A, y: A, x: A) -> A:
    return -ct


@primitive(np.power, broadcasts=True)
def power(a: Array | Scalar, b: Array | Scalar) -> Array:
    """aᵇ; NaN for a < 0 and a b that is not whole.

    At b = 0 the derivative by ``a`` is 0, and at a = 0 ≤ b the derivative by ``b`` is 0.

    Raises:
        ShapeError: the shapes do not broadcast, or integers are raised to negative integers.

    Example:
        >>> import numixology as nx
        >>> nx.functional.power(nx.tensor([2.0, 3.0]), nx.tensor([3.0, -1.0]))
        Tensor([8.        , 0.33333333], from=power)
    """
    return _of_numbers(a**b if isinstance(a, np.ndarray) else np.power(a, b), a, b)


@power.vjp("a")
def power_da(ct: A, y: A, a: A, b: A | float) -> A:
    if isinstance(b, bool | int | float):
        return ct * b * a ** (b - 1) if b else ct * 0
    one = y.dtype.type(1)  # b - 1 has the digits of the result, whatever those of b
    tiny = logical_not(greater(absolute(a), float(np.finfo(a.dtype).tiny)))  # 0 / a, not 0 · inf
    base: A = where(logical_and(tiny, equal(b, 0)), 1.0, a)
    slope: A = base ** (b - one)
    return ct * b * slope


@power.vjp("b")
def power_db(ct: A, y: A, a: A, b: A) -> A:
    certain = logical_and(equal(a, 0), greater_equal(b, 0))  # y ln a, not inf · ln 1, where b < 0
    return ct * y * log(where(certain, y.dtype.type(1), a))


@primitive(np.absolute)
def absolute(x: Array) -> Array:
    """The absolute value of x; its derivative at 0 is taken as 0.

    Of complex arrays it is the analytic continuation ±x, not the modulus, as complex-step
    differentiation needs it. ``nx.functional.abs`` is the same function.

    Example:
        >>> import numixology as nx
        >>> nx.functional.absolute(nx.tensor([-1.5, 0.0, 2.0]))
        Tensor([1.5, 0. , 2. ], from=absolute)
    """
    return np.where(x.real < 0, -x, x) if np.iscomplexobj(x) else np.absolute(x)


@absolute.vjp("x")
def absolute_dx(ct: A, y: A, x: A) -> A:
    return ct * sign(x)


@primitive(np.sign)
def sign(x: Array) -> Array:
    """-1, 0 or 1, and NaN of NaN; piecewise constant, so its gradient is 0.

    Example:
        >>> import numixology as nx
        >>> nx.functional.sign(nx.tensor([-1.5, 0.0, 2.0]))
        Tensor([-1.,  0.,  1.], from=sign)
    """
    return np.sign(real_part(x)) + 0 * x if np.iscomplexobj(x) else np.sign(x)


@sign.vjp("x")
def sign_dx(ct: A, y: A, x: A) -> A:
    return ct * 0


@primitive(np.log)
def log(x: Array) -> Array:
    """ln x, in float64 for integers: -inf at 0 and NaN below.

    Example:
        >>> import numixology as nx
        >>> nx.functional.log(nx.tensor([1.0, 10.0]))
        Tensor([0.        , 2.30258509], from=log)
    """
    return np.log(x)


@log.vjp("x")
def log_dx(ct: A, y: A, x: A) -> A:
    return ct / x


# Choosing


@implements(np.where)
@primitive(broadcasts=True)
def where(condition: Array, a: Array, b: Array) -> Array:
    """``a`` where ``condition`` holds, else ``b``.

    Args:
        condition: booleans, which broadcast too; of numbers, all but 0 hold. It has no gradient.

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([-1.0, 2.0])
        >>> nx.functional.where(x > 0, x, 0.0)
        Tensor([0., 2.], from=where)
    """
    return np.where(condition, a, b)


@where.vjp("condition")
def where_dcondition(ct: A, y: A, condition: A, a: A, b: A) -> A:
    """A choice has no slope."""
    return where(equal(ct, ct), 0.0, 0.0 * ct)


@where.vjp("a")
def where_da(ct: A, y: A, condition: A, a: A, b: A) -> A:
    return where(condition, ct, 0.0)


@where.vjp("b")
def where_db(ct: A, y: A, condition: A, a: A, b: A) -> A:
    return where(condition, 0.0, ct)


@primitive(np.maximum, broadcasts=True)
def maximum(a: Array, b: Array) -> Array:
    """The larger of a and b; NaN if either is.

    Where the two are equal, each gets half of the cotangent; where one is NaN, both get all of
    it, so that a NaN is not hidden.

    Example:
        >>> import numixology as nx
        >>> nx.functional.maximum(nx.tensor([1.0, 5.0]), nx.tensor([3.0, 2.0]))
        Tensor([3., 5.], from=maximum)
    """
    return np.maximum(a, b)


@primitive(np.minimum, broadcasts=True)
def minimum(a: Array, b: Array) -> Array:
    """The smaller of a and b; equal ones and NaN as in :func:`maximum`.

    Example:
        >>> import numixology as nx
        >>> nx.functional.minimum(nx.tensor([1.0, 5.0]), nx.tensor([3.0, 2.0]))
        Tensor([1., 2.], from=minimum)
    """
    return np.minimum(a, b)


@maximum.vjp("a")
@minimum.vjp("b")
def unless_a_is_less(ct: A, y: A, a: A, b: A) -> A:
    return where(less(a, b), 0.0, where(equal(a, b), 0.5 * ct, ct))


@maximum.vjp("b")
@minimum.vjp("a")
def unless_a_is_greater(ct: A, y: A, a: A, b: A) -> A:
    return where(greater(a, b), 0.0, where(equal(a, b), 0.5 * ct, ct))


@primitive
def _clip(x: Array, *, low: Scalar | None, high: Scalar | None) -> Array:
    inside = np.clip(real_part(x), low, high)
    plain = np.iscomplexobj(x) and not np.iscomplexobj(inside)
    return np.where(real_part(x) == inside, x, inside) if plain else inside


@_clip.vjp("x")
def _clip_dx(ct: A, y: A, x: A, *, low: Scalar | None, high: Scalar | None) -> A:
    return where(equal(x, y), ct, 0.0)


@implements(np.clip)
def clip(x: A, min: Scalar | None = None, max: Scalar | None = None) -> A:
    """x cut off below ``min`` and above ``max``; the derivative is 1 on both bounds.

    Args:
        min: the lower bound, a number, or None for none.
        max: the upper bound, likewise; it wins where it is below ``min``.

    Raises:
        ArgumentError: neither bound is given.
        DTypeError: a bound is a tensor.

    Example:
        >>> import numixology as nx
        >>> nx.functional.clip(nx.tensor([-2.0, 0.5, 3.0]), 0.0, 1.0)
        Tensor([0. , 0.5, 1. ], from=clip)
    """
    if min is None and max is None:
        raise ArgumentError("clip needs a bound", "neither min nor max", "give one of them")
    if isinstance(min, Node) or isinstance(max, Node):
        raise DTypeError("the bounds of clip are constants", "a tensor", "use maximum and minimum")
    return _clip(x, low=min, high=max)


# Comparing: no rules, since booleans have no gradient


def _comparison(ufunc: np.ufunc, meaning: str, *, by_real_part: bool = False) -> Checked:
    """NumPy's comparison as a primitive; complex numbers have no order, but their real parts do."""

    def forward(a: Array, b: Array) -> Any:
        return ufunc(real_part(a), real_part(b)) if by_real_part else ufunc(a, b)

    forward.__name__ = forward.__qualname__ = ufunc.__name__
    forward.__doc__ = meaning
    return primitive(ufunc, broadcasts=True)(forward)


equal = _comparison(np.equal, "a = b.")
not_equal = _comparison(np.not_equal, "a ≠ b.")
less = _comparison(np.less, "a < b; complex arrays by their real parts.", by_real_part=True)
less_equal = _comparison(np.less_equal, "a ≤ b, likewise.", by_real_part=True)
greater = _comparison(np.greater, "a > b, likewise.", by_real_part=True)
greater_equal = _comparison(np.greater_equal, "a ≥ b, likewise.", by_real_part=True)
logical_and = _comparison(np.logical_and, "Both hold.")
logical_or = _comparison(np.logical_or, "At least one holds.")
logical_xor = _comparison(np.logical_xor, "Exactly one holds.")


@primitive(np.logical_not)
def logical_not(x: Array) -> Array:
    """It does not hold."""
    return np.logical_not(x)


# Matrices


@primitive(np.matmul, broadcasts=True)
def matmul(a: Array, b: Array) -> Array:
    """y_ij = Σ_k a_ik b_kj over the last two axes; vectors and leading axes as in NumPy.

    Args:
        a: (..., n, k), or (k,) for a row.
        b: (..., k, m), or (k,) for a column; the leading axes broadcast.

    Returns:
        (..., n, m), without the n of a row and the m of a column; of NumPy's common dtype.

    Raises:
        ShapeError: a number instead of a matrix, sums of two lengths, or leading axes that do
            not broadcast.

    Example:
        >>> import numixology as nx
        >>> a = nx.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> nx.functional.matmul(a, nx.tensor([[1.0], [10.0]]))
        Tensor([[21.],
                [43.]], from=matmul)
    """
    y: Array = np.matmul(a, b)
    return y


@matmul.vjp("a")
def matmul_da(ct: A, y: A, a: A, b: A) -> A:
    if b.ndim == 1:
        return _column(ct) * b if a.ndim > 1 else ct * b  # (..., n, k)
    if a.ndim == 1:
        return (b @ _column(ct)).reshape(*b.shape[:-1])  # (..., k)
    return ct @ swap_last(b)  # (..., n, k)


@matmul.vjp("b")
def matmul_db(ct: A, y: A, a: A, b: A) -> A:
    if a.ndim == 1:
        return _column(a) * ct.reshape(*ct.shape[:-1], 1, ct.shape[-1]) if b.ndim > 1 else ct * a
    if b.ndim == 1:
        return (swap_last(a) @ _column(ct)).reshape(*a.shape[:-2], a.shape[-1])  # (..., k)
    return swap_last(a) @ ct  # (..., k, m)


def _column(x: A) -> A:
    return x.reshape(*x.shape, 1)


def swap_last(x: A) -> A:
    """x with its last two axes exchanged."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
