"""The picture of one prediction: the image, where the network looked, what the sampler made of it, and the classes."""

import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

BLUE = "#0072B2"  # of the structure image and the master net, in all figures of the course


def prediction_figure(
    image: Float[Tensor, "3 h w"],
    attention: Float[Tensor, "a b"],
    structure_image: Float[Tensor, "3 n n"],
    class_names: Sequence[str],
    probabilities: Sequence[float],
) -> Figure:
    """An image with its attention, its structure image, and the most probable classes as bars.

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
    extent = (0, image.shape[2], image.shape[1], 0)
    pixels = image.permute(1, 2, 0).numpy()
    first.imshow(pixels, extent=extent, interpolation="nearest")
    second.imshow(pixels.mean(axis=2), cmap="gray", vmin=0, vmax=1, extent=extent)
    smooth = F.interpolate(attention[None, None], image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    second.imshow(smooth / smooth.max().clamp_min(1e-12), cmap="magma", vmin=0, vmax=1, alpha=0.65, extent=extent)
    third.imshow(structure_image.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
    silent = "" if attention.any() else ": 0 everywhere"  # the colours, which run to the maximum, do not show it
    for axes, title in ((first, "image"), (second, f"attention{silent}"), (third, "structure image")):
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=10)
        axes.spines[:].set_visible(False)
    third.spines[:].set(visible=True, color=BLUE, linewidth=3)
    draw_probabilities(bars, class_names, probabilities)
    return figure


def draw_probabilities(axes: Axes, class_names: Sequence[str], probabilities: Sequence[float]) -> None:
    """The most probable classes as bars, the first in the title."""
    axes.barh(range(len(class_names)), [100 * share for share in probabilities], color=BLUE)
    for row, (name, share) in enumerate(zip(class_names, probabilities, strict=True)):
        # A class name may hold a $, which is no formula.
        axes.text(100 * share + 1, row, f"{name}  {100 * share:.1f}", va="center", fontsize=9, parse_math=False)
    axes.set(xlim=(0, 250), xticks=[0, 50, 100], yticks=[])  # room for the names
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.spines["bottom"].set_bounds(0, 100)
    axes.set_xlabel("probability, %", x=0.2)
    axes.set_title(f"{class_names[0]}, {100 * probabilities[0]:.1f} %", fontsize=10, parse_math=False)
    axes.invert_yaxis()


def png(figure: Figure) -> bytes:
    """A figure as PNG, closed."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80, bbox_inches="tight")
    plt.close(figure)
    return file.getvalue()
