"""The bent grid: where the sampler reads an image, drawn over it."""

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn import functional as F

from tasnlib.course.plots.style import COLOURS, draw_image
from tasnlib.sampler import attention_sample, sampling_positions

GRID_LINES = 16  # drawn along each axis
_LARGEST_DRAWN = 288  # pixels a side; larger images are drawn smaller, which nobody sees at this size


def small_enough(image: Tensor) -> Tensor:
    """The image as it is drawn: floating point, and no larger than one can see."""
    image = image.float() / 255 if image.dtype == torch.uint8 else image.float()
    longest = max(image.shape[1:])
    if longest <= _LARGEST_DRAWN:
        return image
    size = [max(1, round(side * _LARGEST_DRAWN / longest)) for side in image.shape[1:]]
    return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]


def draw_grid(
    axes: Axes, x: Float[Tensor, " n"], y: Float[Tensor, " m"], size: tuple[int, int], colour: str, alpha: float = 0.85
) -> None:
    """Lines at x and y over an image of this size (height, width).

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> draw_grid(axes, torch.tensor([1.0, 3.0]), torch.tensor([2.0]), (8, 8), "white")
    >>> len(axes.collections)
    2
    """
    axes.vlines(x.tolist(), 0, size[0], colors=colour, linewidth=0.8, alpha=alpha)
    axes.hlines(y.tolist(), 0, size[1], colors=colour, linewidth=0.8, alpha=alpha)


def grid_and_sample(
    left: Axes,
    right: Axes,
    image: Float[Tensor, "3 h w"],
    attention: Float[Tensor, "a b"],
    max_zoom: float,
    out_size: tuple[int, int],
) -> None:
    """The bent grid over an image that has been drawn on the left; on the right the sampled image, the grid straight.

    Line i stands for the same output pixel on both sides.
    """
    size = image.shape[1], image.shape[2]
    sampled = attention_sample(image[None], attention[None], out_size, max_zoom)[0]
    x, y = (position[0] for position in sampling_positions(attention[None], size, GRID_LINES, max_zoom))
    straight = (torch.arange(GRID_LINES) + 0.5) / GRID_LINES
    draw_grid(left, x, y, size, "white", alpha=0.6)
    draw_image(right, sampled, f"sampled, {out_size[1]} × {out_size[0]} pixels", COLOURS["structure"])
    draw_grid(right, straight * out_size[1], straight * out_size[0], out_size, "white", alpha=0.2)
