"""The picture of one prediction."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import seaborn
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.plots.style import COLOURS, draw_attention, draw_image


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
    rows = range(len(class_names))
    bars.barh(rows, [100 * share for share in probabilities], color=COLOURS["master"])
    for row, name, share in zip(rows, class_names, probabilities, strict=True):
        bars.text(100 * share + 1, row, f"{name}  {100 * share:.1f}", va="center", fontsize=9)
    bars.set(xlim=(0, 230), xticks=[0, 50, 100], yticks=[])  # the room right of 100 is for the names
    bars.spines["bottom"].set_bounds(0, 100)
    bars.set_xlabel("probability, %", x=50 / 230)
    bars.set_title(f"{class_names[0]}, {100 * probabilities[0]:.1f} %", fontsize=10)
    bars.invert_yaxis()
    seaborn.despine(ax=bars, left=True)
    return figure
