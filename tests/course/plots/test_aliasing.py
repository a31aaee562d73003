"""Figures of stripes that vanish: the waves and the crops can be worked out by hand."""

import pytest
import torch

from tasnlib.course.plots import aliasing


def test_a_fine_wave_aliases_into_one_of_seven_new_pixels_and_antialiasing_erases_it():
    aliased, antialiased = aliasing.downsampled_wave(period=3.5, step=3, pixels=63)
    assert len(aliased) == len(antialiased) == 21
    expected = torch.sin(2 * torch.pi * (3 * torch.arange(21) + 1.5) / 3.5)  # the middle one of each three pixels
    torch.testing.assert_close(aliased, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(aliased[7:], aliased[:-7], atol=1e-4, rtol=0)
    assert antialiased[1:-1].abs().max() < 0.05


def test_a_wide_wave_survives_either_way():
    aliased, antialiased = aliasing.downsampled_wave(period=30, step=3, pixels=90)
    assert aliased.max() > 0.95
    assert antialiased.max() > 0.9


def test_the_crop_shows_the_box_in_every_image():
    small = torch.rand(3, 8, 8)
    figure = aliasing.vanishing_stripes(torch.rand(3, 24, 24), small, small, torch.tensor([3.0, 6.0, 12.0, 18.0]))
    large_crop, small_crop = figure.axes[3], figure.axes[4]
    assert large_crop.get_xlim() == (3, 12)
    assert large_crop.get_ylim() == (18, 6)
    assert small_crop.get_xlim() == pytest.approx((1, 4))
