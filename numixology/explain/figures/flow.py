"""How values flow through the layers: boxes and shapes, from a traced run."""

from collections.abc import Sequence

import numpy as np

from ... import nn
from ...array import Shape
from ...functional.mixing import Mixing
from ...tensors import tensor
from ...text import counted
from ..drawing.panels import OMITTED, Bar, Bars, Box, Graph
from ..drawing.scene import Scene
from ..trace import Step, steps_of
from .limits import COMPUTED, network_within, within
from .mixing import few

__all__ = ["attention_scene", "block_scene", "feed_forward_scene", "model_scene", "swiglu_scene"]

#: What is said beside a step.
_REMARKS = {
    "norm": "mean 0, variance 1",
    "linear1": "expand",
    "linear2": "contract",
    "dropout": "in training only",
    "residual": "the input is added",
    "w1": "gate",
    "w3": "up",
    "multiply": "gate times up",
    "w2": "down",
    "attention": "softmax(query key^T / sqrt(d)) value",
}

_MOST_LAYERS = 1000

_POSITIONS = "The position table reads no ids and is broadcast: every sequence gets the same one."

#: Steps whose value the box before has: it goes in, or comes out of a whole part.
_SHOWN_ALREADY = ("input", "mixer", "ffn")

#: What a step reads, where that is not just the step before it; a step of that name comes before.
_READS: dict[str, tuple[str, ...]] = {"w3": ("norm",), "multiply": ("silu", "w3")}
_READS |= dict.fromkeys(("query", "key", "value"), ("input",))
_READS["attention"] = ("query", "key", "value")
_READS |= {"position_embedding": (), "embedding": ("token_embedding", "position_embedding")}

#: Steps that stand beside an earlier one: how many rows further up, and in which column.
_BESIDE = {"w3": (2, 1), "key": (1, 1), "value": (1, 2), "position_embedding": (1, 1)}


def feed_forward_scene(
    hidden_dim: int = 768,
    ff_dim: int | None = None,
    *,
    batch: int = 4,
    num_tokens: int = 8,
    ffn: nn.rankmixer.Network = "standard",
    activation: nn.activation.ActivationName = "gelu",
) -> Scene:
    """The flow through a feed-forward network, with the shape after every step.

    Args:
        hidden_dim: D, the number of features.
        ff_dim: F; 4D if None.
        batch, num_tokens: B and T.
        ffn: the name of the network, as of :class:`~numixology.nn.RankMixerBlock`.
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
          norm        (1, 2, 4)   mean 0, variance 1
          linear1     (1, 2, 16)  expand
          activation  (1, 2, 16)
          dropout     (1, 2, 16)  in training only
          linear2     (1, 2, 4)   contract
          dropout     (1, 2, 4)   in training only
          residual    (1, 2, 4)   the input is added; reads dropout (2nd) and input
    """
    network_within(hidden_dim, ff_dim, batch, num_tokens, ffn)
    options: nn.BlockOptions = {"ff_dim": ff_dim, "ffn": ffn, "activation": activation, "rng": 0}
    network = nn.RankMixerBlock(num_tokens, hidden_dim, 1, **options).ffn
    steps = steps_of(network, tensor(np.zeros((batch, num_tokens, hidden_dim))))
    kind = f"standard, {activation}" if ffn == "standard" else ffn
    title = f"Feed-forward network ({kind}): {network.parameter_table().total:,} parameters"
    description = "The steps from input to output, from top to bottom, each with its shape."
    boxes = _flow("input", (batch, num_tokens, hidden_dim), steps)
    return Scene(title, description, (Graph("Flow", boxes),))


def attention_scene(
    num_tokens: int = 4, hidden_dim: int = 8, num_heads: int = 2, *, batch: int = 2
) -> Scene:
    """The flow through self-attention, which the guide compares the mixer with.

    Args:
        num_tokens, hidden_dim, num_heads, batch: T, D, H and B; H divides D.

    Returns:
        A :class:`.Scene` of one graph.

    Raises:
        ArgumentError, ShapeError: sizes that no attention has.

    Source: Vaswani et al. 2017, section 3.2.2 (arXiv 1706.03762).

    Example:
        >>> import numixology as nx
        >>> (flow,) = nx.explain.draw("attention", num_tokens=3).panels
        >>> flow.boxes[4].name, flow.boxes[4].shape, flow.boxes[4].reads
        ('attention', '(2, 2, 3, 4)', ('query 1', 'key 2', 'value 3'))
    """
    within(COMPUTED, batch=batch, num_tokens=num_tokens, hidden_dim=hidden_dim)
    layer = nn.SelfAttention(hidden_dim, num_heads, rng=0)
    x = tensor(np.zeros((batch, num_tokens, hidden_dim)))
    title = f"Self-attention: {layer.parameter_table().total:,} parameters"
    about = "Every token asks all others by its query; keys answer, and values are what it gets."
    return Scene(title, about, (Graph("Flow", _flow("input", x.shape, steps_of(layer, x))),))


def swiglu_scene(
    hidden_dim: int = 768, ff_dim: int | None = None, *, batch: int = 4, num_tokens: int = 8
) -> Scene:
    """The standard feed-forward network beside SwiGLU, with their parameters counted.

    Returns:
        A :class:`.Scene` of two graphs and the bars of three parameter counts: of both, and of a
        SwiGLU with F = 8D/3, rounded down, which is about as large as a standard one with F = 4D.

    Source: guide, SwiGLU Variant Comparison.

    Example:
        >>> import numixology as nx
        >>> for bar in nx.explain.draw("swiglu", hidden_dim=768).panels[2].bars:
        ...     print(f"{bar.name:20} {bar.label}")
        standard, F = 3072   4,723,968
        SwiGLU, F = 3072     7,079,424
        SwiGLU, F = 2048     4,720,128
    """
    network_within(hidden_dim, ff_dim, batch, num_tokens)
    x = tensor(np.zeros((batch, num_tokens, hidden_dim)))
    standard = nn.FeedForward(hidden_dim, ff_dim, rng=0)
    F = standard.linear1.weight.shape[0]
    gated = nn.SwiGLUFeedForward(hidden_dim, F, rng=0)
    narrow = nn.SwiGLUFeedForward(hidden_dim, 8 * hidden_dim // 3, rng=0)
    usual = 4 * hidden_dim == F
    counts = (
        (f"standard, F = {F}", standard.parameter_table().total),
        (f"SwiGLU, F = {F}", gated.parameter_table().total),
        (f"SwiGLU, F = {8 * hidden_dim // 3}", narrow.parameter_table().total),
    )
    bars = tuple(Bar(name, float(total), f"{total:,}") for name, total in counts)
    first, second = (_flow("input", x.shape, steps_of(one, x)) for one in (standard, gated))
    panels = (
        Graph("Standard network", first, f"{'8D^2 + 7D' if usual else '2DF + F + 3D'} parameters."),
        Graph("SwiGLU network", second, f"{'12D^2 + 2D' if usual else '3DF + 2D'} parameters."),
        Bars("Parameters, counted", bars),
    )
    title = f"Standard and SwiGLU networks, D = {hidden_dim}"
    return Scene(title, "The flow through both, and how many parameters they have.", panels)


def block_scene(
    num_tokens: int = 4,
    hidden_dim: int = 8,
    num_heads: int = 4,
    *,
    batch: int = 2,
    ff_dim: int | None = None,
    ffn: nn.rankmixer.Network = "standard",
    mixing: Mixing = "rankmixer",
) -> Scene:
    """The flow through a block: the token mixer, then the feed-forward network.

    Args:
        num_tokens, hidden_dim, num_heads, batch: T, D, H and B; H divides D.
        ff_dim: F; 4D if None.
        ffn: the name of the network, as of :class:`~numixology.nn.RankMixerBlock`.
        mixing: ``"rankmixer"`` or ``"guide"``.

    Returns:
        A :class:`.Scene` of two graphs.

    Raises:
        ArgumentError, ShapeError: sizes or words that no block has.

    Source: guide, RankMixer Block Structure.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("block", num_tokens=3, hidden_dim=10, num_heads=2)
        >>> mixer, network = scene.panels
        >>> [box.name for box in mixer.boxes][-2:], network.boxes[0].reads, network.boxes[-1].reads
        (['residual', 'norm'], (), ('dropout 6', 'mixed tokens'))
    """
    network_within(hidden_dim, ff_dim, batch, num_tokens, ffn)
    options: nn.BlockOptions = {"ff_dim": ff_dim, "ffn": ffn, "mixing": mixing, "rng": 0}
    block = nn.RankMixerBlock(num_tokens, hidden_dim, num_heads, **options).eval()
    x = tensor(np.zeros((batch, num_tokens, hidden_dim)))
    mixed = _flow("input tokens", x.shape, steps_of(block.mixer, x))
    passed = _flow("mixed tokens", x.shape, steps_of(block.ffn, x))
    panels = (
        Graph("1. Token mixer", mixed, "Post-norm: y = LayerNorm(x + mix(x))."),
        Graph("2. Feed-forward network", passed, "Pre-norm: z = y + network(LayerNorm(y))."),
    )
    total = block.parameter_table().total
    title = f"Block: token mixer, then feed-forward; {total:,} parameters"
    about = "The steps of both halves from top to bottom, with shapes; the first feeds the second."
    return Scene(title, about, panels)


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
        vocab_size, num_tokens, hidden_dim, num_heads: V, T, D and H; H divides D.
        num_layers: the number of blocks.
        batch: B, the number of sequences.
        ff_dim: F; 4D if None.
        ffn: the name of the network, as of :class:`~numixology.nn.RankMixerBlock`.
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
    network_within(hidden_dim, ff_dim, batch, num_tokens, ffn)
    within(COMPUTED, vocab_size=vocab_size, hidden_dim=hidden_dim)
    within(_MOST_LAYERS, num_layers=num_layers)
    options: nn.BlockOptions = {"ff_dim": ff_dim, "ffn": ffn, "mixing": mixing, "rng": 0}
    sizes = (vocab_size, num_tokens, hidden_dim, num_heads, num_layers)
    model = nn.RankMixerModel(*sizes, **options).eval()
    ids = np.arange(batch * num_tokens).reshape(batch, num_tokens) % vocab_size
    steps = steps_of(model, ids)
    ends = [i for i, step in enumerate(steps) if step.name.startswith("blocks.")]
    names = few([steps[end].name for end in ends], 6, OMITTED)
    layer = _flow("embedding", steps[2].shape, steps[3 : ends[0]])
    layers = _chain([*names, "final hidden states"], steps[-1].shape)
    panels = (
        Graph("Embeddings", _flow("input ids", ids.shape, steps[:3]), _POSITIONS),
        Graph("Layer 1: token mixer, then feed-forward", layer),
        Graph("All layers", layers, "Each has the steps of the first and parameters of its own."),
    )
    depth = nn.TokenMixer(num_tokens, hidden_dim, num_heads, mixing=mixing).depth_to_mix
    if depth is None:
        sees = "tokens never meet"
    elif depth == 0:
        sees = "there is one token"
    elif depth <= num_layers:
        sees = f"after {counted(depth, 'layer')} every token sees every token"
    else:
        sees = f"every token sees every token only after {depth}"
    learnt = counted(model.parameter_table().total, "parameter")
    title = f"Model of {counted(num_layers, 'layer')}, {learnt}; {sees}"
    description = "Ids become embeddings; every layer mixes tokens, then passes each through a "
    return Scene(title, description + "feed-forward network.", panels)


def _chain(names: Sequence[str], shape: Shape) -> tuple[Box, ...]:
    """Boxes from top to bottom, each of which reads the one before."""
    return tuple(
        Box(name, name, "" if name == OMITTED else str(shape), "", tuple(names[i - 1 : i]), (i, 0))
        for i, name in enumerate(names)
    )


def _flow(first: str, shape: Shape, steps: Sequence[Step]) -> tuple[Box, ...]:
    """Boxes from top to bottom; a residual also reads what its part of the flow began with."""
    boxes = [Box(first, first, str(shape))]
    start = latest = first
    keys = {first: first}  # a step's name -> the key of its last box
    for i, step in enumerate(steps, start=1):
        if step.name in _SHOWN_ALREADY:
            continue
        key = f"{step.name} {i}"
        read = _READS.get(step.name)
        reads = (latest,) if read is None else tuple(keys[name] for name in read)
        if step.name == "residual":
            reads = (latest, start)
        row = 1 + max(box.place[0] for box in boxes)
        up, column = _BESIDE.get(step.name, (0, 0))
        remark, place = _REMARKS.get(step.name, ""), (row - up, column)
        boxes.append(Box(key, step.name, str(step.shape), remark, reads, place))
        if boxes[-2].name == "residual":  # the mixer ends with this norm, the network begins
            start = key
        keys[step.name] = latest = key
    return tuple(boxes)
