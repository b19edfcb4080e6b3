"""The laws of mixing, drawn from the running mixer.

Most figures mix chunks of one number each: mixing moves chunks whole, so that where one number goes
is where a chunk of any width goes. Chunk i = tH + h is head h of token t.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from ... import nn
from ...array import Array
from ...functional.activations import gelu
from ...functional.mixing import (
    Mixing,
    chunk_cycles,
    depth_to_mix,
    divided,
    mixing_condition,
    mixing_rank,
    token_mix,
    token_revert,
)
from ...functional.normalization import layer_norm
from ...tensors import Tensor, tensor
from ...text import counted
from ...transforms import jacobian
from ..dependence import alternating
from ..drawing.panels import Cell, Grid, Lines, Panel, Row, Table
from ..drawing.scene import Scene
from .limits import within
from .mixing import MOST_CHARACTERS, feature_names, few, few_chunks

__all__ = [
    "cycles_scene",
    "heads_scene",
    "jacobian_scene",
    "null_space_scene",
    "orders_scene",
    "pre_norm_scene",
    "receptive_field_scene",
    "shuffle_scene",
    "token_jacobian_scene",
    "why_square_scene",
]

#: The numbers of tokens, and of heads, that the tables of the laws are for.
_COUNTS = (2, 3, 4, 6, 8, 12, 16, 32)
_MOST_MIXINGS = 8
_MOST_IN_LINE, _MOST_IN_CYCLES = 16, 78  # the chunks of a cycle, and the characters of those
#: What is drawn whole: chunks in rows, tokens beside tokens, and numbers in all.
_MOST_CHUNKS, _MOST_TOKENS, _MOST_NUMBERS = 512, 64, 512


V = TypeVar("V")


class _Example(NamedTuple):
    """Sizes, an input x, and a part of it that x + mix(x) loses."""

    num_heads: int
    x: Array
    lost: Array

    @property
    def sizes(self) -> str:
        _, T, D = self.x.shape
        return f"T = {T}, D = {D}, H = {self.num_heads}"

    def changes(self, layer: Callable[[Tensor], Tensor]) -> Array:
        """(T, D): by how much the output changes when the lost part is added to x."""
        change: Array = (layer(tensor(self.x + self.lost)) - layer(tensor(self.x))).data[0]
        return change

    def slopes(self, fn: Callable[[Tensor], Tensor]) -> Array:
        """The Jacobian of ``fn`` at x, (T·D, T·D)."""
        found: Array = jacobian(fn, self.x).data.reshape(self.x.size, self.x.size)
        return found


# Where chunks go ----------------------------------------------------------------------------


def shuffle_scene(num_tokens: int = 3, num_heads: int = 2) -> Scene:
    """Where each chunk goes: from place i to iT mod (N - 1), among N = T·H.

    Returns:
        A :class:`.Scene`: the chunks before and after, and a table of what was found beside the
        formula.

    Example:
        >>> import numixology as nx
        >>> print(nx.explain.draw("shuffle", num_tokens=2, num_heads=2).panels[2].rows)
        (('0', '0', '0', '0'), ('1', '0', '1', '2'), ('2', '1', '0', '1'), ('3', '1', '1', 'stays'))
    """
    within(_MOST_CHUNKS, num_tokens=num_tokens, num_heads=num_heads)
    after = _mixed_chunks(num_tokens, num_heads)  # (T, H)
    T, H, N = num_tokens, num_heads, after.size
    places = np.argsort(after.ravel())
    rows = [
        (str(i), str(i // H), str(i % H), "stays" if i == place == N - 1 else str(place))
        for i, place in enumerate(places.tolist())
    ]
    header = ("chunk", "token", "head", "goes to")
    note = f"Chunk i goes to {T}i mod {N - 1}; the last stays." if N > 1 else "The only chunk."
    panels = (
        _tokens("Before", np.arange(N).reshape(T, H), H),
        _tokens("After", after, H),
        Table("Where each chunk goes", header, tuple(rows), ">>>>", note),
    )
    title = f"The perfect shuffle: T = {counted(T, 'token')} of H = {counted(H, 'chunk')}"
    about = "The chunks of every token before mixing and after it, and the place of each."
    return Scene(title, about, panels)


def jacobian_scene(num_tokens: int = 3, num_heads: int = 2) -> Scene:
    """The Jacobian of mixing, chunk by chunk: the paper's, and the guide's.

    Returns:
        A :class:`.Scene` of two matrices of 0 and 1.

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
    """
    within(_MOST_TOKENS, num_tokens=num_tokens, num_heads=num_heads)
    N = num_tokens * num_heads
    names = [f"place {i}" for i in range(N)]
    chunks = [str(i) for i in range(N)]
    panels = tuple(
        _matrix(title, _jacobian(num_tokens, num_heads, mixing), names, chunks, num_heads)
        for title, mixing in _mixings("Mixing", "Permuting back first")
    )
    title = f"The Jacobian of mixing, T = {num_tokens}, H = {num_heads}"
    about = "Row: a place of the output. Column: a chunk of the input. 1 where it came from there."
    return Scene(title, about, panels)


def token_jacobian_scene(num_tokens: int = 3, num_heads: int = 2) -> Scene:
    """Which token has chunks of which, and how many: the Jacobian added up by tokens.

    Returns:
        A :class:`.Scene` of two matrices, of the paper's mixing and of the guide's.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("token-jacobian", num_tokens=3, num_heads=2)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        Mixing (rankmixer)
                   0   1   2
          Token 0  1   1   0
          Token 1  1   0   1
          Token 2  0   1   1
    """
    within(_MOST_CHUNKS, num_tokens=num_tokens, num_heads=num_heads)
    within(_MOST_TOKENS, num_tokens=num_tokens)
    T, H = num_tokens, num_heads
    names, columns = [f"Token {t}" for t in range(T)], [str(t) for t in range(T)]
    panels = tuple(
        _matrix(
            title,
            _jacobian(T, H, mixing).reshape(T, H, T, H).sum(axis=(1, 3)),
            names,
            columns,
        )
        for title, mixing in _mixings("Mixing", "Permuting back first")
    )
    title = f"Which token sees which, T = {T}, H = {H}"
    about = (
        "Row: a token of the output. Column: a token of the input. How many chunks of it it has."
    )
    return Scene(title, about, panels)


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
    states = _until_back(T, H)
    names = [f"after {n}" for n in range(len(states))]
    numbers = _numbers(T * H)
    rows = [_chunk_row(*pair, H, numbers) for pair in zip(names, states, strict=True)]
    if len(rows) > _MOST_MIXINGS + 2:
        rows = [*rows[:_MOST_MIXINGS], Row("", ((Cell("..."),),)), rows[-1]]
    order = len(states) - 1
    panels = (
        Lines("Cycles", tuple(lines)),
        Grid("The chunks after n mixings", tuple(rows), note=f"All are back after {order}."),
    )
    title = f"Cycles of mixing, T = {T}, H = {H}: order {order}"
    return Scene(title, "Which chunk moves to the place of which, and when all are back.", panels)


# How often, how deep ------------------------------------------------------------------------


def orders_scene() -> Scene:
    """Order, layers until every token sees every token, and what x + mix(x) keeps, by T and H.

    Returns:
        A :class:`.Scene` of four tables, all for T and H of 2, 3, 4, 6, 8, 12, 16 and 32.

    Example:
        >>> import numixology as nx
        >>> orders, layers, kept, conditions = nx.explain.draw("orders").panels
        >>> orders.header[4], orders.rows[3][4], layers.rows[3][1], kept.rows[3][4]
        ('6', '2', '3', '58')
        >>> conditions.rows[2][1:6]
        ('2.0', '3.2', 'inf', '7.0', '3.2')
    """
    orders, layers, kept, conditions = (
        tuple((str(T), *(str(law(T, H)) for H in _COUNTS)) for T in _COUNTS)
        for law in (_order, _layers, _percent_kept, _condition)
    )
    header, align = ("T \\ H", *map(str, _COUNTS)), ">" * (1 + len(_COUNTS))
    panels = (
        Table("Mixings until all chunks are back", header, orders, align),
        Table("Layers until every token sees every token", header, layers, align),
        Table("Of 100 dimensions, x + mix(x) keeps", header, kept, align, "Rounded to whole ones."),
        Table(
            "Condition number of x + mix(x)", header, conditions, align, "inf: something is lost."
        ),
    )
    about = "Rows: the number of tokens T. Columns: the number of heads H."
    return Scene("The laws of mixing by T and H", about, panels)


def heads_scene(num_tokens: int = 16, hidden_dim: int = 768) -> Scene:
    """Reach, rank and condition for every number of heads, and which of them is best.

    Returns:
        A :class:`.Scene` of one table, with a row for every H that divides D. Best is the smallest
        condition, which is infinite where something is lost, among those of fewest layers.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("heads", num_tokens=4, hidden_dim=16)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        Every H that divides D = 16
           H   d  layers  keeps  condition
          --  --  ------  -----  ---------  -------------
           1  16   never   100%        1.0
           2   8       2   100%        2.0
           4   4       1    63%        inf  the paper's
           8   2       1   100%        3.2
          16   1       1   100%        2.0  best, H = T^2
    """
    within(100_000, num_tokens=num_tokens, hidden_dim=hidden_dim)
    T, D = num_tokens, hidden_dim
    heads = [H for H in range(1, D + 1) if D % H == 0]
    depths = {H: depth_to_mix(T, H) for H in heads}
    reaching = [(depth, mixing_condition(T, H), H) for H, depth in depths.items() if depth]
    best = min(reaching, default=(0, 0.0, 0))[-1]
    rows = []
    for H, depth in depths.items():
        words = {"best": best == H, "the paper's": H == T, "H = T^2": H == T * T}
        said = ", ".join(word for word, so in words.items() if so)
        layers = "never" if depth is None else str(depth)
        percent = f"{_percent_kept(T, H)}%"
        rows.append((str(H), str(D // H), layers, percent, _condition(T, H), said))
    header = ("H", "d", "layers", "keeps", "condition", "")
    table = Table(f"Every H that divides D = {D}", header, tuple(rows), ">>>>><")
    about = "Layers until every token sees every token, and what x + mix(x) keeps."
    return Scene(f"How many heads for {counted(T, 'token')}?", about, (table,))


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
    T = num_tokens
    fields = _receptive_fields(T, num_heads)
    names, columns = [f"Token {t}" for t in range(T)], [str(t) for t in range(T)]
    panels = []
    for n, sees in enumerate(fields, start=1):
        counts = sees.sum(axis=1)
        least, most = counts.min(), counts.max()
        span = f"{least} to {most}" if least < most else f"{most}"
        title = f"After {counted(n, 'layer')}"
        note = f"Of {counted(T, 'token')} each sees {span}."
        panels.append(_matrix(title, sees.astype(int), names, columns, note=note))
    title = f"Who sees whom, layer by layer: T = {T}, H = {num_heads}"
    about = "Row: a token of the output. Column: a token of the input. 1 where it is seen."
    return Scene(title, about, tuple(panels))


# The square, and the residual ---------------------------------------------------------------


def why_square_scene(num_tokens: int = 4, hidden_dim: int = 8, num_heads: int = 2) -> Scene:
    """The paper's reshaping, which fits a residual only where H = T, beside the regrouping.

    Returns:
        A :class:`.Scene`: the chunks in the paper's H tokens and regrouped into T, and a table for
        every H that divides D.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("why-square", num_tokens=3, hidden_dim=6)
        >>> print(nx.explain.panel_text(scene.panels[2]))
        Every H that divides D = 6
          H  the paper's  fits x  sees  layers
          -  -----------  ------  ----  ------
          1      (1, 18)      no     1   never
          2       (2, 9)      no     2       2
          3       (3, 6)     yes     3       1
          6       (6, 3)      no     3       1
    """
    T, D, H = num_tokens, hidden_dim, num_heads
    within(10_000, num_tokens=T, hidden_dim=D)
    divided(D, H)
    within(_MOST_CHUNKS, num_tokens=T, num_heads=H)
    names = feature_names(T, H).ravel()
    paper = _head_major(np.arange(T * H).reshape(1, T, H), H)[0]  # (H, T)
    regrouped = _mixed_chunks(T, H)  # (T, H)
    heads = [_chunk_row(f"Head {h}", chunks, H, names) for h, chunks in enumerate(paper)]
    tokens = [_chunk_row(f"Token {t}", chunks, H, names) for t, chunks in enumerate(regrouped)]
    x = np.zeros((1, T, D))
    rows = tuple(_choice(x, n) for n in range(1, D + 1) if D % n == 0)
    header = ("H", "the paper's", "fits x", "sees", "layers")
    panels = (
        Grid(f"The paper's: H = {counted(H, 'token')} of T = {counted(T, 'chunk')}", tuple(heads)),
        Grid(
            f"Regrouped: T = {counted(T, 'token')} of H = {counted(H, 'chunk')}",
            tuple(tokens),
            note=f"{token_mix(x, H).shape[1:]}, as x.",
        ),
        Table(f"Every H that divides D = {D}", header, rows, ">>>>>"),
    )
    title = f"Why H = T: {counted(T, 'token')} of {counted(D, 'feature')}"
    about = "The same chunks in the same order, cut into H tokens and into T tokens."
    return Scene(title, about, panels)


def null_space_scene(num_tokens: int = 3, hidden_dim: int = 6, num_heads: int = 3) -> Scene:
    """What x + mix(x) loses: an A that mixing turns into its negative, added to an input.

    Returns:
        A :class:`.Scene`: A and mix(A), the residual sums with it and without it, what that does to
        the output of a :class:`numixology.nn.TokenMixer`, and the singular values.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("null-space", num_tokens=2, hidden_dim=2, num_heads=2)
        >>> print(nx.explain.panel_text(scene.panels[0]))
        A
          Token 0: [[0], [1]]
          Token 1: [[-1], [0]]
        <BLANKLINE>
          The sign changes from chunk to chunk of every even cycle.
        >>> scene.panels[4].rows[2]
        ('largest change of TokenMixer(x)', '0')
    """
    example = _example(num_tokens, hidden_dim, num_heads)
    H, x, A = example.num_heads, example.x, example.lost
    sums = [_residual(tensor(one), H).data[0] for one in (x, x + A)]
    layer = nn.TokenMixer(num_tokens, hidden_dim, H)
    singular = np.linalg.svd(example.slopes(lambda x: _residual(x, H)), compute_uv=False)
    values, counts = np.unique(singular.round(4) + 0.0, return_counts=True)  # no -0
    kept = np.count_nonzero(singular > 1e-9)
    facts = (
        ("largest entry of A", f"{np.abs(A).max():g}"),
        ("largest change of x + mix(x)", f"{np.abs(sums[1] - sums[0]).max():g}"),
        ("largest change of TokenMixer(x)", f"{np.abs(example.changes(layer)).max():g}"),
        ("dimensions of x", f"{x.size}"),
        ("dimensions of x + mix(x)", f"{kept}"),
    )
    rows = tuple((f"{v:.4f}", str(n)) for v, n in zip(values, counts, strict=True))
    note = "The sign changes from chunk to chunk of every even cycle."
    if not A.any():
        note = "All cycles are odd: nothing but A = 0 is lost."
    panels = (
        _values("A", A[0], H)._replace(note=note),
        _values("mix(A)", token_mix(A, H)[0], H),
        _values("x + mix(x)", sums[0], H),
        _values("(x + A) + mix(x + A)", sums[1], H),
        Table("What adding A does", ("what", "value"), facts, "<>"),
        Table("Singular values of x + mix(x)", ("value", "how many"), rows, ">>"),
    )
    about = "A is what mixing turns into its negative: adding it to x leaves the sum as it is."
    return Scene(f"What the residual loses: {example.sizes}", about, panels)


def pre_norm_scene(num_tokens: int = 3, hidden_dim: int = 6, num_heads: int = 3) -> Scene:
    """Three blocks given x and x + A, where x + mix(x) cannot see A.

    Returns:
        A :class:`.Scene`: how much the outputs of a post-norm block, a pre-norm block and one that
        mixes and reverts change when A is added.

    Example:
        >>> import numixology as nx
        >>> scene = nx.explain.draw("pre-norm", num_tokens=2, hidden_dim=4, num_heads=2)
        >>> for row in scene.panels[0].rows:
        ...     print(row[0], row[1] == "0.00", row[2])
        norm(x + mix(x)) True 6 of 8
        x + mix(norm(x)) False 8 of 8
        mix and revert False 8 of 8
    """
    example = _example(num_tokens, hidden_dim, num_heads)
    H, size = num_heads, example.x.size
    sums: dict[str, Callable[[Tensor], Tensor]] = {
        "norm(x + mix(x))": partial(_residual, num_heads=H),
        "x + mix(norm(x))": partial(_pre_norm, num_heads=H),
        "mix and revert": partial(_mix_and_revert, num_heads=H),
    }
    first, *others = sums
    changes = {first: example.changes(lambda x: layer_norm(sums[first](x)))}
    changes |= {name: example.changes(sums[name]) for name in others}
    ranks = {name: np.linalg.matrix_rank(example.slopes(fn)) for name, fn in sums.items()}
    rows = tuple(
        (name, f"{np.abs(changes[name]).max():.2f}", f"{ranks[name]} of {size}") for name in sums
    )
    note = "The rank is that of the Jacobian at x, of the sum alone where a norm follows."
    table = Table("What adding A changes", ("block", "change", "rank"), rows, "<>>", note)
    grids = (_values(f"Change of {name}", changes[name], H, 2) for name in sums)
    panels: tuple[Panel, ...] = (table, *grids)
    about = "The largest change of the output when A is added, and the change of every feature."
    return Scene(f"How a block escapes: {example.sizes}", about, panels)


# The laws, measured -------------------------------------------------------------------------


def _mixed_chunks(num_tokens: int, num_heads: int) -> Array:
    """(T, H): the chunk that mixing brings to each place."""
    chunks = np.arange(num_tokens * num_heads).reshape(1, num_tokens, num_heads)
    mixed: Array = token_mix(chunks, num_heads)[0]
    return mixed


def _jacobian(num_tokens: int, num_heads: int, mixing: Mixing) -> Array:
    """(T·H, T·H): the derivative of every place of the output by every chunk."""
    x, N = np.zeros((1, num_tokens, num_heads)), num_tokens * num_heads
    slopes = jacobian(lambda x: token_mix(x, num_heads, mixing=mixing), x)
    found: Array = slopes.data.reshape(N, N).astype(int)
    return found


def _until_back(num_tokens: int, num_heads: int) -> list[Array]:
    """The chunks before any mixing, after one, after two, …, until all are back: each (T, H)."""
    N = num_tokens * num_heads
    states = [np.arange(N).reshape(num_tokens, num_heads), _mixed_chunks(num_tokens, num_heads)]
    while not np.array_equal(states[-1], states[0]):
        states.append(token_mix(states[-1][None], num_heads)[0])
    return states


def _order(num_tokens: int, num_heads: int) -> int:
    return len(_until_back(num_tokens, num_heads)) - 1


def _layers(num_tokens: int, num_heads: int) -> int:
    """For H > 1: how many layers pass until every token sees every token."""
    sees = np.eye(num_tokens, dtype=bool)
    sources = _mixed_chunks(num_tokens, num_heads) // num_heads  # (T, H), tokens
    layers = 0
    while not sees.all():
        sees, layers = sees[sources].any(axis=1), layers + 1
    return layers


def _percent_kept(num_tokens: int, num_heads: int) -> int:
    return int(100 * mixing_rank(num_tokens, num_heads) / (num_tokens * num_heads) + 0.5)


def _condition(num_tokens: int, num_heads: int) -> str:
    return f"{mixing_condition(num_tokens, num_heads):.1f}"


def _receptive_fields(num_tokens: int, num_heads: int) -> list[Array]:
    """(T, T) per layer: whether a token of the output depends on a token of the input."""
    T, D = num_tokens, 4 * num_heads
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((1, T, D)), rng.standard_normal(D)
    layer = nn.TokenMixer(T, D, num_heads)
    depth = depth_to_mix(T, num_heads) or 1

    def token_numbers(x: Tensor, layers: int) -> Tensor:
        """One number per token, on which each of its features has a say."""
        for _ in range(layers):
            x = layer(x)
        return (x * weights).sum(-1)

    fields = []
    for n in range(1, depth + 1):
        slopes: Array = jacobian(lambda x, n=n: token_numbers(x, n), x).data
        fields.append((slopes.reshape(T, T, D) != 0).any(axis=-1))
    return fields


def _example(num_tokens: int, hidden_dim: int, num_heads: int) -> _Example:
    """Whole numbers, so that sums are exact."""
    T, D, H = num_tokens, hidden_dim, num_heads
    within(_MOST_NUMBERS, num_tokens=T, hidden_dim=D)
    d = divided(D, H)
    even = T * H - mixing_rank(T, H)
    lost = alternating(T, H, 1.0 + np.arange(even * d).reshape(even, d))
    x = np.random.default_rng(0).integers(-9, 10, (1, T, D)).astype(float)
    return _Example(H, x, lost.reshape(1, T, D))


def _residual(x: Tensor, num_heads: int) -> Tensor:
    return x + token_mix(x, num_heads)


def _pre_norm(x: Tensor, num_heads: int) -> Tensor:
    return x + token_mix(layer_norm(x), num_heads)


def _mix_and_revert(x: Tensor, num_heads: int) -> Tensor:
    """Mixed tokens pass a network with a residual of their own, and go back before x is added.

    The network is one for each token alone; GELU after LayerNorm stands for it.
    """
    mixed = token_mix(x, num_heads)  # (B, T, D)
    mixed = mixed + gelu(layer_norm(mixed))
    return x + gelu(layer_norm(token_revert(mixed, num_heads)))


def _head_major(x: Array, num_heads: int) -> Array:
    """The paper's reshaping, (B, T, D) to (B, H, T·D / H): token h is head h of every token."""
    B, T, D = x.shape
    heads = x.reshape(B, T, num_heads, D // num_heads).transpose(0, 2, 1, 3)
    return heads.reshape(B, num_heads, T * D // num_heads)


def _choice(x: Array, num_heads: int) -> tuple[str, ...]:
    """What H heads make of x: the paper's shape, whether it fits, and the reach when regrouped."""
    T = x.shape[1]
    reshaped = _head_major(x, num_heads).shape
    fits = "yes" if reshaped == x.shape else "no"
    sees = min(len(set(row)) for row in _mixed_chunks(T, num_heads) // num_heads)
    depth = depth_to_mix(T, num_heads)
    layers = "never" if depth is None else str(depth)
    return str(num_heads), str(reshaped[1:]), fits, str(sees), layers


# Grids --------------------------------------------------------------------------------------


def _mixings(first: str, second: str) -> tuple[tuple[str, Mixing], tuple[str, Mixing]]:
    return (f"{first} (rankmixer)", "rankmixer"), (f"{second} (guide)", "guide")


def _matrix(
    title: str,
    numbers: Array,
    names: Sequence[str],
    columns: Sequence[str],
    width: int = 1,
    note: str = "",
) -> Grid:
    """A matrix; what is not 0 is tinted by the token of its column, which has ``width`` columns.

    Of more columns than a terminal has room for, the last and as many of the first are shown.
    """
    room = MOST_CHARACTERS - max(map(len, names)) - 2  # two characters are between chunks
    most = int(room / (len(columns[-1]) + 1 + 2 / width))
    shown = [range(start, start + width) for start in range(0, len(columns), width)]
    if len(columns) > most:
        fit = range(most - 4)  # the last, and three dots
        shown = [fit[start : start + width] for start in range(0, len(fit), width)]
        shown.append(range(len(columns) - 1, len(columns)))
        left_out = f"Of {len(columns)} columns the first {len(fit)} and the last are shown."
        note = f"{note} {left_out}".strip()

    def cut(cells: Sequence[V], dots: V) -> list[tuple[V, ...]]:
        chunks = [tuple(cells[i] for i in chunk) for chunk in shown]
        return chunks if len(columns) <= most else [*chunks[:-1], (dots,), chunks[-1]]

    rows = []
    for name, row in zip(names, numbers.tolist(), strict=True):
        cells = [Cell(str(n), i // width if n else None) for i, n in enumerate(row)]
        rows.append(Row(name, tuple(cut(cells, Cell("...")))))
    heads = tuple(head for chunk in cut(columns, "...") for head in chunk)
    return Grid(title, tuple(rows), "matrix", heads, note)


def _tokens(title: str, chunks: Array, num_heads: int) -> Grid:
    """(T, H): the numbers of the chunks of every token."""
    numbers = _numbers(chunks.size)
    rows = [_chunk_row(f"Token {t}", row, num_heads, numbers) for t, row in enumerate(chunks)]
    return Grid(title, tuple(rows))


def _numbers(count: int) -> Array:
    """The labels 0, 1, 2, …"""
    return np.array([str(i) for i in range(count)])


def _chunk_row(name: str, chunks: Array, num_heads: int, labels: Array) -> Row:
    """Chunks by their labels, tinted by the token they came from; of many a few.

    Where there are rows of several tokens, (T, H), each is a chunk of the row.
    """
    cells = [Cell(str(labels[i]), i // num_heads) for i in chunks.ravel().tolist()]
    wide = labels.dtype.itemsize // 4  # of any label, so that all rows are cut alike
    return Row(name, few_chunks(_cut(cells, chunks.shape[-1]), wide))


def _values(title: str, values: Array, num_heads: int, digits: int = 0) -> Grid:
    """(T, D): numbers, in chunks."""
    width = values.shape[1] // num_heads
    rows = []
    for t, row in enumerate((values.round(digits) + 0.0).tolist()):  # no -0
        cells = [Cell(f"{value:.{digits}f}") for value in row]
        rows.append(Row(f"Token {t}", _cut(cells, width)))
    return Grid(title, tuple(rows))


def _cut(cells: Sequence[Cell], width: int) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(cells[i : i + width]) for i in range(0, len(cells), width))
