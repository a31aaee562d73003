"""Figures of notebook 04: part and master side by side, on single birds and over a training run.

Those of its first part, soft targets at a temperature, are in `plots.temperature`; the notebook finds them here too.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn
from jaxtyping import Bool, Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS, LABELS, draw_attention, draw_boxes, draw_image
from tasnlib.course.plots.temperature import (
    GREY,
    TEMPERATURES,
    gradient_lengths,
    loss_on_the_way,
    share_at,
    softened,
    targets,
    temperature_curves,
)

__all__ = [
    "TEMPERATURES",
    "disagreements",
    "gradient_lengths",
    "loss_on_the_way",
    "soft_answers",
    "softened",
    "targets",
    "temperature_curves",
    "training_epoch",
    "with_and_without",
]


def soft_answers(
    structure_image: Float[Tensor, "3 n n"],
    detail_image: Float[Tensor, "3 n n"],
    master_logits: Float[Tensor, " k"],
    part_logits: Float[Tensor, " k"],
    label: int,
    genus_names: Sequence[str],
    temperatures: Sequence[float] = (1.0, 10.0),
) -> Figure:
    """What master and part were shown of one bird, and their softmaxes at some temperatures. A dot marks the truth.

    >>> import torch
    >>> image, logits = torch.rand(3, 8, 8), torch.randn(4)
    >>> len(soft_answers(image, image, logits, logits, 0, ["red", "blue"]).axes)
    4
    """
    figure, row = plt.subplots(
        1, 2 + len(temperatures), figsize=(13, 3.1), width_ratios=(1, 1, *[1.75] * len(temperatures)),
        layout="constrained",
    )  # fmt: skip
    draw_image(row[0], detail_image, "detail image\nthe part net sees it", COLOURS["detail"])
    draw_image(row[1], structure_image, "structure image\nthe master net sees it", COLOURS["structure"])
    species = len(part_logits) // len(genus_names)
    places = np.arange(len(part_logits))
    for axes, temperature in zip(row[2:], temperatures, strict=True):
        highest = 0.0
        for offset, logits, name in ((-0.2, part_logits, "part"), (0.2, master_logits, "master")):
            share = share_at(logits, temperature)
            highest = max(highest, float(share.max()))
            axes.bar(places + offset, share, width=0.4, color=COLOURS[name], label=f"{name} net")
        axes.plot([label], [1.07 * highest], "v", color="black", markersize=6)
        for edge in range(species, len(places), species):
            axes.axvline(edge - 0.5, color="black", linewidth=0.6)
        centres = [(genus + 0.5) * species - 0.5 for genus in range(len(genus_names))]
        axes.set_xticks(centres, [name.replace("-", "\n") for name in genus_names], fontsize=8)
        axes.set(ylim=(0, 1.15 * highest), ylabel="softmax at T", title=f"T = {temperature:g}", xlabel="class")
        seaborn.despine(ax=axes)
    row[2].legend(frameon=False, fontsize=9)
    return figure


def disagreements(
    structure_images: Float[Tensor, "b 3 n n"],
    detail_images: Float[Tensor, "b 3 n n"],
    master_right: Bool[Tensor, " b"],
    part_right: Bool[Tensor, " b"],
) -> Figure:
    """Structure over detail image, each marked right or wrong by what its net answered.

    >>> import torch
    >>> image, right = torch.rand(2, 3, 8, 8), torch.tensor([True, False])
    >>> [axes.get_title() for axes in disagreements(image, image, right, ~right).axes]
    ['master right', 'master wrong', 'part wrong', 'part right']
    """
    count = len(structure_images)
    figure, grid = plt.subplots(2, count, figsize=(1.6 * count, 4.0), squeeze=False, layout="constrained")
    rows = (("master", structure_images, master_right), ("part", detail_images, part_right))
    for axes_row, (name, images, right) in zip(grid, rows, strict=True):
        for axes, image, is_right in zip(axes_row, images, right.tolist(), strict=True):
            draw_image(axes, image, f"{name} {'right' if is_right else 'wrong'}", COLOURS[name])
            axes.title.set_fontweight("normal" if is_right else "bold")
    return figure


def with_and_without(accuracies: Mapping[int, tuple[float, float]], chance: float) -> Figure:
    """Test accuracy of the master without and with distillation, one line a seed.

    Args:
        accuracies: by seed: without, with; from 0 to 1.

    >>> axes, = with_and_without({0: (0.6, 0.65), 1: (0.43, 0.43)}, chance=1 / 16).axes
    >>> axes.lines[1].get_ydata().tolist()
    [43.0, 43.0]
    """
    figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    for (seed, shares), marker in zip(accuracies.items(), "osD^v" * len(accuracies), strict=False):
        percent = [100 * share for share in shares]
        axes.plot([0, 1], percent, f"{marker}-", color=COLOURS["master"], markersize=8)
        axes.text(1.06, percent[1], f"seed {seed}", va="center", fontsize=10)
    axes.axhline(100 * chance, color=COLOURS["chance"], linewidth=2)
    axes.text(-0.28, 100 * chance + 1, "chance", color=GREY, fontsize=9)
    axes.set_xticks([0, 1], ["without", "with distillation"])
    axes.set(xlim=(-0.3, 1.4), ylim=(0, 100), ylabel="master's test accuracy, %")
    seaborn.despine(ax=axes)
    return figure


def training_epoch(
    images: Float[Tensor, "b 3 h w"] | UInt8[Tensor, "b 3 h w"],
    structure: Float[Tensor, "epochs b m n"],
    structure_images: Float[Tensor, "epochs b 3 s s"] | UInt8[Tensor, "epochs b 3 s s"],
    history: Sequence[Mapping],
    epoch: int,
    boxes: Float[Tensor, "b parts 4"] | None = None,
) -> Figure:
    """Where the network looked after an epoch, what that made of the images, and the accuracies up to then.

    Args:
        structure, structure_images: before training (epoch 0) and after every epoch.
        history: of `training.fit`; its first entry is epoch 1.

    >>> import torch
    >>> history = [{"epoch": 1, "accuracy": {"master": 0.5, "part": 0.4, "attention": 0.1}}]
    >>> images, maps, sampled = torch.rand(2, 3, 8, 8), torch.rand(2, 2, 4, 4), torch.rand(2, 2, 3, 6, 6)
    >>> len(training_epoch(images, maps, sampled, history, epoch=1).axes)
    5
    """
    count = len(images)
    width = 1.6 * count + 4.0
    figure = plt.figure(figsize=(width, 3.6))
    # Fixed margins: a slider draws this, and the constrained layout would take longer than all the rest.
    pictures = figure.add_gridspec(
        2, count, left=0.1 / width, right=1.6 * count / width, bottom=0.02, top=0.92, wspace=0.06, hspace=0.2
    )
    curves = figure.add_gridspec(1, 1, left=(1.6 * count + 0.8) / width, right=1 - 0.1 / width, bottom=0.15, top=0.9)
    for column in range(count):
        above, below = figure.add_subplot(pictures[0, column]), figure.add_subplot(pictures[1, column])
        draw_attention(above, images[column], structure[epoch, column], "attention" if column == 0 else "")
        if boxes is not None:
            draw_boxes(above, boxes[column])
        title = "structure image" if column == 0 else ""
        draw_image(below, structure_images[epoch, column], title, COLOURS["structure"])
    axes = figure.add_subplot(curves[0])
    for name, style in (("master", "o-"), ("part", "s-"), ("attention", "^-")):
        seen = [(entry["epoch"], 100 * entry["accuracy"][name]) for entry in history if entry["epoch"] <= epoch]
        axes.plot(*zip(*seen, strict=True) if seen else ([], []), style, color=COLOURS[name], label=LABELS[name])
    axes.set(xlim=(-0.3, len(history) + 0.3), ylim=(0, 103), xlabel="epoch", ylabel="test accuracy, %")
    axes.set_title("before training" if epoch == 0 else f"after epoch {epoch} of {len(history)}", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="center right")
    seaborn.despine(ax=axes)
    return figure
