"""The figures of the laws show what arrays, made here by other means, say they must."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import functional as F
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import FIGURES
from numixology.explain.figures import laws

SIZES = [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2), (4, 4), (5, 2), (3, 8)]
sizes = pytest.mark.parametrize(("T", "H"), SIZES)
small = st.integers(1, 5)

CHUNKS = [
    laws.shuffle_scene,
    laws.jacobian_scene,
    laws.cycles_scene,
    laws.receptive_field_scene,
    laws.why_square_scene,
]


def dealt(T, H):
    """The chunk at each place after mixing: head 0 of every token, then head 1, …"""
    return [t * H + h for h in range(H) for t in range(T)]


def labels(grid):
    return [[cell.label for chunk in row.chunks for cell in chunk] for row in grid.rows]


def numbers(grid):
    return np.array(labels(grid), float)


def groups(grid):
    return [[cell.group for chunk in row.chunks for cell in chunk] for row in grid.rows]


def widths(grid):
    return {tuple(map(len, row.chunks)) for row in grid.rows}


def listed(scene, i):
    """The lines of a panel in the text of the scene, without its title and note."""
    text = scene.text().split("\n\n")
    starts = [n for n, part in enumerate(text) if part.split("\n")[0] == scene.panels[i].title]
    return text[starts[0]].split("\n")[1:]


# Where chunks go --------------------------------------------------------------------------


@sizes
def test_the_shuffle(T, H):
    scene = laws.shuffle_scene(T, H)
    before, after = scene.panels
    want = np.array(dealt(T, H)).reshape(T, H)
    np.testing.assert_array_equal(numbers(before), np.arange(T * H).reshape(T, H))
    np.testing.assert_array_equal(numbers(after), want)
    np.testing.assert_array_equal(groups(after), want // H)
    N = T * H
    assert after.note == (
        f"Chunk i is at place {T}i mod {N - 1}; the last stays." if N > 1 else "The only chunk."
    )
    lines = [f"  Token {t}: [{','.join(map(str, row))}]" for t, row in enumerate(want.tolist())]
    assert listed(scene, 1) == lines


@sizes
def test_the_jacobian_is_a_permutation_and_the_guides_the_identity(T, H):
    scene = laws.jacobian_scene(T, H)
    mixing, guide, *_ = scene.panels
    N = T * H
    want = np.zeros((N, N))
    want[range(N), dealt(T, H)] = 1
    np.testing.assert_array_equal(numbers(mixing), want)
    np.testing.assert_array_equal(numbers(guide), np.eye(N))
    assert mixing.columns == guide.columns == tuple(map(str, range(N)))
    assert [row.name for row in mixing.rows] == [f"place {i}" for i in range(N)]
    assert widths(mixing) == widths(guide) == {(H,) * T}
    for row, place in zip(groups(mixing), dealt(T, H), strict=True):
        assert [(i, g) for i, g in enumerate(row) if g is not None] == [(place, place // H)]
    shown = [line.split()[2:] for line in listed(scene, 0)[1:]]
    np.testing.assert_array_equal(np.array(shown, float), want)


@sizes
def test_which_token_has_chunks_of_which(T, H):
    _, _, mixing, guide = laws.jacobian_scene(T, H).panels
    want = np.zeros((T, T))
    for place, chunk in enumerate(dealt(T, H)):
        want[place // H, chunk // H] += 1
    np.testing.assert_array_equal(numbers(mixing), want)
    np.testing.assert_array_equal(numbers(guide), H * np.eye(T))
    assert [row.name for row in mixing.rows] == [f"Token {t}" for t in range(T)]
    assert mixing.columns == tuple(str(t) for t in range(T))


@given(small, small)
def test_cycles_and_the_chunks_after_every_mixing(T, H):
    cycles, after = laws.cycles_scene(T, H).panels
    goes_to = np.argsort(dealt(T, H))
    seen = []
    for line, remark in cycles.lines:
        chunks = [int(word) for word in line.split(" -> ")]
        if len(chunks) == 1:
            assert remark == "stays"
            assert goes_to[chunks[0]] == chunks[0]
            seen += chunks
        else:
            assert remark == f"back after {len(chunks) - 1}"
            assert chunks[-1] == chunks[0]
            np.testing.assert_array_equal(goes_to[chunks[:-1]], chunks[1:])
            seen += chunks[:-1]
    assert sorted(seen) == list(range(T * H))
    order = F.mixing_order(T, H)
    assert after.note == f"All are back after {order}."
    state = np.arange(T * H)
    states = {"after 0": state}
    for n in range(1, order + 1):
        state = state[dealt(T, H)]
        states[f"after {n}"] = state
    shown = [row for row in after.rows if row.name]
    for row, line in zip(after.rows, labels(after), strict=True):
        if row.name:
            np.testing.assert_array_equal(np.array(line, int), states[row.name])
            assert tuple(map(len, row.chunks)) == (H,) * T
    assert shown[-1].name == f"after {order}"
    np.testing.assert_array_equal(states[shown[-1].name], np.arange(T * H))


@pytest.mark.parametrize(("T", "H", "order"), [(5, 4, 9), (5, 2, 6)])
def test_few_mixings_are_shown_whole(T, H, order):
    rows = laws.cycles_scene(T, H).panels[1].rows
    assert [row.name for row in rows] == [f"after {n}" for n in range(order + 1)]


def test_of_many_mixings_the_first_and_the_last_are_shown():
    scene = laws.cycles_scene(8, 6)  # of order 23
    assert [row.name for row in scene.panels[1].rows] == [
        *(f"after {n}" for n in range(6)),
        "",
        "after 22",
        "after 23",
    ]
    assert "order 23" in scene.title
    assert listed(scene, 1)[6].strip() == "..."


def test_of_a_long_cycle_the_first_and_the_last_chunks_are_listed():
    lines = laws.cycles_scene(27, 2).panels[0].lines
    cycle, said = max(lines, key=lambda line: len(line[0]))
    chunks = cycle.split(" -> ")
    assert (len(chunks), chunks[6], said) == (10, "...", "back after 52")
    assert chunks[0] == chunks[-1]
    assert int(chunks[-2]) * 27 % 53 == int(chunks[-1])


@pytest.mark.parametrize(
    ("T", "H"), [(8, 8), (16, 4), (32, 2), (64, 1), (1, 64), (64, 8), (8, 64), (2, 256), (20, 3)]
)
@pytest.mark.parametrize("scene_of", CHUNKS)
def test_no_line_is_wider_than_a_terminal(scene_of, T, H):
    try:
        scene = scene_of(T, H)
    except ArgumentError as error:
        assert "for a figure" in str(error)
        return
    assert max(map(len, scene.text().split("\n"))) <= 100


@pytest.mark.parametrize(
    ("scene_of", "T", "H"),
    [
        (laws.jacobian_scene, 8, 4),
        (laws.jacobian_scene, 20, 1),
        (laws.receptive_field_scene, 32, 2),
    ],
)
def test_a_matrix_wider_than_a_terminal_is_refused(scene_of, T, H):
    with refused(ArgumentError, "for a figure columns is at most", "choose smaller sizes"):
        scene_of(T, H)


# How often, how deep ----------------------------------------------------------------------


@pytest.mark.parametrize(("T", "H"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 4), (8, 2), (10, 3)])
def test_receptive_fields(T, H):
    scene = laws.receptive_field_scene(T, H)
    depth = F.depth_to_mix(T, H) or 1
    assert [grid.title for grid in scene.panels] == [
        "After 1 layer",
        *(f"After {n} layers" for n in range(2, depth + 1)),
    ]
    sees = np.eye(T, dtype=bool)
    for grid in scene.panels:
        # a token sees what it saw, and what the tokens saw that its chunks come from
        sources = np.array(dealt(T, H)).reshape(T, H) // H
        sees = np.array([sees[s] | sees[sources[s]].any(axis=0) for s in range(T)])
        np.testing.assert_array_equal(numbers(grid), sees)
        counts = sees.sum(axis=1)
        low, high = counts.min(), counts.max()
        span = f"{low} to {high}" if low < high else f"{low}"
        assert grid.note == f"Of {T} token{'s' * (T > 1)} each sees {span}."
        assert grid.columns == tuple(map(str, range(T)))
    assert sees.all() == (H > 1 or T == 1)


# The square, and the residual -------------------------------------------------------------


@pytest.mark.parametrize(("T", "H"), [(4, 2), (3, 3), (2, 3), (5, 2), (1, 1)])
def test_why_square(T, H):
    paper, regrouped = laws.why_square_scene(T, H).panels
    names = [f"{'abcde'[t]}{h + 1}" for h in range(H) for t in range(T)]
    assert sum(labels(paper), []) == sum(labels(regrouped), []) == names
    assert [len(row) for row in labels(paper)] == [T] * H
    assert [len(row) for row in labels(regrouped)] == [H] * T
    assert sum(groups(paper), []) == sum(groups(regrouped), []) == [*range(T)] * H


@pytest.mark.parametrize(("T", "D", "H"), [(3, 6, 3), (2, 2, 2), (3, 4, 2), (2, 6, 3), (2, 12, 6)])
def test_the_null_space(T, D, H):
    A, mixed, one, other = laws.null_space_scene(T, D, H).panels
    np.testing.assert_array_equal(
        numbers(A).reshape(T * H, -1)[dealt(T, H)], numbers(mixed).reshape(T * H, -1)
    )
    np.testing.assert_array_equal(numbers(mixed), -numbers(A))
    assert np.abs(numbers(A)).max() > 0
    assert "even cycle" in A.note
    assert widths(A) == {(D // H,) * H}
    assert labels(one) == labels(other)
    assert np.abs(numbers(one)).max() > 0


def test_with_odd_cycles_nothing_is_lost():
    A, *_ = laws.null_space_scene(4, 6, 3).panels
    assert not numbers(A).any()
    assert "-0" not in sum(labels(A), [])
    assert A.note == "All cycles are odd: nothing but A = 0 is lost."


# There and back -----------------------------------------------------------------------------


@pytest.mark.parametrize(("T", "H"), [(4, 2), (3, 3), (2, 5), (1, 2), (4, 1)])
def test_every_chunk_is_followed_there_and_back(T, H):
    x, mixed, back, again = laws.revert_scene(T, H).panels
    names = [[f"{'abcd'[t]}{h + 1}" for h in range(H)] for t in range(T)]
    assert labels(x) == labels(back) == names
    assert labels(mixed) == [list(column) for column in zip(*names, strict=True)]
    assert groups(mixed) == [list(range(T))] * H
    twice = F.token_mix(F.token_mix(np.array([names]), H), H)[0].tolist()
    assert labels(again) == twice
    assert back.note == "This is x."
    assert again.note == ("This is x." if twice == names else "This is not x.")


@pytest.mark.parametrize(("T", "H"), [(64, 8), (8, 64), (1, 512), (512, 1), (20, 3)])
def test_there_and_back_fits_a_terminal(T, H):
    assert max(map(len, laws.revert_scene(T, H).text().split("\n"))) <= 100


# All of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", [*CHUNKS, laws.null_space_scene, laws.revert_scene])
def test_the_defaults_draw_in_every_format(scene):
    drawn = scene()
    svg = drawn.svg()
    for panel in drawn.panels:
        assert panel.title in drawn.text()
        assert panel.title.replace("->", "-&gt;") in svg
    assert scene in [figure.draw for figure in FIGURES.values()]


@pytest.mark.parametrize("scene", CHUNKS)
@pytest.mark.parametrize(("T", "H", "name"), [(0, 2, "num_tokens"), (2, -1, "num_heads")])
def test_counts_are_positive(scene, T, H, name):
    with refused(ArgumentError, name, "is a positive integer"):
        scene(T, H)


def test_sizes_that_no_mixer_has_are_refused():
    for sizes, name in (
        ((0, 6, 3), "num_tokens"),
        ((3, 0, 3), "hidden_dim"),
        ((3, 6, 0), "num_heads"),
    ):
        with refused(ArgumentError, f"{name} is a positive integer", "0"):
            laws.null_space_scene(*sizes)
    with refused(ShapeError, "hidden_dim must be divisible by num_heads", "6 and 4"):
        laws.null_space_scene(3, 6, 4)
