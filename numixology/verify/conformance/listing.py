"""What the kit can check, as text and as plain data."""

from collections.abc import Mapping
from typing import Any

from ...text import filled
from .cases import KERNEL_KINDS, KINDS
from .scales import PROFILES
from .sizes import LETTERS
from .stages import OPTIONS, STAGES, Stage

__all__ = ["Listing"]


class Listing:
    """The stages with their arrays and formulas, what is asked, and what may be declared.

    Example:
        >>> from numixology.verify.conformance import Listing
        >>> print(Listing())
        stages
          embedding: weight[ids]
            ids (B, T), weight (V, D); output (B, T, D)
        ...
    """

    exit_code = 0  # of the command that prints it

    def __str__(self) -> str:
        stages = [line for stage in STAGES.values() for line in _of_stage(stage)]
        inside = {"in block, in model": "what the layers inside of these are given there"}
        return "\n".join(
            [
                "stages",
                *stages,
                *_terms("letters", LETTERS),
                *_terms("kinds of input, small", KINDS | inside),
                *_terms("kinds of input, large and rare", KERNEL_KINDS),
                *_terms("options of networks", {k: ", ".join(v) for k, v in OPTIONS.items()}),
                *_terms("profiles", PROFILES),
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        stages = {
            stage.name: {"inputs": stage.inputs, "output": stage.output, "formula": stage.formula}
            for stage in STAGES.values()
        }
        kinds = KINDS | KERNEL_KINDS
        return {"stages": stages, "kinds": kinds, "options": OPTIONS, "profiles": PROFILES}


def _of_stage(stage: Stage) -> list[str]:
    """The formula of a stage, and its inputs."""
    inputs = [name if axes == "()" else f"{name} {axes}" for name, axes in stage.inputs.items()]
    arrays = f"{', '.join(inputs)}; output {stage.output}"
    return [filled(f"{stage.name}: {stage.formula}", 2), filled(arrays, 4)]


def _terms(title: str, terms: Mapping[str, str]) -> list[str]:
    return ["", title, *(filled(f"{name}: {meaning}", 2) for name, meaning in terms.items())]
