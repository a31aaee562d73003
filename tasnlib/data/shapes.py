"""Soft-edged shapes on a pixel grid, for whole batches at once, on any device.

Pixels are computed by torch in float32, by nothing but +, −, ×, ÷, square root and comparison, one at a time: IEEE 754
fixes the last bit of each of these, so an image is the same in every batch and on every CPU; a library's sine or
float32 root, a fused multiply-add or CUDA's ÷ is not. x runs right, y runs down, in pixels; pixel 0's centre is at 0.5.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tasnlib.data.randomness import hash32


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
    dx, dy = x - column(ellipse.centre[:, 0], device), y - column(ellipse.centre[:, 1], device)
    axes = (ellipse.along, ellipse.across)
    along, across = (dx * column(axis[:, 0], device) + dy * column(axis[:, 1], device) for axis in axes)
    return along, across


def ellipse_coverage(along: Tensor, across: Tensor, semi_along: Tensor, semi_across: Tensor) -> Tensor:
    """How much of each pixel an ellipse covers, from 0 to 1, with an edge one pixel soft.

    The distance to the edge is approximated to first order: f / |grad f| with f = |p / (a, b)| - 1.

    >>> ellipse_coverage(torch.tensor([0.0, 2.0, 9.0]), torch.zeros(3), torch.tensor(2.0), torch.tensor(1.0)).tolist()
    [1.0, 0.5, 0.0]
    """
    p, q = along / semi_along, across / semi_across
    radius = (p * p + q * q).double().sqrt().to(p.dtype)
    slope = ((p / semi_along) ** 2 + (q / semi_across) ** 2).double().sqrt().to(p.dtype)
    distance = radius * (radius - 1) / slope.clamp_min(1e-6)
    # At the very centre the approximation reads 0 / 0: inside is inside.
    return torch.where(radius < 0.5, 1.0, (0.5 - distance).clamp(0, 1))


def segment_coverage(start: np.ndarray, end: np.ndarray, width: np.ndarray, x: Tensor, y: Tensor) -> Tensor:
    """How much of each pixel a line from start to end (images, 2), `width` pixels thick, covers."""
    device = x.device
    dx, dy = x - column(start[:, 0], device), y - column(start[:, 1], device)
    vx, vy = column(end[:, 0] - start[:, 0], device), column(end[:, 1] - start[:, 1], device)
    t = ((dx * vx + dy * vy) / (vx * vx + vy * vy)).clamp(0, 1)
    distance = ((dx - t * vx) ** 2 + (dy - t * vy) ** 2).double().sqrt().to(dx.dtype)
    return (0.5 + column(width, device) / 2 - distance).clamp(0, 1)


def paint(canvas: Float[Tensor, "images 3 h w"], colour: Tensor, coverage: Float[Tensor, "images h w"]) -> None:
    """Lay a colour, (images, 3, 1, 1) or one a pixel, over the canvas in place."""
    difference = colour - canvas
    difference *= coverage[:, None]
    canvas += difference


def sine(turns: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """sin(2π · turns), to 4 parts in a million."""
    turns = turns - turns.round()
    # The quarter beyond the peak mirrors the one before it: what is left lies in [-1/4, 1/4].
    turns = torch.where(turns.abs() > 0.25, torch.copysign(torch.full_like(turns, 0.5), turns) - turns, turns)
    square = turns * turns
    total = torch.full_like(turns, (2 * math.pi) ** 9 / math.factorial(9))
    for power in (7, 5, 3, 1):  # Taylor's series, from the smallest term
        total = total * square
        total = total + (-1) ** (power // 2) * (2 * math.pi) ** power / math.factorial(power)
    return total * turns


def smooth_ground(corners: np.ndarray, x: Tensor, y: Tensor) -> Float[Tensor, "images 3 h w"]:
    """A coarse grid of colours (images, 3, n, n), spread evenly over x by x pixels and joined by straight lines."""
    grid = torch.from_numpy(corners.astype(np.float32)).to(x.device)
    place = np.linspace(0, corners.shape[-1] - 1, x.numel())
    whole = np.minimum(place.astype(np.int64), corners.shape[-1] - 2)
    share = torch.from_numpy((place - whole).astype(np.float32)).to(x.device)
    for axis, centres in ((2, y), (3, x)):
        pixel = centres.long()
        first, _ = torch.broadcast_tensors(torch.from_numpy(whole).to(x.device)[pixel], grid.narrow(axis, 0, 1))
        low, high = grid.gather(axis, first), grid.gather(axis, first + 1)  # index_select takes ten times as long
        grid = low + (high - low) * share[pixel]
    return grid


def pixel_noise(keys: np.ndarray, x: Tensor, y: Tensor) -> Float[Tensor, "images 3 h w"]:
    """Uniform noise in [-1, 1], the same to the last bit on every device. One hash a pixel serves the three colours."""
    seeds = torch.from_numpy((keys >> np.uint64(32)).astype(np.int64)).to(x.device)[:, None, None]
    bits = hash32((y.long() * x.numel() + x.long()) * 0x9E3779B1 + seeds)  # of the pixel's number
    return torch.stack([(bits >> shift) & 0xFF for shift in (0, 8, 16)], dim=1).float() / 127.5 - 1
