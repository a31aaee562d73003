"""Figures of the ablations: accuracies with their seeds, accuracy against cost, magnification against accuracy."""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import seaborn
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from tasnlib.course.plots.style import COLOURS
from tasnlib.research.ablations.tables import Row


def _colour(row: Row) -> str:
    """Blue for what uses attention, grey for what does not, lighter for upper bounds."""
    if "upper bound" in row.title:
        return "#999999"
    return COLOURS["master"] if row.attention else COLOURS["downsampled"]


def seeds_and_means(tables: dict[str, Sequence[Row]], chance: dict[str, float], seeds: int | None = None) -> Figure:
    """One panel a data set: every variant a line, every seed a dot, the mean a bar across.

    Args:
        tables: rows by the name of the data set; lines are named once where all have the same.
        chance: accuracy of guessing, from 0 to 1, by the name of the data set.
        seeds: how many of the seeds to show; all of them where it is None.

    >>> rows = [Row("a", (50.0, 60.0), (), {}, 10**6, 5.0), Row("b", (55.0, 63.0), (), {}, 10**6, 5.0)]
    >>> len(seeds_and_means({"easy": rows}, {"easy": 1 / 16}).axes)
    1
    """
    count = max(len(rows) for rows in tables.values())
    figure, panels = plt.subplots(
        1, len(tables), figsize=(3.2 + 3.6 * len(tables), 0.36 * count + 1.2), squeeze=False, layout="constrained"
    )
    for number, (axes, (name, rows)) in enumerate(zip(panels[0], tables.items(), strict=True)):
        for place, row in enumerate(replace(row, accuracies=row.accuracies[:seeds]) for row in rows):
            colour = _colour(row)
            axes.plot(row.accuracies, [place] * len(row.accuracies), "o", color=colour, alpha=0.6, markersize=5)
            axes.plot([row.mean] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2.5)
        axes.axvline(100 * chance[name], color=COLOURS["chance"], linewidth=2)
        axes.set(xlim=(0, 102), xlabel="test accuracy, %", title=f"{name} birds", ylim=(count - 0.5, -0.5))
        same = number > 0 and [row.title for row in rows] == [row.title for row in next(iter(tables.values()))]
        axes.set_yticks(range(len(rows)), [] if same else [row.title for row in rows])
        axes.grid(axis="y", color="#EEEEEE")
        axes.set_axisbelow(True)
        seaborn.despine(ax=axes, left=True)
    return figure


def accuracy_against(rows: Sequence[Row], what: str, title: str = "") -> Figure:
    """Accuracy of every variant against its cost ("multiply-adds") or against a measure of its attention.

    Names stand in a column on the right, in the order of the accuracies, each with a line to its point.

    >>> rows = [Row("a", (50.0, 60.0), (), {"magnification": 3.0}, 10**6, 5.0)]
    >>> accuracy_against(rows, "magnification").axes[0].get_xlabel()
    'magnification of the parts'
    """
    shown = sorted((row for row in rows if what == "multiply-adds" or what in row.attention), key=lambda row: row.mean)
    figure, axes = plt.subplots(figsize=(8.5, max(3.2, 0.27 * len(shown) + 1)))
    figure.subplots_adjust(left=0.08, right=0.62, bottom=0.16, top=0.92)
    labels = {
        "multiply-adds": "million multiply-adds an image, forward",
        "magnification": "magnification of the parts",
        "mass": "share of the attention in the parts",
    }
    axes.set(xlabel=labels.get(what, what), ylabel="test accuracy, %", title=title, ylim=(0, 100))
    if what == "multiply-adds":
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    heights = _spread([row.mean for row in shown], gap=95 / max(len(shown), 12), top=100)
    for row, height in zip(shown, heights, strict=True):
        x, colour = row.multiply_adds / 1e6 if what == "multiply-adds" else row.attention[what], _colour(row)
        axes.errorbar(x, row.mean, yerr=row.deviation, fmt="o", color=colour, capsize=3, zorder=3)
        axes.annotate(
            row.title, (x, row.mean), (1.03, height / 100), textcoords=axes.transAxes, fontsize=9, va="center",
            arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.7, "shrinkA": 2, "relpos": (0, 0.5)},
        )  # fmt: skip
    axes.margins(x=0.12)
    seaborn.despine(ax=axes)
    return figure


def _spread(values: Sequence[float], gap: float, top: float) -> list[float]:
    """Ascending values, moved apart to keep this gap, none above top.

    >>> _spread([1.0, 1.0, 9.0], gap=2.0, top=10.0)
    [1.0, 3.0, 9.0]
    >>> _spread([9.0, 10.0], gap=2.0, top=10.0)
    [8.0, 10.0]
    """
    upward: list[float] = []
    for value in values:
        upward.append(max(value, upward[-1] + gap) if upward else value)
    downward: list[float] = []
    for value in reversed(upward):
        downward.append(min(value, downward[-1] - gap) if downward else min(value, top))
    return downward[::-1]
