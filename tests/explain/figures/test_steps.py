"""The error of a difference over its step, beside mpmath's evaluation of the same definition."""

import mpmath as mp
import pytest

from numixology.explain import panel_text
from numixology.explain.figures.steps import step_size_scene


def test_the_central_difference_has_the_error_of_its_series_where_steps_are_long() -> None:
    (chart,) = step_size_scene().panels
    central, complex_step = chart.series
    for h, low, lower in zip(chart.x, central.values, complex_step.values, strict=True):
        if h >= 1e-3:  # h² / 6 of the value, and -h² / 6
            assert low == pytest.approx(float(mp.sinh(h) / h - 1), rel=1e-3)
            assert lower == pytest.approx(float(1 - mp.sin(h) / h), rel=1e-3)


def test_short_steps_cost_the_central_difference_its_digits_and_not_the_complex_step() -> None:
    (chart,) = step_size_scene().panels
    central, complex_step = (
        {h: e for h, e in zip(chart.x, s.values, strict=True)} for s in chart.series
    )
    best = min(central, key=central.get)
    assert 1e-8 < best < 1e-4
    assert central[min(central)] > 1e-3 > 1e-9 > central[best]
    assert all(complex_step[h] < 1e-15 for h in complex_step if h < 1e-8)
    assert min(complex_step.values()) == 1e-17
    assert "1e-15" in panel_text(chart)
