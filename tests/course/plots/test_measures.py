"""Figures of what attention and detail images reach: shares are drawn in percent."""

import pytest

from tasnlib.course.plots import measures as figures


def test_measures_are_drawn_in_percent_and_times():
    shares = {"structure map": [0.2, 0.3], "uniform": [0.01, 0.02]}
    figure = figures.measures(shares, {"structure map": [8.0, 9.0]}, [0.5, 1.0], ["head", "wing"], 6)
    mass, times, reached = figure.axes
    assert [bar.get_height() for bar in mass.patches] == pytest.approx([20, 30, 1, 2])
    assert [bar.get_height() for bar in times.patches] == [8, 9]
    assert reached.lines[0].get_ydata().tolist() == [50, 100]
