"""Networks of our own for 48×48 images on a laptop, and the normalisation at the start of each network."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from tasnlib.attention import AttentionNet


class Normalize(nn.Module):
    """(image - mean) / std, for each colour."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return (images - self.mean) / self.std


def _block(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


def small_trunk(channels: int = 32) -> tuple[nn.Module, int]:
    """A trunk for 48×48 images, with 12×12 cells. Returns it and its channels. A cell sees 7×7 pixels only: one that
    saw the whole bird would fire anywhere on it."""
    layers = [_block(3, 16, 3, stride=2), _block(16, 32, 3, stride=2), nn.Conv2d(32, channels, 1, bias=False)]
    return nn.Sequential(Normalize((0.45,) * 3, (0.2,) * 3), *layers), channels


class NormalizedAttentionNet(AttentionNet):
    """An attention network whose maps are made of the features after norm and ReLU: sparse, and all of one scale.

    The drawn birds at 48×48 px need both, and no dilations: in so small an image a wide receptive field smears the
    attention. norm_bias is the initial bias of the norm; below 0 most cells are 0."""

    def __init__(self, trunk: nn.Module, channels: int, classes: int, norm_bias: float = -1.0):
        super().__init__(trunk, channels, classes, dilations=())
        nn.init.constant_(self.norm.bias, norm_bias)

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b c h w"]]:
        features = F.relu(self.norm(self.multi_dilation(self.trunk(images))))  # (b, c, h, w)
        return self.classifier(features.mean(dim=(2, 3))), features


def small_backbone() -> tuple[nn.Module, int]:
    """A backbone of 0.1 million weights for 48×48 images. Returns it and its feature dimension."""
    layers = [_block(3, 24, 5, stride=2), _block(24, 48, 3), _block(48, 64, 3, stride=2), _block(64, 96, 3)]
    return nn.Sequential(Normalize((0.45,) * 3, (0.2,) * 3), *layers, nn.AdaptiveMaxPool2d(1), nn.Flatten()), 96
