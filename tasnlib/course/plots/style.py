"""What all figures share: one colour for one thing, how an image, its boxes and its attention are drawn, how a figure
gets into a notebook."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

COLOURS = {
    "structure": "#0072B2",
    "master": "#0072B2",
    "detail": "#D55E00",
    "part": "#D55E00",
    "master_own": "#56B4E9",
    "part_own": "#E69F00",
    "master+part": "#CC79A7",
    "master+part+attention": "#882255",
    "attention": "#009E73",
    "downsampled": "#666666",
    "downsampled_aliased": "#AAAAAA",
    "chance": "#DDDDDD",
}
LABELS = {
    "master": "TASN, master net",
    "part": "TASN, part net",
    "master_own": "master's own classifier",
    "part_own": "part net's own classifier",
    "master+part": "master and part, averaged",
    "master+part+attention": "all three, averaged",
    "attention": "TASN, attention net",
    "downsampled": "plain downsampling",
    "downsampled_aliased": "plain, not antialiased",
    "chance": "chance",
}
ATTENTION_MAP = "magma"
# Class names may be in any script: after the usual font, those of these that are installed.
_FURTHER_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK SC", "Malgun Gothic", "Microsoft YaHei",
                  "Yu Gothic", "Apple SD Gothic Neo", "PingFang SC", "WenQuanYi Zen Hei", "NanumGothic")  # fmt: skip
_INSTALLED = {font.name for font in font_manager.fontManager.ttflist}
plt.rcParams["font.family"] = ["DejaVu Sans", *(font for font in _FURTHER_FONTS if font in _INSTALLED)]
BOX_COLOUR = "#FFFFFF"


def save_png(figure: Figure, file: Path | io.BytesIO, largest: int = 30_000) -> None:
    """Write a figure as a PNG; one of more than `largest` bytes gets a palette of 256 colours, a third of the size.

    "Maximum coverage" chooses the palette by how far colours lie apart, not by how often they occur, so that a small
    coloured part in a large picture keeps its colour.
    """
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80, bbox_inches="tight")
    if len(png.getvalue()) > largest:
        full = Image.open(png).convert("RGB")
        png = io.BytesIO()
        method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
        full.quantize(256, method=method, kmeans=1, dither=dither).save(png, format="png", optimize=True)
    if isinstance(file, Path):
        file.write_bytes(png.getvalue())
    else:
        file.write(png.getvalue())


def show(figure: Figure, alt: str) -> None:
    """Display a figure as a PNG with its alternative text, and close it. The text is also what a log shows."""
    from IPython.display import display

    png = io.BytesIO()
    save_png(figure, png)
    plt.close(figure)
    data = {"image/png": png.getvalue(), "text/plain": f"[picture: {alt}]"}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def in_notebook() -> bool:
    """Whether this runs in a kernel that can show pictures."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return get_ipython().__class__.__name__ == "ZMQInteractiveShell"


def figure_bytes(figure: Figure) -> bytes:
    """A figure as PNG, closed. Faster than `save_png`: for pictures that follow a slider."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80)
    plt.close(figure)
    return png.getvalue()


def show_strip(figures: Sequence[Figure], alt: str) -> None:
    """What a slider shows, for readers who have none: its pictures below one another, as one PNG."""
    from IPython.display import display

    frames = [Image.open(io.BytesIO(figure_bytes(figure))).convert("RGB") for figure in figures]
    strip = Image.new("RGB", (max(frame.width for frame in frames), sum(frame.height for frame in frames)), "white")
    top = 0
    for frame in frames:
        strip.paste(frame, (0, top))
        top += frame.height
    png = io.BytesIO()
    strip.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(png, format="png")
    data = {"image/png": png.getvalue(), "text/plain": f"[picture: {alt}]"}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def _pixels(image: Tensor) -> np.ndarray:
    """An image (3, h, w), in [0, 1] or in whole numbers to 255, as matplotlib wants it."""
    image = image if image.dtype == torch.uint8 else image.detach().float().clamp(0, 1)
    return image.permute(1, 2, 0).cpu().numpy()


def draw_image(axes: Axes, image: Tensor, title: str = "", colour: str | None = None) -> None:
    """An image in pixel-edge units: pixel j covers [j, j + 1]. A colour frames it."""
    height, width = image.shape[1:]
    axes.imshow(_pixels(image), extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10, color=colour or "black", parse_math=False)  # a class's name may hold a $
    for spine in axes.spines.values():
        spine.set(visible=colour is not None, color=colour, linewidth=3)


def draw_boxes(axes: Axes, boxes: Float[Tensor, "parts 4"], colour: str = BOX_COLOUR) -> None:
    for x0, y0, x1, y1 in boxes.tolist():
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2))


def draw_attention(axes: Axes, image: Tensor, attention: Float[Tensor, "h w"], title: str = "") -> None:
    """An attention map over the grey image it belongs to: bright where the attention is."""
    height, width = image.shape[1:]
    grey = _pixels(image).mean(axis=2)
    axes.imshow(
        grey / (255 if image.dtype == torch.uint8 else 1), cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0)
    )
    smooth = F.interpolate(attention[None, None].float(), (height, width), mode="bilinear", align_corners=False)[0, 0]
    strength = smooth / smooth.max().clamp_min(1e-12)
    axes.imshow(strength.cpu().numpy(), cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=0.65, extent=(0, width, height, 0))
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10, parse_math=False)
