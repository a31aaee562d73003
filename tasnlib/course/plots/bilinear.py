"""Figures of notebook 01: tables of numbers, channels over birds, and where a channel fires.

Those of its first part, stripes that vanish, are in `plots.aliasing`; the notebook finds them here too.
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
from tasnlib.course.plots.aliasing import sampled_wave, vanishing_stripes
from tasnlib.course.plots.style import ATTENTION_MAP, COLOURS, draw_boxes, draw_image

__all__ = [
    "channel_gallery",
    "channel_maps",
    "number_tables",
    "relations",
    "sampled_wave",
    "shares_against",
    "vanishing_stripes",
    "where_and_who",
]


def number_tables(
    tables: Sequence[Float[Tensor, "_ _"]],
    titles: Sequence[str],
    digits: int = 0,
    between: str = "",
    rows: str = "",
    columns: str | Sequence[str] = "",
) -> Figure:
    """Tables of numbers side by side, each number on a colour of its own. Each table has its own colour scale.

    Args:
        tables: of any sizes.
        titles: one each.
        digits: behind the point.
        between: a sign for each gap between two tables, such as "+=" for a sum of two and its result.
        rows, columns: what they are, as in "channel i"; with a name they are numbered. One name of the
            columns serves all tables, or each has its own.

    >>> figure = number_tables([torch.eye(2), torch.ones(2, 3)], ["one", "two"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '0', '0', '1']
    """
    columns = [columns] * len(tables) if isinstance(columns, str) else columns
    widths = [table.shape[1] + 0.8 for table in tables]
    height = max(table.shape[0] for table in tables)
    figure, row = plt.subplots(
        1, len(tables), figsize=(0.62 * sum(widths) + 0.6, 0.62 * height + 0.9),
        width_ratios=widths, squeeze=False, layout="constrained",
    )  # fmt: skip
    for number, (axes, table, title) in enumerate(zip(row[0], tables, titles, strict=True)):
        low, high = min(0.0, table.min().item()), max(table.max().item(), 1e-12)
        axes.imshow(table.detach().numpy(), cmap=ATTENTION_MAP, vmin=low, vmax=1.15 * high)
        for i, values in enumerate(table.tolist()):
            for j, value in enumerate(values):
                colour = "white" if value < 0.6 * high else "black"
                axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color=colour, size=11)
        axes.set_title(title, fontsize=10)
        axes.set_xticks(range(table.shape[1]) if columns[number] else [])
        axes.set_yticks(range(table.shape[0]) if rows and number == 0 else [])
        axes.tick_params(length=0, labelsize=9)
        axes.set_xlabel(columns[number], fontsize=9)
        if between and number:
            place = (-0.5 - 0.13 * table.shape[1], (table.shape[0] - 1) / 2)
            axes.text(*place, between[number - 1], ha="center", va="center", size=14)
    row[0][0].set_ylabel(rows, fontsize=9)
    return figure


def _draw_channel(axes: Axes, image: Tensor, channel: Tensor, peak: float) -> None:
    """One channel over the grey image, cell by cell, bright at `peak`: several are compared by one scale.

    Where the channel is silent the image shows through, so that its part can be recognised.
    """
    height, width = image.shape[1:]
    area = (0, width, height, 0)
    share = (channel.detach().cpu() / max(peak, 1e-12)).clamp(0, 1)
    axes.imshow(image.detach().mean(0).cpu(), cmap="gray", vmin=0, vmax=1, extent=area)
    axes.imshow(share, cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=(0.3 + 0.6 * share.sqrt()).numpy(), extent=area)
    axes.set(xticks=[], yticks=[])


def channel_maps(
    images: Float[Tensor, "n 3 height width"],
    features: Float[Tensor, "n c h w"],
    channels: Sequence[int],
    boxes: Float[Tensor, "n parts 4"] | None = None,
    names: Mapping[int, str] | None = None,
    titles: Sequence[str] = (),
) -> Figure:
    """Some channels over some images: a column each image, a row each channel, one brightness scale a row.

    Under the name of the channel stands the value that is drawn brightest.

    >>> figure = channel_maps(torch.rand(2, 3, 24, 24), torch.rand(2, 5, 4, 4), [3, 0], names={3: "head"})
    >>> len(figure.axes), figure.axes[2].get_ylabel().split()[:2]
    (6, ['channel', '3'])
    """
    count = len(images)
    figure, grid = plt.subplots(
        1 + len(channels), count, figsize=(1.75 * count + 0.7, 1.75 * (1 + len(channels))),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for column in range(count):
        draw_image(grid[0, column], images[column])
        grid[0, column].set_title(titles[column] if titles else "", fontsize=9)
    for axes, channel in zip(grid[1:], channels, strict=True):
        peak = features[:, channel].max().item()
        for column in range(count):
            _draw_channel(axes[column], images[column], features[column, channel], peak)
        name = (names or {}).get(channel, "")
        axes[0].set_ylabel(f"channel {channel}{' ' * bool(name)}{name}\nbrightest: {peak:.0f}", fontsize=9)
    if boxes is not None:
        for column in range(count):
            for axes in grid[:, column]:
                draw_boxes(axes, boxes[column])
    return figure


def channel_gallery(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    channels: Sequence[int],
    boxes: Float[Tensor, "parts 4"] | None = None,
) -> Figure:
    """One image and some of its channels in two rows, all by one brightness scale.

    >>> len(channel_gallery(torch.rand(3, 24, 24), torch.rand(5, 4, 4), [3, 0]).axes)
    3
    """
    columns = -(-(1 + len(channels)) // 2)
    figure, grid = plt.subplots(2, columns, figsize=(1.9 * columns, 4.2), layout="constrained")
    used = grid.flat[: 1 + len(channels)]
    for axes in grid.flat[1 + len(channels) :]:
        axes.remove()
    draw_image(used[0], image, "the image")
    peak = features[list(channels)].max().item()
    for axes, channel in zip(used[1:], channels, strict=True):
        _draw_channel(axes, image, features[channel], peak)
        axes.set_title(f"channel {channel}", fontsize=10)
    if boxes is not None:
        for axes in used:
            draw_boxes(axes, boxes)
    return figure


def where_and_who(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    channel: int,
    scale: float,
    boxes: Float[Tensor, "parts 4"] | None = None,
) -> Figure:
    """One channel: its features, where the softmax over space puts its weight, and its row of R.

    From left to right: the channel; the inner softmax over space at this scale; the row of R, one bar a channel, its
    own bar darker, the three largest numbered; the channel that gets most weight in that row.

    >>> figure = where_and_who(torch.rand(3, 24, 24), torch.rand(5, 4, 4), channel=2, scale=7.0)
    >>> len(figure.axes[2].patches)
    5
    """
    where = (scale * features[channel].flatten()).softmax(0).view_as(features[channel])
    row = bilinear_attention(features[None], scale)[0, channel]  # (c,)
    strongest = int(row.argmax())
    figure, (first, second, third, fourth) = plt.subplots(1, 4, figsize=(11.5, 2.55), width_ratios=(1, 1, 2.2, 1))
    figure.subplots_adjust(left=0.01, right=0.99, top=0.84, bottom=0.19, wspace=0.16)
    _draw_channel(first, image, features[channel], features[channel].max().item())
    first.set_title(f"channel {channel}, peak {features[channel].max().item():.1f}", fontsize=10)
    _draw_channel(second, image, where, where.max().item())
    second.set_title(f"softmax over space, s = {scale:g}\ntop place: {100 * where.max().item():.0f} %", fontsize=10)
    colours = [COLOURS["attention"]] * len(row)
    colours[channel] = "#004D38"  # the attention network's green, darker
    third.bar(range(len(row)), 100 * row.numpy(), color=colours)
    for j in row.topk(min(3, len(row))).indices.tolist():
        third.text(j, 100 * row[j].item() + 2, str(j), ha="center", fontsize=8)
    third.set(ylim=(0, 100), yticks=[0, 50, 100], xlabel="channel j", xlim=(-0.6, len(row) - 0.4))
    third.set_title(f"row {channel} of R, in %: which channels fire there too", fontsize=10)
    seaborn.despine(ax=third)
    _draw_channel(fourth, image, features[strongest], features[strongest].max().item())
    fourth.set_title(f"most weight: channel {strongest}\n{100 * row[strongest].item():.0f} % of the row", fontsize=10)
    if boxes is not None:
        for axes in (first, second, fourth):
            draw_boxes(axes, boxes)
    return figure


def relations(matrices: Mapping[str, Float[Tensor, "c c"]], order: Tensor | None = None, ends: str = "") -> Figure:
    """Large tables of which channel goes with which, as pictures; every row is divided by its own sum.

    Args:
        matrices: by their titles.
        order: in which the channels are drawn, (c,); as they come where it is None.
        ends: what the order means, for the label of the axis.

    >>> len(relations({"one": torch.rand(4, 4), "two": torch.rand(4, 4)}).axes)
    3
    """
    figure, row = plt.subplots(
        1, len(matrices), figsize=(4.3 * len(matrices) + 0.5, 4.3), squeeze=False, layout="constrained"
    )
    for axes, (title, matrix) in zip(row[0], matrices.items(), strict=True):
        order = torch.arange(len(matrix)) if order is None else order
        shares = 100 * (matrix / matrix.sum(1, keepdim=True).clamp_min(1e-12))[order][:, order]
        drawn = axes.imshow(shares.numpy(), cmap=ATTENTION_MAP, vmin=0, vmax=25)
        axes.set_title(title, fontsize=11)
        axes.set(xticks=[], yticks=[], xlabel=f"channel j{', ' * bool(ends)}{ends}")
    row[0][0].set_ylabel(f"channel i{', ' * bool(ends)}{ends}")
    figure.colorbar(drawn, ax=row[0], label="share of the row, % (25 and more: brightest)", shrink=0.85)
    return figure


def shares_against(
    values: Sequence[float], shares: Mapping[str, Sequence[float]], level: float, label: str, level_label: str
) -> Figure:
    """How much of a map lies on the bird, against something that is turned up. Shares from 0 to 1, drawn in %.

    Names that hold "Xᵀ" are drawn grey, others green; names that hold "mean" are dashed.

    >>> len(shares_against([0, 1, 2], {"X Xᵀ X": [0.8, 0.5, 0.2]}, 0.1, "v", "the box's own share").axes[0].lines)
    2
    """
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for name, line in shares.items():
        colour = COLOURS["downsampled"] if "Xᵀ" in name else COLOURS["attention"]
        style = "s--" if "mean" in name else "o-"
        axes.plot(values, [100 * share for share in line], style, color=colour, label=name, ms=5)
    axes.axhline(100 * level, color=COLOURS["chance"], linewidth=3, label=level_label)
    axes.set(xlabel=label, ylabel="on the bird's box, %", ylim=(0, 100))
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    seaborn.despine(ax=axes)
    return figure
