"""Charts in characters: every point is where its numbers say, and the first curve is seen."""

import pytest
from support import refused

from numixology.errors import ArgumentError
from numixology.explain import Chart, Series, chart_plot


def chart(*curves, x=(1.0, 2.0, 3.0), **options):
    series = tuple(Series(f"curve {i}", values) for i, values in enumerate(curves))
    return Chart("Title", "x", x, "unit", series, **options)


def test_a_curve_is_drawn_through_its_points() -> None:
    drawn = chart_plot(chart((0.0, 4.0, 2.0)), width=9, height=5).splitlines()
    assert drawn == [
        "Title (unit)",
        "  4 |    **",
        "    |   *  *",
        "    |  *    **",
        "    | *",
        "  0 |*",
        "     1       3 x",
        "  * curve 0",
    ]


def test_the_first_of_two_curves_is_seen_where_they_meet() -> None:
    drawn = chart_plot(chart((1.0, 1.0, 2.0), (1.0, 1.0, 1.0)), width=5, height=3).splitlines()
    assert drawn[1:4] == ["  2 |    *", "    |   *", "  1 |***oo"]


@pytest.mark.parametrize("options", [{"log_y": True}, {"log_y": True, "log_x": True}])
def test_logarithmic_axes_make_powers_straight(options) -> None:
    x = (1.0, 10.0, 100.0) if "log_x" in options else (1.0, 2.0, 3.0)
    drawn = chart_plot(chart((1.0, 10.0, 100.0), x=x, **options), width=5, height=5)
    assert [line[-1] for line in drawn.splitlines()[1:6]] == 5 * ["*"]
    assert [len(line) for line in drawn.splitlines()[1:6]] == [12, 11, 10, 9, 8]


def test_a_constant_has_a_line_in_the_middle() -> None:
    drawn = chart_plot(chart((5.0, 5.0, 5.0)), width=4, height=3).splitlines()
    assert drawn[1:4] == ["  5 |", "    |****", "  5 |"]


def test_a_single_point_and_many_curves_are_drawn() -> None:
    drawn = chart_plot(chart(*[(float(i),) for i in range(13)], x=(1.0,)), width=3, height=13)
    assert drawn.count("curve") == 13


def test_a_chart_that_cannot_be_drawn_is_refused() -> None:
    with refused(ArgumentError, "has one value for each x"):
        chart_plot(chart((1.0,)))
