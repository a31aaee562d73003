"""Figures: pure functions, tensors in, matplotlib Figure out. `show` puts one into a notebook.

One colour means one thing throughout the course: blue is the structure image and the master net, orange the detail
image and the part net, green the attention network, grey plain downsampling. The four differ in lightness too, and are
told apart with any kind of colour vision (Okabe and Ito 2008). Attention maps are drawn in "magma".
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn
import torch
from jaxtyping import Float, Int, UInt8
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
    "attention": "#009E73",
    "downsampled": "#666666",
    "downsampled_aliased": "#AAAAAA",
    "chance": "#DDDDDD",
}
LABELS = {
    "master": "TASN, master net",
    "part": "TASN, part net",
    "attention": "TASN, attention net",
    "downsampled": "plain downsampling",
    "downsampled_aliased": "plain, not antialiased",
    "chance": "chance",
}
ATTENTION_MAP = "magma"
BOX_COLOUR = "#FFFFFF"


def save_png(figure: Figure, file: Path | io.BytesIO, largest: int = 100_000) -> None:
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


def _pixels(image: Tensor) -> np.ndarray:
    """An image (3, h, w), in [0, 1] or in whole numbers to 255, as matplotlib wants it."""
    image = image if image.dtype == torch.uint8 else image.detach().float().clamp(0, 1)
    return image.permute(1, 2, 0).cpu().numpy()


def draw_image(axes: Axes, image: Tensor, title: str = "", colour: str | None = None) -> None:
    """An image in pixel-edge units: pixel j covers [j, j + 1]. A colour frames it."""
    height, width = image.shape[1:]
    axes.imshow(_pixels(image), extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10, color=colour or "black")
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
    smooth = (smooth / smooth.max().clamp_min(1e-12)).cpu().numpy()
    axes.imshow(smooth, cmap=ATTENTION_MAP, vmin=0, vmax=1, alpha=0.65, extent=(0, width, height, 0))
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10)


def contact_sheet(
    images: UInt8[Tensor, "n 3 h w"],
    titles: Sequence[str] = (),
    boxes: Float[Tensor, "n parts 4"] | None = None,
    columns: int = 8,
) -> Figure:
    """Images side by side, each with its title and its part boxes.

    >>> contact_sheet(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), columns=2).axes.__len__()
    4
    """
    rows = -(-len(images) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.7 * columns, 1.95 * rows), squeeze=False, layout="constrained"
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (axes, image) in enumerate(zip(grid.flat, images, strict=False)):
        draw_image(axes, image, titles[number] if titles else "")
        axes.title.set_fontsize(8)
        if boxes is not None:
            draw_boxes(axes, boxes[number])
    return figure


def sampling_overview(
    images: Float[Tensor, "n 3 h w"],
    attention: Float[Tensor, "n a b"],
    structure_images: Float[Tensor, "n 3 s s"],
    detail_images: Float[Tensor, "n 3 s s"],
    plain_images: Float[Tensor, "n 3 s s"],
    boxes: Float[Tensor, "n parts 4"] | None = None,
) -> Figure:
    """One row an image: the image with its parts, attention over it, structure, detail and plain image."""
    count = len(images)
    figure, grid = plt.subplots(count, 5, figsize=(12, 2.5 * count), squeeze=False, layout="constrained")
    for row, axes in enumerate(grid):
        first = row == 0
        size, small = images.shape[-1], structure_images.shape[-1]
        draw_image(axes[0], images[row], f"image, {size} px" if first else "")
        if boxes is not None:
            draw_boxes(axes[0], boxes[row])
        draw_attention(axes[1], images[row], attention[row], "attention (structure)" if first else "")
        draw_image(axes[2], structure_images[row], f"structure, {small} px" if first else "", COLOURS["structure"])
        draw_image(axes[3], detail_images[row], f"detail, {small} px" if first else "", COLOURS["detail"])
        draw_image(axes[4], plain_images[row], f"plain, {small} px" if first else "", COLOURS["downsampled"])
    return figure


def training_curves(histories: Mapping[str, Sequence[Mapping]], chance: float) -> Figure:
    """TASN's loss beside the accuracy of every net, epoch by epoch.

    Args:
        histories: of `training.fit`, by the model's name; "tasn" among them.
        chance: the accuracy of guessing.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    epochs = [entry["epoch"] for entry in histories["tasn"]]
    left.plot(epochs, [entry["loss"] for entry in histories["tasn"]], "o-", color="black")
    left.set(xlabel="epoch", ylabel="training loss (all four terms)", title="TASN's loss")
    for history in histories.values():
        for name in history[0]["accuracy"]:
            shares = [100 * entry["accuracy"][name] for entry in history]
            style = "o--" if name.startswith("downsampled") else "o-"
            right.plot(
                [entry["epoch"] for entry in history], shares, style, color=COLOURS[name], label=LABELS[name], ms=4
            )
    right.axhline(100 * chance, color=COLOURS["chance"], linewidth=2, label=LABELS["chance"])
    right.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(0, 102), title="How often each net is right")
    right.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        seaborn.despine(ax=axes)
    return figure


def confusion(
    labels: Int[Tensor, " n"], answers: Mapping[str, Int[Tensor, " n"]], class_names: Sequence[str], genera: int
) -> Figure:
    """For each net, which class was taken for which, in percent of the true class. Lines part the genera."""
    classes = len(class_names)
    species = classes // genera
    figure, grid = plt.subplots(1, len(answers), figsize=(6.2 * len(answers), 5.6), squeeze=False, layout="constrained")
    for axes, (name, answer) in zip(grid[0], answers.items(), strict=True):
        counts = torch.bincount(labels.cpu() * classes + answer.cpu(), minlength=classes**2).view(classes, classes)
        share = 100 * counts / counts.sum(1, keepdim=True).clamp_min(1)
        seaborn.heatmap(
            share.numpy(), ax=axes, cmap="Blues", vmin=0, vmax=100, square=True, cbar=axes is grid[0, -1],
            cbar_kws={"label": "% of the true class", "shrink": 0.7},
        )  # fmt: skip
        for edge in range(0, classes + 1, species):
            axes.axhline(edge, color="black", linewidth=0.8)
            axes.axvline(edge, color="black", linewidth=0.8)
        genus_names = [class_names[genus * species].split(",")[0] for genus in range(genera)]
        centres = [(genus + 0.5) * species for genus in range(genera)]
        axes.set_xticks(centres, genus_names, rotation=0, fontsize=8)
        axes.set_yticks(centres, genus_names, rotation=90, va="center", fontsize=8)
        axes.set(xlabel=f"answer (in each genus: its {species} species)", ylabel="truth", title=LABELS[name])
    return figure


def accuracy_bars(accuracy: Mapping[str, float | None]) -> Figure:
    """The accuracies of a result, one bar a net."""
    shown = {name: share for name, share in accuracy.items() if share is not None}
    figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(shown) + 0.7), layout="constrained")
    for row, (name, share) in enumerate(shown.items()):
        axes.barh(row, 100 * share, color=COLOURS[name])
        axes.text(100 * share + 1, row, f"{100 * share:.1f}", va="center", fontsize=9)
    axes.set(yticks=range(len(shown)), xlim=(0, 108), xlabel="test accuracy, %")
    axes.set_yticklabels([LABELS[name] for name in shown])
    axes.invert_yaxis()
    seaborn.despine(ax=axes)
    return figure


def image_row(images: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Images of any sizes side by side, each drawn equally large.

    >>> len(image_row([torch.rand(3, 8, 8), torch.rand(3, 4, 4)], ["large", "small"]).axes)
    2
    """
    figure, row = plt.subplots(1, len(images), figsize=(3.2 * len(images), 2.4), squeeze=False, layout="constrained")
    for axes, image, title in zip(row[0], images, titles, strict=True):
        draw_image(axes, image, title)
    return figure
