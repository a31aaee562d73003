"""The bent grid: where the sampler reads an image, drawn over it. Attention is a bump or a map, changed by sliders.

Axes are placed by hand instead of by a layout solver: that halves the time of a picture, and sliders draw these.
"""

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from tasnlib.course.plots.style import ATTENTION_MAP, COLOURS, draw_attention, draw_image
from tasnlib.sampler import attention_sample, sampling_positions, zoom_profiles

GRID_LINES = 16  # drawn along each axis
_LARGEST_DRAWN = 288  # pixels per side; larger images are drawn smaller, which makes no visible difference


def small_enough(image: Tensor) -> Tensor:
    """The image in floating point, and no larger than a figure shows."""
    image = image.float() / 255 if image.dtype == torch.uint8 else image.float()
    longest = max(image.shape[1:])
    if longest <= _LARGEST_DRAWN:
        return image
    size = [max(1, round(side * _LARGEST_DRAWN / longest)) for side in image.shape[1:]]
    return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]


def draw_grid(
    axes: Axes, image: Float[Tensor, "3 h w"], attention: Float[Tensor, "a b"], max_zoom: float, alpha: float = 0.6
) -> None:
    """Where the sampler reads an image that has been drawn.

    >>> axes = Figure().add_subplot()
    >>> draw_grid(axes, torch.rand(3, 8, 8), torch.rand(2, 2), 4.0)
    >>> len(axes.collections)
    2
    """
    size = image.shape[1], image.shape[2]
    x, y = (position[0] for position in sampling_positions(attention[None], size, GRID_LINES, max_zoom))
    _lines(axes, x, y, size, alpha)


def _lines(axes: Axes, x: Float[Tensor, " n"], y: Float[Tensor, " m"], size: tuple[int, int], alpha: float) -> None:
    axes.vlines(x.tolist(), 0, size[0], colors="white", linewidth=0.8, alpha=alpha)
    axes.hlines(y.tolist(), 0, size[1], colors="white", linewidth=0.8, alpha=alpha)


def _grid_and_sample(
    left: Axes, right: Axes, image: Tensor, attention: Tensor, max_zoom: float, out_size: tuple[int, int]
) -> None:
    """The bent grid over an image that has been drawn on the left; on the right the sampled image, the grid straight.

    Line i stands for the same output pixel on both sides."""
    draw_grid(left, image, attention, max_zoom)
    sampled = attention_sample(image[None], attention[None], out_size, max_zoom)[0]
    draw_image(right, sampled, f"sampled, {out_size[1]} × {out_size[0]} pixels", COLOURS["structure"])
    straight = (torch.arange(GRID_LINES) + 0.5) / GRID_LINES
    _lines(right, straight * out_size[1], straight * out_size[0], out_size, alpha=0.2)


def bump(size: tuple[int, int], x: float | int, y: float | int, width: float | int) -> Float[Tensor, "a b"]:
    """A round bump of attention in 64 cells along the longer side of an image of this (height, width).

    Far from its centre the attention is a tenth, so that no region is left out altogether.

    Args:
        x, y: its centre, as shares of the image's width and height.
        width: its standard deviation, as a share of the image's shorter side; values below 0.02 count as 0.02.

    >>> attention = bump((100, 200), x=0.25, y=0.5, width=0.1)
    >>> attention.shape, divmod(attention.argmax().item(), 64)[0] in (15, 16)
    (torch.Size([32, 64]), True)
    """
    a, b = (max(1, round(64 * side / max(size))) for side in size)
    spread = max(width, 0.02) * min(size)  # pixels
    across = ((torch.arange(b) + 0.5) / b - x) * size[1] / spread
    down = ((torch.arange(a) + 0.5) / a - y) * size[0] / spread
    return torch.exp(-0.5 * (down[:, None] ** 2 + across[None] ** 2)) + 0.1


def bump_view(
    image: Float[Tensor, "3 h w"],
    x: float | int,
    y: float | int,
    width: float | int,
    max_zoom: float | int,
) -> Figure:
    """An image with a bump of attention and the grid of sampling positions, and the sampled image.

    Args:
        image: in [0, 1].
        x, y, width: of the bump, see `bump`.
        max_zoom: see `sampler.sampling_positions`.

    >>> figure = bump_view(torch.rand(3, 40, 60), x=0.5, y=0.5, width=0.1, max_zoom=4.0)
    >>> [axes.get_title() for axes in figure.axes]
    ['the image, your attention, the sampling grid', 'sampled, 96 × 64 pixels']
    """
    size = image.shape[1], image.shape[2]
    attention = bump(size, x, y, width)
    rows, columns = (max(1, round(96 * side / max(size))) for side in size)  # in the image's proportions
    drawn = small_enough(image)
    figure = plt.figure(figsize=(6.7, 3.4))
    left, right = figure.add_axes((0.01, 0.02, 0.48, 0.9)), figure.add_axes((0.51, 0.02, 0.48, 0.9))
    draw_image(left, drawn, "the image, your attention, the sampling grid")
    strength = attention / attention.max()
    left.imshow(  # the stronger the attention, the less of the image shows through
        strength, cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=0.7 * strength.numpy(), interpolation="bilinear",
        extent=(0, drawn.shape[2], drawn.shape[1], 0),
    )  # fmt: skip
    _grid_and_sample(left, right, drawn, attention, float(max_zoom), (rows, columns))
    return figure


def sharpen(attention: Float[Tensor, "h w"], steps: int) -> Float[Tensor, "h w"]:
    """Blur a map (steps below 0) or sharpen it (above 0).

    One step of blur is the mean of 3 × 3 cells with weights 1, 2, 1 along either axis. Sharpening adds `steps` times
    the difference between the map and its blurred version; what would fall below 0 becomes 0.

    >>> sharpen(torch.tensor([[0.0, 4.0, 0.0]]), -1)
    tensor([[1., 2., 1.]])
    """
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(line, line)[None, None]
    blurred = attention[None, None].float()
    for _ in range(max(1, -steps)):
        blurred = F.conv2d(F.pad(blurred, (1, 1, 1, 1), mode="replicate"), kernel)
    blurred = blurred[0, 0]
    return blurred if steps < 0 else (attention + steps * (attention - blurred)).clamp_min(0)


def sampler_view(
    image: Float[Tensor, "3 h w"],
    attention: Float[Tensor, "a b"],
    max_zoom: float | int = 4,
    exponent: float | int = 1,
    sharpness: int = 0,
) -> Figure:
    """The effect of three settings: the changed map, the bent grid with the zoom along its sides, the sampled image.

    Args:
        image: in [0, 1].
        attention: not negative.
        max_zoom: see `sampler.sampling_positions`.
        exponent: the map is raised to it, after blurring or sharpening.
        sharpness: see `sharpen`.

    >>> figure = sampler_view(torch.rand(3, 24, 24), torch.rand(4, 4), max_zoom=2, exponent=2, sharpness=-1)
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['the map', 'the sampling grid', 'sampled, 48 × 48 pixels']
    """
    image = small_enough(image)
    changed = sharpen(attention, sharpness) ** exponent
    figure = plt.figure(figsize=(7.6, 2.7))
    left, middle, right = (figure.add_axes((place, 0.02, 0.30, 0.82)) for place in (0.005, 0.345, 0.695))
    draw_attention(left, image, changed, "the map")
    draw_image(middle, image, "the sampling grid")
    _grid_and_sample(middle, right, image, changed, float(max_zoom), (48, 48))
    zoom_x, zoom_y = zoom_profiles(changed[None], (image.shape[1], image.shape[2]), float(max_zoom))
    over, beside = figure.add_axes((0.345, 0.91, 0.30, 0.08)), figure.add_axes((0.312, 0.02, 0.028, 0.82))
    over.fill_between(torch.arange(zoom_x.shape[1]) + 0.5, zoom_x[0], color=COLOURS["attention"], linewidth=0)
    beside.fill_betweenx(torch.arange(zoom_y.shape[1]) + 0.5, zoom_y[0], color=COLOURS["attention"], linewidth=0)
    over.set(xlim=(0, zoom_x.shape[1]), ylim=(0, 8))
    beside.set(ylim=(zoom_y.shape[1], 0), xlim=(8, 0))
    for axes in (over, beside):
        axes.set_axis_off()
    over.text(-0.03, 0.2, f"largest zoom {float(zoom_x.max()):.1f}", transform=over.transAxes, fontsize=9, ha="right")
    return figure
