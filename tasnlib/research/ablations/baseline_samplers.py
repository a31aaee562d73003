"""Other ways to spend the pixels of a small image, for comparison with attention sampling."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def crop_at_maximum(
    images: Float[Tensor, "b c height width"], attention: Float[Tensor, "b h w"], out_size: int, zoom: float = 4.0
) -> Float[Tensor, "b c n n"]:
    """Crop the square around the maximum of the attention, at the maximal zoom of attention sampling.

    A window that would extend beyond the image is moved inside.

    >>> crop_at_maximum(torch.rand(2, 3, 144, 144), torch.rand(2, 12, 12), out_size=48).shape
    torch.Size([2, 3, 48, 48])
    """
    b, h, w = attention.shape
    cell = attention.flatten(1).argmax(dim=1)
    centre = torch.stack([(cell % w + 0.5) / w, (cell.div(w, rounding_mode="floor") + 0.5) / h], dim=1)  # shares
    half = 0.5 / zoom
    centre = centre.to(images.dtype).clamp(half, 1 - half)  # (b, 2), x and y
    steps = (torch.arange(out_size, device=images.device, dtype=images.dtype) + 0.5) / out_size - 0.5
    x, y = (centre[:, axis, None] + steps / zoom for axis in (0, 1))  # (b, n), as shares of the image
    grid = torch.stack([x[:, None].expand(b, out_size, -1), y[:, :, None].expand(b, -1, out_size)], dim=-1)
    return F.grid_sample(images, grid * 2 - 1, mode="bilinear", padding_mode="border", align_corners=False)


def saliency_sample(
    images: Float[Tensor, "b c height width"],
    attention: Float[Tensor, "b h w"],
    out_size: int,
    sigma: float = 0.15,
    resolution: int = 31,
) -> Float[Tensor, "b c n n"]:
    """A Gaussian saliency sampler: every output pixel is read at the attention's centre of mass around it.

    The centres of mass, weighted by a Gaussian of width sigma, are computed on a coarse grid; the attention is repeated
    beyond the border. Not separable: unlike attention sampling it may shear. Idea: Recasens et al. 2018, "Learning to
    Zoom".

    Args:
        sigma: as a share of the image.
        resolution: of the coarse grid.

    >>> from tasnlib.model import downsample
    >>> images = torch.rand(1, 3, 36, 36)
    >>> plain = downsample(images, 12, antialias=False)
    >>> bool((saliency_sample(images, torch.ones(1, 6, 6), 12) - plain).abs().max() < 0.15)
    True
    """
    b = len(images)
    pad = resolution // 2
    attention = F.interpolate(attention[:, None].float(), (resolution, resolution), mode="bilinear")  # (b, 1, r, r)
    attention = attention / attention.amax(dim=(2, 3), keepdim=True).clamp_min(1e-12) + 0.02  # distant cells count
    attention = F.pad(attention, (pad,) * 4, mode="replicate")
    positions = (torch.arange(-pad, resolution + pad, device=images.device) + 0.5) / resolution  # in [-½, 1½]
    offsets = (torch.arange(-pad, pad + 1, device=images.device)) / resolution
    bell = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (bell[:, None] * bell[None])[None, None]  # (1, 1, 2 pad + 1, 2 pad + 1)
    weighted = torch.cat([attention, attention * positions, attention * positions[:, None]], dim=1)  # (b, 3, ...)
    total, x, y = F.conv2d(weighted.flatten(0, 1)[:, None], kernel).view(b, 3, resolution, resolution).unbind(1)
    pulled = torch.stack([x / total, y / total], dim=1)  # (b, 2, r, r), as shares of the image
    pulled = F.interpolate(pulled, (out_size, out_size), mode="bilinear", align_corners=False)
    grid = pulled.permute(0, 2, 3, 1) * 2 - 1
    return F.grid_sample(images, grid.to(images), mode="bilinear", padding_mode="border", align_corners=False)
