"""The figure of the errors, measured with few points, and the one that the page draws."""

from pathlib import Path

import numpy as np
import pytest
from accuracy.error_figure import HIGHEST, LOWEST, PARTS, RANGES, edges, measured
from accuracy.ulp_table import ROWS
from scene_files import scene_from_json

from numixology.explain import Chart, Scene

DRAWN = Path(__file__).resolve().parents[2] / "docs" / "accuracy_errors.json"
TITLES = [f"{row.name}, {part}" for row in ROWS for part in PARTS]


@pytest.fixture(scope="module")
def small() -> Scene:
    return measured(bins=8, each=2)


@pytest.fixture(scope="module")
def drawn() -> Scene:
    return scene_from_json(DRAWN.read_text("utf-8"))


def curves(chart: Chart) -> dict[str, np.ndarray]:
    return {series.name: np.array(series.values) for series in chart.series}


@pytest.mark.parametrize("which", ["small", "drawn"])
def test_every_function_has_two_panels_and_no_error_of_ours_is_above_the_target(which, request):
    scene = request.getfixturevalue(which)
    assert [panel.title for panel in scene.panels] == TITLES
    limits = [limit for row in ROWS for limit in (row.value_limit, row.slope_limit)]
    for panel, limit in zip(scene.panels, limits, strict=True):
        found = curves(panel)
        assert set(found["target"]) == {limit}
        assert (found["numixology"] <= found["target"]).all()
        assert all(((one >= LOWEST) & (one <= HIGHEST)).all() for one in found.values())


def test_the_page_says_where_others_rise(drawn):
    """Far above: more than three times the target. On the page stand the tails and the zeros."""

    def rises(panel: Chart, low: float, high: float) -> bool:
        found = curves(panel)
        inside = [low < x < high for x in panel.x]
        peers = [found[name] for name in ("torch", "SciPy") if name in found]
        assert peers
        return any((one > 3 * found["target"])[inside].any() for one in peers)

    panels = dict(zip(TITLES, drawn.panels, strict=True))
    tails = ("erf, slope", "sigmoid, slope", "tanh, slope", "gelu, value", "gelu, slope")
    for title in (*tails, "gelu_tanh, value", "gelu_tanh, slope"):
        assert any(rises(panels[title], *end) for end in ((-np.inf, -2), (2, np.inf))), title
    assert rises(panels["silu, slope"], -1.5, -1)
    assert rises(panels["gelu, slope"], -1, -0.5)
    assert not rises(panels["erf, value"], -np.inf, np.inf)
    assert not rises(panels["tanh, value"], -np.inf, np.inf)


def test_the_same_numbers_are_measured_again(small):
    assert measured(bins=8, each=2) == small


def test_the_bins_span_the_range(small):
    assert RANGES.keys() == {row.name for row in ROWS}
    bounds = edges(100, 12)
    np.testing.assert_allclose(
        bounds, [*-np.logspace(2, 0, 5), -0.5, 0, 0.5, *np.logspace(0, 2, 5)]
    )
    assert all(len(panel.x) == 8 for panel in small.panels)
