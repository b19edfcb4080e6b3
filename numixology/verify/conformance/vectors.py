"""Vectors: what the kit asks and what is true, in files, for backends that are not Python.

A folder of vectors has a file per stage and a manifest. They hold all that a verdict needs: the
inputs, what is true, by what errors are measured, and how large those may be.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...array import Array
from ...errors import ArgumentError, DTypeError
from ...version import __version__
from .bounds import Prepared, prepared
from .cases import Case, Truth
from .formats import format_of
from .manifest import LARGEST, Item, Manifest, Sheet, read_manifest, table, text_of
from .packing import Packed, carried, contents, has_container, packed
from .sources import NpzFile, RawFile, SafetensorsFile, Source, damaged, size_of
from .stages import STAGES, stage_of

__all__ = ["MANIFEST", "Written", "read_stage", "read_vectors", "write_vectors"]

MANIFEST, INDEX = "manifest.json", "index.tsv"


# Writing -----------------------------------------------------------------------


class Written(NamedTuple):
    """What :func:`write_vectors` wrote.

    Attributes:
        folder: where.
        files: their names.
        size: in bytes, of all of them together.
        cases: how many there are.
        tensors: how many outputs and gradients can be compared.

    Example:
        >>> import tempfile
        >>> from numixology.verify.conformance import write_vectors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = write_vectors(folder, stages=["silu"], seeds=1)
        >>> written.cases, written.tensors, written.files
        (8, 16, ['silu.npz', 'manifest.json'])
    """

    folder: Path
    files: Sequence[str]
    size: int
    cases: int
    tensors: int

    def __str__(self) -> str:
        return (
            f"{self.cases} cases with {self.tensors} tensors to compare, "
            f"{self.size:,} bytes in {len(self.files)} files in {self.folder}"
        )


def write_vectors(
    directory: str | os.PathLike[str],
    *,
    format: str = "npz",
    dtype: str = "float64",
    accumulation: str | None = None,
    stages: Sequence[str] | None = None,
    seeds: int = 3,
) -> Written:
    """Write cases, what is true of them, and how far off a backend may be.

    Inputs and cotangents are numbers of the backend's format, and lie in its dtype; only a ``.npz``
    file, for which there is no bfloat16, has them in float32. Outputs, gradients and scales are in
    float64 always. Everything is little-endian and contiguous, the last axis fastest.

    Args:
        directory: a folder that is empty or does not exist yet.
        format: ``"npz"``, ``"safetensors"`` (which needs ``pip install numixology[vectors]``), or
            ``"raw"``, with ``index.tsv`` for programs that would rather not read JSON.
        dtype: in which the backend calculates, a key of :data:`.FORMATS`.
        accumulation: in which it forms sums; float64 for float64, else float32.
        stages: some of :data:`.STAGES`; by default all.
        seeds: how many cases of every kind.

    Returns:
        What was written.

    Raises:
        ArgumentError: no such format, stage or number of seeds, the folder cannot be written to or
            holds something, or the library for safetensors is not installed.
        DTypeError: no such dtype.

    Example:
        >>> import tempfile
        >>> from numixology.verify.conformance import write_vectors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = write_vectors(folder, format="raw", dtype="float32", stages=["silu"])
        >>> written.files, written.tensors == 2 * written.cases  # one output, one gradient
        (['silu.bin', 'index.tsv', 'manifest.json'], True)
    """
    form, container = format_of(dtype), has_container(format)
    wide = accumulation or ("float64" if form.name == "float64" else "float32")
    if wide not in ("float64", "float32"):
        raise DTypeError("sums are formed in float64 or float32", repr(wide), "use one of them")
    if seeds < 1:
        raise ArgumentError("there is at least one case of a kind", f"{seeds}", "try seeds=3")
    chosen = {stage_of(name).name for name in (STAGES if stages is None else stages)}
    folder = _empty(Path(directory))
    files: dict[str, bytes] = {}
    manifest = Manifest(container, dtype, wide, seeds, [])
    for stage in STAGES:
        if stage in chosen:
            sheets, tensors = _laid_out(prepared(dtype, wide, [stage], seeds), container)
            files[manifest.file(stage)] = contents(container, tensors)
            manifest = manifest._replace(sheets=[*manifest.sheets, *sheets])
    if container == "raw":
        manifest = manifest.placed()
        files[INDEX] = table(manifest).encode("ascii")
    # Last: it says that all is there.
    files[MANIFEST] = text_of(manifest, __version__).encode("ascii")
    if len(files[MANIFEST]) > LARGEST:
        raise ArgumentError("a manifest has at most 64 MiB", f"{seeds} seeds", "choose fewer")
    _write(folder, files)
    return Written(
        folder,
        list(files),
        sum(map(len, files.values())),
        len(manifest.sheets),
        sum(item.bound is not None for sheet in manifest.sheets for item in sheet.items),
    )


def _unwritable(folder: Path, received: object) -> ArgumentError:
    return ArgumentError(
        "vectors are written to a folder that is empty, or new",
        " ".join(f"{folder}: {received}".split()),
        "name another",
    )


def _empty(folder: Path) -> Path:
    try:
        if held := os.listdir(folder):
            raise _unwritable(folder, f"{len(held)} files in it")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _laid_out(cases: Sequence[Prepared], container: str) -> tuple[list[Sheet], dict[str, Packed]]:
    """The cases of a stage as the manifest lists them, and their tensors by key."""
    sheets, tensors = [], {}
    for one in cases:
        case = one.case
        settings = {k: v for k, v in case.inputs.items() if not isinstance(v, np.ndarray)}
        sheet = Sheet(case.stage, case.kind, case.seed, settings, [])
        items = []
        for role, name, value in _tensors(one):
            given = role in ("input", "cotangent")
            dtype = carried(case.dtype, container) if given else "float64"
            found = packed(value, "int64" if value.dtype.kind == "i" else dtype)
            bound = one.bounds[name or "output"] if role in ("output", "gradient") else None
            digest = hashlib.sha256(found.data).hexdigest()
            items.append(Item(role, name, found.header, digest, bound))
            tensors[sheet.key(items[-1])] = found
        sheets.append(sheet._replace(items=items))
    return sheets, tensors


def _tensors(one: Prepared) -> Iterator[tuple[str, str, Array]]:
    """Role, name and numbers of all that belongs to a case."""
    for name, value in one.case.inputs.items():
        if isinstance(value, np.ndarray):
            yield "input", name, value
    yield "cotangent", "", one.case.cotangent
    yield "output", "", one.truth.output
    for name, value in one.truth.gradients.items():
        yield "gradient", name, value
    for name, value in one.scales.items():
        yield "scale", name if name == "output" else f"gradient.{name}", value


# Reading -----------------------------------------------------------------------


def read_vectors(directory: str | os.PathLike[str]) -> Iterator[Prepared]:
    """Read what :func:`write_vectors` has written, in whichever format.

    Every size is compared with that of its file before anything is read, and every tensor with its
    sha256 afterwards. Nothing is unpickled.

    Args:
        directory: a folder of vectors.

    Returns:
        An iterator of cases, each with its truth, scales and bounds.

    Raises:
        VectorError: a file is missing, damaged, or not what the manifest says.

    Example:
        >>> import tempfile
        >>> from numixology.verify.conformance import read_vectors, write_vectors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_vectors(folder, dtype="float32", stages=["silu"], seeds=1)
        ...     first = next(read_vectors(folder))
        >>> first.case.name, first.case.inputs["x"].dtype, first.truth.output.dtype
        ('silu/plain/0', dtype('float32'), dtype('float64'))
    """
    folder = Path(directory)
    manifest = read_manifest(folder / MANIFEST)
    for stage in manifest.stages:
        yield from read_stage(folder, manifest, stage)


def read_stage(folder: Path, manifest: Manifest, stage: str) -> Iterator[Prepared]:
    """The cases of a stage, each with all of its tensors."""
    sheets = manifest.of(stage)
    with ExitStack() as stack:
        source = _source(folder, manifest, stage, sheets, stack)
        for sheet in sheets:
            yield _case(manifest, sheet, {item: _read(source, sheet, item) for item in sheet.items})


def _source(
    folder: Path, manifest: Manifest, stage: str, sheets: Sequence[Sheet], stack: ExitStack
) -> Source:
    """The file of a stage. What it holds, according to the manifest, has room in it."""
    path = folder / manifest.file(stage)
    total = sum(item.header.length for sheet in sheets for item in sheet.items)
    if (size := size_of(path)) < total:
        raise damaged(path, f"it has at least {total} bytes", size)
    if manifest.container == "npz":
        return NpzFile(path, stack)
    if manifest.container == "safetensors":
        return SafetensorsFile(path)
    places = {
        sheet.key(item): (item.header, item.offset or 0) for sheet in sheets for item in sheet.items
    }
    return RawFile(path, places)


def _read(source: Source, sheet: Sheet, item: Item) -> Array:
    key = sheet.key(item)
    if key not in source.keys:
        raise damaged(source.path, f"{key} is in it", "a file without it")
    if (header := source.header(key)) != item.header:
        raise damaged(source.path, f"{key} is {item.header}", header)
    array = source.array(key)
    digest = hashlib.sha256(packed(array, header.dtype).data).hexdigest()
    if digest != item.sha256:
        raise damaged(source.path, f"{key} has the sha256 {item.sha256}", digest)
    return array


def _case(manifest: Manifest, sheet: Sheet, arrays: Mapping[Item, Array]) -> Prepared:
    """A case of the tensors that were read."""

    def of(role: str) -> dict[str, Array]:
        found = {item.name: array for item, array in arrays.items() if item.role == role}
        return {name.removeprefix("gradient."): array for name, array in found.items()}

    return Prepared(
        Case(
            sheet.stage,
            sheet.kind,
            sheet.seed,
            manifest.dtype,
            {**of("input"), **sheet.settings},
            of("cotangent")[""],
        ),
        Truth(of("output")[""], of("gradient")),
        of("scale"),
        {item.tensor: item.bound for item in sheet.items if item.bound is not None},
    )
