"""Changes to TASN that keep its method, tried where part net and distillation have nothing to show.

Each is an answer to one reason why a detail image might teach the master nothing: its channel was chosen badly, the
channels all look at the same place, the attention's cells are too coarse.
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
def draw_different(features: Float[Tensor, "b c h w"], scale: float, channel: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """Exchange channels drawn uniformly for channels drawn by how different their map is from the mean map.

    The probability of a channel is its share of all distances to the mean map, half the absolute difference of maps
    that sum to 1. The channel that was drawn says where in the cumulative sum of those shares to look, so nothing new
    is drawn.

    >>> features = torch.zeros(1, 4, 2, 2)
    >>> features[0, :3, 0, 0] = 1.0  # three channels look at one corner,
    >>> features[0, 3, 1, 1] = 1.0  # one at another
    >>> drawn = draw_different(features.expand(4, 4, 2, 2), 50.0, torch.arange(4))
    >>> drawn.tolist().count(3)
    2
    """
    maps = trilinear_attention(features.float(), scale).flatten(2)  # (b, c, hw)
    maps = maps / maps.sum(dim=2, keepdim=True).clamp_min(1e-12)
    distance = (maps - maps.mean(dim=1, keepdim=True)).abs().sum(dim=2)  # (b, c)
    c = distance.shape[1]
    upto = (distance + 1e-6).cumsum(dim=1)  # channels that all coincide are drawn uniformly
    place = (channel.to(upto.device)[:, None] + 0.5) / c * upto[:, -1:]
    return (upto <= place).sum(dim=1).clamp_max(c - 1)


def likeness(features: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """How alike the channels fire: the mean squared cosine between two channels, over all pairs and images.

    >>> likeness(torch.eye(4).view(1, 4, 2, 2)).item(), round(likeness(torch.ones(1, 4, 2, 2)).item(), 3)
    (0.0, 1.0)
    """
    c = features.shape[1]
    x = F.normalize(features.float().flatten(2), dim=2)  # (b, c, hw)
    cosines = x @ x.mT
    return (cosines.square().sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).square().sum(1)).mean() / (c * (c - 1))


class Penalty(torch.autograd.Function):
    """Add a penalty to the loss without handing it to whoever computes the loss: values pass unchanged, and the
    backward pass gives the penalty the gradient that it would have as one more term of the loss.

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
