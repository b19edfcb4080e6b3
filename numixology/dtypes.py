"""The five dtypes that tensors have, and how values come to be of one of them."""

from typing import Any

import numpy as np

from .array import Array, DTypeLike, ignoring_fp_errors
from .errors import ArgumentError, DTypeError

__all__ = [
    "DTYPES",
    "as_dtype",
    "bad_dtype",
    "cast",
]

#: The dtypes that tensors have.
DTYPES = tuple(np.dtype(t) for t in (np.float64, np.float32, np.int64, np.int32, np.bool_))


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """``dtype`` as one of the five that tensors have.

    Raises:
        DTypeError: it is another one.
    """
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError as error:
        raise bad_dtype(repr(dtype)) from error
    if found not in DTYPES:
        raise bad_dtype(str(found))
    return found


def cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """Values outside float32's range become infinite; a NaN or infinity is not an integer."""
    if dtype.kind == "i" and array.dtype.kind == "f":
        info = np.iinfo(dtype)
        wide = array.astype(np.promote_types(array.dtype, np.float32), copy=False)
        if not ((wide >= info.min) & (wide < info.max + 1)).all():  # max itself may round up
            raise ArgumentError(
                f"values must fit {dtype}", "NaN, infinity or a number beyond it", "clip them first"
            )
    if dtype.kind == "i" and array.dtype.kind in "iu" and array.size:
        info = np.iinfo(dtype)
        if array.min() < info.min or array.max() > info.max:
            raise ArgumentError(
                f"values must fit {dtype}", f"values up to {array.max()}", "clip them first"
            )
    with ignoring_fp_errors():
        return array.astype(dtype)


def bad_dtype(received: str) -> DTypeError:
    """The error for every dtype but the five."""
    return DTypeError(
        "tensors hold float64, float32, int64, int32 or bool",
        received,
        "convert it first, or pass dtype=",
    )
