"""A network put together from a backend's own parts.

A network that is wrong as this one is wrong has no fault of its own: its parts have it.
"""

from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from ...primitives import primitive
from ...tensors import Tensor, leaf
from .bugs import Bug
from .formats import FORMATS, format_of
from .stages import NETWORKS, STAGES
from .textbook import Textbook

__all__ = ["LAYERS", "part_bugs"]

#: The stages that networks are made of.
LAYERS = ("embedding", "token_mix", "layer_norm", "linear", "gelu", "gelu_tanh", "silu")


_TOGETHER = "it fails as its parts do together"


class _Call(NamedTuple):
    """A stage that a backend is asked for, with all inputs that have no gradient."""

    adapter: Any
    stage: str
    names: Sequence[str]
    settings: dict[str, Any]

    def inputs(self, arrays: Sequence[Array]) -> dict[str, Any]:
        """What the backend is called with."""
        form = format_of(self.adapter.dtype)
        stored = (np.ascontiguousarray(form.stored(one)) for one in arrays)
        return {**self.settings, **dict(zip(self.names, stored, strict=True))}


@primitive
def _asked(*arrays: Array, call: _Call) -> Array:
    got = call.adapter.forward(call.stage, call.inputs(arrays))
    return np.asarray(got).astype(arrays[0].dtype)


@_asked.vjp("*arrays")
def _asked_da(position: int, ct: Any, y: Any, *arrays: Any, call: _Call) -> Any:
    seed = format_of(call.adapter.dtype).stored(ct)
    backend = Context()  # in which it may record, as it does when it is called by itself
    found = backend.run(call.adapter.vjp, call.stage, call.inputs(arrays), seed)
    return np.asarray(found[call.names[position]]).astype(arrays[position].dtype)


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
    return [
        Bug(
            " and ".join(names),
            f"it fails as its part {names[0]} does" if len(names) == 1 else _TOGETHER,
            "parts",
            (stage,),
            type("Assembled", (Textbook,), {name: _layer(name, adapter) for name in names}),
            tuple(FORMATS),
            noisy=False,
            unsteady=False,
        )
        for names in several
    ]


def _layer(stage: str, adapter: Any) -> Callable[..., Tensor]:
    """The textbook's layer, which the backend computes."""

    def layer(self: Textbook, *args: Any) -> Tensor:
        given = dict(zip(STAGES[stage].inputs, args, strict=False))
        if stage == "linear" and len(args) < 3:
            given["bias"] = leaf(np.zeros(args[1].shape[0], self.wide))
        tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
        settings = {name: value for name, value in given.items() if name not in tensors}
        call = _Call(adapter, stage, tuple(tensors), settings)
        result: Tensor = _asked(*tensors.values(), call=call)
        return result

    return layer
