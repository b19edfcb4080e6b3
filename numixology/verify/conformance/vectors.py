"""Vectors: what the kit asks and what is true, in files, for backends that are not Python.

A folder of vectors has a file per stage, and ``manifest.json``, which says what is in them. They
hold all that a verdict needs: the inputs, what is true, by what errors are measured, and how large
those may be. Of a manifest only numbers are taken, and no name of a file.
"""

import hashlib
import json
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...array import Array
from ...errors import ArgumentError, VectorError, unknown
from ...version import __version__
from . import packing
from .adapter import Declaration
from .bounds import Prepared, in_groups
from .cases import Case, Truth, cases_of
from .formats import format_of
from .packing import CONTAINERS, carried, damaged, described, packed, reading, unpacked
from .stages import STAGES, stage_of

__all__ = ["MANIFEST", "SPEC", "Written", "read_manifest", "read_vectors", "result_key"]
__all__ += ["write_vectors"]

MANIFEST, INDEX = "manifest.json", "index.tsv"
#: The version of the vectors. Within one version no number in them changes.
SPEC = "1"

RULE = (
    "error = max |got - true| / (scale * unit), which must not be larger than bound. Where got "
    "equals true, both are NaN, or got is infinite, of the sign of true, and |true| + 8 * scale * "
    "unit is at least overflow, the error is 0; NaN is infinitely far from every number."
)

#: What JSON says of a folder, a case or a tensor.
Entry: TypeAlias = dict[str, Any]


def key_of(case: Case) -> str:
    """``silu.plain.0``: what the keys of all tensors of a case start with."""
    return case.name.replace("/", ".").replace(" ", "-")


def result_key(case: Case, tensor: str = "output") -> str:
    """The key under which a result for a case is looked for.

    Args:
        case: one of those that :func:`.read_vectors` returns.
        tensor: ``"output"``, or the name of the input whose gradient it is.

    Returns:
        The key in a ``.npz`` or ``.safetensors`` file, or the name of a raw file without ``.bin``.

    Example:
        >>> from numixology.verify.conformance import make_case, result_key
        >>> case = make_case("silu", "tiny", seed=2)
        >>> result_key(case), result_key(case, "x")
        ('silu.tiny.2.output', 'silu.tiny.2.gradient.x')
    """
    return f"{key_of(case)}.{tensor if tensor == 'output' else f'gradient.{tensor}'}"


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
        raise unknown("format of vectors", format, CONTAINERS)
    backend = SimpleNamespace(name="vectors", dtype=dtype, accumulation=accumulation, forward=None)
    wide = Declaration(backend).accumulation
    if seeds < 0 or not (seeds or kernel or shapes):
        raise ArgumentError("there is at least one case of a kind", f"{seeds}", "try seeds=3")
    chosen = {stage_of(name).name for name in (STAGES if stages is None else stages)}
    asked = partial(cases_of, dtype=dtype, seeds=seeds, quick=not kernel, shapes=shapes)
    content = _head(format, dtype) | {"accumulation": wide, "seeds": seeds, "cases": []}
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


def _head(container: str, dtype: str) -> Entry:
    """What all tensors of a folder have in common."""
    form = format_of(dtype)
    overflow = 2.0 ** (form.highest - 1) * (2 - form.unit)
    return {
        "spec": SPEC,
        "package": {"name": "numixology", "version": __version__},
        "format": container,
        "dtype": dtype,
        "unit": form.unit,
        "overflow": overflow if math.isfinite(overflow) else None,
        "rule": RULE,
    }


def _files(content: Entry, stages: Sequence[Iterable[Case]]) -> Iterator[tuple[str, bytes]]:
    """Every file by its name; the manifest comes last, since it says that all is there."""
    container = content["format"]
    for cases in stages:
        tensors: dict[str, Array] = {}
        said = [
            _laid_out(content, one, tensors) for one in in_groups(cases, content["accumulation"])
        ]
        if container == "raw":
            starts = accumulate(
                (packing.aligned(one.nbytes) for one in tensors.values()), initial=0
            )
            entries = (entry for case in said for entry in case["tensors"])
            for entry, start in zip(entries, starts, strict=False):
                entry |= {"offset": start, "length": tensors[entry["key"]].nbytes}
        if said:
            yield f"{said[0]['stage']}{CONTAINERS[container]}", packing.contents(container, tensors)
        content["cases"] += said
    if container == "raw":
        yield INDEX, _table(content).encode("ascii")
    text = json.dumps({"sha256": _digest(content)} | content, indent=1) + "\n"
    yield MANIFEST, text.encode("ascii")


def _laid_out(head: Entry, one: Prepared, tensors: dict[str, Array]) -> Entry:
    """What is said of a case, whose tensors are added to those of its file."""
    case, key = one.case, key_of(one.case)
    arrays = {name: value for name, value in case.inputs.items() if isinstance(value, np.ndarray)}
    true = {"output": one.truth.output}
    true |= {f"gradient.{name}": gradient for name, gradient in one.truth.gradients.items()}
    scales = {f"scale.{name}": one.scales[name.removeprefix("gradient.")] for name in true}
    given = {f"input.{name}": value for name, value in arrays.items()}
    given |= {"cotangent": case.cotangent}
    entries = []
    for tensor, value in (given | true | scales).items():
        role, _, name = tensor.partition(".")
        dtype = carried(head["dtype"], head["format"]) if tensor in given else "float64"
        dtype = "int64" if value.dtype.kind == "i" else dtype
        tensors[f"{key}.{tensor}"] = array = packed(value, dtype)
        entry: Entry = {
            "role": role,
            "name": name,
            "file": f"{case.stage}{CONTAINERS[head['format']]}",
            "key": f"{key}.{tensor}",
            "dtype": dtype,
            "shape": list(value.shape),
            "byte_order": "little",
            "layout": "C",
            "sha256": _sha256(array),
        }
        if tensor in true:
            entry |= {"bound": one.bounds[name or "output"], "scale": f"{key}.scale.{tensor}"}
        entries.append(entry)
    return {
        "case": key,
        "stage": case.stage,
        "formula": STAGES[case.stage].formula,
        "kind": case.kind,
        "seed": case.seed,
        "sizes": dict(case.sizes),
        "settings": {name: value for name, value in case.inputs.items() if name not in arrays},
        "tensors": entries,
    }


def _sha256(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _digest(content: Entry) -> str:
    """The sha256 of canonical JSON, so that line ends and spaces do not matter."""
    held = {name: one for name, one in content.items() if name != "sha256"}
    canonical = json.dumps(held, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _table(content: Entry) -> str:
    """The index of raw files: a line per tensor, its columns between tabs, ``-`` for nothing."""
    columns = ["case", "role", "name", "file", "offset", "length", "dtype"]
    lines = [["#" + columns[0], *columns[1:], "shape", "bound", "scale_offset", "settings"]]
    for case in content["cases"]:
        offset = {one["key"]: one["offset"] for one in case["tensors"]}
        settings = ",".join(f"{name}={value!r}" for name, value in case["settings"].items())
        for one in case["tensors"]:
            fields = [str((case | one)[name]) for name in columns]
            shape, bound = ",".join(map(str, one["shape"])), str(one.get("bound", ""))
            lines.append([*fields, shape, bound, str(offset.get(one.get("scale"), "")), settings])
    return "".join("\t".join(field or "-" for field in line) + "\n" for line in lines)


# Reading -----------------------------------------------------------------------


def read_manifest(folder: Path) -> Entry:
    """What a manifest says of a folder.

    Raises:
        VectorError: it is missing, damaged, or of another version.
    """
    path = folder / MANIFEST
    if folder.is_dir() and not path.exists():
        raise VectorError(
            f"a folder of vectors has a {MANIFEST}",
            f"{folder} without one",
            "name the folder that numixology vectors write has written, and then that of results",
        )
    with reading(path):
        content: Entry = json.loads(path.read_text("utf-8"))
        if (digest := _digest(content)) != content["sha256"]:
            raise damaged(path, f"the manifest has the sha256 {digest}", content["sha256"])
        if content["spec"] != SPEC:
            raise damaged(path, f"its spec is {SPEC}", content["spec"])
    return content


def read_vectors(directory: str | os.PathLike[str]) -> Iterator[Prepared]:
    """Read what :func:`write_vectors` has written, in whichever format.

    Every tensor is compared with its sha256. Nothing is unpickled.

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
    content = read_manifest(folder)
    with reading(folder / MANIFEST):
        for stage, cases in groupby(content["cases"], lambda case: case["stage"]):
            path = folder / f"{STAGES[stage].name}{CONTAINERS[content['format']]}"
            tensors = packing.tensors_of(path)
            for case in cases:
                yield _case(content, case, path, tensors)


def _case(content: Entry, given: Entry, path: Path, tensors: Mapping[str, Array]) -> Prepared:
    """A case with its tensors."""
    found: dict[str, dict[str, Array]] = defaultdict(dict)
    bounds: dict[str, float] = {}
    for one in given["tensors"]:
        role, name, key, dtype = (one[word] for word in ("role", "name", "key", "dtype"))
        wanted = described(carried(dtype), one["shape"])
        if "offset" in one:
            value = tensors[path.stem][one["offset"] :][: one["length"]]
        elif key in tensors:
            value = tensors[key]
        else:
            raise damaged(path, f"{key} is in it", "a file without it")
        array = unpacked(value, dtype, one["shape"])
        if (got := described(array.dtype.name, array.shape)) != wanted:
            raise damaged(path, f"{key} is {wanted}", got)
        if (digest := _sha256(packed(array, dtype))) != one["sha256"]:
            raise damaged(path, f"{key} has the sha256 {one['sha256']}", digest)
        found[role][name.removeprefix("gradient.")] = array
        if role in ("output", "gradient"):
            bounds[name or "output"] = one["bound"]
    case = Case(
        given["stage"],
        given["kind"],
        given["seed"],
        content["dtype"],
        inputs=found["input"] | given["settings"],
        cotangent=found["cotangent"][""],
        sizes=given["sizes"],
    )
    truth = Truth(found["output"][""], found["gradient"])
    return Prepared(case, truth, found["scale"], bounds, content["accumulation"])
