"""Batches and memory: tokens by their indices, and where in memory a tensor reads."""

import numpy as np

from ...functional.mixing import head_dim
from ...tensors import Tensor, tensor
from ...text import counted
from ..drawing.panels import OMITTED, Cell, Grid, Row
from ..drawing.scene import Scene
from .limits import COMPUTED, within
from .mixing import cells_of, few

__all__ = ["batch_scene", "strides_scene"]

_MOST_TOKENS, _MOST_FEATURES, _MOST_PLACES = 8, 6, 10


def batch_scene(batch: int = 4, num_tokens: int = 8, hidden_dim: int = 768) -> Scene:
    """Sequences of tokens, each token by its place in the array, and one token's features.

    Returns:
        A :class:`.Scene` of two grids.

    Source: guide, Visual Representation.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("batch", batch=2, num_tokens=3, hidden_dim=4)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        x (2, 3, 4): every row is a sequence
          x[0]: [0,0] [0,1] [0,2]
          x[1]: [1,0] [1,1] [1,2]
        <BLANKLINE>
          A sequence has shape (3, 4). Every cell b,t is a token x[b, t], of shape (4,).
    """
    B, T, D = batch, num_tokens, hidden_dim
    within(COMPUTED, batch=B, num_tokens=T, hidden_dim=D)
    tokens = few([*range(T)], _MOST_TOKENS, None)
    features = few([f"f{i + 1}" for i in range(D)], _MOST_FEATURES, OMITTED)
    sequences = [
        Row("", ((Cell(OMITTED),),))
        if b is None
        else Row(f"x[{b}]", tuple((_token(b, t),) for t in tokens))
        for b in few([*range(B)], _MOST_TOKENS, None)
    ]
    opened = [
        Row(f"x[{b}, {t}]", (tuple(Cell(f, None if f == OMITTED else t) for f in features),))
        for b, t in ((0, 0), (B - 1, T - 1))
    ]
    ends = "The first token of all, and the last."
    note = f"A sequence has shape {(T, D)}. Every cell b,t is a token x[b, t], of shape {(D,)}."
    panels = (
        Grid(f"x {(B, T, D)}: every row is a sequence", tuple(sequences), "flat", note=note),
        Grid(f"A token is {counted(D, 'feature')}", tuple(opened), note=ends),
    )
    about = "The tokens of every sequence by their indices, and the features of two tokens."
    return Scene("A batch of sequences of tokens", about, panels)


def strides_scene(
    num_tokens: int = 4, hidden_dim: int = 8, num_heads: int = 4, *, batch: int = 2
) -> Scene:
    """What the mixer's reshapes and its permutation do in memory: strides, places and copies.

    Returns:
        A :class:`.Scene` of one grid: the places in memory that each reads, in its own order.

    Source: guide, Memory Optimization.

    Example:
        >>> import numixology as nx
        >>> for row in nx.explain.draw("strides").panels[0].rows[:3]:
        ...     print(row.name, [cell.label for chunk in row.chunks for cell in chunk][:4])
        x (32, 8, 1) ['0', '1', '2', '3']
        cut (32, 8, 2, 1) ['0', '1', '2', '3']
        swapped (32, 2, 8, 1) ['0', '1', '8', '9']
    """
    within(COMPUTED, batch=batch, num_tokens=num_tokens, hidden_dim=hidden_dim)
    x = tensor(np.arange(float(batch * num_tokens * hidden_dim)))
    x = x.view(batch, num_tokens, hidden_dim)
    d = head_dim(x.shape, num_heads, "rankmixer")
    cut = x.view(batch, num_tokens, num_heads, d)
    swapped = cut.permute(0, 2, 1, 3)
    copied = swapped.contiguous()
    flat = copied.view(batch, num_heads * num_tokens, d)
    named = {"x": x, "cut": cut, "swapped": swapped, "copied": copied, "flat": flat}
    rows = tuple(_places(name, one, hidden_dim, d) for name, one in named.items())
    swap = "After the swap x's memory is read in jumps; the copy lies in order again."
    if swapped.is_contiguous():
        swap = "With one head or one token nothing moves, and nothing need be copied."
    note = f"Behind each name are its strides, counted in numbers. {swap}"
    places = Grid("The first places in memory that each reads", rows, "flat", note=note)
    about = "Strides and memory of the tensors that a mixer makes before it merges."
    return Scene("Which lines copy", about, (places,))


def _token(b: int, t: int | None) -> Cell:
    """A token by its indices, tinted by its place; three dots for those that were left out."""
    return Cell(OMITTED) if t is None else Cell(f"{b},{t}", t)


def _places(name: str, x: Tensor, hidden_dim: int, d: int) -> Row:
    """Where in its memory a tensor reads, in the order of its axes, tinted by token."""
    indices = np.unravel_index(np.arange(min(x.size, _MOST_PLACES)), x.shape)
    places = np.array(x.stride()) @ np.array(indices)
    tokens = x.data[indices].astype(int) // hidden_dim
    cells = cells_of(places.astype(str), tokens)
    chunks = (cells[i : i + d] for i in range(0, len(cells), d))
    return Row(f"{name} {x.stride()}", tuple(chunks))
