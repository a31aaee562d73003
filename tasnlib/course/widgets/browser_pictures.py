"""Pictures to and from a browser."""

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path

import ipywidgets
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from tasnlib.course.plots.notebook_display import figure_bytes
from tasnlib.data.image_file import decode_image


def picture_html(figure: Figure, alt: str) -> str:
    """A figure as an HTML image of 256 colours: a third of the size, because a notebook file keeps what a widget shows.

    >>> picture_html(Figure(), "nothing")[:50]
    '<img alt="nothing" src="data:image/png;base64,iVBO'
    """
    png = io.BytesIO()
    full = Image.open(io.BytesIO(figure_bytes(figure))).convert("RGB")
    full.quantize(256, Image.Quantize.FASTOCTREE).save(png, "PNG")
    encoded = base64.b64encode(png.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{encoded}">'


def jpeg_address(image: Float[Tensor, "3 h w"]) -> str:
    """An image in [0, 1] as an address that a browser opens without a request."""
    jpeg = io.BytesIO()
    transforms.to_pil_image(image).save(jpeg, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()


def upload_button(use: Callable[[Image.Image], None]) -> tuple[ipywidgets.FileUpload, ipywidgets.HTML]:
    """A button that opens an image file and hands it over, upright and as RGB; and an element for error messages."""
    button, message = ipywidgets.FileUpload(accept="image/*", description="your picture"), ipywidgets.HTML()

    def opened(change: traitlets.Bunch) -> None:
        (file,) = change.new.values() if isinstance(change.new, dict) else change.new  # a dict in ipywidgets 7
        try:
            image = decode_image(bytes(file["content"]), Path(file.get("metadata", file)["name"]))
        except ValueError as reason:
            message.value = html.escape(str(reason))
            return
        message.value = ""
        use(image)

    button.observe(opened, names="value")
    return button, message
