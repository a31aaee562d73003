"""The bent grid is drawn where the sampler reads."""

import pytest
import torch

from tasnlib.course.plots import bent_grid
from tasnlib.sampler import sampling_positions


def vertical_lines(axes):
    return [segment[0][0] for segment in axes.collections[0].get_segments()]


def test_a_bump_lies_where_it_should():
    attention = bent_grid.bump((60, 90), x=0.75, y=0.25, width=0.1)
    row, column = divmod(attention.argmax().item(), attention.shape[1])
    assert (column + 0.5) / attention.shape[1] == pytest.approx(0.75, abs=0.02)
    assert (row + 0.5) / attention.shape[0] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(("shape", "x", "y"), [((3, 40, 70), 0, 1.0), ((3, 400, 300), 0.3, 0.8), ((3, 1, 9), 1, 0)])
def test_any_image_can_be_viewed_with_a_bump_anywhere(shape, x, y):
    left, right = bent_grid.bump_view(torch.rand(shape), x, y, width=0.15, max_zoom=4.0).axes
    assert len(left.collections) == len(right.collections) == 2


def test_the_grid_is_straight_without_zoom_and_crowded_around_a_bump():
    image = torch.rand(3, 32, 32)
    straight = bent_grid.bump_view(image, 0.2, 0.7, width=0.1, max_zoom=1).axes[0]
    assert vertical_lines(straight) == pytest.approx([2 * i + 1 for i in range(16)], abs=1e-3)
    gaps = torch.tensor(vertical_lines(bent_grid.bump_view(image, 0.25, 0.5, width=0.1, max_zoom=4).axes[0])).diff()
    assert gaps.argmin() < 8
    assert gaps.max() / gaps.min() > 3


def test_sharpening_and_blurring():
    attention = torch.zeros(5, 5)
    attention[2, 2] = 16.0
    assert bent_grid.sharpen(attention, 0).equal(attention)
    assert bent_grid.sharpen(attention, -1)[1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert bent_grid.sharpen(attention, 2)[2, 2] == 16 + 2 * (16 - 4)
    assert bent_grid.sharpen(attention, 2).min() == 0


def test_the_settings_of_the_sampler_bend_the_grid_and_change_no_argument():
    image, attention = torch.rand(3, 24, 24), torch.rand(6, 6)
    before = image.clone(), attention.clone()
    middle = bent_grid.sampler_view(image, attention, max_zoom=2, exponent=3, sharpness=1).axes[1]
    x, _ = sampling_positions(bent_grid.sharpen(attention, 1)[None] ** 3, 24, 16, 2.0)
    assert vertical_lines(middle) == pytest.approx(x[0].tolist(), abs=1e-3)
    assert image.equal(before[0])
    assert attention.equal(before[1])
