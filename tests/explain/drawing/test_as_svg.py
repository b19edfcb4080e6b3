"""Panels as SVG: readable by people who see it, by people who do not, and by a test."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panels import CHART, CURVES, GRAPH, GRID, PANELS, SVG

from numixology.explain import (
    Bar,
    Bars,
    Box,
    Cell,
    Chart,
    Graph,
    Grid,
    Row,
    Scene,
    Series,
    panel_text,
)
from numixology.explain.drawing.as_svg import SHAPES, variables


def parsed(panel, prefix="p"):
    (text,) = Scene("T", "", (panel,)).panel_svgs(prefix)
    return ElementTree.fromstring(text)


def texts(svg, kind=None):
    return [e.text for e in svg.iter(f"{SVG}text") if kind in (None, e.get("class"))]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_each_panel_is_an_image_with_title_and_description(panel) -> None:
    svg = parsed(panel, "here")
    assert svg.get("role") == "img"
    title, desc = svg[0], svg[1]
    assert (title.tag, title.text) == (f"{SVG}title", panel.title)
    assert (desc.tag, desc.text) == (f"{SVG}desc", panel_text(panel))
    ids = [e.get("id") for e in svg.iter() if e.get("id")]
    assert ids == ["here-0-title", "here-0-desc"]
    assert [svg.get("aria-labelledby"), svg.get("aria-describedby")] == ids
    assert svg.get("viewBox") == f"0 0 {svg.get('width')} {svg.get('height')}"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_all_lies_within_the_picture(panel) -> None:
    svg = parsed(panel)
    wide, high = float(svg.get("width")), float(svg.get("height"))
    (group,) = svg.findall(f"{SVG}g")
    dx, dy = map(float, re.findall(r"[\d.]+", group.get("transform")))
    seen = 0
    for elements, x0, y0 in ((list(svg), 0, 0), (group.iter(), dx, dy)):
        for e in elements:
            for x, y in corners(e):
                assert 0 <= x + x0 <= wide, (panel.title, e.attrib, e.text)
                assert 0 <= y + y0 <= high, (panel.title, e.attrib, e.text)
                seen += 1
    assert seen > 3


def corners(e):
    """The outermost points of an element, with a wide guess at the size of text."""
    number = lambda name: float(e.get(name, "0"))  # noqa: E731
    match e.tag.removeprefix(SVG):
        case "text":
            wide = 7.22 * len(e.text)  # 12 px monospace, whose characters are 0.602 em wide
            left = number("x") - (wide / 2 if e.get("text-anchor") == "middle" else 0)
            return [(left, number("y") - 9), (left + wide, number("y") + 3)]
        case "rect":
            x, y = number("x"), number("y")
            return [(x, y), (x + number("width"), y + number("height"))]
        case "circle":
            x, y, r = number("cx"), number("cy"), number("r")
            return [(x - r, y - r), (x + r, y + r)]
        case "path" | "polygon":
            found = re.findall(r"(-?[\d.]+)[ ,](-?[\d.]+)", e.get("d") or e.get("points"))
            return [(float(x), float(y)) for x, y in found]
    return []


def test_labels_fit_into_their_cells() -> None:
    for label in ("a", "a1+b2", "-1.43", "a rather long label"):
        row = Row("r", ((Cell(label), Cell("b")),))
        svg = parsed(Grid("G", (row,)))
        widths = {float(rect.get("width")) for rect in svg.iter(f"{SVG}rect")}
        assert min(widths) >= 7.22 * len(label) + 4
        assert len(widths) == 1


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4)),
    form=st.sampled_from(["nested", "flat", "matrix"]),
)
def test_cells_are_the_array_in_order_each_with_its_tint(shape, form) -> None:
    values = np.random.default_rng(shape).integers(-99, 100, shape)
    rows = tuple(
        Row(f"r{i}", tuple(tuple(Cell(str(v), int(v) % 11) for v in chunk) for chunk in row))
        for i, row in enumerate(values)
    )
    svg = parsed(Grid("G", rows, form))
    assert texts(svg, "nx-value") == [str(v) for v in values.ravel()]
    tints = [rect.get("class").split()[-1] for rect in svg.iter(f"{SVG}rect")]
    assert tints == [f"nx-group-{int(v) % 11 % 8}" for v in values.ravel()]
    assert [t for t in texts(svg, "nx-faint") if t.startswith("r")] == [row.name for row in rows]


def test_what_stands_for_cells_left_out_is_no_cell() -> None:
    svg = parsed(Grid("G", (Row("r", ((Cell("a1", 0), Cell("..."), Cell("a9", 0)),)),)))
    assert texts(svg, "nx-value") == ["a1", "a9"]
    assert len(list(svg.iter(f"{SVG}rect"))) == 2
    places = [e.get("x") for e in svg.iter(f"{SVG}text") if e.text in ("a1", "...", "a9")]
    assert len(set(places)) == 3


def test_wide_characters_have_room() -> None:
    narrow, wide = (
        parsed(Grid("G", (Row("r", ((Cell(label),),)),))) for label in ("cell", "\u6f22\u5b57")
    )
    widths = [float(next(svg.iter(f"{SVG}rect")).get("width")) for svg in (narrow, wide)]
    assert widths[0] == widths[1]


def test_curves_differ_in_more_than_color() -> None:
    svg = parsed(CHART)
    curves = [e for e in svg.iter(f"{SVG}path") if is_a(e, "nx-curve")]
    assert len(curves) == 2 * len(CURVES)  # on the plane and beside its name
    marks = [e.get("points") or "circle" for e in svg.iter() if is_a(e, "nx-mark")]
    assert len(marks) == len(CURVES) * 4
    dashes = [e.get("stroke-dasharray") for e in curves[::2]]
    assert len(set(dashes[:4])) == 4
    assert all(curve.name in texts(svg) for curve in CURVES)
    series = [[one for one in e.get("class").split() if "series" in one] for e in curves[::2]]
    assert series[:4] == [["nx-series-0"], ["nx-series-1"], ["nx-series-2"], ["nx-series-3"]]
    assert {f".nx-series-{i} " in SHAPES for i in (1, 2, 3)} == {True}


def is_a(e, kind):
    return kind in (e.get("class") or "").split()


def test_points_lie_where_their_values_say() -> None:
    svg = parsed(
        Chart("C", "x", (1.0, 10.0, 100.0), "y", (Series("s", (0.0, 5.0, 10.0)),), log_x=True)
    )
    circles = [(float(e.get("cx")), float(e.get("cy"))) for e in svg.iter(f"{SVG}circle")][:3]
    (x0, y0), (x1, y1), (x2, y2) = circles
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2
    assert texts(svg, "nx-faint")[1:6] == ["0", "5", "10", "1", "10"]


def long_chart(x, **scale):
    curves = (Series("s", tuple(abs(n) + 1 for n in x)), Series("t", (1.0,) * len(x)))
    return Chart("C", "x", tuple(x), "y", curves, **scale)


@pytest.mark.parametrize(
    ("x", "scale", "named"),
    [
        (np.linspace(-3, 4, 40), {}, ["-2", "0", "2", "4"]),
        (np.logspace(0, 4, 40), {"log_x": True}, ["1", "10", "100", "1,000", "10,000"]),
        (np.linspace(-40, 800, 60), {"symlog_x": True}, ["-10", "-1", "0", "1", "10", "100"]),
        (np.linspace(2, 9, 17), {"log_x": True}, ["2", "3.75", "5.5", "7.25", "9"]),
        (np.linspace(-0.5, 0.5, 17), {"symlog_x": True}, ["-0.5", "-0.125", "0.25"]),
        ((-20.0, -0.5, 0.0, 3.0), {"symlog_x": True}, ["-20", "-0.5", "0", "3"]),
        (
            np.linspace(-1e4, 1e6, 40),
            {"symlog_x": True},
            ["-10,000", "-10", "0", "1", "10", "1,000"],
        ),
        (np.linspace(1e6, 9e6, 17), {}, ["1,000,000", "4,000,000", "7,000,000"]),
    ],
)
def test_of_many_points_round_numbers_are_named_and_some_are_marked(x, scale, named) -> None:
    chart = long_chart(np.asarray(x).tolist(), **scale)
    svg = parsed(chart)
    faint = [e for e in svg.iter(f"{SVG}text") if e.get("class") == "nx-faint"]
    height = max(float(e.get("y")) for e in faint) - 16  # just above the name of the axis
    below = [e for e in faint if float(e.get("y")) == height]
    assert [e.text for e in below] == named
    ends = [corners(e) for e in below]
    assert all(one[1][0] < other[0][0] for one, other in pairwise(ends))
    curve = next(e for e in svg.iter(f"{SVG}path") if is_a(e, "nx-curve"))
    assert len(corners(curve)) == len(x)
    marks = list(svg.iter(f"{SVG}circle"))
    assert len(marks) - 1 <= 16  # one is beside the name
    assert len(marks) - 1 == len(x) or len(x) > 16


def test_a_symmetric_scale_is_linear_to_one_and_logarithmic_beyond() -> None:
    x = (-100.0, -10.0, -1.0, -0.5, 0.0, 0.5, 1.0, 10.0, 100.0)
    svg = parsed(long_chart(x, symlog_x=True))
    across = [float(e.get("cx")) for e in svg.iter(f"{SVG}circle")][: len(x)]
    steps = np.diff(across) / (across[-1] - across[0]) * 6
    np.testing.assert_allclose(steps, [1, 1, 0.5, 0.5, 0.5, 0.5, 1, 1], atol=0.01)


def test_bars_are_as_long_as_their_values() -> None:
    svg = parsed(Bars("B", (Bar("a", 1.0, "1"), Bar("b", 4.0, "4"))))
    short, long = (float(e.get("width")) for e in svg.iter(f"{SVG}rect"))
    assert long == pytest.approx(4 * short)


def test_bars_of_several_panels_may_have_one_scale() -> None:
    short = Bars("B", (Bar("a", 2.0, "2"), Bar("b", 1.0, "1")), full=8.0)
    (alone, _), (half, _) = (
        [float(e.get("width")) for e in parsed(panel).iter(f"{SVG}rect")]
        for panel in (short._replace(full=0.0), short)
    )
    assert half == alone / 4
    assert [line.count("#") for line in panel_text(short).splitlines()] == [0, 10, 5]


def test_a_cell_of_two_values_has_both_tints() -> None:
    svg = parsed(Grid("G", (Row("r", ((Cell("a+b", 0, 1), Cell("c", 2)),)),)))
    rects = list(svg.iter(f"{SVG}rect"))
    assert [rect.get("class") for rect in rects] == [
        "nx-cell nx-group-0", "nx-half nx-group-1", "nx-cell nx-group-2"
    ]  # fmt: skip
    whole, half, _ = ([float(e.get(name)) for name in ("x", "width")] for e in rects)
    assert half == pytest.approx([whole[0] + whole[1] / 2, whole[1] / 2 - 0.5], abs=0.1)


def test_labels_of_arrows_have_room_beside_each_other() -> None:
    ends = [Box(key, key, place=(1, i)) for i, key in enumerate("bcd")]
    words = ("-12.5 * 0.1", "3 * 4", "1000 * -1e-05")
    svg = parsed(Graph("G", (*ends, Box("a", "a", reads=tuple("bcd"), labels=words))))
    found = sorted((float(e.get("x")), e.text) for e in svg.iter(f"{SVG}text") if e.text in words)
    assert [word for _, word in found] == [*words]
    for (x, word), (after, _) in pairwise(found):
        assert x + 7.3 * len(word) <= after
    assert found[-1][0] + 7.3 * len(words[-1]) <= float(svg.get("width"))


def test_arrows_end_at_the_box_that_reads() -> None:
    boxes = (Box("a", "a"), Box("b", "b", reads=("a",), place=(1, 0)))
    svg = parsed(Graph("G", boxes))
    rects = list(svg.iter(f"{SVG}rect"))
    (head,) = svg.iter(f"{SVG}polygon")
    tip_y = float(head.get("points").split()[0].split(",")[1])
    assert tip_y == float(rects[1].get("y"))


def test_boxes_that_share_a_row_are_named_beside_it() -> None:
    assert {"gate: one", "up: other", "times: both"} <= set(texts(parsed(GRAPH)))


def test_a_remark_stands_beside_the_last_box_or_arrow_of_its_row() -> None:
    boxes = (
        Box("a", "a", remark="far"),
        Box("b", "b", reads=("a",), place=(0, 1)),
        Box("c", "c", reads=("a",), place=(1, 0), remark="clear of the arrow"),
        Box("d", "d", reads=("c", "b"), place=(2, 0), remark="near"),
    )
    svg = parsed(Graph("G", boxes))
    places = {e.text: float(e.get("x")) for e in svg.iter(f"{SVG}text") if is_a(e, "nx-faint")}
    a, b, c, d = (float(e.get("x")) + float(e.get("width")) for e in svg.iter(f"{SVG}rect"))
    assert places["a: far"] == places["clear of the arrow"] == pytest.approx(b + 12, abs=0.1)
    assert places["near"] == pytest.approx(d + 12, abs=0.1)
    assert a == c == d < b


def test_long_words_are_broken_but_no_shape() -> None:
    title = "Step 1: Head partitioning  (2, 4, 8) -> (2, 4, 4, 2), contiguous"
    svg = parsed(Grid(title, GRID.rows))
    lines = texts(svg, "nx-title")
    assert len(lines) > 1
    assert " ".join(lines).split() == title.split()
    assert all(line.count("(") == line.count(")") for line in lines)
    sizes = texts(parsed(Grid("Block, B = 1, T = 512, D = 768, H = 12, F = 3,072", GRID.rows)))
    assert {"Block, B = 1, T = 512, D = 768, H = 12,", "F = 3,072"} <= set(sizes)
    assert float(svg.get("width")) < 360


def test_a_picture_that_stands_alone() -> None:
    scene = Scene("All <kinds>", "Every kind of panel.", PANELS)
    svg = ElementTree.fromstring(scene.svg())
    assert [e.text for e in (svg[0], svg[1])] == [scene.title, scene.description]
    assert svg.get("role") == "group"  # what is in an image, a screen reader cannot enter
    inner = svg.findall(f"{SVG}svg")
    assert [e[0].text for e in inner] == [panel.title for panel in PANELS]
    bottoms = [float(e.get("y")) + float(e.get("height")) for e in inner]
    assert bottoms == sorted(bottoms)
    assert bottoms[-1] <= float(svg.get("height"))
    assert max(float(e.get("width")) for e in inner) <= float(svg.get("width"))
    ids = [e.get("id") for e in svg.iter() if e.get("id")]
    assert len(ids) == len(set(ids)) == 2 * len(PANELS) + 2
    assert "prefers-color-scheme: dark" in svg.find(f"{SVG}style").text
    assert "http" not in scene.svg().replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_in_one_theme_has_its_colors_written_out(theme) -> None:
    scene = Scene("All", "Every kind of panel.", PANELS)
    both, one = scene.svg(), scene.svg(theme)
    colors = palettes()[("light", "dark").index(theme)]
    assert "--nx" not in one
    assert f".nx-cell {{ stroke: {colors['line']}; fill: {colors['paper']}; }}" in one
    assert f".nx-group-7 {{ fill: {colors['tint-7']}; }}" in one
    assert one.partition("</style>")[2] == both.partition("</style>")[2].replace(
        "var(--nx-paper)", colors["paper"]
    )


def test_the_title_of_a_picture_alone() -> None:
    svg = ElementTree.fromstring(Scene("Nothing", "None.", ()).svg())
    assert texts(svg) == ["Nothing"]


# Colors ----------------------------------------------------------------------------------


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palettes():
    themes = map(variables, ("light", "dark"))
    return [dict(re.findall(r"--nx-([\w-]+): (#\w+);", theme)) for theme in themes]


def test_text_has_the_contrast_that_accessibility_asks_for() -> None:
    light, dark = palettes()
    assert set(light) == set(dark)
    assert light != dark
    for colors in (light, dark):
        for name, color in colors.items():
            if name == "paper" or name.startswith("tint"):
                assert contrast(colors["ink"], color) > 7
        assert contrast(colors["faint"], colors["paper"]) > 4.5
        assert contrast(colors["accent"], colors["paper"]) > 3
        assert contrast(colors["line"], colors["paper"]) > 3
        assert all(contrast(colors[f"curve-{i}"], colors["paper"]) > 3 for i in (1, 2, 3))


def test_every_color_of_the_shapes_has_a_value() -> None:
    used = set(re.findall(r"var\(--nx-([\w-]+)\)", SHAPES))
    assert used <= set(palettes()[0])
