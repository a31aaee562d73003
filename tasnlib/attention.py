"""Bilinear and trilinear attention, and the network whose features they turn into attention maps.

Shapes: b images, c channels, h×w feature map. X is the features as (b, c, h·w). Section 3.1 of the paper.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tasnlib.arguments import LARGEST, above, check_argument, checked, finite, readable, within


@checked
def bilinear_attention(features: Float[Tensor, "b c h w"], scale: float = 1.0) -> Float[Tensor, "b c c"]:
    """How much channel j fires where channel i fires: R = N(N(s·X) Xᵀ).

    N is the softmax over the last axis. The inner one is over space and asks "where does channel i fire?"; the outer
    one is over channels and asks "which channels fire there too?". Every row of R sums to 1.

    Args:
        features: X, finite, s·X too.
        scale: s, how sharply the inner softmax picks a place. The paper writes 1, the authors' code uses 7.

    Raises:
        ValueError: if features are not a non-empty 4-dimensional floating point tensor, or scale is not above 0; on a
            CPU, also where features or s·X are not finite.

    Source: the relation N(N(X) Xᵀ) in equation 4 of the paper.

    >>> relation = bilinear_attention(torch.rand(2, 8, 5, 5))
    >>> relation.shape, torch.allclose(relation.sum(-1), torch.ones(2, 8))
    (torch.Size([2, 8, 8]), True)
    """
    above(scale, "scale", 0)
    x = features.flatten(2)  # (b, c, hw)
    where = (float(scale) * x).softmax(dim=-1)  # (b, c, hw), sums to 1 over space
    together = where @ x.mT  # (b, c, c)
    relation = together.softmax(dim=-1)  # sums to 1 over channels
    # Whatever is not finite on the way shows here, where there is least to look at.
    return finite(relation, "features must be finite, also when multiplied by scale")


def trilinear_attention(features: Float[Tensor, "b c h w"], scale: float = 1.0) -> Float[Tensor, "b c h w"]:
    """One attention map a channel: M = R X, each map a mean of the channels that fire where its channel fires.

    It is scaled dot-product attention with the channels as the sequence: query softmax(s·X), key X, value X, scale 1.

    Args:
        features: X, finite, s·X too.
        scale: s of the inner softmax, see `bilinear_attention`.

    Raises:
        ValueError: as `bilinear_attention`.

    Source: M(X) = N(N(X) Xᵀ) X, equation 4 of the paper.

    >>> features = torch.rand(2, 8, 5, 5)
    >>> x = features.flatten(2)
    >>> same = F.scaled_dot_product_attention((7 * x).softmax(-1), x, x, scale=1.0).view_as(features)
    >>> torch.allclose(trilinear_attention(features, scale=7), same, atol=1e-5)
    True
    """
    return (bilinear_attention(features, scale) @ features.flatten(2)).view_as(features)


# Numbers that a CPU's cache holds. More images than fit are pooled some at a time: the same bits, up to twice as fast.
_CACHED = 2**20


class PooledAttention(NamedTuple):
    """What training needs of M."""

    structure: Float[Tensor, "b h w"]  #: the mean over all channels: A(M) in the paper
    detail: Float[Tensor, "b h w"]  #: one channel's map an image: R(M) in the paper
    channel: Int[Tensor, " b"]  #: which one


@torch.no_grad()
@checked
def pooled_attention(
    features: Float[Tensor, "b c h w"],
    scale: float = 1.0,
    channel: Int[Tensor, " b"] | None = None,
    generator: torch.Generator | None = None,
    distinct: bool = False,
) -> PooledAttention:
    """The mean of all attention maps and one map drawn at random, without building the others.

    Both are means of the rows of M = R X, so two rows of weights times X give them. No gradient flows back: the
    sampler's choice of places is not trained through, in the paper as in the authors' code.

    Args:
        features: X, finite, s·X too.
        scale: s of the inner softmax, see `bilinear_attention`.
        channel: the detail map's channel for each image, 0 to c - 1. Drawn uniformly where it is None.
        generator: where the channels are drawn from. It lives on the CPU, so that a seed draws the same channels
            whatever the device.
        distinct: take each different map once. A channel that is silent everywhere fires nowhere in particular, so all
            silent channels have one and the same map; the authors' code leaves the repeats out of the mean and of the
            draw. The number drawn, from 0 to c - 1, then counts round the distinct channels.

    Raises:
        ValueError: as `bilinear_attention`, and if channel has another shape than (b,) or holds no channel's number.

    Source: section 3.2 of the paper, "average pooling" and "random selection".

    >>> features = torch.rand(2, 8, 5, 5)
    >>> pooled = pooled_attention(features, channel=torch.tensor([3, 0]))
    >>> maps = trilinear_attention(features)
    >>> torch.allclose(pooled.structure, maps.mean(1)), torch.allclose(pooled.detail[0], maps[0, 3])
    (True, True)
    """
    b, c, h, w = features.shape
    if channel is None:
        channel = torch.randint(c, (b,), generator=generator)
    else:
        _check_channel(channel, c)
    channel = channel.to(features.device, torch.int64, non_blocking=True)
    at_once = max(1, _CACHED // (c * (c + h * w)))  # images
    if features.device.type == "cpu" and at_once < b:
        shares = zip(features.split(at_once), channel.split(at_once), strict=True)
        pooled = [pooled_attention(some, scale, theirs, distinct=distinct) for some, theirs in shares]
        return PooledAttention(*map(torch.cat, zip(*pooled, strict=True)))
    relation = bilinear_attention(features, scale)  # (b, c, c)
    if not distinct:
        return pool_maps(relation, features, channel, relation.mean(dim=1))
    first = distinct_channels(relation, features)  # (b, c)
    number = first.sum(dim=1, keepdim=True)  # (b, 1)
    channel = (first.cumsum(dim=1) > channel[:, None] % number).int().argmax(dim=1)
    return pool_maps(relation, features, channel, (relation * first[:, :, None]).sum(dim=1) / number)


def _check_channel(channel: Int[Tensor, " b"], channels: int) -> None:
    if readable(channel) and not bool(((channel >= 0) & (channel < channels)).all()):
        raise ValueError(f"channel must be from 0 to {channels - 1}, got {channel.tolist()}")


@checked
def pool_maps(
    relation: Float[Tensor, "b c c"],
    features: Float[Tensor, "b c h w"],
    channel: Int[Tensor, " b"],
    mean_row: Float[Tensor, "b c"],
) -> PooledAttention:
    """Two maps of the c that any relation makes of features: that of its mean row and that of one channel's row.

    Args:
        relation, features: finite, on one device.
        channel: as in `pooled_attention`.
        mean_row: of the relation, or of some of its rows.

    Raises:
        ValueError: for shapes that do not go together, and a channel that there is not; on a CPU, also for maps that
            are not finite.

    >>> features, channel = torch.rand(2, 8, 5, 5), torch.tensor([3, 0])
    >>> relation = bilinear_attention(features)
    >>> pooled = pool_maps(relation, features, channel, relation.mean(dim=1))
    >>> torch.allclose(pooled.structure, trilinear_attention(features).mean(1))
    True
    """
    b, c, h, w = features.shape
    _check_channel(channel, c)
    chosen_row = relation.gather(1, channel.long().view(b, 1, 1).expand(b, 1, c))  # (b, 1, c)
    weights = torch.cat([mean_row[:, None], chosen_row], dim=1)  # (b, 2, c)
    maps = finite(weights @ features.flatten(2), "relation, features and mean_row must be finite, and so the maps")
    structure, detail = maps.view(b, 2, h, w).unbind(1)
    return PooledAttention(structure, detail, channel)


@checked
def distinct_channels(relation: Float[Tensor, "b c c"], features: Float[Tensor, "b c h w"]) -> Bool[Tensor, "b c"]:
    """Which channels' maps no earlier channel has: of maps with equal totals, the first.

    The totals of all c maps are one product, R times the sums of X, so that no map has to be built.

    The authors' code sorts the totals, marks each that differs from the one before it, and then applies the marks to
    the channels in their unsorted order: a mistake that its author acknowledged. Here the marks go back to where the
    totals came from.

    Raises:
        ValueError: for shapes that do not go together; on a CPU, also where relation or features are not finite.

    >>> features = torch.rand(1, 4, 3, 3)
    >>> features[:, [1, 3]] = 0.0  # two silent channels
    >>> distinct_channels(bilinear_attention(features), features).tolist()
    [[True, True, True, False]]
    """
    totals = (relation.double() @ features.double().sum(dim=(2, 3))[:, :, None]).squeeze(2)  # (b, c)
    finite(totals, "relation and features must be finite, and so the totals of the maps")
    ordered, order = totals.sort(dim=1, stable=True)  # equal totals keep the order of their channels
    # Equal but for rounding: rows of a matrix product may differ in their last bits.
    new = (ordered[:, 1:] - ordered[:, :-1]) > 1e-6 * ordered[:, -1:].abs()
    new = F.pad(new, (1, 0), value=True)  # (b, c)
    return torch.zeros_like(new).scatter(1, order, new)


class MultiDilation(nn.Module):
    """One 3×3 kernel applied at several dilations, each followed by ReLU, summed. Size and channels stay.

    The same pattern is looked for at several sizes without more weights. Source: section 3.1 of the paper, "several
    dilated convolutional layers", with the dilations of the authors' code.

    >>> MultiDilation(8, dilations=(1, 2))(torch.rand(2, 8, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    @checked
    def __init__(self, channels: int, dilations: Sequence[int]):
        super().__init__()
        within(channels, "channels", 1, LARGEST)
        if not dilations or not all(1 <= dilation <= LARGEST for dilation in dilations):
            raise ValueError(f"dilations is {dilations!r}; it must be one or more whole numbers from 1 to {LARGEST}")
        self.dilations = tuple(dilations)
        self.kernel = nn.Conv2d(channels, channels, 3, bias=False)
        # Each dilation adds its share of the variance, so that the sum keeps the scale of the input.
        nn.init.kaiming_normal_(self.kernel.weight, mode="fan_out", nonlinearity="relu")
        self.kernel.weight.data /= len(self.dilations) ** 0.5

    @checked
    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if features.shape[1] != self.kernel.in_channels:
            raise ValueError(f"features must have {self.kernel.in_channels} channels; got {tuple(features.shape)}")
        found = [F.relu(F.conv2d(features, self.kernel.weight, padding=d, dilation=d)) for d in self.dilations]
        return sum(found[1:], found[0])


class AttentionNet(nn.Module):
    """A classifier that is trained only for where it looks: its features become the attention maps.

    trunk -> multi-dilation blocks -> norm, ReLU -> features -> mean over space -> classifier

    The ReLU makes the features non-negative, so that the attention maps are; being trained as a classifier makes the
    channels fire on the parts that tell the classes apart. See `backbones` for trunks: at paper size ResNet-18 with the
    strides of its second and fourth stages set to 1, 224×224 -> 28×28×512.

    Args:
        trunk: images (b, 3, h, w) to features (b, channels, h', w').
        channels: of the trunk's output.
        classes: how many.
        dilations: one tuple a multi-dilation block; none of them leaves the trunk's small receptive field as it is.
        norm_bias: start of the last normalisation's bias. Below 0 makes features sparse: most cells stay silent.

    Raises:
        ValueError: for numbers below 1; when called, for a trunk whose features are of another shape.

    >>> net = AttentionNet(nn.Conv2d(3, 8, 3, stride=4), channels=8, classes=5)
    >>> logits, features = net(torch.rand(2, 3, 32, 32))
    >>> logits.shape, features.shape, bool((features >= 0).all())
    (torch.Size([2, 5]), torch.Size([2, 8, 8, 8]), True)
    """

    @checked
    def __init__(
        self,
        trunk: nn.Module,
        channels: int,
        classes: int,
        dilations: Sequence[Sequence[int]] = ((1, 2), (1, 2, 3)),
        norm_bias: float = 0.0,
    ):
        super().__init__()
        within(channels, "channels", 1, LARGEST)
        within(classes, "classes", 1, LARGEST)
        self.trunk, self.channels = trunk, channels
        self.multi_dilation = nn.Sequential(*(MultiDilation(channels, rates) for rates in dilations))
        self.norm = nn.BatchNorm2d(channels)
        nn.init.constant_(self.norm.bias, norm_bias)
        self.classifier = nn.Linear(channels, classes)

    @checked
    def forward(
        self, images: Float[Tensor, "b 3 height width"]
    ) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b c h w"]]:
        seen = self.trunk(images)
        if not torch.compiler.is_compiling():
            wanted = {"b": (len(images), "images"), "c": (self.channels, "channels")}
            check_argument(seen, "what trunk gives", Float[Tensor, "b c h w"], wanted)
        features = F.relu(self.norm(self.multi_dilation(seen)))  # (b, c, h, w)
        return self.classifier(features.mean(dim=(2, 3))), features
