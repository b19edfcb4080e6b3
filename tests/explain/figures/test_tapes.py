"""The figures of the tape show the nodes that were recorded and the numbers that really flow."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import complex_step, refused

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, ShapeError, TapeError
from numixology.explain import (
    FIGURES,
    Box,
    Graph,
    Scene,
    backward_scene,
    draw,
    tape_scene,
)

NAMES = ("tape", "tape-backward", "order", "second-derivative")


def leaf(data) -> nx.Tensor:
    return nx.tensor(data, requires_grad=True)


def boxes(scene):
    return {box.key: box for box in scene.panels[0].boxes}


def rows(panel):
    return {row[0]: row[1:] for row in panel.rows}


def terms(box):
    """What the arrows to a box are labeled with, as factors."""
    return [tuple(map(float, label.split(" * "))) for label in box.labels]


@st.composite
def programs(draw):
    """Steps of a calculation: each an operation and the places of its two inputs so far."""
    steps = draw(st.integers(1, 6))
    return [
        (draw(st.sampled_from("+-*c")), draw(st.integers(0, i + 1)), draw(st.integers(0, i + 1)))
        for i in range(steps)
    ]


def run(program, x, y):
    """All values of a calculation, of numbers, arrays or tensors."""
    values = [x, y]
    for kind, i, j in program:
        a, b = values[i], values[j]
        values.append({"+": a + b, "-": a - b, "*": a * b, "c": a + 3}[kind])
    return values


# The tape


def test_the_default_tape_is_the_calculation_it_names() -> None:
    scene = draw("tape")
    x, w = 2, 3
    s = x * w
    expected = {"x": x, "w": w, "s": s, "t": s + 1, "y": s * (s + 1)}
    found = boxes(scene)
    assert {key: found[key].name for key in expected} == {
        key: f"{key} = {value}" for key, value in expected.items()
    }
    assert [found[key].shape for key in expected] == [
        *("leaf", "leaf", "multiply", "add", "multiply")
    ]
    assert found["y"].reads == ("s", "t")


@given(programs())
def test_boxes_are_the_nodes_their_depths_and_their_inputs(program) -> None:
    values = run(program, leaf(2.0), leaf(3.0))
    names = {f"v{i}": value for i, value in enumerate(values)}
    output = values[-1]
    below = {id(output): output}
    for value in reversed(values):
        if id(value) in below:
            below |= {id(one): one for one in value.inputs if isinstance(one, nx.Tensor)}
    kept = {name: value for name, value in names.items() if id(value) in below}
    scene = tape_scene(output, **kept)
    found = boxes(scene)
    assert {key for key in found if " " not in key} == set(kept)
    for name, value in kept.items():
        box = found[name]
        assert box.name == f"{name} = {value.item():g}"
        assert box.place[0] == value.depth
        of_nodes = [key for key in box.reads if " " not in key]
        inputs = [one for one in value.inputs if isinstance(one, nx.Tensor)]
        assert [id(kept[key]) for key in of_nodes] == [id(one) for one in inputs]
        constants = [found[key] for key in box.reads if " " in key]
        assert [(box.name, box.shape) for box in constants] == [("3", "constant")] * len(constants)
    text = scene.text()
    for box in found.values():
        assert re.search(rf"^  {re.escape(box.name)} +{re.escape(box.shape)}\b", text, re.MULTILINE)


@given(programs())
def test_no_arrow_passes_another_box(program) -> None:
    output = run(program, leaf(2.0), leaf(3.0))[-1]
    found = boxes(tape_scene(output))
    places = [box.place for box in found.values()]
    assert len(set(places)) == len(places)
    for box in found.values():
        for key in box.reads:
            (row, column), last = found[key].place, box.place[0]
            assert row < last
            between = {(r, column) for r in range(row + 1, last)}
            assert not between & set(places)


def test_unnamed_leaves_are_called_by_letters_that_are_free() -> None:
    leaves = [leaf([float(i)]) for i in range(8)]
    found = boxes(tape_scene(F.concatenate(leaves), y=leaves[0]))
    assert list(found) == ["y", "x", "z", "u", "v", "w", "x1", "x2", "%1"]
    assert [found["%1"].name, found["%1"].shape] == ["%1 (8,)", "concatenate(axis=0)"]


def test_unnamed_steps_skip_numbers_that_are_taken() -> None:
    x = leaf(2.0)
    a = x * x
    assert list(boxes(tape_scene(a + a, **{"%1": a}))) == ["x", "%1", "%2"]
    assert "%2" in boxes(tape_scene(a + x, **{"%1": x}))


def test_constants_say_what_they_are() -> None:
    x, row = leaf([[1.0, 2.0]]), nx.tensor([0.5, 4.0])
    big = np.ones((7, 2))
    scene = tape_scene(F.softmax((x * row + big) ** 2, axis=0)[1:3], row=row)
    found = [(box.name, box.shape) for box in boxes(scene).values()]
    assert ("row", "constant") in found
    assert ("(7, 2)", "constant") in found
    assert ("2", "constant") in found
    assert "softmax(axis=0)" in [box.shape for box in boxes(scene).values()]
    unnamed = tape_scene(x * nx.tensor([0.5, 4.0]))
    assert ("[0.5, 4]", "constant") in [(box.name, box.shape) for box in boxes(unnamed).values()]
    nothing = tape_scene(F.linear(x, np.eye(2)))
    assert ("None", "constant") in [(box.name, box.shape) for box in boxes(nothing).values()]


@pytest.mark.parametrize(("size", "shown"), [(6, "y = [1, 1, 1, 1, 1, 1]"), (7, "y (7,)")])
def test_up_to_six_numbers_are_written_out(size, shown) -> None:
    x = leaf(np.ones(size))
    y = 1 * x
    assert boxes(tape_scene(y, y=y))["y"].name == shown


def test_numbers_are_written_to_six_digits_and_choices_as_words() -> None:
    x = leaf([1 / 3, 2.0])
    y = np.where(np.array([True, False]), x, 0.0)
    assert "[True, False]" in [box.name for box in boxes(tape_scene(y)).values()]
    assert boxes(tape_scene(y))["x"].name == "x = [0.333333, 2]"


def test_options_at_their_defaults_are_left_out() -> None:
    @nx.primitive
    def scale(x, *, by=2.0, times=1):
        return x * by**times

    x = leaf(3.0)
    assert boxes(tape_scene(scale(x)))["%1"].shape == "scale"
    assert boxes(tape_scene(scale(x, by=2.0, times=2)))["%1"].shape == "scale(times=2)"
    many = F.sum(x * np.ones((2, 2)), axis=(0, 1), keepdims=True)
    assert boxes(tape_scene(many))["%2"].shape == "sum(axis=(0, 1), keepdims=True)"


def test_a_leaf_is_a_tape_of_one_node() -> None:
    x = leaf(2.0)
    assert tape_scene(x).title == "The tape of x: 1 node"
    assert boxes(backward_scene(x))["x"].shape == "gradient 1"


def test_what_cannot_be_drawn_is_refused() -> None:
    x = leaf(2.0)
    with refused(TapeError, "requires_grad=True"):
        tape_scene(nx.tensor(2.0) * 3)
    y = x * x
    with refused(ArgumentError, "other"):
        tape_scene(y, other=leaf(1.0))
    with refused(ShapeError, "single number"):
        backward_scene(leaf([1.0, 2.0]) * 2)
    y.backward()
    with refused(TapeError, "multiply", "retain_graph"):
        tape_scene(y)


def test_drawing_changes_nothing() -> None:
    x = leaf(2.0)
    y = x * x
    for scene in (tape_scene, backward_scene):
        with nx.no_grad():
            scene(y)
    assert x.grad is None
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 4.0


# Backwards


@given(programs())
def test_labels_add_up_to_gradients_and_gradients_are_the_derivatives(program) -> None:
    x, y = leaf(2.0), leaf(3.0)
    output = run(program, x, y)[-1]
    found = boxes(backward_scene(output))
    first, *others = found.values()
    assert first.shape == "gradient 1"
    gradient = {key: float(box.shape.removeprefix("gradient ")) for key, box in found.items()}
    for box in others:
        assert sum(a * b for a, b in terms(box)) == gradient[box.key]
        for key, (sent, _) in zip(box.reads, terms(box), strict=True):
            assert sent == gradient[key]

    def plain(x, y):
        return run(program, x, y)[-1]

    slopes = complex_step(plain, [np.array(2.0), np.array(3.0)], 1.0)
    named = boxes(tape_scene(output))
    for leaf_value, slope in ((2, slopes[0]), (3, slopes[1])):
        keys = [key for key, box in named.items() if box.name == f"{key} = {leaf_value}"]
        keys = [key for key in keys if named[key].shape == "leaf"]
        if keys:
            assert gradient[keys[0]] == pytest.approx(float(slope), rel=1e-12, abs=1e-12)
        else:
            assert slope == 0.0


@given(programs())
def test_a_visit_comes_after_all_that_it_hears_from(program) -> None:
    output = run(program, leaf(2.0), leaf(3.0))[-1]
    seen = set()
    for box in backward_scene(output).panels[0].boxes:
        assert set(box.reads) <= seen
        seen.add(box.key)
    # The boxes and arrows are those of the tape, the arrows turned round.
    forwards, backwards = boxes(tape_scene(output)), boxes(backward_scene(output))
    edges = sorted((key, box.key) for box in forwards.values() for key in box.reads)
    turned = sorted((box.key, key) for box in backwards.values() for key in box.reads)
    assert turned == [edge for edge in edges if " " not in edge[0]]
    assert all((box.name, box.place) == forwards[key][1::4] for key, box in backwards.items())


def test_a_broadcast_part_is_summed_before_it_arrives() -> None:
    matrix, row = leaf(np.ones((3, 2))), leaf([10.0, 20.0])
    ct = np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    box = boxes(backward_scene(matrix + row, ct, row=row))["row"]
    assert (box.shape, box.labels) == ("gradient [111, 222]", ("[111, 222]",))


def test_rules_with_by_products_and_variadic_rules_are_run() -> None:
    x = leaf([1.0, 2.0, 4.0])
    y = F.softmax(x)
    found = boxes(backward_scene(F.stack([y, x]), np.eye(2, 3), x=x, y=y))
    p = np.exp(x.numpy()) / np.exp(x.numpy()).sum()
    expected = p * (np.array([1.0, 0.0, 0.0]) - p[0]) + np.array([0.0, 1.0, 0.0])
    words = found["x"].shape.removeprefix("gradient [").rstrip("]")
    total = [float(part) for part in words.split(", ")]
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    assert found["y"].shape == "gradient [1, 0, 0]"


# The order


def test_the_diamond_goes_wrong_by_what_came_too_late() -> None:
    wrong, right = draw("order").panels[1:]
    x = 2.0
    truth = 4 * x**3 + 3 * x**2
    late = x * x  # what b hands to a: y = b * a
    assert wrong.note == f"Too late for a: {late:g}. x ends with {truth - late * 2 * x:g}."
    assert right.note == f"x ends with {truth:g}."
    assert [row[0] for row in wrong.rows] == ["y", "a", "x", "b"]
    assert [row[0] for row in right.rows] == ["y", "b", "a", "x"]
    assert wrong.rows[1] == ("a", "6", "6 * 2 to x, 6 * 2 to x")
    assert right.rows[2] == ("a", "10", "10 * 2 to x, 10 * 2 to x")


# The gradient of a gradient


def test_the_tape_of_a_gradient_has_both_derivatives() -> None:
    graph, visits = draw("second-derivative").panels
    assert graph.boxes[-1].name == f"slope = {3 * 5**2}"
    assert visits.rows[-1] == ("x", f"{6 * 5}", "")
    assert graph.note.startswith("The forward recorded x and %1;")
    assert graph.boxes[1].name == "%1 = 25"


# Drawn


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_listed_and_drawn_in_three_ways(name) -> None:
    assert FIGURES[name].options == []
    scene = draw(name)
    svg = ElementTree.fromstring(scene.svg())
    words = {text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    for box in scene.panels[0].boxes:
        assert {box.name, box.shape} <= words
    for panel in scene.panels[1:]:
        for row in panel.rows:
            assert {cell for cell in row if cell} <= words
            assert all(cell in scene.text() for cell in row)
    assert {label for box in scene.panels[0].boxes for label in box.labels} <= words


def arrows(scene):
    svg = ElementTree.fromstring(scene.panel_svgs("p")[0])
    paths = [path.get("d", "") for path in svg.iter("{http://www.w3.org/2000/svg}path")]
    return [[tuple(map(float, xy.split())) for xy in path[1:].split(" L")] for path in paths]


def test_a_value_that_is_read_twice_has_two_arrows_side_by_side() -> None:
    x = leaf(3.0)
    first, second = arrows(tape_scene(x * x))
    assert [y for _, y in first] == [y for _, y in second]
    assert [x for x, _ in second] == pytest.approx([x + 16 for x, _ in first], abs=0.11)


def test_arrows_go_down_the_tape_and_up_with_the_gradients() -> None:
    assert all(path[0][1] < path[-1][1] for path in arrows(draw("tape")))
    assert all(path[0][1] > path[-1][1] for path in arrows(draw("tape-backward")))


def test_where_more_columns_are_crossed_the_rows_are_farther_apart() -> None:
    few, many = ([leaf(1.0) for _ in range(n)] for n in (2, 5))
    (low, high) = (
        max(y for path in arrows(tape_scene(F.stack(leaves))) for _, y in path)
        for leaves in (few, many)
    )
    assert high > low


@pytest.mark.parametrize(("column", "bends"), [(0, True), (1, False)])
def test_an_arrow_goes_round_what_stands_in_its_way(column, bends) -> None:
    between = Box("b", "b", place=(1, column))
    graph = Graph("G", (Box("a", "a"), between, Box("c", "c", reads=("a",), place=(2, 0))))
    (path,) = arrows(Scene("S", "A skip.", (graph,)))
    assert (len({x for x, _ in path}) > 1) is bends


def test_boxes_of_a_row_are_joined_sideways() -> None:
    graph = Graph("G", (Box("a", "a"), Box("b", "b", reads=("a",), place=(0, 1))))
    ((start, end),) = arrows(Scene("S", "A row.", (graph,)))
    assert start[1] == end[1]
    assert start[0] < end[0]
