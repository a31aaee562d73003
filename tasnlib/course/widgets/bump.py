"""Your own attention: a bump that one drags over a picture while the sampled image follows."""

import base64
import html
import io
import os
from pathlib import Path

import anywidget
import ipywidgets
import torch
import traitlets
from IPython.display import display
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from tasnlib.course.plots import figure_bytes
from tasnlib.course.plots.sampler import bump_view
from tasnlib.course.widgets.explore import PRERENDER, Slider, explore
from tasnlib.data.image_file import decode_image

ALT = "a picture with a bump of attention on it, the bent grid of sampling positions, and the sampled image"
SIDE = 288  # pixels: what a picture is resized to, short side, before anything is drawn


class Pad(anywidget.AnyWidget):
    """A picture with a handle on it. Drag the handle, click anywhere, or use the arrow keys."""

    _esm = """
    function render({ model, el }) {
      const pad = document.createElement("div");
      pad.className = "tasn-pad";
      pad.tabIndex = 0;
      pad.setAttribute("role", "slider");
      pad.setAttribute("aria-label", "Place of the attention. Drag, click, or use the arrow keys.");
      pad.style.cssText = "position:relative;display:inline-block;cursor:crosshair;touch-action:none;user-select:none";
      const picture = document.createElement("img");
      picture.alt = "the picture to sample from";
      picture.draggable = false;
      picture.style.cssText = "display:block;width:260px";
      const handle = document.createElement("div");
      handle.style.cssText = "position:absolute;width:22px;height:22px;margin:-13px 0 0 -13px;border-radius:50%;" +
        "border:2px solid white;box-shadow:0 0 0 2px #009E73;pointer-events:none";
      pad.append(picture, handle);
      el.append(pad);
      const place = () => {
        picture.src = model.get("picture");
        handle.style.left = 100 * model.get("x") + "%";
        handle.style.top = 100 * model.get("y") + "%";
        const percent = (name) => Math.round(100 * model.get(name)) + " %";
        pad.setAttribute("aria-valuetext", percent("x") + " from the left, " + percent("y") + " from the top");
      };
      const clip = (value) => Math.min(1, Math.max(0, value));
      const move = (x, y) => {
        model.set("x", clip(x));
        model.set("y", clip(y));
        model.save_changes();
        place();
      };
      const follow = (event) => {
        const box = pad.getBoundingClientRect();
        move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      };
      pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); follow(event); });
      pad.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
      pad.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (!step) return;
        event.preventDefault();
        event.stopPropagation();
        move(model.get("x") + step[0] / 40, model.get("y") + step[1] / 40);
      });
      ["change:x", "change:y", "change:picture"].forEach((name) => model.on(name, place));
      place();
    }
    export default { render };
    """
    x = traitlets.Float(0.5).tag(sync=True)
    y = traitlets.Float(0.5).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)


def open_picture(content: bytes) -> Float[Tensor, "3 h w"]:
    """An image file of any common kind as a tensor in [0, 1], upright, its short side `SIDE` pixels, at most twice as
    long as wide.

    Raises:
        ValueError: where it is no image.
    """
    image = decode_image(content, Path("this file"))
    scale = SIDE / min(image.size)
    longest = 2 * SIDE
    width, height = (min(longest, max(1, round(side * scale))) for side in image.size)
    image = ImageOps.fit(image, (width, height))
    return transforms.to_dtype(transforms.pil_to_tensor(image), torch.float32, scale=True)


def a_bird() -> Float[Tensor, "3 h w"]:
    """The picture to begin with."""
    from tasnlib.data.birds import BirdsConfig, draw_birds

    config = BirdsConfig(image_size=SIDE, stripe_period=7.0)
    return draw_birds(config, seed=0, split="test", indices=[34]).images[0].float() / 255


def drag_attention(image: Float[Tensor, "3 h w"] | None = None) -> None:
    """A bump of attention to drag over a picture; the sampled image follows. One's own picture can be opened.

    Args:
        image: in [0, 1]; a drawn bird where there is none.
    """
    image = a_bird() if image is None else image
    if os.environ.get(PRERENDER):
        places = [round(0.1 * step, 1) for step in range(1, 10)]

        def draw(x: float, y: float) -> Figure:
            return bump_view(image, x, y, 0.15, 4.0)

        explore(draw, [Slider("x", "from the left", places, 0.5), Slider("y", "from the top", places, 0.5)], ALT)
        return
    shown = {"image": image}
    pad = Pad(picture=_data_address(image))
    width = ipywidgets.FloatSlider(0.15, min=0.05, max=0.5, step=0.01, description="width")
    zoom = ipywidgets.FloatSlider(4, min=1, max=8, step=0.5, description="max_zoom")
    upload = ipywidgets.FileUpload(accept="image/*", description="your picture")
    message, result = ipywidgets.HTML(), ipywidgets.HTML()

    def redraw(_change: object = None) -> None:
        figure = bump_view(shown["image"], pad.x, pad.y, width.value, zoom.value)
        encoded = base64.b64encode(figure_bytes(figure)).decode()
        result.value = f'<img alt="{ALT}" src="data:image/png;base64,{encoded}">'

    def open_upload(change: traitlets.Bunch) -> None:
        try:
            shown["image"] = open_picture(bytes(change.new[0]["content"]))
        except ValueError as reason:
            message.value = html.escape(str(reason))
            return
        message.value = ""
        pad.picture = _data_address(shown["image"])
        redraw()

    redraw()
    for control, traits in ((pad, ["x", "y"]), (width, "value"), (zoom, "value")):
        control.observe(redraw, names=traits)
    upload.observe(open_upload, names="value")
    controls = ipywidgets.VBox([pad, ipywidgets.HBox([width, zoom]), ipywidgets.HBox([upload, message])])
    display(ipywidgets.VBox([controls, result]))


def _data_address(image: Tensor) -> str:
    jpeg = io.BytesIO()
    transforms.to_pil_image(image).save(jpeg, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()
