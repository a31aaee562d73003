"""Bilinear and trilinear attention, and the network whose features they turn into attention maps.

Shapes: b images, c channels, h×w feature map. X is the features as (b, c, h·w). Section 3.1 of the paper.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


def bilinear_attention(features: Float[Tensor, "b c h w"], scale: float = 1.0) -> Float[Tensor, "b c c"]:
    """How much channel j fires where channel i fires: R = N(N(s·X) Xᵀ), in equation 4 of the paper.

    N is the softmax over the last axis. The inner one is over space and asks "where does channel i fire?"; the outer
    one is over channels and asks "which channels fire there too?". Every row of R sums to 1.

    Args:
        features: X; finite.
        scale: s, how sharply the inner softmax picks a place. The paper writes 1, the authors' code uses 7.

    Raises:
        ValueError: if scale is not above 0; on a CPU, also if features, or s·X, are not finite.

    >>> bilinear_attention(torch.rand(2, 8, 5, 5)).shape
    torch.Size([2, 8, 8])
    """
    if not 0 < scale < float("inf"):
        raise ValueError(f"scale is {scale}; it must be a finite number above 0")
    x = features.flatten(2)  # (b, c, hw)
    where = (scale * x).softmax(dim=-1)  # (b, c, hw), sums to 1 over space
    relation = (where @ x.mT).softmax(dim=-1)  # (b, c, c), sums to 1 over channels
    # NaN and infinity end up here, where there is least to check. A check on a GPU would have to wait for it.
    if relation.is_cpu and not torch.compiler.is_compiling() and not relation.isfinite().all():
        raise ValueError("features must be finite, also when multiplied by scale")
    return relation


def trilinear_attention(features: Float[Tensor, "b c h w"], scale: float = 1.0) -> Float[Tensor, "b c h w"]:
    """One attention map per channel: M = R X, each map a mean of the channels that fire where its channel fires.

    It is scaled dot-product attention with the channels as the sequence: query softmax(s·X), key X, value X, scale 1.

    Arguments and errors are those of `bilinear_attention`. Source: M(X) = N(N(X) Xᵀ) X, equation 4 of the paper.

    >>> features = torch.rand(2, 8, 5, 5)
    >>> x = features.flatten(2)
    >>> same = F.scaled_dot_product_attention((7 * x).softmax(-1), x, x, scale=1.0).view_as(features)
    >>> torch.allclose(trilinear_attention(features, scale=7), same, atol=1e-5)
    True
    """
    return (bilinear_attention(features, scale) @ features.flatten(2)).view_as(features)


class PooledAttention(NamedTuple):
    """The two attention maps that training needs of the c maps in M."""

    structure: Float[Tensor, "b h w"]  #: the mean over all channels, A(M) in the paper
    detail: Float[Tensor, "b h w"]  #: one channel's map per image, R(M) in the paper
    channel: Int[Tensor, " b"]  #: that channel


@torch.no_grad()
def pooled_attention(
    features: Float[Tensor, "b c h w"],
    scale: float = 1.0,
    channel: Int[Tensor, " b"] | None = None,
    generator: torch.Generator | None = None,
) -> PooledAttention:
    """The mean of all attention maps, and one drawn at random, without building the others. Section 3.2 of the paper.

    Both are weighted sums of the channels, so two rows of weights times X give them. No gradient flows back: neither
    the paper nor the authors' code trains through the choice of where to sample.

    Args:
        features, scale: see `bilinear_attention`.
        channel: whose map is the detail map, for each image, 0 to c - 1. None draws it uniformly from `generator`.
        generator: on the CPU, so that a seed draws the same channels on every device.

    Raises:
        ValueError: see `bilinear_attention`; on a CPU, also for a channel outside 0 to c - 1.

    >>> features = torch.rand(2, 8, 5, 5)
    >>> pooled = pooled_attention(features, channel=torch.tensor([3, 0]))
    >>> maps = trilinear_attention(features)
    >>> torch.allclose(pooled.structure, maps.mean(1)), torch.allclose(pooled.detail[0], maps[0, 3])
    (True, True)
    """
    if channel is None:
        channel = torch.randint(features.shape[1], features.shape[:1], generator=generator)
    relation = bilinear_attention(features, scale)
    return pool_maps(relation, features, channel, relation.mean(dim=1))


def pool_maps(
    relation: Float[Tensor, "b c c"],
    features: Float[Tensor, "b c h w"],
    channel: Int[Tensor, " b"],
    mean_row: Float[Tensor, "b c"],
) -> PooledAttention:
    """`pooled_attention` for any relation, whose rows are the channels' weights in each map, and any mean of its rows.

    >>> features, relation = torch.rand(2, 8, 5, 5), torch.eye(8).expand(2, 8, 8)
    >>> pooled = pool_maps(relation, features, torch.tensor([3, 0]), relation.mean(dim=1))
    >>> torch.allclose(pooled.detail[0], features[0, 3])
    True
    """
    b, c, h, w = features.shape
    if channel.is_cpu and not torch.compiler.is_compiling() and not ((channel >= 0) & (channel < c)).all():
        raise ValueError(f"channel must be from 0 to {c - 1}, got {channel.tolist()}")
    channel = channel.to(features.device, torch.int64, non_blocking=True)
    chosen_row = relation.gather(1, channel.view(b, 1, 1).expand(b, 1, c))  # (b, 1, c)
    weights = torch.cat([mean_row[:, None], chosen_row], dim=1)  # (b, 2, c)
    structure, detail = (weights @ features.flatten(2)).view(b, 2, h, w).unbind(1)
    return PooledAttention(structure, detail, channel)


class MultiDilation(nn.Module):
    """One 3×3 kernel applied at several dilations, each followed by ReLU, summed. Section 3.1 of the paper.

    >>> MultiDilation(8, dilations=(1, 2))(torch.rand(2, 8, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    def __init__(self, channels: int, dilations: Sequence[int]):
        super().__init__()
        self.dilations = tuple(dilations)
        self.kernel = nn.Conv2d(channels, channels, 3)
        nn.init.kaiming_normal_(self.kernel.weight, nonlinearity="relu")
        nn.init.zeros_(self.kernel.bias)  # type: ignore[arg-type]

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        kernel = self.kernel.weight, self.kernel.bias
        found = [F.relu(F.conv2d(features, *kernel, padding=d, dilation=d)) for d in self.dilations]
        return sum(found[1:], found[0])


class AttentionNet(nn.Module):
    """A classifier that is trained only for where it looks: its features become the attention maps.

    trunk -> multi-dilation blocks -> features -> norm, ReLU -> mean over space -> classifier

    The maps are made of a sum of ReLUs, not negative and of large, unequal scale: no norm comes before. Training as a
    classifier makes the channels fire on the parts that tell the classes apart. Section 3.1, and the authors' code.

    Args:
        trunk: images (b, 3, h, w) to features (b, channels, h', w'); in the paper ResNet-18, 224×224 to 28×28×512.
        channels, classes: how many.
        dilations: a tuple for each multi-dilation block. Without any, the features are the trunk's, and its receptive
            field stays as small as it is.

    >>> net = AttentionNet(nn.Conv2d(3, 8, 3, stride=4), channels=8, classes=5)
    >>> logits, features = net(torch.rand(2, 3, 32, 32))
    >>> logits.shape, features.shape, bool((features >= 0).all())
    (torch.Size([2, 5]), torch.Size([2, 8, 8, 8]), True)
    """

    def __init__(
        self, trunk: nn.Module, channels: int, classes: int, dilations: Sequence[Sequence[int]] = ((1, 2), (1, 2, 3))
    ):
        super().__init__()
        self.trunk, self.channels = trunk, channels
        self.multi_dilation = nn.Sequential(*(MultiDilation(channels, rates) for rates in dilations))
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(
        self, images: Float[Tensor, "b 3 height width"]
    ) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b c h w"]]:
        features = F.relu(self.multi_dilation(self.trunk(images)))  # (b, c, h, w), not negative without blocks too
        return self.classifier(F.relu(self.norm(features)).mean(dim=(2, 3))), features
