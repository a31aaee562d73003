"""The figures for a paper."""

import pytest

from tasnlib.course.plots.seeds_and_costs import accuracy_against, seeds_and_means
from tasnlib.research.ablations.tables import Row


def test_figures_show_every_seed_and_mean():
    shares = {"a": (50.0, 60.0, 40.0), "b": (70.0, 65.0, 50.0), "plain": (10.0, 20.0, 30.0)}
    rows = [
        Row(title, accuracies, (), {} if title == "plain" else {"mass": 0.2}, 10**6, 5.0)
        for title, accuracies in shares.items()
    ]
    (axes,) = seeds_and_means({"easy": rows}, {"easy": 1 / 16}).axes
    dots = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [tuple(line.get_xdata()) for line in dots] == [row.accuracies for row in rows]
    means = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 2.5]
    assert means == pytest.approx([row.mean for row in rows])
    assert len(accuracy_against(rows, "mass").axes[0].containers) == 2  # two variants have attention
    assert len(accuracy_against(rows, "multiply-adds").axes[0].containers) == 3
