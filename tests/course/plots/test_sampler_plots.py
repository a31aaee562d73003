"""Figures of the sampler: what is drawn is where the sampler reads."""

import pytest
import torch

from tasnlib.course.plots import figure_bytes
from tasnlib.course.plots import sampler as figures


def vertical_lines(axes):
    """The x of the lines that `draw_grid` drew."""
    return [segment[0][0] for segment in axes.collections[0].get_segments()]


def test_the_bump_is_where_it_was_asked_for():
    attention = figures.bump((60, 90), x=0.75, y=0.25, width=0.1)
    row, column = divmod(attention.argmax().item(), attention.shape[1])
    assert (column + 0.5) / attention.shape[1] == pytest.approx(0.75, abs=0.02)
    assert (row + 0.5) / attention.shape[0] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("shape", [(3, 50, 50), (3, 40, 70), (3, 400, 300), (3, 1, 9)])
@pytest.mark.parametrize("place", [(0.0, 0.0), (1.0, 1.0), (0.3, 0.8)])
def test_any_image_and_place_can_be_viewed(shape, place):
    figure = figures.bump_view(torch.rand(shape), *place, width=0.15, max_zoom=4.0)
    assert figure.get_size_inches().tolist() == pytest.approx([7, 3.4], abs=0.4)


def test_without_zoom_the_grid_is_straight():
    figure = figures.bump_view(torch.rand(3, 32, 32), 0.2, 0.7, width=0.1, max_zoom=1)
    assert vertical_lines(figure.axes[0]) == pytest.approx([2 * i + 1 for i in range(16)], abs=1e-3)


def test_the_grid_crowds_around_the_bump():
    figure = figures.bump_view(torch.rand(3, 32, 32), 0.25, 0.5, width=0.1, max_zoom=4)
    gaps = torch.tensor(vertical_lines(figure.axes[0])).diff()
    assert gaps.argmin() < 8
    assert gaps.max() / gaps.min() > 3


def test_sharpening_and_blurring_are_what_they_say():
    attention = torch.zeros(5, 5)
    attention[2, 2] = 16.0
    assert figures.sharpen(attention, 0).equal(attention)
    assert figures.sharpen(attention, -1)[1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert figures.sharpen(attention, 2)[2, 2] == 16 + 2 * (16 - 4)
    assert figures.sharpen(attention, 2).min() == 0


def test_no_argument_is_changed():
    image, attention = torch.rand(3, 24, 24), torch.rand(6, 6)
    before = image.clone(), attention.clone()
    figures.sampler_view(image, attention, max_zoom=2, exponent=3, sharpness=1)
    assert image.equal(before[0])
    assert attention.equal(before[1])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.bump_view(torch.rand(3, 288, 288), 0.4, 0.4, 0.15, 4.0),
        lambda: figures.sampler_view(torch.rand(3, 144, 144), torch.rand(12, 12)),
    ],
)
def test_what_a_slider_draws_becomes_a_picture(draw):
    """Both are drawn for every step of a slider; `benchmarks/sliders.py` says how long that takes."""
    assert figure_bytes(draw()).startswith(b"\x89PNG")
