"""The figures of the laws show what arrays, made here by other means, say they must."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import functional as F
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import FIGURES, Scene
from numixology.explain.figures import laws

SIZES = [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2), (4, 4), (5, 2), (3, 8)]
sizes = pytest.mark.parametrize(("T", "H"), SIZES)
small = st.integers(1, 5)

CHUNKS = [
    laws.shuffle_scene,
    laws.jacobian_scene,
    laws.token_jacobian_scene,
    laws.cycles_scene,
    laws.receptive_field_scene,
]
FEATURES = [laws.why_square_scene, laws.null_space_scene, laws.pre_norm_scene]


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
    before, after, table = scene.panels
    want = np.array(dealt(T, H)).reshape(T, H)
    np.testing.assert_array_equal(numbers(before), np.arange(T * H).reshape(T, H))
    np.testing.assert_array_equal(numbers(after), want)
    np.testing.assert_array_equal(groups(after), want // H)
    N = T * H
    for i, (chunk, token, head, place) in enumerate(table.rows):
        assert (int(chunk), int(token), int(head)) == (i, i // H, i % H)
        assert place == (str(i * T % (N - 1)) if i < N - 1 else "stays")
    assert len(table.rows) == N
    assert table.note == (
        f"Chunk i goes to {T}i mod {N - 1}; the last stays." if N > 1 else "The only chunk."
    )
    lines = [f"  Token {t}: [{','.join(map(str, row))}]" for t, row in enumerate(want.tolist())]
    assert listed(scene, 1) == lines


@sizes
def test_the_jacobian_is_a_permutation_and_the_guides_the_identity(T, H):
    scene = laws.jacobian_scene(T, H)
    mixing, guide = scene.panels
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
    mixing, guide = laws.token_jacobian_scene(T, H).panels
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
    scene = laws.cycles_scene(2, 6)  # of order 10
    assert [row.name for row in scene.panels[1].rows] == [
        *(f"after {n}" for n in range(8)),
        "",
        "after 10",
    ]
    assert "order 10" in scene.title
    assert listed(scene, 1)[8].strip() == "..."


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
@pytest.mark.parametrize("scene_of", [*CHUNKS, laws.why_square_scene])
def test_no_line_is_wider_than_a_terminal(scene_of, T, H):
    sizes = (T, H, H) if scene_of is laws.why_square_scene else (T, H)
    try:
        scene = scene_of(*sizes)
    except ArgumentError as error:
        assert "for a figure" in str(error)
        return
    assert max(map(len, scene.text().split("\n"))) <= 100


@given(T=st.integers(1, 40), H=st.integers(1, 8))
def test_of_many_columns_the_first_and_the_last_are_shown_and_the_note_says_so(T, H):
    shown = [(laws.token_jacobian_scene(T, H).panels[0], T)]
    if T * H <= 64:
        shown.append((laws.jacobian_scene(T, H).panels[0], T * H))
    for grid, columns in shown:
        whole = F.token_mix(np.eye(T * H).reshape(T * H, T, H), H).reshape(T * H, T * H).T
        if columns == T:
            whole = whole.reshape(T, H, T, H).sum((1, 3))
        kept = [int(name) for name in grid.columns if name != "..."]
        assert [str(i) for i in kept] == [name for name in grid.columns if name != "..."]
        assert kept == [*range(len(kept) - 1), columns - 1]
        said = f"Of {columns} columns the first {len(kept) - 1} and the last are shown."
        assert grid.note == (said if len(kept) < columns else "")
        assert ("..." in grid.columns) == (len(kept) < columns)
        values = [[int(label) for label in row if label != "..."] for row in labels(grid)]
        np.testing.assert_array_equal(values, whole[:, kept])


def test_a_wide_receptive_field_says_both_what_is_seen_and_what_is_left_out():
    grid = laws.receptive_field_scene(32, 2).panels[-1]
    assert grid.note.startswith("Of 32 tokens each sees 32. Of 32 columns the first ")


# How often, how deep ----------------------------------------------------------------------


def test_the_tables_are_the_laws():
    orders, layers, kept, conditions = laws.orders_scene().panels
    counts = (2, 3, 4, 6, 8, 12, 16, 32)
    for table in (orders, layers, kept, conditions):
        assert table.header == ("T \\ H", *map(str, counts))
        assert tuple(int(row[0]) for row in table.rows) == counts
    for i, T in enumerate(counts):
        for j, H in enumerate(counts, start=1):
            assert int(orders.rows[i][j]) == F.mixing_order(T, H)
            assert int(layers.rows[i][j]) == math.ceil(math.log(T, H) - 1e-9)
            even = [cycle for cycle in F.chunk_cycles(T, H) if len(cycle) % 2 == 0]
            share = 100 * (1 - len(even) / (T * H))
            assert abs(int(kept.rows[i][j]) - share) <= 0.5
            assert (conditions.rows[i][j] == "inf") == bool(even)


@pytest.mark.parametrize(("T", "H"), [(2, 2), (2, 3), (6, 2), (8, 2), (3, 6)])
def test_the_share_that_is_kept_is_the_rank(T, H):
    kept = laws.orders_scene().panels[2]
    row = next(row for row in kept.rows if row[0] == str(T))
    percent = int(row[kept.header.index(str(H))])
    P = np.eye(T * H)[dealt(T, H)]
    rank = np.linalg.matrix_rank(np.eye(T * H) + P)
    assert percent == math.floor(100 * rank / (T * H) + 0.5)


@pytest.mark.parametrize(("T", "H"), [(3, 4), (4, 2), (12, 6)])
def test_the_condition_is_that_of_the_matrix(T, H):
    conditions = laws.orders_scene().panels[3]
    row = next(row for row in conditions.rows if row[0] == str(T))
    P = np.eye(T * H)[dealt(T, H)]
    measured = np.linalg.cond(np.eye(T * H) + P)
    assert row[conditions.header.index(str(H))] == f"{measured:.1f}"


@pytest.mark.parametrize(("T", "D"), [(1, 1), (2, 8), (4, 16), (5, 20), (3, 7), (9, 18)])
def test_every_number_of_heads_and_the_best_of_them(T, D):
    (table,) = laws.heads_scene(T, D).panels
    assert [int(row[0]) for row in table.rows] == [H for H in range(1, D + 1) if D % H == 0]
    marked, others = [], []
    for row in table.rows:
        H, d, layers, keeps, condition, said = row
        assert int(H) * int(d) == D
        assert layers == ("never" if H == "1" and T > 1 else str(F.depth_to_mix(T, int(H))))
        P = np.eye(T * int(H))[dealt(T, int(H))]
        singular = np.linalg.svd(np.eye(len(P)) + P, compute_uv=False)
        assert keeps == f"{math.floor(100 * np.mean(singular > 1e-9) + 0.5)}%"
        assert (condition == "inf") == (singular.min() < 1e-9)
        assert ("the paper's" in said) == (int(H) == T)
        assert ("H = T^2" in said) == (int(H) == T * T)
        if layers not in ("never", "0"):
            (marked if "best" in said else others).append((int(layers), float(condition), int(H)))
    if T > 1:
        assert len(marked) == 1
        assert marked[0] < min(others, default=(99,))


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


@pytest.mark.parametrize(("T", "D", "H"), [(4, 8, 2), (3, 6, 3), (2, 6, 3), (5, 4, 2), (1, 2, 1)])
def test_why_square(T, D, H):
    scene = laws.why_square_scene(T, D, H)
    paper, regrouped, table = scene.panels
    names = [f"{'abcde'[t]}{h + 1}" for h in range(H) for t in range(T)]
    assert sum(labels(paper), []) == sum(labels(regrouped), []) == names
    assert [len(row) for row in labels(paper)] == [T] * H
    assert [len(row) for row in labels(regrouped)] == [H] * T
    assert sum(groups(paper), []) == sum(groups(regrouped), []) == [*range(T)] * H
    assert regrouped.note == f"({T}, {D}), as x."
    divisors = [n for n in range(1, D + 1) if D % n == 0]
    assert [row[0] for row in table.rows] == [str(n) for n in divisors]
    for n, (_, shape, fits, sees, layers) in zip(divisors, table.rows, strict=True):
        assert shape == str((n, T * D // n))
        assert fits == ("yes" if n == T else "no")
        assert int(sees) == min(n, T)
        depth = F.depth_to_mix(T, n)
        assert layers == ("never" if depth is None else str(depth))


@pytest.mark.parametrize(("T", "D", "H"), [(3, 6, 3), (2, 2, 2), (3, 4, 2), (2, 6, 3), (2, 12, 6)])
def test_the_null_space(T, D, H):
    A, mixed, one, other, facts, singular = laws.null_space_scene(T, D, H).panels
    np.testing.assert_array_equal(
        numbers(A).reshape(T * H, -1)[dealt(T, H)], numbers(mixed).reshape(T * H, -1)
    )
    np.testing.assert_array_equal(numbers(mixed), -numbers(A))
    assert np.abs(numbers(A)).max() > 0
    assert "even cycle" in A.note
    assert widths(A) == {(D // H,) * H}
    assert labels(one) == labels(other)
    assert np.abs(numbers(one)).max() > 0
    values = dict(facts.rows)
    assert float(values["largest entry of A"]) == np.abs(numbers(A)).max()
    assert values["largest change of x + mix(x)"] == "0"
    assert values["largest change of TokenMixer(x)"] == "0"
    P = np.kron(np.eye(T * H)[dealt(T, H)], np.eye(D // H))
    s = np.linalg.svd(np.eye(T * D) + P, compute_uv=False)
    assert int(values["dimensions of x"]) == T * D
    assert int(values["dimensions of x + mix(x)"]) == (s > 1e-9).sum() < T * D
    found = np.repeat([float(v) for v, _ in singular.rows], [int(n) for _, n in singular.rows])
    np.testing.assert_allclose(found, np.sort(s), atol=6e-5)
    assert "-0.0000" not in dict(singular.rows)


def test_with_odd_cycles_nothing_is_lost():
    A, *_, facts, _ = laws.null_space_scene(4, 6, 3).panels
    assert not numbers(A).any()
    assert A.note == "All cycles are odd: nothing but A = 0 is lost."
    values = dict(facts.rows)
    assert values["dimensions of x"] == values["dimensions of x + mix(x)"] == "24"


def norm(x):
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)


def gelu(x):
    return x * np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))(x)


@pytest.mark.parametrize(("T", "D", "H"), [(3, 6, 3), (3, 4, 2), (2, 6, 3)])
def test_blocks_that_escape(T, D, H):
    table, *grids = laws.pre_norm_scene(T, D, H).panels
    names = ["norm(x + mix(x))", "x + mix(norm(x))", "mix and revert"]
    assert [row[0] for row in table.rows] == names
    assert [grid.title for grid in grids] == [f"Change of {name}" for name in names]
    A, _, sums, *_ = laws.null_space_scene(T, D, H).panels
    A = numbers(A)

    def mix(x):
        return x.reshape(T * H, -1)[dealt(T, H)].reshape(T, D)

    def revert(x):
        return x.reshape(T * H, -1)[np.argsort(dealt(T, H))].reshape(T, D)

    def mix_and_revert(x):
        return x + gelu(norm(revert(mix(x) + gelu(norm(mix(x))))))

    x = np.random.default_rng(0).integers(-9, 10, (T, D)).astype(float)
    np.testing.assert_array_equal(x + mix(x), numbers(sums))
    for grid, fn in zip(grids[1:], (lambda x: x + mix(norm(x)), mix_and_revert), strict=True):
        np.testing.assert_allclose(numbers(grid), fn(x + A) - fn(x), atol=0.0051)
        assert np.abs(numbers(grid)).max() > 1
        assert "-0.00" not in sum(labels(grid), [])
    assert set(sum(labels(grids[0]), [])) == {"0.00"}
    P = np.kron(np.eye(T * H)[dealt(T, H)], np.eye(D // H))
    rank = np.linalg.matrix_rank(np.eye(T * D) + P)
    assert [row[2] for row in table.rows] == [f"{n} of {T * D}" for n in (rank, T * D, T * D)]
    for row, grid in zip(table.rows, grids, strict=True):
        assert float(row[1]) == np.abs(numbers(grid)).max()


# All of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", [*CHUNKS, *FEATURES, laws.orders_scene])
def test_the_defaults_draw_in_every_format(scene):
    drawn = scene()
    assert Scene.from_json(drawn.json()) == drawn
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


@pytest.mark.parametrize("scene", FEATURES)
def test_sizes_that_no_mixer_has_are_refused(scene):
    with refused(ArgumentError, "num_tokens is a positive integer", "0"):
        scene(0, 6, 3)
    with refused(ArgumentError, "hidden_dim is a positive integer", "0"):
        scene(3, 0, 3)
    with refused(ArgumentError, "num_heads is a positive integer", "0"):
        scene(3, 6, 0)
    with refused(ShapeError, "hidden_dim must be divisible by num_heads", "6 and 4"):
        scene(3, 6, 4)
