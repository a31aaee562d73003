"""Figures of the attention sampler: zoom, cumulative sum and its inverse, bent grids, sampled images.

Axes are fixed by hand instead of laid out by a solver: that halves the time of a picture, and sliders draw these.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import seaborn
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from tasnlib.plots.style import ATTENTION_MAP, COLOURS, draw_attention, draw_boxes, draw_image
from tasnlib.sampler import attention_sample, sampling_positions, zoom_profiles

GRID_LINES = 16  # drawn along each axis
_LARGEST_DRAWN = 288  # pixels a side; larger images are drawn smaller, which nobody sees at this size


def _panels(count: int, width: float, height: float, top: float = 0.9) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels side by side, below room for their titles."""
    figure = plt.figure(figsize=(width, height))
    share = 1 / count
    return figure, [figure.add_axes((k * share + 0.02 * share, 0.02, 0.96 * share, top)) for k in range(count)]


def _small_enough(image: Tensor) -> Tensor:
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

    >>> axes = plt.figure().add_subplot()
    >>> draw_grid(axes, torch.tensor([1.0, 3.0]), torch.tensor([2.0]), (8, 8), "white")
    >>> len(axes.collections)
    2
    """
    axes.vlines(x.tolist(), 0, size[0], colors=colour, linewidth=0.8, alpha=alpha)
    axes.hlines(y.tolist(), 0, size[1], colors=colour, linewidth=0.8, alpha=alpha)


def _glow(axes: Axes, attention: Float[Tensor, "a b"]) -> None:
    """The attention over an image that has been drawn, the stronger the less of the image can be seen."""
    strength = attention.float() / attention.max().clamp_min(1e-12)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    axes.imshow(
        strength, cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=0.7 * strength.numpy(), extent=(left, right, bottom, top),
        interpolation="bilinear",
    )  # fmt: skip


def _grid_and_sample(
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
    drawn = _small_enough(image)
    figure, (left, right) = _panels(2, 6.7, 3.4)
    draw_image(left, drawn, "the image, your attention, where it is read")
    _glow(left, attention)
    _grid_and_sample(left, right, drawn, attention, float(max_zoom), (rows, columns))
    return figure


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


def zoom_on_a_line(zoom: Float[Tensor, " size"], plain: Float[Tensor, " n"], chosen: Float[Tensor, " n"]) -> Figure:
    """A zoom over a line of pixels, and below it where plain resizing and the sampler read that line.

    >>> len(zoom_on_a_line(torch.tensor([0.5, 0.5, 2.0]), torch.tensor([0.75, 2.25]), torch.tensor([1.4, 2.6])).axes)
    2
    """
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 3), height_ratios=(2, 1), sharex=True, layout="constrained")
    _zoom_bars(above, zoom)
    above.axhline(1, color="black", linestyle=":", linewidth=1)
    rows = ((1, plain, COLOURS["downsampled"], "plain"), (0, chosen, COLOURS["structure"], "sampler"))
    for height, positions, colour, name in rows:
        below.scatter(positions, torch.full_like(positions, height), color=colour, s=34, zorder=3, clip_on=False)
        below.axhline(height, color=colour, linewidth=0.8)
        below.text(-0.15, height, name, color=colour, ha="right", va="center")
    below.set(ylim=(-0.6, 1.6), yticks=[], xlabel="place on the line, in pixels", xticks=range(len(zoom) + 1))
    seaborn.despine(ax=below, left=True)
    return figure


def _zoom_bars(axes: Axes, zoom: Float[Tensor, " size"], colour: str = COLOURS["attention"]) -> None:
    axes.bar(torch.arange(len(zoom)) + 0.5, zoom, width=1.0, color=colour, alpha=0.8, edgecolor="white", linewidth=0.6)
    axes.set(xlim=(0, len(zoom)), ylabel="zoom")
    seaborn.despine(ax=axes)


def marginals(attention: Float[Tensor, "h w"]) -> Figure:
    """An attention map with its marginals by maximum, and the same map with its marginals by sum; each of mean 1.

    >>> len(marginals(torch.rand(5, 6)).axes)
    6
    """
    figure = plt.figure(figsize=(9, 3.9))
    h, w = attention.shape
    ways = (("maximum", attention.amax(0), attention.amax(1)), ("sum", attention.sum(0), attention.sum(1)))
    for k, (name, across, down) in enumerate(ways):
        left = 0.06 + 0.5 * k
        box = figure.add_axes((left, 0.06, 0.27, 0.62))
        box.imshow(attention, cmap=ATTENTION_MAP, extent=(0, w, h, 0), aspect="auto")
        box.set(xticks=[], yticks=[])
        over = figure.add_axes((left, 0.70, 0.27, 0.2), sharex=box)
        _zoom_bars(over, across / across.mean())
        over.set_title(f"marginals by {name}", fontsize=11)
        over.tick_params(labelbottom=False, bottom=False)
        beside = figure.add_axes((left + 0.28, 0.06, 0.1, 0.62), sharey=box)
        beside.barh(
            torch.arange(h) + 0.5,
            down / down.mean(),
            height=1.0,
            color=COLOURS["attention"],
            alpha=0.8,
            edgecolor="white",
        )
        beside.tick_params(labelleft=False, left=False)
        beside.set(xlabel="zoom", ylim=(h, 0))
        seaborn.despine(ax=beside)
    top = max(axes.get_ylim()[1] for axes in figure.axes[1::3])
    right = max(axes.get_xlim()[1] for axes in figure.axes[2::3])
    for axes in figure.axes[1::3]:
        axes.set_ylim(0, top)
    for axes in figure.axes[2::3]:
        axes.set_xlim(0, right)
    return figure


def cap_bars(zooms: Sequence[Float[Tensor, " n"]], titles: Sequence[str], cap: float) -> Figure:
    """Zooms side by side with their values, under the same cap.

    >>> len(cap_bars([torch.ones(4), torch.ones(4)], ["before", "after"], cap=1.5).axes)
    2
    """
    figure, row = plt.subplots(
        1, len(zooms), figsize=(2.9 * len(zooms), 2.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, zoom, title in zip(row[0], zooms, titles, strict=True):
        _zoom_bars(axes, zoom)
        axes.axhline(cap, color=COLOURS["detail"], linewidth=1.5)
        for j, value in enumerate(zoom.tolist()):
            axes.text(
                j + 0.5,
                value + 0.06,
                f"{value:.3g}",
                ha="center",
                fontsize=9,
                bbox={"fc": "white", "ec": "none", "pad": 0.5},
            )
        axes.set_title(f"{title}\nmean {zoom.mean():.3g}", fontsize=10)
        axes.set(xticks=[], xlabel="pixel", ylabel="zoom" if axes is row[0, 0] else "", ylim=(0, 2.6))
    return figure


def inverse_cumulative(zoom: Float[Tensor, " size"], out_size: int) -> Figure:
    """The sampler in one picture: the zoom, its cumulative sum F, equal steps up the side, read off along the floor.

    >>> len(inverse_cumulative(torch.tensor([0.5, 1.5, 1.5, 0.5]), out_size=4).axes)
    2
    """
    size = len(zoom)
    at_edges = F.pad(zoom.cumsum(0), (1, 0))  # (size + 1,)
    levels = (torch.arange(out_size) + 0.5) / out_size * at_edges[-1]
    pixel = torch.searchsorted(at_edges[1:].contiguous(), levels).clamp_max(size - 1)
    positions = pixel + (levels - at_edges[pixel]) / zoom[pixel]
    figure, (axes, below) = plt.subplots(2, 1, figsize=(7, 6), height_ratios=(3, 1), sharex=True, layout="constrained")
    axes.plot(range(size + 1), at_edges, "o-", color="black", linewidth=2, markersize=4, zorder=4)
    for level, position in zip(levels.tolist(), positions.tolist(), strict=True):
        axes.plot([0, position], [level, level], "--", color=COLOURS["downsampled"], linewidth=1)
        axes.annotate(
            "", (position, 0), (position, level),
            arrowprops={
                "arrowstyle": "-|>", "color": COLOURS["structure"], "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0,
            },
        )  # fmt: skip
        axes.plot(position, level, "o", color=COLOURS["structure"], zorder=5)
        axes.text(position + 0.07, 0.12, f"{position:.3g}", color=COLOURS["structure"], fontsize=10)
        axes.text(0.06, level + 0.08, f"{level:.3g}", color=COLOURS["downsampled"], fontsize=10)
    axes.set(xlim=(0, size), ylim=(0, size), xticks=range(size + 1), yticks=range(size + 1))
    axes.set(
        ylabel="F, the zoom summed up from the left", title="equal steps up the side, uneven steps along the floor"
    )
    for edge, height in enumerate(at_edges.tolist()):
        axes.annotate(f"{height:.3g}", (edge, height), (-4, 5), textcoords="offset points", ha="right", fontsize=9)
    axes.tick_params(labelbottom=True)
    seaborn.despine(ax=axes)
    _zoom_bars(below, zoom)
    for j, value in enumerate(zoom.tolist()):
        below.text(j + 0.5, value + 0.06, f"{value:.3g}", ha="center", fontsize=9)
    below.set(ylim=(0, float(zoom.max()) * 1.25), xlabel="place on the line, in pixels")
    return figure


def reading(values: Float[Tensor, " size"], positions: Float[Tensor, " n"], read: Float[Tensor, " n"]) -> Figure:
    """A line of pixels, the straight lines between their centres, and the values read at positions between them.

    >>> len(reading(torch.rand(8), torch.tensor([2.0, 3.5]), torch.rand(2)).axes)
    1
    """
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    size = len(values)
    axes.bar(torch.arange(size) + 0.5, values, width=1.0, color="#DDDDDD", edgecolor="white")
    centres = [0, *[j + 0.5 for j in range(size)], size]
    line = [values[0], *values, values[-1]]
    axes.plot(centres, line, color=COLOURS["downsampled"], linewidth=1)
    axes.scatter(centres[1:-1], values, color=COLOURS["downsampled"], s=14)
    axes.vlines(positions, 0, read, color=COLOURS["structure"], linewidth=1)
    axes.scatter(positions, read, color=COLOURS["structure"], zorder=4)
    for x, value in zip(positions.tolist(), read.tolist(), strict=True):
        axes.text(
            x, value + 0.03 * float(values.max()), f"{value:.3g}", color=COLOURS["structure"], ha="center", va="bottom"
        )
    axes.set(xlim=(0, size), xticks=range(size + 1), xlabel="place on the line, in pixels", ylabel="value")
    axes.set_ylim(0, float(values.max()) * 1.2)
    seaborn.despine(ax=axes)
    return figure


def matrices(
    a_y: Float[Tensor, "n h"], image: Float[Tensor, "h w"], a_x: Float[Tensor, "m w"], sampled: Float[Tensor, "n m"]
) -> Figure:
    """The sampler as a product of matrices: A_y · image · A_xᵀ = sampled image.

    >>> len(matrices(torch.rand(2, 4), torch.rand(4, 6), torch.rand(3, 6), torch.rand(2, 3)).axes)
    4
    """
    shown = (("$A_y$", a_y), ("image $I$", image), ("$A_x^T$", a_x.T), ("sampled image", sampled))
    figure, row = plt.subplots(
        1, 4, figsize=(10, 2.9), width_ratios=[values.shape[1] for _, values in shown], layout="constrained"
    )
    for axes, (title, values), sign in zip(row, shown, ("·", "·", "=", ""), strict=True):
        weights = title.startswith("$A")
        axes.imshow(values, cmap="Blues" if weights else "gray", vmin=0, vmax=1 if weights else float(image.max()))
        if weights:
            for i, j in (values > 0).nonzero().tolist():
                colour = "white" if values[i, j] > 0.6 else "black"
                axes.text(j, i, f"{values[i, j]:.1f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_title(f"{title}\n{values.shape[0]} × {values.shape[1]}", fontsize=10)
        axes.set(xticks=[], yticks=[])
        if sign:
            axes.text(1.04, 0.5, sign, transform=axes.transAxes, fontsize=16, va="center")
    return figure


def density(zoom: Float[Tensor, " size"], positions: Float[Tensor, " n"], draws: Float[Tensor, " many"]) -> Figure:
    """The zoom as the density of a random place: its histogram over many draws, and the quantiles the sampler takes.

    >>> len(density(torch.tensor([0.5, 1.5]), torch.tensor([0.7, 1.5]), torch.rand(100) * 2).axes)
    1
    """
    figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
    size = len(zoom)
    edges = [j / 2 for j in range(2 * size + 1)]
    axes.hist(draws.numpy(), bins=edges, density=True, color=COLOURS["attention"], alpha=0.35, label="random draws")
    steps = torch.cat([zoom, zoom[-1:]]) / size
    axes.step(range(size + 1), steps, where="post", color=COLOURS["attention"], linewidth=2, label="density: zoom / W")
    axes.vlines(positions, 0, 1.12 * float(steps.max()), color=COLOURS["structure"], linewidth=1.5, label="quantiles")
    axes.set(xlim=(0, size), xlabel="place on the line, in pixels", ylabel="density")
    axes.legend(frameon=False, loc="upper right", fontsize=9)
    seaborn.despine(ax=axes)
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


def reached(curves: dict[str, Float[Tensor, " draws"]]) -> Figure:
    """The share of parts that have been magnified more than in the structure image, after 1, 2, 3, … random channels.

    >>> len(reached({"head": torch.linspace(0.2, 0.9, 8), "wing": torch.linspace(0.1, 0.8, 8)}).axes)
    1
    """
    figure, axes = plt.subplots(figsize=(6.5, 2.9), layout="constrained")
    for (name, shares), style in zip(curves.items(), ("o-", "s--", "^:", "d-."), strict=False):
        axes.plot(
            range(1, len(shares) + 1),
            100 * shares,
            style,
            color=COLOURS["detail"],
            label=name,
            markersize=4,
            linewidth=1,
        )
    axes.set_title("birds whose part was at least once larger than in the structure image", fontsize=10)
    axes.set(xlabel="random channels drawn so far", ylabel="% of birds", ylim=(0, 102), xlim=(0, None))
    axes.legend(frameon=False, loc="lower right")
    seaborn.despine(ax=axes)
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
    image = _small_enough(image)
    changed = sharpen(attention, sharpness) ** exponent
    figure = plt.figure(figsize=(7.6, 2.7))
    left = figure.add_axes((0.005, 0.02, 0.30, 0.82))
    middle = figure.add_axes((0.345, 0.02, 0.30, 0.82))
    right = figure.add_axes((0.695, 0.02, 0.30, 0.82))
    draw_attention(left, image, changed, "the map")
    draw_image(middle, image, "where the image is read")
    _grid_and_sample(middle, right, image, changed, float(max_zoom), (out_size, out_size))
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
