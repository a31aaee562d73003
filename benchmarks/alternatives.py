"""Plain implementations that the library is compared with."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from tasnlib.networks.small import small_backbone
from tasnlib.research.authors_sampler import ROUNDS, authors_positions
from tasnlib.training.recipes import Recipe


@torch.no_grad()
def all_maps_then_pool(
    features: Float[Tensor, "b c h w"], scale: float, channel: Int[Tensor, " b"]
) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w"]]:
    """All channels' attention maps by two batched products; then their mean and the detail map."""
    x = features.flatten(2)  # (b, c, hw)
    relation = torch.bmm((scale * x).softmax(-1), x.transpose(1, 2)).softmax(-1)  # (b, c, c)
    maps = torch.bmm(relation, x).view_as(features)  # (b, c, h, w)
    return maps.mean(1), maps[torch.arange(len(maps), device=maps.device), channel]


def authors_walk(zoom: Sequence[float], out_size: int) -> list[float]:
    """The positions along one axis by the loop of the authors' operator, in pixel-edge units.

    >>> authors_walk([1.0] * 8, out_size=4)  # the first pixel's mass is replaced by one output pixel's
    [-0.5, 0.75, 3.0, 5.25]
    """
    integral = [1.0]
    for value in zoom[1:]:
        integral.append(integral[-1] + value * out_size / len(zoom))
    positions, pixel = [], 0
    for i in range(out_size):
        level = i * integral[-1] / out_size
        while integral[pixel] < level:
            pixel += 1
        before = integral[pixel - 1] if pixel else 0.0  # the number before the array
        positions.append(pixel + (level - integral[pixel]) / (integral[pixel] - before) + 0.5)
    return positions


def authors_loop(
    attention: Float[Tensor, "b h w"], image_size: int, out_size: int, max_zoom: float = 4.0
) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
    """The authors' sampler, image by image and pixel by pixel: positions x and y."""
    found_x, found_y = [], []
    for one in attention.double():  # (h, w)
        zooms = []
        for rows in (one, one.T):
            profile = F.interpolate(rows[None], size=image_size, mode="linear", align_corners=False)[0].amax(0)
            zooms.append((profile / profile.mean()).tolist())
        for number in range(ROUNDS):
            limit = min(max(zoom) for zoom in zooms)
            limit = min(limit, max_zoom) if number == 0 else limit
            for axis, zoom in enumerate(zooms):
                clipped = [min(value, limit) for value in zoom]
                spread = 1 - sum(clipped) / len(clipped)
                zooms[axis] = [value + spread for value in clipped]
        found_x.append(authors_walk(zooms[0], out_size))
        found_y.append(authors_walk(zooms[1], out_size))
    return tuple(torch.tensor(found, dtype=torch.float64, device=attention.device) for found in (found_x, found_y))


def authors_vectorised(
    attention: Float[Tensor, "b h w"], image_size: int, out_size: int, max_zoom: float = 4.0
) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
    """The authors' sampler, vectorised over pixels but not over images."""
    sizes = (image_size, image_size), (out_size, out_size)
    found = [authors_positions(one[None], *sizes, max_zoom) for one in attention]
    return tuple(torch.cat(axis) for axis in zip(*found, strict=True))


def dense_grid(x: Float[Tensor, "b n_w"], y: Float[Tensor, "b n_h"], image_size: int) -> Float[Tensor, "b n_h n_w 2"]:
    """The grid for grid_sample: both coordinates of every output pixel, from -1 to 1."""
    x, y = 2 * x / image_size - 1, 2 * y / image_size - 1
    n_h, n_w = y.shape[1], x.shape[1]
    return torch.stack([x[:, None].expand(-1, n_h, -1), y[:, :, None].expand(-1, -1, n_w)], dim=-1)


def read_grid(images: Float[Tensor, "b c h w"], grid: Float[Tensor, "b n_h n_w 2"]) -> Float[Tensor, "b c n_h n_w"]:
    return F.grid_sample(images, grid.to(images.dtype), mode="bilinear", padding_mode="border", align_corners=False)


def plain_network(recipe: Recipe, classes: int) -> nn.Module:
    """The recipe's backbone as a plain classifier, such as torchvision's ResNet-50."""
    if recipe.backbone != "small":
        return models.get_model(recipe.backbone, weights=None, num_classes=classes)
    backbone, dimension = small_backbone()
    return nn.Sequential(backbone, nn.Linear(dimension, classes))
