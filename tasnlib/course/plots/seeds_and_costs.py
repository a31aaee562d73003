"""Figures of the ablations: accuracies with their seeds, accuracy against cost, magnification against accuracy."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from tasnlib.course.plots.style import COLOURS
from tasnlib.research.ablations.tables import Row

AXES = {
    "multiply-adds": "million multiply-adds per image, forward",
    "magnification": "magnification of the parts",
}


def _colour(row: Row) -> str:
    """Blue for variants with attention, grey for those without, lighter for upper bounds."""
    if "upper bound" in row.title:
        return "#999999"
    return COLOURS["master"] if row.attends else COLOURS["downsampled"]


def seeds_and_means(tables: dict[str, Sequence[Row]], chance: dict[str, float], seeds: int | None = None) -> Figure:
    """One panel per data set, one line per variant: a dot for every seed, a bar for their mean.

    Args:
        tables: rows by the name of the data set; lines are named once where all have the same.
        chance: accuracy of guessing, from 0 to 1, by the name of the data set.
        seeds: how many of the seeds to show; all if None.

    >>> rows = [Row("a", (50.0, 60.0), (), {}, 10**6, 5.0), Row("b", (55.0, 63.0), (), {}, 10**6, 5.0)]
    >>> len(seeds_and_means({"easy": rows}, {"easy": 1 / 16}).axes)
    1
    """
    count = max(len(rows) for rows in tables.values())
    size = (3.2 + 3.6 * len(tables), 0.36 * count + 1.2)
    figure, panels = plt.subplots(1, len(tables), figsize=size, squeeze=False, layout="constrained")
    named: list[str] = []
    for axes, (name, rows) in zip(panels[0], tables.items(), strict=True):
        for place, row in enumerate(rows):
            accuracies = row.accuracies[:seeds]
            mean = sum(accuracies) / len(accuracies)
            axes.plot(accuracies, [place] * len(accuracies), "o", color=_colour(row), alpha=0.6, markersize=5)
            axes.plot([mean] * 2, [place - 0.3, place + 0.3], color=_colour(row), linewidth=2.5)
        axes.axvline(100 * chance[name], color=COLOURS["chance"], linewidth=2)
        axes.set(xlim=(0, 102), xlabel="test accuracy, %", title=f"{name} birds", ylim=(count - 0.5, -0.5))
        titles = [row.title for row in rows]
        axes.set_yticks(range(len(rows)), [] if titles == named else titles)
        named = titles
        axes.grid(axis="y", color="#EEEEEE")
        axes.spines["left"].set_visible(False)
    return figure


def accuracy_against(rows: Sequence[Row], what: str, title: str = "") -> Figure:
    """Accuracy of every variant against a cost, "multiply-adds" or "milliseconds per image", or a measure of attention.

    Names stand on the right, in the order of the accuracies, with lines to their points. Points that touch share one.

    >>> rows = [Row("a", (50.0, 60.0), (), {"magnification": 3.0}, 10**6, 5.0)]
    >>> accuracy_against(rows, "magnification").axes[0].get_xlabel()
    'magnification of the parts'
    """
    shown = sorted((row for row in rows if what == "multiply-adds" or what in row.attention), key=lambda row: row.mean)
    figure, axes = plt.subplots(figsize=(8.5, max(3.2, 0.27 * len(shown) + 1)))
    figure.subplots_adjust(left=0.08, right=0.62, bottom=0.16, top=0.92)
    axes.set(xlabel=AXES.get(what, what), ylabel="test accuracy, %", title=title, ylim=(0, 100))
    if what in ("multiply-adds", "milliseconds per image"):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    points = [(row.multiply_adds / 1e6 if what == "multiply-adds" else row.attention[what], row.mean) for row in shown]
    apart = [n for n, (a, b) in enumerate(pairwise(points), 1) if abs(b[0] / a[0] - 1) > 0.05 or b[1] - a[1] > 2]
    for first, end in pairwise([0, *apart, len(shown)]):
        for row, (x, y) in zip(shown[first:end], points[first:end], strict=True):
            axes.errorbar(x, y, yerr=row.deviation, fmt="o", color=_colour(row), capsize=3, zorder=3)
        axes.annotate(
            "\n".join(row.title for row in shown[first:end][::-1]), points[(first + end - 1) // 2],
            (1.03, (first + end) / 2 / len(shown)), textcoords=axes.transAxes, fontsize=9, va="center",
            arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.7, "relpos": (0, 0.5)},
        )  # fmt: skip
    axes.margins(x=0.12)
    return figure
