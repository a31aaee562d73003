"""Figures of fine stripes that vanish when an image is made smaller, or alias into coarse ones."""

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from tasnlib.course.plots.style import COLOURS, draw_boxes, draw_image


def vanishing_stripes(
    image: Float[Tensor, "3 size size"],
    antialiased: Float[Tensor, "3 small small"],
    aliased: Float[Tensor, "3 small small"],
    box: Float[Tensor, " 4"],
) -> Figure:
    """An image and its two downsampled copies, each above the crop of one part. `box` is in pixels of `image`.

    >>> small = torch.rand(3, 16, 16)
    >>> figure = vanishing_stripes(torch.rand(3, 48, 48), small, small, torch.tensor([9.0, 12.0, 30.0, 30.0]))
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['48 × 48 pixels', '16 × 16, antialiased', '16 × 16, aliased']
    """
    size, small = image.shape[-1], antialiased.shape[-1]
    titles = [f"{size} × {size} pixels", f"{small} × {small}, antialiased", f"{small} × {small}, aliased"]
    figure, grid = plt.subplots(2, 3, figsize=(9, 4.9), height_ratios=(1.9, 1), layout="constrained")
    colours = (None, COLOURS["downsampled"], COLOURS["downsampled_aliased"])
    for (above, below), seen, title, colour in zip(grid.T, (image, antialiased, aliased), titles, colours, strict=True):
        x0, y0, x1, y1 = (box * seen.shape[-1] / size).tolist()
        draw_image(above, seen, title, colour)
        above.title.set_color("black")
        draw_boxes(above, box[None] * seen.shape[-1] / size)
        draw_image(below, seen, colour=colour)
        below.set(xlim=(x0, x1), ylim=(y1, y0))
    grid[1, 0].set_ylabel("inside the box", fontsize=10)
    return figure


def sampled_wave(period: float, step: int, pixels: int = 63) -> Figure:
    """A row of stripes, downsampled by `step` without and with antialiasing.

    >>> len(sampled_wave(period=3.5, step=3).axes)
    2
    """
    figure, rows = plt.subplots(2, 1, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
    fine, places = torch.linspace(0, pixels, 20 * pixels), torch.arange(pixels) + 0.5
    centres = (torch.arange(pixels // step) + 0.5) * step
    titles = (f"aliased: one pixel in {step} is read, coarse false stripes", "antialiased: averages, almost flat")
    colours = (COLOURS["downsampled_aliased"], COLOURS["downsampled"])
    for axes, values, title, colour in zip(rows, downsampled_wave(period, step, pixels), titles, colours, strict=True):
        axes.plot(fine, torch.sin(2 * torch.pi * fine / period), color=COLOURS["structure"], linewidth=0.8, alpha=0.55,
                  label="the stripes")  # fmt: skip
        axes.plot(places, torch.sin(2 * torch.pi * places / period), ".", color=COLOURS["structure"], ms=3)
        axes.plot(centres, values, "o-", color=colour, linewidth=2.2, ms=5, label="after downsampling")
        axes.set_title(title, fontsize=10, loc="left")
        axes.set(ylabel="brightness", yticks=[-1, 0, 1], xlim=(0, pixels))
    rows[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=9)
    rows[1].set_xlabel("position, in pixels of the large image")
    return figure


def downsampled_wave(period: float, step: int, pixels: int) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """A wave of amplitude 1 and this period in pixels, downsampled by `step`: aliased, and antialiased.

    >>> aliased, antialiased = downsampled_wave(period=3.5, step=3, pixels=63)
    >>> round(aliased.max().item(), 1), antialiased.abs()[3:-3].max().item() < 0.1
    (1.0, True)
    """
    row = torch.sin(2 * torch.pi * (torch.arange(pixels) + 0.5) / period)[None, None, None]  # (1, 1, 1, pixels)
    size = (1, pixels // step)
    aliased = F.interpolate(row, size, mode="bilinear", align_corners=False)
    antialiased = F.interpolate(row, size, mode="bilinear", align_corners=False, antialias=True)
    return aliased.flatten(), antialiased.flatten()
