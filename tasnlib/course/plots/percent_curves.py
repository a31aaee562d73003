"""Curves of shares, in percent: of maps in boxes, of birds, of right predictions."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS


def percent_curves(
    values: Sequence[float] | Sequence[str],
    curves: Mapping[str, Sequence[float] | Float[Tensor, " values"]],
    xlabel: str,
    ylabel: str,
    colours: Sequence[str] = (COLOURS["attention"],),
    level: float | None = None,
    level_label: str = "",
) -> Figure:
    """Shares from 0 to 1, drawn in percent, against a few values or names.

    Args:
        curves: by name: one share per value.
        colours: of the curves, repeated where there are more curves.
        level: a share that is drawn as a horizontal line, such as chance.

    >>> figure = percent_curves([0, 2], {"R X": [0.8, 0.5]}, "noise", "% in the box", level=0.1, level_label="uniform")
    >>> [float(line.get_ydata()[0]) for line in figure.axes[0].lines]
    [80.0, 10.0]
    """
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for (name, shares), colour, style in zip(curves.items(), cycle(colours), cycle(("o-", "s--", "^:", "d-."))):
        axes.plot(values, [100 * float(share) for share in shares], style, color=colour, label=name, markersize=5)
    if level is not None:
        axes.axhline(100 * level, color=COLOURS["chance"], linewidth=3, label=level_label)
    axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 103))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
