"""Sliders around a drawing function.

Each slider steps through a short list of values, so that the same thing can be shown in two ways: live, where a kernel
draws what the sliders say; and prerendered, where every picture was drawn beforehand and a page without any kernel
turns them like pages (see `site`).
"""

import atexit
import base64
import gc
import html
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
from IPython.display import HTML, display
from matplotlib.figure import Figure
from PIL import Image

from tasnlib.course.plots import figure_bytes

PRERENDER = "TASN_PRERENDER"  # an environment variable; set while the course is written as web pages


@dataclass(frozen=True)
class Slider:
    """One slider: the drawing function's argument, what stands beside it, and the values it steps through."""

    argument: str
    label: str
    values: Sequence[Any]
    start: Any  # one of the values

    def __post_init__(self) -> None:
        if self.start not in self.values:
            raise ValueError(
                f"start of the slider {self.argument} is {self.start!r}; it must be one of {list(self.values)}"
            )


def explore(draw: Callable[..., Figure], sliders: Sequence[Slider], alt: str) -> None:
    """Show what `draw` draws, and draw it anew whenever a slider moves.

    Args:
        draw: a pure function from the sliders' arguments to a figure.
        sliders: one for each argument.
        alt: the picture in words.
    """
    (_prerendered if os.environ.get(PRERENDER) else _live)(draw, sliders, alt)


def picture_html(figure: Figure, alt: str) -> str:
    """A figure as an HTML image of 256 colours: a third of the size, because the notebook file keeps what a widget
    shows.

    >>> from matplotlib.figure import Figure
    >>> picture_html(Figure(), "nothing")[:50]
    '<img alt="nothing" src="data:image/png;base64,iVBO'
    """
    png = io.BytesIO()
    Image.open(io.BytesIO(figure_bytes(figure))).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(
        png, "PNG"
    )
    encoded = base64.b64encode(png.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{encoded}">'


def _live(draw: Callable[..., Figure], sliders: Sequence[Slider], alt: str) -> None:
    controls = {
        slider.argument: ipywidgets.SelectionSlider(
            options=[(_text(value), value) for value in slider.values],
            value=slider.start,
            description=slider.label,
            continuous_update=True,  # with False, arrow keys move the slider but tell nobody
            style={"description_width": "16em"},
            layout={"width": "44em"},
        )
        for slider in sliders
    }
    picture = ipywidgets.HTML()

    def redraw(_change: object = None) -> None:
        picture.value = picture_html(draw(**{name: control.value for name, control in controls.items()}), alt)

    redraw()  # an error in the drawing ends the cell, here and in headless runs
    keep_for_good()
    for control in controls.values():
        control.observe(redraw, names="value")
    display(ipywidgets.VBox([*controls.values(), picture]))


def keep_for_good() -> None:
    """Take all objects there are out of the garbage collector's rounds. Otherwise a round through everything that torch
    and matplotlib hold would stop a slider for 0.3 s now and then."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or libraries complain at the end of what they take for leaks


def _prerendered(draw: Callable[..., Figure], sliders: Sequence[Slider], alt: str) -> None:
    """Every value of every slider, the others at their start, as pictures and a few lines of script on one page."""
    start = {slider.argument: slider.start for slider in sliders}
    rows = []
    for slider in sliders:
        frames = [picture_html(draw(**{**start, slider.argument: value}), alt) for value in slider.values]
        at = list(slider.values).index(slider.start)
        pictures = "".join(
            f'<div class="frame"{"" if n == at else " hidden"}>{frame}</div>' for n, frame in enumerate(frames)
        )
        texts = html.escape(json.dumps([_text(value) for value in slider.values]))
        rows.append(
            f'<fieldset class="prerendered" data-values="{texts}"><label>{html.escape(slider.label)} '
            f'<input type="range" min="0" max="{len(frames) - 1}" value="{at}" oninput="turnPage(this)"> '
            f"<output>{html.escape(_text(slider.start))}</output></label>{pictures}</fieldset>"
        )
    script = (
        "<script>function turnPage(range) { const box = range.closest('fieldset');"
        " box.querySelectorAll('.frame').forEach((frame, n) => { frame.hidden = n != range.value });"
        " box.querySelector('output').textContent = JSON.parse(box.dataset.values)[range.value]; }</script>"
    )
    display(HTML(script + "".join(rows)))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
