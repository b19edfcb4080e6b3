"""Mixed tokens put back, rightly and not; and what cooling does to a soft permutation."""

import numpy as np

from ... import nn
from ...array import Array
from ...functional.mixing import token_mix, token_revert
from ...text import counted
from ..drawing.panels import Cell, Chart, Grid, Row, Series
from ..drawing.scene import Scene
from .limits import within
from .mixing import feature_names, few_chunks

__all__ = ["annealing_scene", "revert_scene"]

_MOST_CHUNKS, _MOST_ENTRIES = 512, 64  # in rows, and in a row of the matrix
_TEMPERATURES = tuple(np.geomspace(0.05, 1.0, 9).round(3).tolist())
_STEPS = (5, 200)


def revert_scene(num_tokens: int = 4, num_heads: int = 2) -> Scene:
    """Chunks through mixing, and back through its inverse and through mixing again.

    Returns:
        A :class:`.Scene`: x, the H mixed tokens that TokenMixer-Large processes, and both results.

    Source: TokenMixer-Large (arXiv 2602.06563).

    Example:
        >>> import numixology as nx
        >>> for panel in nx.explain.draw("revert", num_tokens=3, num_heads=2).panels[1:]:
        ...     print(nx.explain.panel_text(panel))
        Mixed: 2 tokens of 3 chunks
          Token 0: [[a1], [b1], [c1]]
          Token 1: [[a2], [b2], [c2]]
        Put back
          Token 0: [[a1], [a2]]
          Token 1: [[b1], [b2]]
          Token 2: [[c1], [c2]]
        <BLANKLINE>
          This is x.
        Mixed again
          Token 0: [[a1], [c1]]
          Token 1: [[b2], [b1]]
          Token 2: [[a2], [c2]]
        <BLANKLINE>
          This is not x.
    """
    T, H = num_tokens, num_heads
    within(_MOST_CHUNKS, num_tokens=T, num_heads=H)
    x = np.arange(T * H).reshape(1, T, H)
    mixed = token_mix(x, H)
    back = {"Put back": token_revert(mixed, H), "Mixed again": token_mix(mixed, H)}
    panels = (
        _chunks("x", x[0], H),
        _chunks(f"Mixed: {counted(H, 'token')} of {counted(T, 'chunk')}", mixed.reshape(H, T), H),
        *(
            _chunks(title, y[0], H, f"This is {'' if np.array_equal(x, y) else 'not '}x.")
            for title, y in back.items()
        ),
    )
    about = "Each chunk has the letter of the token that it came from."
    return Scene(f"Mixed and put back: T = {T}, H = {H}", about, panels)


def annealing_scene(num_tokens: int = 4, num_heads: int = 4) -> Scene:
    """A Sinkhorn mixing W as it is cooled: how near I + W is to singular, and the sums of rows.

    Returns:
        A :class:`.Scene` of two charts over the temperature, each after 5 and after 200 steps.

    Source: UniMixer (arXiv 2604.00590), as described in notes on it.

    Example:
        >>> import numixology as nx
        >>> chart = nx.explain.draw("annealing", num_tokens=3, num_heads=3).panels[0]
        >>> [curve.name for curve in chart.series], chart.series[1].values[0] < 0.1
        (['5 steps', '200 steps'], True)
    """
    T, H = num_tokens, num_heads
    within(_MOST_ENTRIES, num_tokens=T, num_heads=H)
    found = [
        nn.SinkhornMixing(T, H, H, steps=steps, rng=0).report(*_TEMPERATURES) for steps in _STEPS
    ]
    titles = {
        "smallest_singular_value": ("What x + Wx keeps", "smallest singular value of I + W"),
        "row_error": ("How far rows are from the sum 1", "largest distance"),
    }
    panels = tuple(
        Chart(
            title,
            "temperature",
            _TEMPERATURES,
            y_name,
            tuple(
                Series(f"{steps} steps", tuple(getattr(row, field) for row in rows))
                for steps, rows in zip(_STEPS, found, strict=True)
            ),
            log_x=True,
        )
        for field, (title, y_name) in titles.items()
    )
    about = "Sinkhorn's steps on one random symmetric matrix, from cold to warm."
    return Scene(f"A soft permutation is cooled: T = {T}, H = {H}", about, panels)


def _chunks(title: str, chunks: Array, num_heads: int, note: str = "") -> Grid:
    """Tokens, each a row of chunks by their numbers; of many a few."""
    names = feature_names(chunks.size // num_heads, num_heads).ravel()
    wide = names.dtype.itemsize // 4
    rows = [
        Row(
            f"Token {t}",
            few_chunks(tuple((Cell(str(names[i]), i // num_heads),) for i in row), wide),
        )
        for t, row in enumerate(chunks.tolist())
    ]
    return Grid(title, tuple(rows), note=note)
