"""Changes to TASN that keep its method, tried because part net and distillation had no effect.

Each addresses one reason why a detail image might teach the master nothing: a badly chosen channel, channels that all
attend to the same location, cells that are too coarse.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from tasnlib.attention import AttentionNet, trilinear_attention
from tasnlib.networks.backbones import remove_strides


def finer_cells(attention_net: AttentionNet) -> None:
    """Remove the last stride of the trunk, in place: four times as many cells.

    >>> from tasnlib.networks.small import small_trunk
    >>> net = AttentionNet(*small_trunk(), 16, dilations=())
    >>> finer_cells(net)
    >>> net(torch.rand(2, 3, 48, 48))[1].shape
    torch.Size([2, 32, 24, 24])
    """
    strided = [
        module
        for module in attention_net.trunk.children()
        if any(getattr(layer, "stride", 1) == (2, 2) for layer in module.modules())
    ]
    remove_strides(strided[-1])


@torch.no_grad()
def draw_dissimilar(features: Float[Tensor, "b c h w"], scale: float, channel: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """Replace uniformly drawn channels by ones drawn in proportion to the distance between their map and the mean map.

    The distance is the total variation of the maps, each normalised to sum 1. Inverse transform sampling: the uniform
    channel gives the position in the cumulative distances, so no further random numbers are drawn.

    >>> features = torch.zeros(1, 4, 2, 2)
    >>> features[0, :3, 0, 0] = 1.0  # three channels attend to one corner,
    >>> features[0, 3, 1, 1] = 1.0  # one to another
    >>> drawn = draw_dissimilar(features.expand(4, 4, 2, 2), 50.0, torch.arange(4))
    >>> drawn.tolist().count(3)
    2
    """
    maps = trilinear_attention(features.float(), scale).flatten(2)  # (b, c, hw)
    maps = maps / maps.sum(dim=2, keepdim=True).clamp_min(1e-12)
    distance = (maps - maps.mean(dim=1, keepdim=True)).abs().sum(dim=2)  # (b, c)
    c = distance.shape[1]
    cumulative = (distance + 1e-6).cumsum(dim=1)  # identical maps are drawn uniformly
    target = (channel.to(cumulative.device)[:, None] + 0.5) / c * cumulative[:, -1:]
    return (cumulative <= target).sum(dim=1).clamp_max(c - 1)


def channel_similarity(features: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """The mean squared cosine similarity between two channels, over all pairs and images.

    >>> channel_similarity(torch.eye(4).view(1, 4, 2, 2)).item(), channel_similarity(torch.ones(1, 4, 2, 2)).item()
    (0.0, 1.0)
    """
    c = features.shape[1]
    x = F.normalize(features.float().flatten(2), dim=2)  # (b, c, hw)
    cosines = x @ x.mT
    return (cosines.square().sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).square().sum(1)).mean() / (c * (c - 1))


class Penalty(torch.autograd.Function):
    """Add a penalty to a loss that is computed elsewhere: the values pass unchanged, and the penalty gets the gradient
    that it would have as a further term of the loss.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> Penalty.apply(3 * x, x.square().sum()).sum().backward()
    >>> x.grad.tolist()
    [5.0, 7.0]
    """

    @staticmethod
    def forward(context: Any, values: Tensor, penalty: Tensor) -> Tensor:
        context.like = penalty
        return values.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, torch.ones_like(context.like)
