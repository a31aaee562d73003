"""Figures of notebook 02: the numbers in them are right, and every kind of input they are given can be drawn."""

import matplotlib as mpl
import pytest
import torch

mpl.use("Agg")

import matplotlib.pyplot as plt

from tasnlib.attention import trilinear_attention
from tasnlib.plots import trilinear as figures
from tasnlib.widgets import trilinear as widgets

BOX = torch.tensor([2.0, 4.0, 8.0, 10.0])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def features(channels: int = 5) -> torch.Tensor:
    return torch.rand(channels, 4, 4, generator=torch.Generator().manual_seed(0))


def share_by_pixels(attention: torch.Tensor, box: torch.Tensor, size: int) -> float:
    """The same share by counting pixels; for boxes on whole pixels and cells of a whole number of pixels."""
    pixels = attention.repeat_interleave(size // len(attention), 0).repeat_interleave(size // attention.shape[1], 1)
    x0, y0, x1, y1 = box.int().tolist()
    return float(pixels[y0:y1, x0:x1].sum() / pixels.sum())


@pytest.mark.parametrize("shape", [(4, 4), (2, 8), (1, 16), (16, 1)])
def test_share_in_box_is_what_counting_pixels_gives(shape):
    generator = torch.Generator().manual_seed(1)
    attention = torch.rand(3, *shape, generator=generator)
    boxes = torch.tensor([[0.0, 0, 16, 16], [2, 4, 8, 10], [5, 0, 6, 16]])
    expected = torch.tensor([share_by_pixels(one, box, 16) for one, box in zip(attention, boxes, strict=True)])
    torch.testing.assert_close(figures.share_in_box(attention, boxes, 16), expected)


def test_share_of_a_uniform_and_of_an_empty_map_is_the_share_of_the_area():
    boxes = BOX.expand(2, 4)
    maps = torch.stack([torch.full((3, 3), 7.0), torch.zeros(3, 3)])
    torch.testing.assert_close(figures.share_in_box(maps, boxes, 12), torch.full((2,), 36 / 144))


def test_share_does_not_depend_on_how_bright_the_map_is():
    maps = features()
    boxes = BOX.expand(5, 4)
    torch.testing.assert_close(figures.share_in_box(1e-6 * maps, boxes, 12), figures.share_in_box(maps, boxes, 12))


def test_share_refuses_negative_attention():
    with pytest.raises(ValueError, match="negative"):
        figures.share_in_box(torch.tensor([[[1.0, -1.0]]]), BOX[None], 12)


def test_explorer_draws_the_row_and_the_map_of_the_library():
    channel = 2
    figure = figures.explain_channel(torch.rand(3, 12, 12), features(), channel, 7.0, BOX)
    share = figures.share_in_box(trilinear_attention(features()[None], 7.0)[:, channel], BOX[None], 12).item()
    assert f"{share:.0%}" in figure.axes[2].get_title()
    weights = [float(segment[1, 1]) for segment in figure.axes[1].collections[0].get_segments()]
    assert sum(weights) == pytest.approx(1, abs=1e-5)


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
