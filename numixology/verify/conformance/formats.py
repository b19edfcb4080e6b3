"""Number formats: how many digits a backend keeps, and what it loses at its ends."""

from typing import NamedTuple

import numpy as np

from ...array import Array, DTypeLike, ignoring_fp_errors
from ...errors import DTypeError

__all__ = ["FORMATS", "Format", "format_of"]


class Format(NamedTuple):
    """A floating-point format.

    Attributes:
        name: as in ``"float32"``.
        digits: binary digits of the significand, the leading one included.
        lowest: the exponent of the smallest normal number, 2**lowest.
        highest: numbers are below 2**highest.
        container: the NumPy dtype whose arrays carry it; bfloat16 travels in float32.
        wide: the dtype in which a kernel calculates before it stores.

    Example:
        >>> from numixology.verify.conformance import FORMATS
        >>> FORMATS["bfloat16"].unit, FORMATS["bfloat16"].stored([1.001, 1.005])
        (0.00390625, array([1.       , 1.0078125], dtype=float32))
    """

    name: str
    digits: int
    lowest: int
    highest: int
    container: DTypeLike
    wide: DTypeLike

    @property
    def unit(self) -> float:
        """The unit roundoff, by which one rounding moves a number at most, relative to it."""
        return 2.0**-self.digits

    @property
    def smallest(self) -> float:
        """The smallest positive number, a subnormal one."""
        return 2.0 ** (self.lowest - self.digits + 1)

    def stored(self, values: object) -> Array:
        """Values rounded to the nearest numbers of the format, in its container."""
        with ignoring_fp_errors():
            array = np.asarray(values)
            return _bfloat16(array) if self.name == "bfloat16" else array.astype(self.container)


def _bfloat16(values: Array) -> Array:
    """The upper half of float32's bits, rounded: ties go to the even neighbor."""
    single = values.astype(np.float32, order="C")
    lost, bits = np.isnan(single), single.reshape(-1).view(np.uint32)
    if values.dtype != np.float32:  # a tie that float32 has only just made goes where it came from
        tie = np.flatnonzero((bits & 0xFFFF) == 0x8000)
        near, true = np.abs(single.reshape(-1)[tie]), np.abs(values.reshape(-1)[tie])
        bits[tie] += np.sign(true - near).astype(np.int32).view(np.uint32)
    bits += 0x7FFF + ((bits >> 16) & 1)
    bits &= 0xFFFF0000
    single[lost] = np.nan
    return single


#: Every format by name.
FORMATS = {
    one.name: one
    for one in (
        Format("float64", 53, -1022, 1024, np.float64, np.float64),
        Format("float32", 24, -126, 128, np.float32, np.float32),
        Format("bfloat16", 8, -126, 128, np.float32, np.float32),
        Format("float16", 11, -14, 16, np.float16, np.float32),
    )
}


def format_of(name: str) -> Format:
    """The format of that name.

    Raises:
        DTypeError: there is none.
    """
    if name not in FORMATS:
        raise DTypeError(
            "a backend calculates in one of the formats known here",
            repr(name),
            f"use {', '.join(FORMATS)}",
        )
    return FORMATS[name]
