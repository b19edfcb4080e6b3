"""Vectors: what the kit asks and what is true, in files, for backends that are not Python.

A folder of vectors has a file per stage and a manifest. They hold all that a verdict needs: the
inputs, what is true, by what errors are measured, and how large those may be.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from ...array import Array
from ...errors import ArgumentError
from ...version import __version__
from . import manifest
from .adapter import declared
from .bounds import Prepared, in_groups
from .cases import Case, Truth, every_case
from .manifest import Entry
from .packing import CONTAINERS, Header, Source, contents, damaged, opened, packed, source_of
from .stages import STAGES, stage_of

__all__ = ["Written", "read_vectors", "write_vectors"]


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
    kernel: bool = False,
    shapes: Sequence[Mapping[str, int]] = (),
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
        seeds: how many cases of every kind the quick set has; 0 to leave it out.
        kernel: write the kernel set too, whose sizes are those at which kernels break: 1.7 GB for
            all stages in float32.
        shapes: sizes of your own, each such as ``{"B": 64, "T": 16, "D": 768}``, of which a stage
            takes those that it has.

    Returns:
        What was written.

    Raises:
        ArgumentError: no such format, stage or number of seeds, the folder cannot be written to or
            holds something, or the library for safetensors is not installed.
        DTypeError: no such dtype, for numbers or for sums.

    Example:
        >>> import tempfile
        >>> from numixology.verify.conformance import write_vectors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = write_vectors(folder, format="raw", dtype="float32", stages=["silu"])
        >>> written.files, written.tensors == 2 * written.cases  # one output, one gradient
        (['silu.bin', 'index.tsv', 'manifest.json'], True)
    """
    if format not in CONTAINERS:
        known = f"use {', '.join(CONTAINERS)}"
        raise ArgumentError("vectors are written in a format known here", repr(format), known)
    backend = SimpleNamespace(name="vectors", dtype=dtype, accumulation=accumulation, forward=None)
    wide = declared(backend).accumulation
    if seeds < 0 or not (seeds or kernel or shapes):
        raise ArgumentError("there is at least one case of a kind", f"{seeds}", "try seeds=3")
    chosen = {stage_of(name).name for name in (STAGES if stages is None else stages)}
    asked = partial(every_case, dtype=dtype, seeds=seeds, quick=not kernel, shapes=shapes)
    content: Entry = manifest.head_of(format, dtype, wide, seeds, __version__) | {"cases": []}
    folder, files = Path(directory), {}
    try:
        if folder.exists() and (held := os.listdir(folder)):
            raise FileExistsError(f"{len(held)} files in it")
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in _files(content, [asked(stage) for stage in STAGES if stage in chosen]):
            files[name] = (folder / name).write_bytes(data)
    except OSError as error:
        invariant = "vectors are written to a folder that is empty, or new"
        received = " ".join(f"{folder}: {error}".split())
        raise ArgumentError(invariant, received, "name another") from error
    judged = sum("bound" in entry for case in content["cases"] for entry in case["tensors"])
    return Written(folder, list(files), sum(files.values()), len(content["cases"]), judged)


def _files(content: Entry, stages: Sequence[Iterable[Case]]) -> Iterator[tuple[str, bytes]]:
    """Every file by its name; the manifest comes last, since it says that all is there."""
    container, seeds = content["format"], content["seeds"]
    for cases in stages:
        tensors: dict[str, Array] = {}
        end = 0
        for one in in_groups(cases, content["accumulation"]):
            content["cases"].append(_laid_out(content, one, end, tensors))
            end = manifest.end_of(content["cases"][-1]["tensors"])
        if tensors:
            yield f"{one.case.stage}{CONTAINERS[container]}", contents(container, tensors)
    if container == "raw":
        yield manifest.INDEX, manifest.table(content).encode("ascii")
    if len(text := manifest.text_of(content).encode("ascii")) > manifest.LARGEST:
        raise ArgumentError("a manifest has at most 64 MiB", f"{seeds} seeds", "choose fewer")
    yield manifest.MANIFEST, text


def _laid_out(head: Entry, one: Prepared, end: int, tensors: dict[str, Array]) -> Entry:
    """What is said of a case, whose tensors are added to those of its file."""
    case, (output, gradients) = one.case, one.truth
    arrays = {name: value for name, value in case.inputs.items() if isinstance(value, np.ndarray)}
    held = {"input": arrays, "cotangent": {"": case.cotangent}, "output": {"": output}}
    held |= {"gradient": gradients, "scale": one.scales}
    shapes = {name: value.shape for name, value in arrays.items()}
    entries = list(manifest.entries_of(head, case, shapes, output.shape, end))
    for entry in entries:
        array = held[entry["role"]][entry["name"].removeprefix("gradient.")]
        tensors[entry["key"]] = array = packed(array, entry["dtype"])
        entry["sha256"] = _sha256(array)
        if "bound" in entry:
            entry["bound"] = one.bounds[entry["name"] or "output"]
    return {
        "case": manifest.key_of(case),
        "stage": case.stage,
        "formula": STAGES[case.stage].formula,
        "kind": case.kind,
        "seed": case.seed,
        "sizes": dict(case.sizes),
        "settings": {name: value for name, value in case.inputs.items() if name not in arrays},
        "tensors": entries,
    }


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
    content = manifest.read_manifest(folder)
    for stage in STAGES:
        if cases := [case for case in content["cases"] if case["stage"] == stage]:
            path = folder / f"{stage}{CONTAINERS[content['format']]}"
            with ExitStack() as stack:
                source = _source(path, [one for case in cases for one in case["tensors"]], stack)
                for case in cases:
                    yield _case(content, case, path, source)


def _source(path: Path, entries: Sequence[Entry], stack: ExitStack) -> Source:
    """The file of a stage. What it holds, according to the manifest, has room in it."""
    total = sum(_header(entry).length for entry in entries)
    with opened(path) as (_, size):
        if size < total:
            raise damaged(path, f"it has at least {total} bytes", size)
    end = manifest.end_of(entries)
    return source_of(
        path, {one["key"]: (path, end, one.get("offset", 0)) for one in entries}, stack
    )


def _header(entry: Entry) -> Header:
    return Header(entry["dtype"], tuple(entry["shape"]))


def _case(content: Entry, given: Entry, path: Path, source: Source) -> Prepared:
    """A case with its tensors."""
    found: dict[str, dict[str, Array]] = {entry["role"]: {} for entry in given["tensors"]}
    bounds = {}
    for entry in given["tensors"]:
        key, wanted = entry["key"], _header(entry)
        if key not in source.keys:
            raise damaged(path, f"{key} is in it", "a file without it")
        header, array = source.read(key, wanted)
        if header != wanted:
            raise damaged(path, f"{key} is {wanted}", header)
        if (digest := _sha256(packed(array, header.dtype))) != entry["sha256"]:
            raise damaged(path, f"{key} has the sha256 {entry['sha256']}", digest)
        found[entry["role"]][entry["name"].removeprefix("gradient.")] = array
        if entry["role"] in ("output", "gradient"):
            bounds[entry["name"] or "output"] = float(entry["bound"])
    case = manifest.case_of(content, given)
    inputs = {**found["input"], **case.inputs}
    truth = Truth(found["output"][""], found.get("gradient", {}))
    case = case._replace(inputs=inputs, cotangent=found["cotangent"][""])
    return Prepared(case, truth, found["scale"], bounds, content["accumulation"])


def _sha256(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
