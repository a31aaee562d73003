"""Two networks of this project's own, for images of 48×48 on a laptop."""

from torch import nn

from tasnlib.arguments import LARGEST, checked, within
from tasnlib.networks.pretrained import Normalize


def _block(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))


@checked
def small_trunk(channels: int = 32) -> tuple[nn.Module, int]:
    """A trunk for 48×48 images: to 12×12 cells, each of which sees 7 pixels. Returns it and its channels.

    Its receptive field stays small on purpose: a cell that saw the whole bird would fire anywhere on it.

    >>> import torch
    >>> trunk, channels = small_trunk()
    >>> trunk(torch.rand(1, 3, 48, 48)).shape
    torch.Size([1, 32, 12, 12])
    """
    within(channels, "channels", 1, LARGEST)
    layers = [_block(3, 16, 3, stride=2), _block(16, 32, 3, stride=2), nn.Conv2d(32, channels, 1, bias=False)]
    return nn.Sequential(Normalize((0.45,) * 3, (0.2,) * 3), *layers), channels


def small_backbone() -> tuple[nn.Module, int]:
    """A backbone of 0.1 million weights for 48×48 images. Returns it and its feature dimension.

    >>> import torch
    >>> backbone, dimension = small_backbone()
    >>> backbone(torch.rand(2, 3, 48, 48)).shape, sum(weight.numel() for weight in backbone.parameters())
    (torch.Size([2, 96]), 95576)
    """
    layers = [_block(3, 24, 5, stride=2), _block(24, 48, 3), _block(48, 64, 3, stride=2), _block(64, 96, 3)]
    pool = [nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    return nn.Sequential(Normalize((0.45,) * 3, (0.2,) * 3), *layers, *pool), 96
