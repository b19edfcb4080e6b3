"""What a backend has to provide: two functions on NumPy arrays, and a few words about itself."""

from collections.abc import Collection, Mapping
from copy import copy
from difflib import get_close_matches
from functools import cache
from typing import Any, Protocol, runtime_checkable

from ...array import Array
from ...errors import DTypeError, nearest, shown
from .formats import FORMATS
from .memory import LAYOUTS
from .scales import PROFILES
from .sizes import LETTERS, fitted, read_shape
from .stages import OPTIONS, STAGES, Inputs

__all__ = ["DECLARES", "Adapter", "Declaration"]


@runtime_checkable
class Adapter(Protocol):
    """A backend.

    Besides these, an adapter may have ``vjp(stage, inputs, cotangent)``, which returns a dict with
    one gradient per floating-point array of the inputs, under its name, and may say:

    - ``stages``: the names of those that it supports (by default all).
    - ``accumulation``: the dtype in which it forms sums, ``"float32"`` or ``"float64"`` (by default
      float64 for float64, else float32).
    - ``profile``: which of :data:`.PROFILES` describe it.
    - ``requires``: which sizes it supports, as ``{"D": 64, "T": "<=128", "H": "T"}``: a divisor,
      a limit, another letter of the same size, ``"power of two"``, or a list of these.
    - ``heads``: ``"tokens"`` where it has as many heads as tokens; the same as ``{"H": "T"}``.
    - ``shapes``: sizes to check besides the others, as ``[{"B": 512, "T": 16, "D": 768}]``.
    - ``options``: what its networks are, as ``{"activation": "gelu_tanh", "ffn": "swiglu"}``. Where
      one is not the default, it is among the inputs of a stage.
    - ``rounds``: ``"once"``, if it rounds a result once, and is to be held to that.
    - ``subnormals``: ``"kept"`` or ``"flushed"``, if that is a promise.
    - ``lost``: which of :data:`.LAYOUTS` its arrays cannot have.
    - ``by_stage``: adapters by stage, each of which speaks for itself; see :class:`.Combined`.

    Arrays come in the dtype of the format: float64, float32 or float16; bfloat16 travels in
    float32. So do the results.

    Attributes:
        name: for reports.
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Example:
        >>> import numpy as np
        >>> from numixology.verify.conformance import Adapter, conform
        >>> class Mine:
        ...     name, dtype, stages = "mine", "float64", ["silu"]
        ...     def forward(self, stage, inputs):
        ...         x = inputs["x"]
        ...         return x * np.exp(-np.logaddexp(0, -x))
        >>> isinstance(Mine(), Adapter), conform(Mine(), seeds=1, quick=True).verdict
        (True, 'pass')
    """

    name: str
    dtype: str

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What the backend computes for a stage.

        Args:
            stage: a key of :data:`.STAGES`.
            inputs: arrays by name, and settings as Python numbers. They may be read-only or have
                gaps, and must be left alone.

        Returns:
            The output, in the dtype of the inputs.
        """


#: What an adapter may say of itself, and the words that it may use.
DECLARES: dict[str, Collection[str]] = {
    "accumulation": ("float64", "float32"),
    "stages": STAGES,
    "profile": PROFILES,
    "heads": ("tokens",),
    "requires": LETTERS,
    "shapes": LETTERS,
    "options": OPTIONS,
    "rounds": ("once",),
    "subnormals": ("kept", "flushed"),
    "lost": LAYOUTS,
}


class Declaration:
    """An adapter and what it says of itself, checked, with defaults filled in.

    Raises:
        ArgumentError: sizes that cannot be.
        DTypeError: it is no adapter, or names something unknown.
    """

    def __init__(self, adapter: Any) -> None:
        lacking = [name for name in ("name", "dtype", "forward") if not hasattr(adapter, name)]
        if lacking or isinstance(adapter, type):
            raise _no_adapter(adapter, lacking)
        for name in dir(adapter):
            meant = _meant(name)
            if meant and not hasattr(adapter, meant) and not callable(getattr(adapter, name)):
                instead = f"write {meant}, or _{name} if it is something else"
                raise DTypeError("what an adapter says of itself is known here", name, instead)
        self._said = {what: getattr(adapter, what, None) for what in DECLARES}
        self.name, self.dtype = str(adapter.name), _one_of(adapter.dtype, FORMATS, "dtype")
        wide = "float64" if self.dtype == "float64" else "float32"
        self.accumulation: str = (*self._words("accumulation"), wide)[0]
        self.stages = self._words("stages") if self._said["stages"] is not None else [*STAGES]
        self.profile = self._words("profile")
        self.forward: Any = adapter.forward
        self.vjp: Any = getattr(adapter, "vjp", None)
        self.has_vjp = callable(self.vjp)
        self.requires = self._pairs("requires") | ({"H": "T"} if self._words("heads") else {})
        fitted(dict.fromkeys(LETTERS, 64), self.requires)  # it reads the rules
        self.options: dict[str, str] = self._pairs("options")
        for name, value in self.options.items():
            _one_of(value, OPTIONS[name], name)
        shapes = self._said["shapes"] or ()
        several = [shapes] if isinstance(shapes, str | Mapping) else shapes
        self.shapes: list[dict[str, int]] = [read_shape(_written(shape)) for shape in several]
        self.rounds, self.subnormals = (
            (*self._words(what), None)[0] for what in ("rounds", "subnormals")
        )
        self.lost = tuple(self._words("lost"))
        self.by_stage: Mapping[str, Any] = getattr(adapter, "by_stage", {})

    def as_many_heads(self) -> "Declaration":
        """The same, which supports as many heads as tokens only."""
        other = copy(self)
        other.requires = {**self.requires, "H": "T"}
        return other

    def _words(self, what: str) -> list[str]:
        value = () if self._said[what] is None else self._said[what]
        several = value if isinstance(value, Collection) and not isinstance(value, str) else [value]
        return [_one_of(word, DECLARES[what], what) for word in several]

    def _pairs(self, what: str) -> dict[str, Any]:
        value = self._said[what] or {}
        if not isinstance(value, Mapping):
            such = f'write such as {what} = {{"{next(iter(DECLARES[what]))}": ...}}'
            raise DTypeError(f"the {what} of an adapter are a dict", shown(value), such)
        return {_one_of(name, DECLARES[what], what): each for name, each in value.items()}


def _one_of(value: Any, known: Collection[str], what: str) -> str:
    if not isinstance(value, str) or value not in known:
        invariant, instead = f"the {what} of an adapter is known here", f"use {', '.join(known)}"
        raise DTypeError(invariant, shown(value), nearest(value, known, instead))
    return value


@cache
def _meant(name: str) -> str:
    """What was probably meant by an attribute whose name is nearly one of those looked for."""
    own = name.startswith("_") or name in DECLARES
    return "" if own else "".join(get_close_matches(name, DECLARES, 1, 0.8))


def _written(shape: Any) -> str:
    """Sizes as they are written on the command line."""
    if isinstance(shape, Mapping):
        return ",".join(f"{letter}={n}" for letter, n in shape.items())
    return str(shape)


def _no_adapter(thing: Any, lacking: Collection[str]) -> DTypeError:
    """Something else was handed over, such as a function of torch: what to write instead."""
    name = getattr(thing, "__name__", type(thing).__name__)
    stage = f'stage="{name.lower() if name.lower() in STAGES else "..."}"'
    instead = "start from the file that numixology conform --new writes"
    if not lacking:
        instead = f"write {name}()"
    elif callable(thing):
        ways = f"torch_module(lambda sizes: {name}, {stage}) or jax_function({name}, {stage})"
        instead = f"write {ways}"
    got = f"{name} without {', '.join(lacking)}" if lacking else f"the class {name}"
    return DTypeError("an adapter has name, dtype and forward(stage, inputs)", got, instead)
