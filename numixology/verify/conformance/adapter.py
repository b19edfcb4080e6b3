"""What a backend has to provide: two functions on NumPy arrays, and a few words about itself."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

from ...array import Array
from ...errors import DTypeError
from .formats import FORMATS
from .scales import PROFILES
from .stages import STAGES, Inputs

__all__ = ["Adapter", "Declaration", "declared"]


@runtime_checkable
class Adapter(Protocol):
    """A backend.

    Besides these, an adapter may have: ``vjp(stage, inputs, cotangent)``, which returns a dict with
    one gradient per floating-point array of the inputs, under its name; ``accumulation``, the dtype
    in which it forms sums (``"float32"`` or ``"float64"``; by default float64 for float64, else
    float32); ``stages``, the names of those it supports (by default all); and ``profile``, which of
    :data:`.PROFILES` describe it.

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
        >>> isinstance(Mine(), Adapter), conform(Mine(), seeds=1).verdict
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


class Declaration:
    """What an adapter says of itself, checked, with defaults filled in."""

    def __init__(self, adapter: Any) -> None:
        for needed in ("name", "dtype", "forward"):
            if not hasattr(adapter, needed):
                raise DTypeError(
                    "an adapter has name, dtype and forward(stage, inputs)",
                    f"{type(adapter).__name__} without {needed}",
                    "start from the file that numixology conform --new writes",
                )
        self.name = str(adapter.name)
        self.dtype = self._one_of(adapter.dtype, FORMATS, "dtype")
        wide = "float64" if self.dtype == "float64" else "float32"
        given = getattr(adapter, "accumulation", None) or wide
        self.accumulation = self._one_of(given, ("float64", "float32"), "accumulation")
        given = getattr(adapter, "stages", None)
        self.stages = [
            self._one_of(stage, STAGES, "stages") for stage in (STAGES if given is None else given)
        ]
        self.profile = [
            self._one_of(one, PROFILES, "profile")
            for one in (getattr(adapter, "profile", None) or ())
        ]
        self.has_vjp = callable(getattr(adapter, "vjp", None))
        heads = {"H": "T"} if getattr(adapter, "heads", None) == "tokens" else {}
        self.requires: dict[str, Any] = dict(getattr(adapter, "requires", None) or {}) | heads
        self.shapes: list[dict[str, int]] = list(getattr(adapter, "shapes", None) or ())
        self.options: dict[str, str] = dict(getattr(adapter, "options", None) or {})
        self.rounds: str | None = getattr(adapter, "rounds", None)
        self.subnormals: str | None = getattr(adapter, "subnormals", None)
        self.lost: tuple[str, ...] = tuple(getattr(adapter, "lost", None) or ())

    @staticmethod
    def _one_of(value: Any, known: Collection[str] | Mapping[str, Any], what: str) -> str:
        if not isinstance(value, str) or value not in known:
            raise DTypeError(
                f"the {what} of an adapter is known here", repr(value), f"use {', '.join(known)}"
            )
        return value


def declared(adapter: Any) -> Declaration:
    """What an adapter says of itself.

    Raises:
        DTypeError: it lacks a name, a dtype or a forward, or names something unknown.
    """
    return Declaration(adapter)
