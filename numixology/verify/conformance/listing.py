"""What the kit can check, as a table and as plain data."""

from typing import Any

from ...text import columns
from .cases import KINDS
from .scales import PROFILES
from .stages import STAGES, Stage

__all__ = ["Listing"]


class Listing:
    """The stages with their arrays and formulas, the kinds of input and the profiles.

    Example:
        >>> from numixology.verify.conformance import Listing
        >>> print(Listing())
        stage                array                      shape      computes
        ...
        token_mix            x                          (B, T, D)  (B, T, H, d) to (B, H, T, d), ...
                             num_heads                  a number
                             output                     (B, T, D)
        ...
    """

    exit_code = 0  # of the command that prints it

    def __str__(self) -> str:
        rows = [row for stage in STAGES.values() for row in _rows(stage)]
        networks = {"in block, in model": "what the layers inside of these are given there"}
        return "\n\n".join(
            [
                columns(("stage", "array", "shape", "computes"), rows, "<<<<"),
                columns(("kind of input", "meaning"), [*(KINDS | networks).items()], "<<"),
                columns(("profile", "meaning"), [*PROFILES.items()], "<<"),
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        stages = {
            stage.name: {"inputs": stage.inputs, "output": stage.output, "formula": stage.formula}
            for stage in STAGES.values()
        }
        return {"stages": stages, "kinds": KINDS, "profiles": PROFILES}


def _rows(stage: Stage) -> list[tuple[str, str, str, str]]:
    """The inputs of a stage, and its output."""
    arrays = [(name, "a number" if axes == "()" else axes) for name, axes in stage.inputs.items()]
    rows = [("", name, axes, "") for name, axes in arrays]
    rows[0] = (stage.name, *rows[0][1:3], stage.formula)
    return [*rows, ("", "output", stage.output, "")]
