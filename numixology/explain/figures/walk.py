"""One small model with small numbers, from ids to hidden states: every value on the way."""

from typing import NamedTuple

import numpy as np

from ... import nn
from ...array import Array
from ...functional.mixing import token_mix
from ..drawing.panels import Cell, Grid, Row
from ..drawing.scene import Scene
from ..trace import Step, steps_of
from .limits import COMPUTED, within
from .mixing import few

__all__ = ["walk_scene"]

_MOST_ROWS = 8
_MOST_CELLS = 16


class _Stop(NamedTuple):
    """A step that is shown: its heading and what is said below it."""

    name: str
    heading: str
    note: str = ""


#: The stops of one layer, in the order of the steps; steps of other names are passed by.
_STOPS = (
    _Stop("token_embedding", "Token embeddings", "Row n of the table for id n."),
    _Stop("position_embedding", "Position embeddings", "One row per place, whatever the id."),
    _Stop("embedding", "Their sum x", "What the first layer reads."),
    _Stop("merge", "Mixed", "The chunks of x, regrouped."),
    _Stop("residual", "x + mixed"),
    _Stop("norm", "Normalized: y", "The mixer's output."),
    _Stop("norm", "Normalized again", "The network begins with a norm of its own."),
    _Stop("linear1", "First linear layer"),
    _Stop("activation", "GELU"),
    _Stop("linear2", "Second linear layer"),
    _Stop("residual", "Final hidden states", "y is added, and the layer is done."),
)


def walk_scene(
    num_tokens: int = 3,
    hidden_dim: int = 4,
    num_heads: int = 2,
    *,
    vocab_size: int = 6,
    ff_dim: int | None = None,
) -> Scene:
    """One sequence of ids through a model of one layer, with every number on the way.

    The ids are 2, 5, 8, … modulo V. The parameters are those of seed 0, rounded to halves so that
    they can be followed by hand.

    Args:
        num_tokens, hidden_dim, num_heads, vocab_size: T, D, H and V; H divides D.
        ff_dim: F; D if None, so that the picture stays narrow.

    Returns:
        A :class:`.Scene` of one grid per step.

    Raises:
        ArgumentError, ShapeError: sizes that no model has.

    Source: guide, Multi-Layer Model.

    Example:
        >>> import numixology as nx
        >>> for panel in nx.explain.draw("walk").panels[:2]:
        ...     print(nx.explain.panel_text(panel))
        Input ids  (1, 3)
          Token 0  2
          Token 1  5
          Token 2  2
        Token embeddings  (1, 3, 4)
          Token 0  -0.5 -1.5 -0.5 0.0
          Token 1   0.0  1.5 -0.5 0.5
          Token 2  -0.5 -1.5 -0.5 0.0
        <BLANKLINE>
          Row n of the table for id n.
    """
    ff_dim = hidden_dim if ff_dim is None else ff_dim
    within(100_000, num_tokens=num_tokens, hidden_dim=hidden_dim)
    within(COMPUTED, num_tokens=num_tokens, ff_dim=ff_dim)
    within(COMPUTED, vocab_size=vocab_size, hidden_dim=hidden_dim)
    within(COMPUTED, hidden_dim=hidden_dim, ff_dim=ff_dim)
    model = nn.RankMixerModel(
        vocab_size, num_tokens, hidden_dim, num_heads, 1, ff_dim=ff_dim, rng=0
    ).eval()
    halves = {name: np.round(2 * value) / 2 + 0.0 for name, value in model.state_dict().items()}
    model.load_state_dict(halves)
    ids = (2 + 3 * np.arange(num_tokens)[None]) % vocab_size
    steps = steps_of(model, ids)
    tokens = np.broadcast_to(np.arange(num_tokens)[:, None], (num_tokens, hidden_dim))
    mixed = token_mix(tokens[None].copy(), num_heads)[0]
    groups = {"embedding": tokens, "merge": mixed}
    panels = [Grid(f"Input ids  {ids.shape}", _rows(ids.T, tokens[:, :1]), "matrix")]
    for stop in _STOPS:
        while steps[0].name != stop.name:
            steps.pop(0)
        panels.append(_panel(stop, steps.pop(0), groups.get(stop.name)))
    title = f"One sequence all the way: T = {num_tokens}, D = {hidden_dim}, H = {num_heads}"
    return Scene(title, "The numbers after every step, a row per token.", tuple(panels))


def _panel(stop: _Stop, step: Step, groups: Array | None) -> Grid:
    values = step.value.reshape(step.shape[-2:])
    return Grid(f"{stop.heading}  {step.shape}", _rows(values, groups), "matrix", note=stop.note)


def _rows(values: Array, groups: Array | None) -> tuple[Row, ...]:
    """A row per token, with as many decimals as the values have, and at most two."""
    decimals = next(n for n in (0, 1, 2) if n == 2 or (values == np.round(values, n)).all())
    rows = []
    for t, row in enumerate(np.round(values, decimals) + 0.0):  # no minus before a zero
        marks = [None] * len(row) if groups is None else groups[t].tolist()
        labels = [f"{value:.{decimals}f}" for value in row.tolist()]
        cells = [Cell(label, mark) for label, mark in zip(labels, marks, strict=True)]
        rows.append(Row(f"Token {t}", (tuple(few(cells, _MOST_CELLS, Cell("..."))),)))
    gap = Row("", (tuple(Cell("...") for _ in rows[0].chunks[0]),))
    return tuple(few(rows, _MOST_ROWS, gap))
