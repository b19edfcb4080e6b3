"""Tensors from files that may have been damaged, or made to do damage.

Nothing in them is evaluated or unpickled, a size is believed only if the file is as long, and
whatever is wrong becomes a :class:`.VectorError` that names the file.
"""

import json
import math
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from ...array import Array, Shape
from ...errors import VectorError
from .packing import BYTES, Header, offsets, unpacked

__all__ = [
    "NpzFile",
    "RawFile",
    "RawFolder",
    "SafetensorsFile",
    "Source",
    "checked_shape",
    "damaged",
    "parse_json",
    "reading",
    "size_of",
    "whole",
]

_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
}

#: A header of one tensor, and of all tensors, is not longer than this.
_ONE_HEADER, _ALL_HEADERS = 1024, 2**26
_AXES = 8

#: What reading a damaged file raises.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # among them those for encryption, unknown compression, and recursion
    ValueError,
)


class Source(Protocol):
    """A file, or a folder, from which tensors are read."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def keys(self) -> Collection[str]:
        """Under which keys it has tensors."""

    def header(self, key: str) -> Header:
        """What a tensor is; its dtype may be one that is not known here."""

    def array(self, key: str) -> Array:
        """Its numbers. The header has been looked at, so their size is acceptable."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong in this block is the file's fault."""
    try:
        yield
    except VectorError:
        raise
    except _DAMAGE as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise VectorError(
            f"{path} can be read", text, "look whether it is there, or write it again"
        ) from error


def damaged(path: Path, invariant: str, received: object) -> VectorError:
    """The error for a file that is not what it should be."""
    text = " ".join(str(received).split())[:200]
    return VectorError(f"{path}: {invariant}", text or "nothing", "write it again")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """A file and how long it is. A pipe or a device would have no end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise damaged(path, "it is a file", "something else")
    with open(path, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def size_of(path: Path) -> int:
    """How many bytes a file holds."""
    with reading(path), _opened(path) as (_, size):
        return size


def whole(path: Path, limit: int) -> bytes:
    """All of a file that is not longer than the limit."""
    with reading(path), _opened(path) as (file, size):
        if size > limit:
            raise damaged(path, f"it has at most {limit} bytes", size)
        return file.read(size)


def parse_json(text: bytes, path: Path) -> Any:
    """JSON as the standard has it: no NaN, no infinity, every name once."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise damaged(path, "every name stands once", [name for name, _ in pairs])
        return found

    def number(word: str) -> float:
        if not math.isfinite(value := float(word)):
            raise damaged(path, "numbers are finite", word)
        return value

    with reading(path):
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=once, parse_float=number, parse_constant=number
        )


def checked_shape(lengths: object, path: Path) -> Shape:
    """The lengths of a tensor's axes, if that is what they are."""
    if not isinstance(lengths, list | tuple) or len(lengths) > _AXES:
        raise damaged(path, f"a shape has up to {_AXES} lengths", lengths)
    if not all(type(length) is int and 0 <= length < 2**63 for length in lengths):
        raise damaged(path, "lengths are whole numbers from 0", lengths)
    return tuple(lengths)


class NpzFile:
    """A zip file of .npy files, which is open until the stack is closed."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        with reading(path):
            file, _ = stack.enter_context(_opened(path))
            self.archive = stack.enter_context(zipfile.ZipFile(file))
            self.keys = {name.removesuffix(".npy") for name in self.archive.namelist()}

    def header(self, key: str) -> Header:
        """What the .npy header says."""
        with reading(self.path), self.archive.open(f"{key}.npy") as member:
            return self._about(member)[0]

    def array(self, key: str) -> Array:
        """The numbers of a member."""
        with reading(self.path), self.archive.open(f"{key}.npy") as member:
            header, order, swapped = self._about(member)
            data = member.read(header.length + 1)
            if len(data) != header.length:
                raise damaged(self.path, f"{key} has {header.length} bytes of numbers", len(data))
            if swapped:
                data = np.frombuffer(data, BYTES[header.dtype]).byteswap().tobytes()
            return unpacked(header, data, order)

    def _about(self, member: IO[bytes]) -> tuple[Header, str, bool]:
        """The header of a .npy file, taken apart and not evaluated."""
        magic, version = member.read(6), member.read(2)
        if magic != b"\x93NUMPY" or version not in (b"\1\0", b"\2\0", b"\3\0"):
            raise damaged(self.path, "members are .npy files of version 1 to 3", magic + version)
        size = int.from_bytes(member.read(2 if version == b"\1\0" else 4), "little")
        if size > _ONE_HEADER:
            raise damaged(self.path, f"a .npy header has up to {_ONE_HEADER} bytes", size)
        text = member.read(size).decode("latin-1")
        descr = re.search(r"""['"]descr['"]\s*:\s*['"]([<>|=]?)(\w{1,8})['"]""", text)
        order = re.search(r"""['"]fortran_order['"]\s*:\s*(True|False)""", text)
        shape = re.search(r"""['"]shape['"]\s*:\s*\(([\d,\s]{0,200})\)""", text)
        if not (descr and order and shape):
            raise damaged(self.path, "a .npy header says dtype, order and shape", repr(text))
        lengths = [int(length) for length in shape[1].split(",") if length.strip()]
        known = {code[1:]: name for name, code in BYTES.items() if name != "bfloat16"}
        dtype = known.get(descr[2], descr[2])
        order_name = "F" if order[1] == "True" else "C"
        return Header(dtype, checked_shape(lengths, self.path)), order_name, descr[1] == ">"


class SafetensorsFile:
    """A length, a JSON header of that length, and numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, tuple[Header, int, int]] = {}
        with reading(path), _opened(path) as (file, size):
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _ALL_HEADERS):
                raise damaged(path, f"its header fits in {size} bytes", length)
            entries = parse_json(file.read(length), path)
        if not isinstance(entries, dict):
            raise damaged(path, "its header is a JSON object", entries)
        for key, entry in entries.items():
            if key != "__metadata__":
                self.places[key] = self._place(key, entry, 8 + length, size)
        self.keys = self.places.keys()

    def _place(self, key: str, entry: Any, start: int, size: int) -> tuple[Header, int, int]:
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [begin, end]}:
                pass
            case _:
                raise damaged(self.path, f"{key} has dtype, shape and data_offsets", entry)
        begin, end = checked_shape([begin, end], self.path)
        header = Header(_SAFETENSORS.get(dtype, dtype), checked_shape(shape, self.path))
        if not begin <= end <= size - start:
            raise damaged(self.path, f"{key} lies inside the file", [begin, end])
        if header.dtype in BYTES and header.length != end - begin:
            raise damaged(self.path, f"{key} has {header.length} bytes", end - begin)
        return header, start + begin, end - begin

    def header(self, key: str) -> Header:
        """What the header says of a tensor."""
        return self.places[key][0]

    def array(self, key: str) -> Array:
        """The numbers of a tensor."""
        header, start, length = self.places[key]
        return unpacked(header, _part(self.path, start, length))


class RawFile:
    """Bytes at places that the manifest knows."""

    def __init__(self, path: Path, places: Mapping[str, tuple[Header, int]]) -> None:
        self.path, self.places, self.keys = path, places, places.keys()
        _, end = offsets([header.length for header, _ in places.values()])
        if (size := size_of(path)) != end:
            raise damaged(path, f"it has {end} bytes", size)

    def header(self, key: str) -> Header:
        """What the manifest says of a tensor."""
        return self.places[key][0]

    def array(self, key: str) -> Array:
        """The numbers of a tensor."""
        header, start = self.places[key]
        return unpacked(header, _part(self.path, start, header.length))


class RawFolder:
    """One file of bytes per tensor, which has to be as long as the tensor is."""

    def __init__(self, folder: Path, keys: Collection[str], wanted: Mapping[str, Header]) -> None:
        self.path, self.keys, self.wanted = folder, keys, wanted

    def header(self, key: str) -> Header:
        """What the tensor has to be: the bytes do not say."""
        header = self.wanted[key]
        path = self.path / f"{key}.bin"
        if (size := size_of(path)) != header.length:
            raise damaged(path, f"{header} are {header.length} bytes", size)
        return header

    def array(self, key: str) -> Array:
        """The numbers in the file."""
        header = self.header(key)
        return unpacked(header, _part(self.path / f"{key}.bin", 0, header.length))


def _part(path: Path, start: int, length: int) -> bytes:
    """Some bytes of a file that was long enough when it was looked at."""
    with reading(path), _opened(path) as (file, _):
        file.seek(start)
        data = file.read(length)
        if len(data) != length:
            raise damaged(path, f"{length} bytes follow byte {start}", len(data))
        return data
