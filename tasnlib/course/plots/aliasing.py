"""Figures of fine stripes that vanish, or turn into false ones, when an image is made smaller."""

import matplotlib.pyplot as plt
import seaborn
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from tasnlib.course.plots.style import COLOURS, draw_boxes, draw_image


def vanishing_stripes(
    image: Float[Tensor, "3 size size"],
    averaged: Float[Tensor, "3 small small"],
    careless: Float[Tensor, "3 small small"],
    box: Float[Tensor, " 4"],
) -> Figure:
    """An image and two small copies of it, each above what it shows of one part. `box` is in pixels of `image`.

    >>> small = torch.rand(3, 16, 16)
    >>> figure = vanishing_stripes(torch.rand(3, 48, 48), small, small, torch.tensor([9.0, 12.0, 30.0, 30.0]))
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['48 × 48 pixels', '16 × 16, averaged', '16 × 16, every third pixel']
    """
    size, small = image.shape[-1], averaged.shape[-1]
    every = {2: "second", 3: "third", 4: "fourth"}.get(round(size / small), f"{size / small:g}th")
    titles = [f"{size} × {size} pixels", f"{small} × {small}, averaged", f"{small} × {small}, every {every} pixel"]
    figure, grid = plt.subplots(2, 3, figsize=(9, 4.9), height_ratios=(1.9, 1), layout="constrained")
    grey, light = COLOURS["downsampled"], COLOURS["downsampled_aliased"]
    for column, (seen, title, colour) in enumerate(
        zip((image, averaged, careless), titles, (None, grey, light), strict=True)
    ):
        scaled = box * seen.shape[-1] / size
        draw_image(grid[0, column], seen, title, colour)
        grid[0, column].title.set_color("black")
        draw_boxes(grid[0, column], scaled[None])
        x0, y0, x1, y1 = scaled.tolist()
        draw_image(grid[1, column], seen, colour=colour)
        grid[1, column].set(xlim=(x0, x1), ylim=(y1, y0))
    grid[1, 0].set_ylabel("inside the box", fontsize=10)
    return figure


def sampled_wave(period: float, step: int, pixels: int = 63) -> Figure:
    """A row of stripes, read at every `step`-th pixel and averaged over the pixels around it.

    Both readings are `torch.nn.functional.interpolate` with and without antialias, on one row of pixels.

    >>> len(sampled_wave(period=3.5, step=3).axes)
    2
    """
    careless, averaged = downsampled_wave(period, step, pixels)
    figure, rows = plt.subplots(2, 1, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
    place = torch.arange(pixels) + 0.5
    fine = torch.linspace(0, pixels, 20 * pixels)
    wave = torch.sin(2 * torch.pi * fine / period)
    centre = (torch.arange(pixels // step) + 0.5) * step
    titles = (f"one pixel in {step} is read: coarse false stripes", "each new pixel is an average: almost nothing left")
    colours = (COLOURS["downsampled_aliased"], COLOURS["downsampled"])
    for axes, values, title, colour in zip(rows, (careless, averaged), titles, colours, strict=True):
        axes.plot(fine, wave, color=COLOURS["structure"], linewidth=0.8, alpha=0.55, label="the stripes")
        axes.plot(place, torch.sin(2 * torch.pi * place / period), ".", color=COLOURS["structure"], ms=3)
        axes.plot(centre, values, "o-", color=colour, linewidth=2.2, ms=5, label="after downsampling")
        axes.set_title(title, fontsize=10, loc="left")
        axes.set(ylabel="brightness", yticks=[-1, 0, 1], xlim=(0, pixels))
        seaborn.despine(ax=axes)
    rows[0].legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=2, fontsize=9)
    rows[1].set_xlabel("place, in pixels of the large image")
    return figure


def downsampled_wave(period: float, step: int, pixels: int) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """A wave of amplitude 1, of so many pixels a period, after downsampling by `step`: careless, and averaged.

    >>> careless, averaged = downsampled_wave(period=3.5, step=3, pixels=63)
    >>> round(careless.max().item(), 1), averaged.abs()[3:-3].max().item() < 0.1
    (1.0, True)
    """
    row = torch.sin(2 * torch.pi * (torch.arange(pixels) + 0.5) / period)[None, None, None]  # (1, 1, 1, pixels)
    size = (1, pixels // step)
    careless = F.interpolate(row, size, mode="bilinear", align_corners=False)
    averaged = F.interpolate(row, size, mode="bilinear", align_corners=False, antialias=True)
    return careless.flatten(), averaged.flatten()
