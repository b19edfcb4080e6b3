"""Several adapters as one, each for its own stages."""

from typing import Any

from ....array import Array
from ....errors import ArgumentError
from ..adapter import Declaration
from ..stages import Inputs

__all__ = ["Combined"]


class Combined:
    """One adapter of several, each of which is judged at its own stages by what it says of itself.

    Args:
        adapters: those of :func:`.torch_module` and :func:`.jax_function`, or any other, in one
            format.

    Raises:
        ArgumentError: two have the same stage, or another format.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import Combined, Numpy
        >>> silu, gelu = Numpy("float32", stages=["silu"]), Numpy("float32", stages=["gelu"])
        >>> report = conform(Combined(silu, gelu), stages=["gelu", "silu"], quick=True)
        >>> [(one.stage, one.outcome) for one in report.stages]
        [('gelu', 'pass'), ('silu', 'pass')]
    """

    def __init__(self, *adapters: Any) -> None:
        parts = [*map(Declaration, adapters)]
        self.by_stage = {stage: one for one in parts for stage in one.stages}
        self.stages, self.name = [*self.by_stage], "; ".join(dict.fromkeys(p.name for p in parts))
        formats = {(one.dtype, one.accumulation) for one in parts}
        if len(formats) != 1 or len(self.stages) != sum(len(one.stages) for one in parts):
            got = "; ".join(f"{', '.join(one.stages)} in {one.dtype}" for one in parts)
            invariant = "combined adapters have one format, and no stage in common"
            raise ArgumentError(invariant, got, "leave one out")
        ((self.dtype, self.accumulation),) = formats
        self.profile = [*dict.fromkeys(word for one in parts for word in one.profile)]

    def forward(self, stage: str, inputs: Inputs) -> Any:
        """What the stage's adapter computes."""
        return self.by_stage[stage].forward(stage, inputs)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> Any:
        """The gradients by the stage's adapter."""
        return self.by_stage[stage].vjp(stage, inputs, cotangent)
