"""Several adapters as one, each for its own stages."""

from typing import Any

from ....array import Array
from ....errors import ArgumentError, shown
from ..adapter import Declaration
from ..stages import Inputs

__all__ = ["Combined"]


class Combined:
    """One adapter of several, each for its own stages.

    Args:
        adapters: those of :func:`.torch_module` and :func:`.jax_function`, or any other. What they
            say of themselves is put together.

    Raises:
        ArgumentError: two have the same stage, or say different things.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import Combined, Numpy
        >>> silu, gelu = Numpy("float32", stages=["silu"]), Numpy("float32", stages=["gelu"])
        >>> report = conform(Combined(silu, gelu), stages=["gelu", "silu"], quick=True)
        >>> [(one.stage, one.outcome) for one in report.stages]
        [('gelu', 'pass'), ('silu', 'pass')]
    """

    def __init__(self, *adapters: Any) -> None:
        self.name = "; ".join(dict.fromkeys(one.name for one in adapters))
        self.parts: dict[str, Any] = {}
        for one in adapters:
            about, mine = vars(Declaration(one)), vars(self)
            for what in ("dtype", "accumulation", "rounds", "subnormals"):
                _agreed(mine, what, about[what])
            for what in ("requires", "options"):
                for key, value in about[what].items():
                    _agreed(mine.setdefault(what, {}), key, value)
            for what in ("profile", "lost", "shapes"):
                mine.setdefault(what, []).extend(about[what])
            for stage in about["stages"]:
                _agreed(self.parts, stage, one)
        self.stages = [*self.parts]

    def forward(self, stage: str, inputs: Inputs) -> Any:
        """What the stage's adapter computes."""
        return self.parts[stage].forward(stage, inputs)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> Any:
        """The gradients by the stage's adapter."""
        if not Declaration(self.parts[stage]).has_vjp:
            raise NotImplementedError("it has no vjp")
        return self.parts[stage].vjp(stage, inputs, cotangent)


def _agreed(said: dict[str, Any], what: str, value: Any) -> None:
    if said.setdefault(what, value) != value:
        got = f"{what}: {shown(said[what])} and {shown(value)}"
        instead = "give both the same, or leave one out"
        raise ArgumentError("combined adapters do not contradict each other", got, instead)
