"""The guide's tables of FLOPs and its charts of memory and of ratios."""

from ... import nn
from ...checks import positive
from ...functional.mixing import divided
from ..cost.closed_forms import closed_form
from ..cost.comparison import compare
from ..drawing.panels import Bar, Bars, Chart, Series, Table
from ..drawing.scene import Scene
from .limits import COMPUTED, within

__all__ = [
    "attention_cost_scene",
    "block_cost_scene",
    "memory_scene",
    "mixer_cost_scene",
    "ratio_scene",
]

#: The lengths of the guide's charts of memory and of ratios.
_MEMORY_LENGTHS = (128, 256, 512, 1024)
_RATIO_LENGTHS = (128, 256, 512, 1024, 2048, 4096, 8192)

# Tables of FLOPs


def mixer_cost_scene(
    num_tokens: int = 512, hidden_dim: int = 768, num_heads: int = 12, *, batch: int = 1
) -> Scene:
    """What the token mixer costs: each operation with its formula and its number.

    Args:
        num_tokens, hidden_dim, num_heads, batch: T, D, H and B; H divides D.

    Returns:
        A :class:`.Scene` of a table.

    Raises:
        ArgumentError, ShapeError: sizes that no mixer has.

    Source: guide, Computational Complexity.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("mixer-flops", num_tokens=4, hidden_dim=8, num_heads=4, batch=2)
        >>> (table,) = scene.panels
        >>> table.rows[-1], table.note
        (('total', '', '528', '0'), 'The total is 8BTD + 2BT.')
    """
    within(COMPUTED, hidden_dim=hidden_dim)
    mixer = nn.TokenMixer(num_tokens, hidden_dim, num_heads)
    return _cost_scene("Token mixer", mixer, batch, num_tokens)


def attention_cost_scene(
    num_tokens: int = 512, hidden_dim: int = 768, num_heads: int = 12, *, batch: int = 1
) -> Scene:
    """What self-attention costs: each operation with its formula and its number.

    Args:
        num_tokens, hidden_dim, num_heads, batch: T, D, H and B; H divides D.

    Returns:
        A :class:`.Scene` of a table.

    Raises:
        ArgumentError, ShapeError: sizes that no attention has.

    Source: guide, Computational Complexity.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("attention-flops", num_tokens=3, hidden_dim=4, num_heads=2)
        >>> for row in scene.panels[0].rows[:2]:
        ...     print(row)
        ('QKV projections', '6BTD^2 + 3BTD', '324', '144')
        ('scores', '2BT^2D', '72', '36')
    """
    within(COMPUTED, hidden_dim=hidden_dim, out_dim=hidden_dim)
    layer = nn.SelfAttention(hidden_dim, num_heads, rng=0, dtype="float32")
    return _cost_scene("Self-attention", layer, batch, num_tokens)


def block_cost_scene(
    num_tokens: int = 512, hidden_dim: int = 768, num_heads: int = 12, *, batch: int = 1
) -> Scene:
    """What a whole block costs, and what one with attention in place of the mixer does.

    Args:
        num_tokens, hidden_dim, num_heads, batch: T, D, H and B; H divides D.

    Returns:
        A :class:`.Scene` of two bars.

    Raises:
        ArgumentError, ShapeError: sizes that no block has.

    Source: guide, Computational Complexity.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("block-flops", num_tokens=4, hidden_dim=8, num_heads=4)
        >>> bars = scene.panels[-1]
        >>> [(bar.label, bar.value) for bar in bars.bars]
        [('1x', 5424), ('1.56x', 8464)]
    """
    T, D, H = num_tokens, hidden_dim, num_heads
    (batch,) = positive(batch=batch)
    beside = compare(T, D, H)
    with_mixer = batch * (beside.mixer_flops + beside.network_flops)
    with_attention = with_mixer + batch * beside.attention_flops
    bars = (
        Bar("with the mixer", with_mixer, "1x"),
        Bar("with attention", with_attention, f"{beside.block_ratio:.2f}x"),
    )
    note = (
        f"{with_mixer:,} and {with_attention:,} FLOPs, both with residual, norm and the standard "
        "network"
    )
    title = f"Block, B = {batch}, T = {T:,}, D = {D:,}, H = {H}"
    about = "The FLOPs of a block with the mixer, and of one with attention in its place."
    return Scene(title, about, (Bars("FLOPs of a whole block", bars, note),))


# The guide's charts


def memory_scene(hidden_dim: int = 768, num_heads: int = 12) -> Scene:
    """How many numbers the mixer and attention keep as the sequence grows.

    Args:
        hidden_dim, num_heads: D and H; H divides D.

    Returns:
        A :class:`.Scene` of three panels of bars.

    Raises:
        ArgumentError, ShapeError: sizes that do not fit.

    Source: guide, Memory Usage Scaling.

    Example:
        >>> import numixology as nx
        >>> for panel in nx.explain.draw("memory").panels:
        ...     print(panel.title, [bar.label.split()[0] for bar in panel.bars])
        Token mixer: TD ['1x', '2x', '4x', '8x']
        Attention, the scores alone: HT^2 ['1x', '4x', '16x', '64x']
        Attention, all of it: 4TD + HT^2 ['1x', '2.67x', '8x', '26.7x']
    """
    D, H = positive(hidden_dim=hidden_dim, num_heads=num_heads)
    divided(D, H)
    kept = {
        "Token mixer: TD": [T * D for T in _MEMORY_LENGTHS],
        "Attention, the scores alone: HT^2": [H * T**2 for T in _MEMORY_LENGTHS],
        "Attention, all of it: 4TD + HT^2": [4 * T * D + H * T**2 for T in _MEMORY_LENGTHS],
    }
    full = max(map(max, kept.values()))
    return Scene(
        f"Numbers kept for one sequence, D = {D}, H = {H}; one scale for all bars",
        "Bars for four lengths: the mixer's grow with T, the scores with its square, and all that "
        "attention keeps in between.",
        tuple(_growth(title, numbers, full) for title, numbers in kept.items()),
    )


def _growth(title: str, numbers: list[int], full: int) -> Bars:
    bars = [
        Bar(f"T = {num_tokens}", number, f"{number / numbers[0]:.3g}x ({number:,})")
        for num_tokens, number in zip(_MEMORY_LENGTHS, numbers, strict=True)
    ]
    return Bars(title, tuple(bars), full=full)


def ratio_scene(hidden_dim: int = 768) -> Scene:
    """The guide's chart of attention to mixer, redrawn: in FLOPs, and in its own mixed units.

    Args:
        hidden_dim: D, the number of features.

    Returns:
        A :class:`.Scene` of a chart.

    Raises:
        ArgumentError: D is not a positive integer.

    Source: guide, Performance Scaling Chart.

    Example:
        >>> import numixology as nx
        >>> for series in nx.explain.draw("ratio").panels[0].series:
        ...     print(series.name, min(series.values), max(series.values))
        FLOPs: D + T/2 832.0 4864.0
        the guide's mixed units: (4D + 2T)/8 416.0 2432.0
    """
    found = [compare(num_tokens, hidden_dim, 1) for num_tokens in _RATIO_LENGTHS]
    curves = (
        Series("FLOPs: D + T/2", tuple(one.leading_ratio for one in found)),
        Series("the guide's mixed units: (4D + 2T)/8", tuple(one.mixed_units for one in found)),
    )
    note = (
        "a straight line in T that does not begin at zero, which logarithmic axes bend; nowhere "
        "near 1"
    )
    title, lengths = "Attention / mixer", tuple(map(float, _RATIO_LENGTHS))
    chart = Chart(title, "T", lengths, "times", curves, log_x=True, log_y=True, note=note)
    about = "Two curves over the length: the ratio in FLOPs, and half of that in the guide's units."
    return Scene(f"{title}, D = {hidden_dim}", about, (chart,))


# A closed form, as a table


def _cost_scene(name: str, layer: nn.Module, batch: int, num_tokens: int) -> Scene:
    """Each operation of a layer with its formula and its numbers."""
    form = closed_form(layer, batch, num_tokens)
    sizes = ", ".join(f"{one} = {form.sizes[one]:,}" for one in "BTDH")
    # terminals of any kind are drawn on, and not all have a superscript
    *rows, total = ((name, of.replace("²", "^2"), *n[:2]) for name, of, *n in form.table())
    header = ("operation", "formula", "FLOPs", "multiply-adds")
    lines = (*rows, ("total", "", *total[2:]))
    table = Table("FLOPs", header, lines, "<<>>", f"The total is {total[1]}.")
    about = "Each operation with its FLOPs, as a formula and for these sizes."
    return Scene(f"{name}, {sizes}", about, (table,))
