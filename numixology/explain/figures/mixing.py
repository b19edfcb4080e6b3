"""The token mixer step by step, drawn from the running mixer.

Nothing here knows what a step does. The mixer is run on 0, 1, 2, …, and its steps are traced: every
number that it hands on then says which feature of which token it was. The features of the first
token are called a1, a2, …, as in the guide, those of the second b1, b2, … A norm needs numbers: for
the last step the mixer is run once more, on random digits, which are shown before.
"""

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np

from ... import nn
from ...array import Array
from ...errors import ArgumentError
from ...functional.mixing import Mixing
from ...tensors import tensor
from ...text import counted
from ..drawing.panels import Cell, Grid, Row
from ..drawing.scene import Scene
from ..trace import Step, steps_of
from .limits import within

__all__ = ["mixer_scene", "step_scene"]

_MOST_ROWS = 8
_MOST_CELLS = 16
MOST_CHARACTERS = 99  # of a row in text; its chunks have brackets
_MOST_NUMBERS = 1_000_000  # each gets a name

#: Heading and note of each step that a mixer names. They are numbered as on the pages; the guide's
#: source takes three steps to merge.
_STEPS = {
    "input": ("Input", ""),
    "partition": ("Step 1: Head partitioning", "each token is cut into {heads} of {d}"),
    "permute": (
        "Step 2: Permutation",
        "(0, 2, 1, 3): heads first, then tokens; only the strides change",
    ),
    "flatten": ("Step 3: Flatten", "one sequence of {all}: the same values in the same order"),
    "unflatten": ("Step 4a: Unflatten", "heads and tokens apart again: equal to step 2"),
    "restore": (
        "Step 4b: Permute back",
        "tokens first again: equal to step 1, so nothing has mixed",
    ),
    "merge guide": ("Step 4c: Merge", "every token is what it was: no token sees another"),
    "merge": (
        "Step 4: Merge",
        "regrouped, {chunks} per token: each token now has chunks of {seen}",
    ),
    "residual": ("Step 5: Residual", "the input, and what mixing put in its place"),
    "numbers": ("Step 5 in numbers", "a norm needs numbers: each letter is now a random digit"),
    "norm": ("Step 6: LayerNorm", "each token to mean 0 and variance 1"),
}

V = TypeVar("V")


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
        num_tokens, hidden_dim, num_heads: T, D and H; H divides D.
        batch: B; the values shown are those of the first sequence.
        mixing: ``"rankmixer"`` or ``"guide"``.

    Returns:
        A :class:`.Scene` with a panel for the input and one for every step.

    Raises:
        ArgumentError, ShapeError: sizes that no mixer has.

    Source: guide, Token Mixer Step-by-Step.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.mixer_scene(2, 4, 2)
        >>> print(nx.explain.panel_text(scene.panels[4]))
        Step 4: Merge  (2, 4, 2) -> (2, 2, 4)
          Token 0: [a1,a2,b1,b2]
          Token 1: [a3,a4,b3,b4]
        <BLANKLINE>
          regrouped, 2 chunks per token: each token now has chunks of 2 tokens
    """
    panels = _panels(num_tokens, hidden_dim, num_heads, batch, mixing)
    title = (
        f"Token mixer ({mixing}): T = {counted(num_tokens, 'token')}, "
        f"D = {counted(hidden_dim, 'feature')}, "
        f"H = {counted(num_heads, 'head')} of d = {hidden_dim // num_heads}"
    )
    description = f"The values of the first sequence at each of {len(panels) - 2} steps."
    return Scene(title, description, (*panels.values(),))


def step_scene(
    name: str,
    num_tokens: int = 4,
    hidden_dim: int = 8,
    num_heads: int = 4,
    *,
    batch: int = 2,
    mixing: Mixing = "rankmixer",
) -> Scene:
    """One step of the token mixer: the values before it and after it.

    Args:
        name: partition, permute, flatten, merge, residual or norm; for the guide's mixing also
            unflatten or restore.
        num_tokens, hidden_dim, num_heads: T, D and H; H divides D.
        batch: B; the values shown are those of the first sequence.
        mixing: ``"rankmixer"`` or ``"guide"``.

    Returns:
        A :class:`.Scene` of two panels.

    Raises:
        ArgumentError, ShapeError: a name that no step has, or sizes that no mixer has.

    Source: guide, Token Mixer Step-by-Step.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("permute", num_tokens=3, hidden_dim=4, num_heads=2)
        >>> print(scene.panels[1].title)
        Step 2: Permutation  (2, 3, 2, 2) -> (2, 2, 3, 2)
    """
    panels = _panels(num_tokens, hidden_dim, num_heads, batch, mixing)
    known = [one for one in panels if one not in ("input", "numbers")]
    if name not in known:
        invariant = "a step has one of the names that the mixer gives"
        raise ArgumentError(invariant, repr(name), ", ".join(known))
    before = [*panels][[*panels].index(name) - 1]
    title = panels[name].title.partition("  ")[0]
    description = f"The values before the step {name} and after it."
    return Scene(title, description, (panels[before], panels[name]))


def _panels(T: int, D: int, H: int, batch: int, mixing: Mixing) -> dict[str, Grid]:
    """The panel of each step, by its name."""
    within(_MOST_NUMBERS, batch=batch, num_tokens=T, hidden_dim=D)
    mixer = nn.TokenMixer(T, D, H, mixing=mixing)
    x = np.arange(float(batch * T * D)).reshape(batch, T, D)
    digits = np.random.default_rng(0).integers(0, 10, x.shape)
    *_, numbers, norm = steps_of(mixer, tensor(digits + 0.0))
    steps = [*steps_of(mixer, tensor(x))[:-1], numbers._replace(name="numbers"), norm]
    came = next(one for one in steps if one.name == "merge").value[0].astype(int)
    words = {"heads": counted(H, "head"), "d": D // H, "all": counted(H * T, "chunk")}
    words |= {"chunks": counted(H, "chunk"), "seen": counted(min(H, T), "token")}
    panels = {}
    for before, step in zip(steps[:1] + steps, steps, strict=False):
        name = "merge guide" if step.name == "merge" and mixing == "guide" else step.name
        title, note = _STEPS[name]
        shapes = f"{before.shape} -> {step.shape}"
        if name in ("input", "numbers"):
            shapes = f"{step.shape}"
        form, rows = _rows(step, feature_names(T, D), digits[0], came, H)
        shown = few(rows, _MOST_ROWS, Row("", ((Cell("..."),),)))
        note = note.format(**words)
        panels[step.name] = Grid(f"{title}  {shapes}", tuple(shown), form, note=note)
    return panels


def _rows(
    step: Step, names: Array, digits: Array, came: Array, num_heads: int
) -> tuple[Literal["nested", "flat"], list[Row]]:
    """The rows that the guide draws for this step, and how text lists them.

    ``names`` and ``digits`` are those of the input, (T, D), and ``came`` says which of its features
    mixing brings to each place.
    """
    T, D = names.shape
    if step.name in ("residual", "numbers", "norm"):
        terms = names if step.name == "residual" else digits.astype("U1")
        labels = np.char.add(np.char.add(terms, "+"), terms.reshape(-1)[came])
        if step.name == "norm":
            labels = np.char.mod("%.2f", step.value[0])
        own = np.broadcast_to(np.arange(T)[:, None], came.shape)
        sums = zip(labels[:, None], own[:, None], came[:, None] // D, strict=True)
        return "nested", chunk_rows([(f"Token {t}", row) for t, row in enumerate(sums)])
    indices = step.value[0].astype(int)
    labels = names.reshape(-1)[indices]
    tokens = indices // D
    if step.name == "flatten":  # (H·T, d), listed head by head
        heads = [f"{h * T} to {h * T + T - 1}, head {h}" for h in range(num_heads)]
        values = (array.reshape(num_heads, T, -1) for array in (labels, tokens))
        return "flat", chunk_rows([*zip(heads, zip(*values, strict=True), strict=True)])
    kind = "Head" if step.name in ("permute", "unflatten") else "Token"
    if labels.ndim == 2:  # not cut into chunks
        labels, tokens = labels[:, None], tokens[:, None]
    rows = zip(labels, tokens, strict=True)
    return "nested", chunk_rows([(f"{kind} {i}", row) for i, row in enumerate(rows)])


def chunk_rows(rows: Sequence[tuple[str, tuple[Array, ...]]]) -> list[Row]:
    """Rows of chunks, from their names, labels (n, d) and the tokens that the values came from.

    They show as many chunks, and values of each, as there is room for.
    """
    found = []
    for name, (labels, *tokens) in rows:
        chunks = [cells_of(*parts) for parts in zip(labels, *tokens, strict=True)]
        wide = labels.dtype.itemsize // 4  # of any label, so that all rows are cut alike
        found.append(Row(name, few_chunks(chunks, wide)))
    return found


def cells_of(labels: Array, *tokens: Array) -> tuple[Cell, ...]:
    """A cell for each label, tinted by the tokens that its value came from."""
    columns = (column.tolist() for column in (labels, *tokens))
    return tuple(Cell(*cell) for cell in zip(*columns, strict=True))


def few_chunks(chunks: Sequence[tuple[Cell, ...]], wide: int) -> tuple[tuple[Cell, ...], ...]:
    """As many chunks, and cells of each, as a terminal has room for; ``wide`` is of a label."""
    n, d = len(chunks), len(chunks[0])
    each = wide + 1
    most_cells, most_chunks = (_MOST_CELLS if n == 1 else d), n
    if n * (d * each + 3) > MOST_CHARACTERS:
        most_cells = min(max((MOST_CHARACTERS // min(n, 4) - 3) // each, 3), _MOST_CELLS)
        most_chunks = max(MOST_CHARACTERS // (min(d, most_cells + 1) * each + 3), 3)
    shown = [tuple(few(cells, most_cells, Cell("..."))) for cells in chunks]
    return tuple(few(shown, most_chunks, (Cell("..."),)))


def feature_names(num_tokens: int, hidden_dim: int) -> Array:
    """(T, D): a1, a2, … for the first token, b1, … for the second; after z comes aa."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = []
    for t in range(num_tokens):
        name, rest = letters[t % 26], t // 26
        while rest:
            rest, name = (rest - 1) // 26, letters[(rest - 1) % 26] + name
        tokens.append(name)
    return np.array([[f"{token}{i + 1}" for i in range(hidden_dim)] for token in tokens])


def few(items: Sequence[V], most: int, omission: V) -> Sequence[V]:
    """The first and the last few of many."""
    return items if len(items) <= most else [*items[: most // 2], omission, *items[-2:]]
