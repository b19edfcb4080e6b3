"""Numbers in two parts: a result as it is rounded, and what the rounding lost.

The two add up to more digits than one number has. Rows are the last axis. Everything is made of
sums and products that hold for complex numbers too, so that complex steps pass.
"""

from typing import TypeAlias

import numpy as np

from ..array import Array, real_part

__all__ = [
    "Pair",
    "cut",
    "difference",
    "dot",
    "halves",
    "quotient",
    "root",
    "row_exponent",
    "row_sum",
]

#: A number and a small one, to be added up without rounding.
Pair: TypeAlias = tuple[Array, Array]

_SPLITTER = 2.0**27 + 1


def difference(a: Array, b: Array) -> Pair:
    """a - b exactly, for numbers of any two sizes (Knuth)."""
    d = a - b
    moved = d - a
    return d, (a - (d - moved)) - (b + moved)


def halves(a: Array) -> Pair:
    """a as two numbers of 26 bits, whose products are exact (Veltkamp)."""
    t = _SPLITTER * a
    high = t - (t - a)
    return high, a - high


def _product(a: Array, b: Array) -> Pair:
    """a b exactly (Dekker)."""
    p = a * b
    a_high, a_low = halves(a)
    b_high, b_low = (a_high, a_low) if a is b else halves(b)
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def quotient(a: Pair, b: Pair) -> Pair:
    """a / b."""
    q = (a[0] + a[1]) / (b[0] + b[1])
    p, lost = _product(q, b[0])
    return q, (((a[0] - p) - lost) + (a[1] - q * b[1])) / b[0]


def root(a: Pair) -> Array:
    """√a, rounded once; 0 and infinity have nothing to mend."""
    y = np.sqrt(a[0])
    square, lost = _product(y, y)
    rest = (((a[0] - square) - lost) + a[1]) / (2 * y)
    mended: Array = y + np.where(np.isfinite(rest), rest, 0)
    return mended


def cut(x: Array, bits: int) -> Pair:
    """x as a multiple of the row's largest power of two over 2^bits, and the rest."""
    anchor = 1.5 * np.ldexp(1.0, row_exponent(x) + (52 - bits))  # where floats lie that far apart
    high = (x + anchor) - anchor
    return high, x - high


def row_sum(x: Array) -> Pair:
    """Σ x of every row: no sum of the first parts is longer than 53 bits, so none is rounded."""
    high, low = cut(x, 53 - x.shape[-1].bit_length())
    return _sum(high), _sum(low)


def dot(a: Array, b: Array) -> Pair:
    """Σ a b of every row: products of the first parts, and sums of them, have 53 bits at most."""
    bits = (53 - a.shape[-1].bit_length()) // 2
    a_high, a_low = cut(a, bits)
    b_high, b_low = (a_high, a_low) if a is b else cut(b, bits)
    return _sum(a_high * b_high), _sum(a_high * b_low + a_low * b)


def _sum(x: Array) -> Array:
    total: Array = np.add.reduce(x, axis=-1, keepdims=True)
    return total


def row_exponent(x: Array) -> Array:
    """The power of two just above the largest entry of every row that is finite."""
    exponent: Array = np.frexp(np.maximum.reduce(np.abs(real_part(x)), axis=-1, keepdims=True))[1]
    return exponent
