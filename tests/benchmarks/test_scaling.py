"""The script that measures draws what it measured, and the page says what the drawing shows."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import scaling
from scene_files import scene_from_json

from numixology.explain import Scene

DRAWN = Path(__file__).resolve().parents[2] / "docs" / "scaling.json"
LAYERS = ["mixer", "attention", "network"]


def curves(scene: Scene) -> list[dict[str, np.ndarray]]:
    return [{one.name: np.array(one.values) for one in panel.series} for panel in scene.panels]


@pytest.fixture(scope="module")
def drawn() -> Scene:
    return scene_from_json(DRAWN.read_text("utf-8"))


def test_it_is_the_figure_of_the_page_at_other_lengths(drawn):
    found = scaling.measured(lengths=(2, 4), turns=2)
    assert found.description == drawn.description
    assert scene_from_json(found.json()) == found
    for one, other in zip(found.panels, drawn.panels, strict=True):
        assert (one.title, one.x_name, one.y_name) == (other.title, other.x_name, other.y_name)
        assert [curve.name for curve in one.series] == [curve.name for curve in other.series]
        assert one.x == (2.0, 4.0)
        assert other.x == tuple(map(float, scaling.LENGTHS))
        assert all(value > 0 for curve in one.series for value in curve.values)


def test_peak_memory_is_that_of_one_call():
    assert scaling.peak_bytes(lambda: bytearray(10**7)) == pytest.approx(10**7, rel=0.01)


def test_attention_is_slower_at_every_length_and_more_so_at_the_longest(drawn):
    _, ratios, _ = curves(drawn)
    times = ratios["time, measured"]
    assert (times > 1).all()
    assert times[-1] > 2 * times[0]
    assert (10 * times < ratios["FLOPs, counted"]).all()


def test_memory_grows_with_the_length_and_attentions_with_its_square_in_the_end(drawn):
    _, _, peaks = curves(drawn)
    for name in ("mixer", "network"):
        assert peaks[name][-1] / peaks[name][0] == pytest.approx(64, rel=0.02)
    assert peaks["attention"][-1] / peaks["attention"][-2] == pytest.approx(4, rel=0.05)
    assert peaks["attention"][1] / peaks["attention"][0] < 3.5
