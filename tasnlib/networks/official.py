"""What only the authors' code does: own classifiers, duplicate channels left out, another detail map at test time."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from tasnlib.attention import PooledAttention, bilinear_attention, pool_maps
from tasnlib.model import TASN


def distinct_channels(relation: Float[Tensor, "b c c"], features: Float[Tensor, "b c h w"]) -> Bool[Tensor, "b c"]:
    """Which channels have a map that no earlier channel has; of maps with equal totals, the first counts.

    All dead channels have the same map. The authors' code applies marks made in the order of the totals to unsorted
    channels, a mistake that its author acknowledged; here it is mended.

    >>> features = torch.rand(1, 4, 3, 3)
    >>> features[:, [1, 3]] = 0.0  # two dead channels
    >>> distinct_channels(bilinear_attention(features), features).tolist()
    [[True, True, True, False]]
    """
    device = features.device
    if device.type == "mps":  # Apple's GPUs have no float64
        relation, features = relation.cpu(), features.cpu()
    totals = (relation.double() @ features.double().sum(dim=(2, 3))[:, :, None]).squeeze(2)  # (b, c), of the maps R X
    ordered, order = totals.sort(dim=1, stable=True)  # equal totals keep the order of their channels
    # Equal but for rounding: rows of a matrix product may differ in their last bits.
    new = (ordered[:, 1:] - ordered[:, :-1]) > 1e-6 * ordered[:, -1:].abs()
    new = F.pad(new, (1, 0), value=True)  # (b, c)
    return torch.zeros_like(new).scatter(1, order, new).to(device)


class OfficialTASN(TASN):
    """TASN as in the authors' MXNet code; what else differs there, see `training.recipes.Recipe`.

    Master and part net have a classifier each beside the shared one, which still gives the prediction. Each different
    map counts once in the structure map and in the draw of the detail map; in evaluation mode the detail map is the
    mean of all maps. Arguments are those of `TASN`, and own_classifiers of master and part net: (b, d) to (b, k).
    """

    def __init__(self, *networks: Any, own_classifiers: tuple[nn.Linear, ...], **options: Any):
        super().__init__(*networks, **options)
        self.own_classifiers = nn.ModuleList(own_classifiers)
        layers: list[Any] = [self.classifier, *own_classifiers, self.attention_net.classifier]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # a deviation of √(2 / features)
            nn.init.zeros_(layer.bias)

    def look(self, images: Float[Tensor, "b 3 height width"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b c h w"]]:
        """As `TASN.look`, but resized with the corners' centres aligned, and without antialias."""
        size = (self.attention_size, self.attention_size)
        return self.attention_net(F.interpolate(images, size, mode="bilinear", align_corners=True))

    @torch.no_grad()
    def pool(self, features: Tensor, scale: float, channel: Any, generator: Any) -> PooledAttention:  # type: ignore[override]
        """The maps of the distinct channels only. `channel` is taken modulo their number."""
        if channel is None:
            channel = torch.randint(features.shape[1], features.shape[:1], generator=generator)
        relation = bilinear_attention(features, scale)  # (b, c, c)
        first = distinct_channels(relation, features)  # (b, c)
        number = first.sum(dim=1, keepdim=True)  # (b, 1)
        channel = (first.cumsum(dim=1) > channel.to(features.device)[:, None] % number).int().argmax(dim=1)
        mean_row = (relation * first[:, :, None]).sum(dim=1) / number
        structure, detail, channel = pool_maps(relation, features, channel, mean_row)
        if not self.training:
            detail = pool_maps(relation, features, channel, relation.mean(dim=1)).structure
        return PooledAttention(structure, detail, channel)

    def classify(self, both: Float[Tensor, "both d"]) -> dict[str, Float[Tensor, "b k"]]:
        """As `TASN.classify`, and the logits of master's and part net's own classifiers."""
        logits = super().classify(both)
        for name, classifier, own in zip(("master", "part"), self.own_classifiers, both.chunk(2), strict=True):
            logits[f"{name}_own"] = classifier(own)
        return logits


def own_distillation(logits: Mapping[str, Float[Tensor, "b k"]], temperature: float = 10.0) -> Float[Tensor, ""]:
    """Cross entropy of the master's own soft predictions with the part net's own, the gradient flowing into both.

    >>> own_distillation({"master_own": torch.zeros(2, 5), "part_own": torch.zeros(2, 5)}).exp().round().item()
    5.0
    """
    student, teacher = (logits[name].float() / temperature for name in ("master_own", "part_own"))
    return F.cross_entropy(student, teacher.softmax(dim=1))
