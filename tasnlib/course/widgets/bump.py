"""Your own attention: a bump that is dragged over a picture while the sampled image follows."""

import os
from pathlib import Path

import anywidget
import ipywidgets
import traitlets
from IPython.display import display
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from tasnlib.course.plots.bent_grid import bump_view
from tasnlib.course.widgets.browser_pictures import jpeg_address, upload_button
from tasnlib.course.widgets.sliders import PRERENDER, Slider, explore, follow
from tasnlib.data.transforms import resize_short_side

ALT = "a picture with a bump of attention on it, the bent grid of sampling positions, and the sampled image"
SIDE = 288  # pixels: what the short side of a picture is resized to before anything is drawn


class Pad(anywidget.AnyWidget):
    """A picture with a handle on it. Drag the handle, click anywhere, or use the arrow keys."""

    _esm = Path(__file__).with_name("pad.js")
    x = traitlets.Float(0.5).tag(sync=True)
    y = traitlets.Float(0.5).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)


def drag_attention(image: Float[Tensor, "3 h w"]) -> None:
    """A bump of attention to drag over a picture; the sampled image follows. Your own pictures can be opened.

    On a page without a kernel, two sliders move the bump.

    Args:
        image: in [0, 1].

    >>> drag_attention(torch.rand(3, 24, 24))
    VBox(...)
    """
    if os.environ.get(PRERENDER):
        places = [round(0.1 * step, 1) for step in range(1, 10)]
        sliders = [Slider("x", "from the left", places, 0.5), Slider("y", "from the top", places, 0.5)]
        explore(lambda x, y: bump_view(image, x, y, width=0.15, max_zoom=4), sliders, ALT)
        return
    shown = {"image": image}
    pad = Pad(picture=jpeg_address(image))
    width = ipywidgets.FloatSlider(0.15, min=0.05, max=0.5, step=0.01, description="width")
    zoom = ipywidgets.FloatSlider(4, min=1, max=8, step=0.5, description="max_zoom")

    def draw() -> Figure:
        return bump_view(shown["image"], pad.x, pad.y, width.value, zoom.value)

    def use(opened: Image.Image) -> None:
        shown["image"] = pil_to_tensor(resize_short_side(opened, SIDE)).contiguous().float() / 255
        pad.picture = jpeg_address(shown["image"])

    result = follow([pad, width, zoom], draw, ALT, traits=["x", "y", "picture", "value"])
    controls = [pad, ipywidgets.HBox([width, zoom]), ipywidgets.HBox(upload_button(use))]
    display(ipywidgets.VBox([*controls, result]))
