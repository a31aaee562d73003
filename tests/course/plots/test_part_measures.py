"""What attention and detail images reach: shares in percent, magnifications as they are."""

import pytest

from tasnlib.course.plots import part_measures


def test_shares_are_drawn_in_percent_and_magnifications_unchanged():
    shares = {"structure map": [0.2, 0.3], "uniform": [0.01, 0.02]}
    figure = part_measures.measures(shares, {"structure map": [8.0, 9.0]}, [0.5, 1.0], ["head", "wing"], 6)
    mass, times, reached = figure.axes
    assert [bar.get_height() for bar in mass.patches] == pytest.approx([20, 30, 1, 2])
    assert [bar.get_height() for bar in times.patches] == [8, 9]
    assert list(reached.lines[0].get_ydata()) == [50, 100]
