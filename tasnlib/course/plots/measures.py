"""Figures of attention measured against the boxes of the parts, and of what random detail images reach."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import seaborn
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS


def measures(
    mass: Mapping[str, Sequence[float]],
    magnification: Mapping[str, Sequence[float]],
    reached: Sequence[float],
    parts: Sequence[str],
    at_least: float,
) -> Figure:
    """Three panels: attention mass in the parts, their magnification, and the parts reached by random detail images.

    Args:
        mass: by the name of the attention, one share a part, from 0 to 1.
        magnification: by the name of the attention, one number a part.
        reached: the share of parts after 1, 2, ... draws of a channel.
        at_least: from which magnification on a part counts as reached.

    >>> figure = measures({"structure": [0.2, 0.3]}, {"structure": [8, 9]}, [0.7, 0.9], ["head", "wing"], 6)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['attention in the box, %', 'times the pixels of plain resizing', 'parts reached, %']
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12.5, 3.3), layout="constrained")
    percent = {name: [100 * share for share in shares] for name, shares in mass.items()}
    _grouped(left, percent, parts, "attention in the box, %")
    _grouped(middle, magnification, parts, "times the pixels of plain resizing")
    left.legend(frameon=False, fontsize=9, loc="upper left")
    draws = range(1, len(reached) + 1)
    right.plot(draws, [100 * share for share in reached], "o-", color=COLOURS["detail"], markersize=4)
    right.set(xlabel="random channels drawn so far", ylabel="parts reached, %", ylim=(0, 103))
    right.set_title(f"parts that some detail image made at least {at_least:g} times larger", fontsize=9)
    for axes in (left, middle, right):
        seaborn.despine(ax=axes)
    return figure


def _grouped(axes: Axes, values: Mapping[str, Sequence[float]], parts: Sequence[str], label: str) -> None:
    colours = {"structure map": COLOURS["structure"], "detail map": COLOURS["detail"]}
    width = 0.8 / len(values)
    for number, (name, heights) in enumerate(values.items()):
        places = [part + (number - (len(values) - 1) / 2) * width for part in range(len(parts))]
        grey = COLOURS["chance"] if number == len(values) - 1 else COLOURS["downsampled_aliased"]
        axes.bar(places, heights, width, label=name, color=colours.get(name, grey))
        for x, height in zip(places, heights, strict=True):
            axes.text(x, height, f"{height:.0f}", ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(parts)), parts)
    axes.set_ylabel(label)


def reached(curves: dict[str, Float[Tensor, " draws"]]) -> Figure:
    """The share of parts that have been magnified more than in the structure image, after 1, 2, 3, … random channels.

    >>> import torch
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
