"""Figures of single channels: over one image, over several, and with the row of R that belongs to one."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.attention import bilinear_attention
from tasnlib.course.plots.picture_grids import Picture, picture_grid
from tasnlib.course.plots.style import COLOURS, draw_attention, draw_boxes


def channel_maps(
    images: Float[Tensor, "n 3 height width"],
    features: Float[Tensor, "n c h w"],
    channels: Sequence[int],
    boxes: Float[Tensor, "n parts 4"],
    names: Mapping[int, str],
    titles: Sequence[str],
) -> Figure:
    """Some channels over some images: one column per image, one row and one brightness scale per channel.

    >>> boxes, names = torch.zeros(2, 3, 4), {3: "head", 0: "wing"}
    >>> figure = channel_maps(torch.rand(2, 3, 24, 24), torch.ones(2, 5, 4, 4), [3, 0], boxes, names, ["red", "blue"])
    >>> [axes.get_title() for axes in figure.axes[::2]]
    ['red', 'channel 3 (head), peak 1', 'channel 0 (wing), peak 1']
    """
    rows = [[Picture(image, title, boxes=box) for image, title, box in zip(images, titles, boxes, strict=True)]]
    for channel in channels:
        peak = features[:, channel].max().item()
        title = f"channel {channel} ({names[channel]}), peak {peak:.0f}"
        row = [
            Picture(image, title if n == 0 else "", None, features[n, channel], boxes[n], smooth=False, peak=peak)
            for n, image in enumerate(images)
        ]
        rows.append(row)
    return picture_grid(rows, width=1.9, titles=9)


def channel_gallery(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    channels: Sequence[int],
    boxes: Float[Tensor, "parts 4"] | None = None,
) -> Figure:
    """One image and some of its channels in two rows, all on one brightness scale.

    >>> len(channel_gallery(torch.rand(3, 24, 24), torch.rand(5, 4, 4), [3, 0]).axes)
    3
    """
    peak = features[list(channels)].max().item()
    pictures = [Picture(image, "the image", boxes=boxes)]
    for channel in channels:
        pictures.append(Picture(image, f"channel {channel}", None, features[channel], boxes, smooth=False, peak=peak))
    columns = -(-len(pictures) // 2)
    return picture_grid([pictures[:columns], pictures[columns:]], width=1.85)


def where_and_who(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    channel: int,
    scale: float,
    boxes: Float[Tensor, "parts 4"] | None = None,
) -> Figure:
    """One channel: its features, where the softmax over space puts its weight, and its row of R.

    From left to right: the channel; the inner softmax over space at this scale; the row of R, one bar per channel, its
    own bar darker, the three largest numbered; the channel with the largest weight in that row.

    >>> figure = where_and_who(torch.rand(3, 24, 24), torch.rand(5, 4, 4), channel=2, scale=7.0)
    >>> len(figure.axes[2].patches)
    5
    """
    where = (scale * features[channel].flatten()).softmax(0).view_as(features[channel])
    row = 100 * bilinear_attention(features[None], scale)[0, channel]  # (c,), in %
    strongest = int(row.argmax())
    figure, (first, second, bars, last) = plt.subplots(1, 4, figsize=(11.5, 2.55), width_ratios=(1, 1, 2.2, 1))
    figure.subplots_adjust(left=0.01, right=0.99, top=0.84, bottom=0.19, wspace=0.16)
    titles = (
        f"channel {channel}, peak {features[channel].max().item():.1f}",
        f"softmax over space, s = {scale:g}\nlargest cell: {100 * where.max().item():.0f} %",
        f"most weight: channel {strongest}\n{row[strongest].item():.0f} % of the row",
    )
    maps = (features[channel], where, features[strongest])
    for axes, attention, title in zip((first, second, last), maps, titles, strict=True):
        draw_attention(axes, image, attention, title, smooth=False)
        draw_boxes(axes, boxes)
    colours = [COLOURS["attention"]] * len(row)
    colours[channel] = "#004D38"  # the attention network's green, darker
    largest = row.topk(min(3, len(row))).indices.tolist()
    drawn = bars.bar(range(len(row)), row.numpy(), color=colours)
    bars.bar_label(drawn, [str(j) if j in largest else "" for j in range(len(row))], fontsize=8, padding=1)
    bars.set(ylim=(0, 105), yticks=[0, 50, 100], xlabel="channel j", xlim=(-0.6, len(row) - 0.4))
    bars.set_title(f"row {channel} of R, in %: which channels fire there too", fontsize=10)
    return figure
