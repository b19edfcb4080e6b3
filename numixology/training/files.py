"""Files of arrays that are complete or not there: npz and safetensors, without pickle.

A file is written beside the one that it replaces, reaches the disk, and then takes its name, in one
step of the file system. Whatever interrupts that leaves the old file as it was, and perhaps an
unfinished ``NAME.….tmp`` beside it, which may be deleted.
"""

import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..array import Array
from ..errors import ArgumentError, UnsupportedError

__all__ = ["read_arrays", "write_arrays"]


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Replace a file by one with these arrays, or leave it as it is."""
    library = _library(path)
    try:
        with _replacement(path) as file:
            if library is not None:
                rows = {name: np.array(array, order="C") for name, array in arrays.items()}
                file.write(library.save(rows))
                return
            with zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
    except OSError as error:
        invariant = f"{path} must be a file that can be written"
        raise ArgumentError(invariant, str(error.strerror), "choose another") from error


@contextmanager
def _replacement(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` at the end of the block, if nothing is raised."""
    path = Path(os.path.realpath(path))  # through a link, which stays
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # there is none yet, or it is another's
            shutil.copymode(path, unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    with suppress(OSError):  # Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_arrays(path: Path) -> dict[str, Array]:
    """All arrays of a file by name."""
    library = _library(path)
    try:
        if library is not None:
            return dict(library.load(path.read_bytes()))
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _member(archive, name) for name in archive.namelist()
            }
    except Exception as error:  # damaged files raise whatever their parts raise
        said = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        invariant = f"{path} must be a file that nx.save wrote"
        raise ArgumentError(invariant, said, "look at it, or choose another") from error


def _member(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _library(path: Path) -> Any:
    """What writes and reads the format that the path's end names; None for npz."""
    if path.suffix == ".npz":
        return None
    if path.suffix != ".safetensors":
        invariant = "a file of arrays ends in .npz or .safetensors"
        raise ArgumentError(invariant, path.name, "choose another name")
    try:
        return import_module("safetensors.numpy")
    except ImportError as error:
        invariant, instead = f"{path.name} needs safetensors", "run pip install numixology[vectors]"
        raise UnsupportedError(invariant, str(error), f"{instead}, or use .npz") from error
