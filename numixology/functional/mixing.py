"""The token mixer, step by step, and the laws it obeys.

A token of D features is cut into H chunks of d = D / H. Mixing makes the head-major sequence of
all T·H chunks and regroups it H chunks per token. That is a permutation of chunks, the perfect
shuffle: chunk i = tH + h moves to place hT + t.

T and H are positive integers, Python's or NumPy's, and what is none raises an ArgumentError, as an
unknown word for ``mixing`` does.
"""

import math
from collections import Counter
from typing import Literal, TypeAlias, get_args

import numpy as np

from ..array import A, Array, Shape, shape_of
from ..checks import one_of, positive
from ..errors import ArgumentError, ShapeError
from ..observe import step
from ..primitives import primitive
from ..shapes import transpose

__all__ = [
    "Mixing", "chunk_cycles", "chunk_destinations", "depth_to_mix", "head_dim", "mixing_condition",
    "mixing_order", "mixing_rank", "mixing_steps", "token_mix", "token_revert",
]  # fmt: skip

#: ``"rankmixer"`` is the paper's mixing; ``"guide"`` permutes back and so mixes nothing.
Mixing: TypeAlias = Literal["rankmixer", "guide"]

_MIXINGS = get_args(Mixing)
_MOST_CHUNKS = 10**12


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
    """A permutation's transpose is its inverse."""
    return ct if mixing == "guide" else token_revert(ct, num_heads)


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


def token_revert(x: A, num_heads: int) -> A:
    """The inverse of :func:`token_mix`: every chunk returns to its place.

    It is the shuffle with T and H exchanged: of the T·H chunks as one sequence, chunk hT + t moves
    to place tH + h. Only where T = H is it :func:`token_mix` again.

    Args:
        x: (B, T, D), an array or a tensor of any dtype.
        num_heads: H, a divisor of D.

    Returns:
        (B, T, D), the one y with token_mix(y, H) = x.

    Raises:
        ShapeError: x is not (B, T, D), or T or D is 0, or H does not divide D.
        DTypeError: x is neither an array nor a tensor.

    Source: TokenMixer-Large (arXiv 2602.06563), there with H tokens of T chunks.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> x = np.arange(12).reshape(1, 3, 4)
        >>> bool((nx.functional.token_revert(nx.functional.token_mix(x, 2), 2) == x).all())
        True
    """
    d = head_dim(shape_of(x, "token_revert"), num_heads)
    B, T, D = x.shape
    chunks = x.reshape(B, D // d, T, d)  # (B, H, T, d)
    return transpose(chunks, (0, 2, 1, 3)).reshape(B, T, D)


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
        ArgumentError: more than 10¹² chunks, since TH - 1 is factored by trying.

    Example:
        >>> import numixology as nx
        >>> nx.functional.mixing_order(4, 4), nx.functional.mixing_order(8, 3)
        (2, 11)
    """
    return max(length for _, length in _cycle_lengths(num_tokens, num_heads))


def mixing_rank(num_tokens: int, num_heads: int) -> int:
    """The rank of I + P over the N = TH chunks: N less one for every cycle of even length.

    Along a cycle of even length, values of alternating sign are their own negatives after mixing,
    so x + token_mix(x) loses them: d = D / H dimensions for every such cycle. With φ(m) for how
    many numbers up to m have no common factor with m, and ord_m(T) for the order of T modulo m,

        rank = N - Σ φ(m) / ord_m(T), over the m that divide N - 1 and have ord_m(T) even.

    Args:
        num_tokens, num_heads: T and H.

    Returns:
        The rank, of N. Over all TD features it is d times as large. Where T = H it is N (T + 1)/2T.

    Raises:
        ArgumentError: as :func:`mixing_order` does.

    Source: the proof is in the documentation, "The laws of mixing".

    Example:
        >>> import numixology as nx
        >>> nx.functional.mixing_rank(4, 4), nx.functional.mixing_rank(4, 16)
        (10, 64)
    """
    cycles = _cycle_lengths(num_tokens, num_heads)
    even = sum(chunks // length for chunks, length in cycles if length % 2 == 0)
    return int(num_tokens) * int(num_heads) - even


def mixing_condition(num_tokens: int, num_heads: int) -> float:
    """The condition number of I + P: 1 / sin(π / 2ℓ) where the order ℓ is odd, else infinite.

    On a cycle of length n the singular values of I + P are the absolute values of 2 cos(πk / n),
    for k from 0 to n - 1. The largest is 2. The smallest is 0 for even n, and 2 sin(π / 2n) for odd
    n, less the longer the cycle. Every length divides the order, and chunk 1 goes round in a cycle
    as long as the order: so the order alone decides.

    Args:
        num_tokens, num_heads: T and H.

    Returns:
        The largest singular value over the smallest, from 1 on; ``math.inf`` where I + P is
        singular, as for T = H > 1.

    Raises:
        ArgumentError: as :func:`mixing_order` does.

    Example:
        >>> import numixology as nx
        >>> [round(nx.functional.mixing_condition(T, H), 2) for T, H in [(3, 4), (12, 16), (4, 4)]]
        [3.24, 60.48, inf]
    """
    order = mixing_order(num_tokens, num_heads)
    return 1 / math.sin(math.pi / (2 * order)) if order % 2 else math.inf


def _cycle_lengths(num_tokens: int, num_heads: int) -> list[tuple[int, int]]:
    """Of the first N - 1 chunks: how many go round in cycles of which length.

    For each m that divides N - 1 there are φ(m) chunks i for which (N - 1) / gcd(i, N - 1) is m.
    Chunk i is back at its place after n mixings if i Tⁿ = i modulo N - 1, which is Tⁿ = 1 modulo m.
    Both φ(m) and the order of T modulo m follow from the powers of primes that m is made of.
    """
    T, H = positive(num_tokens=num_tokens, num_heads=num_heads)
    if T * H > _MOST_CHUNKS:
        invariant = f"the laws of mixing are found for up to {_MOST_CHUNKS:,} chunks"
        raise ArgumentError(invariant, f"{T} tokens and {H} heads", "use fewer of them")
    cycles = [(1, 1)]
    for prime, power in _factors(T * H - 1).items():
        parts = [(1, 1)]
        for modulus in (prime**e for e in range(1, power + 1)):
            units = modulus - modulus // prime  # φ
            parts.append((units, _order(T, modulus, units)))
        cycles = [(n * k, math.lcm(length, part)) for n, length in cycles for k, part in parts]
    return cycles


def _order(base: int, modulus: int, exponent: int) -> int:
    """The smallest n ≥ 1 with baseⁿ = 1, of those that divide an exponent with this property."""
    for prime in _factors(exponent):
        while exponent % prime == 0 and pow(base, exponent // prime, modulus) == 1:
            exponent //= prime
    return exponent


def _factors(number: int) -> Counter[int]:
    """The primes of a number, and the power of each."""
    found: Counter[int] = Counter()
    prime = 2
    while prime * prime <= number:
        if number % prime:
            prime += 1
        else:
            number //= prime
            found[prime] += 1
    if number > 1:
        found[number] += 1
    return found


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
