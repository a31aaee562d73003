"""Two classes are shown by their own birds, and differ in words."""

import pytest
import torch

from tasnlib.course.plots import species_compared

NAMES = ["grey, head along", "grey, head across", "blue, head along"]


def test_differences_in_words():
    assert species_compared.differences(NAMES[1], NAMES[2]) == "grey against blue; head across against head along"
    assert species_compared.differences("wren", "grey, head along") == "wren against grey, head along"


def test_two_classes_show_only_their_own_birds():
    images = torch.stack([torch.full((3, 8, 8), n / 10) for n in range(6)])
    labels = torch.tensor([0, 1, 2, 1, 2, 1])
    figure = species_compared.two_classes(images, labels, torch.rand(6, 3, 3), images, NAMES, *NAMES[1:], birds=3)
    drawn = [float(axes.images[0].get_array().mean()) for axes in figure.axes if len(axes.images) == 1]
    assert drawn == pytest.approx([0.1, 0.3, 0.5, 0.2, 0.4])  # the second class has two birds only


def test_a_class_without_a_bird_leaves_its_row_empty():
    images = torch.rand(2, 3, 8, 8)
    figure = species_compared.two_classes(images, torch.tensor([0, 0]), torch.rand(2, 3, 3), images, NAMES, *NAMES[:2])
    assert len(figure.axes) == 4


def test_an_unknown_class_is_rejected():
    images = torch.rand(1, 3, 8, 8)
    with pytest.raises(ValueError, match=r"'wren' is not a class; choose one of grey, head along"):
        species_compared.two_classes(images, torch.tensor([0]), torch.rand(1, 3, 3), images, NAMES, "wren", NAMES[0])
