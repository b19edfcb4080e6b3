"""The laws of mixing, drawn from the running mixer.

Most figures mix chunks of one number each: mixing moves chunks whole, so that where one number goes
is where a chunk of any width goes. Chunk i = tH + h is head h of token t.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np

from ... import nn
from ...array import Array
from ...functional.mixing import (
    Mixing,
    chunk_cycles,
    depth_to_mix,
    divided,
    mixing_rank,
    token_mix,
    token_revert,
)
from ...tensors import Tensor
from ...text import counted
from ...transforms import jacobian
from ..dependence import alternating, cross_token_jacobian
from ..drawing.panels import OMITTED, Cell, Grid, Lines, Row
from ..drawing.scene import Scene
from .limits import within
from .mixing import MOST_CHARACTERS, chunk_rows, feature_names, few

__all__ = [
    "cycles_scene",
    "jacobian_scene",
    "null_space_scene",
    "receptive_field_scene",
    "revert_scene",
    "shuffle_scene",
    "why_square_scene",
]

_MIXINGS: dict[str, Mixing] = {
    "Mixing (rankmixer)": "rankmixer",
    "Permuting back first (guide)": "guide",
}
_MOST_MIXINGS = 12
_MOST_IN_LINE, _MOST_IN_CYCLES = 16, 78  # the chunks of a cycle, and the characters of those
#: What is drawn whole: chunks in rows, tokens beside tokens, and numbers in all.
_MOST_CHUNKS, _MOST_TOKENS, _MOST_NUMBERS = 512, 64, 512


# Where chunks go ----------------------------------------------------------------------------


def shuffle_scene(num_tokens: int = 3, num_heads: int = 2) -> Scene:
    """Where each chunk goes: from place i to iT mod (N - 1), among N = T·H.

    Returns:
        A :class:`.Scene`: the chunks before and after.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.panel_text(nx.explain.draw("shuffle").panels[1]))
        After
          Token 0: [0,2]
          Token 1: [4,1]
          Token 2: [3,5]
        <BLANKLINE>
          Chunk i is at place 3i mod 5; the last stays.
    """
    T, H, N = num_tokens, num_heads, num_tokens * num_heads
    within(_MOST_CHUNKS, num_tokens=T, num_heads=H)
    note = f"Chunk i is at place {T}i mod {N - 1}; the last stays." if N > 1 else "The only chunk."
    labels = np.array([*map(str, range(N))])
    panels = (
        _grid("Before", np.arange(N).reshape(T, H), H, labels),
        _grid("After", _mixed_chunks(T, H), H, labels, note=note),
    )
    title = f"The perfect shuffle: T = {counted(T, 'token')} of H = {counted(H, 'chunk')}"
    about = "The chunks of every token before mixing and after it."
    return Scene(title, about, panels)


def jacobian_scene(num_tokens: int = 3, num_heads: int = 2) -> Scene:
    """The Jacobian of mixing, chunk by chunk and added up by tokens: the paper's, and the guide's.

    Returns:
        A :class:`.Scene` of four matrices. In the last two is how many chunks of each token of the
        input a token of the output has.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("jacobian", num_tokens=2, num_heads=2)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        Mixing (rankmixer)
                   0 1   2 3
          place 0  1 0   0 0
          place 1  0 0   1 0
          place 2  0 1   0 0
          place 3  0 0   0 1
        >>> print(nx.explain.panel_text(scene.panels[2]))
        Mixing (rankmixer), token by token
                   0   1
          Token 0  1   1
          Token 1  1   1
    """
    T, H = num_tokens, num_heads
    within(_MOST_TOKENS, num_tokens=T, num_heads=H)
    x, N = np.zeros((1, T, H)), T * H
    chunks, tokens = [], []
    for title, mixing in _MIXINGS.items():
        slopes = jacobian(lambda x, mixing=mixing: token_mix(x, H, mixing=mixing), x)
        by_chunk = slopes.data.reshape(N, N).astype(int)
        by_token = by_chunk.reshape(T, H, T, H).sum(axis=(1, 3))
        chunks.append(_matrix(title, by_chunk, "place", H))
        tokens.append(_matrix(f"{title}, token by token", by_token, "Token"))
    title = f"The Jacobian of mixing, T = {T}, H = {H}"
    about = "Row: a place of the output. Column: a chunk of the input. 1 where it came from there."
    return Scene(title, about, (*chunks, *tokens))


def cycles_scene(num_tokens: int = 3, num_heads: int = 2) -> Scene:
    """The cycles of the chunks, and mixing again and again until all are back.

    Returns:
        A :class:`.Scene` of the cycles and of the sequence after every mixing; of many mixings
        the first and the last.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("cycles", num_tokens=3, num_heads=2)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        Cycles
          0                     stays
          1 -> 3 -> 4 -> 2 -> 1  back after 4
          5                     stays
    """
    within(_MOST_CHUNKS, num_tokens=num_tokens, num_heads=num_heads)
    T, H = num_tokens, num_heads
    cycles = [list(map(str, cycle)) for cycle in chunk_cycles(T, H)]
    wide = len(str(T * H - 1))
    most = min(_MOST_IN_LINE, _MOST_IN_CYCLES // (wide + len(" -> ")))
    lines = [
        (" -> ".join([*few(cycle, most, "..."), cycle[0]]), f"back after {len(cycle)}")
        if len(cycle) > 1
        else (cycle[0], "stays")
        for cycle in cycles
    ]
    states = [np.arange(T * H).reshape(T, H), _mixed_chunks(T, H)]
    while not np.array_equal(states[-1], states[0]):
        states.append(token_mix(states[-1][None], H)[0])
    named = ((f"after {n}", state) for n, state in enumerate(states))
    rows = _rows(named, H, np.array([*map(str, range(T * H))]))
    rows = [*few(rows, _MOST_MIXINGS, Row("", ((Cell(OMITTED),),)))]
    order = len(states) - 1
    panels = (
        Lines("Cycles", tuple(lines)),
        Grid("The chunks after n mixings", tuple(rows), note=f"All are back after {order}."),
    )
    title = f"Cycles of mixing, T = {T}, H = {H}: order {order}"
    return Scene(title, "Which chunk moves to the place of which, and when all are back.", panels)


def receptive_field_scene(num_tokens: int = 8, num_heads: int = 2) -> Scene:
    """Which tokens of the input each token sees after 1, 2, 3, … token mixers.

    Returns:
        A :class:`.Scene` with a panel for every layer until every token sees every token, or for
        one layer if that never happens.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("receptive-field", num_tokens=3, num_heads=2)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        After 1 layer
                   0   1   2
          Token 0  1   1   0
          Token 1  1   1   1
          Token 2  0   1   1
        <BLANKLINE>
          Of 3 tokens each sees 2 to 3.
    """
    within(_MOST_CHUNKS, num_tokens=num_tokens, num_heads=num_heads)
    within(_MOST_TOKENS, num_tokens=num_tokens)
    T, D = num_tokens, 4 * num_heads
    layer = nn.TokenMixer(T, D, num_heads)
    x = np.random.default_rng(0).standard_normal((1, T, D))
    panels = []
    for n in range(1, 1 + (depth_to_mix(T, num_heads) or 1)):
        sees = cross_token_jacobian(partial(_repeated, layer, n), x, probes=1) > 0
        least, most = sees.sum(axis=1).min(), sees.sum(axis=1).max()
        span = f"{least} to {most}" if least < most else f"{most}"
        note = f"Of {counted(T, 'token')} each sees {span}."
        panels.append(_matrix(f"After {counted(n, 'layer')}", sees.astype(int), "Token", note=note))
    title = f"Who sees whom, layer by layer: T = {T}, H = {num_heads}"
    about = "Row: a token of the output. Column: a token of the input. 1 where it is seen."
    return Scene(title, about, tuple(panels))


def _repeated(layer: nn.Module, times: int, x: Tensor) -> Tensor:
    for _ in range(times):
        x = layer(x)
    return x


# The square, and the residual ---------------------------------------------------------------


def why_square_scene(num_tokens: int = 4, num_heads: int = 2) -> Scene:
    """The paper's reshaping, which fits a residual only where H = T, beside the regrouping.

    Returns:
        A :class:`.Scene`: the chunks in the paper's H tokens, and regrouped into T.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.draw("why-square", num_tokens=3, num_heads=2).text())
        Why H = T: 3 tokens of 2 chunks
        <BLANKLINE>
        The paper's: H = 2 tokens of T = 3 chunks
          Head 0: [a1,b1,c1]
          Head 1: [a2,b2,c2]
        <BLANKLINE>
        Regrouped: T = 3 tokens of H = 2 chunks
          Token 0: [a1,b1]
          Token 1: [c1,a2]
          Token 2: [b2,c2]
    """
    T, H = num_tokens, num_heads
    within(_MOST_CHUNKS, num_tokens=T, num_heads=H)
    tokens, chunks = counted(T, "token"), counted(H, "chunk")
    paper = f"The paper's: H = {counted(H, 'token')} of T = {counted(T, 'chunk')}"
    names = feature_names(T, H).ravel()
    heads = np.arange(T * H).reshape(T, H).T  # head h of every token is the new token h
    panels = (
        _grid(paper, heads, H, names, of="Head"),
        _grid(f"Regrouped: T = {tokens} of H = {chunks}", _mixed_chunks(T, H), H, names),
    )
    about = "The same chunks in the same order, cut into H tokens and into T tokens."
    return Scene(f"Why H = T: {tokens} of {chunks}", about, panels)


def null_space_scene(num_tokens: int = 3, hidden_dim: int = 6, num_heads: int = 3) -> Scene:
    """What x + mix(x) loses: an A that mixing turns into its negative, added to an input.

    Returns:
        A :class:`.Scene`: A and mix(A), and the residual sums without it and with it.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("null-space", num_tokens=2, hidden_dim=2, num_heads=2)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        A
          Token 0: [[0], [1]]
          Token 1: [[-1], [0]]
        <BLANKLINE>
          The sign changes from chunk to chunk of every even cycle.
    """
    T, D, H = num_tokens, hidden_dim, num_heads
    within(_MOST_NUMBERS, num_tokens=T, hidden_dim=D)
    d = divided(D, H)
    even = T * H - mixing_rank(T, H)  # whole numbers, so that sums are exact
    A = alternating(T, H, 1.0 + np.arange(even * d).reshape(even, d)).reshape(1, T, D)
    x = np.random.default_rng(0).integers(-9, 10, (1, T, D)).astype(float)
    note = "The sign changes from chunk to chunk of every even cycle."
    if not even:
        note = "All cycles are odd: nothing but A = 0 is lost."
    panels = (
        _values("A", A, H, note),
        _values("mix(A)", token_mix(A, H), H),
        _values("x + mix(x)", x + token_mix(x, H), H),
        _values("(x + A) + mix(x + A)", x + A + token_mix(x + A, H), H),
    )
    about = "A is what mixing turns into its negative: adding it to x leaves the sum as it is."
    return Scene(f"What the residual loses: T = {T}, D = {D}, H = {H}", about, panels)


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
    names = feature_names(T, H).ravel()

    def grid(title: str, chunks: Array, note: str = "") -> Grid:
        return _grid(title, chunks[0, ..., None], H, names, note=note)

    x = np.arange(T * H).reshape(1, T, H)
    mixed = token_mix(x, H)
    panels = [
        grid("x", x),
        grid(f"Mixed: {counted(H, 'token')} of {counted(T, 'chunk')}", mixed.reshape(1, H, T)),
    ]
    for title, y in ("Put back", token_revert(mixed, H)), ("Mixed again", token_mix(mixed, H)):
        panels.append(grid(title, y, f"This is {'' if np.array_equal(x, y) else 'not '}x."))
    about = "Each chunk has the letter of the token that it came from."
    return Scene(f"Mixed and put back: T = {T}, H = {H}", about, tuple(panels))


# The laws, measured -------------------------------------------------------------------------


def _mixed_chunks(num_tokens: int, num_heads: int) -> Array:
    """(T, H): the chunk that mixing brings to each place."""
    chunks = np.arange(num_tokens * num_heads).reshape(1, num_tokens, num_heads)
    mixed: Array = token_mix(chunks, num_heads)[0]
    return mixed


# Grids --------------------------------------------------------------------------------------


def _matrix(title: str, numbers: Array, of: str, width: int = 1, note: str = "") -> Grid:
    """A matrix; what is not 0 is tinted by the token of its column, which has ``width`` columns.

    Raises:
        ArgumentError: a terminal has no room for so many columns.
    """
    N = len(numbers)
    room = MOST_CHARACTERS - len(f"{of} {N - 1}") - 2  # two characters are between chunks
    within(int(room / (len(str(N - 1)) + 1 + 2 / width)), columns=N)
    rows = []
    for i, row in enumerate(numbers.tolist()):
        cells = [Cell(str(n), j // width if n else None) for j, n in enumerate(row)]
        rows.append(Row(f"{of} {i}", tuple(zip(*[iter(cells)] * width, strict=True))))
    return Grid(title, tuple(rows), "matrix", tuple(map(str, range(N))), note)


def _grid(
    title: str, chunks: Array, num_heads: int, labels: Array, *, of: str = "Token", note: str = ""
) -> Grid:
    """Tokens, or heads, as rows of chunks, each with its label and tinted by its token.

    Args:
        title, note: of the grid.
        chunks: (rows, n) or (rows, n, d): the numbers of the chunks.
        num_heads: H, how many a token has.
        labels: of the chunks by their numbers.
        of: what a row is.

    Returns:
        A :class:`.Grid`, which has of many chunks in a row a few.
    """
    rows = ((f"{of} {i}", row) for i, row in enumerate(chunks))
    return Grid(title, tuple(_rows(rows, num_heads, labels)), note=note)


def _rows(rows: Iterable[tuple[str, Array]], num_heads: int, labels: Array) -> list[Row]:
    chunks = ((name, np.atleast_2d(row)) for name, row in rows)
    return chunk_rows([(name, (labels[row], row // num_heads)) for name, row in chunks])


def _values(title: str, values: Array, num_heads: int, note: str = "") -> Grid:
    """(1, T, D): whole numbers, in chunks."""
    _, T, D = values.shape
    labels = np.char.mod("%.0f", values[0].reshape(T, num_heads, D // num_heads) + 0.0)  # no -0
    rows = chunk_rows([(f"Token {t}", (row,)) for t, row in enumerate(labels)])
    return Grid(title, tuple(rows), note=note)
