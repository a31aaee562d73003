"""TASN: attention network, sampler and backbone joined, and the plain classifier it is compared with."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from tasnlib.arguments import LARGEST, above, check_argument, checked, finite, one_of, within
from tasnlib.attention import AttentionNet, PooledAttention, pooled_attention
from tasnlib.sampler import attention_sample


@checked
def downsample(images: Float[Tensor, "b c h w"], size: int, antialias: bool = True) -> Float[Tensor, "b c size size"]:
    """Plain resizing, bilinear. Without antialias, fine stripes come back as coarse false ones.

    >>> downsample(torch.rand(2, 3, 144, 144), 48).shape
    torch.Size([2, 3, 48, 48])
    """
    within(size, "size", 1, LARGEST)
    # A CPU has no antialiased resizing of half precision.
    in_float32 = antialias and images.device.type == "cpu" and images.dtype in (torch.bfloat16, torch.float16)
    seen = F.interpolate(
        images.float() if in_float32 else images,
        (size, size),
        mode="bilinear",
        align_corners=False,
        antialias=antialias,
    )
    return finite(seen.to(images.dtype), "images must be finite; what was read of them is not")


class TASNOutput(NamedTuple):
    """Everything `TASN.forward` made on its way, in its order."""

    structure: Float[Tensor, "b h w"]  #: attention map, mean over channels, raised to structure_power
    detail: Float[Tensor, "b h w"]  #: attention map of one channel
    channel: Int[Tensor, " b"]  #: which channel
    structure_images: Float[Tensor, "b 3 n n"]
    detail_images: Float[Tensor, "b 3 n n"]
    logits: dict[str, Float[Tensor, "b k"]]  #: of "attention", "master", "part"; own classifiers: also "master_own" ...


class TASN(nn.Module):
    """The Trilinear Attention Sampling Network, figure 1 of the paper.

    Args:
        attention_net: see `attention.AttentionNet`.
        backbone: images (b, 3, out_size, out_size) to features (b, d). One for both images: master and part net share
            their weights.
        classifier: features (b, d) to logits (b, k), shared as well.
        attention_size: side of the plainly downsampled image that the attention network sees.
        out_size: side of the structure and detail images.
        scale: s of the inner softmax; 7 in the authors' code, 1 in the paper.
        structure_power: the structure map is raised to it; 2 in the authors' code, 1 in the paper.
        max_zoom, antialias: of the sampler, see `sampler.attention_sample`.
        own_classifiers: two more classifiers, of the master and of the part net alone, as in the authors' code; the
            shared one still gives TASN's answer.
        distinct_channels: leave repeated maps out, see `attention.pooled_attention`.
        test_detail: the detail map when the model is not in training: "channel", one channel's, or "mean", that of all
            channels, as in the authors' code. It decides what the part net sees, not the master's answer.

    >>> from tasnlib.networks.backbones import small_backbone, small_trunk
    >>> backbone, features = small_backbone()
    >>> model = TASN(AttentionNet(*small_trunk(), 16, dilations=()), backbone, nn.Linear(features, 16), 48, 48)
    >>> output = model(torch.rand(2, 3, 144, 144))
    >>> output.structure_images.shape, output.logits["master"].shape
    (torch.Size([2, 3, 48, 48]), torch.Size([2, 16]))
    >>> model.eval().predict(torch.rand(2, 3, 144, 144)).shape
    torch.Size([2, 16])
    """

    @checked
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
        own_classifiers: tuple[nn.Module, nn.Module] | None = None,
        distinct_channels: bool = False,
        test_detail: str = "channel",
    ):
        super().__init__()
        one_of(test_detail, "test_detail", ("channel", "mean"))
        for name, side in (("attention_size", attention_size), ("out_size", out_size)):
            within(side, name, 1, LARGEST)
        above(scale, "scale", 0)
        above(structure_power, "structure_power", 0)
        within(max_zoom, "max_zoom", 1)
        self.attention_net, self.backbone, self.classifier = attention_net, backbone, classifier
        self.own_classifiers = nn.ModuleList(own_classifiers) if own_classifiers else None
        self.distinct_channels, self.test_detail = distinct_channels, test_detail
        self.attention_size, self.out_size = attention_size, out_size
        self.scale, self.structure_power = scale, structure_power
        self.max_zoom, self.antialias = max_zoom, antialias

    @checked
    def forward(
        self,
        images: Float[Tensor, "b 3 height width"],
        channel: Int[Tensor, " b"] | None = None,
        generator: torch.Generator | None = None,
    ) -> TASNOutput:
        """Images in [0, 1] to the three answers. `channel` and `generator`: see `attention.pooled_attention`."""
        # Where do the details lie? The attention network looks at a plainly downsampled image.
        attention_logits, features = self.attention_net(downsample(images, self.attention_size))  # (b, c, h, w)
        structure, detail, channel = self.attend(features, channel, generator)  # (b, h, w) each

        # Zoom into them: all of the details at once, and one of them.
        structure_images = self.sample(images, structure)  # (b, 3, n, n)
        detail_images = self.sample(images, detail)  # (b, 3, n, n)

        # Recognise both in one batch of 2b: the same backbone and classifier are the master and the part net.
        both = _features(self, torch.cat([structure_images, detail_images]))  # (2b, d)
        master_logits, part_logits = self.classifier(both).chunk(2)  # (b, k) each

        logits = {"master": master_logits, "part": part_logits, "attention": attention_logits}
        if self.own_classifiers:
            for name, classifier, own in zip(("master", "part"), self.own_classifiers, both.chunk(2), strict=True):
                logits[f"{name}_own"] = classifier(own)
        return TASNOutput(structure, detail, channel, structure_images, detail_images, logits)

    def attend(
        self,
        features: Float[Tensor, "b c h w"],
        channel: Int[Tensor, " b"] | None = None,
        generator: torch.Generator | None = None,
    ) -> PooledAttention:
        """The structure and detail maps of these features, as they are given to the sampler."""
        structure, detail, channel = pooled_attention(
            features, self.scale, channel, generator, distinct=self.distinct_channels
        )
        if self.test_detail == "mean" and not self.training:
            detail = pooled_attention(features, self.scale, channel).structure
        return PooledAttention(_raised(structure, self.structure_power), detail, channel)

    @torch.no_grad()
    @checked
    def predict(self, images: Float[Tensor, "b 3 height width"]) -> Float[Tensor, "b k"]:
        """The master's logits on the structure image: TASN's answer, without the cost of the part net."""
        _, features = self.attention_net(downsample(images, self.attention_size))
        return self.classifier(_features(self, self.sample(images, self.attend(features).structure)))

    def sample(self, images: Float[Tensor, "b 3 height width"], attention: Float[Tensor, "b h w"]) -> Tensor:
        return attention_sample(images, attention, self.out_size, self.max_zoom, self.antialias)


def _raised(structure: Float[Tensor, "b h w"], power: float) -> Float[Tensor, "b h w"]:
    """The maps to a power. One whose largest value would leave the numbers there are, is divided by that value first:
    the sampler asks for shares only. No other map is changed in any bit, and nothing waits for a GPU."""
    largest = structure.abs().amax(dim=(1, 2), keepdim=True)  # (b, 1, 1)
    raised = largest**power
    kept = (raised >= torch.finfo(raised.dtype).tiny) & raised.isfinite() | (largest == 0)
    # Not (structure / 1) ** power for the kept: it lies otherwise in memory, and some powers then round otherwise.
    return torch.where(kept, structure**power, (structure / largest) ** power)


class PlainOutput(NamedTuple):
    """What the plain classifier saw and answered."""

    images: Float[Tensor, "b 3 n n"]
    logits: dict[str, Float[Tensor, "b k"]]  #: of "downsampled" or "downsampled_aliased"


class PlainClassifier(nn.Module):
    """The control: the same backbone on the plainly downsampled image.

    Without antialias the stripes that downsampling should erase come back as coarse false patterns, which can be
    learnt. The sampler reads without antialias too, so this control must stand beside every claim about it.

    >>> from tasnlib.networks.backbones import small_backbone
    >>> backbone, features = small_backbone()
    >>> list(PlainClassifier(backbone, nn.Linear(features, 16), 48)(torch.rand(2, 3, 144, 144)).logits)
    ['downsampled']
    """

    @checked
    def __init__(self, backbone: nn.Module, classifier: nn.Module, size: int, antialias: bool = True):
        super().__init__()
        within(size, "size", 1, LARGEST)
        self.backbone, self.classifier, self.size, self.antialias = backbone, classifier, size, antialias

    @checked
    def forward(self, images: Float[Tensor, "b 3 height width"]) -> PlainOutput:
        seen = downsample(images, self.size, self.antialias)
        name = "downsampled" if self.antialias else "downsampled_aliased"
        return PlainOutput(seen, {name: self.classifier(_features(self, seen))})


def _features(model: TASN | PlainClassifier, images: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b d"]:
    """What the backbone gives, refused where the classifiers cannot take it."""
    found = model.backbone(images)
    if not torch.compiler.is_compiling():
        own = getattr(model, "own_classifiers", None) or ()
        for name, classifier in (("classifier", model.classifier), *(("own_classifiers", one) for one in own)):
            wanted = {"d": (classifier.in_features, name)} if isinstance(classifier, nn.Linear) else {}
            check_argument(found, "what backbone gives", Float[Tensor, "b d"], wanted)
    return found
