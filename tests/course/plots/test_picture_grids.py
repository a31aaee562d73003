"""Grids of pictures: every image is where it belongs, with its title, frame and boxes."""

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from tasnlib.course.plots import picture_grids as grids
from tasnlib.course.plots.style import COLOURS

IMAGES = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
BOXES = torch.tensor([[[1.0, 2.0, 9.0, 8.0], [3.0, 3.0, 15.0, 12.0]]]).repeat(5, 1, 1)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def drawn(axes, number=0):
    return np.asarray(axes.images[number].get_array())


def frame(axes):
    return matplotlib.colors.to_hex(axes.spines["left"].get_edgecolor()).upper()


def test_pictures_of_a_grid_do_not_overlap():
    rows = [[grids.Picture(image, "two\nlines") for image in IMAGES[:2]], [grids.Picture(torch.rand(3, 9, 6), "one")]]
    figure = grids.picture_grid(rows)
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    inside = figure.bbox
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 and box.y1 <= inside.y1 for box in boxes)


def test_a_row_frames_images_in_their_colours():
    first, second = grids.image_row([IMAGES[0], torch.rand(3, 4, 7)], ["a", "b"], [None, COLOURS["detail"]]).axes
    assert not first.spines["left"].get_visible()
    assert frame(second) == COLOURS["detail"]


@pytest.mark.parametrize("smooth", [True, False])
def test_maps_of_any_sizes_are_drawn_over_one_image(smooth):
    maps = [torch.rand(6, 6), torch.rand(5, 5), torch.zeros(1, 1)]
    figure = grids.attention_row(IMAGES[0], maps, ["a", "b", "c"], BOXES[0], smooth)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    assert [drawn(axes, 1).shape for axes in figure.axes] == [(6, 6), (5, 5), (1, 1)]
    assert all(len(axes.patches) == 2 for axes in figure.axes)


def test_a_contact_sheet_shows_every_image_with_its_title_and_boxes():
    levels = (255 * IMAGES).byte()
    figure = grids.contact_sheet(levels, list("abcde"), BOXES, columns=3)
    for number, axes in enumerate(figure.axes):
        assert np.array_equal(drawn(axes), levels[number].permute(1, 2, 0).numpy())
        assert axes.get_title() == "abcde"[number]
        assert len(axes.patches) == 2
    assert not any(axes.get_title() or axes.patches for axes in grids.contact_sheet(levels).axes)


def test_an_overview_shows_what_becomes_of_each_image_in_the_colours_of_the_course():
    columns = {
        "structure map": torch.rand(2, 5, 5),
        "structure image": IMAGES[2:4],
        "detail image": IMAGES[1:3],
        "downsampled": IMAGES[3:],
    }
    figure = grids.overview(IMAGES[:2], columns, BOXES[:2])
    rows = np.array(figure.axes).reshape(2, 5)
    assert [axes.get_title() for axes in rows[0]] == ["image", *columns]
    for n, row in enumerate(rows):
        assert len(row[0].patches) == 2
        assert len(row[1].images) == 2
        for axes, name in zip(row[2:], list(columns)[1:], strict=True):
            assert np.array_equal(drawn(axes), columns[name][n].permute(1, 2, 0).numpy())
            assert frame(axes) == COLOURS[name.split()[0]]
