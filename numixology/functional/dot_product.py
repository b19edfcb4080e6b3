"""Scaled dot-product attention, the baseline that the guide compares with."""

import math

from ..arithmetic import divide, matmul, swap_last
from ..array import A, shape_of
from ..errors import ShapeError
from .distributions import softmax

__all__ = ["attention"]


def attention(query: A, key: A, value: A) -> A:
    """softmax(Q Kᵀ / √d) V.

    Args:
        query: (..., T, d), floating-point.
        key: (..., S, d), of that dtype; the leading axes of all three broadcast.
        value: (..., S, e), of that dtype.

    Returns:
        (..., T, e), of that dtype.

    Raises:
        ShapeError: fewer than two axes, features that differ between query and key, tokens that
            differ between key and value, nothing to attend to, or leading axes that do not
            broadcast.
        DTypeError: an argument that is neither an array nor a tensor.

    Source: Vaswani et al. 2017, equation 1 (arXiv 1706.03762); guide, Computational Complexity.

    Example:
        >>> import numixology as nx
        >>> q = nx.tensor([[1.0, 0.0]])
        >>> k = nx.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> nx.functional.attention(q, k, nx.tensor([[2.0], [4.0]]))
        Tensor([[3.]], from=matmul)
    """
    q, k, v = shapes = [shape_of(x, "attention") for x in (query, key, value)]
    if min(map(len, shapes)) < 2 or q[-1] != k[-1] or k[-2] != v[-2] or 0 in k[-2:]:
        invariant = "attention takes query (..., T, d), key (..., S, d) and value (..., S, e)"
        got = ", ".join(map(str, shapes))
        raise ShapeError(invariant, got, "check the last two axes of each")
    scores = divide(matmul(query, swap_last(key)), math.sqrt(q[-1]))  # (..., T, S)
    return matmul(softmax(scores), value)  # (..., T, e)
