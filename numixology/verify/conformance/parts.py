"""A bug of a layer, which a network has in one of its several layers of that kind."""

from collections.abc import Callable, Sequence
from typing import Any

from ...tensors import Tensor
from ...text import ordinal
from .bugs import Bug
from .cases import Case
from .stages import Inputs, parts_of
from .textbook import Textbook

__all__ = ["bugs_at_one_place"]

#: The families of bugs that show in what a layer returns.
_OF_LAYERS = ("normalization", "linear", "activations")


def bugs_at_one_place(case: Case, bugs: Sequence[Bug]) -> list[Bug]:
    """The bugs of layers, each in one of a network's several layers of that kind.

    A model has too many of them.

    Args:
        case: of the network.
        bugs: of its parts.
    """
    parts = () if case.stage == "model" else parts_of(case.stage, case.inputs)
    found = []
    for bug in bugs:
        for layer in {*parts} & {*bug.stages} if bug.family in _OF_LAYERS else ():
            several = parts.count(layer)
            for place in range(1, several + 1 if several > 1 else 1):
                kind = type(bug.name, (_Counting,), {layer: _wrong_at(place, layer, bug)})
                said = f"{bug.description}, in the {ordinal(place)} {layer} alone"
                name = f"{bug.name}-in-{layer}-{place}"
                found.append(bug._replace(name=name, description=said, kind=kind))
    return found


class _Counting(Textbook):
    """The textbook, which counts how often a layer is called."""

    def run(self, stage: str, p: Inputs) -> Tensor:
        """A stage, whose calls are counted from one."""
        self.calls = 0
        return super().run(stage, p)


def _wrong_at(place: int, layer: str, bug: Bug) -> Callable[..., Tensor]:
    """A layer that has a bug at one of its calls."""

    def method(self: _Counting, *args: Any) -> Tensor:
        self.calls += 1
        wrong = bug.make(self.dtype, self.accumulation)
        computes = getattr(wrong if self.calls == place else super(_Counting, self), layer)
        result: Tensor = computes(*args)
        return result

    return method
