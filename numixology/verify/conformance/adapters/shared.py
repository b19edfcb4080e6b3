"""What the ready adapters share: what is declared of them, sizes, names, and how code is called."""

import re
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from ....array import Array
from ....errors import ArgumentError, StateDictError
from ..adapter import DECLARES, declared
from ..formats import format_of
from ..stages import OPTIONS, STAGES, Inputs, depth_of, inputs_of

__all__ = ["Backend", "Names", "Sizes", "arrays_of", "called", "sizes_of"]


class Sizes(NamedTuple):
    """How large a case is: with what an author's module or function is built.

    What a stage does not have is 0, as the number of words where there is no embedding.

    Attributes:
        batch: B, the number of sequences.
        tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_heads: H, the number of heads.
        ff_dim: F, or the outputs of a linear layer.
        vocab_size: V, the number of ids.
        num_layers: how many blocks a model has.
        eps: of every LayerNorm.

    Example:
        >>> from numixology.verify.conformance.adapters import Sizes
        >>> sizes = Sizes(batch=2, tokens=3, hidden_dim=10, eps=1e-5)
        >>> sizes.hidden_dim, sizes.vocab_size
        (10, 0)
    """

    batch: int = 0
    tokens: int = 0
    hidden_dim: int = 0
    num_heads: int = 0
    ff_dim: int = 0
    vocab_size: int = 0
    num_layers: int = 0
    eps: float = 0.0


_LETTERS = {"B": "batch", "T": "tokens", "D": "hidden_dim", "F": "ff_dim", "V": "vocab_size"}


def sizes_of(stage: str, inputs: Inputs) -> Sizes:
    """The sizes of a case, read off the shapes of its inputs."""
    found: dict[str, Any] = {name: inputs[name] for name in ("eps", "num_heads") if name in inputs}
    if stage == "model":
        found["num_layers"] = depth_of(inputs)
    for name, axes in inputs_of(stage, _options(inputs)).items():
        if axes != "()":
            shape = inputs[name.replace(".i.", ".0.")].shape
            letters = axes.strip("(,)").split(", ")
            found |= {_LETTERS[axis]: n for axis, n in zip(letters, shape, strict=True)}
    return Sizes(**found)


def _options(inputs: Inputs) -> dict[str, str]:
    return {name: inputs[name] for name in OPTIONS if name in inputs}


def arrays_of(inputs: Inputs) -> dict[str, Array]:
    """The floating-point arrays among the inputs: those that have gradients."""
    return {
        name: value
        for name, value in inputs.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    }


class Backend:
    """A library in one format, and what is declared of it.

    Args:
        name: for reports.
        dtype: a key of :data:`.FORMATS`.
        profile: which of :data:`.PROFILES` describe it.
        declares: what else an adapter may say of itself; an option of its networks may also stand
            alone, as ``ffn="swiglu"``. None is as if it were not there.
    """

    stages: Sequence[str] = tuple(STAGES)

    def __init__(
        self, name: str, dtype: str, profile: Sequence[str], declares: Mapping[str, Any]
    ) -> None:
        self.name, self.dtype, self.profile = name, format_of(dtype).name, profile
        self.accumulation = "float64" if dtype == "float64" else "float32"
        self.options: Mapping[str, str] = {k: v for k, v in declares.items() if k in OPTIONS}
        for each, value in declares.items():
            if each not in (*DECLARES, *OPTIONS):
                raise ArgumentError(
                    "what is declared of an adapter is known here",
                    each,
                    f"use {', '.join((*DECLARES, *OPTIONS))}",
                )
            if value is not None and each not in OPTIONS:
                vars(self)[each] = value
        declared(self)


class Names:
    """What somebody else's code calls the parameters of a stage.

    Args:
        stage: a key of :data:`.STAGES`.
        theirs: their name of each, by ours; without an entry it is the same. An ``i`` between dots
            stands for the number of every block, on both sides.
        options: of the networks.

    Raises:
        StateDictError: there is no such parameter.
    """

    def __init__(self, stage: str, theirs: Mapping[str, str], options: Mapping[str, str]) -> None:
        self.theirs, self.ours = dict(theirs), inputs_of(stage, options)
        unknown = [name for name in theirs if re.sub(r"\.\d+\.", ".i.", name) not in self.ours]
        if unknown:
            raise StateDictError(
                f"names maps the parameters of {stage}",
                ", ".join(unknown),
                f"use {', '.join(name for name, axes in self.ours.items() if axes != '()')}",
            )

    def of(self, arrays: Mapping[str, Any]) -> dict[str, str]:
        """Their name of each parameter, by ours: of all floating-point arrays but x."""
        found = {}
        for name in arrays:
            parts = name.split(".")
            number = parts[1] if parts[0] == "blocks" else ""
            general = ".".join(["blocks", "i", *parts[2:]]) if number else name
            theirs = self.theirs.get(name) or self.theirs.get(general, general)
            found[name] = ".".join(
                number or one if one == "i" else one for one in theirs.split(".")
            )
        found.pop("x", None)
        return found


def called(
    function: Callable[..., Any], given: Mapping[str, Any], alone: Any, several: Sequence[Any]
) -> Any:
    """Call what somebody has written with the arguments that it asks for.

    Args:
        function: or a module with a ``forward``.
        given: arguments by the names that it may have for them.
        alone: what it gets if it takes one argument, whatever that is called.
        several: what it gets otherwise.
    """
    asked = function if isinstance(function, type) else getattr(function, "forward", function)
    try:
        takes = signature(asked).parameters
    except ValueError:  # as of torch.sigmoid
        return function(*several)
    named = [one for one in takes.values() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    needed = [one.name for one in named if one.default is one.empty]
    if needed and given.keys() >= {*needed}:
        known = [one for one in named if one.name in given]
        placed = [given[one.name] for one in known if one.kind is one.POSITIONAL_ONLY]
        others = {one.name: given[one.name] for one in known if one.kind is not one.POSITIONAL_ONLY}
        return function(*placed, **others)
    return function(alone) if len(needed) == 1 else function(*several[: len(needed) or None])
