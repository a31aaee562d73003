"""The networks inside TASN, by name: the backbone, which classifies, and the trunk of the attention network.

Each takes images in [0, 1] and normalises them itself.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from tasnlib.networks.pretrained import TIMM, headless_network
from tasnlib.networks.small import small_backbone


def classifier_backbone(name: str, weights: str | Path | None = "DEFAULT", size: int = 224) -> tuple[nn.Module, int]:
    """A network without its classifier: images (b, 3, size, size) to features (b, d). Returns it and d.

    `name` is "small", a classification network of torchvision ("resnet50"), or timm's, as "timm/NAME[.TAG]". `weights`
    are "DEFAULT", or another name of published ones ("IMAGENET1K_V1"); a .pth or .safetensors file of
    `network.state_dict()`, or a folder with one file per network; None for random ones.

    Raises ValueError for an unknown network, weights that do not fit, or a size that the network does not take; OSError
    if the weights cannot be fetched.

    >>> classifier_backbone("mobilenet_v3_small", weights=None, size=64)[0](torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 1024])
    """
    if name == "small":
        if weights is not None:
            raise ValueError(f"weights is {str(weights)!r}; 'small' has no published weights: it must be None")
        return small_backbone()
    normalize, network, native_size = headless_network(name, weights)
    backbone = nn.Sequential(normalize, network)
    try:
        if hasattr(network, "set_input_size"):
            network.set_input_size(img_size=(size, size))
        (dimension,) = _output_shape(backbone, size)
    except Exception as reason:
        problem = f"{name} gives no feature vector for an image of {size}×{size} px ({reason}). Its own size is"
        raise ValueError(f"{problem} {native_size}; 'resnet50' and 'timm/convnext_tiny' take any") from reason
    return backbone, dimension


def attention_trunk(
    name: str, weights: str | Path | None = "DEFAULT", output_stride: int = 8, stages: int = 4, size: int = 224
) -> tuple[nn.Module, int]:
    """A network's stages as a trunk: images (b, 3, size, size) to features (b, c, size / output_stride, ...), and c.

    In a torchvision ResNet, strides are set to 1 as the authors do, and nothing is dilated in exchange: "resnet18" is
    the paper's trunk, 224×224 px to 28×28×512. timm's networks, its ResNets too, are dilated where they lose a stride.

    The network is a ResNet of torchvision, or one of timm that takes `features_only` and `output_stride`. `stages`: how
    many of four. For the rest, and errors, see `classifier_backbone`.

    >>> attention_trunk("resnet18", weights=None)[0](torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 512, 8, 8])
    """
    try:
        trunk = (_timm_trunk if name.startswith(TIMM) else _resnet_trunk)(name, weights, output_stride, stages)
        channels, *cells = _output_shape(trunk, size)
        if not set(cells) <= {size // output_stride, -(-size // output_stride)}:
            raise RuntimeError(f"{cells} cells for an image of {size}×{size} px")
    except (ArithmeticError, AssertionError, AttributeError, IndexError, RuntimeError, TypeError) as reason:
        problem = f"{name} gives no attention trunk with output_stride {output_stride} ({reason})"
        raise ValueError(f"{problem}; choose a ResNet of torchvision ('resnet18'), or 'timm/convnext_tiny'") from reason
    return trunk, channels


def remove_strides(stage: nn.Module) -> None:
    """Set all strides in a stage to 1, in place, also in the shortcut."""
    for layer in stage.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)


def _resnet_trunk(name: str, weights: str | Path | None, output_stride: int, stages: int) -> nn.Module:
    normalize, network, _ = headless_network(name, weights)
    if not isinstance(network, models.ResNet):
        raise TypeError("of torchvision's networks, only ResNets do")
    kept: list[nn.Module] = [getattr(network, f"layer{number}") for number in range(1, stages + 1)]
    stride = 2 ** (stages + 1)
    for number in (stages, stages - 2, stages - 1):  # so that the remaining strides are spread out
        if number > 1 and stride > output_stride:
            remove_strides(kept[number - 1])
            stride //= 2
    return nn.Sequential(normalize, network.conv1, network.bn1, network.relu, network.maxpool, *kept)


def _timm_trunk(name: str, weights: str | Path | None, output_stride: int, stages: int) -> nn.Module:
    options: dict[str, Any] = {"features_only": True, "out_indices": (stages - 5,), "output_stride": output_stride}
    try:  # leaves out later stages, which an EfficientNet would otherwise compute for nothing
        normalize, network, _ = headless_network(name, weights, feature_cls="getter", **options)
    except TypeError:  # MobileNetV3 does not take all of these together
        normalize, network, _ = headless_network(name, weights, **options)
    return nn.Sequential(normalize, network, _Only())


class _Only(nn.Module):
    """The only feature map in the list that timm returns."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        return maps[0]


def _output_shape(network: nn.Module, size: int) -> tuple[int, ...]:
    """The shape of a new network's output for one image of size×size px, without the batch dimension."""
    with torch.no_grad():
        output = network.eval()(torch.zeros(1, 3, size, size))
    network.train()
    return tuple(output.shape[1:])
