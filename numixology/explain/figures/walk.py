"""One small model with small numbers, from ids to hidden states and back: every value."""

from typing import Any

import numpy as np

from ... import nn
from ...array import Array
from ...functional.activations import gelu
from ...functional.mixing import token_mix
from ...observe import observing
from ...tensors import Tensor, tensor
from ...transforms import grad, vjp
from ..drawing.panels import Cell, Grid, Lines, Row
from ..drawing.scene import Scene
from .limits import COMPUTED, within
from .mixing import cells_of, few

__all__ = ["walk_backward_scene", "walk_scene"]

_MOST_ROWS = 8
_MOST_CELLS = 16
_MOST_TERMS = 6  # of a cell that is worked out
_RATE = 0.1
_NETWORK = [f"blocks.0.ffn.linear{i}.{name}" for i in (1, 2) for name in ("weight", "bias")]

#: What is kept of the steps of a model with one layer, and what the model calls it, in its order.
_KEPT = (
    *(("tokens", "token_embedding"), ("places", "position_embedding"), ("x", "embedding")),
    *(("mixed", "merge"), ("sum", "residual"), ("y", "norm"), ("h", "norm")),
    *(("first", "linear1"), ("bent", "activation"), ("second", "linear2"), ("hidden", "residual")),
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
        A :class:`.Scene` of one grid per step, and one for the numbers of each linear layer.

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
    T, D, H = num_tokens, hidden_dim, num_heads
    model, at = _walk(T, D, H, vocab_size, D if ff_dim is None else ff_dim)
    parameters = dict(model.named_parameters())
    W1, b1, W2, b2 = (parameters[name].data for name in _NETWORK)
    own = np.broadcast_to(np.arange(T)[:, None], (T, D))
    mixed = token_mix(own[None] + 0, H)[0]
    t, f = min(1, T - 1), min(2, len(W1) - 1)
    worked = [_spot(at["first"], t, f)] if D <= _MOST_TERMS else []
    cell = _cell(t, f, at["h"].data[0, t], W1[f], at["first"].data[0, t, f], f" + {b1[f]:g}")
    first = f"h by the rows of W1, plus b1. {cell}"
    panels = (
        Grid(f"Input ids  {at['ids'].shape}", _rows("Token", at["ids"].T), "matrix"),
        _grid("Token embeddings", at["tokens"], "Row n of the table for id n."),
        _grid("Position embeddings", at["places"], "One row per place, for any id."),
        _grid("Their sum x", at["x"], "What the first layer reads.", own),
        _grid("Mixed", at["mixed"], "The chunks of x, regrouped.", mixed),
        _grid("x + mixed", at["sum"], "", own, mixed),
        _grid("Normalized: y", at["y"], "The mixer's output."),
        _grid("Normalized again: h", at["h"], "The network begins with another norm."),
        _layer("W1 and b1", W1, b1),
        _grid("First linear layer", at["first"], first, *worked),
        _grid("GELU", at["bent"]),
        _layer("W2 and b2", W2, b2),
        _grid("Second linear layer", at["second"], "GELU by rows of W2, plus b2."),
        _grid("Final hidden states", at["hidden"], "y is added, and the layer is done."),
    )
    title = f"One sequence all the way: T = {T}, D = {D}, H = {H}"
    return Scene(title, "The numbers after every step, a row per token.", panels)


def walk_backward_scene() -> Scene:
    """The way back through the model of :func:`walk_scene`, from a loss to one weight's update.

    The loss is half the sum of the squares of the hidden states.

    Returns:
        A :class:`.Scene` of one grid per gradient, with the weights and slopes that it was
        multiplied by, and the update.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.panel_text(nx.explain.draw("walk-backward").panels[-1]))
        One weight, one step
          W1[2, 2]                  -0.5
          its gradient              -1.63
          a step of 0.1 against it  -0.5 - 0.1 * -1.63 = -0.34
          the loss before           7.186
          the loss after            6.952
    """
    model, at = _walk(3, 4, 2, 6, 4)
    parameters = dict(model.named_parameters())
    W1, _, W2, _ = (parameters[name] for name in _NETWORK)
    wanted = [at[name] for name in ("hidden", "bent", "first", "h", "y", "sum", "x")]
    loss = _loss(at["hidden"])
    found = grad(loss, [*wanted, W1, parameters["token_embedding.weight"]])
    hidden, bent, first, h, y, total, x, dW1, table = (one.data for one in found)
    _, unmix = vjp(lambda x: token_mix(x, 2), at["x"])
    _, through_gelu = vjp(gelu, at["first"])
    slope = through_gelu(np.ones_like(first))[0].data
    cells = (
        _cell(1, 2, hidden[0, 1], W2.data[:, 2], bent[0, 1, 2]),
        f"Token 1, column 2: {bent[0, 1, 2]:.2f} * {slope[0, 1, 2]:.2f} = {first[0, 1, 2]:.2f}.",
        _cell(1, 2, first[0, 1], W1.data[:, 2], h[0, 1, 2]),
    )
    cell = _cell(2, 2, first[0, :, 2], at["h"].data[0, :, 2], dW1[2, 2], kind="Row")
    over_tokens = f"Over the tokens, the gradient times h. {cell}"
    panels = (
        _grid("At the hidden states", hidden, "Of half the sum of their squares: the states."),
        _grid("W2", W2, kind="Row"),
        _grid("At the output of GELU", bent, f"By columns of W2. {cells[0]}", _spot(bent, 1, 2)),
        _grid("The slope of GELU", slope, "cdf(z) + z * pdf(z), with z before GELU."),
        _grid("At the input of GELU", first, f"Times that slope. {cells[1]}", _spot(first, 1, 2)),
        _grid("W1", W1, kind="Row"),
        _grid("At h", h, f"By columns of W1. {cells[2]}", _spot(h, 1, 2)),
        _grid("At y", y, "What the norm sends, plus the first panel: y was added at the end."),
        _grid("At x + mixed", total, "What the mixer's norm sends; each row adds up to 0."),
        _grid("Back through the mixing", unmix(tensor(total))[0], "Chunks return to their tokens."),
        _grid("At x", x, "The two panels before this one, added."),
        _grid("At the table", table, "Tokens 0 and 2 have id 2: its row gets both.", kind="Id"),
        _grid("At W1", dW1, over_tokens, _spot(dW1, 2, 2), kind="Row"),
        _update(model, at["ids"], W1.data, loss.item(), dW1[2, 2]),
    )
    description = "The gradient at every step of the walk, from the last to the first; one update."
    return Scene("One sequence all the way back: T = 3, D = 4, H = 2", description, panels)


def _walk(T: int, D: int, H: int, V: int, F: int) -> tuple[nn.RankMixerModel, dict[str, Any]]:
    """A model that was run, and the values that it had on the way."""
    within(100_000, num_tokens=T, hidden_dim=D)
    within(COMPUTED, num_tokens=T, ff_dim=F)
    within(COMPUTED, vocab_size=V, hidden_dim=D)
    within(COMPUTED, hidden_dim=D, ff_dim=F)
    model = nn.RankMixerModel(V, T, D, H, 1, ff_dim=F, rng=0).eval()
    halves = {name: np.round(2 * value) / 2 + 0.0 for name, value in model.state_dict().items()}
    model.load_state_dict(halves)
    ids = (2 + 3 * np.arange(T)[None]) % V
    steps: list[tuple[str, Any]] = []
    with observing(lambda name, value: steps.append((name, value))):
        model(ids)
    passing, at = iter(steps), {"ids": ids}
    for ours, its in _KEPT:
        at[ours] = next(value for name, value in passing if name == its)
    return model, at


def _loss(hidden: Tensor) -> Tensor:
    return (hidden * hidden).sum() / 2


def _update(model: nn.Module, ids: Array, W1: Array, before: float, gradient: float) -> Lines:
    """One entry of W1 after a step of gradient descent, and what that does to the loss."""
    old = W1[2, 2]
    W1[2, 2] = new = old - _RATE * gradient
    lines = (
        ("W1[2, 2]", f"{old:g}"),
        ("its gradient", f"{gradient:.2f}"),
        (f"a step of {_RATE} against it", f"{old:g} - {_RATE} * {gradient:.2f} = {new:.2f}"),
        ("the loss before", f"{before:.3f}"),
        ("the loss after", f"{_loss(model(ids)).item():.3f}"),
    )
    return Lines("One weight, one step", lines)


def _cell(
    i: int, j: int, a: Array, b: Array, result: float, plus: str = "", kind: str = "Token"
) -> str:
    """One entry of a product worked out, if its terms fit into a line or two."""
    if len(a) > _MOST_TERMS:
        return ""
    a, b = (np.round(one, 2) + 0.0 for one in (a, b))
    terms = " + ".join(f"{p:.2f} * {q:g}" for p, q in zip(a, b, strict=True))
    return f"{kind} {i}, column {j}: {terms}{plus} = {result:.2f}.".replace("+ -", "- ")


def _spot(value: Any, i: int, j: int) -> Array:
    """The tints of a grid in which one entry has one: that which the note works out."""
    tints = np.full(np.shape(value)[-2:], None)
    tints[i, j] = 0
    return tints


def _grid(title: str, value: Any, note: str = "", *groups: Array, kind: str = "Token") -> Grid:
    values = np.asarray(value)
    rows = _rows(kind, values.reshape(values.shape[-2:]), groups=groups)
    return Grid(f"{title}  {values.shape}", rows, "matrix", note=note.rstrip())


def _layer(title: str, weight: Array, bias: Array) -> Grid:
    """A weight (out, in), and to its right the bias (out,)."""
    rows = _rows("Row", weight, bias[:, None])
    note = "Row j, and to its right entry j of the bias, make feature j."
    return Grid(f"{title}  {weight.shape}, {bias.shape}", rows, "matrix", note=note)


def _rows(kind: str, *parts: Array, groups: tuple[Array, ...] = ()) -> tuple[Row, ...]:
    """A row for each of the parts', with as many decimals as they need, and at most two."""
    exact = (n for n in (0, 1) if all((part == np.round(part, n)).all() for part in parts))
    decimals = next(exact, 2)
    rows = []
    for t in range(len(parts[0])):
        values = (np.round(part[t], decimals) + 0.0 for part in parts)  # no minus before a zero
        labels = (np.char.mod(f"%.{decimals}f", value) for value in values)
        chunks = (cells_of(label, *(group[t] for group in groups)) for label in labels)
        shown = (tuple(few(cells, _MOST_CELLS, Cell("..."))) for cells in chunks)
        rows.append(Row(f"{kind} {t}", tuple(shown)))
    gap = Row("", tuple((Cell("..."),) * len(chunk) for chunk in rows[0].chunks))
    return tuple(few(rows, _MOST_ROWS, gap))
