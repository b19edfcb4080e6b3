"""What lies beside the vectors and says what they are: ``manifest.json``, and ``index.tsv``.

File names and keys follow from what a tensor is. A manifest that says otherwise is refused, so no
name in it ever leads out of its folder.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from .cases import KINDS, Case
from .formats import FORMATS, format_of
from .packing import CONTAINERS, Header, carried, offsets
from .sources import checked_shape, damaged, parse_json, whole
from .stages import STAGES

__all__ = [
    "LARGEST",
    "SPEC",
    "Item",
    "Manifest",
    "Sheet",
    "read_manifest",
    "result_key",
    "table",
    "text_of",
]

#: The version of the vectors. Within one version no number in them changes.
SPEC = "1"

RULE = (
    "error = max |got - true| / (scale * unit), which must not be larger than bound. Where got "
    "equals true, both are NaN, or got is infinite and |true| is at least overflow, the error is "
    "0; NaN is infinitely far from every number."
)

#: What a tensor is to its case, in the order in which they lie in files.
ROLES = ("input", "cotangent", "output", "gradient", "scale")
_KINDS = (*KINDS, "in block", "in model")
#: A manifest has fewer bytes.
LARGEST = 2**26
_NAME = re.compile(r"[A-Za-z0-9_.]{0,100}")


class Item(NamedTuple):
    """One tensor of a case.

    Attributes:
        role: one of :data:`ROLES`.
        name: of an input, or of that whose gradient it is; of a scale, the tensor it belongs to.
        header: its dtype and shape.
        sha256: of its bytes, little-endian, the last axis fastest.
        bound: of an output and a gradient, how far off it may be, in roundings of its scale.
        offset: in raw files, where it starts.
    """

    role: str
    name: str
    header: Header
    sha256: str
    bound: float | None = None
    offset: int | None = None

    @property
    def tensor(self) -> str:
        """``"output"``, or the name of the input whose gradient it is."""
        return self.name if self.role == "gradient" else self.role


class Sheet(NamedTuple):
    """One case: what it is, and its tensors."""

    stage: str
    kind: str
    seed: int
    settings: Mapping[str, float]
    items: Sequence[Item]

    @property
    def name(self) -> str:
        """What its keys start with."""
        return f"{self.stage}.{self.kind.replace(' ', '-')}.{self.seed}"

    def key(self, item: Item) -> str:
        """By what a tensor is known in its file."""
        return ".".join(filter(None, (self.name, item.role, item.name)))


class Manifest(NamedTuple):
    """A folder of vectors."""

    container: str
    dtype: str
    accumulation: str
    seeds: int
    sheets: Sequence[Sheet]

    def file(self, stage: str) -> str:
        """The file that holds all tensors of a stage."""
        return f"{stage}{CONTAINERS[self.container]}"

    @property
    def stages(self) -> list[str]:
        """The stages that have cases, in the order of :data:`.STAGES`."""
        held = {sheet.stage for sheet in self.sheets}
        return [stage for stage in STAGES if stage in held]

    def of(self, stage: str) -> list[Sheet]:
        """The cases of a stage."""
        return [sheet for sheet in self.sheets if sheet.stage == stage]

    def placed(self) -> "Manifest":
        """With the offsets that the tensors have in raw files."""
        found = []
        for stage in self.stages:
            sheets = self.of(stage)
            lengths = [item.header.length for sheet in sheets for item in sheet.items]
            starts = iter(offsets(lengths)[0])
            found += [
                sheet._replace(items=[item._replace(offset=next(starts)) for item in sheet.items])
                for sheet in sheets
            ]
        return self._replace(sheets=found)


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
    start = f"{case.stage}.{case.kind.replace(' ', '-')}.{case.seed}"
    return f"{start}.output" if tensor == "output" else f"{start}.gradient.{tensor}"


# Writing -----------------------------------------------------------------------


def text_of(manifest: Manifest, version: str) -> str:
    """The manifest as JSON."""
    content = _as_json(manifest, version)
    return json.dumps({"sha256": _digest(content)} | content, indent=1) + "\n"


def _digest(content: Mapping[str, Any]) -> str:
    """The sha256 of canonical JSON, so that line ends and spaces do not matter."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _as_json(manifest: Manifest, version: str) -> dict[str, Any]:
    form = format_of(manifest.dtype)
    overflow = 2.0 ** (form.highest - 1) * (2 - form.unit)
    return {
        "spec": SPEC,
        "package": {"name": "numixology", "version": version},
        "format": manifest.container,
        "dtype": manifest.dtype,
        "accumulation": manifest.accumulation,
        "unit": form.unit,
        "overflow": overflow if math.isfinite(overflow) else None,
        "rule": RULE,
        "seeds": manifest.seeds,
        "cases": [
            {
                "case": sheet.name,
                "stage": sheet.stage,
                "formula": STAGES[sheet.stage].formula,
                "kind": sheet.kind,
                "seed": sheet.seed,
                "settings": dict(sheet.settings),
                "tensors": [_item_as_json(manifest, sheet, item) for item in sheet.items],
            }
            for sheet in manifest.sheets
        ],
    }


def _item_as_json(manifest: Manifest, sheet: Sheet, item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": item.role,
        "name": item.name,
        "file": manifest.file(sheet.stage),
        "key": sheet.key(item),
        "dtype": item.header.dtype,
        "shape": list(item.header.shape),
        "byte_order": "little",
        "layout": "C",
        "sha256": item.sha256,
    }
    if item.offset is not None:
        found |= {"offset": item.offset, "length": item.header.length}
    if item.bound is not None:
        found |= {"bound": item.bound, "scale": sheet.key(_scale_of(sheet, item))}
    return found


def _scale_of(sheet: Sheet, item: Item) -> Item:
    name = "output" if item.role == "output" else f"gradient.{item.name}"
    return next(one for one in sheet.items if (one.role, one.name) == ("scale", name))


#: The columns of the index, for programs that would rather not read JSON.
COLUMNS = (
    "case",
    "role",
    "name",
    "file",
    "offset",
    "length",
    "dtype",
    "shape",
    "bound",
    "scale_offset",
    "settings",
)


def table(manifest: Manifest) -> str:
    """The index of raw files: a line per tensor, its columns between tabs, ``-`` for nothing."""
    lines = ["#" + "\t".join(COLUMNS)]
    lines += ["\t".join(row) for row in _rows(manifest)]
    return "\n".join(lines) + "\n"


def _rows(manifest: Manifest) -> Iterator[tuple[str, ...]]:
    for sheet in manifest.sheets:
        settings = ",".join(f"{name}={value!r}" for name, value in sheet.settings.items())
        for item in sheet.items:
            judged = item.bound is not None
            yield (
                sheet.name,
                item.role,
                item.name or "-",
                manifest.file(sheet.stage),
                str(item.offset),
                str(item.header.length),
                item.header.dtype,
                ",".join(map(str, item.header.shape)) or "-",
                repr(item.bound) if judged else "-",
                str(_scale_of(sheet, item).offset) if judged else "-",
                settings or "-",
            )


# Reading -----------------------------------------------------------------------


def read_manifest(path: Path) -> Manifest:
    """A manifest, after a look at everything that it says.

    Raises:
        VectorError: it is missing, damaged, of another version, or says what cannot be.
    """
    return _Reader(path, parse_json(whole(path, LARGEST), path)).manifest()


class _Reader:
    """Takes a manifest apart, and believes nothing."""

    def __init__(self, path: Path, content: Any) -> None:
        self.path, self.content = path, content
        self.container = self.dtype = ""

    def refuse(self, invariant: str, received: object) -> NoReturn:
        raise damaged(self.path, invariant, repr(received))

    def field(self, entry: Any, name: str, kind: type) -> Any:
        value = entry.get(name) if isinstance(entry, dict) else None
        if type(value) is not kind:
            self.refuse(f"{name!r} is there and of type {kind.__name__}", value)
        return value

    def word(self, entry: Any, name: str, known: Sequence[str]) -> str:
        value: str = self.field(entry, name, str)
        if value not in known:
            self.refuse(f"{name!r} is one of {', '.join(known)}", value)
        return value

    def whole(self, entry: Any, name: str, least: int = 0) -> int:
        value: int = self.field(entry, name, int)
        if not least <= value < 2**63:
            self.refuse(f"{name!r} is a number from {least}", value)
        return value

    def manifest(self) -> Manifest:
        """All of it."""
        content = self.content
        if self.field(content, "spec", str) != SPEC:
            self.refuse(f"the vectors are of version {SPEC}", content["spec"])
        digest = _digest({name: one for name, one in content.items() if name != "sha256"})
        if self.field(content, "sha256", str) != digest:
            self.refuse(f"the manifest has the sha256 {digest}", content["sha256"])
        self.container = self.word(content, "format", tuple(CONTAINERS))
        self.dtype = self.word(content, "dtype", tuple(FORMATS))
        accumulation = self.word(content, "accumulation", ("float64", "float32"))
        sheets = [self.sheet(entry) for entry in self.field(content, "cases", list)]
        if len({sheet.name for sheet in sheets}) != len(sheets):
            self.refuse("every case stands once", sorted(sheet.name for sheet in sheets))
        seeds = self.whole(content, "seeds", 1)
        found = Manifest(self.container, self.dtype, accumulation, seeds, sheets)
        found = found.placed() if self.container == "raw" else found
        self.check_places(found, content["cases"])
        return found

    def sheet(self, entry: Any) -> Sheet:
        """One case."""
        settings = self.field(entry, "settings", dict)
        for name in settings:
            if name not in ("eps", "num_heads") or type(settings[name]) not in (int, float):
                self.refuse("settings are eps and num_heads", settings)
        found = Sheet(
            self.word(entry, "stage", tuple(STAGES)),
            self.word(entry, "kind", _KINDS),
            self.whole(entry, "seed"),
            settings,
            [self.item(one) for one in self.field(entry, "tensors", list)],
        )
        self.check_shapes(found)
        return found

    def item(self, entry: Any) -> Item:
        """One tensor."""
        role = self.word(entry, "role", ROLES)
        name = self.field(entry, "name", str)
        if not _NAME.fullmatch(name):
            self.refuse("names are of letters, digits, dots and underscores", name)
        dtypes: tuple[str, ...] = ("float64",)
        if role in ("input", "cotangent"):
            dtypes = (carried(self.dtype, self.container), *(("int64",) * (name == "ids")))
        dtype = self.word(entry, "dtype", dtypes)
        shape = checked_shape(self.field(entry, "shape", list), self.path)
        bound = None
        if role in ("output", "gradient"):
            bound = entry.get("bound")
            if type(bound) not in (int, float) or not 0 <= bound < math.inf:
                self.refuse("a bound is a number from 0", bound)
            bound = float(bound)
        sha256 = self.field(entry, "sha256", str)
        return Item(role, name, Header(dtype, shape), sha256, bound)

    def check_shapes(self, sheet: Sheet) -> None:
        """One output with its cotangent, gradients of inputs, and a scale for each of them."""
        shapes = {(item.role, item.name): item.header.shape for item in sheet.items}
        if len(shapes) != len(sheet.items):
            self.refuse(f"{sheet.name} has every tensor once", list(shapes))
        wanted = {("output", ""): shapes.get(("cotangent", ""))}
        wanted |= {key: shapes.get(("input", key[1])) for key in shapes if key[0] == "gradient"}
        wanted |= {
            ("scale", ".".join(filter(None, key))): shapes.get(key)
            for key in shapes
            if key[0] in ("output", "gradient")
        }
        found = {key: shape for key, shape in shapes.items() if key[0] not in ("input",)}
        found.pop(("cotangent", ""), None)
        if found != wanted:
            self.refuse(f"{sheet.name} has tensors that fit together", list(shapes.items()))

    def check_places(self, manifest: Manifest, entries: Sequence[Any]) -> None:
        """Files, keys, lengths and offsets are those that follow from the rest."""
        if [sheet.stage for sheet in manifest.sheets] != [entry["stage"] for entry in entries]:
            self.refuse("cases stand in the order of the stages", manifest.stages)
        for sheet, entry in zip(manifest.sheets, entries, strict=True):
            for item, given in zip(sheet.items, entry["tensors"], strict=True):
                wanted = _item_as_json(manifest, sheet, item)
                for name, value in wanted.items():
                    if given.get(name) != value:
                        self.refuse(f"{name!r} of {sheet.key(item)} is {value!r}", given.get(name))
