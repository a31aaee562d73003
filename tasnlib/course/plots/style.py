"""Shared by all figures: one colour per thing, and how an image, boxes and an attention map are drawn."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

COLOURS = {
    "structure": "#0072B2",
    "master": "#0072B2",
    "detail": "#D55E00",
    "part": "#D55E00",
    "master_own": "#56B4E9",
    "part_own": "#E69F00",
    "crop": "#CC79A7",
    "full": "#882255",
    "attention": "#009E73",
    "downsampled": "#666666",
    "downsampled_aliased": "#AAAAAA",
    "chance": "#DDDDDD",
}
LABELS = {
    "master": "TASN, master net",
    "part": "TASN, part net",
    "master_own": "master net's own classifier",
    "part_own": "part net's own classifier",
    "attention": "TASN, attention net",
    "downsampled": "antialiased downsampling",
    "downsampled_aliased": "aliased downsampling",
    "crop": "the middle of the image",
    "full": "the whole image, full size",
    "chance": "chance",
}
ATTENTION_MAP = "magma"
# Class names may be in any script: after the default font, whichever of these are installed.
_FURTHER_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK SC", "Malgun Gothic", "Microsoft YaHei",
                  "Yu Gothic", "Apple SD Gothic Neo", "PingFang SC", "WenQuanYi Zen Hei", "NanumGothic")  # fmt: skip
_INSTALLED = {font.name for font in font_manager.fontManager.ttflist}
plt.rcParams["font.family"] = ["DejaVu Sans", *(font for font in _FURTHER_FONTS if font in _INSTALLED)]
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


def pixels(image: Tensor) -> np.ndarray:
    """An image (3, h, w), in [0, 1] or in whole numbers to 255, as matplotlib takes it: (h, w, 3)."""
    image = image if image.dtype == torch.uint8 else image.detach().float().clamp(0, 1)
    return image.permute(1, 2, 0).cpu().numpy()


def draw_image(axes: Axes, image: Tensor, title: str = "", colour: str | None = None) -> None:
    """An image in pixel-edge units: pixel j covers [j, j + 1]. A colour frames it."""
    height, width = image.shape[1:]
    axes.imshow(pixels(image), extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10, color=colour or "black", parse_math=False)  # a class name may contain a $
    axes.spines[:].set(visible=colour is not None, color=colour, linewidth=3)


def draw_boxes(axes: Axes, boxes: Float[Tensor, "parts 4"] | None) -> None:
    for x0, y0, x1, y1 in [] if boxes is None else boxes.tolist():
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="white", linewidth=1.2))


def draw_attention(
    axes: Axes,
    image: Tensor,
    attention: Float[Tensor, "h w"],
    title: str = "",
    smooth: bool = True,
    peak: float | None = None,
) -> None:
    """An attention map over the grey image it belongs to: bright where the attention is.

    Args:
        smooth: False shows the cells as squares.
        peak: the value drawn brightest; the map's own maximum if None.
    """
    height, width = image.shape[1:]
    extent = (0, width, height, 0)
    grey = pixels(image).mean(axis=2) / (255 if image.dtype == torch.uint8 else 1)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, extent=extent)
    peak = attention.max().item() if peak is None else peak
    strength = (attention.detach().cpu().float() / max(peak, 1e-12)).numpy()
    # More of the image shows through dark cells.
    alpha, interpolation = (0.65, "bilinear") if smooth else (0.3 + 0.6 * strength.clip(0, 1) ** 0.5, "nearest")
    axes.imshow(strength, cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=alpha, extent=extent, interpolation=interpolation)
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10, parse_math=False)
