"""The paper's attention network and the light one at an eighth of their width, small enough to compare on a laptop.

Stages, strides and dilations are those of `build.build_attention_net`.
"""

from torch import nn
from torchvision.models.resnet import BasicBlock

from tasnlib.attention import AttentionNet
from tasnlib.networks.backbones import remove_strides
from tasnlib.networks.small import Normalize

NARROW_SIZE = 72  # of their input: too small for the stripes of a 144 px image, as 224 px are for those of 512 px
WIDTH = 8  # channels of the first stage; ResNet-18 has 64


def narrow_attention_net(light: bool, classes: int) -> AttentionNet:
    """ResNet-18's trunk at an eighth of its width, as the paper's attention network has it, or as the light one.

    >>> import torch
    >>> for light in (False, True):
    ...     print(tuple(narrow_attention_net(light, 16)(torch.rand(2, 3, 72, 72))[1].shape))
    (2, 64, 9, 9)
    (2, 16, 9, 9)
    """
    stages = 2 if light else 4
    layers: list[nn.Module] = [
        Normalize((0.45,) * 3, (0.2,) * 3),
        nn.Conv2d(3, WIDTH, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    inside = WIDTH
    for stage in range(stages):
        outside = WIDTH * 2**stage
        layers.append(nn.Sequential(_block(inside, outside, stride=2 if stage else 1), _block(outside, outside)))
        inside = outside
    trunk = nn.Sequential(*layers)
    if light:
        return AttentionNet(trunk, inside, classes, dilations=(), norm_bias=-1.0)
    remove_strides(trunk[-1])  # the fourth stage
    remove_strides(trunk[-3])  # the second
    return AttentionNet(trunk, inside, classes)


def _block(inside: int, outside: int, stride: int = 1) -> nn.Module:
    shortcut = None
    if stride > 1:
        shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
    return BasicBlock(inside, outside, stride, shortcut)
