"""The sampler as a module, for any image and any map."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasnlib.attention_sampler.sampling_grid import SamplingGrid, positions, result_type
from tasnlib.sampler import Size, attention_sample, read_bilinearly, require_a_map_each, sides, zoom_profiles


class Sampled(NamedTuple):
    """What an `AttentionSampler` returns."""

    images: Float[Tensor, "b c n_h n_w"]
    grid: SamplingGrid


class AttentionSampler(nn.Module):
    """Resample images so that attended places get more pixels: `sampler.attention_sample` as a module.

    It has no weights and needs no training: any map of any network will do.

    Args:
        out_size: of the sampled image in pixels, one number or (height, width).
        max_zoom: the most that any place is magnified along each axis, relative to plain resizing.
        power: the map is raised to it first: above 1 it is sharpened, and the background shrinks more.
        antialias: each output pixel is the mean over its own cell, see `sampler.sampling_matrices`.

    Raises:
        ValueError: for an out_size or max_zoom below 1, a power that is not above 0, or an antialias that is not a
            bool; when called, for images or attention of another number of dimensions or without any value, and see
            `attention_sample`. Where an error would make the device wait, on a GPU, a map that is negative or not
            finite gives NaN for its image instead.

    >>> sampler = AttentionSampler(out_size=224, max_zoom=4)
    >>> result = sampler(torch.rand(2, 3, 480, 640), torch.rand(2, 14, 14))
    >>> result.images.shape, result.grid.x.shape
    (torch.Size([2, 3, 224, 224]), torch.Size([2, 224]))
    """

    def __init__(self, out_size: Size, max_zoom: float = 4.0, power: float = 1.0, antialias: bool = False):
        super().__init__()
        try:
            allowed = 1 <= max_zoom < float("inf") and 0 < power < float("inf")
        except (TypeError, RuntimeError):  # no number, or several
            allowed = False
        if not allowed:
            raise ValueError(f"max_zoom is {max_zoom!r}, power {power!r}; they must be finite, at least 1 and above 0")
        if not isinstance(antialias, bool):
            raise ValueError(f"antialias is {antialias!r}; it must be True or False")
        self.out_size = sides(out_size, "out_size")
        self.max_zoom, self.power, self.antialias = float(max_zoom), float(power), antialias

    def forward(self, images: Float[Tensor, "b c height width"], attention: Float[Tensor, "b h w"]) -> Sampled:
        """The sampled images (b, c, n_h, n_w), and the grid that leads there and back; for errors see the class."""
        if (images.ndim, attention.ndim) != (4, 3) or not (images.shape[0] and attention.shape[1] * attention.shape[2]):
            given = f"images are {tuple(images.shape)}, attention {tuple(attention.shape)}"
            raise ValueError(f"{given}; they must be (b, c, height, width) and (b, h, w), and not empty")
        require_a_map_each(images, attention)
        untouched = attention
        if self.power != 1:
            zoom_profiles(attention, 1)  # rejects what is negative, which no power must hide
            # Relative to its largest value, the map's largest power neither under- nor overflows.
            attention = attention.to(result_type(attention))
            largest = attention.amax(dim=(1, 2), keepdim=True)
            attention = (attention / torch.where(largest > 0, largest, 1)) ** self.power
        zoom_x, zoom_y = zoom_profiles(attention, (images.shape[2], images.shape[3]), self.max_zoom)
        if self.antialias:
            sampled = attention_sample(images, attention, self.out_size, self.max_zoom, antialias=True)
        else:
            n_h, n_w = self.out_size
            sampled = read_bilinearly(images, positions(zoom_x, n_w), positions(zoom_y, n_h))
        if not untouched.is_cpu:  # where an error would make the device wait
            good = ((untouched >= 0) & (untouched < float("inf"))).flatten(1).all(dim=1, keepdim=True)  # (b, 1)
            sampled = torch.where(good[:, :, None, None], sampled, torch.nan)
            zoom_x, zoom_y = torch.where(good, zoom_x, torch.nan), torch.where(good, zoom_y, torch.nan)
        return Sampled(sampled, SamplingGrid(zoom_x, zoom_y, self.out_size))

    def extra_repr(self) -> str:
        return f"{self.out_size}, max_zoom={self.max_zoom:g}, power={self.power:g}, antialias={self.antialias}"
