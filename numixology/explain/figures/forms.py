"""The forms of the block as equations, read off the tape of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import nn
from ...nn.rankmixer import BlockNorm, Network
from ...observe import observing
from ...tensors import Tensor, tensor
from ..drawing.panels import Table
from ..drawing.scene import Scene
from .limits import COMPUTED, within

__all__ = ["forms_scene"]

_NORMS: tuple[BlockNorm, ...] = ("guide", "post", "pre", "bare_mix")
_NETWORKS: tuple[Network, ...] = ("standard", "swiglu", "per_token", "per_token_swiglu")
_WORDS = {"token_mix": "mix", "network": "f"}
_SIGNS = {"add": " + ", "multiply": " * "}


def forms_scene(num_tokens: int = 4, hidden_dim: int = 8) -> Scene:
    """The forms of the block with T = H heads, as equations: what was called, in which order.

    Returns:
        A :class:`.Scene` of two tables: where the norms stand, and what f is, with its first
        weight.

    Source: RankMixer, section 3.1 (arXiv 2507.15551).

    Example:
        >>> import numixology as nx
        >>> norms, networks = nx.explain.draw("forms").panels
        >>> for norm, s, y in norms.rows:
        ...     print(f"{norm:8} s = {s:17} y = {y}")
        guide    s = norm(x + mix(x))  y = s + f(norm(s))
        post     s = norm(x + mix(x))  y = norm(s + f(s))
        pre      s = x + mix(norm(x))  y = s + f(norm(s))
        bare_mix s = norm(mix(x))      y = norm(x + f(s))
        >>> networks.rows[2]
        ('per_token', 'linear2(gelu(linear1(h)))', '(4, 32, 8)', '2,224')
    """
    T, D = num_tokens, hidden_dim
    within(COMPUTED, num_tokens=T, hidden_dim=D, ff_dim=4 * D)
    norms = tuple((norm, *_block(norm, T, D)) for norm in _NORMS)
    networks = tuple((name, *_network(name, T, D)) for name in _NETWORKS)
    panels = (
        Table("Where the norms stand", ("norm=", "s", "y"), norms, "<<<"),
        Table("What f is", ("ffn=", "f(h)", "first weight", "parameters"), networks, "<<<>"),
    )
    about = "Each form of the block: the equations that its run follows."
    return Scene(f"The block in its forms: T = H = {T}, D = {D}", about, panels)


def _block(norm: BlockNorm, T: int, D: int) -> tuple[str, str]:
    """What the mixer computes, and what the block makes of that, s."""
    block = nn.RankMixerBlock(T, D, T, norm=norm, ffn=nn.Linear(D, D, rng=0))
    x = tensor(np.zeros((1, T, D)), requires_grad=True)
    found: dict[str, Tensor] = {}
    with observing(found.__setitem__):
        y = block(x)
    s, parts = found["mixer"], _parts(block)
    return _equation(s, {x: "x"}, parts), _equation(y, {x: "x", s: "s"}, parts)


def _network(name: Network, T: int, D: int) -> tuple[str, str, str]:
    """What the network computes, the shape of its first weight, and its parameters."""
    ffn: Any = nn.RankMixerBlock(T, D, T, ffn=name, rng=0).eval().ffn
    h = tensor(np.zeros((1, T, D)), requires_grad=True)
    first = next(p for p in ffn.parameters() if p.ndim > 1)
    count = f"{ffn.parameter_table().total:,}"
    return _equation(ffn.network(h), {h: "h"}, _parts(ffn)), str(first.shape), count


def _parts(module: nn.Module) -> dict[Any, str]:
    """The name of the part that each parameter is of."""
    return {p: name.split(".")[-2] for name, p in module.named_parameters()}


def _equation(y: Any, values: Mapping[Any, str], parts: Mapping[Any, str]) -> str:
    """What the tape says that y is, down to the values that have names.

    A function is called as the part is whose parameters it takes.
    """
    if y in values:
        return values[y]
    inputs = [one for one in y.inputs if isinstance(one, Tensor)]
    word = next((parts[one] for one in inputs if one in parts), y.primitive.__name__)
    of = [_equation(one, values, parts) for one in inputs if one not in parts]
    if word in _SIGNS:
        return _SIGNS[word].join(of)
    return f"{_WORDS.get(word, word)}({', '.join(of)})"
