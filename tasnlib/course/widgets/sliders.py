"""Sliders around a drawing function.

Each slider steps through a short list of values, so that the same thing can be shown in two ways: live, where a kernel
draws what the sliders say; and prerendered, where a page without a kernel turns pictures that were drawn beforehand.
"""

import html
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets
from IPython.display import HTML, display
from matplotlib.figure import Figure

from tasnlib.course.widgets.browser_pictures import picture_html

PRERENDER = "TASN_PRERENDER"  # an environment variable; set while the course is written as web pages


@dataclass(frozen=True)
class Slider:
    """One slider: the drawing function's argument, its label, and the values it steps through.

    >>> Slider("scale", "inner scale s", [1, 7], 3)
    Traceback (most recent call last):
    ValueError: start of the slider scale is 3; it must be one of [1, 7]
    """

    argument: str
    label: str
    values: Sequence[Any]
    start: Any

    def __post_init__(self) -> None:
        if self.start not in self.values:
            allowed = list(self.values)
            raise ValueError(f"start of the slider {self.argument} is {self.start!r}; it must be one of {allowed}")


def follow(
    controls: Sequence[Any], draw: Callable[[], Figure], alt: str, traits: Sequence[str] = ("value",)
) -> ipywidgets.HTML:
    """A picture that is drawn now, and again whenever one of these traits of a control changes."""
    picture = ipywidgets.HTML()

    def redraw(_change: object = None) -> None:
        picture.value = picture_html(draw(), alt)

    redraw()  # an error in the drawing ends the cell, here and in headless runs
    for control in controls:
        control.observe(redraw, names=[name for name in traits if control.has_trait(name)])
    return picture


def explore(draw: Callable[..., Figure], sliders: Sequence[Slider], alt: str) -> None:
    """Show a figure, and draw it again whenever a slider moves.

    Args:
        draw: a pure function from the sliders' arguments to a figure.
        sliders: one for each argument.
        alt: the picture in words.
    """
    (_prerendered if os.environ.get(PRERENDER) else _live)(draw, sliders, alt)


def _live(draw: Callable[..., Figure], sliders: Sequence[Slider], alt: str) -> None:
    controls = {
        slider.argument: ipywidgets.SelectionSlider(
            options=[(_text(value), value) for value in slider.values],
            value=slider.start,
            description=slider.label,
            continuous_update=True,  # with False, arrow keys move the slider without an event
            style={"description_width": "16em"},
            layout={"width": "44em"},
        )
        for slider in sliders
    }
    shown = list(controls.values())
    picture = follow(shown, lambda: draw(**{name: control.value for name, control in controls.items()}), alt)
    display(ipywidgets.VBox([*shown, picture]))


def _prerendered(draw: Callable[..., Figure], sliders: Sequence[Slider], alt: str) -> None:
    """Every value of every slider, the others at their start, as pictures and a few lines of script on one page."""
    start = {slider.argument: slider.start for slider in sliders}
    rows = []
    for slider in sliders:
        at = list(slider.values).index(slider.start)
        frames = [picture_html(draw(**{**start, slider.argument: value}), alt) for value in slider.values]
        pictures = "".join(
            f'<div class="frame"{"" if n == at else " hidden"}>{frame}</div>' for n, frame in enumerate(frames)
        )
        texts = html.escape(json.dumps([_text(value) for value in slider.values]))
        rows.append(
            f'<fieldset class="prerendered" data-values="{texts}"><label>{html.escape(slider.label)} '
            f'<input type="range" min="0" max="{len(frames) - 1}" value="{at}" oninput="turnPage(this)"> '
            f"<output>{html.escape(_text(slider.start))}</output></label>{pictures}</fieldset>"
        )
    script = Path(__file__).with_name("turn_page.js").read_text(encoding="utf-8")
    display(HTML(f"<script>{script}</script>" + "".join(rows)))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
