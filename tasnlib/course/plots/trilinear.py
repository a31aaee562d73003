"""Figures of notebook 02: what trilinear attention makes of feature maps, and what one cell of a map can see.

Grey is a channel's raw map, green the trilinear map that the attention network hands on.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import seaborn
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.attention import bilinear_attention
from tasnlib.course.plots.style import ATTENTION_MAP, COLOURS, draw_attention, draw_boxes, draw_image
from tasnlib.research.localization import attention_mass

RAW, TRILINEAR, UNIFORM = COLOURS["downsampled"], COLOURS["attention"], "#000000"


def _heat(axes: Axes, values: Float[Tensor, "h w"], title: str, largest: float, colour: str = "black") -> None:
    """A small map with its numbers in its cells."""
    axes.imshow(values.numpy(), cmap=ATTENTION_MAP, vmin=0, vmax=largest)
    for row, numbers in enumerate(values.tolist()):
        for column, value in enumerate(numbers):
            ink = "black" if value > 0.6 * largest else "white"
            axes.text(column, row, f"{value:.2g}", ha="center", va="center", color=ink, fontsize=11)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=11, color=colour)


def weighted_mean(
    maps: Float[Tensor, "c h w"], weights: Float[Tensor, "k c"], names: Sequence[str], rows: Sequence[str]
) -> Figure:
    """The sum that trilinear attention is, written in pictures: one line for each row of weights.

    Args:
        maps: the channels' feature maps, not negative.
        weights: the rows of R to be shown.
        names: of the channels.
        rows: of the channels whose map is made.

    >>> weighted_mean(torch.eye(2)[None].repeat(3, 1, 1), torch.full((2, 3), 1 / 3), "ABC", "AB").axes.__len__()
    8
    """
    count, channels = weights.shape
    figure, grid = plt.subplots(
        count, channels + 1, figsize=(2.0 * (channels + 1), 2.0 * count), squeeze=False, layout="constrained"
    )
    largest = maps.max().item()
    for line, row, name in zip(grid, weights, rows, strict=True):
        for number, axes in enumerate(line[:-1]):
            sign = "" if number == 0 else "+  "
            _heat(axes, maps[number], f"{sign}{row[number]:.2f} × {names[number]}", largest)
        _heat(line[-1], (row[:, None, None] * maps).sum(0), f"=  new map of {name}", largest, TRILINEAR)
    return figure


def maps_on_image(
    image: Float[Tensor, "3 height width"],
    maps: Sequence[Tensor],
    titles: Sequence[str],
    boxes: Float[Tensor, "parts 4"] | None = None,
    smooth: bool = True,
) -> Figure:
    """Attention maps of any sizes over an image, side by side.

    Args:
        maps: (h, w) each, not negative; each is drawn up to its own maximum.
        titles: one a map.
        boxes: drawn on every picture.
        smooth: False shows the cells as squares.

    >>> len(maps_on_image(torch.rand(3, 8, 8), [torch.rand(4, 4), torch.rand(2, 2)], ["fine", "coarse"]).axes)
    2
    """
    figure, grid = plt.subplots(1, len(maps), figsize=(2.5 * len(maps), 2.8), squeeze=False, layout="constrained")
    row = grid[0]
    for axes, attention, title in zip(row, maps, titles, strict=True):
        if not smooth:
            repeats = -(-image.shape[1] // attention.shape[0])
            attention = attention.repeat_interleave(repeats, 0).repeat_interleave(repeats, 1)
        draw_attention(axes, image, attention, title)
    if boxes is not None:
        for axes in row:
            draw_boxes(axes, boxes)
    return figure


def before_and_after(
    image: Float[Tensor, "3 height width"],
    raw: Float[Tensor, "k h w"],
    trilinear: Float[Tensor, "k h w"],
    names: Sequence[str],
    box: Float[Tensor, "4"],
) -> Figure:
    """Raw maps above, trilinear maps below, one column a channel; each title says how much of the map is in the box.

    >>> maps = torch.rand(2, 4, 4)
    >>> len(before_and_after(torch.rand(3, 8, 8), maps, maps, ["a", "b"], torch.tensor([0.0, 0, 4, 4])).axes)
    6
    """
    count, size = len(raw), image.shape[-1]
    figure, grid = plt.subplots(2, count + 1, figsize=(2.5 * (count + 1), 5.4), layout="constrained")
    draw_image(grid[0, 0], image, "image")
    grid[1, 0].set_axis_off()
    for line, maps, kind, colour in ((grid[0], raw, "raw", RAW), (grid[1], trilinear, "trilinear", TRILINEAR)):
        shares = attention_mass(maps, box.expand(count, 1, 4), size)[:, 0]
        for axes, attention, name, share in zip(line[1:], maps, names, shares, strict=True):
            inside = f"{share:.0%} in the box" if attention.max() > 0 else "silent"
            draw_attention(axes, image, attention)
            axes.set_title(f"{name}\n{kind}: {inside}", fontsize=10, color=colour)
    for axes in (grid[0, 0], *grid[:, 1:].flat):
        draw_boxes(axes, box[None])
    return figure


def share_bars(
    raw: Mapping[str, float], trilinear: Mapping[str, float], uniform: float, what: str = "bird's box"
) -> Figure:
    """The share of a map's mass inside a box, raw beside trilinear, with the uniform map as a line.

    >>> len(share_bars({"normal": 0.6}, {"normal": 0.8}, uniform=0.1).axes)
    1
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    for side, shares, label, colour in ((-0.2, raw, "raw map", RAW), (0.2, trilinear, "trilinear map", TRILINEAR)):
        for number, share in enumerate(shares.values()):
            axes.bar(number + side, 100 * share, 0.36, color=colour, label=label if number == 0 else None)
            axes.text(number + side, 100 * share + 1, f"{100 * share:.0f}", ha="center", fontsize=10)
    axes.axhline(100 * uniform, color=UNIFORM, linestyle=":", label=f"uniform map ({100 * uniform:.0f} %)")
    axes.set(ylim=(0, 100), ylabel=f"% of the map inside the {what}")
    axes.set_xticks(range(len(raw)), list(raw))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    seaborn.despine(ax=axes)
    return figure


def noise_curve(
    levels: Sequence[float], raw: Sequence[float], trilinear: Sequence[float], own: Sequence[float], uniform: float
) -> Figure:
    """How both maps fare as a channel gets noisier, beside the weight that the channel gives to itself.

    Args:
        levels: of the noise, in units of feature values.
        raw, trilinear: shares of the maps inside the bird's box, from 0 to 1, one a level.
        own: R's entry for the channel with itself, one a level.
        uniform: what a uniform map gets.

    >>> len(noise_curve([0, 1], [0.6, 0.2], [0.8, 0.5], [0.1, 0.6], uniform=0.1).axes)
    2
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    left.plot(levels, [100 * share for share in raw], "o-", color=RAW, label="raw map")
    left.plot(levels, [100 * share for share in trilinear], "o-", color=TRILINEAR, label="trilinear map")
    left.axhline(100 * uniform, color=UNIFORM, linestyle=":", label="uniform map")
    left.set(xlabel="noise level", ylabel="% of the map inside the bird's box", ylim=(0, 100), title="The map")
    left.legend(frameon=False)
    right.plot(levels, own, "o-", color=TRILINEAR)
    right.set(xlabel="noise level", ylabel="weight", ylim=(0, 1), title="Weight of the noisy channel in its own row")
    for axes in (left, right):
        seaborn.despine(ax=axes)
    return figure


def explain_channel(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    channel: int,
    scale: float,
    box: Float[Tensor, "4"],
) -> Figure:
    """One channel: its raw map, its row of R, and the trilinear map that the row makes. For a slider.

    The weights' axis ends at 0.4, or at 1 where a weight is larger, so that pictures beside one another compare.

    >>> len(explain_channel(torch.rand(3, 8, 8), torch.rand(5, 4, 4), 2, 7.0, torch.tensor([0.0, 0, 4, 4])).axes)
    3
    """
    row = bilinear_attention(features[None], scale)[0, channel]  # (c,)
    trilinear = torch.einsum("c,chw->hw", row, features)
    raw, size = features[channel], image.shape[-1]
    # Margins by hand: finding them ("constrained") would take as long as all the drawing.
    figure, (first, middle, last) = plt.subplots(1, 3, figsize=(9, 2.7), width_ratios=(1, 1.4, 1))
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.17, top=0.9, wspace=0.18)
    for axes, attention, kind, colour in ((first, raw, "raw", RAW), (last, trilinear, "trilinear", TRILINEAR)):
        share = attention_mass(attention[None], box[None, None], size).item()
        inside = f"{share:.0%} in the box" if attention.max() > 0 else "silent"
        draw_attention(axes, image, attention)
        draw_boxes(axes, box[None])
        axes.set_title(f"{kind} map: {inside}", fontsize=10, color=colour)
    middle.vlines(range(len(row)), 0, row.numpy(), color=TRILINEAR, linewidth=4)
    middle.vlines(channel, 0, row[channel].item(), color=COLOURS["detail"], linewidth=4)
    middle.set(xlabel="channel (orange: itself)", ylim=(0, 0.4 if row.max() <= 0.4 else 1))
    middle.set_title(f"weights: row {channel} of R, s = {scale:g}", fontsize=10)
    seaborn.despine(ax=middle)
    return figure


def receptive_fields(fields: Mapping[str, Float[Tensor, "h w"]]) -> Figure:
    """Which inputs change one output: the size of the gradient, square-rooted to show small ones, black where it is 0.

    >>> len(receptive_fields({"one": torch.eye(5), "two": torch.ones(7, 7)}).axes)
    2
    """
    figure, row = plt.subplots(1, len(fields), figsize=(2.3 * len(fields), 2.7), squeeze=False, layout="constrained")
    for axes, (name, field) in zip(row[0], fields.items(), strict=True):
        height, width = field.shape
        shown = (field / field.max()).sqrt().numpy()
        axes.imshow(shown, cmap=ATTENTION_MAP, vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
        axes.set(xticks=[0, width], yticks=[])
        axes.set_title(name, fontsize=10)
    return figure
