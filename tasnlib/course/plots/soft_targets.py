"""Figures of soft targets: what a temperature does to a softmax, to its entropy, to the loss and to its gradient."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS, draw_image

GREY = COLOURS["downsampled"]
TEMPERATURES = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
ALONG = torch.logspace(math.log10(0.5), math.log10(50), 100, dtype=torch.float64)  # temperatures of a curve
CLASS_COLOURS = ("#000000", "#CC79A7", "#56B4E9", "#999999")  # four classes, in colours that mean nothing else


def softmax_at(logits: Tensor, temperature: float | Tensor) -> Tensor:
    return (logits.double() / temperature).softmax(dim=-1)


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(dim=-1)


def _temperature_axis(axes: Axes) -> None:
    axes.set(xscale="log", xlabel="temperature T")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    axes.minorticks_off()


def targets(
    images: Sequence[Float[Tensor, "3 h w"]], class_names: Sequence[str], rows: Mapping[str, Float[Tensor, " k"]]
) -> Figure:
    """One image of each class, and under it the probability that each target gives to that class.

    Args:
        rows: targets by name: one number per class, from 0 to 1. The first row is grey, the others orange.

    >>> label, soft = torch.tensor([1.0, 0.0]), torch.tensor([0.9, 0.1])
    >>> len(targets([torch.rand(3, 8, 8)] * 2, ["a", "b"], {"label": label, "teacher": soft}).axes)
    4
    """
    count = len(images)
    layout: list[Any] = [[f"image {n}" for n in range(count)], *([name] * count for name in rows)]
    heights = [1.35, *([1.0] * len(rows))]
    figure, grid = plt.subplot_mosaic(
        layout, figsize=(2.6 * count, sum(heights) + 1.0), height_ratios=heights, layout="constrained"
    )
    for n, (image, name) in enumerate(zip(images, class_names, strict=True)):
        draw_image(grid[f"image {n}"], image, name)
    for number, (name, values) in enumerate(rows.items()):
        axes = grid[name]
        bars = axes.bar(range(count), values.tolist(), width=0.4, color=COLOURS["part"] if number else GREY)
        axes.bar_label(bars, fmt="%.2f", fontsize=9)
        axes.set(xlim=(-0.5, count - 0.5), ylim=(0, 1.3), xticks=[], yticks=[0, 1], ylabel="probability")
        axes.set_title(name, fontsize=10, loc="left")
    return figure


def temperature_curves(logits: Float[Tensor, " k"], class_names: Sequence[str]) -> Figure:
    """Softmax at temperatures from 0.5 to 50, and its entropy with the limit log k.

    >>> left, right = temperature_curves(torch.tensor([4.0, 2.0, 0.0, -2.0]), list("abcd")).axes
    >>> bool(right.lines[0].get_ydata()[-1] > 0.998 * math.log(4))
    True
    """
    probabilities = softmax_at(logits, ALONG[:, None])  # (100, k)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    left.set_prop_cycle(color=CLASS_COLOURS)
    left.plot(ALONG, probabilities, linewidth=2, label=class_names)
    left.set(ylabel="softmax of logits / T", ylim=(0, 1), title="Probability of each class")
    left.legend()
    right.plot(ALONG, _entropy(probabilities), color=COLOURS["part"], linewidth=2)
    limit = math.log(len(logits))
    right.axhline(limit, color="black", linestyle=":", linewidth=1.5)
    right.text(0.5, limit + 0.02, f"log {len(logits)} = {limit:.3f}: all classes equal", va="bottom", fontsize=9)
    right.set(ylabel="entropy", ylim=(0, 1.15 * limit), title="Entropy of these probabilities")
    for axes in (left, right):
        _temperature_axis(axes)
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
    'gradient: norm 0.014, times T² 1.4'
    """
    student, teacher = softmax_at(student_logits, temperature), softmax_at(teacher_logits, temperature)
    gradient = (student - teacher) / temperature
    squared = gradient * temperature**2
    names, places = [name.replace(", ", "\n") for name in class_names], np.arange(len(class_names))
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.1), width_ratios=(1.3, 0.8, 1))
    # Fixed margins: a slider draws this, and the constrained layout would take longer than all the rest.
    figure.subplots_adjust(left=0.05, right=0.99, bottom=0.17, top=0.89, wspace=0.28)
    for offset, logits, probabilities, net, label, line in (
        (-0.2, teacher_logits, teacher, "part", "teacher", "-"),
        (0.2, student_logits, student, "master", "student", "--"),
    ):
        bars = left.bar(places + offset, probabilities, width=0.38, color=COLOURS[net], label=label)
        left.bar_label(bars, fmt="%.2f", fontsize=8)
        curve = _entropy(softmax_at(logits, ALONG[:, None]))
        middle.plot(ALONG, curve, color=COLOURS[net], linestyle=line)
        middle.plot([temperature], [_entropy(probabilities)], "o", color=COLOURS[net], ms=8 if line == "-" else 5)
    left.set(ylim=(0, 1.12), ylabel="softmax at T")
    left.legend(fontsize=9)
    middle.axhline(math.log(len(names)), color="black", linestyle=":", linewidth=1)
    middle.set(ylim=(0, 1.1 * math.log(len(names))), ylabel="entropy")
    _temperature_axis(middle)
    right.bar(places, squared, width=0.7, fill=False, edgecolor="black", linestyle="--", label="times T²")
    right.bar(places, gradient, width=0.5, color=COLOURS["master"], label="gradient")
    right.legend(fontsize=8)
    right.axhline(0, color="black", linewidth=0.8)
    largest = max(1.0, 1.1 * float(torch.stack([gradient, squared]).abs().max()))
    right.set(ylim=(-largest, largest), ylabel="gradient at the student's logit")
    titles = (
        f"T = {temperature:g}",
        f"entropy: teacher {_entropy(teacher):.2f}, student {_entropy(student):.2f}",
        f"gradient: norm {gradient.norm():.2g}, times T² {squared.norm():.2g}",
    )
    for axes, title in zip((left, middle, right), titles, strict=True):
        axes.set_title(title, fontsize=11, y=1.0)  # a given height: finding one takes a third of the drawing
    for axes in (left, right):
        axes.set_xticks(places, names, fontsize=9)
    return figure


def loss_along_the_way(
    student_logits: Float[Tensor, " k"], teacher_logits: Float[Tensor, " k"], temperature: float
) -> Figure:
    """Cross entropy against soft targets while the student's logits move straight to the teacher's, and beyond.

    >>> axes, = loss_along_the_way(torch.tensor([2.0, 4.0]), torch.tensor([4.0, 2.0]), 2.0).axes
    >>> curve = axes.lines[0]
    >>> bool(abs(curve.get_xdata()[curve.get_ydata().argmin()] - 1) < 0.02)  # lowest at the teacher's logits
    True
    """
    way = torch.linspace(-0.25, 2, 181, dtype=torch.float64)
    logits = student_logits + way[:, None] * (teacher_logits - student_logits)  # (181, k)
    teacher = softmax_at(teacher_logits, temperature)
    cross_entropy = -(teacher * softmax_at(logits, temperature).log()).sum(dim=-1)
    entropy, start = float(_entropy(teacher)), float(cross_entropy[way.abs().argmin()])
    figure, axes = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    axes.plot(way, cross_entropy, color=COLOURS["master"], linewidth=2.5, label="cross entropy")
    axes.axhline(entropy, color=COLOURS["part"], linewidth=2, label=f"the teacher's entropy, {entropy:.2f}")
    axes.annotate("", (0, start), (0, entropy), arrowprops={"arrowstyle": "<->", "color": "black"})
    axes.text(0.03, (start + entropy) / 2, f"KL {start - entropy:.2f}", va="center", fontsize=10)
    axes.set(ylim=(0, None), xlabel="student's logits: 0 as given, 1 equal to the teacher's", ylabel="loss")
    axes.legend(loc="lower right")
    return figure


def gradient_norms(temperatures: Sequence[float], norms: Mapping[str, Sequence[float]]) -> Figure:
    """The norm of the gradient at the student's logits against T, unscaled on the left, times T² on the right.

    Args:
        norms: by the name of what was measured; one number per temperature, unscaled.

    >>> left, right = gradient_norms([1, 10], {"tiny": [0.5, 0.01]}).axes
    >>> right.lines[0].get_ydata().tolist()
    [0.5, 1.0]
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    squares = np.square(temperatures)
    styles = ((GREY, "o:"), ("black", "s--"), (COLOURS["master"], "o-"))
    for (name, values), (colour, style) in zip(norms.items(), styles, strict=False):
        left.plot(temperatures, values, style, color=colour, label=name, markersize=5)
        right.plot(temperatures, np.array(values) * squares, style, color=colour, markersize=5)
    left.set(yscale="log", ylabel="norm of the gradient", title="Unscaled: falls like 1/T²")
    right.set(ylabel="norm times T²", ylim=(0, None), title="Times T²: levels off")
    left.legend()
    for axes in (left, right):
        _temperature_axis(axes)
    return figure
