"""Figures of one image: the predictions drawn are the ones worked out."""

import pytest
import torch

from tasnlib.course.plots import single_image
from tasnlib.sampler import attention_sample, sampling_positions

IMAGE = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0))
NAMES = ["grey, head along", "grey, head across", "blue, head along"]


def test_the_most_probable_classes_are_drawn_in_order():
    probabilities = torch.tensor([0.2, 0.7, 0.1])
    figure = single_image.channel_view(IMAGE, torch.rand(4, 4), IMAGE, probabilities, NAMES, channel=3, dead=True)
    left, _, bars = figure.axes
    assert left.get_title() == "channel 3, dead here"
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([70, 20, 10])
    assert bars.texts[0].get_text() == "grey, head across  70.0"
    assert bars.get_title() == "part net: grey, head across, 70.0 %"


@pytest.mark.parametrize(("max_zoom", "exponent", "temperature"), [(1, 2, 1), (8, 0.5, 10)])
def test_each_setting_has_its_effect(max_zoom, exponent, temperature):
    mean_map = torch.rand(6, 6, generator=torch.Generator().manual_seed(1)) * 1e3
    weights = torch.rand(3, 3 * 12 * 12, generator=torch.Generator().manual_seed(2))
    given = []

    def classify(structure_images):
        given.append(structure_images)
        return structure_images.flatten(1) @ weights.T

    figure = single_image.settings_view(IMAGE, mean_map, classify, NAMES, 12, max_zoom, exponent, temperature)
    expected = attention_sample(IMAGE[None], mean_map[None] ** exponent, 12, float(max_zoom))
    torch.testing.assert_close(given[0], expected, atol=1e-4, rtol=1e-4)
    shares = ((expected.flatten(1) @ weights.T) / temperature).softmax(1)[0].sort(descending=True).values
    assert [bar.get_width() for bar in figure.axes[2].patches] == pytest.approx((100 * shares).tolist(), abs=0.05)
    x, _ = sampling_positions(mean_map[None] ** exponent, 48, 16, float(max_zoom))
    lines = [segment[0][0] for segment in figure.axes[0].collections[0].get_segments()]
    assert lines == pytest.approx(x[0].tolist(), abs=1e-2)
