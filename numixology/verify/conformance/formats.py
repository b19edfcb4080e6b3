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
            if self.name != "bfloat16":
                return array.astype(self.container)
            single = array.astype(np.float32)
            bits = single.view(np.uint32)
            tie = (bits & 0xFFFF) == 0x8000
            # A tie that float32 has only just made, by rounding, goes to where it came from.
            bits = bits + (tie & (np.abs(single) < np.abs(array))).astype(np.uint32)
            bits = bits - (tie & (np.abs(single) > np.abs(array))).astype(np.uint32)
            odd = (bits >> 16) & 1  # ties go to the even neighbor
            rounded = ((bits + 0x7FFF + odd) & 0xFFFF0000).astype(np.uint32).view(np.float32)
            return np.where(np.isfinite(single), rounded, single)


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
