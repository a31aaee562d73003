"""Figures of a training run: curves, confusions, final accuracies."""

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
            right.plot(
                [entry["epoch"] for entry in history], shares, style, color=COLOURS[name], label=LABELS[name], ms=4
            )
    right.axhline(100 * chance, color=COLOURS["chance"], linewidth=2, label=LABELS["chance"])
    right.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(0, 102), title="How often each net is right")
    right.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        seaborn.despine(ax=axes)
    return figure


def confusion(
    labels: Int[Tensor, " n"], answers: Mapping[str, Int[Tensor, " n"]], class_names: Sequence[str], genera: int
) -> Figure:
    """For each net, which class was taken for which, in percent of the true class. Lines part the genera.

    Args:
        answers: by net; -1 for an image that could not be read, which is left out.
        genera: how many, of equally many classes that follow each other; as many as classes where there are none.

    >>> figure = confusion(torch.tensor([0, 1, 2]), {"master": torch.tensor([0, 0, -1])}, ["a", "b", "c"], genera=3)
    >>> figure.axes[0].images[0].get_array().tolist()
    [[100.0, 0.0, 0.0], [100.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    classes = len(class_names)
    species = classes // genera
    figure, grid = plt.subplots(1, len(answers), figsize=(6.2 * len(answers), 5.6), squeeze=False, layout="constrained")
    for axes, (name, answer) in zip(grid[0], answers.items(), strict=True):
        pairs = (labels.cpu() * classes + answer.cpu())[answer.cpu() >= 0]
        counts = torch.bincount(pairs, minlength=classes**2).view(classes, classes)
        share = 100 * counts / counts.sum(1, keepdim=True).clamp_min(1)
        if species == 1:  # hundreds of classes, without an order that lines could show
            shown = axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=100)
            if axes is grid[0, -1]:
                figure.colorbar(shown, ax=axes, label="% of the true class", shrink=0.7)
            axes.set(xlabel="answer (number of the class)", ylabel="truth", title=LABELS[name])
            for axis in (axes.xaxis, axes.yaxis):
                axis.get_major_locator().set_params(integer=True)
            continue
        seaborn.heatmap(
            share.numpy(), ax=axes, cmap="Blues", vmin=0, vmax=100, square=True, cbar=axes is grid[0, -1],
            cbar_kws={"label": "% of the true class", "shrink": 0.7},
        )  # fmt: skip
        for edge in range(0, classes + 1, species):
            axes.axhline(edge, color="black", linewidth=0.8)
            axes.axvline(edge, color="black", linewidth=0.8)
        genus_names = [class_names[genus * species].split(",")[0] for genus in range(genera)]
        centres = [(genus + 0.5) * species for genus in range(genera)]
        axes.set_xticks(centres, genus_names, rotation=0, fontsize=8, parse_math=False)
        axes.set_yticks(centres, genus_names, rotation=90, va="center", fontsize=8, parse_math=False)
        axes.set(xlabel=f"answer (in each genus: its {species} species)", ylabel="truth", title=LABELS[name])
    return figure


def accuracy_bars(accuracy: Mapping[str, float | None]) -> Figure:
    """The accuracies of a result, one bar a net."""
    shown = {name: share for name, share in accuracy.items() if share is not None}
    figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(shown) + 0.7), layout="constrained")
    for row, (name, share) in enumerate(shown.items()):
        axes.barh(row, 100 * share, color=COLOURS[name])
        axes.text(100 * share + 1, row, f"{100 * share:.1f}", va="center", fontsize=9)
    axes.set(yticks=range(len(shown)), xlim=(0, 108), xlabel="test accuracy, %")
    axes.set_yticklabels([LABELS[name] for name in shown])
    axes.invert_yaxis()
    seaborn.despine(ax=axes)
    return figure
