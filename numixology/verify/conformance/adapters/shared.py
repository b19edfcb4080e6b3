"""What the ready adapters share: what is declared of them, sizes, names, and how code is called."""

import inspect
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....array import Array
from ....errors import StateDictError, unknown
from ..adapter import DECLARES, Declaration
from ..formats import format_of
from ..sizes import LETTERS, sizes_in
from ..stages import OPTIONS, STAGES, Inputs, inputs_of

__all__ = ["Backend", "Names", "Sizes", "arrays_of", "called", "needed", "sizes_of", "taken"]
__all__ += ["title"]


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


def sizes_of(stage: str, inputs: Inputs) -> Sizes:
    """The sizes of a case, read off the shapes of its inputs."""
    words = dict(zip(LETTERS, Sizes._fields, strict=False))
    found = {words[letter]: n for letter, n in sizes_in(stage, inputs).items()}
    return Sizes(**found, eps=inputs.get("eps", 0.0))


def arrays_of(inputs: Inputs) -> dict[str, Array]:
    """The floating-point arrays among the inputs: those that have gradients."""
    arrays = {name: one for name, one in inputs.items() if isinstance(one, np.ndarray)}
    return {name: one for name, one in arrays.items() if one.dtype.kind == "f"}


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
        takes = inspect.signature(type(self)).parameters.values()
        own_options = [one.name for one in takes if one.default is not one.empty]
        for word in declares:
            if word not in (known := (*own_options, *DECLARES, *OPTIONS)):
                raise unknown("option", word, known)
        own = {k: v for k, v in declares.items() if k in DECLARES and v is not None}
        vars(self).update(own)
        Declaration(self)


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
        others = [name for name in theirs if re.sub(r"\.\d+\.", ".i.", name) not in self.ours]
        if others:
            instead = f"use {', '.join(name for name, axes in self.ours.items() if axes != '()')}"
            raise StateDictError(f"names has parameters of {stage}", ", ".join(others), instead)

    def of(self, arrays: Mapping[str, Any]) -> dict[str, str]:
        """Their name of each parameter, by ours: of all floating-point arrays but x."""
        found = {}
        for name in [name for name in arrays if name != "x"]:
            number = name.split(".")[1] if name.startswith("blocks.") else "i"
            general = name.replace(f".{number}.", ".i.", 1)
            theirs = self.theirs.get(name) or self.theirs.get(general, general)
            found[name] = ".".join(number if one == "i" else one for one in theirs.split("."))
        return found


def title(code: Any) -> str:
    """What reports call it."""
    name: str = getattr(code, "__name__", type(code).__name__)
    return "Yours" if name == "<lambda>" else name


def taken(code: Any) -> inspect.Signature | None:
    """What a function, a class or the forward of a module takes, if it says so."""
    try:
        made = isinstance(code, type)
        return inspect.signature(code if made else getattr(code, "forward", code))
    except ValueError:  # as of torch.sigmoid
        return None


def needed(takes: inspect.Signature) -> list[str]:
    """The arguments that it cannot do without."""
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    values = takes.parameters.values()
    return [one.name for one in values if one.default is one.empty and one.kind not in many]


def called(code: Any, given: Mapping[str, Any], alone: Any, several: Sequence[Any]) -> Any:
    """Call what somebody has written with the arguments that it asks for.

    Args:
        code: a function, a class or a module.
        given: arguments by the names that it may have for them.
        alone: what it gets if it takes one argument, whatever that is called.
        several: what it gets otherwise.
    """
    takes = taken(code)
    if takes is None:
        return code(*several)
    names = needed(takes)
    if names and given.keys() >= {*names}:
        known = OrderedDict((name, given[name]) for name in takes.parameters if name in given)
        bound = inspect.BoundArguments(takes, known)
        return code(*bound.args, **bound.kwargs)
    return code(alone) if len(names) == 1 else code(*several[: len(names) or None])
