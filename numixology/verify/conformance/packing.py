"""Tensors in files: npz, safetensors, and raw bytes, which are written here and read again.

Files may have been damaged, or made to do damage. Nothing in them is evaluated or unpickled, a size
is believed only if the file is as long, and whatever is wrong becomes a :class:`.VectorError` that
names the file.
"""

import math
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np

from ...array import Array, Shape
from ...errors import ArgumentError, NumixologyError, VectorError

__all__ = ["CONTAINERS", "Header", "Source", "aligned", "carried", "contents", "damaged"]
__all__ += ["opened", "packed", "reading", "source_of"]

#: The formats, and how the names of their files end.
CONTAINERS = {"npz": ".npz", "safetensors": ".safetensors", "raw": ".bin"}

#: The dtypes by the names that manifests have for them, and how NumPy calls their bytes. bfloat16,
#: which it does not have, is the upper half of a float32.
_BYTES = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "int64": "<i8"}

#: What a .npy file starts with is shorter than this.
_START = 1024


class Header(NamedTuple):
    """What a tensor is, before its numbers are read."""

    dtype: str
    shape: Shape

    @property
    def length(self) -> int:
        """How many bytes its numbers take."""
        return math.prod(self.shape) * np.dtype(_BYTES[self.dtype]).itemsize

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} {self.dtype}"


def carried(dtype: str, container: str) -> str:
    """The dtype in which numbers of a format lie in such a file; npz has no bfloat16."""
    return "float32" if (dtype, container) == ("bfloat16", "npz") else dtype


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


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """A file and how long it is. A pipe or a device would have no end."""
    with reading(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise damaged(path, "it is a file", "something else")
        with open(path, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size


#: By its key, what reads a tensor: given what that has to be, it says what it is, and returns the
#: numbers if it is that; bfloat16 comes in float32.
Source: TypeAlias = Mapping[str, Callable[[Header], tuple[Header, Array]]]


def source_of(
    path: Path, stack: ExitStack, places: Mapping[str, tuple[Path, int | None]] | None = None
) -> Source:
    """The tensors of a file, which is open until the stack is closed.

    Args:
        path: of a ``.npz`` or a ``.safetensors`` file.
        stack: closes it.
        places: where raw bytes are: in which file, and from where on; None for all of it.
    """
    if places is not None:
        return {key: partial(_in_bytes, *place) for key, place in places.items()}
    with opened(path):
        if path.suffix == ".npz":
            file: Any = stack.enter_context(zipfile.ZipFile(path))
            names = file.namelist()
            return {n.removesuffix(".npy"): partial(_in_npz, path, file, n) for n in names}
        file = stack.enter_context(_library("safetensors").safe_open(path, "numpy"))
        return {key: partial(_in_safetensors, path, file, key) for key in [*file.keys()]}


def _in_npz(path: Path, file: Any, name: str, wanted: Header) -> tuple[Header, Array]:
    """From a zip of .npy files. No more is unpacked than a header and the numbers may take."""
    with reading(path), file.open(name) as member:
        start = BytesIO(member.read(_START))
        major, minor = np.lib.format.read_magic(start)
        header_of = getattr(np.lib.format, f"read_array_header_{major}_{minor}")
        shape, backwards, dtype = header_of(start)
        if (found := Header(dtype.name, shape)) != wanted:
            return found, np.zeros(0)
        flat = np.frombuffer(start.read() + member.read(wanted.length + 1), dtype)
        return found, flat.astype(wanted.dtype).reshape(shape, order="F" if backwards else "C")


def _in_safetensors(path: Path, file: Any, key: str, wanted: Header) -> tuple[Header, Array]:
    """By the library of that name, which has compared all sizes with the file's."""
    with reading(path):
        _library("ml_dtypes")
        array = file.get_tensor(key)
        found = Header(array.dtype.name, array.shape)
        return found, array.astype(carried(found.dtype, "npz"))


def _in_bytes(path: Path, start: int | None, wanted: Header) -> tuple[Header, Array]:
    """From bytes, which do not say what they are; a file of another length is refused."""
    with opened(path) as (file, size):
        if start is None and size != wanted.length:
            instead = f"write it in {wanted.dtype}"
            raise damaged(path, f"{wanted} are in a file of {wanted.length} bytes", size, instead)
        file.seek(start or 0)
        flat = np.frombuffer(file.read(wanted.length), _BYTES[wanted.dtype])
        if wanted.dtype == "bfloat16":
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return wanted, flat.astype(carried(wanted.dtype, "npz")).reshape(wanted.shape)
