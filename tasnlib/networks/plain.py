"""The baseline: a plain classifier of downsampled images."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from tasnlib.model import downsample


class PlainOutput(NamedTuple):
    images: Float[Tensor, "b 3 n n"]  #: downsampled
    logits: dict[str, Float[Tensor, "b k"]]  #: of "downsampled" or "downsampled_aliased"


class PlainClassifier(nn.Module):
    """TASN's backbone and classifier on the downsampled image.

    Without antialias the stripes that downsampling should erase come back as coarse false patterns, which can be
    learnt. The sampler reads without antialias too, so the aliased baseline belongs beside every claim about it.

    >>> import torch
    >>> plain = PlainClassifier(nn.Flatten(), nn.Linear(3 * 8 * 8, 16), size=8)
    >>> plain(torch.rand(2, 3, 144, 144)).logits["downsampled"].shape
    torch.Size([2, 16])
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Module, size: int, antialias: bool = True):
        super().__init__()
        self.backbone, self.classifier, self.size, self.antialias = backbone, classifier, size, antialias

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> PlainOutput:
        seen = downsample(images, self.size, self.antialias)
        name = "downsampled" if self.antialias else "downsampled_aliased"
        return PlainOutput(seen, {name: self.classifier(self.backbone(seen))})
