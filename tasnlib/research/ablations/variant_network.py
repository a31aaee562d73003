"""TASN with one of its parts replaced."""

import copy
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tasnlib.attention import PooledAttention
from tasnlib.model import TASN, downsample
from tasnlib.networks.backbones import attention_trunk
from tasnlib.networks.build import build_attention_net, build_plain, build_tasn
from tasnlib.networks.plain import PlainClassifier
from tasnlib.research.ablations.attention_nets import NARROW_SIZE, narrow_attention_net, normalized
from tasnlib.research.ablations.baseline_samplers import crop_at_maximum, saliency_sample
from tasnlib.research.ablations.maps import changed, pooled_maps
from tasnlib.research.ablations.variants import Variant
from tasnlib.training.recipes import Recipe


class VariantOutput(NamedTuple):
    """The maps and predictions of a variant."""

    structure: Float[Tensor, "b h w"]
    detail: Float[Tensor, "b h w"]
    features: Float[Tensor, "b c h w"]  #: of the attention network
    logits: dict[str, Float[Tensor, "b k"]]  #: of "attention", "master", and "part" where there is a part net


class TASNVariant(nn.Module):
    """TASN with the attention, sampler or part net of a variant.

    Args:
        tasn: whose networks and hyperparameters are used.
    """

    def __init__(self, tasn: TASN, variant: Variant):
        super().__init__()
        self.tasn, self.variant = tasn, variant
        own = variant.part == "own"
        self.part_backbone = copy.deepcopy(tasn.backbone) if own else None
        self.part_classifier = copy.deepcopy(tasn.classifier) if own else None

    @property
    def attention_net(self) -> Any:
        return self.tasn.attention_net

    def attend(self, features: Float[Tensor, "b c h w"], channel: Int[Tensor, " b"]) -> PooledAttention:
        """The variant's structure and detail maps, as the sampler gets them."""
        structure, detail, channel = pooled_maps(self.variant.attention, features, self.tasn.scale, channel)
        structure = structure**self.tasn.structure_power
        if self.variant.map_change:
            structure = changed(self.variant.map_change, structure)
        return PooledAttention(detail if self.variant.one_channel else structure, detail, channel)

    def sample(self, images: Float[Tensor, "b 3 height width"], attention: Float[Tensor, "b h w"]) -> Tensor:
        if self.variant.sampler == "centre":
            attention = attention.new_ones(len(images), 1, 1)  # of one cell the maximum is in the middle
        if self.variant.sampler == "anywhere":
            attention = torch.rand_like(attention)
        if self.variant.sampler in ("crop", "centre", "anywhere"):
            return crop_at_maximum(images, attention, self.tasn.out_size, self.tasn.max_zoom)
        if self.variant.sampler == "saliency":
            return saliency_sample(images, attention, self.tasn.out_size)
        return self.tasn.sample(images, attention)

    def forward(self, images: Float[Tensor, "b 3 height width"], channel: Int[Tensor, " b"]) -> VariantOutput:
        attention_logits, features = self.tasn.look(images)
        structure, detail, _ = self.attend(features, channel)
        structure_images = self.sample(images, structure)
        logits = {"attention": attention_logits}
        if self.variant.part in ("shared", "view"):
            plain = self.variant.part == "view"
            second = downsample(images, self.tasn.out_size) if plain else self.sample(images, detail)
            both = self.tasn.classifier(self.tasn.backbone(torch.cat([structure_images, second])))
            logits["master"], logits["part"] = both.chunk(2)
        else:
            logits["master"] = self.tasn.classifier(self.tasn.backbone(structure_images))
        if self.variant.part in ("view", "looks"):  # the mean prediction
            other = logits["part" if self.variant.part == "view" else "attention"]
            logits["both"] = torch.stack([logits["master"], other]).softmax(dim=-1).mean(dim=0).log()
        if self.part_backbone and self.part_classifier:
            logits["part"] = self.part_classifier(self.part_backbone(self.sample(images, detail)))
        return VariantOutput(structure, detail, features, logits)


class ClassActivation(nn.Module):
    """The map of a timm classifier: what in its last features speaks for its prediction. Zhou et al. 2016."""

    def __init__(self, backbone: Any, classifier: Any):
        super().__init__()
        self.shared = backbone, classifier  # in a tuple: they are parts of TASN, not of this

    @property
    def classifier(self) -> Any:
        return self.shared[1]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b 1 y x"]]:
        normalize, network = self.shared[0]
        features: Tensor = network.forward_features(normalize(images))  # (b, d, y, x)
        logits = self.classifier(network.forward_head(features))
        weights = self.classifier.weight[logits.argmax(dim=1)]  # (b, d)
        return logits, torch.einsum("bd,bdyx->byx", weights, features)[:, None].clamp_min(0)


def build_variant(variant: Variant, recipe: Recipe, classes: int) -> nn.Module:
    """The network of a variant, randomly initialised.

    For "boxes" it is a plain classifier of images that were sampled beforehand; for "full", of the whole image.

    >>> from tasnlib.training.recipes import RECIPES
    >>> model = build_variant(Variant("crop", sampler="crop"), RECIPES["laptop"], classes=16)
    >>> list(model(torch.rand(2, 3, 144, 144), torch.tensor([0, 1])).logits)
    ['attention', 'master']
    """
    if variant.sampler in ("plain", "boxes", "full", "centre") and variant.part == "none":
        whole = "downsampled" if recipe.antialias else "downsampled_aliased"
        plain = build_plain(recipe, classes, {"full": "full", "centre": "crop"}.get(variant.sampler, whole))
        plain.crop = 1 / recipe.max_zoom
        return plain
    if variant.sampler == "trunk":
        trunk, channels = attention_trunk(recipe.attention_trunk, recipe.weights, recipe.attention_stride, stages=4)
        pooled = nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return PlainClassifier(pooled, nn.Linear(channels, classes), recipe.out_size)
    tasn = build_tasn(recipe, classes)
    if variant.attention == "class activation":
        tasn.attention_net = ClassActivation(tasn.backbone, tasn.classifier)  # type: ignore[assignment]
    if stages := variant.attention_stages:
        if recipe.attention_trunk == "small":
            tasn.attention_net, tasn.attention_size = narrow_attention_net(stages, classes), NARROW_SIZE
        else:
            tasn.attention_net = build_attention_net(replace(recipe, attention_stages=stages), classes)
        if variant.normalized:
            tasn.attention_net = normalized(tasn.attention_net)
    return TASNVariant(tasn, variant)
