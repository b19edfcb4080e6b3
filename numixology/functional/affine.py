"""Linear maps of features, for all tokens or for each, rows of a table by their ids, and dropout.

They take arrays and tensors, and keep float32 and float64; what is neither an array nor a tensor is
a DTypeError. Features lie on the last axis, and whatever axes come before it are kept.
"""

from typing import Any

import numpy as np

from ..arithmetic import multiply
from ..array import A, Array, flatten_leading, shape_of
from ..errors import ArgumentError, DTypeError, IndexRangeError, ShapeError, shown
from ..primitives import as_array, primitive
from ..shapes import scatter, transpose
from ..tensors import Tensor

__all__ = ["dropout", "embedding", "linear", "per_token_linear"]


@primitive(broadcasts=True)
def _linear(x: Array, weight: Array, bias: Array | None) -> Array:
    y = flatten_leading(x) @ weight.T  # (N, out)
    if bias is not None:
        y = np.add(y, bias, out=y) if y.dtype == bias.dtype else y + bias
    return y.reshape(*x.shape[:-1], len(weight))  # (..., out)


@_linear.vjp("x")
def _linear_dx(ct: A, y: A, x: A, weight: A, bias: A | None) -> A:
    return (flatten_leading(ct) @ weight).reshape(x.shape)  # (..., in)


@_linear.vjp("weight")
def _linear_dweight(ct: A, y: A, x: A, weight: A, bias: A | None) -> A:
    return flatten_leading(ct).T @ flatten_leading(x)  # (out, in)


@_linear.vjp("bias")
def _linear_dbias(ct: A, y: A, x: A, weight: A, bias: A) -> A:
    return ct  # (..., out), which backward adds up to (out,)


def linear(x: A, weight: A, bias: A | None = None) -> A:
    """y = x Wᵀ + b.

    Args:
        x: (..., in), floating-point.
        weight: (out, in), of that dtype.
        bias: (out,), of that dtype, or None for zeros.

    Returns:
        (..., out), of NumPy's common dtype.

    Raises:
        ShapeError: the features of ``x`` and ``weight`` differ, or the bias does not fit.

    Source: guide, Feed Forward Network Flow (Linear1, Linear2).

    Example:
        >>> import numixology as nx
        >>> nx.functional.linear(nx.tensor([[1.0, 2.0]]), nx.tensor([[3.0, 4.0], [5.0, 6.0]]))
        Tensor([[11., 17.]], from=linear)
    """
    shape, table = shape_of(x, "linear"), shape_of(weight, "linear")
    if len(table) != 2 or len(shape) == 0 or shape[-1] != table[1]:
        invariant = "linear maps x of shape (..., in) with a weight of shape (out, in)"
        instead = "make the last axes of both equal; a weight stored as (in, out) needs transposing"
        raise ShapeError(invariant, f"{shape} and {table}", instead)
    if bias is not None and shape_of(bias, "linear") != table[:1]:
        invariant = f"the bias of linear has shape {table[:1]}"
        raise ShapeError(invariant, str(bias.shape), "check the weight's rows")
    return _linear(x, weight, bias)


@primitive(broadcasts=True)
def _per_token_linear(x: Array, weight: Array, bias: Array | None) -> Array:
    y = np.empty((*x.shape[:2], weight.shape[1]), np.result_type(x, weight))  # (B, T, out)
    by_token = np.matmul(x.transpose(1, 0, 2), weight.transpose(0, 2, 1), out=y.transpose(1, 0, 2))
    y = by_token.transpose(1, 0, 2)
    return y if bias is None else np.add(y, bias, out=y if y.dtype == bias.dtype else None)


@_per_token_linear.vjp("x")
def _per_token_linear_dx(ct: A, y: A, x: A, weight: A, bias: A | None) -> A:
    return _by_token(_by_token(ct) @ weight)  # (B, T, in)


@_per_token_linear.vjp("weight")
def _per_token_linear_dweight(ct: A, y: A, x: A, weight: A, bias: A | None) -> A:
    return transpose(ct, (1, 2, 0)) @ _by_token(x)  # (T, out, in)


@_per_token_linear.vjp("bias")
def _per_token_linear_dbias(ct: A, y: A, x: A, weight: A, bias: A) -> A:
    return ct  # (B, T, out), which backward adds up to (T, out)


def _by_token(x: A) -> A:
    """(B, T, features) to (T, B, features), and back: one matrix for each token, as a view."""
    return transpose(x, (1, 0, 2))


def per_token_linear(x: A, weight: A, bias: A | None = None) -> A:
    """y_t = x_t W_tᵀ + b_t: every token has a weight and a bias of its own, in one batched product.

    Args:
        x: (B, T, in), floating-point.
        weight: (T, out, in), of that dtype.
        bias: (T, out), of that dtype, or None for zeros.

    Returns:
        (B, T, out), of NumPy's common dtype.

    Raises:
        ShapeError: the tokens or features of ``x`` and ``weight`` differ, or the bias does not fit.

    Source: RankMixer, section 3.3 (arXiv 2507.15551).

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([[[1.0, 2.0], [1.0, 2.0]]])
        >>> weight = nx.tensor([[[3.0, 4.0]], [[5.0, 6.0]]])
        >>> nx.functional.per_token_linear(x, weight)
        Tensor([[[11.],
                 [17.]]], from=per_token_linear)
    """
    shape, table = shape_of(x, "per_token_linear"), shape_of(weight, "per_token_linear")
    if len(table) != 3 or len(shape) != 3 or (shape[1], shape[2]) != (table[0], table[2]):
        invariant = "per_token_linear maps x of shape (B, T, in) with a weight of (T, out, in)"
        instead = "make T and in equal; a weight stored as (T, in, out) needs transposing"
        raise ShapeError(invariant, f"{shape} and {table}", instead)
    if bias is not None and shape_of(bias, "per_token_linear") != table[:2]:
        invariant = f"the bias of per_token_linear has shape {table[:2]}"
        raise ShapeError(invariant, str(bias.shape), "check the tokens and rows of the weight")
    return _per_token_linear(x, weight, bias)


@primitive
def _embedding(weight: Array, *, ids: Array) -> Array:
    return weight[ids]


@_embedding.vjp("weight")
def _embedding_dweight(ct: A, y: A, weight: A, *, ids: Array) -> A:
    return scatter(ct, index=ids, shape=weight.shape)  # a repeated id gets the sum


def embedding(ids: Any, weight: A) -> A:
    """Row ``ids`` of a table: y = weight[ids].

    Args:
        ids: integers of any shape (B, T), each from 0 to V - 1.
        weight: (V, D), floating-point.

    Returns:
        (B, T, D), of the dtype of ``weight``.

    Raises:
        DTypeError: ids that are not integers.
        IndexRangeError: a negative id, or one of at least V.
        ShapeError: a weight that is not a table, or lists of ids of unequal lengths.

    Source: guide, Multi-Layer Model (Token Embeddings).

    Example:
        >>> import numixology as nx
        >>> table = nx.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
        >>> nx.functional.embedding([2, 0, 2], table)
        Tensor([[4., 5.],
                [0., 1.],
                [4., 5.]], from=embedding)
    """
    places, table = as_ids(ids, "embedding"), shape_of(weight, "embedding")
    if len(table) != 2:
        raise ShapeError("an embedding table has shape (V, D)", str(table), "reshape it")
    check_ids(places, table[0], "ids")
    return _embedding(weight, ids=places)


def as_ids(ids: Any, taker: str) -> Array:
    """A fresh array of ids; an empty list is taken for integers."""
    array = np.array(ids.data if isinstance(ids, Tensor) else as_array(ids, taker))
    empty_list = array.size == 0 and not isinstance(ids, Tensor | np.ndarray)
    return array.astype(np.int64) if empty_list else array


def check_ids(ids: Array, count: int, name: str) -> None:
    """Raise unless all are integers from 0 to count - 1."""
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{name} are integers", str(ids.dtype), "convert with .astype('int64')")
    outside = (ids < 0) | (ids >= count)
    if outside.any():
        first = f"{ids[outside][0]} at {tuple(np.argwhere(outside)[0].tolist())}"
        instead = "check the number of rows or classes, and what marks padding"
        raise IndexRangeError(f"{name} lie from 0 to {count - 1}", first, instead)


def dropout(x: A, p: float, *, training: bool, rng: "np.random.Generator | int | None" = None) -> A:
    """In training x m / (1 - p), where each m is 0 with probability p and else 1; otherwise x.

    The expectation is x, so nothing is scaled in evaluation.

    Args:
        x: any shape, floating-point.
        p: the probability of a zero, in [0, 1).
        training: whether anything is dropped.
        rng: a Generator, whose state moves on, or a seed; None draws a fresh seed.

    Returns:
        The shape and dtype of ``x``; ``x`` itself if nothing is dropped.

    Raises:
        ArgumentError: p lies outside [0, 1) or is not a number.
        DTypeError: integers, in training.

    Source: Srivastava et al. 2014, section 4; guide, Feed Forward Network Flow (Dropout).

    Example:
        >>> import numixology as nx
        >>> x = nx.tensor([1.0, 1.0, 1.0, 1.0])
        >>> nx.functional.dropout(x, 0.5, training=True, rng=0)
        Tensor([2., 0., 0., 0.], from=multiply)
    """
    check_probability(p)
    shape = shape_of(x, "dropout")
    if not training or p == 0:
        return x
    if x.dtype.kind not in "fc":
        raise DTypeError("dropout takes floating-point x", str(x.dtype), "use .astype('float64')")
    mask = (np.random.default_rng(rng).random(shape) >= p) / (1 - float(p))
    return multiply(x, mask.astype(real_dtype(x.dtype)))


def check_probability(p: float) -> None:
    """Raise unless p is a number in [0, 1)."""
    if not isinstance(p, int | float | np.floating) or not 0 <= p < 1:
        raise ArgumentError("the dropout probability p lies in [0, 1)", shown(p), "use e.g. 0.1")


def real_dtype(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    """float64 of complex128, float32 of complex64, else the dtype itself."""
    return np.zeros((), dtype).real.dtype
