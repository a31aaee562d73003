"""Figures: pure functions, tensors in, matplotlib Figure out. `show` puts one into a notebook.

One colour means one thing throughout the course: blue is the structure image and the master net, orange the detail
image and the part net, green the attention network, grey plain downsampling. The palette is Okabe and Ito's (2008),
which is told apart with any kind of colour vision. Attention maps are drawn in "magma".
"""

from tasnlib.course.plots.images import contact_sheet, image_row, sampling_overview
from tasnlib.course.plots.style import (
    ATTENTION_MAP,
    COLOURS,
    LABELS,
    draw_attention,
    draw_boxes,
    draw_image,
    figure_bytes,
    save_png,
    show,
    show_strip,
)
from tasnlib.course.plots.track import on_track, published_at
from tasnlib.course.plots.training import accuracy_bars, confusion, training_curves

__all__ = [
    "ATTENTION_MAP",
    "COLOURS",
    "LABELS",
    "accuracy_bars",
    "confusion",
    "contact_sheet",
    "draw_attention",
    "draw_boxes",
    "draw_image",
    "figure_bytes",
    "image_row",
    "on_track",
    "published_at",
    "sampling_overview",
    "save_png",
    "show",
    "show_strip",
    "training_curves",
]
