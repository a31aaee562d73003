"""Grids of pictures: images, attention maps over images, and what TASN makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS, draw_attention, draw_boxes, draw_image

Boxes = Float[Tensor, "parts 4"]


@dataclass(frozen=True)
class Picture:
    """One picture of a grid: an image (3, h, w), framed in a colour, or grey under an attention map (a, b)."""

    image: Tensor
    title: str = ""
    colour: str | None = None
    attention: Tensor | None = None
    boxes: Boxes | None = None
    smooth: bool = True  # False: the map's cells as squares
    peak: float | None = None  # value of the map drawn brightest


def picture_grid(rows: Sequence[Sequence[Picture]], width: float = 2.0, titles: float = 10.0) -> Figure:
    """Pictures in rows, close together, each `width` inches wide; `titles` is the size of their font.

    Positions are computed here because a layout solver takes longer than the drawing, and sliders draw these.

    >>> rows = [[Picture(torch.rand(3, 8, 8), "image"), Picture(torch.rand(3, 8, 8), attention=torch.rand(2, 2))]]
    >>> [axes.get_title() for axes in picture_grid(rows).axes]
    ['image', '']
    """
    gap, line = 0.07, 1.35 * titles / 72  # inches
    lines = [max((len(picture.title.splitlines()) for picture in row), default=0) for row in rows]
    heights = [
        width * max((picture.image.shape[1] / picture.image.shape[2] for picture in row), default=0) for row in rows
    ]
    columns = max(map(len, rows))
    size = (columns * (width + gap) + gap, sum(heights) + line * sum(lines) + gap * (2 * len(rows) + 1))
    figure = plt.figure(figsize=size)
    bottom = size[1]
    for row, height, count in zip(rows, heights, lines, strict=True):
        bottom -= height + line * count + 2 * gap
        only_title = sum(bool(picture.title) for picture in row) == 1  # with room to the right
        for column, picture in enumerate(row):
            left = gap + column * (width + gap)
            axes = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
            if picture.attention is None:
                draw_image(axes, picture.image, picture.title, picture.colour)
            else:
                draw_attention(axes, picture.image, picture.attention, "", picture.smooth, picture.peak)
            colour = picture.colour or "black"
            title = axes.set_title(picture.title, fontsize=titles, color=colour, pad=3, y=1.0, parse_math=False)
            title.set(x=0 if only_title else 0.5, ha="left" if only_title else "center")
            draw_boxes(axes, picture.boxes)
    return figure


def image_row(
    images: Sequence[Tensor], titles: Sequence[str], colours: Sequence[str | None] = (), width: float = 2.3
) -> Figure:
    """Images (3, h, w) of any sizes side by side, each framed in its colour.

    >>> len(image_row([torch.rand(3, 8, 8), torch.rand(3, 4, 4)], ["large", "small"], [None, "black"]).axes)
    2
    """
    colours = colours or [None] * len(images)
    return picture_grid([[Picture(*one) for one in zip(images, titles, colours, strict=True)]], width)


def attention_row(
    image: Float[Tensor, "3 h w"],
    maps: Sequence[Tensor],
    titles: Sequence[str],
    boxes: Boxes | None = None,
    smooth: bool = True,
) -> Figure:
    """Attention maps (a, b) of any sizes over one image, side by side, each drawn up to its own maximum.

    >>> len(attention_row(torch.rand(3, 8, 8), [torch.rand(4, 4), torch.rand(2, 2)], ["fine", "coarse"]).axes)
    2
    """
    pictures = [
        Picture(image, title, attention=attention, boxes=boxes, smooth=smooth)
        for attention, title in zip(maps, titles, strict=True)
    ]
    return picture_grid([pictures], width=2.4)


def contact_sheet(
    images: UInt8[Tensor, "n 3 h w"],
    titles: Sequence[str] = (),
    boxes: Float[Tensor, "n parts 4"] | None = None,
    columns: int = 8,
) -> Figure:
    """Images row by row, each with its title and its part boxes.

    >>> len(contact_sheet(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), columns=2).axes)
    3
    """
    pictures = [
        Picture(image, titles[n] if titles else "", boxes=None if boxes is None else boxes[n])
        for n, image in enumerate(images)
    ]
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    return picture_grid(rows, width=1.6, titles=8)


def overview(
    images: Float[Tensor, "n 3 h w"],
    columns: Mapping[str, Tensor],
    boxes: Float[Tensor, "n parts 4"] | None = None,
    width: float = 2.3,
) -> Figure:
    """One row per image: the image with its parts, then what TASN makes of it.

    Args:
        columns: by title: maps (n, a, b), drawn over the images, or images (n, 3, s, s), framed in the colour of what
            their title begins with: structure, detail, downsampled.

    >>> images = torch.rand(2, 3, 8, 8)
    >>> figure = overview(images, {"structure map": torch.rand(2, 4, 4), "structure image": images})
    >>> [axes.get_title() for axes in figure.axes]
    ['image', 'structure map', 'structure image', '', '', '']
    """
    rows = []
    for n, image in enumerate(images):
        row = [Picture(image, "" if n else "image", boxes=None if boxes is None else boxes[n])]
        for title, column in columns.items():
            shown = "" if n else title
            if column.ndim == 3:
                row.append(Picture(image, shown, attention=column[n]))
            else:
                row.append(Picture(column[n], shown, COLOURS.get(title.split()[0])))
        rows.append(row)
    return picture_grid(rows, width)
