"""The wall of channels: the maps of all channels over one image, as tiles of one picture."""

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import make_grid

from tasnlib.course.plots.style import ATTENTION_MAP, draw_image

MOST = 64  # channels on a wall
COLUMNS = 8
TILE = 76  # pixels
GAP = 4


def strongest(features: Float[Tensor, "c h w"], most: int = MOST) -> list[int]:
    """The channels with the largest sum of features on this image, the strongest first.

    >>> strongest(torch.tensor([[[1.0]], [[3.0]], [[0.0]]]), most=2)
    [1, 0]
    """
    return features.sum(dim=(1, 2)).argsort(descending=True, stable=True)[:most].tolist()


def wall(
    image: Float[Tensor, "3 height width"], maps: Float[Tensor, "k h w"]
) -> Float[Tensor, "3 wall_height wall_width"]:
    """Maps as tiles of one picture, row by row, each over the grey image: bright where the map is high.

    Every map is divided by its own maximum. Tile n begins `TILE + GAP` pixels right of or below the one before it.

    >>> wall(torch.rand(3, 24, 24), torch.rand(10, 4, 4)).shape
    torch.Size([3, 156, 636])
    """
    grey = F.interpolate(image[None].float(), (TILE, TILE), mode="bilinear", antialias=True)[0].mean(0)
    smooth = F.interpolate(maps[:, None].float(), (TILE, TILE), mode="bilinear")[:, 0]  # (k, TILE, TILE)
    smooth = smooth / smooth.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    colours = torch.as_tensor(mpl.colormaps[ATTENTION_MAP](smooth.cpu().numpy())[..., :3]).float()
    tiles = (0.35 * grey.cpu()[None, :, :, None] + 0.65 * colours).permute(0, 3, 1, 2)  # (k, 3, TILE, TILE)
    tiles = F.pad(tiles, (0, GAP, 0, GAP), value=1.0)  # the gaps right of and below each, the last ones cut off again
    return make_grid(tiles, nrow=COLUMNS, padding=0, pad_value=1.0)[:, :-GAP, :-GAP]


def wall_figure(
    image: Float[Tensor, "3 height width"], maps: Float[Tensor, "k h w"], channels: Sequence[int]
) -> Figure:
    """The wall with the number of its channel over every tile.

    >>> len(wall_figure(torch.rand(3, 24, 24), torch.rand(3, 4, 4), [7, 0, 2]).axes[0].texts)
    3
    """
    picture = wall(image, maps)
    _, height, width = picture.shape
    figure = plt.figure(figsize=(width / 80, height / 80))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    draw_image(axes, picture)
    for number, channel in enumerate(channels):
        x, y = (TILE + GAP) * (number % COLUMNS), (TILE + GAP) * (number // COLUMNS)
        axes.text(x + 3, y + 3, str(channel), color="white", fontsize=8, va="top", weight="bold")
    return figure
