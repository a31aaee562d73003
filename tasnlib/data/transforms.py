"""From an upright RGB image to what training and evaluation see, and what is random about it.

All randomness comes from torch's global generator, which the caller seeds. Pillow does every step: on one core it is
faster than torchvision's uint8 tensors, since the layout does not change between the steps.
"""

import math

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageStat
from torch import Tensor
from torchvision.transforms import v2

STYLES = ("none", "official", "modern")

# The mean colour of ImageNet, which normalisation takes off: a pixel of this colour becomes 0 but for rounding.
MEAN_COLOUR = (124, 116, 104)
# The principal components of the colours of ImageNet's pixels, for values from 0 to 1: the standard deviation along
# each, and the components as columns (rows: red, green, blue). Krizhevsky, Sutskever, Hinton 2012, section 4.1,
# describes the noise; the figures are those that ImageNet training code commonly uses.
COLOUR_DEVIATIONS = (0.2175, 0.0188, 0.0045)
COLOUR_COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as Pillow's greyscale

LONGEST = 4  # the long side is at most this many times the short one: the rest of a thin strip is cut off
MODERN_WINDOW = v2.RandomResizedCrop(1, scale=(0.4, 1.0), ratio=(3 / 4, 4 / 3))


def resized_geometry(width: int, height: int, size: int) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """What `resize_short_side` does: the box (left, top, right, bottom) it takes, and the (width, height) it gives.

    >>> resized_geometry(500, 375, size=512)
    ((0, 0, 500, 375), (683, 512))
    >>> resized_geometry(1, 5000, size=512)  # 1 x 4 pixels from the middle
    ((0, 2498, 1, 2502), (512, 2048))
    """
    longest = LONGEST * min(width, height)
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    width, height = min(width, longest), min(height, longest)
    short = min(width, height)
    return (left, top, left + width, top + height), (round(width * size / short), round(height * size / short))


def resize_short_side(image: Image.Image, size: int) -> Image.Image:
    """Bilinear and antialiased, the short side to `size` pixels. More than 4 x as long as wide: the middle of it."""
    box, resized = resized_geometry(*image.size, size)
    if box != (0, 0, *image.size):
        image = image.crop(box)  # and not resize's own box, which also reads pixels around it
    return image.resize(resized, Image.Resampling.BILINEAR)


def centre_window(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the square in the middle that evaluation sees."""
    return (width - size) // 2, (height - size) // 2, size, size


def evaluation(image: Image.Image, size: int) -> UInt8[Tensor, "3 size size"]:
    """The square in the middle of an image whose short side is `size`."""
    return augment("none", image, size)


def augment(style: str, image: Image.Image, size: int) -> UInt8[Tensor, "3 size size"]:
    """A training image from one whose short side is `size`.

    "official", in this order:

    | step          | authors' code    | here                                                                |
    | ------------- | ---------------- | ------------------------------------------------------------------- |
    | resize        | short side 512   | the same; of a strip over 4 x as long as wide, the middle           |
    | crop          | random, 512      | the same, every place equally likely                                |
    | flip          | yes              | left and right, half of the images                                  |
    | brightness,   | 0.4 each         | factors uniform in 0.6 to 1.4; rounded and clipped once, after the  |
    | contrast,     |                  | PCA noise, so that no step loses what a later one would bring back; |
    | saturation    |                  | so their order makes no difference, and none is drawn               |
    | PCA noise     | 0.1              | standard deviation 0.1, one draw an image                           |
    | rotation      | ±30°             | uniform, bilinear; corners have the mean colour, 0 once normalised  |
    | normalisation | mean subtracted, | left to the model: images stay 8 bits, a quarter of the memory and  |
    |               | not divided      | of the way to the GPU                                               |

    "modern": a window of 0.4 to 1 of the area and an aspect of 3/4 to 4/3, resized to size x size (enlarged at most
    1 / √(0.4 · 3/4) = 1.83 times); flip; brightness, contrast and saturation 0.2.
    "none": what evaluation sees.

    Raises ValueError for an unknown style, or an image that is not RGB with a short side of `size`.

    >>> _ = torch.manual_seed(0)
    >>> augment("official", Image.new("RGB", (64, 48)), size=48).shape
    torch.Size([3, 48, 48])
    """
    if min(image.size) != size or image.mode != "RGB":
        raise ValueError(
            f"image is {image.mode}, {image.width} x {image.height}; it must be RGB, its short side resized to {size}"
        )
    left, top, width, height = draw_window(style, *image.size, size)
    window = image.crop((left, top, left + width, top + height))
    if style == "modern":
        window = window.resize((size, size), Image.Resampling.BILINEAR)
    if style != "none":
        if _below(2):
            window = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        window = _change_colours(window, *((0.4, 0.1) if style == "official" else (0.2, 0.0)))
    if style == "official":
        window = window.rotate(_uniform(-30, 30), Image.Resampling.BILINEAR, fillcolor=MEAN_COLOUR)
    return to_tensor(window)


def check_style(style: str) -> None:
    """Raise ValueError for an unknown style."""
    if style not in STYLES:
        raise ValueError(f"style is {style!r}; it must be one of {', '.join(STYLES)}")


def draw_window(style: str, width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """Which part of the resized image is used: (left, top, width, height)."""
    check_style(style)
    if style == "official":
        return _below(width - size + 1), _below(height - size + 1), size, size
    if style == "modern":
        drawn = MODERN_WINDOW.make_params([torch.empty(3, height, width, device="meta")])
        return drawn["left"], drawn["top"], drawn["width"], drawn["height"]
    return centre_window(width, height, size)


def to_tensor(image: Image.Image) -> UInt8[Tensor, "3 h w"]:
    """The pixels of an RGB image, channel by channel in memory."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)))


def _change_colours(image: Image.Image, jitter: float, noise: float) -> Image.Image:
    """Brightness, contrast and saturation by factors in 1 ± jitter, then PCA noise.

    Brightness blends with black, contrast with the mean grey of the image, saturation with each pixel's own grey. Each
    maps a colour c to A c + b, and so do all together: the pixels are gone through once.
    """
    brightness, contrast, saturation = (_uniform(1 - jitter, 1 + jitter) for _ in range(3))
    grey = np.tile(LUMINANCE, (3, 1))  # a colour to its own grey
    matrix = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * grey)
    offset = brightness * (1 - contrast) * grey @ ImageStat.Stat(image).mean
    if noise:
        strengths = noise * torch.randn(3).numpy() * COLOUR_DEVIATIONS
        offset = offset + 255 * np.array(COLOUR_COMPONENTS) @ strengths
    return image.convert("RGB", tuple(np.column_stack([matrix, offset]).ravel().tolist()))


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), dtype=torch.float64).item()


def _below(count: int) -> int:
    return math.floor(count * torch.rand((), dtype=torch.float64).item())
