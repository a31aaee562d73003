"""Figures of single channels: the numbers drawn are the given ones, or can be worked out by hand."""

import pytest
import torch

from tasnlib.attention import bilinear_attention
from tasnlib.course.plots import channel_maps

FEATURES = 3 * torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0))
IMAGE = torch.rand(3, 24, 36, generator=torch.Generator().manual_seed(1))


def test_a_row_of_channel_maps_has_one_brightness_scale():
    images, features, boxes = IMAGE.expand(2, -1, -1, -1), torch.stack([FEATURES, 2 * FEATURES]), torch.zeros(2, 1, 4)
    figure = channel_maps.channel_maps(images, features, [3], boxes, {3: "head"}, ["weak", "strong"])
    weak, strong = (axes.images[1].get_array() for axes in figure.axes[2:])
    assert strong.max() == pytest.approx(1)
    assert weak.max() == pytest.approx(0.5)


def test_a_dead_channel_can_be_drawn():
    dead = torch.zeros(3, 4, 4)
    channel_maps.channel_gallery(IMAGE, dead, [0, 2])
    channel_maps.where_and_who(IMAGE, dead, channel=1, scale=7.0)


@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_where_and_who_draws_the_softmax_and_the_row_of_r(scale):
    figure = channel_maps.where_and_who(IMAGE, FEATURES, channel=2, scale=scale)
    row = bilinear_attention(FEATURES[None], scale)[0, 2]
    bars = [bar.get_height() / 100 for bar in figure.axes[2].patches]
    assert bars == pytest.approx(row.tolist(), abs=1e-5)
    where = (scale * FEATURES[2].flatten()).softmax(0).view(4, 6)
    torch.testing.assert_close(torch.as_tensor(figure.axes[1].images[1].get_array()), where / where.max())
    assert figure.axes[3].get_title().startswith(f"most weight: channel {int(row.argmax())}\n")
    assert sorted(text.get_text() for text in figure.axes[2].texts if text.get_text()) == sorted(
        str(j) for j in row.topk(3).indices.tolist()
    )
