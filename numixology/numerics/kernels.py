"""A kernel: a function of one number and its slope, on arrays of any shape.

Kernels take real arrays only. What they share is here: work in chunks, polynomials, and the two
ways to make a function of its left half.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from ..array import Array, Carrier
from ..errors import DTypeError

__all__ = [
    "CHUNK", "Kernel", "constants", "decay", "either", "log1p", "near_the_real_axis",
    "polynomial", "ramp",
]  # fmt: skip

#: Of one-dimensional float64 data: yields the value, then the slope.
Steps: TypeAlias = Callable[[Array], Iterator[Array]]

#: Numbers per step: what a step needs stays in the processor's cache, and NumPy's calls cost little
#: beside the arithmetic.
CHUNK = 8192


class Kernel:
    """A function of one number, made by a generator that yields its value and then its slope.

    What stands after the first ``yield`` is not computed for the value alone. float32 is computed
    in float64 and rounded once.
    """

    def __init__(self, steps: Steps, single: Steps | None = None) -> None:
        """``single`` are steps for float32, which need fewer digits."""
        self.steps = steps
        self.single = single or steps

    def __call__(self, x: Array) -> Array:
        """The value, of the shape and dtype of x."""
        return self._parts(x, 1)[0]

    def with_slope(self, x: Array) -> tuple[Array, Array]:
        """The value and the slope, of the shape and dtype of x."""
        value, slope = self._parts(x, 2)
        return value, slope

    def _parts(self, x: Array, count: int) -> list[Array]:
        x = np.asarray(x)
        if x.dtype.kind in "iu":  # as NumPy's own functions take them
            x = x.astype(np.float64)
        if x.dtype.char not in "efd":
            invariant = "the function takes floating-point numbers of at most 64 bits"
            raise DTypeError(invariant, str(x.dtype), "use .astype('float64')")
        steps = self.steps if x.dtype.char == "d" else self.single
        flat = x.reshape(-1)
        parts = [np.empty(flat.size, x.dtype) for _ in range(count)]
        for start in range(0, flat.size, CHUNK):
            piece = slice(start, start + CHUNK)
            found = steps(flat[piece].astype(np.float64, copy=False))
            for part, chunk in zip(parts, found, strict=False):  # asks for no more than wanted
                part[piece] = chunk
        return [part.reshape(x.shape) for part in parts]


def constants(*values: float) -> tuple[Array, ...]:
    """Arrays of no dimension, for NumPy converts a Python float anew in every operation."""
    return tuple(np.array(value) for value in values)


def polynomial(x: Array, coefficients: tuple[Array, ...]) -> Array:
    """c[0] xⁿ + c[1] xⁿ⁻¹ + ... + c[n], the highest power first."""
    result = x * coefficients[0]
    for c in coefficients[1:-1]:
        result += c
        result *= x
    result += coefficients[-1]
    return result


def decay(t: Array) -> tuple[Array, Array]:
    """(head, last): exp(-t) = head last, where last is 1 unless exp(-t) is subnormal.

    A subnormal number has few digits; with ``last`` multiplied last, only the result is rounded so.
    """
    if not (t > 700.0).any():
        return np.exp(-t), np.array(1.0)
    normal = np.minimum(t, 700.0)
    return np.exp(-normal), np.exp(normal - t)


def ramp(x: Array) -> Array:
    """max(x, 0) with the sign of x."""
    result: Array = np.copysign(np.maximum(x, 0.0), x)
    return result


def either(x: Array, left: Array) -> Array:
    """left where x is negative, and 1 - left elsewhere, in less time than by ``where``."""
    half = np.copysign(0.5, x)
    result: Array = (0.5 + half) - (half + half) * left
    return result


def near_the_real_axis(
    z: Array, value: Callable[[Array], Array], slope: Callable[[Array], Array]
) -> Array:
    """f(a) + ib f'(a) for z = a + ib: f(z) up to b², which is all of it for a complex step.

    This stands in for functions that no formula gives in the complex plane.
    """
    plain = np.asarray(z)
    result = np.empty_like(plain)
    result.real, result.imag = value(plain.real), plain.imag * slope(plain.real)
    return result.view(type(z))


def log1p(z: Array) -> Array:
    """ln(1 + z), whose real part NumPy's own loses near 0 where z is complex."""
    if not np.iscomplexobj(z) or isinstance(z, Carrier):
        return np.log1p(z)
    a, b = z.real, z.imag
    result: Array = 0.5 * np.log1p(a * (2 + a) + b * b) + 1j * np.arctan2(b, 1 + a)
    return result
