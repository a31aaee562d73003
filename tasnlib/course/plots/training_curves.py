"""Figures of a training run: curves, confusion matrices, final accuracies."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import seaborn
import torch
from jaxtyping import Int
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS, LABELS


def training_curves(histories: Mapping[str, Sequence[Mapping]], chance: float) -> Figure:
    """TASN's loss beside the accuracy of every net, epoch by epoch.

    Args:
        histories: of `training.fit`, by the model's name; "tasn" among them.
        chance: the accuracy of guessing.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    epochs = [entry["epoch"] for entry in histories["tasn"]]
    left.plot(epochs, [entry["loss"] for entry in histories["tasn"]], "o-", color="black")
    left.set(xlabel="epoch", ylabel="training loss, all terms", title="TASN's loss")
    for history in histories.values():
        for name in (name for name in history[0]["accuracy"] if "+" not in name):
            shares = [100 * entry["accuracy"][name] for entry in history]
            style = "o--" if name.startswith("downsampled") else "o-"
            epochs = [entry["epoch"] for entry in history]
            right.plot(epochs, shares, style, color=COLOURS[name], label=LABELS[name], markersize=4)
    right.axhline(100 * chance, color=COLOURS["chance"], linewidth=2, label=LABELS["chance"])
    right.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(0, 102), title="Test accuracy of each net")
    right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def confusion(
    labels: Int[Tensor, " n"], predictions: Mapping[str, Int[Tensor, " n"]], class_names: Sequence[str], genera: int
) -> Figure:
    """Confusion matrix of each net, in percent of the true class. Lines separate the genera.

    Args:
        predictions: by net; -1 for an image that could not be read, which is left out.
        genera: how many, of equally many classes that follow each other; the number of classes where there are none.

    >>> figure = confusion(torch.tensor([0, 1, 2]), {"master": torch.tensor([0, 0, -1])}, ["a", "b", "c"], genera=3)
    >>> figure.axes[0].collections[0].get_array().tolist()
    [[100.0, 0.0, 0.0], [100.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    classes, count = len(class_names), len(predictions)
    species = classes // genera
    figure, grid = plt.subplots(1, count, figsize=(6.2 * count, 5.6), squeeze=False, layout="constrained")
    for axes, (name, predicted) in zip(grid[0], predictions.items(), strict=True):
        pairs = (labels.cpu() * classes + predicted.cpu())[predicted.cpu() >= 0]
        counts = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
        share = 100 * counts / counts.sum(1, keepdim=True).clamp_min(1)
        seaborn.heatmap(
            share.numpy(), ax=axes, cmap="Blues", vmin=0, vmax=100, square=True, cbar=axes is grid[0, -1],
            cbar_kws={"label": "% of the true class", "shrink": 0.7},
            xticklabels="auto" if species == 1 else False, yticklabels="auto" if species == 1 else False,
        )  # fmt: skip
        axes.set(xlabel="predicted class", ylabel="true class", title=LABELS[name])
        if species == 1:  # perhaps hundreds of classes, without an order that lines could show
            continue
        edges = range(0, classes + 1, species)
        axes.hlines(edges, 0, classes, color="black", linewidth=0.8)
        axes.vlines(edges, 0, classes, color="black", linewidth=0.8)
        genus_names = [class_names[edge].split(",")[0] for edge in edges[:-1]]
        centres = [edge + species / 2 for edge in edges[:-1]]
        axes.set_xticks(centres, genus_names, fontsize=8, parse_math=False)
        axes.set_yticks(centres, genus_names, rotation=90, va="center", fontsize=8, parse_math=False)
        axes.set_xlabel(f"predicted class ({species} species per genus)")
    return figure


def accuracy_bars(accuracy: Mapping[str, float | None]) -> Figure:
    """The accuracies of a result, one bar per net; nets with None are left out.

    >>> [text.get_text() for text in accuracy_bars({"master": 0.9, "downsampled": None}).axes[0].texts]
    ['90.0']
    """
    shown = {name: 100 * share for name, share in accuracy.items() if share is not None}
    figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(shown) + 0.7), layout="constrained")
    bars = axes.barh([LABELS[name] for name in shown], list(shown.values()), color=[COLOURS[name] for name in shown])
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=9)
    axes.set(xlim=(0, 108), xlabel="test accuracy, %")
    axes.invert_yaxis()
    return figure
