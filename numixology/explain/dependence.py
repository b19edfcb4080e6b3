"""Who sees whom: how each output token depends on each input token, for any block.

And what no output depends on: the directions that x + token_mix(x) turns into 0.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..array import Array
from ..checks import positive
from ..errors import ArgumentError, DTypeError, ShapeError
from ..functional.mixing import chunk_cycles, mixing_rank
from ..tensors import Tensor
from ..transforms import vjp

__all__ = ["alternating", "cross_token_jacobian", "null_space_direction"]


# Who sees whom ------------------------------------------------------------------------------


def cross_token_jacobian(
    fn: Callable[[Any], Any],
    x: Any,
    *,
    probes: int | None = None,
) -> Array:
    """‖∂y_t/∂x_s‖ for every token t of y = fn(x) and every token s of x: who sees whom.

    The norm is the root of the sum of squares over all features, and over the sequences of a batch.

    A function that returns a tensor, as a module of this package does, is differentiated on its
    tape. One that returns an array may be of any framework: it is differentiated by central
    differences, which are 0 exactly where nothing is seen.

    Args:
        fn: from (B, T, D) to (B, T', D').
        x: (B, T, D), an array.
        probes: None takes a derivative for each feature of each token. A number takes so many
            random directions in each token instead, and estimates the norms from them.

    Returns:
        (T', T), of float64.

    Raises:
        ShapeError: x or fn(x) has not three axes, or they have different batches.
        ArgumentError: ``probes`` is not a positive integer.
        DTypeError: x is not floating-point.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> x = np.random.default_rng(0).standard_normal((1, 3, 8))
        >>> nx.explain.cross_token_jacobian(lambda x: nx.functional.token_mix(x, 2), x).round(6)
        array([[2., 2., 0.],
               [2., 0., 2.],
               [0., 2., 2.]])
        >>> mixer = nx.nn.TokenMixer(3, 8, 2)
        >>> (nx.explain.cross_token_jacobian(mixer, x) > 0).astype(int)
        array([[1, 1, 0],
               [1, 1, 1],
               [0, 1, 1]])
    """
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise DTypeError("derivatives need floating-point inputs", str(x.dtype), "use float64")
    if probes is not None:
        (probes,) = positive(probes=probes)
    y = fn(x)
    output = np.asarray(y)
    if x.ndim != 3 or output.ndim != 3 or len(x) != len(output):
        shapes = f"{x.shape} to {output.shape}"
        raise ShapeError("a block goes from (B, T, D) to (B, T', D')", shapes, "add or merge axes")
    if isinstance(y, Tensor):
        squares = _by_tape(fn, x, output, probes)
    else:
        squares = _by_differences(fn, x, output, probes)
    norms: Array = np.sqrt(squares / (probes or 1))  # the mean of ‖Ju‖² over normal u is ‖J‖²
    return norms


def _by_tape(fn: Callable[[Any], Any], x: Array, output: Array, probes: int | None) -> Array:
    _, pullback = vjp(fn, x)
    squares = np.zeros((output.shape[1], x.shape[1]))
    for t, cotangent in _directions(output, probes):
        squares[t] += (pullback(cotangent)[0].data ** 2).sum((0, 2))
    return squares


def _by_differences(fn: Callable[[Any], Any], x: Array, output: Array, probes: int | None) -> Array:
    """(f(x + hu) - f(x - hu)) / 2h, whose error is least for h about the cube root of eps, times x.

    eps is that of the less precise of x and f(x).
    """
    eps = max(float(np.finfo(one.dtype).eps) for one in (x, output) if one.dtype.kind == "f")
    squares = np.zeros((output.shape[1], x.shape[1]))
    for s, u in _directions(x, probes):
        h = eps ** (1 / 3) * max(1.0, float(np.abs(x[u != 0]).max(initial=0.0)))
        change = np.subtract(fn(x + h * u), fn(x - h * u), dtype=np.float64) / (2 * h)
        squares[:, s] += (change**2).sum((0, 2))
    return squares


def _directions(like: Array, probes: int | None) -> Iterator[tuple[int, Array]]:
    """A token, and a direction in it: every feature alone, or random ones of all its features."""
    B, T, D = like.shape
    rng = np.random.default_rng(0)
    for t in range(T):
        for i in range(B * D if probes is None else probes):
            u = np.zeros_like(like)
            if probes is None:
                u[i // D, t, i % D] = 1
            else:
                u[:, t] = rng.standard_normal((B, D))
            yield t, u


# What nobody sees ---------------------------------------------------------------------------


def null_space_direction(
    num_tokens: int, num_heads: int, head_dim: int = 1, *, rng: Any = None
) -> Array:
    """An A with token_mix(A) = -A, which x + token_mix(x) turns into 0.

    Mixing turns it into its negative if every chunk is the negative of the one that takes its
    place: along each even cycle of chunks the signs alternate, and on odd cycles A is 0. Where
    T = H that is chunk-antisymmetric: A_t^h = -A_h^t.

    Args:
        num_tokens, num_heads: T and H.
        head_dim: d, the features of a chunk.
        rng: None makes all amounts 1; a seed or Generator draws a normal one for each even cycle
            and feature.

    Returns:
        (T, H·d), of float64. Added to every sequence of x it leaves x + token_mix(x) as it was.

    Raises:
        ArgumentError: no cycle is even, so that nothing is lost.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> A = nx.explain.null_space_direction(3, 3)
        >>> A
        array([[ 0.,  1.,  1.],
               [-1.,  0.,  1.],
               [-1., -1.,  0.]])
        >>> np.array_equal(nx.functional.token_mix(A[None], 3), -A[None])
        True
    """
    T, H, d = positive(num_tokens=num_tokens, num_heads=num_heads, head_dim=head_dim)
    even = T * H - mixing_rank(T, H)
    if not even:
        invariant = "x + token_mix(x) loses something where a cycle of chunks is even"
        got = f"T = {T} and H = {H}, where all are odd"
        raise ArgumentError(invariant, got, f"take T = H = {max(T, 2)}, or read chunk_cycles")
    amounts = np.ones((even, d))
    if rng is not None:
        amounts = np.random.default_rng(rng).standard_normal((even, d))
    return alternating(T, H, amounts).reshape(T, H * d)


def alternating(num_tokens: int, num_heads: int, amounts: Array) -> Array:
    """(T·H, d): along the i-th even cycle ``amounts[i]``, (d,), with alternating signs."""
    A = np.zeros((num_tokens * num_heads, amounts.shape[1]))
    even = [cycle for cycle in chunk_cycles(num_tokens, num_heads) if len(cycle) % 2 == 0]
    for cycle, amount in zip(even, amounts, strict=True):
        A[cycle[0::2]], A[cycle[1::2]] = amount, -amount
    return A
