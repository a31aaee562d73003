"""Figures of the part net, the teacher, beside the master net, the student: on single birds and over a training run."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.soft_targets import softmax_at
from tasnlib.course.plots.style import COLOURS, LABELS, draw_attention, draw_boxes, draw_image


def soft_predictions(
    structure_image: Float[Tensor, "3 n n"],
    detail_image: Float[Tensor, "3 n n"],
    master_logits: Float[Tensor, " k"],
    part_logits: Float[Tensor, " k"],
    label: int,
    genus_names: Sequence[str],
    temperatures: Sequence[float] = (1.0, 10.0),
) -> Figure:
    """The input of both nets for one bird, and their softmaxes at some temperatures. A triangle marks the true class,
    and under each class stands in how many traits, the binary digits of its number, it agrees with the true one.

    >>> image, logits = torch.rand(3, 8, 8), torch.randn(4)
    >>> len(soft_predictions(image, image, logits, logits, 0, ["red", "blue"]).axes)
    4
    """
    widths = (1, 1, *[1.75] * len(temperatures))
    figure, row = plt.subplots(1, len(widths), figsize=(13, 3.1), width_ratios=widths, layout="constrained")
    draw_image(row[0], detail_image, "detail image,\ninput of the part net", COLOURS["detail"])
    draw_image(row[1], structure_image, "structure image,\ninput of the master net", COLOURS["structure"])
    species, places = len(part_logits) // len(genus_names), np.arange(len(part_logits))
    traits = (len(places) - 1).bit_length()
    shared = [traits - (label ^ other).bit_count() for other in range(len(places))]
    for axes, temperature in zip(row[2:], temperatures, strict=True):
        for offset, logits, name in ((-0.2, part_logits, "part"), (0.2, master_logits, "master")):
            probabilities = softmax_at(logits, temperature)
            axes.bar(places + offset, probabilities, width=0.4, color=COLOURS[name], label=f"{name} net")
        highest = max(bar.get_height() for bar in axes.patches)
        axes.plot([label], [1.07 * highest], "v", color="black", markersize=6)
        axes.vlines(places[species::species] - 0.5, 0, 1.15 * highest, color="black", linewidth=0.6)
        centres = (np.arange(len(genus_names)) + 0.5) * species - 0.5
        axes.set_xticks(centres, [name.replace("-", "\n") for name in genus_names], fontsize=8)
        axes.set_xticks(places, shared, minor=True, fontsize=8)
        axes.tick_params(axis="x", which="both", length=0)
        axes.tick_params(axis="x", which="major", pad=15)
        axes.set(ylim=(0, 1.15 * highest), ylabel="softmax at T", title=f"T = {temperature:g}")
        axes.set_xlabel("traits in common with the true class; genus", fontsize=9)
    row[2].legend(fontsize=9)
    return figure


def training_epoch(
    images: Float[Tensor, "b 3 h w"] | UInt8[Tensor, "b 3 h w"],
    structure: Float[Tensor, "epochs b m n"],
    structure_images: Float[Tensor, "epochs b 3 s s"] | UInt8[Tensor, "epochs b 3 s s"],
    history: Sequence[Mapping],
    epoch: int,
    boxes: Float[Tensor, "b parts 4"] | None = None,
) -> Figure:
    """The attention after an epoch, what the sampler makes of it, and the accuracies up to then.

    Args:
        structure, structure_images: before training (epoch 0) and after every epoch.
        history: of `training.fit`; its first entry is epoch 1.

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
    ).subplots(squeeze=False)
    for column, (above, below) in enumerate(pictures.T):
        draw_attention(above, images[column], structure[epoch, column], "" if column else "attention")
        draw_boxes(above, None if boxes is None else boxes[column])
        title = "" if column else "structure image"
        draw_image(below, structure_images[epoch, column], title, COLOURS["structure"])
    axes = figure.add_axes(((1.6 * count + 0.8) / width, 0.15, 3.1 / width, 0.75))
    for name, style in (("master", "o-"), ("part", "s-"), ("attention", "^-")):
        done = [entry for entry in history if entry["epoch"] <= epoch]
        percent = [100 * entry["accuracy"][name] for entry in done]
        axes.plot([entry["epoch"] for entry in done], percent, style, color=COLOURS[name], label=LABELS[name])
    axes.set(xlim=(-0.3, len(history) + 0.3), ylim=(0, 103), xlabel="epoch", ylabel="test accuracy, %")
    axes.set_title("before training" if epoch == 0 else f"after epoch {epoch} of {len(history)}", fontsize=11)
    axes.legend(fontsize=9, loc="center right")
    return figure
