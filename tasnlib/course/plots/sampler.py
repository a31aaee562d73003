"""Figures of notebook 03: images with the bent grid of the sampler, and what it makes of them.

Those of a single line, from the zoom to the reading, are in `plots.zoom`, and how many parts are reached is drawn in
`plots.measures`; the notebook finds both here too. Axes are fixed by hand instead of laid out by a solver: that halves
the time of a picture, and sliders draw these.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from tasnlib.course.plots.grid import grid_and_sample, small_enough
from tasnlib.course.plots.measures import reached
from tasnlib.course.plots.style import ATTENTION_MAP, COLOURS, draw_attention, draw_boxes, draw_image
from tasnlib.course.plots.zoom import (
    cap_bars,
    density,
    inverse_cumulative,
    marginals,
    matrices,
    reading,
    zoom_on_a_line,
)
from tasnlib.sampler import zoom_profiles

__all__ = [
    "bump",
    "bump_view",
    "cap_bars",
    "channels_overview",
    "density",
    "inverse_cumulative",
    "marginals",
    "matrices",
    "pictures",
    "reached",
    "reading",
    "sampler_view",
    "sharpen",
    "zoom_on_a_line",
]


def _panels(count: int, width: float, height: float, top: float = 0.9) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels side by side, below room for their titles."""
    figure = plt.figure(figsize=(width, height))
    share = 1 / count
    return figure, [figure.add_axes((k * share + 0.02 * share, 0.02, 0.96 * share, top)) for k in range(count)]


def pictures(
    images: Sequence[Tensor], titles: Sequence[str], colours: Sequence[str | None] = (), width: float = 2.3
) -> Figure:
    """Images (3, h, w) of any sizes side by side, close together, each `width` inches wide and framed in its colour.

    >>> len(pictures([torch.rand(3, 8, 8), torch.rand(3, 4, 4)], ["large", "small"], [None, "black"]).axes)
    2
    """
    figure, row = _panels(len(images), width * len(images), width + 0.25, top=0.96 * width / (width + 0.25))
    for axes, image, title, colour in zip(row, images, titles, colours or [None] * len(images), strict=True):
        draw_image(axes, image, title, colour)
    return figure


def _glow(axes: Axes, attention: Float[Tensor, "a b"]) -> None:
    """The attention over an image that has been drawn, the stronger the less of the image can be seen."""
    strength = attention.float() / attention.max().clamp_min(1e-12)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    axes.imshow(
        strength, cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=0.7 * strength.numpy(), extent=(left, right, bottom, top),
        interpolation="bilinear",
    )  # fmt: skip


def bump(
    size: tuple[int, int], x: float | int, y: float | int, width: float | int, cells: int = 64, floor: float = 0.1
) -> Float[Tensor, "a b"]:
    """A round bump of attention: 1 + floor at its centre, floor far from it, for an image of this (height, width).

    Args:
        x, y: its centre, in shares of the image from the left and from the top.
        width: its standard deviation, in shares of the image's shorter side; below 0.02 it counts as 0.02.
        cells: of the map, along the image's longer side.
        floor: attention everywhere, so that no place is left out altogether.

    >>> attention = bump((100, 200), x=0.25, y=0.5, width=0.1)
    >>> attention.shape, divmod(attention.argmax().item(), 64)[0] in (15, 16)
    (torch.Size([32, 64]), True)
    """
    a, b = (max(1, round(cells * side / max(size))) for side in size)
    spread = max(width, 0.02) * min(size)  # pixels
    across = ((torch.arange(b) + 0.5) / b - x) * size[1] / spread
    down = ((torch.arange(a) + 0.5) / a - y) * size[0] / spread
    return torch.exp(-0.5 * (down[:, None] ** 2 + across[None] ** 2)) + floor


def bump_view(
    image: Float[Tensor, "3 h w"],
    x: float | int,
    y: float | int,
    width: float | int,
    max_zoom: float | int,
    out_size: int = 96,
) -> Figure:
    """An image with a bump of attention, the places where the sampler then reads it, and what comes out.

    Args:
        image: in [0, 1]. One of more than 288 pixels a side is shrunk to that first.
        x, y, width: of the bump, see `bump`.
        max_zoom: see `sampler.sampling_positions`.
        out_size: of the sampled image's longer side, which keeps the image's proportions.

    >>> figure = bump_view(torch.rand(3, 40, 60), x=0.5, y=0.5, width=0.1, max_zoom=4.0)
    >>> [axes.get_title() for axes in figure.axes]
    ['the image, your attention, where it is read', 'sampled, 96 × 64 pixels']
    """
    size = image.shape[1], image.shape[2]
    attention = bump(size, x, y, width)
    rows, columns = (max(1, round(out_size * side / max(size))) for side in size)
    drawn = small_enough(image)
    figure, (left, right) = _panels(2, 6.7, 3.4)
    draw_image(left, drawn, "the image, your attention, where it is read")
    _glow(left, attention)
    grid_and_sample(left, right, drawn, attention, float(max_zoom), (rows, columns))
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
    out_size: int = 48,
) -> Figure:
    """What three knobs do: the map after them, the bent grid with the zoom along its sides, the sampled image.

    Args:
        image: in [0, 1].
        attention: not negative.
        max_zoom: see `sampler.sampling_positions`.
        exponent: the map is raised to it, after blurring or sharpening.
        sharpness: see `sharpen`.
        out_size: of the sampled image.

    >>> figure = sampler_view(torch.rand(3, 24, 24), torch.rand(4, 4), max_zoom=2, exponent=2, sharpness=-1)
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['the map', 'where the image is read', 'sampled, 48 × 48 pixels']
    """
    image = small_enough(image)
    changed = sharpen(attention, sharpness) ** exponent
    figure = plt.figure(figsize=(7.6, 2.7))
    left = figure.add_axes((0.005, 0.02, 0.30, 0.82))
    middle = figure.add_axes((0.345, 0.02, 0.30, 0.82))
    right = figure.add_axes((0.695, 0.02, 0.30, 0.82))
    draw_attention(left, image, changed, "the map")
    draw_image(middle, image, "where the image is read")
    grid_and_sample(middle, right, image, changed, float(max_zoom), (out_size, out_size))
    zoom_x, zoom_y = zoom_profiles(changed[None], (image.shape[1], image.shape[2]), float(max_zoom))
    over = figure.add_axes((0.345, 0.91, 0.30, 0.08))
    beside = figure.add_axes((0.312, 0.02, 0.028, 0.82))
    over.fill_between(torch.arange(zoom_x.shape[1]) + 0.5, zoom_x[0], color=COLOURS["attention"], linewidth=0)
    beside.fill_betweenx(torch.arange(zoom_y.shape[1]) + 0.5, zoom_y[0], color=COLOURS["attention"], linewidth=0)
    over.set(xlim=(0, zoom_x.shape[1]), ylim=(0, 8))
    beside.set(ylim=(zoom_y.shape[1], 0), xlim=(8, 0))
    for axes in (over, beside):
        axes.set_axis_off()
    over.text(-0.03, 0.2, f"highest zoom {float(zoom_x.max()):.1f}", transform=over.transAxes, fontsize=9, ha="right")
    return figure


def channels_overview(
    images: Float[Tensor, "n 3 h w"],
    structure: Float[Tensor, "n a b"],
    structure_images: Float[Tensor, "n 3 s s"],
    details: Float[Tensor, "n k a b"],
    detail_images: Float[Tensor, "n k 3 s s"],
    channels: Sequence[int],
    boxes: Float[Tensor, "n parts 4"],
) -> Figure:
    """One row an image: the image with its parts, its structure map and image, then maps and images of k channels.

    >>> n, k = 2, 3
    >>> figure = channels_overview(
    ...     torch.rand(n, 3, 24, 24), torch.rand(n, 4, 4), torch.rand(n, 3, 8, 8), torch.rand(n, k, 4, 4),
    ...     torch.rand(n, k, 3, 8, 8), [0, 1, 2], torch.zeros(n, 3, 4))
    >>> len(figure.axes)
    18
    """
    count, k = details.shape[:2]
    columns = 3 + 2 * k
    figure, grid = plt.subplots(count, columns, figsize=(1.35 * columns, 1.57 * count), squeeze=False)
    figure.subplots_adjust(0.005, 0.01, 0.995, 1 - 0.24 / (1.57 * count), 0.05, 0.06)
    for number, row in enumerate(grid):
        first = number == 0
        draw_image(row[0], images[number], "image" if first else "")
        draw_boxes(row[0], boxes[number, :-1])
        draw_attention(row[1], images[number], structure[number], "structure" if first else "")
        draw_image(row[2], structure_images[number], "structure image" if first else "", COLOURS["structure"])
        for i in range(k):
            title = f"channel {channels[i]}" if first else ""
            draw_attention(row[3 + 2 * i], images[number], details[number, i], title)
            title = "detail image" if first else ""
            draw_image(row[4 + 2 * i], detail_images[number, i], title, COLOURS["detail"])
    return figure
