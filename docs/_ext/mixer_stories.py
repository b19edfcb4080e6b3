"""What there is to tell about every cell of the mixer's figure, told by running the mixer.

The play page shows this and computes nothing itself. Sphinx is not needed here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

import numpy as np

import numixology as nx
from numixology.explain import Cell, Grid, Panel, Row, Scene

Place = tuple[int, int, int]  # panel, row, column


#: What each step does, by the first word of its title.
DID = {
    "Head": "Each token is cut into heads. Nothing moves.",
    "Permutation": "Heads come first: each row now holds one head of every token.",
    "Flatten": "The rows are joined into one sequence of chunks. The order stays the same.",
    "Merge": "The sequence is cut into tokens, which now have chunks of others: the mixing.",
    "Residual": "The input is added, place by place.",
    "Unflatten": "The sequence is cut into heads again, as after step 2.",
    "Permute": "Tokens come first again, as after step 1.",
}
REJOINED = "The heads of each token are joined again. Every token is what it was."


class Story(NamedTuple):
    """One cell: a few words, a line of Python that is True, the cells to light, and their way.

    ``moves`` has a sentence for each step: from which row to which it takes them.
    """

    says: str
    code: str
    cells: list[Place]
    moves: list[str]


class Play(NamedTuple):
    """A mixer of one size: its steps up to the residual, and then its Jacobian by chunk."""

    name: str
    scene: Scene
    setup: str  # what the code of a story presumes
    keys: list[list[list[str]]]  # the story of each cell, by panel, row and column
    stories: dict[str, Story]
    did: list[str]  # what each step does
    start: str  # the story to begin with

    def json(self) -> str:
        """What the page needs, as JSON that may stand in a script element."""
        data = {"scene": json.loads(self.scene.json()), "keys": self.keys}
        data |= {"did": self.did, "start": self.start}
        data["stories"] = {key: story._asdict() for key, story in self.stories.items()}
        return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


class Mixed(NamedTuple):
    """A mixer that was run, and where its figure shows what."""

    H: int
    d: int
    call: str  # in Python
    names: np.ndarray  # (T, D): what each feature is called
    came: np.ndarray  # (T, D): which feature, counted from 0, mixing brought here
    blocks: np.ndarray  # (TH, TH, d, d): the Jacobian by chunk
    holds: dict[str, list[Place]]  # the cells that show a feature
    rows: list[list[str]]  # what the rows of each step are called
    residual: int  # the number of its panel; that of the Jacobian is the next

    def chunk(self, t: int, i: int) -> int:
        return t * self.H + i // self.d

    def moves(self, names: list[str], cells: list[Place]) -> list[str]:
        """From which row to which each step takes these features, which these cells show."""
        who, goes, stays = (
            (" and ".join(names), "go", "stay") if len(names) > 1 else (names[0], "goes", "stays")
        )
        found = [
            list(dict.fromkeys(self.rows[p][r] for q, r, _ in cells if q == p))
            for p in range(self.residual + 1)
        ]
        return [
            f"{who} {stays} in {' and '.join(after)}."
            if before == after
            else f"{who} {goes} from {' and '.join(before)} to {' and '.join(after)}."
            for before, after in pairwise(found)
        ]


def play(T: int, H: int, d: int, mixing: str = "rankmixer") -> Play:
    """The steps of one mixer, and the story of every cell in them."""
    D = H * d
    word = "" if mixing == "rankmixer" else f', mixing="{mixing}"'
    call = f"nx.functional.token_mix(x, {H}{word})"
    setup = (
        "import numpy as np\n"
        "import numixology as nx\n"
        f"x = np.arange({2 * T * D}.0).reshape(2, {T}, {D})\n"
        f"J = np.asarray(nx.jacobian(lambda x: {call}, x[:1]))"
    )
    x = np.arange(2.0 * T * D).reshape(2, T, D)
    jacobian = nx.jacobian(lambda x: nx.functional.token_mix(x, H, mixing=mixing), x[:1])
    blocks = np.asarray(jacobian).reshape(T * H, d, T * H, d).swapaxes(1, 2)

    # without the last two: their cells are numbers, no longer features with a name
    drawn = nx.explain.mixer_scene(T, D, H, mixing=mixing)
    panels = (*drawn.panels[:-2], jacobian_panel(blocks, H))
    about = f"The values of the first sequence at each of {len(panels) - 2} steps; the Jacobian."
    scene = Scene(drawn.title, about, panels)
    labels = [labels_of(panel) for panel in panels]
    names = np.array(labels[0])
    came = nx.functional.token_mix(x, H, mixing=mixing)[0].astype(int)
    rows = [[row_of(row.name) for row in panel.rows] for panel in drawn.panels[:-2]]
    mixed = Mixed(H, d, call, names, came, blocks, cells_of(labels[:-1]), rows, len(panels) - 2)
    did = [did_of(panel.title, mixing) for panel in panels[1:-1]]

    keys = [*labels[:-1], [[f"{r},{c}" for c in range(T * H)] for r in range(T * H)]]
    stories = feature_stories(mixed) | residual_stories(mixed) | jacobian_stories(mixed)
    title = f"T = {T}, H = {H}, d = {d}" + (": the guide's own, mixes nothing" if word else "")
    return Play(title, scene, setup, keys, stories, did, start=str(names[min(1, T - 1), 0]))


def row_of(name: str) -> str:
    """What a row is called in a sentence; in the flat sequence it is places."""
    return f"places {name.partition(',')[0]}" if name[0].isdigit() else name


def did_of(title: str, mixing: str) -> str:
    """What the step with this title does."""
    word = title.partition(": ")[2].split()[0]
    return REJOINED if (word, mixing) == ("Merge", "guide") else DID[word]


def jacobian_panel(blocks: np.ndarray, H: int) -> Grid:
    """(TH, TH, d, d), each block zero or the identity, as a grid of 0 and 1."""
    N, d = blocks.shape[0], blocks.shape[-1]
    ones = (blocks == np.eye(d)).all(axis=(2, 3))
    if not (ones | (blocks == 0).all(axis=(2, 3))).all():
        raise ValueError("mixing moves chunks whole: a block of its Jacobian is 0 or the identity")
    rows = tuple(
        Row(
            str(place),
            (tuple(Cell("1", c // H) if one else Cell("0") for c, one in enumerate(row)),),
        )
        for place, row in enumerate(ones)
    )
    return Grid(
        f"Jacobian by chunk  {(N, N)}",
        rows,
        "matrix",
        columns=tuple(map(str, range(N))),
        note=f"row: place after mixing; column: chunk before it; 1 is an identity of {d} by {d}",
    )


def labels_of(panel: Panel) -> list[list[str]]:
    if not isinstance(panel, Grid):
        raise TypeError(f"a mixer is drawn as grids: got {type(panel).__name__}")
    return [[cell.label for chunk in row.chunks for cell in chunk] for row in panel.rows]


def cells_of(labels: list[list[list[str]]]) -> dict[str, list[Place]]:
    """Each feature's cells; one of the residual, such as a1+b1, is of both."""
    holds = defaultdict(list)
    for p, panel in enumerate(labels):
        for r, row in enumerate(panel):
            for c, label in enumerate(row):
                for feature in dict.fromkeys(label.split("+")):
                    holds[feature].append((p, r, c))
    return holds


def feature_stories(mixed: Mixed) -> dict[str, Story]:
    """Where each feature goes."""
    stories = {}
    for s, j in np.ndindex(mixed.names.shape):
        t, i = np.unravel_index(mixed.came[s, j], mixed.names.shape)
        name = str(mixed.names[t, i])
        chunk, place = mixed.chunk(int(t), int(i)), mixed.chunk(s, j)
        moves = (
            f"leaves chunk {chunk} at place {place}, so {name} stays"
            if chunk == place
            else f"moves chunk {chunk} to place {place}, so {name} becomes"
        )
        stories[name] = Story(
            f"{name} is feature {i + 1} of token {t}, in chunk {chunk}. "
            f"Mixing {moves} feature {j + 1} of token {s}. "
            f"In the Jacobian that is row {place}, column {chunk}.",
            f"{mixed.call}[0, {s}, {j}] == x[0, {t}, {i}]",
            [*mixed.holds[name], (mixed.residual + 1, place, chunk)],
            mixed.moves([name], mixed.holds[name]),
        )
    return stories


def residual_stories(mixed: Mixed) -> dict[str, Story]:
    """What was here, and what mixing brought here."""
    stories = {}
    for s, j in np.ndindex(mixed.names.shape):
        t, i = np.unravel_index(mixed.came[s, j], mixed.names.shape)
        own, came = str(mixed.names[s, j]), str(mixed.names[t, i])
        chunk, place = mixed.chunk(int(t), int(i)), mixed.chunk(s, j)
        other = (
            f"itself again, because mixing leaves chunk {chunk} here"
            if own == came
            else f"{came}, which mixing brings here with chunk {chunk}"
        )
        both = list(dict.fromkeys((own, came)))
        before = [cell for name in both for cell in mixed.holds[name]]
        shown = [*(cell for cell in before if cell[0] < mixed.residual), (mixed.residual, s, j)]
        stories[f"{own}+{came}"] = Story(
            f"{own}+{came}: the residual adds {own}, which is here already, and {other}. "
            f"In the Jacobian of the mixing that is row {place}, column {chunk}.",
            f"(x + {mixed.call})[0, {s}, {j}] == x[0, {s}, {j}] + x[0, {t}, {i}]",
            [*shown, (mixed.residual + 1, place, chunk)],
            mixed.moves(both, shown),
        )
    return stories


def jacobian_stories(mixed: Mixed) -> dict[str, Story]:
    """Which place depends on which chunk."""
    H, d = mixed.H, mixed.d
    stories = {}
    for place, chunk in np.ndindex(mixed.blocks.shape[:2]):
        (s, h), (t, k) = divmod(place, H), divmod(chunk, H)
        block = f"J[0, {s}, {h * d}:{h * d + d}, 0, {t}, {k * d}:{k * d + d}]"
        entry = (mixed.residual + 1, place, chunk)
        if mixed.blocks[place, chunk].any():
            inside = [str(name) for name in mixed.names[t, k * d : k * d + d]]
            cells = dict.fromkeys(cell for name in inside for cell in mixed.holds[name])
            story = Story(
                f"Row {place}, column {chunk} is 1: after mixing, place {place} holds "
                f"chunk {chunk}, which is {', '.join(inside)}.",
                f"({block} == np.eye({d})).all()",
                [*cells, entry],
                mixed.moves([f"Chunk {chunk}"], list(cells)),
            )
        else:
            story = Story(
                f"Row {place}, column {chunk} is 0: place {place} does not depend on "
                f"chunk {chunk}.",
                f"({block} == 0).all()",
                [entry],
                [""] * mixed.residual,
            )
        stories[f"{place},{chunk}"] = story
    return stories
