"""From an upright RGB image to what training and evaluation see.

All randomness comes from torch's global generator, which the caller seeds.
"""

import functools

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

# The principal components of the colours of ImageNet's pixels, from 0 to 1: the deviation along each, the components
# as columns (rows: red, green, blue). The noise is that of Krizhevsky, Sutskever, Hinton 2012, section 4.1.
COLOUR_DEVIATIONS = (0.2175, 0.0188, 0.0045)
COLOUR_COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

LONGEST = 4  # the long side is at most this many times the short one: the rest of a thin strip is cut off


def resize_short_side(image: Image.Image, size: int) -> Image.Image:
    """Bilinear and antialiased, the short side to `size` pixels. More than 4 x as long as wide: the middle of it."""
    short = min(image.size)
    width, height = (min(side, LONGEST * short) for side in image.size)
    if (width, height) != image.size:
        image = v2.functional.center_crop(image, [height, width])
    return image.resize((round(width * size / short), round(height * size / short)), Image.Resampling.BILINEAR)


def augment(style: str, image: Image.Image, size: int) -> UInt8[Tensor, "3 size size"]:
    """A training image from one whose short side is `size`.

    "official" is as in the authors' code (they subtract the mean colour and do not divide; the model normalises here),
    "modern" is ours, "none" the square in the middle, which evaluation sees. Raises ValueError for an unknown style, or
    an image that is not RGB with a short side of `size`.

    >>> augment("none", Image.new("RGB", (64, 48)), size=48).shape
    torch.Size([3, 48, 48])
    """
    if min(image.size) != size or image.mode != "RGB":
        raise ValueError(f"image is {image.mode}, {image.size}; it must be RGB, its short side resized to {size}")
    return augmentation(style, size)(image).contiguous()  # channel by channel in memory


@functools.cache
def augmentation(style: str, size: int) -> v2.Transform:
    """The steps of `augment`; raises ValueError for an unknown style."""
    steps = {
        "none": [v2.CenterCrop(size), v2.PILToTensor()],
        "official": [
            v2.RandomRotation(30, InterpolationMode.BILINEAR, fill=255),  # the corners white
            v2.RandomCrop(size),
            v2.ColorJitter(0.4, 0.4, 0.4),
            v2.PILToTensor(),
            add_colour_noise,
            v2.RandomHorizontalFlip(),
        ],
        "modern": [
            v2.RandomResizedCrop(size, scale=(0.4, 1.0), ratio=(3 / 4, 4 / 3)),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.2, 0.2, 0.2),
            v2.PILToTensor(),
        ],
    }
    if style not in steps:
        raise ValueError(f"style is {style!r}; it must be one of {', '.join(steps)}")
    return v2.Compose(steps[style])


def add_colour_noise(image: UInt8[Tensor, "3 h w"], strength: float = 0.1) -> UInt8[Tensor, "3 h w"]:
    """One colour added to the whole image, normally distributed along the principal components of colour."""
    colour = 255 * torch.tensor(COLOUR_COMPONENTS) @ (strength * torch.randn(3) * torch.tensor(COLOUR_DEVIATIONS))
    return (image + colour[:, None, None]).round().clamp(0, 255).to(torch.uint8)
