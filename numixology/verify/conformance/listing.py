"""What the kit can check, as text and as plain data."""

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
        lines = ["stages", *(line for stage in STAGES.values() for line in _of_stage(stage))]
        for title, terms in {
            "letters": LETTERS,
            "kinds of input, small": KINDS,
            "kinds of input, large and rare": KERNEL_KINDS,
            "options of networks": {k: ", ".join(v) for k, v in OPTIONS.items()},
            "profiles": PROFILES,
        }.items():
            lines += ["", title, *(filled(f"{name}: {text}", 2) for name, text in terms.items())]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        shown = ("inputs", "output", "formula")
        stages = {k: {name: getattr(one, name) for name in shown} for k, one in STAGES.items()}
        kinds = KINDS | KERNEL_KINDS
        return {"stages": stages, "kinds": kinds, "options": OPTIONS, "profiles": PROFILES}


def _of_stage(stage: Stage) -> list[str]:
    """The formula of a stage, and its inputs."""
    inputs = [name if axes == "()" else f"{name} {axes}" for name, axes in stage.inputs.items()]
    arrays = f"{', '.join(inputs)}; output {stage.output}"
    return [filled(f"{stage.name}: {stage.formula}", 2), filled(arrays, 4)]
