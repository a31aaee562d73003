"""Figures of the sampler along a line: the zoom, its limit, its cumulative sum and the inverse, and the reading."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from tasnlib.course.plots.style import ATTENTION_MAP, COLOURS
from tasnlib.sampler import invert_zoom

POSITION = "position on the line, in pixels"


def _zoom_bars(axes: Axes, zoom: Float[Tensor, " size"]) -> BarContainer:
    centres = torch.arange(len(zoom)) + 0.5
    bars = axes.bar(centres, zoom, width=1.0, color=COLOURS["attention"], alpha=0.8, edgecolor="white")
    axes.set(xlim=(0, len(zoom)), ylabel="zoom")
    return bars


def zoom_on_a_line(zoom: Float[Tensor, " size"], plain: Float[Tensor, " n"], chosen: Float[Tensor, " n"]) -> Figure:
    """A zoom over a line of pixels, and below it where plain resizing and the sampler read that line.

    >>> len(zoom_on_a_line(torch.tensor([0.5, 0.5, 2.0]), torch.tensor([0.75, 2.25]), torch.tensor([1.4, 2.6])).axes)
    2
    """
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 3), height_ratios=(2, 1), sharex=True, layout="constrained")
    _zoom_bars(above, zoom)
    above.axhline(1, color="black", linestyle=":", linewidth=1)
    rows = ((1, plain, COLOURS["downsampled"], "plain resizing"), (0, chosen, COLOURS["structure"], "sampler"))
    for height, positions, colour, name in rows:
        below.scatter(positions, torch.full_like(positions, height), color=colour, s=34, zorder=3, clip_on=False)
        below.axhline(height, color=colour, linewidth=0.8)
        below.text(-0.15, height, name, color=colour, ha="right", va="center")
    below.set(ylim=(-0.6, 1.6), yticks=[], xlabel=POSITION, xticks=range(len(zoom) + 1))
    below.spines["left"].set_visible(False)
    return figure


def marginals(attention: Float[Tensor, "h w"]) -> Figure:
    """An attention map with its marginals by maximum, and the same map with its marginals by sum; each of mean 1.

    >>> len(marginals(torch.rand(5, 6)).axes)
    6
    """
    h, w = attention.shape
    ways = {"maximum": (attention.amax(0), attention.amax(1)), "sum": (attention.sum(0), attention.sum(1))}
    across = [(x / x.mean()) for x, _ in ways.values()]
    down = [(y / y.mean()) for _, y in ways.values()]
    figure = plt.figure(figsize=(9, 3.9), layout="constrained")
    panels = figure.subfigures(1, 2, wspace=0.06, squeeze=False)
    for panel, name, x, y in zip(panels[0], ways, across, down, strict=True):
        axes = panel.subplot_mosaic([["over", "."], ["map", "beside"]], width_ratios=(3, 1), height_ratios=(1, 3))
        axes["map"].imshow(attention, cmap=ATTENTION_MAP, extent=(0, w, h, 0), aspect="auto")
        axes["map"].set(xticks=[], yticks=[])
        _zoom_bars(axes["over"], x)
        axes["over"].set(xticks=[], ylim=(0, 1.05 * max(zoom.max() for zoom in across)))
        axes["over"].set_title(f"marginals by {name}", fontsize=11)
        places = torch.arange(h) + 0.5
        axes["beside"].barh(places, y, height=1.0, color=COLOURS["attention"], alpha=0.8, edgecolor="white")
        axes["beside"].set(yticks=[], xlabel="zoom", ylim=(h, 0), xlim=(0, 1.05 * max(zoom.max() for zoom in down)))
    return figure


def cap_bars(zooms: Sequence[Float[Tensor, " n"]], titles: Sequence[str], cap: float) -> Figure:
    """Zooms side by side with their values, under the same cap.

    >>> len(cap_bars([torch.ones(4), torch.ones(4)], ["before", "after"], cap=1.5).axes)
    2
    """
    size = (2.9 * len(zooms), 2.6)
    figure, row = plt.subplots(1, len(zooms), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axes, zoom, title in zip(row[0], zooms, titles, strict=True):
        bars = _zoom_bars(axes, zoom)
        axes.axhline(cap, color=COLOURS["detail"], linewidth=1.5)
        axes.bar_label(bars, fmt="%.3g", padding=2, fontsize=9, bbox={"fc": "white", "ec": "none", "pad": 0.5})
        axes.set_title(f"{title}\nmean {zoom.mean():.3g}", fontsize=10)
        axes.set(xticks=[], xlabel="pixel", ylabel="zoom" if axes is row[0, 0] else "", ylim=(0, 2.6))
    return figure


def inverse_cumulative(zoom: Float[Tensor, " size"], out_size: int) -> Figure:
    """The sampler in one picture: the zoom, its cumulative sum F, equal steps up the side, positions along the floor.

    >>> len(inverse_cumulative(torch.tensor([0.5, 1.5, 1.5, 0.5]), out_size=4).axes)
    2
    """
    size, blue, grey = len(zoom), COLOURS["structure"], COLOURS["downsampled"]
    at_edges = F.pad(zoom.cumsum(0), (1, 0))  # (size + 1,)
    shares = (torch.arange(out_size) + 0.5) / out_size
    levels, positions = shares * at_edges[-1], invert_zoom(zoom[None], shares)[0]
    figure, (axes, below) = plt.subplots(2, 1, figsize=(7, 6), height_ratios=(3, 1), sharex=True, layout="constrained")
    axes.plot(range(size + 1), at_edges, "o-", color="black", linewidth=2, markersize=4, zorder=4)
    axes.hlines(levels, 0, positions, color=grey, linestyle="--", linewidth=1)
    arrow = {"arrowstyle": "-|>", "color": blue, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
    for level, position in zip(levels.tolist(), positions.tolist(), strict=True):
        axes.annotate("", (position, 0), (position, level), arrowprops=arrow)
        axes.plot(position, level, "o", color=blue, zorder=5)
        axes.text(position + 0.07, 0.12, f"{position:.3g}", color=blue, fontsize=10)
        axes.text(0.06, level + 0.08, f"{level:.3g}", color=grey, fontsize=10)
    for edge, height in enumerate(at_edges.tolist()):
        axes.annotate(f"{height:.3g}", (edge, height), (-4, 5), textcoords="offset points", ha="right", fontsize=9)
    axes.set(xlim=(0, size), ylim=(0, size), xticks=range(size + 1), yticks=range(size + 1))
    axes.set(ylabel="F, the cumulative zoom", title="equal steps up the side, unequal steps along the floor")
    axes.tick_params(labelbottom=True)
    below.bar_label(_zoom_bars(below, zoom), fmt="%.3g", padding=1, fontsize=9)
    below.set(ylim=(0, float(zoom.max()) * 1.25), xlabel=POSITION)
    return figure


def reading(values: Float[Tensor, " size"], positions: Float[Tensor, " n"], read: Float[Tensor, " n"]) -> Figure:
    """A line of pixels, the straight lines between their centres, and the values read at positions between them.

    >>> len(reading(torch.rand(8), torch.tensor([2.0, 3.5]), torch.rand(2)).axes)
    1
    """
    size, blue, grey = len(values), COLOURS["structure"], COLOURS["downsampled"]
    centres = torch.arange(size) + 0.5
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axes.bar(centres, values, width=1.0, color="#DDDDDD", edgecolor="white")
    axes.plot([0, *centres, size], [values[0], *values, values[-1]], color=grey, linewidth=1)
    axes.scatter(centres, values, color=grey, s=14)
    axes.vlines(positions, 0, read, color=blue, linewidth=1)
    axes.scatter(positions, read, color=blue, zorder=4)
    for x, value in zip(positions.tolist(), read.tolist(), strict=True):
        axes.text(x, value + 0.03 * float(values.max()), f"{value:.3g}", color=blue, ha="center", va="bottom")
    axes.set(xlim=(0, size), xticks=range(size + 1), xlabel=POSITION, ylabel="value")
    axes.set_ylim(0, float(values.max()) * 1.2)
    return figure


def density(zoom: Float[Tensor, " size"], positions: Float[Tensor, " n"], draws: Float[Tensor, " many"]) -> Figure:
    """The zoom as the density of a random position: a histogram of many draws, and the quantiles the sampler takes.

    >>> len(density(torch.tensor([0.5, 1.5]), torch.tensor([0.7, 1.5]), torch.rand(100) * 2).axes)
    1
    """
    figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
    size, green = len(zoom), COLOURS["attention"]
    edges = [j / 2 for j in range(2 * size + 1)]
    axes.hist(draws.numpy(), bins=edges, density=True, color=green, alpha=0.35, label="random draws")
    axes.stairs(zoom / size, range(size + 1), color=green, linewidth=2, label="density: zoom / W")
    axes.vlines(positions, 0, 1.12 * float(zoom.max()) / size, color=COLOURS["structure"], label="quantiles")
    axes.set(xlim=(0, size), xlabel=POSITION, ylabel="density")
    axes.legend(loc="upper right", fontsize=9)
    return figure
