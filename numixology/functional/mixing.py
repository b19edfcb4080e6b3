"""The token mixer, step by step, and the laws it obeys.

A token of D features is cut into H chunks of d = D / H. Mixing makes the head-major sequence of
all T·H chunks and regroups it H chunks per token. That is a permutation of chunks, the perfect
shuffle: chunk i = tH + h moves to place hT + t.

T and H are positive integers, Python's or NumPy's, and what is none raises an ArgumentError, as an
unknown word for ``mixing`` does.
"""

import math
from typing import Literal, TypeAlias, get_args

import numpy as np

from ..array import A, Array, Shape, shape_of
from ..checks import one_of, positive
from ..errors import ArgumentError, ShapeError
from ..observe import step
from ..primitives import primitive
from ..shapes import transpose

__all__ = [
    "Mixing", "chunk_cycles", "chunk_destinations", "depth_to_mix", "head_dim", "mixing_order",
    "mixing_steps", "token_mix",
]  # fmt: skip

#: ``"rankmixer"`` is the paper's mixing; ``"guide"`` permutes back and so mixes nothing.
Mixing: TypeAlias = Literal["rankmixer", "guide"]

_MIXINGS = get_args(Mixing)
_HIGHEST_ORDER = 10_000_000


def mixing_steps(x: A, num_heads: int, *, mixing: Mixing = "rankmixer") -> dict[str, A]:
    """Every stage of token mixing, by name, in order.

    With d = D / H:

    ========= ============== =====================================================
    name      shape          what it holds
    ========= ============== =====================================================
    input     (B, T, D)
    partition (B, T, H, d)   each token cut into H chunks
    permute   (B, H, T, d)   head-major: all tokens' first chunks, then the second
    flatten   (B, H·T, d)    the same values in the same order, as one sequence
    merge     (B, T, D)      regrouped, H chunks per token: here the tokens mix
    ========= ============== =====================================================

    ``mixing="guide"`` follows the guide's own source instead: between flatten and merge it has
    ``unflatten`` (B, H, T, d), equal to permute, and ``restore`` (B, T, H, d), equal to
    partition. Its merge is its input: no token sees another. It is kept as an exhibit.

    Args:
        x: (B, T, D), an array or a tensor of any dtype.
        num_heads: H, a divisor of D. It need not equal T.
        mixing: ``"rankmixer"`` or ``"guide"``.

    Returns:
        A dict from the names to values like ``x``.

    Raises:
        ShapeError: x is not (B, T, D), or T or D is 0, or H does not divide D.
        DTypeError: x is neither an array nor a tensor.

    Source: RankMixer, section 3.2 (arXiv 2507.15551); guide, Token Mixer Step-by-Step.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> x = np.array([["a1", "a2", "a3", "a4"], ["b1", "b2", "b3", "b4"]])[None]
        >>> nx.functional.mixing_steps(x, 2)["merge"][0].tolist()
        [['a1', 'a2', 'b1', 'b2'], ['a3', 'a4', 'b3', 'b4']]
    """
    d = head_dim(shape_of(x, "mixing_steps"), num_heads, mixing)
    B, T, D = x.shape
    H = D // d
    stages = {"input": step("input", x)}

    def then(name: str, value: A) -> A:
        stages[name] = step(name, value)
        return value

    y = then("partition", x.reshape(B, T, H, d))  # (B, T, H, d)
    y = then("permute", transpose(y, (0, 2, 1, 3)))  # (B, H, T, d)
    y = then("flatten", y.reshape(B, H * T, d))  # (B, H·T, d)
    if mixing == "guide":
        y = then("unflatten", y.reshape(B, H, T, d))  # (B, H, T, d)
        y = then("restore", transpose(y, (0, 2, 1, 3)))  # (B, T, H, d)
    then("merge", y.reshape(B, T, D))  # (B, T, D)
    return stages


@primitive
def _token_mix(x: Array, *, num_heads: int, mixing: Mixing) -> Array:
    return mixing_steps(x, num_heads, mixing=mixing)["merge"]


@_token_mix.vjp("x")
def _token_mix_dx(ct: A, y: A, x: A, *, num_heads: int, mixing: Mixing) -> A:
    """The inverse permutation: the shuffle with T and H exchanged."""
    if mixing == "guide":
        return ct
    B, T, D = x.shape
    chunks = ct.reshape(B, num_heads, T, D // num_heads)  # (B, H, T, d)
    return transpose(chunks, (0, 2, 1, 3)).reshape(B, T, D)


def token_mix(x: A, num_heads: int, *, mixing: Mixing = "rankmixer") -> A:
    """The last of the :func:`mixing_steps`: y_s = concat over the s-th run of H chunks.

    For T = H this is the paper's formula: token s of the result is head s of every token,
    concatenated.

    Args:
        x: (B, T, D), an array or a tensor of any dtype.
        num_heads: H, a divisor of D.
        mixing: ``"rankmixer"`` or ``"guide"``, which moves nothing.

    Returns:
        (B, T, D), a permutation of the values of ``x`` within each batch row.

    Raises:
        ShapeError: x is not (B, T, D), or T or D is 0, or H does not divide D.
        DTypeError: x is neither an array nor a tensor.

    Source: RankMixer, section 3.2 (arXiv 2507.15551); guide, Token Mixer Step-by-Step.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> nx.functional.token_mix(np.arange(8).reshape(1, 2, 4), 2)
        array([[[0, 1, 4, 5],
                [2, 3, 6, 7]]])
    """
    shape_of(x, "token_mix")  # mixing_steps checks the rest
    (H,) = positive(num_heads=num_heads)
    return _token_mix(x, num_heads=H, mixing=mixing)


def head_dim(shape: Shape, num_heads: int, mixing: str = "rankmixer") -> int:
    """d = D / H, after checking that x of this shape can be mixed with H heads."""
    one_of("mixing", mixing, _MIXINGS)
    if len(shape) != 3:
        raise ShapeError("x has shape (B, T, D)", str(shape), "add or merge axes first")
    if shape[1] == 0 or shape[2] == 0:
        raise ShapeError("x has at least one token and one feature", str(shape), "check the input")
    return divided(shape[2], num_heads)


def divided(hidden_dim: int, num_heads: int) -> int:
    """D / H, where H divides D."""
    hidden_dim, num_heads = positive(hidden_dim=hidden_dim, num_heads=num_heads)
    if hidden_dim % num_heads:
        up_to = min(math.isqrt(hidden_dim), 1000)
        low = [n for n in range(1, up_to + 1) if hidden_dim % n == 0]
        divisors = [str(n) for n in sorted({*low, *(hidden_dim // n for n in low)})]
        known = ", ".join(divisors[:-1]) + f" or {divisors[-1]}" if len(divisors) > 1 else "1"
        sizes = f"{hidden_dim} and {num_heads}"
        raise ShapeError("hidden_dim must be divisible by num_heads", sizes, f"try {known}")
    return hidden_dim // num_heads


def chunk_destinations(num_tokens: int, num_heads: int) -> Array:
    """Where each chunk goes: place hT + t for chunk tH + h.

    Args:
        num_tokens, num_heads: T and H.

    Returns:
        (T·H,) of int64. With N = T·H, chunk i < N - 1 goes to iT mod (N - 1), the last stays.

    Source: RankMixer, section 3.2 (arXiv 2507.15551), where T = H.

    Example:
        >>> import numixology as nx
        >>> nx.functional.chunk_destinations(2, 3)
        array([0, 2, 4, 1, 3, 5])
    """
    num_tokens, num_heads = positive(num_tokens=num_tokens, num_heads=num_heads)
    t, h = np.divmod(np.arange(num_tokens * num_heads), num_heads)
    return h * num_tokens + t


def chunk_cycles(num_tokens: int, num_heads: int) -> list[list[int]]:
    """The cycles of the chunk permutation, each from its smallest chunk on.

    Args:
        num_tokens, num_heads: T and H.

    Returns:
        One list per cycle. Each chunk of it moves to the place of the next, and the last to that of
        the first; a chunk that is alone stays.

    Example:
        >>> import numixology as nx
        >>> nx.functional.chunk_cycles(2, 3)
        [[0], [1, 2, 4, 3], [5]]
    """
    to = chunk_destinations(num_tokens, num_heads).tolist()
    cycles: list[list[int]] = []
    seen: set[int] = set()
    for first in range(len(to)):
        if first not in seen:
            cycle = [first]
            while (chunk := to[cycle[-1]]) != first:
                cycle.append(chunk)
            cycles.append(cycle)
            seen.update(cycle)
    return cycles


def mixing_order(num_tokens: int, num_heads: int) -> int:
    """How many mixings in a row give back the input: the order of T modulo TH - 1.

    Args:
        num_tokens, num_heads: T and H.

    Returns:
        The smallest n ≥ 1 with Tⁿ = 1 modulo TH - 1. It is 2 where T = H > 1, the involution.

    Raises:
        ArgumentError: an order above 10,000,000, since it is found by trying.

    Example:
        >>> import numixology as nx
        >>> nx.functional.mixing_order(4, 4), nx.functional.mixing_order(8, 3)
        (2, 11)
    """
    num_tokens, num_heads = positive(num_tokens=num_tokens, num_heads=num_heads)
    modulus = num_tokens * num_heads - 1
    if modulus <= 1:
        return 1
    power = num_tokens % modulus
    for order in range(1, _HIGHEST_ORDER + 1):
        if power == 1:
            return order
        power = power * num_tokens % modulus
    sizes = f"{num_tokens} tokens and {num_heads} heads"
    invariant = f"the order of mixing is found up to {_HIGHEST_ORDER:,}"
    raise ArgumentError(invariant, sizes, "use fewer of them")


def depth_to_mix(num_tokens: int, num_heads: int, *, mixing: Mixing = "rankmixer") -> int | None:
    """The number of layers after which every token sees every token: ⌈log_H T⌉.

    Args:
        num_tokens, num_heads: T and H.
        mixing: ``"rankmixer"`` or ``"guide"``.

    Returns:
        The smallest n with Hⁿ ≥ T, found by integer arithmetic; None where it never happens,
        which is for H = 1 < T and for ``"guide"`` with T > 1.

    Example:
        >>> import numixology as nx
        >>> nx.functional.depth_to_mix(12, 2), nx.functional.depth_to_mix(12, 12)
        (4, 1)
    """
    num_tokens, num_heads = positive(num_tokens=num_tokens, num_heads=num_heads)
    one_of("mixing", mixing, _MIXINGS)
    if num_tokens == 1:
        return 0
    if num_heads == 1 or mixing == "guide":
        return None
    depth, seen = 0, 1
    while seen < num_tokens:
        depth, seen = depth + 1, seen * num_heads
    return depth
