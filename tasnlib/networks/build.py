"""From names and numbers to networks: TASN, and the baselines that it is compared with."""

from collections.abc import Callable
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass
from torch import nn

from tasnlib.attention import AttentionNet
from tasnlib.model import TASN
from tasnlib.networks.backbones import attention_trunk, classifier_backbone
from tasnlib.networks.official import OfficialTASN
from tasnlib.networks.plain import VIEWS, PlainClassifier
from tasnlib.networks.pretrained import published_weights, weights_file
from tasnlib.networks.small import NormalizedAttentionNet, small_trunk

NAMES = ("tasn", *VIEWS)

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
Count = Annotated[int, Field(ge=1, lt=2**31)]
Name = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Architecture:
    """The parameters of the networks; `training.recipes.Recipe` adds those of their training.

    Raises pydantic's ValueError for a wrong type, a value out of range, or values that contradict each other.

    >>> Architecture(image_size=144, attention_size=48, out_size=48, attention_trunk="small", backbone="small").max_zoom
    4.0
    """

    # Sides in pixels: of the images, of what the attention network sees, and of what master and part net see.
    image_size: Count
    attention_size: Count
    out_size: Count

    # Networks by name, see `backbones`: "small", one of torchvision's, or "timm/NAME".
    attention_trunk: Name
    backbone: Name
    attention_stages: Annotated[int, Field(ge=2, le=4)] = 4  # of the trunk, see `build_attention_net`
    attention_stride: Literal[8, 16, 32] = 8  # of the trunk: pixels from cell to cell
    weights: Name | None = None  # a name of ImageNet weights, a folder of files, None for random ones

    # Attention and sampler, see `model.TASN`.
    scale: Positive = 7.0
    structure_power: Positive = 2.0
    max_zoom: Annotated[float, Field(ge=1)] = 4.0
    antialias: bool = False

    official_extras: bool = False  # what only the authors' code does, see `official.OfficialTASN`

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest(cls, given: Any) -> Any:
        known = [field.name for field in fields(cls)]
        for name in set(given.kwargs or ()) - set(known):
            near = ", ".join(get_close_matches(name, known)) or "none"
            raise ValueError(f"{cls.__name__} has no {name!r}; nearest: {near}")
        return given

    @model_validator(mode="after")
    def _fit_together(self) -> "Architecture":
        if self.attention_stages < 4 and self.attention_trunk == "small":
            raise ValueError(f"attention_stages is {self.attention_stages}; it must be 4 for 'small', which has none")
        return self


def build_tasn(architecture: Architecture, classes: int) -> TASN:
    """TASN with these networks, from their pretrained weights. For errors see `backbones.classifier_backbone`."""
    attention_net = build_attention_net(architecture, classes)
    backbone, dimension = _backbone(architecture)
    shared, *own = (nn.Linear(dimension, classes) for _ in range(3 if architecture.official_extras else 1))
    networks = attention_net, backbone, shared
    names = ("attention_size", "out_size", "scale", "structure_power", "max_zoom", "antialias")
    numbers = {name: getattr(architecture, name) for name in names}
    return OfficialTASN(*networks, own_classifiers=tuple(own), **numbers) if own else TASN(*networks, **numbers)


def build_attention_net(architecture: Architecture, classes: int) -> AttentionNet:
    """The attention network: the paper's, one with fewer stages, or the small one for 48×48 images.

    Fewer stages keep the receptive field small, so they are not dilated either. ResNet-18 on 224×224 px: two take 1.0
    billion multiply-adds, three 2.6, all four and two multi-dilation blocks 19.7."""
    name, stages = architecture.attention_trunk, architecture.attention_stages
    if name == "small":
        return NormalizedAttentionNet(*small_trunk(), classes)
    options = architecture.attention_stride, stages, architecture.attention_size
    trunk, channels = attention_trunk(name, architecture.weights, *options)
    return AttentionNet(trunk, channels, classes) if stages == 4 else AttentionNet(trunk, channels, classes, ())


def build_plain(architecture: Architecture, classes: int, view: str) -> PlainClassifier:
    """A baseline: the same backbone on one of `plain.VIEWS`."""
    if view == "full":
        architecture = replace(architecture, out_size=architecture.image_size)
    backbone, dimension = _backbone(architecture)
    return PlainClassifier(backbone, nn.Linear(dimension, classes), architecture.out_size, view)


def build_model(kind: str, architecture: Architecture, classes: int) -> TASN | PlainClassifier:
    """TASN, "tasn", or a baseline by the name of its view; raises ValueError for another kind, or without classes."""
    if kind not in NAMES or classes < 1:
        raise ValueError(f"kind is {kind!r} and classes {classes}; must be one of {', '.join(NAMES)}, and 1 or more")
    if kind == "tasn":
        return build_tasn(architecture, classes)
    return build_plain(architecture, classes, kind)


def check_networks(architecture: Architecture) -> None:
    """Try each network on an image of its size, with the weights in its file, without a download; raises ValueError."""
    trunk: Callable[[Architecture], Any] = partial(build_attention_net, classes=1)
    for name, build in ((architecture.attention_trunk, trunk), (architecture.backbone, _backbone)):
        if name != "small":
            file = weights_file(architecture.weights, name, published_weights(name))
            build(replace(architecture, weights=str(file) if file else None))


def _backbone(architecture: Architecture) -> tuple[nn.Module, int]:
    weights = None if architecture.backbone == "small" else architecture.weights
    return classifier_backbone(architecture.backbone, weights, architecture.out_size)
