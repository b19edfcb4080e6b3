"""The guide's figures, drawn from the running code: the mixer's steps, and the layers' flow.

Nothing here knows what a layer does. The layer is run on a small example, its steps are traced,
and what they hold is looked up: the mixer is run on 0, 1, 2, …, so that every number it hands on
says which feature of which token it was.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..array import Array, Shape
from ..functional.mixing import Mixing
from ..tensors import tensor
from .scene import Panel, Scene
from .trace import Step, steps_of

__all__ = ["feed_forward_scene", "mixer_scene", "model_scene"]

_MOST_ROWS = 8
_MOST_CELLS = 16

#: Heading and remark of each step that a layer names.
_HEADINGS = {
    "partition": ("Head partitioning", "each token is cut into {H} heads of {d}"),
    "permute": ("Permutation", "(0, 2, 1, 3): heads first, then tokens; only the strides change"),
    "flatten": ("Flatten", "one sequence of {HT} chunks: the same values in the same order"),
    "unflatten": ("Unflatten", "heads and tokens apart again: equal to step 2"),
    "restore": ("Permute back", "tokens first again: equal to step 1, so nothing has mixed"),
    "merge": ("Merge", ""),
    "residual": ("Residual", "the input is added"),
    "norm": ("LayerNorm", "each token to mean 0 and variance 1"),
}


#: The guide's numbering of the steps, and what becomes of it when its source is followed.
_NUMBERS = ("1", "2", "3", "4", "5", "6")
_GUIDE_NUMBERS = ("1", "2", "3", "4", "5a", "5b", "6a", "6b")

#: Remark on each step of a feed-forward network.
_REMARKS = {
    "norm": "each token to mean 0 and variance 1",
    "linear1": "expand",
    "linear2": "contract",
    "dropout": "in training only",
    "residual": "the input is added",
    "w1": "gate: reads the norm's output",
    "w3": "up: reads the norm's output too",
    "multiply": "gate times up",
    "w2": "down: contract",
    "position_embedding": "one table, broadcast over the batch",
}


def mixer_scene(
    num_tokens: int = 4,
    hidden_dim: int = 8,
    num_heads: int = 4,
    *,
    batch: int = 2,
    mixing: Mixing = "rankmixer",
) -> Scene:
    """The token mixer step by step, with features named a1, a2, … as in the guide.

    Args:
        num_tokens: T.
        hidden_dim: D.
        num_heads: H, a divisor of D.
        batch: B; the values shown are those of the first sequence.
        mixing: ``"rankmixer"`` or ``"guide"``.

    Returns:
        A :class:`.Scene`, whose ``text()`` is the figure.

    Raises:
        ArgumentError, ShapeError: sizes that no mixer has.

    Source: guide, Token Mixer Step-by-Step.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.mixer_scene(2, 4, 2)
        >>> for left, right in scene.panels[4].lines[:2]:
        ...     print(left)
        Token 0: [a1,a2,b1,b2]
        Token 1: [a3,a4,b3,b4]
    """
    mixer = nn.TokenMixer(num_tokens, hidden_dim, num_heads, mixing=mixing)
    nn.module.positive(batch=batch)
    x = np.arange(float(batch * num_tokens * hidden_dim)).reshape(batch, num_tokens, hidden_dim)
    steps = steps_of(mixer, tensor(x))
    names = _feature_names(num_tokens, hidden_dim)
    sizes = {"H": num_heads, "d": hidden_dim // num_heads, "HT": num_heads * num_tokens}
    numbers = _GUIDE_NUMBERS if mixing == "guide" else _NUMBERS
    before, panels = steps[0], [_panel("Input", steps[0].shape, _rows(steps[0], names))]
    mixed = names
    for number, step in zip(numbers, steps[1:], strict=True):
        heading, remark = _HEADINGS[step.name]
        if step.name == "residual":
            rows = [
                _named(
                    "Token",
                    t,
                    _cells([f"{a}+{b}" for a, b in zip(names[t], mixed[t], strict=True)]),
                )
                for t in range(num_tokens)
            ]
        elif step.name == "norm":
            rows = [
                _named("Token", t, _cells([f"{v:.2f}" for v in row]))
                for t, row in enumerate(step.value[0])
            ]
        else:
            rows = _rows(step, names)
        if step.name == "merge":
            mixed = names.reshape(-1)[step.value[0].astype(int)]
            remark = _verdict(num_tokens, num_heads, mixing)
        title = f"Step {number}: {heading}  {_arrow(before, step)}"
        panels.append(Panel(title, (*_shown(rows), ("", ""), (remark.format(**sizes), ""))))
        before = step
    title = (
        f"Token mixer ({mixing}): T = {num_tokens} tokens, D = {hidden_dim} features, "
        f"H = {num_heads} heads of d = {sizes['d']}"
    )
    return Scene(title, tuple(panels))


def _verdict(num_tokens: int, num_heads: int, mixing: str) -> str:
    if mixing == "guide":
        return "every token is what it was: no token sees another"
    seen = min(num_heads, num_tokens)
    return f"regrouped, {{H}} chunks per token: each token now has chunks of {seen} tokens"


def feed_forward_scene(
    hidden_dim: int = 768,
    ff_dim: int | None = None,
    *,
    batch: int = 4,
    num_tokens: int = 8,
    ffn: nn.rankmixer.Network = "standard",
    activation: nn.feed_forward.Activation = "gelu",
) -> Scene:
    """The flow through a feed-forward network, with the shape after every step.

    Args:
        hidden_dim: D.
        ff_dim: F; 4D if None.
        batch: B.
        num_tokens: T.
        ffn: ``"standard"`` or ``"swiglu"``.
        activation: of the standard network.

    Returns:
        A :class:`.Scene`, whose ``text()`` is the figure.

    Raises:
        ArgumentError: sizes or words that no network has.

    Source: guide, Feed Forward Network Flow and SwiGLU Variant Comparison.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.feed_forward_scene(4, batch=1, num_tokens=2).text())
        Feed-forward network (standard, gelu): 156 parameters
        <BLANKLINE>
        Flow
          input       (1, 2, 4)
          norm        (1, 2, 4)   each token to mean 0 and variance 1
          linear1     (1, 2, 16)  expand
          activation  (1, 2, 16)
          dropout     (1, 2, 16)  in training only
          linear2     (1, 2, 4)   contract
          dropout     (1, 2, 4)   in training only
          residual    (1, 2, 4)   the input is added
    """
    nn.module.positive(batch=batch, num_tokens=num_tokens)
    block = nn.RankMixerBlock(
        1,
        hidden_dim,
        1,
        ff_dim=ff_dim,
        ffn=ffn,
        activation=activation,
        rng=0,
    )
    network = block.ffn
    steps = steps_of(network, tensor(np.zeros((batch, num_tokens, hidden_dim))))
    kind = f"standard, {activation}" if ffn == "standard" else ffn
    title = f"Feed-forward network ({kind}): {network.parameter_table().total:,} parameters"
    return Scene(title, (_flow("input", (batch, num_tokens, hidden_dim), steps),))


def model_scene(
    vocab_size: int = 1000,
    num_tokens: int = 4,
    hidden_dim: int = 8,
    num_heads: int = 4,
    num_layers: int = 2,
    *,
    batch: int = 2,
    ff_dim: int | None = None,
    ffn: nn.rankmixer.Network = "standard",
    mixing: Mixing = "rankmixer",
) -> Scene:
    """The flow through the model, from ids to final hidden states, with every shape.

    Args:
        vocab_size: V.
        num_tokens: T.
        hidden_dim: D.
        num_heads: H, a divisor of D.
        num_layers: the number of blocks.
        batch: B.
        ff_dim: F; 4D if None.
        ffn: ``"standard"`` or ``"swiglu"``.
        mixing: ``"rankmixer"`` or ``"guide"``.

    Returns:
        A :class:`.Scene`, whose ``text()`` is the figure.

    Raises:
        ArgumentError, ShapeError: sizes or words that no model has.

    Source: guide, Multi-Layer Model.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.model_scene(10, 2, 4, 2, 1, batch=1)
        >>> for left, right in scene.panels[0].lines:
        ...     print(left)
        input ids           (1, 2)
        token_embedding     (1, 2, 4)
        position_embedding  (2, 4)
        embedding           (1, 2, 4)
    """
    nn.module.positive(batch=batch)
    model = nn.RankMixerModel(
        vocab_size,
        num_tokens,
        hidden_dim,
        num_heads,
        num_layers,
        ff_dim=ff_dim,
        ffn=ffn,
        mixing=mixing,
        rng=0,
    )
    ids = np.arange(batch * num_tokens).reshape(batch, num_tokens) % vocab_size
    steps = steps_of(model.eval(), ids)
    panels = [_flow("input ids", ids.shape, steps[:3])._replace(title="Embeddings")]
    ends = [i for i, step in enumerate(steps) if step.name.startswith("block ")]
    title = "Layer 1: token mixer, then feed-forward"
    panels.append(Panel(title, _lines(_described(steps[3 : ends[0]]))))
    for layer, end in enumerate(ends[1:], start=2):
        line = (f"{steps[end].shape}", "the same steps with parameters of its own")
        panels.append(Panel(f"Layer {layer}", (line,)))
    panels.append(Panel("Final hidden states", ((str(steps[-1].shape), ""),)))
    depth = nn.TokenMixer(num_tokens, hidden_dim, num_heads, mixing=mixing).depth_to_mix
    if depth is None:
        sees = "tokens never meet"
    elif depth == 0:
        sees = "there is one token"
    elif depth <= num_layers:
        sees = f"after {depth} of them every token sees every token"
    else:
        sees = f"every token sees every token only after {depth}"
    title = f"Model of {num_layers} layers, {model.parameter_table().total:,} parameters; {sees}"
    return Scene(title, tuple(panels))


def _flow(first: str, shape: Shape, steps: Sequence[Step]) -> Panel:
    return Panel("Flow", _lines([(first, shape, ""), *_described(steps)]))


def _described(steps: Sequence[Step]) -> list[tuple[str, Shape, str]]:
    return [(step.name, step.shape, _REMARKS.get(step.name, "")) for step in steps]


def _lines(rows: Sequence[tuple[str, Shape, str]]) -> tuple[tuple[str, str], ...]:
    """Name and shape on the left, aligned; the remark on the right."""
    wide = max(len(name) for name, _, _ in rows)
    return tuple((f"{name:{wide}}  {shape}", remark) for name, shape, remark in rows)


def _feature_names(num_tokens: int, hidden_dim: int) -> Array:
    """a1, a2, … for the first token, b1, … for the second; after z comes aa."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = []
    for t in range(num_tokens):
        name, rest = letters[t % 26], t // 26
        while rest:
            rest, name = (rest - 1) // 26, letters[(rest - 1) % 26] + name
        tokens.append(name)
    return np.array([[f"{token}{i + 1}" for i in range(hidden_dim)] for token in tokens])


def _rows(step: Step, names: Array) -> list[str]:
    """The lines that the guide draws for this step, with names for numbers."""
    values = names.reshape(-1)[step.value[0].astype(int)]
    if step.name in ("permute", "unflatten"):
        return [_named("Head", h, _chunks(row)) for h, row in enumerate(values)]
    if step.name in ("partition", "restore"):
        return [_named("Token", t, _chunks(row)) for t, row in enumerate(values)]
    if step.name == "flatten":
        tokens = len(names)
        rows = values.reshape(-1, tokens, values.shape[-1])
        return [
            " ".join(_cells(chunk) for chunk in _few(list(row))) + f"   <- head {h}"
            for h, row in enumerate(rows)
        ]
    return [_named("Token", t, _cells(row)) for t, row in enumerate(values)]


def _panel(title: str, shape: Shape, rows: list[str]) -> Panel:
    return Panel(f"{title}  {shape}", tuple(_shown(rows)))


def _arrow(before: Step, after: Step) -> str:
    memory = "contiguous" if after.contiguous else "not contiguous"
    return f"{before.shape} -> {after.shape}, {memory}"


def _named(kind: str, number: int, cells: str) -> str:
    return f"{kind} {number}: {cells}"


def _chunks(rows: Any) -> str:
    return "[" + ", ".join(_cells(row) for row in _few(list(rows))) + "]"


def _cells(cells: Any) -> str:
    if isinstance(cells, str):
        return cells
    return "[" + ",".join(_few([str(cell) for cell in cells])) + "]"


def _few(items: list[Any]) -> list[Any]:
    """The first and last few of many."""
    if len(items) <= _MOST_CELLS:
        return items
    return [*items[: _MOST_CELLS // 2], "...", *items[-2:]]


def _shown(rows: list[str]) -> list[tuple[str, str]]:
    more = len(rows) - _MOST_ROWS
    shown = rows if more <= 0 else [*rows[:_MOST_ROWS], f"... and {more} more"]
    return [(row, "") for row in shown]
