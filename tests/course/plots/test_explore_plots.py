"""Figures of notebook 07: tiles lie where a click looks for them, and the numbers drawn are the ones worked out."""

import pytest
import torch

from tasnlib.course.plots import explore as figures
from tasnlib.course.plots import figure_bytes
from tasnlib.sampler import attention_sample, sampling_positions

IMAGE = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0))
NAMES = ["grey, head along", "grey, head across", "blue, head along"]


def test_the_most_probable_classes_are_drawn_in_order():
    shares = torch.tensor([0.2, 0.7, 0.1])
    figure = figures.channel_view(IMAGE, torch.rand(4, 4), IMAGE, shares, NAMES, channel=3, fires=False)
    left, _, bars = figure.axes
    assert left.get_title() == "channel 3, silent here"
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([70, 20, 10])
    assert bars.texts[0].get_text() == "grey, head across  70.0"


@pytest.mark.parametrize(("max_zoom", "exponent", "temperature"), [(1, 2, 1), (4, 0.5, 10), (8, 3.0, 0.5)])
def test_the_knobs_change_what_they_say(max_zoom, exponent, temperature):
    mean_map = torch.rand(6, 6, generator=torch.Generator().manual_seed(1)) * 1e3
    weights = torch.rand(3, 3 * 12 * 12, generator=torch.Generator().manual_seed(2))
    given = []

    def classify(structure_images):
        given.append(structure_images)
        return structure_images.flatten(1) @ weights.T

    figure = figures.knobs_view(IMAGE, mean_map, classify, NAMES, 12, max_zoom, exponent, temperature)
    expected = attention_sample(IMAGE[None], mean_map[None] ** exponent, 12, float(max_zoom))
    torch.testing.assert_close(given[0], expected, atol=1e-4, rtol=1e-4)
    shares = ((expected.flatten(1) @ weights.T) / temperature).softmax(1)[0].sort(descending=True).values
    assert [bar.get_width() for bar in figure.axes[2].patches] == pytest.approx((100 * shares).tolist(), abs=0.05)
    x, _ = sampling_positions(mean_map[None] ** exponent, 48, 16, float(max_zoom))
    lines = [segment[0][0] for segment in figure.axes[0].collections[0].get_segments()]
    assert lines == pytest.approx(x[0].tolist(), abs=1e-2)


def test_differences_in_words():
    assert figures.differences(NAMES[0], NAMES[1]) == "head along against head across"
    assert figures.differences(NAMES[1], NAMES[2]) == "grey against blue; head across against head along"
    assert figures.differences("wren", "grey, head along") == "wren against grey, head along"


def test_two_species_show_only_their_own_birds():
    images = torch.stack([torch.full((3, 8, 8), n / 10) for n in range(6)])
    labels = torch.tensor([0, 1, 2, 1, 2, 1])
    figure = figures.two_species(images, labels, torch.rand(6, 3, 3), images, NAMES, NAMES[1], NAMES[2], birds=3)
    drawn = [float(axes.images[0].get_array().mean()) for axes in figure.axes if len(axes.images) == 1]
    assert drawn == pytest.approx([0.1, 0.3, 0.5, 0.2, 0.4])
    assert not figure.axes[-1].axison  # the second species has two birds only


def test_a_species_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"'wren' is no class; choose among grey, head along"):
        figures.two_species(IMAGE[None], torch.tensor([0]), torch.rand(1, 3, 3), IMAGE[None], NAMES, "wren", NAMES[0])


def test_what_clicks_and_sliders_draw_becomes_a_picture():
    mean_map, image = torch.rand(12, 12), torch.rand(3, 144, 144)
    draws = [
        lambda: figures.channel_view(image, mean_map, IMAGE, torch.rand(16), list("abcdefghijklmnop"), 3),
        lambda: figures.knobs_view(image, mean_map, lambda _: torch.rand(1, 16), list("abcdefghijklmnop"), 48),
    ]
    for draw in draws:
        assert figure_bytes(draw()).startswith(b"\x89PNG")
