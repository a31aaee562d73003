"""Figures of notebook 02: the numbers in them are right, and every kind of input they are given can be drawn."""

import matplotlib as mpl
import pytest
import torch

mpl.use("Agg")

import matplotlib.pyplot as plt

from tasnlib.attention import trilinear_attention
from tasnlib.course.plots import trilinear as figures
from tasnlib.course.widgets import trilinear as widgets
from tasnlib.research.localization import attention_mass

BOX = torch.tensor([2.0, 4.0, 8.0, 10.0])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def features(channels: int = 5) -> torch.Tensor:
    return torch.rand(channels, 4, 4, generator=torch.Generator().manual_seed(0))


def test_explorer_draws_the_row_and_the_map_of_the_library():
    channel = 2
    figure = figures.explain_channel(torch.rand(3, 12, 12), features(), channel, 7.0, BOX)
    share = attention_mass(trilinear_attention(features()[None], 7.0)[:, channel], BOX[None, None], 12).item()
    assert f"{share:.0%}" in figure.axes[2].get_title()
    weights = [float(segment[1, 1]) for segment in figure.axes[1].collections[0].get_segments()]
    assert sum(weights) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("loudness", "top"), [(0.0, 0.4), (1.0, 0.4), (10.0, 1)])
def test_explorer_s_weights_share_one_axis_and_a_large_weight_gets_the_longer_one(loudness, top):
    given = features()
    given[2] *= loudness
    figure = figures.explain_channel(torch.rand(3, 12, 12), given, 2, 7.0, BOX)
    largest = max(float(segment[1, 1]) for segment in figure.axes[1].collections[0].get_segments())
    assert figure.axes[1].get_ylim() == (0, top)
    assert 0.4 * (top == 1) < largest < top


def test_a_silent_channel_is_called_silent():
    silent = torch.zeros(1, 4, 4)
    figure = figures.before_and_after(torch.rand(3, 12, 12), silent, silent + 1, ["channel 3"], BOX)
    titles = [axes.get_title() for axes in figure.axes]
    assert "channel 3\nraw: silent" in titles
    assert "channel 3\ntrilinear: 25% in the box" in titles


def test_weighted_mean_shows_the_sum():
    maps = torch.stack([torch.eye(2), torch.ones(2, 2)])
    figure = figures.weighted_mean(maps, torch.tensor([[0.25, 0.75]]), names="AB", rows="A")
    assert [text.get_text() for text in figure.axes[2].texts] == ["1", "0.75", "0.75", "1"]


@pytest.mark.parametrize("smooth", [True, False])
def test_maps_of_different_sizes_are_drawn_side_by_side(smooth):
    maps = [torch.rand(6, 6), torch.rand(5, 5), torch.zeros(1, 1)]
    figure = figures.maps_on_image(torch.rand(3, 12, 12), maps, ["a", "b", "c"], BOX[None], smooth)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]


def test_widget_hands_over_every_channel_and_every_scale(monkeypatch):
    given = {}
    monkeypatch.setattr(
        widgets, "explore", lambda draw, sliders, alt: given.update(draw=draw, sliders=sliders, alt=alt)
    )
    widgets.channel_explorer(torch.rand(3, 12, 12), features(), BOX, channel=4)
    channel, scale = given["sliders"]
    assert list(channel.values) == [0, 1, 2, 3, 4]
    assert channel.start == 4
    assert given["alt"]
    for values in ({"channel": 0, "scale": scale.values[0]}, {"channel": 4, "scale": scale.values[-1]}):
        assert len(given["draw"](**values).axes) == 3
