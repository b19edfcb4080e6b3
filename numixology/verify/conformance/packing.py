"""Tensors as bytes, and the three kinds of files that hold them: npz, safetensors and raw."""

import math
import zipfile
from collections.abc import Collection, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, Shape
from ...errors import ArgumentError

__all__ = [
    "BYTES",
    "CONTAINERS",
    "Header",
    "Packed",
    "carried",
    "contents",
    "has_container",
    "offsets",
    "packed",
    "unpacked",
]

#: The formats, and how the names of their files end.
CONTAINERS = {"npz": ".npz", "safetensors": ".safetensors", "raw": ".bin"}

#: The dtypes by the names that manifests have for them, and how NumPy calls their bytes.
BYTES = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",  # which NumPy does not have: the upper half of a float32
    "int64": "<i8",
}

#: Tensors in raw files start at multiples of this many bytes.
_ALIGNMENT = 8


class Header(NamedTuple):
    """What a tensor is, before its numbers are read."""

    dtype: str
    shape: Shape

    @property
    def length(self) -> int:
        """How many bytes its numbers take."""
        return math.prod(self.shape) * np.dtype(BYTES[self.dtype]).itemsize

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} {self.dtype}"


class Packed(NamedTuple):
    """A tensor as bytes: little-endian, the last axis fastest."""

    header: Header
    data: bytes


def carried(dtype: str, container: str) -> str:
    """The dtype in which numbers of a format lie in such a file; npz has no bfloat16."""
    return "float32" if (dtype, container) == ("bfloat16", "npz") else dtype


def has_container(name: str) -> str:
    """The name of a file format, if it is one.

    Raises:
        ArgumentError: it is none.
    """
    if name not in CONTAINERS:
        raise ArgumentError(
            "vectors are written in one of the formats known here",
            repr(name),
            f"use {', '.join(CONTAINERS)}",
        )
    return name


# Packing -----------------------------------------------------------------------


def packed(value: Array, dtype: str) -> Packed:
    """An array as bytes."""
    if dtype == "bfloat16":
        data = (value.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    else:
        data = value.astype(BYTES[dtype]).tobytes()
    return Packed(Header(dtype, value.shape), data)


def unpacked(header: Header, data: bytes, order: str = "C") -> Array:
    """The array again, in NumPy's own byte order; bfloat16 in float32."""
    flat = np.frombuffer(data, BYTES[header.dtype])
    if header.dtype == "bfloat16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    array = flat.astype(flat.dtype.newbyteorder("="))
    return array.reshape(header.shape[::-1]).T if order == "F" else array.reshape(header.shape)


# Writing -----------------------------------------------------------------------


def offsets(lengths: Collection[int]) -> tuple[list[int], int]:
    """Where tensors of these lengths start in a raw file, and how long it is."""
    starts, end = [], 0
    for length in lengths:
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        starts.append(start)
        end = start + length
    return starts, end


def contents(container: str, tensors: Mapping[str, Packed]) -> bytes:
    """A file that holds the tensors under their keys; the same bytes every time.

    Raises:
        ArgumentError: a library that writes such files is not installed.
    """
    return {"npz": _npz, "safetensors": _safetensors, "raw": _raw}[container](tensors)


def _npz(tensors: Mapping[str, Packed]) -> bytes:
    """As ``np.savez`` writes it, but without the time of day."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for key, (header, data) in tensors.items():
            member = BytesIO()
            about = {"descr": BYTES[header.dtype], "fortran_order": False, "shape": header.shape}
            np.lib.format.write_array_header_1_0(member, about)
            info = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
            archive.writestr(info, member.getvalue() + data)
    return file.getvalue()


def _raw(tensors: Mapping[str, Packed]) -> bytes:
    starts, end = offsets([len(one.data) for one in tensors.values()])
    file = bytearray(end)
    for start, one in zip(starts, tensors.values(), strict=True):
        file[start : start + len(one.data)] = one.data
    return bytes(file)


def _safetensors(tensors: Mapping[str, Packed]) -> bytes:
    arrays = {}
    for key, (header, data) in tensors.items():
        flat = np.frombuffer(data, BYTES[header.dtype])
        if header.dtype == "bfloat16":
            flat = flat.view(_library("ml_dtypes").bfloat16)
        arrays[key] = flat.reshape(header.shape)
    return bytes(_library("safetensors.numpy").save(arrays))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ArgumentError(
            "safetensors files are written by the library of that name, bfloat16 with ml_dtypes",
            str(error),
            "run pip install numixology[vectors], or write npz or raw",
        ) from error
