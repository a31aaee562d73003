"""The picture of one prediction."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import seaborn
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import COLOURS, draw_attention, draw_image


def draw_answer(
    axes: Axes, class_names: Sequence[str], probabilities: Sequence[float], colour: str, who: str = ""
) -> None:
    """A net's most probable classes as bars, the first of them in the title.

    >>> axes = plt.figure().add_subplot()
    >>> draw_answer(axes, ["wren", "robin"], [0.9, 0.1], "black", "part net: ")
    >>> axes.get_title()
    'part net: wren, 90.0 %'
    """
    rows = range(len(class_names))
    axes.barh(rows, [100 * share for share in probabilities], color=colour)
    for row, name, share in zip(rows, class_names, probabilities, strict=True):
        # A class's name may hold a $.
        axes.text(100 * share + 1, row, f"{name}  {100 * share:.1f}", va="center", fontsize=9, parse_math=False)
    room = 250  # right of 100, for the names
    axes.set(xlim=(0, room), xticks=[0, 50, 100], yticks=[])
    axes.spines["bottom"].set_bounds(0, 100)
    axes.set_xlabel("probability, %", x=50 / room)
    axes.set_title(f"{who}{class_names[0]}, {100 * probabilities[0]:.1f} %", fontsize=10, parse_math=False)
    axes.invert_yaxis()
    seaborn.despine(ax=axes, left=True)


def prediction_figure(
    image: Float[Tensor, "3 h w"],
    attention: Float[Tensor, "a b"],
    structure_image: Float[Tensor, "3 n n"],
    class_names: Sequence[str],
    probabilities: Sequence[float],
) -> Figure:
    """An image, where the network looked, what the sampler made of it, and the most probable classes.

    >>> import torch
    >>> figure = prediction_figure(
    ...     torch.rand(3, 9, 9), torch.rand(3, 3), torch.rand(3, 6, 6), ["wren", "robin"], [0.9, 0.1]
    ... )
    >>> [axes.get_title() for axes in figure.axes]
    ['image', 'attention', 'structure image', 'wren, 90.0 %']
    """
    figure, (first, second, third, bars) = plt.subplots(
        1, 4, figsize=(13, 3.0), width_ratios=(1, 1, 1, 1.3), layout="constrained"
    )
    draw_image(first, image, "image")
    silent = "" if attention.any() else ": 0 everywhere"  # the picture would not tell: its colours run to the maximum
    draw_attention(second, image, attention, f"attention{silent}")
    draw_image(third, structure_image, "structure image", COLOURS["structure"])
    draw_answer(bars, class_names, probabilities, COLOURS["master"])
    return figure
