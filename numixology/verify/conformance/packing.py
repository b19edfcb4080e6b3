"""Tensors in files: npz by NumPy, safetensors by its library, and raw bytes.

Nothing in a file is evaluated or unpickled, and whatever is wrong with one becomes a
:class:`.VectorError` that names it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ...array import Array, Shape
from ...errors import ArgumentError, NumixologyError, VectorError

__all__ = ["CONTAINERS", "aligned", "carried", "contents", "damaged", "described", "packed"]
__all__ += ["reading", "tensors_of", "unpacked"]

#: The formats, and how the names of their files end.
CONTAINERS = {"npz": ".npz", "safetensors": ".safetensors", "raw": ".bin"}

#: The dtypes by the names that manifests have for them, and how NumPy calls their bytes. bfloat16,
#: which it does not have, is the upper half of a float32.
_BYTES = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "int64": "<i8"}


def carried(dtype: str, container: str = "npz") -> str:
    """The dtype in which numbers of a format lie in such a file; npz has no bfloat16."""
    return "float32" if (dtype, container) == ("bfloat16", "npz") else dtype


def described(dtype: str, shape: Shape) -> str:
    """A tensor in an error message."""
    return f"{' x '.join(map(str, shape))} {'bytes' if dtype == 'uint8' else dtype}"


# Writing -----------------------------------------------------------------------


def packed(value: Array, dtype: str) -> Array:
    """An array as it lies in files: little-endian, the last axis fastest."""
    if dtype == "bfloat16":
        value = value.astype("<f4").view("<u4") >> 16
    return np.ascontiguousarray(value, _BYTES[dtype]).reshape(value.shape)


def aligned(end: int) -> int:
    """Where the next tensor starts in a raw file: at a multiple of 8."""
    return -(-end // 8) * 8


def contents(container: str, tensors: Mapping[str, Array]) -> bytes:
    """A file that holds packed tensors under their keys.

    The bytes are the same every time.

    Raises:
        ArgumentError: a library that writes such files is not installed.
    """
    if container == "safetensors":
        _library("ml_dtypes")  # which tells NumPy what bfloat16 is
        names = {np.dtype(_BYTES["bfloat16"]): "bfloat16"}
        typed = {key: one.view(names.get(one.dtype, one.dtype)) for key, one in tensors.items()}
        return bytes(_library("safetensors.numpy").save(typed))
    if container == "raw":
        return b"".join(x.tobytes().ljust(aligned(x.nbytes), b"\0") for x in tensors.values())
    file, arrays = BytesIO(), dict[str, Any](tensors)
    np.savez(file, **arrays)
    return file.getvalue()


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ArgumentError(
            "files of safetensors need the library of that name, and bfloat16 in them ml_dtypes",
            str(error),
            "run pip install numixology[vectors], or use npz or raw",
        ) from error


# Reading -----------------------------------------------------------------------


def damaged(path: Path, invariant: str, received: object, instead: str = "") -> VectorError:
    """The error for a file that is not what it should be."""
    text = " ".join(str(received).split())[:200]
    return VectorError(f"{path}: {invariant}", text or "nothing", instead or "write it again")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong in this block is the file's fault."""
    try:
        yield
    except NumixologyError:
        raise
    except Exception as error:
        text = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise damaged(
            path, "it must be readable", text, "check the path, or write it again"
        ) from error


def tensors_of(path: Path) -> dict[str, Array]:
    """What is in a file, by its keys; of a raw file all its bytes, by its name."""
    with reading(path):
        if path.suffix == ".npz":
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                return {key: np.asarray(archive[key]) for key in archive}
        if path.suffix == ".safetensors":
            _library("ml_dtypes")
            return dict(_library("safetensors.numpy").load_file(path))
        return {path.stem: np.fromfile(path, np.uint8)}


def unpacked(value: Array, dtype: str, shape: Shape) -> Array:
    """The numbers in a tensor of :func:`tensors_of`; bfloat16 comes in float32.

    Bytes do not say what they are: they become what is asked for, if they are as many.
    """
    if value.dtype == np.uint8 and value.size == np.prod(shape) * np.dtype(_BYTES[dtype]).itemsize:
        value = value.view(_BYTES[dtype]).reshape(shape)
    if dtype == "bfloat16" and value.dtype.name in ("uint16", "bfloat16"):
        value = (value.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return value
