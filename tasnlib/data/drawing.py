"""Soft-edged shapes on a pixel grid, for whole batches at once, on any device.

Everything random comes from a counter-based hash: the k-th number of image i is a pure function of (seed, split, i, k).
So an image does not depend on its batch, on its worker, on the order of drawing or on the machine. The numbers that
describe a scene are computed by numpy in float64; only pixels are computed by torch, in float32.

Units: pixels. x runs right, y runs down, pixel j covers [j, j + 1], so that its centre lies at j + 0.5.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SPLITS = {"train": 0, "val": 1, "test": 2}
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def image_keys(seed: int, split: str, indices: np.ndarray) -> np.ndarray:
    """One 64-bit key an image: a hash of (seed, split, index)."""
    with np.errstate(over="ignore"):
        key = _mix(np.array([seed], np.uint64) + GOLDEN) + np.uint64(SPLITS[split])
        return _mix(_mix(key) + (indices.astype(np.uint64) + np.uint64(1)) * GOLDEN)


class Randomness:
    """Uniform numbers for a batch of images, handed out column by column.

    The order of the calls is part of what an image is: a new call goes to the end.

    >>> keys = image_keys(0, "train", np.arange(4))
    >>> Randomness(keys).uniform(0, 10).shape
    (4,)
    >>> bool((Randomness(keys[2:]).uniform(0, 1, 5) == Randomness(keys).uniform(0, 1, 5)[2:]).all())
    True
    """

    def __init__(self, keys: np.ndarray):
        self.keys = keys
        self.drawn = 0

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Float64 numbers in [low, high), of shape (images, *shape)."""
        count = int(np.prod(shape, dtype=int))
        with np.errstate(over="ignore"):
            steps = np.arange(self.drawn + 1, self.drawn + count + 1, dtype=np.uint64) * GOLDEN
            bits = _mix(self.keys[:, None] + steps)
        self.drawn += count
        unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return (low + (high - low) * unit).reshape(len(self.keys), *shape)

    def choice(self, options: int, *shape: int) -> np.ndarray:
        """Whole numbers in 0 ... options - 1."""
        return self.uniform(0, options, *shape).astype(np.int64)


class Ellipse(NamedTuple):
    """A batch of ellipses in pixels: centre, unit vector along the long axis, unit vector across, semi-axes."""

    centre: np.ndarray  # (images, 2)
    along: np.ndarray  # (images, 2)
    across: np.ndarray  # (images, 2)
    semi: np.ndarray  # (images, 2)

    def boxes(self) -> np.ndarray:
        """The tight boxes (images, 4) as x0, y0, x1, y1: an ellipse reaches sqrt((a·e1)² + (b·e2)²) from its centre."""
        reach = np.sqrt((self.semi[:, :1] * self.along) ** 2 + (self.semi[:, 1:] * self.across) ** 2)
        return np.concatenate([self.centre - reach, self.centre + reach], axis=1)


def pixel_centres(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """x (1, size) and y (size, 1) of the pixel centres."""
    centres = torch.arange(size, device=device, dtype=torch.float32) + 0.5
    return centres[None, :], centres[:, None]


def column(values: np.ndarray, device: torch.device) -> Float[Tensor, "images 1 1"]:
    """One number an image, shaped to meet (images, h, w)."""
    return torch.from_numpy(np.asarray(values, np.float32)).to(device)[:, None, None]


def local_coordinates(ellipse: Ellipse, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Every pixel's distance from the centre, in pixels, along the ellipse's axis and across it."""
    device = x.device
    dx = x - column(ellipse.centre[:, 0], device)
    dy = y - column(ellipse.centre[:, 1], device)
    along = dx * column(ellipse.along[:, 0], device) + dy * column(ellipse.along[:, 1], device)
    across = dx * column(ellipse.across[:, 0], device) + dy * column(ellipse.across[:, 1], device)
    return along, across


def ellipse_coverage(along: Tensor, across: Tensor, semi_along: Tensor, semi_across: Tensor) -> Tensor:
    """How much of each pixel an ellipse covers, from 0 to 1, with an edge one pixel soft.

    The distance to the edge is approximated to first order: f / |grad f| with f = |p / (a, b)| - 1.
    """
    p, q = along / semi_along, across / semi_across
    radius = torch.sqrt(p * p + q * q)
    slope = torch.sqrt((p / semi_along) ** 2 + (q / semi_across) ** 2)
    distance = radius * (radius - 1) / slope.clamp_min(1e-6)
    # At the very centre the approximation reads 0 / 0: inside is inside.
    return torch.where(radius < 0.5, 1.0, (0.5 - distance).clamp(0, 1))


def segment_coverage(start: np.ndarray, end: np.ndarray, width: np.ndarray, x: Tensor, y: Tensor) -> Tensor:
    """How much of each pixel a line from start to end (images, 2), `width` pixels thick, covers."""
    device = x.device
    dx, dy = x - column(start[:, 0], device), y - column(start[:, 1], device)
    vx, vy = column(end[:, 0] - start[:, 0], device), column(end[:, 1] - start[:, 1], device)
    t = ((dx * vx + dy * vy) / (vx * vx + vy * vy)).clamp(0, 1)
    distance = torch.sqrt((dx - t * vx) ** 2 + (dy - t * vy) ** 2)
    return (0.5 + column(width, device) / 2 - distance).clamp(0, 1)


def paint(canvas: Float[Tensor, "images 3 h w"], colour: Tensor, coverage: Float[Tensor, "images h w"]) -> None:
    """Lay a colour, (images, 3, 1, 1) or one a pixel, over the canvas in place."""
    canvas.lerp_(colour.expand_as(canvas), coverage[:, None].expand_as(canvas))


def pixel_noise(keys: np.ndarray, size: int, device: torch.device) -> Float[Tensor, "images 3 h w"]:
    """Uniform noise in [-1, 1] by an integer hash of (image, pixel): equal to the last bit on every device.

    32-bit arithmetic kept in int64, because torch has no unsigned shift: one hash serves the three colours.
    """
    seeds = torch.from_numpy((keys >> np.uint64(32)).astype(np.int64)).to(device)[:, None, None]
    pixels = torch.arange(size * size, device=device).view(size, size)
    h = (pixels * 0x9E3779B1 + seeds) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x046CA68B) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    channels = [((h >> shift) & 0xFF).float() for shift in (0, 8, 16)]
    return torch.stack(channels, dim=1) / 127.5 - 1
