"""Figures of what trilinear attention makes of feature maps, and of what one cell of a map can see.

Grey is a channel's raw map, green the trilinear map that the attention network hands on.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.attention import bilinear_attention
from tasnlib.course.plots.picture_grids import Picture, picture_grid
from tasnlib.course.plots.style import ATTENTION_MAP, COLOURS, draw_attention, draw_boxes
from tasnlib.research.localization import attention_mass

RAW, TRILINEAR = COLOURS["downsampled"], COLOURS["attention"]


def _mass_in_words(attention: Float[Tensor, "h w"], box: Float[Tensor, "4"], size: int) -> str:
    if not attention.any():
        return "dead"
    return f"{attention_mass(attention[None], box[None, None], size).item():.0%} in the box"


def before_and_after(
    image: Float[Tensor, "3 height width"],
    raw: Float[Tensor, "k h w"],
    trilinear: Float[Tensor, "k h w"],
    names: Sequence[str],
    box: Float[Tensor, "4"],
) -> Figure:
    """Raw maps above, trilinear maps below, one column per channel; each title says how much of the map is in the box.

    >>> maps = torch.ones(2, 4, 4)
    >>> figure = before_and_after(torch.rand(3, 8, 8), maps, maps, ["a", "b"], torch.tensor([0.0, 0, 4, 4]))
    >>> figure.axes[0].get_title()
    'a, raw:\\n25% in the box'
    """
    rows = []
    for maps, kind, colour in ((raw, "raw", RAW), (trilinear, "trilinear", TRILINEAR)):
        row = []
        for attention, name in zip(maps, names, strict=True):
            title = f"{name}, {kind}:\n{_mass_in_words(attention, box, image.shape[-1])}"
            row.append(Picture(image, title, colour, attention, box[None]))
        rows.append(row)
    rows[0].append(Picture(image, "image", boxes=box[None]))
    return picture_grid(rows, width=2.3)


def share_bars(raw: Mapping[str, float], trilinear: Mapping[str, float], uniform: float) -> Figure:
    """The share of a map's mass inside the bird's box, raw beside trilinear, with the uniform map as a line.

    >>> len(share_bars({"normal": 0.6}, {"normal": 0.8}, uniform=0.1).axes)
    1
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    for side, shares, label, colour in ((-0.2, raw, "raw map", RAW), (0.2, trilinear, "trilinear map", TRILINEAR)):
        places = [number + side for number in range(len(shares))]
        bars = axes.bar(places, [100 * share for share in shares.values()], 0.36, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", padding=1)
    axes.axhline(100 * uniform, color="black", linestyle=":", label=f"uniform map ({100 * uniform:.0f} %)")
    axes.set(ylim=(0, 100), ylabel="% of the map inside the bird's box")
    axes.set_xticks(range(len(raw)), list(raw))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def explain_channel(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    channel: int,
    scale: float,
    box: Float[Tensor, "4"],
) -> Figure:
    """One channel: its raw map, its row of R, and the trilinear map that the row makes. For a slider.

    The weights' axis ends at 0.4, or at 1 where a weight is larger, so that pictures can be compared.

    >>> len(explain_channel(torch.rand(3, 8, 8), torch.rand(5, 4, 4), 2, 7.0, torch.tensor([0.0, 0, 4, 4])).axes)
    3
    """
    row = bilinear_attention(features[None], scale)[0, channel]  # (c,)
    trilinear = torch.einsum("c,chw->hw", row, features)
    # Margins by hand: finding them ("constrained") would take as long as all the drawing.
    figure, (first, middle, last) = plt.subplots(1, 3, figsize=(9, 2.7), width_ratios=(1, 1.4, 1))
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.17, top=0.9, wspace=0.18)
    for axes, attention, kind, colour in (
        (first, features[channel], "raw", RAW), (last, trilinear, "trilinear", TRILINEAR),
    ):  # fmt: skip
        draw_attention(axes, image, attention, f"{kind} map: {_mass_in_words(attention, box, image.shape[-1])}")
        axes.title.set_color(colour)
        draw_boxes(axes, box[None])
    middle.vlines(range(len(row)), 0, row.numpy(), color=TRILINEAR, linewidth=4)
    middle.vlines(channel, 0, row[channel].item(), color=COLOURS["detail"], linewidth=4)
    middle.set(xlabel="channel (orange: itself)", ylim=(0, 0.4 if row.max() <= 0.4 else 1))
    middle.set_title(f"weights: row {channel} of R, s = {scale:g}", fontsize=10)
    return figure


def receptive_fields(fields: Mapping[str, Float[Tensor, "h w"]]) -> Figure:
    """Which inputs change one output: the square root of the gradient's size, black where it is 0.

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
