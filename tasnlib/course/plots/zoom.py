"""Figures of the sampler along a line: the zoom, its limit, its cumulative sum and the inverse, and the reading."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import seaborn
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from tasnlib.course.plots.style import ATTENTION_MAP, COLOURS


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
