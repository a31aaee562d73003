"""Showing a figure in a notebook: as a PNG, with its alternative text."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image


def palette_png(image: Image.Image) -> bytes:
    """A PNG of 256 colours, a third of the size.

    "Maximum coverage" chooses the palette by how far colours lie apart, not by how often they occur, so that a small
    coloured part in a large picture keeps its colour."""
    png = io.BytesIO()
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    image.convert("RGB").quantize(256, method=method, kmeans=1, dither=dither).save(png, format="png", optimize=True)
    return png.getvalue()


def _display(png: bytes, alt: str) -> None:
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    data = {"image/png": png, "text/plain": f"[picture: {alt}]"}
    if get_ipython() is None:  # in a plain script
        print(data["text/plain"])
        return
    display(data, raw=True, metadata={"image/png": {"alt": alt}})


def figure_bytes(figure: Figure) -> bytes:
    """A figure as PNG, closed. Not cropped, which is faster: for pictures that follow a slider."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80)
    plt.close(figure)
    return png.getvalue()


def show(figure: Figure, alt: str, largest: int = 30_000) -> None:
    """Display a figure as a PNG with its alternative text, and close it. The text is also what a log shows.

    A PNG of more than `largest` bytes gets a palette of 256 colours."""
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80, bbox_inches="tight")
    plt.close(figure)
    _display(png.getvalue() if png.tell() <= largest else palette_png(Image.open(png)), alt)


def show_strip(figures: Sequence[Figure], alt: str) -> None:
    """What a slider shows, for readers without a kernel: its figures stacked as one PNG."""
    frames = [Image.open(io.BytesIO(figure_bytes(figure))).convert("RGB") for figure in figures]
    strip = Image.new("RGB", (max(frame.width for frame in frames), sum(frame.height for frame in frames)), "white")
    top = 0
    for frame in frames:
        strip.paste(frame, (0, top))
        top += frame.height
    _display(palette_png(strip), alt)


def show_file(path: Path, alt: str) -> None:
    """Display a kept PNG with its alternative text."""
    _display(path.read_bytes(), alt)
