"""How an image, its boxes and its attention are drawn, and which colour means what."""

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from tasnlib.course import plots
from tasnlib.course.plots import style


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.mark.parametrize("kind", ["float", "levels", "out of range", "with gradient"])
def test_an_image_keeps_its_pixels_and_is_drawn_in_pixel_edge_units(axes, kind):
    image = torch.rand(3, 4, 6)
    given = {
        "float": image,
        "levels": (image * 255).byte(),
        "out of range": image * 3 - 1,
        "with gradient": image.clone().requires_grad_(),
    }[kind]
    before = given.detach().clone()
    style.draw_image(axes, given, "a title")
    assert torch.equal(given, before)
    (drawn,) = axes.images
    assert list(drawn.get_extent()) == [0, 6, 4, 0]
    expected = before if kind == "levels" else before.clamp(0, 1)
    assert np.array_equal(np.asarray(drawn.get_array()), expected.permute(1, 2, 0).numpy())
    assert axes.get_title() == "a title"


@pytest.mark.parametrize("colour", [None, style.COLOURS["detail"]])
def test_a_colour_frames_an_image(axes, colour):
    style.draw_image(axes, torch.rand(3, 8, 8), colour=colour)
    for spine in axes.spines.values():
        assert spine.get_visible() == (colour is not None)
        if colour:
            assert matplotlib.colors.to_hex(spine.get_edgecolor()).upper() == colour


def test_boxes_are_drawn_at_their_coordinates(axes):
    style.draw_boxes(axes, torch.tensor([[1.0, 2.0, 9.0, 8.0], [3.0, 3.0, 15.0, 12.0]]))
    assert [patch.get_bbox().extents.tolist() for patch in axes.patches] == [[1, 2, 9, 8], [3, 3, 15, 12]]


@pytest.mark.parametrize(("size", "smooth"), [(1.0, True), (1e-6, False), (1e6, True)])
def test_attention_of_any_size_is_drawn_over_the_grey_image(axes, size, smooth):
    attention = torch.zeros(4, 4)
    attention[1, 2] = size
    image = torch.rand(3, 16, 16)
    style.draw_attention(axes, image, attention, smooth=smooth)
    grey, over = axes.images
    assert np.allclose(grey.get_array(), image.mean(0).numpy(), atol=1e-6)
    assert list(grey.get_extent()) == list(over.get_extent()) == [0, 16, 16, 0]
    assert np.allclose(over.get_array(), attention / size)
    assert np.all((over.get_alpha() > 0) & (over.get_alpha() < 1))


def test_a_given_peak_is_the_brightest_value(axes):
    style.draw_attention(axes, torch.rand(3, 8, 8), torch.full((2, 2), 3.0), peak=6.0)
    assert np.allclose(axes.images[1].get_array(), 0.5)


def test_attention_of_zero_can_be_drawn_over_an_image_of_whole_numbers(axes):
    levels = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    style.draw_attention(axes, levels, torch.zeros(4, 4))
    assert np.allclose(axes.images[0].get_array(), levels.float().mean(0).numpy() / 255, atol=1e-6)
    assert (axes.images[1].get_array() == 0).all()


def test_one_colour_means_one_thing():
    assert plots.COLOURS["structure"] == plots.COLOURS["master"]
    assert plots.COLOURS["detail"] == plots.COLOURS["part"]
    assert set(plots.LABELS) <= set(plots.COLOURS)
    assert len({plots.COLOURS[name] for name in plots.LABELS}) == len(plots.LABELS)
