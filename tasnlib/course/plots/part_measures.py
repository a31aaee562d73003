"""Figures of attention measured against the boxes of the parts, and of the parts that random detail images magnify."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
        mass: by the name of the attention, one share per part, from 0 to 1.
        magnification: by the name of the attention, one number per part.
        reached: the share of parts after 1, 2, ... random channels.
        at_least: the magnification from which a part counts as reached.

    >>> figure = measures({"structure map": [0.2, 0.3]}, {"structure map": [8, 9]}, [0.7, 0.9], ["head", "wing"], 6)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['attention in the box, %', 'times the pixels of plain resizing', 'parts reached, %']
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12.5, 3.3), layout="constrained")
    _grouped(left, {name: [100 * share for share in shares] for name, shares in mass.items()}, parts)
    left.set_ylabel("attention in the box, %")
    left.legend(fontsize=9, loc="upper left")
    _grouped(middle, magnification, parts)
    middle.set_ylabel("times the pixels of plain resizing")
    percent = [100 * share for share in reached]
    right.plot(range(1, len(percent) + 1), percent, "o-", color=COLOURS["detail"], markersize=4)
    right.set(xlabel="random channels drawn so far", ylabel="parts reached, %", ylim=(0, 103), xlim=(0, None))
    right.set_title(f"parts magnified at least {at_least:g} times in some detail image", fontsize=9)
    return figure


def _grouped(axes: Axes, values: Mapping[str, Sequence[float]], parts: Sequence[str]) -> None:
    named = {"structure map": "structure", "mean map": "master_own", "detail map": "detail", "uniform": "chance"}
    width = 0.8 / len(values)
    for number, (name, heights) in enumerate(values.items()):
        places = [part + (number - (len(values) - 1) / 2) * width for part in range(len(parts))]
        colour = COLOURS[named.get(name, "downsampled_aliased")]
        axes.bar_label(axes.bar(places, heights, width, label=name, color=colour), fmt="%.0f", fontsize=8)
    axes.set_xticks(range(len(parts)), parts)
