"""How values flow through the layers: boxes and shapes, from a traced run."""

from collections.abc import Sequence

import numpy as np

from .. import nn
from ..array import Shape
from ..functional.mixing import Mixing
from ..tensors import tensor
from .panels import Box, Graph, Panel, Table
from .scene import Scene
from .trace import Step, steps_of

__all__ = ["feed_forward_scene", "model_scene", "parameters_scene"]

#: What is said beside a step.
_REMARKS = {
    "norm": "each token to mean 0 and variance 1",
    "linear1": "expand",
    "linear2": "contract",
    "dropout": "in training only",
    "residual": "the input is added",
    "w1": "gate",
    "w3": "up: beside the gate, not behind it",
    "multiply": "gate times up",
    "w2": "down: contract",
    "position_embedding": "one table, broadcast over the batch",
}

#: What a step reads, where that is not just the step before it; a step of that name comes before.
_READS = {"w3": ("norm",), "multiply": ("silu", "w3")}


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
          residual    (1, 2, 4)   the input is added; reads dropout and input
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
    description = "The steps from input to output, from top to bottom, each with its shape."
    boxes = _flow("input", (batch, num_tokens, hidden_dim), steps)
    return Scene(title, description, (Graph("Flow", boxes),))


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
        >>> for box in scene.panels[0].boxes:
        ...     print(box.name, box.shape)
        input ids (1, 2)
        token_embedding (1, 2, 4)
        position_embedding (2, 4)
        embedding (1, 2, 4)
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
    embeddings = (
        Box("ids", "input ids", str(ids.shape)),
        _box(steps[0], reads=("ids",), place=(1, 0)),
        _box(steps[1], place=(1, 1)),
        _box(steps[2], reads=(steps[0].name, steps[1].name), place=(2, 0)),
    )
    ends = [i for i, step in enumerate(steps) if step.name.startswith("block ")]
    title = "Layer 1: token mixer, then feed-forward"
    panels: list[Panel] = [Graph("Embeddings", embeddings)]
    panels.append(Graph(title, _flow("embedding", steps[2].shape, steps[3 : ends[0]])))
    for layer, end in enumerate(ends[1:], start=2):
        remark = "the same steps with parameters of its own"
        panels.append(Graph(f"Layer {layer}", (_box(steps[end])._replace(remark=remark),)))
    last = Box("states", "final hidden states", str(steps[-1].shape))
    panels.append(Graph("Final hidden states", (last,)))
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
    description = "Ids become embeddings; every layer mixes tokens, then passes each through a "
    return Scene(title, description + "feed-forward network.", tuple(panels))


def parameters_scene(
    hidden_dim: int = 768, ff_dim: int | None = None, *, ffn: nn.rankmixer.Network = "standard"
) -> Scene:
    """Where the parameters of a feed-forward network are, with their shares.

    Args:
        hidden_dim: D.
        ff_dim: F; 4D if None.
        ffn: ``"standard"`` or ``"swiglu"``.

    Returns:
        A :class:`.Scene` of one table.

    Raises:
        ArgumentError: sizes or words that no network has.

    Source: guide, Parameter Distribution.

    Example:
        >>> import numixology as nx
        >>> nx.explain.parameters_scene(4).panels[0].rows[-1]
        ('total', '', '156', '100.000 %')
    """
    kind = nn.SwiGLUFeedForward if ffn == "swiglu" else nn.FeedForward
    table = kind(hidden_dim, ff_dim, rng=0).parameter_table()
    rows = [(row.name, str(row.shape), f"{row.count:,}", f"{row.share:.3f} %") for row in table]
    rows.append(("total", "", f"{table.total:,}", "100.000 %"))
    header = ("parameter", "shape", "count", "share")
    title = f"Parameters of the {ffn} feed-forward network, D = {hidden_dim}"
    description = "Every parameter with its shape, how many numbers it has, and their share."
    return Scene(title, description, (Table("Parameters", header, tuple(rows), "<<>>"),))


def _box(step: Step, reads: tuple[str, ...] = (), place: tuple[int, int] = (0, 0)) -> Box:
    return Box(step.name, step.name, str(step.shape), _REMARKS.get(step.name, ""), reads, place)


def _flow(first: str, shape: Shape, steps: Sequence[Step]) -> tuple[Box, ...]:
    """Boxes from top to bottom; a residual also reads what its part of the flow began with."""
    boxes = [Box(first, first, str(shape))]
    start = latest = first
    keys = {first: first}  # a step's name -> the key of its last box
    for i, step in enumerate(steps, start=1):
        if step.name == "input":  # the box before is it
            continue
        key = f"{step.name} {i}"
        reads = tuple(keys[name] for name in _READS.get(step.name, ())) or (latest,)
        if step.name == "residual":
            reads = (latest, start)
        row = 1 + max(box.place[0] for box in boxes)
        place = (row - 2, 1) if step.name == "w3" else (row, 0)  # beside w1
        boxes.append(_box(step, reads, place)._replace(key=key))
        if boxes[-2].name == "residual":  # the mixer ends with this norm, the network begins
            start = key
        keys[step.name] = latest = key
    return tuple(boxes)
