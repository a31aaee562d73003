"""The figure of one prediction."""

import io
import sys
from collections.abc import Sequence

import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

BLUE = "#0072B2"  # the structure image's and the master net's, in all figures


def prediction_figure(
    image: Float[Tensor, "3 h w"],
    attention: Float[Tensor, "a b"],
    structure_image: Float[Tensor, "3 n n"],
    class_names: Sequence[str],
    probabilities: Sequence[float],
) -> Figure:
    """An image with its attention, its structure image, and the most probable classes as bars.

    >>> import torch
    >>> figure = prediction_figure(torch.rand(3, 9, 9), torch.rand(3, 3), torch.rand(3, 6, 6), ["wren"], [0.9])
    >>> [axes.get_title() for axes in figure.axes]
    ['image', 'attention', 'structure image', 'wren, 90.0 %']
    """
    figure = plt.figure(figsize=(13, 3), layout="constrained")
    first, second, third, bars = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.3))
    extent = (0, image.shape[2], image.shape[1], 0)
    pixels = image.permute(1, 2, 0).numpy()
    first.imshow(pixels, extent=extent, interpolation="nearest")
    second.imshow(pixels.mean(axis=2), cmap="gray", vmin=0, vmax=1, extent=extent)
    smooth = F.interpolate(attention[None, None], image.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    second.imshow(smooth / smooth.max().clamp_min(1e-12), cmap="magma", vmin=0, vmax=1, alpha=0.65, extent=extent)
    third.imshow(structure_image.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
    for axes, title in ((first, "image"), (second, "attention"), (third, "structure image")):
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=10)
        axes.spines[:].set_visible(False)
    third.spines[:].set(visible=True, color=BLUE, linewidth=3)
    drawn = bars.barh(range(len(class_names)), [100 * share for share in probabilities], color=BLUE)
    labels = [f"{name}  {100 * share:.1f} %" for name, share in zip(class_names, probabilities, strict=True)]
    bars.bar_label(drawn, labels, padding=3, fontsize=9, parse_math=False)  # a $ in a class name is no formula
    bars.set(xlim=(0, 290))  # room for the names
    bars.set_axis_off()
    bars.set_title(f"{class_names[0]}, {100 * probabilities[0]:.1f} %", fontsize=10, parse_math=False)
    bars.invert_yaxis()
    return figure


def in_kernel() -> bool:
    """Does this run in a notebook, which can show pictures?"""
    return "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel")


def display_png(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook with its alternative text, and close it."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80, bbox_inches="tight")
    plt.close(figure)
    data = {"image/png": png.getvalue(), "text/plain": f"[picture: {alt}]"}
    sys.modules["IPython"].display.display(data, raw=True, metadata={"image/png": {"alt": alt}})
