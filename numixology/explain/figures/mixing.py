"""The token mixer step by step, drawn from the running mixer.

Nothing here knows what a step does. The mixer is run on 0, 1, 2, …, and its steps are traced: every
number that it hands on then says which feature of which token it was. The features of the first
token are called a1, a2, …, as in the guide, those of the second b1, b2, … A norm needs numbers: for
the last step the mixer is run once more, on random digits, which are shown before.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from ... import nn
from ...array import Array
from ...errors import ArgumentError
from ...functional.mixing import Mixing
from ...tensors import tensor
from ...text import counted
from ..drawing.panels import Cell, Grid, Panel, Row
from ..drawing.scene import Scene
from ..trace import Step, steps_of
from .limits import within

__all__ = ["mixer_scene", "step_scene"]

_MOST_ROWS = 8
_MOST_CELLS = 16
MOST_CHARACTERS = 99  # of a row in text; its chunks have brackets
_MOST_NUMBERS = 1_000_000  # each gets a name

#: Heading and note of each step that a mixer names.
_HEADINGS = {
    "input": ("Input", ""),
    "partition": ("Head partitioning", "each token is cut into {heads} of {d}"),
    "permute": ("Permutation", "(0, 2, 1, 3): heads first, then tokens; only the strides change"),
    "flatten": ("Flatten", "one sequence of {chunks}: the same values in the same order"),
    "unflatten": ("Unflatten", "heads and tokens apart again: equal to step 2"),
    "restore": ("Permute back", "tokens first again: equal to step 1, so nothing has mixed"),
    "merge": ("Merge", ""),
    "residual": ("Residual", "the input, and what mixing put in its place"),
    "numbers": ("", "a norm needs numbers: each letter is now a random digit"),
    "norm": ("LayerNorm", "each token to mean 0 and variance 1"),
}

#: The steps are numbered as on the pages; the guide's source takes three to merge.
_NUMBERS = ("0", "1", "2", "3", "4", "5", "5", "6")
_GUIDE_NUMBERS = ("0", "1", "2", "3", "4a", "4b", "4c", "5", "5", "6")

V = TypeVar("V")


class _Walk(NamedTuple):
    """One mixer: its steps, the names and the digits of its input (T, D), and its sizes."""

    steps: list[Step]
    names: Array
    digits: Array
    mixing: Mixing
    num_heads: int

    @property
    def head_dim(self) -> int:
        features: int = self.names.shape[1]
        return features // self.num_heads

    @property
    def words(self) -> dict[str, str]:
        """What the notes of the steps leave open."""
        return {
            "heads": counted(self.num_heads, "head"),
            "d": str(self.head_dim),
            "chunks": counted(self.num_heads * len(self.names), "chunk"),
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
    walk = _walk(num_tokens, hidden_dim, num_heads, batch, mixing)
    title = (
        f"Token mixer ({mixing}): T = {counted(num_tokens, 'token')}, "
        f"D = {counted(hidden_dim, 'feature')}, "
        f"H = {counted(num_heads, 'head')} of d = {walk.head_dim}"
    )
    description = f"The values of the first sequence at each of {len(walk.steps) - 2} steps."
    return Scene(title, description, tuple(_panel(walk, i) for i in range(len(walk.steps))))


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
    walk = _walk(num_tokens, hidden_dim, num_heads, batch, mixing)
    names = [step.name for step in walk.steps]
    known = [one for one in names[1:] if one != "numbers"]
    if name not in known:
        raise ArgumentError(
            "a step has one of the names that the mixer gives", repr(name), ", ".join(known)
        )
    i = names.index(name)
    panels = (_panel(walk, i - 1), _panel(walk, i))
    title = panels[1].title.partition("  ")[0]
    return Scene(title, f"The values before the step {name} and after it.", panels)


def _walk(num_tokens: int, hidden_dim: int, num_heads: int, batch: int, mixing: Mixing) -> _Walk:
    within(_MOST_NUMBERS, batch=batch, num_tokens=num_tokens, hidden_dim=hidden_dim)
    mixer = nn.TokenMixer(num_tokens, hidden_dim, num_heads, mixing=mixing)
    x = np.arange(float(batch * num_tokens * hidden_dim)).reshape(batch, num_tokens, hidden_dim)
    digits = np.random.default_rng(0).integers(0, 10, x.shape)
    *_, numbers, norm = steps_of(mixer, tensor(digits + 0.0))
    steps = [*steps_of(mixer, tensor(x))[:-1], numbers._replace(name="numbers"), norm]
    return _Walk(steps, feature_names(num_tokens, hidden_dim), digits[0], mixing, num_heads)


def _panel(walk: _Walk, i: int) -> Panel:
    step = walk.steps[i]
    heading, note = _HEADINGS[step.name]
    number = (_GUIDE_NUMBERS if walk.mixing == "guide" else _NUMBERS)[i]
    if step.name == "numbers":
        title = f"Step {number} in numbers  {step.shape}"
    elif i == 0:
        title = f"{heading}  {step.shape}"
    else:
        title = f"Step {number}: {heading}  {walk.steps[i - 1].shape} -> {step.shape}"
    if step.name == "merge":
        note = _verdict(walk)
    form, rows = _rows(walk, step)
    shown = few(rows, _MOST_ROWS, Row("", ((Cell("..."),),)))
    return Grid(title, tuple(shown), form, note=note.format(**walk.words))


def _verdict(walk: _Walk) -> str:
    if walk.mixing == "guide":
        return "every token is what it was: no token sees another"
    seen = counted(min(walk.num_heads, len(walk.names)), "token")
    chunks = counted(walk.num_heads, "chunk")
    return f"regrouped, {chunks} per token: each token now has chunks of {seen}"


def _rows(walk: _Walk, step: Step) -> tuple[Literal["nested", "flat"], list[Row]]:
    """The rows that the guide draws for this step, and how text lists them."""
    T, D = walk.names.shape
    if step.name in ("residual", "numbers", "norm"):
        merge = next(one for one in walk.steps if one.name == "merge")
        came = merge.value[0].astype(int)
        terms = walk.names if step.name == "residual" else walk.digits.astype("U1")
        labels = np.char.add(np.char.add(terms, "+"), terms.reshape(-1)[came])
        if step.name == "norm":
            labels = np.array([[f"{value:.2f}" for value in row] for row in step.value[0]])
        own = np.broadcast_to(np.arange(T)[:, None], came.shape)
        sums = zip(labels[:, None], own[:, None], came[:, None] // D, strict=True)
        return "nested", chunk_rows([(f"Token {t}", row) for t, row in enumerate(sums)])
    indices = step.value[0].astype(int)
    labels = walk.names.reshape(-1)[indices]
    tokens = indices // D
    if step.name == "flatten":  # (H·T, d), listed head by head
        spans = [range(h * T, h * T + T) for h in range(walk.num_heads)]
        names = [f"{span[0]} to {span[-1]}, head {h}" for h, span in enumerate(spans)]
        flat = [(labels[span], tokens[span]) for span in spans]
        return "flat", chunk_rows([*zip(names, flat, strict=True)])
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
        chunks = [
            tuple(Cell(str(label), *map(int, came)) for label, *came in zip(*parts, strict=True))
            for parts in zip(labels, *tokens, strict=True)
        ]
        wide = labels.dtype.itemsize // 4  # of any label, so that all rows are cut alike
        found.append(Row(name, few_chunks(chunks, wide)))
    return found


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
