"""What the kit can check, in words."""

from ...text import filled
from .cases import KERNEL_KINDS, KINDS
from .scales import PROFILES
from .sizes import LETTERS
from .stages import OPTIONS, STAGES, Stage

__all__ = ["overview"]


def overview() -> str:
    """The stages with their arrays and formulas, what is asked, and what may be declared.

    Returns:
        The text that ``numixology conform --list`` prints.

    Example:
        >>> from numixology.verify.conformance import overview
        >>> print(overview())
        stages
          embedding: weight[ids]
            ids (B, T), weight (V, D); output (B, T, D)
        ...
    """
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


def _of_stage(stage: Stage) -> list[str]:
    """The formula of a stage, and its inputs."""
    inputs = [name if axes == "()" else f"{name} {axes}" for name, axes in stage.inputs.items()]
    arrays = f"{', '.join(inputs)}; output {stage.output}"
    return [filled(f"{stage.name}: {stage.formula}", 2), filled(arrays, 4)]
