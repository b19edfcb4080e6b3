"""What lies beside the vectors and says what they are: ``manifest.json``, and ``index.tsv``.

File names, keys and places follow from what a case is. A manifest that says otherwise is refused,
so no name in it ever leads out of its folder.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeAlias

import numpy as np

from ...array import Shape
from ...errors import VectorError
from .cases import Case
from .formats import FORMATS, format_of
from .packing import CONTAINERS, Header, aligned, carried, damaged, opened
from .stages import STAGES

__all__ = ["INDEX", "LARGEST", "MANIFEST", "Entry", "case_of", "end_of", "entries_of"]
__all__ += ["head_of", "key_of", "read_manifest", "result_key", "table", "text_of"]

MANIFEST, INDEX = "manifest.json", "index.tsv"
#: The version of the vectors. Within one version no number in them changes.
SPEC = "1"

RULE = (
    "error = max |got - true| / (scale * unit), which must not be larger than bound. Where got "
    "equals true, both are NaN, or got is infinite, of the sign of true, and |true| + 8 * scale * "
    "unit is at least overflow, the error is 0; NaN is infinitely far from every number."
)

#: A manifest has fewer bytes.
LARGEST = 2**26

#: What JSON says of a folder, a case or a tensor.
Entry: TypeAlias = dict[str, Any]

_SIZES = {letter: int | None for letter in "BTDHFVL"}
_SETTINGS = {"eps": float | None, "num_heads": int | None}
#: What is read of a manifest: words are some of those listed, numbers are from 0.
DESCRIPTION = {
    "spec": (SPEC,),
    "sha256": str,
    "format": tuple(CONTAINERS),
    "dtype": tuple(FORMATS),
    "accumulation": ("float64", "float32"),
    "seeds": int,
    "cases": [
        {
            "stage": tuple(STAGES),
            "kind": str,
            "seed": int,
            "sizes": _SIZES,
            "settings": _SETTINGS,
            "tensors": [
                {"role": str, "name": str, "shape": [int], "sha256": str, "bound": float | None}
            ],
        }
    ],
}


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


def case_of(head: Entry, given: Entry) -> Case:
    """A case without arrays, from what is said of it."""
    settings = {name: one for name, one in given["settings"].items() if name in _SETTINGS}
    sizes = {letter: n for letter, n in given["sizes"].items() if letter in _SIZES}
    name = given["stage"], given["kind"], given["seed"], head["dtype"]
    return Case(*name, settings, np.zeros(0), sizes=sizes)


# Writing -----------------------------------------------------------------------


def head_of(container: str, dtype: str, accumulation: str, seeds: int, version: str) -> Entry:
    """What all tensors of a manifest have in common."""
    form = format_of(dtype)
    overflow = 2.0 ** (form.highest - 1) * (2 - form.unit)
    return {
        "spec": SPEC,
        "package": {"name": "numixology", "version": version},
        "format": container,
        "dtype": dtype,
        "accumulation": accumulation,
        "unit": form.unit,
        "overflow": overflow if math.isfinite(overflow) else None,
        "rule": RULE,
        "seeds": seeds,
    }


def entries_of(
    head: Entry, case: Case, inputs: Mapping[str, Shape], output: Shape, end: int
) -> Iterator[Entry]:
    """What is said of the tensors of a case, but for their digests and bounds.

    Args:
        head: what all tensors have in common.
        case: to which they belong.
        inputs: the shapes of the arrays among its inputs.
        output: the shape of its output.
        end: where the tensors of the case before it end in a raw file.
    """
    true = {"output": output}
    true |= {f"gradient.{name}": shape for name, shape in inputs.items() if name != "ids"}
    shapes = {f"input.{name}": shape for name, shape in inputs.items()} | {"cotangent": output}
    shapes |= true | {f"scale.{tensor}": shape for tensor, shape in true.items()}
    given = carried(head["dtype"], head["format"])
    for tensor, shape in shapes.items():
        role, _, name = tensor.partition(".")
        dtype = given if role in ("input", "cotangent") else "float64"
        header = Header("int64" if tensor == "input.ids" else dtype, shape)
        entry: Entry = {
            "role": role,
            "name": name,
            "file": f"{case.stage}{CONTAINERS[head['format']]}",
            "key": f"{key_of(case)}.{tensor}",
            "dtype": header.dtype,
            "shape": list(shape),
            "byte_order": "little",
            "layout": "C",
            "sha256": "",
        }
        if head["format"] == "raw":
            entry |= {"offset": aligned(end), "length": header.length}
            end = aligned(end) + header.length
        if tensor in true:
            entry |= {"bound": 0.0, "scale": f"{key_of(case)}.scale.{tensor}"}
        yield entry


def text_of(content: Entry) -> str:
    """A manifest as text, with its digest."""
    return json.dumps({"sha256": _digest(content)} | content, indent=1) + "\n"


def _digest(content: Entry) -> str:
    """The sha256 of canonical JSON, so that line ends and spaces do not matter."""
    held = {name: one for name, one in content.items() if name != "sha256"}
    canonical = json.dumps(held, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def table(content: Entry) -> str:
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
    """A manifest, after a look at everything that it says.

    Raises:
        VectorError: it is missing, damaged, of another version, or says what cannot be.
    """
    path = folder / MANIFEST
    if folder.is_dir() and not path.exists():
        raise VectorError(
            f"a folder of vectors has a {MANIFEST}",
            f"{folder} without one",
            "name the folder that numixology vectors write has written, and then that of results",
        )
    with opened(path) as (file, size):
        if size > LARGEST:
            raise damaged(path, f"it has at most {LARGEST} bytes", size)
        content: Entry = json.loads(file.read(size).decode("utf-8"))
        _check(path, "the manifest", content, DESCRIPTION)
        if (digest := _digest(content)) != content["sha256"]:
            raise damaged(path, f"the manifest has the sha256 {digest}", content["sha256"])
        ends = dict.fromkeys(STAGES, 0)
        for given in content["cases"]:
            ends[given["stage"]] = _follow(path, content, given, ends[given["stage"]])
    return content


def _check(path: Path, where: str, value: Any, wanted: Any) -> None:
    """Refuse what is not as it is described."""
    if isinstance(wanted, UnionType):
        if value is None:
            return
        wanted = wanted.__args__[0]
    if isinstance(wanted, tuple):
        words, fits = f"one of {', '.join(wanted)}", value in wanted
    elif wanted is str:
        words, fits = "text", type(value) is str
    elif isinstance(wanted, type):
        words, fits = "a number from 0", type(value) in (int, wanted) and 0 <= value < 2**63
    else:
        words, fits = f"a {type(wanted).__name__}", type(value) is type(wanted)
    if not fits:
        raise damaged(path, f"{where} is {words}", repr(value))
    if isinstance(wanted, dict):
        for name, one in wanted.items():
            _check(path, f"{where}, {name}", value.get(name), one)
    elif isinstance(wanted, list):
        for i, one in enumerate(value):
            _check(path, f"{where}, {i}", one, wanted[0])


def _follow(path: Path, head: Entry, given: Entry, end: int) -> int:
    """Where the tensors of a case end; they are refused if they are not those that it has."""
    case, tensors = case_of(head, given), given["tensors"]
    inputs = {one["name"]: tuple(one["shape"]) for one in tensors if one["role"] == "input"}
    outputs = [tuple(one["shape"]) for one in tensors if one["role"] == "output"]
    wanted = list(entries_of(head, case, inputs, outputs[0] if outputs else (), end))
    if len(wanted) != len(tensors):
        raise damaged(path, f"{case.name} has {len(wanted)} tensors", len(tensors))
    for one, found in zip(wanted, tensors, strict=True):
        for name, value in one.items():
            held = found.get(name)
            if held is None if name in ("sha256", "bound") else held != value:
                raise damaged(path, f"{name!r} of {one['key']} is {value!r}", repr(held))
    return end_of(wanted)


def end_of(entries: Sequence[Entry]) -> int:
    """Where the last of some tensors ends in a raw file."""
    return int(entries[-1].get("offset", 0) + entries[-1].get("length", 0))
