"""Figures of the ablations: accuracies with their seeds, accuracy against cost, magnification against accuracy."""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import seaborn
from matplotlib.figure import Figure

from tasnlib.ablations.tables import Row
from tasnlib.plots.style import COLOURS


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
        axes.set(xlim=(0, 102), xlabel="test accuracy, %", title=f"{name} birds", ylim=(len(rows) - 0.5, -0.5))
        same = number > 0 and [row.title for row in rows] == [row.title for row in next(iter(tables.values()))]
        axes.set_yticks(range(len(rows)), [] if same else [row.title for row in rows])
        axes.grid(axis="y", color="#EEEEEE")
        axes.set_axisbelow(True)
        seaborn.despine(ax=axes, left=True)
    return figure


def accuracy_against(rows: Sequence[Row], what: str, title: str = "") -> Figure:
    """Accuracy of every variant against its cost ("multiply-adds") or against a measure of its attention.

    >>> rows = [Row("a", (50.0, 60.0), (), {"magnification": 3.0}, 10**6, 5.0)]
    >>> accuracy_against(rows, "magnification").axes[0].get_xlabel()
    'magnification of the parts'
    """
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    shown = [row for row in rows if what == "multiply-adds" or what in row.attention]
    for row in shown:
        x = row.multiply_adds / 1e6 if what == "multiply-adds" else row.attention[what]
        axes.errorbar(x, row.mean, yerr=row.deviation, fmt="o", color=_colour(row), capsize=3)
        axes.annotate(row.title, (x, row.mean), xytext=(6, 4), textcoords="offset points", fontsize=8)
    labels = {
        "multiply-adds": "million multiply-adds an image, forward",
        "magnification": "magnification of the parts",
        "mass": "share of the attention in the parts",
    }
    axes.set(xlabel=labels.get(what, what), ylabel="test accuracy, %", title=title)
    if what == "multiply-adds":
        axes.set_xscale("log")
    axes.margins(x=0.25)
    seaborn.despine(ax=axes)
    return figure
