"""The convolutional networks inside TASN: ResNets at paper size, small ones for a laptop.

Every network takes images in [0, 1] and normalises them itself, so that an image can be shown, sampled and recognised
without anybody having to remember in which of its forms it is.
"""

from pathlib import Path
from urllib.error import URLError

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision import models

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """(image - mean) / std, for each colour.

    >>> Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))(torch.ones(1, 3, 1, 1)).flatten().tolist()
    [2.0, 2.0, 2.0]
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return (images - self.mean) / self.std


def _resnet(name: str, weights: models.WeightsEnum | str | Path | None) -> models.ResNet:
    """A torchvision ResNet with the named ImageNet weights, with those of a file, or with random ones."""
    if weights is None:
        return models.get_model(name, weights=None)
    if isinstance(weights, models.WeightsEnum):
        weights = weights.name
    available = [choice.name for choice in models.get_model_weights(name)]
    if str(weights) in ("DEFAULT", *available):
        try:
            return models.get_model(name, weights=str(weights))
        except (URLError, OSError, RuntimeError) as reason:  # RuntimeError: a download whose hash is wrong
            raise OSError(
                f"the {weights} weights of {name} could not be fetched ({reason}). Pass weights=None to start from "
                "random ones, or the path of a file (.pth or .safetensors) that you fetched elsewhere"
            ) from reason
    path = Path(weights)
    if not path.is_file():
        raise ValueError(
            f"weights is {str(weights)!r}, which is neither a file nor one of DEFAULT, {', '.join(available)}; "
            "it may also be None"
        )
    if path.suffix == ".safetensors":
        state = safetensors.torch.load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    network = models.get_model(name, weights=None)
    network.load_state_dict(state)  # names every tensor that is missing, left over or of another shape
    return network


def resnet_features(
    name: str = "resnet50", weights: models.WeightsEnum | str | Path | None = "DEFAULT"
) -> tuple[nn.Module, int]:
    """A torchvision ResNet as backbone: images (b, 3, h, w) to features (b, d). Returns it and d.

    Args:
        name: of a ResNet in torchvision: "resnet18", "resnet50", ...
        weights: one of torchvision's ImageNet weights, as enum or by name ("DEFAULT"), the path of a file, or None.

    Raises:
        ValueError: if weights name neither weights nor a file.
        OSError: if the weights cannot be fetched.

    >>> backbone, dimension = resnet_features("resnet18", weights=None)
    >>> dimension
    512
    """
    network = _resnet(name, weights)
    dimension = network.fc.in_features
    network.fc = nn.Identity()
    return nn.Sequential(Normalize(IMAGENET_MEAN, IMAGENET_STD), network), dimension


def resnet18_trunk(weights: models.WeightsEnum | str | Path | None = "DEFAULT") -> tuple[nn.Module, int]:
    """The trunk of the paper's attention network: ResNet-18 with the strides of its second and fourth stages set to 1,
    so that 224×224 ends as 28×28 instead of 7×7. Returns it and its 512 channels.

    Args and errors: see `resnet_features`.

    >>> trunk, channels = resnet18_trunk(weights=None)
    >>> trunk(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 512, 8, 8])
    """
    network = _resnet("resnet18", weights)
    for stage in (network.layer2, network.layer4):
        # The first block halves the size twice over: in its first convolution and in its shortcut.
        stage[0].conv1.stride = stage[0].downsample[0].stride = (1, 1)
    trunk = nn.Sequential(
        Normalize(IMAGENET_MEAN, IMAGENET_STD),
        *(network.conv1, network.bn1, network.relu, network.maxpool),
        *(network.layer1, network.layer2, network.layer3, network.layer4),
    )
    return trunk, 512


def _block(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


def small_trunk(channels: int = 32) -> tuple[nn.Module, int]:
    """A trunk for 48×48 images: to 12×12 cells, each of which sees 7 pixels. Returns it and its channels.

    Its receptive field stays small on purpose: a cell that saw the whole bird would fire anywhere on it.

    >>> trunk, channels = small_trunk()
    >>> trunk(torch.rand(1, 3, 48, 48)).shape
    torch.Size([1, 32, 12, 12])
    """
    layers = [_block(3, 16, 3, stride=2), _block(16, 32, 3, stride=2), nn.Conv2d(32, channels, 1, bias=False)]
    return nn.Sequential(Normalize((0.45,) * 3, (0.2,) * 3), *layers), channels


def small_backbone() -> tuple[nn.Module, int]:
    """A backbone of 0.1 million weights for 48×48 images. Returns it and its feature dimension.

    >>> backbone, dimension = small_backbone()
    >>> backbone(torch.rand(2, 3, 48, 48)).shape, sum(weight.numel() for weight in backbone.parameters())
    (torch.Size([2, 96]), 95576)
    """
    layers = [_block(3, 24, 5, stride=2), _block(24, 48, 3), _block(48, 64, 3, stride=2), _block(64, 96, 3)]
    pool = [nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    return nn.Sequential(Normalize((0.45,) * 3, (0.2,) * 3), *layers, *pool), 96
