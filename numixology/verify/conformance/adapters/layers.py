"""What the ready adapters share: sizes of a case, names of parameters, and what has gradients."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ....array import Array
from ....errors import ShapeError
from ..stages import Inputs, depth_of, stage_of

__all__ = ["Sizes", "arrays_of", "authors_names", "parameters_of", "sizes_of", "wanted"]


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
    for name, axes in stage_of(stage).inputs.items():
        if axes != "()":
            shape = inputs[name.replace(".i.", ".0.")].shape
            letters = axes.strip("(,)").split(", ")
            found |= {_LETTERS[axis]: n for axis, n in zip(letters, shape, strict=True)}
    return Sizes(**found)


def arrays_of(inputs: Inputs) -> dict[str, Array]:
    """The floating-point arrays among the inputs: those that have gradients."""
    return {
        name: value
        for name, value in inputs.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
    }


def parameters_of(inputs: Inputs) -> dict[str, Array]:
    """The floating-point arrays besides x."""
    return {name: value for name, value in arrays_of(inputs).items() if name != "x"}


def authors_names(ours: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """What an author calls each of our parameters; without an entry in ``names``, the same.

    An ``i`` between dots stands for the number of every block, on both sides.
    """
    found = {}
    for name in ours:
        parts = name.split(".")
        number = parts[1] if parts[0] == "blocks" else ""
        general = ".".join(["blocks", "i", *parts[2:]]) if number else name
        theirs = names.get(name) or names.get(general, general)
        found[name] = ".".join(number or one if one == "i" else one for one in theirs.split("."))
    return found


def wanted(output: Any, shape: tuple[int, ...]) -> None:
    """Refuse an output that no cotangent of the case fits.

    Raises:
        ShapeError: it has another shape.
    """
    if tuple(output.shape) != shape:
        raise ShapeError(
            f"the output has the shape of its cotangent, {shape}",
            str(tuple(output.shape)),
            "return the stage's own output, batch first",
        )
