"""What the kernels in plain arrays share: constants, |x|, exponentials, and work in chunks.

A kernel is a generator. It yields a function's value and then, if it is asked once more, the slope:
what only the slope needs comes after the first yield and is not computed for the value alone.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeAlias

import numpy as np

from ..array import Array, ignoring_fp_errors
from ..errors import DTypeError

__all__ = [
    "CHUNK",
    "HALF",
    "ONE",
    "Kernel",
    "constants",
    "distance",
    "either",
    "exponential",
    "in_chunks",
    "polynomial",
    "ramp",
]

#: For one-dimensional float64 or complex128 data: yields the value, then the slope.
Kernel: TypeAlias = Callable[[Array], Iterator[Array]]

#: Points per step: what a step needs stays in the processor's cache, and NumPy's calls cost little
#: beside the arithmetic.
CHUNK = 12288


def constants(*values: float) -> tuple[Array, ...]:
    """Arrays of no dimension, for NumPy converts a Python float anew in every operation."""
    return tuple(np.array(value) for value in values)


ONE, ZERO, MINUS_ZERO, HALF = constants(1.0, 0.0, -0.0, 0.5)
LOWEST = np.array(-700.0)  # an exponent whose exp is not yet subnormal


def distance(x: Array, far: Array) -> Array:
    """Return |x|, at most far; of a complex x, ±x with a positive real part, at most far."""
    if x.dtype.kind == "c":
        t = np.where(np.signbit(x.real), -x, x)
        return np.where(t.real > far, far, t)
    result: Array = np.minimum(np.abs(x), far)
    return result


def ramp(x: Array) -> Array:
    """Return max(x, 0) with the sign of x; here and in `either`, `where` would cost twice that."""
    if x.dtype.kind == "c":
        return np.where(np.signbit(x.real), MINUS_ZERO, x)
    result: Array = np.copysign(np.maximum(x, ZERO), x)
    return result


def either(x: Array, left: Array) -> Array:
    """Return left where x is negative, and 1 - left elsewhere."""
    half = np.copysign(HALF, x.real)
    result: Array = (HALF + half) - (half + half) * left
    return result


def exponential(exponent: Array) -> tuple[Array, Array]:
    """Return (head, last): exp(exponent) = head last, head not subnormal, last mostly 1."""
    if not (exponent.real < LOWEST).any():
        return np.exp(exponent), ONE
    normal = np.maximum(exponent, LOWEST)
    return np.exp(normal), np.exp(exponent - normal)


def polynomial(x: Array, coefficients: tuple[Array, ...]) -> Array:
    """Return c[0] xⁿ + c[1] xⁿ⁻¹ + ... + c[n-1] x, the polynomial less its constant term."""
    result = x * coefficients[0]
    for c in coefficients[1:]:
        result += c
        result *= x
    return result


def in_chunks(kernel: Kernel, x: Array, parts: int) -> tuple[Array, ...]:
    """Apply a kernel to an array of any kind: one part is the value, the second the slope."""
    x = np.asarray(x)
    if x.dtype.kind in "iu":  # as NumPy's own functions take them
        x = x.astype(np.float64)
    if x.dtype.char not in "efdFD":
        raise DTypeError(
            "the function takes floating-point numbers of at most 64 bits",
            str(x.dtype),
            "use .astype('float64')",
        )
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    flat = x.reshape(-1)
    with ignoring_fp_errors():
        first = tuple(islice(kernel(flat[:CHUNK].astype(wide, copy=False)), parts))
        if flat.size <= CHUNK:
            return tuple(part.astype(x.dtype, copy=False).reshape(x.shape) for part in first)
        results = tuple(np.empty(flat.shape, x.dtype) for _ in first)
        for start in range(0, flat.size, CHUNK):
            piece = slice(start, start + CHUNK)
            found = kernel(flat[piece].astype(wide, copy=False)) if start else first
            for result, part in zip(results, found, strict=False):  # asks no more than wanted
                result[piece] = part
    return tuple(result.reshape(x.shape) for result in results)
