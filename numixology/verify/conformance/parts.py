"""A network put together from a backend's own parts.

A network that is wrong as this one is wrong has no fault of its own: its parts have it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any

import numpy as np

from ...array import Array
from ...primitives import primitive
from ...tensors import Tensor, leaf
from ...text import ordinal
from .bugs import Bug
from .calling import asked
from .cases import Case, fresh
from .formats import FORMATS
from .sizes import shape_of, sizes_in
from .stages import FEED_FORWARDS, NETWORKS, STAGES, Inputs, stage_of
from .textbook import Textbook

__all__ = ["LAYERS", "bugs_at_one_place", "part_bugs", "parts_of"]

#: The stages that networks are made of.
LAYERS = (
    "embedding", "token_mix", "token_revert", "layer_norm", "rms_norm", "linear",
    "per_token_linear", "gelu", "gelu_tanh", "silu",
)  # fmt: skip
_PARTS: dict[str, tuple[str, ...]] = {
    "feed_forward": ("layer_norm", "linear", "gelu"),
    "swiglu_feed_forward": ("layer_norm", "linear", "silu"),
    "per_token_feed_forward": ("layer_norm", "per_token_linear", "gelu"),
    "per_token_swiglu": ("layer_norm", "per_token_linear", "silu"),
    "mixer": ("token_mix", "layer_norm"),
    "mixer_large": ("token_mix", "token_revert", "rms_norm", "per_token_linear", "silu"),
}
_PARTS["block"] = (*_PARTS["mixer"], "mixer")
_PARTS["model"] = ("embedding", *_PARTS["block"], "block")

_TOGETHER = "it fails as its parts do together"


@primitive
def _asked(*arrays: Array, ask: Callable[..., list[Array]]) -> Array:
    (output,) = ask("forward", arrays)
    return output


@_asked.vjp("*arrays")
def _asked_da(position: int, ct: Any, y: Any, *arrays: Any, ask: Callable[..., Any]) -> Any:
    return Context().run(ask, "vjp", arrays, ct)[position]  # in it a backend records as by itself


def parts_of(case: Case) -> tuple[str, ...]:
    """The stages that the network of a case is made of."""
    parts = _PARTS.get(case.stage, ())
    if "ffn" in stage_of(case.stage).options:
        network = FEED_FORWARDS[case.inputs.get("ffn", "standard")]
        parts = (*parts, *_PARTS[network], network)
    return parts


def part_bugs(adapter: Any, stage: str, offered: Sequence[str]) -> list[Bug]:
    """What a network would be if only one of its parts were the backend's, and if all were.

    Args:
        adapter: what speaks for the backend.
        stage: the network.
        offered: the stages of the backend.

    Returns:
        One for each layer that the backend offers, and one for all of them.
    """
    parts = [name for name in LAYERS if name in offered]
    if stage not in NETWORKS:
        return []
    several = [(name,) for name in parts] + [tuple(parts)] * (len(parts) > 1)
    found = []
    for names in several:
        said = f"it fails as its part {names[0]} does" if len(names) == 1 else _TOGETHER
        kind = type("Assembled", (Textbook,), {name: _layer(name, adapter) for name in names})
        formats, title = tuple(FORMATS), " and ".join(names)
        found.append(
            Bug(title, said, "parts", (stage,), kind, formats, noisy=False, unsteady=False)
        )
    return found


def bugs_at_one_place(case: Case, bugs: Sequence[Bug]) -> list[Bug]:
    """The bugs of layers, each in one of a network's several layers of that kind.

    A model has too many of them.

    Args:
        case: of the network.
        bugs: of its parts.
    """
    if case.stage not in _PARTS or case.stage == "model":
        return []
    counting: _Counting = type("", (_Counting,), {name: _call(name) for name in LAYERS})(case.dtype)
    counting.forward(case.stage, case.inputs)
    found = []
    for bug in bugs:
        for layer in {*LAYERS} & {*bug.stages} if bug.family in _OF_LAYERS else ():
            several = counting.calls[layer] if counting.calls[layer] > 1 else 0
            for place in range(1, several + 1):
                kind = type(bug.name, (_Counting,), {layer: _call(layer, place, bug)})
                said = f"{bug.description}, in the {ordinal(place)} {layer} alone"
                name = f"{bug.name}-in-{layer}-{place}"
                found.append(bug._replace(name=name, description=said, kind=kind))
    return found


#: The families of bugs that show in what a layer returns.
_OF_LAYERS = ("normalization", "linear", "papers", "activations")


class _Counting(Textbook):
    """The textbook, which counts how often each of its layers is called."""

    def run(self, stage: str, p: Inputs) -> Tensor:
        """A stage, whose calls are counted from one."""
        self.calls = Counter[str]()
        return super().run(stage, p)


def _call(layer: str, wrong: int = 0, bug: Bug | None = None) -> Callable[..., Tensor]:
    """A layer that counts its calls, and has a bug at one of them."""

    def method(self: _Counting, *args: Any) -> Tensor:
        self.calls[layer] += 1
        if bug and self.calls[layer] == wrong:
            computes = getattr(bug.make(self.dtype, self.accumulation, self.order), layer)
        else:
            computes = partial(getattr(Textbook, layer), self)
        result: Tensor = computes(*args)
        return result

    return method


def _layer(stage: str, adapter: Any) -> Callable[..., Tensor]:
    """The textbook's layer, which the backend computes."""

    def layer(self: Textbook, *args: Any) -> Tensor:
        given = dict(zip(STAGES[stage].inputs, args, strict=False))
        if "linear" in stage and len(args) < 3:
            given["bias"] = leaf(np.zeros(args[1].shape[:-1], self.wide))
        tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
        shape = shape_of(STAGES[stage].output, sizes_in(stage, given))

        def ask(function: str, arrays: Sequence[Array], ct: Any = 0.0) -> list[Array]:
            stored = dict(zip(tensors, map(self.format.stored, arrays), strict=True))
            cotangent = self.format.stored(np.broadcast_to(ct, shape))
            case = Case(stage, "plain", 0, self.dtype, {**given, **stored}, cotangent)
            found = asked(adapter, fresh(case), function).results
            names = ["output"] if function == "forward" else tensors
            return [found[name].astype(self.wide) for name in names]

        result: Tensor = _asked(*tensors.values(), ask=ask)
        return result

    return layer
