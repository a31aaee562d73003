"""Shares become percent."""

import pytest
import torch

from tasnlib.course.plots.percent_curves import percent_curves


def test_every_curve_and_the_level_are_in_percent():
    curves = {"head": torch.tensor([0.5, 0.25]), "wing": [0.1, 0.2], "tail": [0.0, 1.0]}
    (axes,) = percent_curves([0, 2], curves, "noise", "% in the box", ["grey", "green"], 0.1, "uniform").axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert drawn["head"] == pytest.approx([50, 25])
    assert drawn["wing"] == pytest.approx([10, 20])
    assert drawn["uniform"] == pytest.approx([10, 10])
    assert [line.get_color() for line in axes.lines[:3]] == ["grey", "green", "grey"]


def test_values_may_be_names():
    (axes,) = percent_curves(["without", "with"], {"seed 0": (0.6, 0.65), "seed 1": (0.4, 0.3)}, "", "%").axes
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["without", "with"]
