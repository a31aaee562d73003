"""Figures of images: contact sheets, rows, and what TASN makes of an image."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS, draw_attention, draw_boxes, draw_image


def contact_sheet(
    images: UInt8[Tensor, "n 3 h w"],
    titles: Sequence[str] = (),
    boxes: Float[Tensor, "n parts 4"] | None = None,
    columns: int = 8,
) -> Figure:
    """Images side by side, each with its title and its part boxes.

    >>> import torch
    >>> contact_sheet(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), columns=2).axes.__len__()
    4
    """
    rows = -(-len(images) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.7 * columns, 1.95 * rows), squeeze=False, layout="constrained"
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (axes, image) in enumerate(zip(grid.flat, images, strict=False)):
        draw_image(axes, image, titles[number] if titles else "")
        axes.title.set_fontsize(8)
        if boxes is not None:
            draw_boxes(axes, boxes[number])
    return figure


def image_row(images: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Images of any sizes side by side, each drawn equally large.

    >>> import torch
    >>> len(image_row([torch.rand(3, 8, 8), torch.rand(3, 4, 4)], ["large", "small"]).axes)
    2
    """
    figure, row = plt.subplots(1, len(images), figsize=(3.2 * len(images), 2.4), squeeze=False, layout="constrained")
    for axes, image, title in zip(row[0], images, titles, strict=True):
        draw_image(axes, image, title)
    return figure


def sampling_overview(
    images: Float[Tensor, "n 3 h w"],
    attention: Float[Tensor, "n a b"],
    structure_images: Float[Tensor, "n 3 s s"],
    detail_images: Float[Tensor, "n 3 s s"],
    plain_images: Float[Tensor, "n 3 s s"],
    boxes: Float[Tensor, "n parts 4"] | None = None,
) -> Figure:
    """One row an image: the image with its parts, attention over it, structure, detail and plain image."""
    count = len(images)
    figure, grid = plt.subplots(count, 5, figsize=(12, 2.5 * count), squeeze=False, layout="constrained")
    for row, axes in enumerate(grid):
        first = row == 0
        size, small = images.shape[-1], structure_images.shape[-1]
        draw_image(axes[0], images[row], f"image, {size} px" if first else "")
        if boxes is not None:
            draw_boxes(axes[0], boxes[row])
        draw_attention(axes[1], images[row], attention[row], "attention (structure)" if first else "")
        draw_image(axes[2], structure_images[row], f"structure, {small} px" if first else "", COLOURS["structure"])
        draw_image(axes[3], detail_images[row], f"detail, {small} px" if first else "", COLOURS["detail"])
        draw_image(axes[4], plain_images[row], f"plain, {small} px" if first else "", COLOURS["downsampled"])
    return figure
