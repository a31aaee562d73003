"""TASN: attention network, sampler and backbone joined. Figure 1 of the paper."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tasnlib.attention import AttentionNet, PooledAttention, pooled_attention
from tasnlib.sampler import attention_sample


def downsample(
    images: Float[Tensor, "b c h w"], size: int, antialias: bool = True
) -> Float[Tensor, "b c {size} {size}"]:
    """Bilinear resizing to size × size. Without antialias, fine stripes come back as coarse false ones.

    >>> downsample(torch.rand(2, 3, 480, 640), size=224).shape
    torch.Size([2, 3, 224, 224])
    """
    wide = images.to(torch.promote_types(images.dtype, torch.float32))  # a CPU antialiases nothing narrower
    return F.interpolate(wide, (size, size), mode="bilinear", antialias=antialias).to(images.dtype)


class TASNOutput(NamedTuple):
    """Everything `TASN.forward` made on its way, in its order."""

    structure: Float[Tensor, "b h w"]  #: mean attention map, relative to its maximum, to structure_power
    detail: Float[Tensor, "b h w"]  #: attention map of one channel
    channel: Int[Tensor, " b"]  #: that channel
    structure_images: Float[Tensor, "b 3 n n"]
    detail_images: Float[Tensor, "b 3 n n"]
    logits: dict[str, Float[Tensor, "b k"]]  #: of "attention", "master" and "part"


class TASN(nn.Module):
    """The Trilinear Attention Sampling Network.

    Args:
        attention_net: see `attention.AttentionNet`.
        backbone, classifier: images (b, 3, n, n) to features (b, d) to logits (b, k). Master and part net share them.
        attention_size, out_size: side of what the attention network sees, and of the structure and detail images.
        scale: s of the inner softmax; 7 in the authors' code, 1 in the paper.
        structure_power: the structure map is raised to it; 2 in the authors' code, 1 in the paper.
        max_zoom, antialias: of the sampler, see `sampler.attention_sample`.

    >>> from tasnlib.networks.small import small_backbone, small_trunk
    >>> backbone, features = small_backbone()
    >>> model = TASN(AttentionNet(*small_trunk(), 16, dilations=()), backbone, nn.Linear(features, 16), 48, 48)
    >>> model(torch.rand(2, 3, 144, 144)).structure_images.shape
    torch.Size([2, 3, 48, 48])
    """

    pool = staticmethod(pooled_attention)  # from features to maps

    def __init__(
        self,
        attention_net: AttentionNet,
        backbone: nn.Module,
        classifier: nn.Module,
        attention_size: int = 224,
        out_size: int = 224,
        scale: float = 7.0,
        structure_power: float = 2.0,
        max_zoom: float = 4.0,
        antialias: bool = False,
    ):
        super().__init__()
        if not 0 < min(given := (attention_size, out_size, structure_power)) <= max(given) < float("inf"):
            raise ValueError(f"attention_size, out_size and structure_power must be above 0 and finite, got {given}")
        self.attention_net, self.backbone, self.classifier = attention_net, backbone, classifier
        self.attention_size, self.out_size = attention_size, out_size
        self.scale, self.structure_power = scale, structure_power
        self.max_zoom, self.antialias = max_zoom, antialias

    def forward(
        self,
        images: Float[Tensor, "b 3 height width"],
        channel: Int[Tensor, " b"] | None = None,
        generator: torch.Generator | None = None,
    ) -> TASNOutput:
        """Images in [0, 1] to the three predictions. `channel` and `generator`: see `attention.pooled_attention`."""
        # Where are the details?
        attention_logits, features = self.look(images)  # (b, c, h, w)
        structure, detail, channel = self.attend(features, channel, generator)  # (b, h, w) each

        # Zoom in: on all of them at once, and on one.
        structure_images = self.sample(images, structure)  # (b, 3, n, n)
        detail_images = self.sample(images, detail)  # (b, 3, n, n)

        # Recognise both in one batch of 2b: the same backbone and classifier are the master and the part net.
        both = self.backbone(torch.cat([structure_images, detail_images]))  # (2b, d)
        logits = self.classify(both) | {"attention": attention_logits}  # (b, k) each
        return TASNOutput(structure, detail, channel, structure_images, detail_images, logits)

    def look(self, images: Float[Tensor, "b 3 height width"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b c h w"]]:
        """The attention network's logits, and the features of the attention maps, of the downsampled images."""
        return self.attention_net(downsample(images, self.attention_size))

    def attend(
        self,
        features: Float[Tensor, "b c h w"],
        channel: Int[Tensor, " b"] | None = None,
        generator: torch.Generator | None = None,
    ) -> PooledAttention:
        """The structure and detail maps of these features, as the sampler gets them.

        Not in autocast: X reaches hundreds, where bfloat16 counts in steps of 1, each a factor of e after the softmax.
        """
        device = "cpu" if features.is_meta else features.device.type  # meta has no autocast
        with torch.autocast(device, enabled=False):
            features = features.to(torch.promote_types(features.dtype, torch.float32))
            structure, detail, channel = self.pool(features, self.scale, channel, generator)
        # The sampler takes shares only. Relative to its largest value, no power of the map under- or overflows.
        structure = structure / structure.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(structure.dtype).tiny)
        return PooledAttention(structure**self.structure_power, detail, channel)

    def sample(self, images: Float[Tensor, "b 3 height width"], attention: Float[Tensor, "b h w"]) -> Tensor:
        return attention_sample(images, attention, self.out_size, self.max_zoom, self.antialias)

    def classify(self, both: Float[Tensor, "both d"]) -> dict[str, Float[Tensor, "b k"]]:
        """The logits of the master, from the first half of these features, and of the part net."""
        return dict(zip(("master", "part"), self.classifier(both).chunk(2), strict=True))

    @torch.no_grad()
    def predict(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b k"]:
        """The master's logits on the structure image, in evaluation mode: no part net, nothing drawn at random."""
        modes = {module: module.training for module in self.modules()}
        self.eval()
        try:
            _, features = self.look(images)
            structure = self.attend(features, images.new_zeros(images.shape[0], dtype=torch.int64)).structure
            return self.classifier(self.backbone(self.sample(images, structure)))
        finally:
            for module, training in modes.items():
                module.training = training
