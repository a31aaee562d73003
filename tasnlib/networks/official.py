"""What only the authors' code does: own classifiers, repeated channels left out, another detail map in tests."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tasnlib.attention import PooledAttention, bilinear_attention, pool_maps
from tasnlib.model import TASN, TASNOutput


def distinct_channels(relation: Float[Tensor, "b c c"], features: Float[Tensor, "b c h w"]) -> Bool[Tensor, "b c"]:
    """Which channels have a map that no earlier channel has: of maps with equal totals, the first.

    A dead channel fires nowhere in particular, so all dead channels have the same map. The totals of all c maps are one
    product, R times the sums of X, so that no map has to be built.

    The authors' code sorts the totals, marks each that differs from the one before it, and then applies the marks to
    the channels in their unsorted order: a mistake that its author acknowledged. Here the marks go back to where the
    totals came from.

    >>> features = torch.rand(1, 4, 3, 3)
    >>> features[:, [1, 3]] = 0.0  # two dead channels
    >>> distinct_channels(bilinear_attention(features), features).tolist()
    [[True, True, True, False]]
    """
    dtype = torch.float32 if features.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    totals = (relation.to(dtype) @ features.to(dtype).sum(dim=(2, 3))[:, :, None]).squeeze(2)  # (b, c)
    ordered, order = totals.sort(dim=1, stable=True)  # equal totals keep the order of their channels
    # Equal but for rounding: rows of a matrix product may differ in their last bits.
    new = (ordered[:, 1:] - ordered[:, :-1]) > 1e-6 * ordered[:, -1:].abs()
    new = F.pad(new, (1, 0), value=True)  # (b, c)
    return torch.zeros_like(new).scatter(1, order, new)


class OfficialTASN(TASN):
    """TASN as in the authors' MXNet code; see `training.recipes` for what else differs there.

    Master and part net have a classifier each beside the shared one, which still gives the prediction: `forward` adds
    the logits "master_own" and "part_own", between which distillation acts (`own_distillation`). Each different map
    counts once in the structure map and in the draw of the detail map. In evaluation mode the detail map is the mean
    of all maps.

    Args:
        own_classifiers: of the master and of the part net, features (b, d) to logits (b, k).
        All others: see `TASN`.
    """

    def __init__(self, *args: object, own_classifiers: tuple[nn.Module, nn.Module], **kwargs: object):
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.own_classifiers = nn.ModuleList(own_classifiers)

    @torch.no_grad()
    def attend(
        self,
        features: Float[Tensor, "b c h w"],
        channel: Int[Tensor, " b"] | None = None,
        generator: torch.Generator | None = None,
    ) -> PooledAttention:
        b, c = features.shape[:2]
        if channel is None:
            channel = torch.randint(c, (b,), generator=generator)
        channel = channel.to(features.device)
        relation = bilinear_attention(features, self.scale)  # (b, c, c)
        first = distinct_channels(relation, features)  # (b, c)
        number = first.sum(dim=1, keepdim=True)  # (b, 1)
        # The number drawn, from 0 to c - 1, counts round the distinct channels.
        channel = (first.cumsum(dim=1) > channel[:, None] % number).int().argmax(dim=1)
        mean_row = (relation * first[:, :, None]).sum(dim=1) / number
        structure, detail, channel = pool_maps(relation, features, channel, mean_row)
        if not self.training:
            detail = pool_maps(relation, features, channel, relation.mean(dim=1)).structure
        structure = structure / structure.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(structure.dtype).tiny)
        return PooledAttention(structure**self.structure_power, detail, channel)

    def forward(
        self,
        images: Float[Tensor, "b 3 height width"],
        channel: Int[Tensor, " b"] | None = None,
        generator: torch.Generator | None = None,
    ) -> TASNOutput:
        attention_logits, features = self.look(images)  # (b, c, h, w)
        structure, detail, channel = self.attend(features, channel, generator)  # (b, h, w) each
        structure_images, detail_images = self.sample(images, structure), self.sample(images, detail)
        both = self.backbone(torch.cat([structure_images, detail_images]))  # (2b, d)
        master_logits, part_logits = self.classifier(both).chunk(2)  # (b, k) each
        logits = {"master": master_logits, "part": part_logits, "attention": attention_logits}
        for name, classifier, own in zip(("master", "part"), self.own_classifiers, both.chunk(2), strict=True):
            logits[f"{name}_own"] = classifier(own)
        return TASNOutput(structure, detail, channel, structure_images, detail_images, logits)


def own_distillation(logits: Mapping[str, Float[Tensor, "b k"]], temperature: float = 10.0) -> Float[Tensor, ""]:
    """Cross entropy of the master's own soft predictions with the part net's own, the gradient flowing into both.

    So the teacher is pulled towards what the student already predicts, and towards predictions of low entropy.

    >>> logits = {"master_own": torch.zeros(2, 5), "part_own": torch.zeros(2, 5)}
    >>> round(own_distillation(logits).exp().item(), 4)  # two uniform predictions of 5 classes
    5.0
    """
    student, teacher = (logits[name].float() / temperature for name in ("master_own", "part_own"))
    return F.cross_entropy(student, teacher.softmax(dim=1))
