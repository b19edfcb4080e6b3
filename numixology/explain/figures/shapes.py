"""Shapes, batches and memory: figures read off real arrays.

The arrays hold 0, 1, 2, …, as in the mixer's figures: a value then says where it was put.
"""

import numpy as np

from ...array import Array
from ...functional.mixing import head_dim
from ...tensors import Tensor, tensor
from ...text import counted
from ..drawing.panels import Cell, Grid, Row, Table
from ..drawing.scene import Scene
from .limits import COMPUTED, within
from .mixing import few

__all__ = ["batch_scene", "shape_scene", "strides_scene"]

_MOST_TOKENS = 8
_MOST_FEATURES = 5
_MOST_PLACES = 10
_ELLIPSIS = Cell("...")

_AXES = (
    ("batch", "B", "sequences"),
    ("tokens", "T", "tokens per sequence"),
    ("features", "D", "features per token"),
)
_WHAT_REMAINS = ("the whole batch", "one sequence", "one token", "one feature")


def shape_scene(batch: int = 4, num_tokens: int = 8, hidden_dim: int = 768) -> Scene:
    """The three axes of a batch, and what is left when some of them are indexed.

    Returns:
        A :class:`.Scene` of two tables.

    Source: guide, Tensor Shape Basics.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("shape", batch=4, num_tokens=8, hidden_dim=768)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        Shape (4, 8, 768): 24,576 numbers
          axis      letter  length  counts
          --------  ------  ------  -------------------
          batch     B            4  sequences
          tokens    T            8  tokens per sequence
          features  D          768  features per token
    """
    x = _batch(batch, num_tokens, hidden_dim)
    axes = tuple(
        (name, letter, str(length), counts)
        for (name, letter, counts), length in zip(_AXES, x.shape, strict=True)
    )
    header = ("axis", "letter", "length", "counts")
    panels = (
        Table(f"Shape {x.shape}: {counted(x.size, 'number')}", header, axes, "<<><"),
        Table(
            "What an index leaves",
            ("taken", "shape", "which is"),
            tuple(
                (_indexed(n), str(x[(0,) * n].shape), meaning)
                for n, meaning in enumerate(_WHAT_REMAINS)
            ),
            "<<<",
        ),
    )
    return Scene("A batch has three axes", "The length and the meaning of each axis.", panels)


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
    x = _batch(batch, num_tokens, hidden_dim)
    sequences = [_sequence(x, b) for b in _few_indices(batch)]
    tokens = (_features(x, 0, 0), _features(x, batch - 1, num_tokens - 1))
    note = (
        f"A sequence has shape {x[0].shape}. "
        f"Every cell b,t is a token x[b, t], of shape {x[0, 0].shape}."
    )
    panels = (
        Grid(f"x {x.shape}: every row is a sequence", tuple(sequences), "flat", note=note),
        Grid(
            f"A token is {counted(x.shape[-1], 'feature')}",
            tokens,
            note="The first token of all, and the last.",
        ),
    )
    about = "The tokens of every sequence by their indices, and the features of two tokens."
    return Scene("A batch of sequences of tokens", about, panels)


def strides_scene(
    num_tokens: int = 4, hidden_dim: int = 8, num_heads: int = 4, *, batch: int = 2
) -> Scene:
    """What the mixer's reshapes and its permutation do in memory: strides, places and copies.

    Returns:
        A :class:`.Scene`: a table of shapes and strides, and the places in memory that are read.

    Source: guide, Memory Optimization.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.panel_text(nx.explain.draw("strides").panels[0]))
        Shape and strides
          tensor   shape         strides        contiguous
          -------  ------------  -------------  ----------
          x        (2, 4, 8)     (32, 8, 1)     yes
          cut      (2, 4, 4, 2)  (32, 8, 2, 1)  yes
          swapped  (2, 4, 4, 2)  (32, 2, 8, 1)  no
          copied   (2, 4, 4, 2)  (32, 8, 2, 1)  yes
          flat     (2, 16, 2)    (32, 2, 1)     yes
        <BLANKLINE>
          A stride is how far apart in memory two neighbors along an axis lie, counted in numbers.
    """
    x = tensor(_batch(batch, num_tokens, hidden_dim))
    d = head_dim(x.shape, num_heads, "rankmixer")
    cut = x.view(batch, num_tokens, num_heads, d)
    swapped = cut.permute(0, 2, 1, 3)
    copied = swapped.contiguous()
    flat = copied.view(batch, num_heads * num_tokens, d)
    named = {"x": x, "cut": cut, "swapped": swapped, "copied": copied, "flat": flat}
    table = Table(
        "Shape and strides",
        ("tensor", "shape", "strides", "contiguous"),
        tuple(
            (name, str(one.shape), str(one.stride()), _yes(one.is_contiguous()))
            for name, one in named.items()
        ),
        "<<<<",
        "A stride is how far apart in memory two neighbors along an axis lie, counted in numbers.",
    )
    places = Grid(
        "The first places in memory that each reads",
        tuple(_places(name, one, hidden_dim, d) for name, one in named.items()),
        "flat",
        note=(
            "With one head or one token nothing moves, and nothing need be copied."
            if swapped.is_contiguous()
            else "After the swap x's memory is read in jumps; the copy lies in order again."
        ),
    )
    about = "Shape, strides and memory of the tensors that a mixer makes before it merges."
    return Scene("Which lines copy", about, (table, places))


def _batch(batch: int, num_tokens: int, hidden_dim: int) -> Array:
    """0, 1, 2, … as (B, T, D)."""
    within(COMPUTED, batch=batch, num_tokens=num_tokens, hidden_dim=hidden_dim)
    return np.arange(float(batch * num_tokens * hidden_dim)).reshape(batch, num_tokens, hidden_dim)


def _indexed(count: int) -> str:
    return f"x[{', '.join(['0'] * count)}]" if count else "x"


def _few_indices(length: int) -> list[int | None]:
    """The indices of an axis; of a long one the first few and the last two, None between them."""
    return list(few([*range(length)], _MOST_TOKENS, None))


def _sequence(x: Array, b: int | None) -> Row:
    """One cell per token, named by the indices at which its first value is found."""
    if b is None:
        return Row("", ((_ELLIPSIS,),))
    cells = []
    for t in _few_indices(x.shape[1]):
        if t is None:
            cells.append(_ELLIPSIS)
            continue
        sequence, token, _ = np.unravel_index(int(x[b, t, 0]), x.shape)
        cells.append(Cell(f"{sequence},{token}", int(token)))
    return Row(f"x[{b}]", tuple((cell,) for cell in cells))


def _features(x: Array, b: int, t: int) -> Row:
    labels = few([f"f{i + 1}" for i in range(x.shape[-1])], _MOST_FEATURES + 1, "...")
    cells = (_ELLIPSIS if label == "..." else Cell(label, t) for label in labels)
    return Row(f"x[{b}, {t}]", (tuple(cells),))


def _places(name: str, x: Tensor, hidden_dim: int, d: int) -> Row:
    """Where in its memory a tensor reads, in the order of its axes, tinted by token."""
    indices = np.unravel_index(np.arange(min(x.size, _MOST_PLACES)), x.shape)
    places = np.array(x.stride()) @ np.array(indices)
    tokens = x.data[indices].astype(int) // hidden_dim
    cells = [Cell(*pair) for pair in zip(map(str, places.tolist()), tokens.tolist(), strict=True)]
    return Row(name, tuple(tuple(cells[i : i + d]) for i in range(0, len(cells), d)))


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
