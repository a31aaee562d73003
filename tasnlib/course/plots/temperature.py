"""Figures of soft targets: what a temperature does to a softmax, to its entropy, to the loss and to its gradient."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS, draw_image

GREY = COLOURS["downsampled"]
TEMPERATURES = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
CLASS_SHADES = ("#000000", "#CC79A7", "#56B4E9", "#999999")  # four classes, in colours that mean nothing else


def share_at(logits: Tensor, temperature: float) -> Tensor:
    return (logits.double() / temperature).softmax(dim=-1)


def _entropy(share: Tensor) -> Tensor:
    return torch.special.entr(share).sum(dim=-1)


def _temperature_axis(axes: Axes) -> None:
    axes.set(xscale="log", xlabel="temperature T")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()


def targets(
    images: Sequence[Float[Tensor, "3 h w"]], class_names: Sequence[str], rows: Mapping[str, Float[Tensor, " k"]]
) -> Figure:
    """One image of each class, and under it how much each target gives to that class.

    Args:
        rows: what to learn, by its name: one number a class, from 0 to 1. The first row is grey, the others orange.

    >>> label, soft = torch.tensor([1.0, 0.0]), torch.tensor([0.9, 0.1])
    >>> len(targets([torch.rand(3, 8, 8)] * 2, ["a", "b"], {"label": label, "teacher": soft}).axes)
    4
    """
    heights = [1.35, *([1.0] * len(rows))]
    figure = plt.figure(figsize=(2.6 * len(images), sum(heights) + 1.0), layout="constrained")
    grid = figure.add_gridspec(1 + len(rows), len(images), height_ratios=heights)
    for column, (image, name) in enumerate(zip(images, class_names, strict=True)):
        draw_image(figure.add_subplot(grid[0, column]), image, name)
    for row, (name, values) in enumerate(rows.items(), start=1):
        axes = figure.add_subplot(grid[row, :])
        bars = axes.bar(range(len(images)), values.tolist(), width=0.4, color=GREY if row == 1 else COLOURS["part"])
        axes.bar_label(bars, [f"{value:.2f}" for value in values.tolist()], fontsize=9)
        axes.set(xlim=(-0.5, len(images) - 0.5), ylim=(0, 1.3), xticks=[], yticks=[0, 1], ylabel="share")
        axes.set_title(name, fontsize=10, loc="left")
        seaborn.despine(ax=axes)
    return figure


def temperature_curves(
    logits: Float[Tensor, " k"], class_names: Sequence[str], lowest: float = 0.5, highest: float = 50.0
) -> Figure:
    """Softmax at every temperature, and its entropy with the limit log k.

    >>> left, right = temperature_curves(torch.tensor([4.0, 2.0, 0.0, -2.0]), list("abcd")).axes
    >>> bool(right.lines[0].get_ydata()[-1] > 0.998 * np.log(4))
    True
    """
    temperatures = torch.logspace(np.log10(lowest), np.log10(highest), 100, dtype=torch.float64)
    shares = (logits.double() / temperatures[:, None]).softmax(dim=-1)  # (100, k)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    for number, name in enumerate(class_names):
        left.plot(temperatures, shares[:, number], color=CLASS_SHADES[number % 4], linewidth=2, label=name)
    left.set(ylabel="softmax of logits / T", ylim=(0, 1), title="What each class gets")
    left.legend(frameon=False)
    right.plot(temperatures, _entropy(shares), color=COLOURS["part"], linewidth=2)
    limit = float(np.log(len(logits)))
    right.axhline(limit, color="black", linestyle=":", linewidth=1.5)
    right.text(lowest, limit + 0.02, f"log {len(logits)} = {limit:.3f}: all classes equal", va="bottom", fontsize=9)
    right.set(ylabel="entropy", ylim=(0, 1.15 * limit), title="How undecided they are together")
    for axes in (left, right):
        _temperature_axis(axes)
        seaborn.despine(ax=axes)
    return figure


def softened(
    student_logits: Float[Tensor, " k"],
    teacher_logits: Float[Tensor, " k"],
    temperature: float,
    class_names: Sequence[str],
) -> Figure:
    """Student and teacher at one temperature: their softmaxes, their entropies, and the student's gradient.

    >>> figure = softened(torch.tensor([2.0, 4.0]), torch.tensor([4.0, 2.0]), 10.0, ["a", "b"])
    >>> [axes.get_title() for axes in figure.axes][2]
    'gradient: length 0.014, times T² 1.4'
    """
    student, teacher = share_at(student_logits, temperature), share_at(teacher_logits, temperature)
    gradient = (student - teacher) / temperature
    names = [name.replace(", ", "\n") for name in class_names]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.1), width_ratios=(1.3, 0.8, 1))
    # Fixed margins: a slider draws this, and the constrained layout would take longer than all the rest.
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.17, top=0.89, wspace=0.28)
    places = np.arange(len(names))
    for offset, share, name, label in ((-0.2, teacher, "part", "teacher"), (0.2, student, "master", "student")):
        bars = left.bar(places + offset, share, width=0.38, color=COLOURS[name], label=label)
        left.bar_label(bars, [f"{value:.2f}" for value in share.tolist()], fontsize=8)
    left.set(ylim=(0, 1.12), ylabel="softmax at T")
    left.set_xticks(places, names, fontsize=9)
    left.legend(frameon=False, fontsize=9)
    temperatures = torch.logspace(np.log10(0.5), np.log10(50), 60, dtype=torch.float64)
    for logits, share, name in ((teacher_logits, teacher, "part"), (student_logits, student, "master")):
        curve = _entropy((logits.double() / temperatures[:, None]).softmax(dim=-1))
        middle.plot(temperatures, curve, color=COLOURS[name], linestyle="-" if name == "part" else "--")
        middle.plot([temperature], [_entropy(share)], "o", color=COLOURS[name], markersize=8 if name == "part" else 5)
    middle.axhline(np.log(len(names)), color="black", linestyle=":", linewidth=1)
    middle.set(ylim=(0, 1.1 * np.log(len(names))), ylabel="entropy")
    _temperature_axis(middle)
    squared = gradient * temperature**2
    right.bar(places, squared, width=0.7, fill=False, edgecolor="black", linestyle="--", label="times T²")
    right.bar(places, gradient, width=0.5, color=COLOURS["master"], label="gradient")
    right.legend(frameon=False, fontsize=8)
    right.axhline(0, color="black", linewidth=0.8)
    right.set_xticks(places, names, fontsize=9)
    largest = max(1.0, 1.1 * float(gradient.abs().max()), 1.1 * float(squared.abs().max()))
    right.set(ylim=(-largest, largest), ylabel="gradient at the student's logit")
    titles = (
        f"T = {temperature:g}",
        f"entropy: teacher {_entropy(teacher):.2f}, student {_entropy(student):.2f}",
        f"gradient: length {gradient.norm():.2g}, times T² {squared.norm():.2g}",
    )
    for axes, title in zip((left, middle, right), titles, strict=True):
        axes.set_title(title, fontsize=11, y=1.0)  # a given height: finding one takes a third of the drawing
        seaborn.despine(ax=axes)
    return figure


def loss_on_the_way(
    student_logits: Float[Tensor, " k"], teacher_logits: Float[Tensor, " k"], temperature: float
) -> Figure:
    """Cross entropy against soft targets while the student's logits move straight to the teacher's, and beyond.

    >>> axes, = loss_on_the_way(torch.tensor([2.0, 4.0]), torch.tensor([4.0, 2.0]), 2.0).axes
    >>> curve = axes.lines[0]
    >>> bool(abs(curve.get_xdata()[curve.get_ydata().argmin()] - 1) < 0.02)  # lowest where the student has arrived
    True
    """
    way = torch.linspace(-0.25, 2, 181, dtype=torch.float64)
    logits = student_logits + way[:, None] * (teacher_logits - student_logits)  # (181, k)
    teacher = share_at(teacher_logits, temperature)
    cross_entropy = -(teacher * (logits / temperature).log_softmax(dim=-1)).sum(dim=-1)
    entropy = float(_entropy(teacher))
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    axes.plot(way, cross_entropy, color=COLOURS["master"], linewidth=2.5, label="cross entropy")
    axes.axhline(entropy, color=COLOURS["part"], linewidth=2, label=f"the teacher's entropy, {entropy:.2f}")
    start = float(cross_entropy[(way - 0).abs().argmin()])
    axes.annotate("", (0, start), (0, entropy), arrowprops={"arrowstyle": "<->", "color": "black"})
    axes.text(0.03, (start + entropy) / 2, f"KL {start - entropy:.2f}", va="center", fontsize=10)
    axes.set(ylim=(0, None), xlabel="student's logits: 0 as given, 1 equal to the teacher's", ylabel="loss")
    axes.legend(frameon=False, loc="lower right")
    seaborn.despine(ax=axes)
    return figure


def gradient_lengths(temperatures: Sequence[float], lengths: Mapping[str, Sequence[float]]) -> Figure:
    """The length of the gradient at the student's logits against T, left as it is and right times T².

    Args:
        lengths: by the name of whom it was measured on; one number a temperature, not multiplied by T².

    >>> left, right = gradient_lengths([1, 10], {"tiny": [0.5, 0.01]}).axes
    >>> right.lines[0].get_ydata().tolist()
    [0.5, 1.0]
    """
    figure, both = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    squares = np.array([temperature**2 for temperature in temperatures])
    styles = ((GREY, "o:"), ("black", "s--"), (COLOURS["master"], "o-"))
    for (name, values), (colour, style) in zip(lengths.items(), styles, strict=False):
        for axes, factor in zip(both, (np.ones(len(squares)), squares), strict=True):
            axes.plot(temperatures, np.array(values) * factor, style, color=colour, label=name, markersize=5)
    both[0].set(yscale="log", ylabel="length of the gradient", title="As it is: falls like 1/T²")
    both[1].set(ylabel="length times T²", ylim=(0, None), title="Times T²: settles")
    both[0].legend(frameon=False)
    for axes in both:
        _temperature_axis(axes)
        seaborn.despine(ax=axes)
    return figure
