"""Figures of raw and trilinear maps: the shares and weights in them are the library's."""

import matplotlib.pyplot as plt
import pytest
import torch

from tasnlib.attention import trilinear_attention
from tasnlib.course.plots import raw_and_trilinear
from tasnlib.research.localization import attention_mass

BOX = torch.tensor([2.0, 4.0, 8.0, 10.0])
IMAGE = torch.rand(3, 12, 12)
FEATURES = torch.rand(5, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def weights(axes):
    return [float(segment[1, 1]) for segment in axes.collections[0].get_segments()]


def test_a_channel_is_explained_by_its_row_and_its_map():
    figure = raw_and_trilinear.explain_channel(IMAGE, FEATURES, 2, 7.0, BOX)
    share = attention_mass(trilinear_attention(FEATURES[None], 7.0)[:, 2], BOX[None, None], 12).item()
    assert f"{share:.0%}" in figure.axes[2].get_title()
    assert sum(weights(figure.axes[1])) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("volume", "top"), [(0.0, 0.4), (10.0, 1)])
def test_a_large_weight_gets_the_longer_axis(volume, top):
    features = FEATURES.clone()
    features[2] *= volume
    axes = raw_and_trilinear.explain_channel(IMAGE, features, 2, 7.0, BOX).axes[1]
    assert axes.get_ylim() == (0, top)
    assert max(weights(axes)) < top


def test_titles_give_the_share_in_the_box_and_name_a_dead_channel():
    dead = torch.zeros(1, 4, 4)
    figure = raw_and_trilinear.before_and_after(IMAGE, dead, dead + 1, ["channel 3"], BOX)
    assert [axes.get_title() for axes in figure.axes] == [
        "channel 3, raw:\ndead", "image", "channel 3, trilinear:\n25% in the box"
    ]  # fmt: skip


def test_bars_are_in_percent():
    (axes,) = raw_and_trilinear.share_bars({"normal": 0.6}, {"normal": 0.8}, uniform=0.1).axes
    assert [text.get_text() for text in axes.texts] == ["60", "80"]
