"""The figure of the errors, drawn small; skipped where matplotlib is not installed."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the figure needs the extra 'plots'")

from accuracy.error_figure import OURS, RANGES, draw, edges
from accuracy.ulp_table import ROWS

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def svg():
    return draw(bins=8, each=2)


def test_every_function_has_two_panels_and_a_line_in_each(svg):
    root = ElementTree.fromstring(svg)
    groups = [group.get("id", "") for group in root.iter(f"{SVG}g")]
    assert sum(group.startswith("axes_") for group in groups) == 2 * len(ROWS)
    lines = [path for path in root.iter(f"{SVG}path") if OURS in path.get("style", "")]
    assert len(lines) == 2 * len(ROWS) + 1  # and one in the legend
    assert all("nan" not in path.get("d", "") for path in root.iter(f"{SVG}path"))
    texts = {text.text for text in root.iter(f"{SVG}text")}
    titles = {f"{row.name}, {part}" for row in ROWS for part in ("value", "slope")}
    assert titles | {"numixology", "target", "error in ulp"} <= texts


def test_the_same_numbers_give_the_same_file(svg):
    assert draw(bins=8, each=2) == svg


def test_the_bins_span_the_range():
    assert RANGES.keys() == {row.name for row in ROWS}
    bounds = edges(100, 12)
    np.testing.assert_allclose(
        bounds, [*-np.logspace(2, 0, 5), -0.5, 0, 0.5, *np.logspace(0, 2, 5)]
    )
