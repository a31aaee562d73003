"""The baselines: a plain classifier, to show what is possible without attention."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.transforms.v2.functional import center_crop

from tasnlib.model import downsample

VIEWS = ("downsampled", "downsampled_aliased", "crop", "full")


class PlainOutput(NamedTuple):
    """What `PlainClassifier` returns."""

    images: Float[Tensor, "b 3 n n"]  #: as the backbone sees them
    logits: dict[str, Float[Tensor, "b k"]]  #: by the name of the view


class PlainClassifier(nn.Module):
    """TASN's backbone and classifier on a plain view of the image, size × size pixels:

    - "downsampled": the whole of it, antialiased.
    - "downsampled_aliased": fine stripes come back as coarse false patterns, which can be learnt.
    - "crop": the middle of it, `crop` as wide and high, antialiased.
    - "full": the whole of it in full size, at the full price.

    >>> import torch
    >>> plain = PlainClassifier(nn.Flatten(), nn.Linear(3 * 8 * 8, 16), size=8)
    >>> plain(torch.rand(2, 3, 144, 144)).logits["downsampled"].shape
    torch.Size([2, 16])
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Module, size: int, view: str = "downsampled"):
        super().__init__()
        if view not in VIEWS:
            raise ValueError(f"view is {view!r}; it must be one of {', '.join(VIEWS)}")
        self.backbone, self.classifier, self.size, self.view, self.crop = backbone, classifier, size, view, 0.5

    def forward(self, images: Float[Tensor, "b 3 height width"]) -> PlainOutput:
        seen = images
        if self.view == "crop":
            seen = center_crop(images, [int(side * self.crop + 0.5) for side in images.shape[2:]])
        if self.view != "full":
            seen = downsample(seen, self.size, antialias=self.view != "downsampled_aliased")
        return PlainOutput(seen, {self.view: self.classifier(self.backbone(seen))})
