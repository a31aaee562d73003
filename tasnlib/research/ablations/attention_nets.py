"""The paper's attention network and lighter ones at an eighth of their width, small enough to compare on a laptop.

Stages, strides and dilations are those of `build.build_attention_net`.
"""

from torch import nn
from torchvision.models.resnet import BasicBlock

from tasnlib.attention import AttentionNet
from tasnlib.networks.backbones import remove_strides
from tasnlib.networks.small import Normalize, NormalizedAttentionNet

NARROW_SIZE = 72  # of their input: too small for the stripes of a 144 px image, as 224 px are for those of 512 px
WIDTH = 8  # channels of the first stage; ResNet-18 has 64


def narrow_attention_net(stages: int, classes: int) -> AttentionNet:
    """ResNet-18's trunk at an eighth of its width: with all 4 stages the paper's attention network, else a light one.

    >>> import torch
    >>> [narrow_attention_net(stages, 16)(torch.rand(2, 3, 72, 72))[1].shape[1:] for stages in (4, 2)]
    [torch.Size([64, 9, 9]), torch.Size([16, 9, 9])]
    """
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
    if stages > 2:
        remove_strides(trunk[-1])  # the last stage
    if stages == 4:
        remove_strides(trunk[-3])  # and the second
    return AttentionNet(trunk, inside, classes) if stages == 4 else AttentionNet(trunk, inside, classes, ())


def normalized(net: AttentionNet) -> AttentionNet:
    """The same network with the features of its maps taken after norm and ReLU; a light one's start out sparse.

    >>> import torch
    >>> features = normalized(narrow_attention_net(2, 16))(torch.rand(2, 3, 72, 72))[1]
    >>> bool((features == 0).float().mean() > 0.7)
    True
    """
    norm_bias = 0.0 if len(net.multi_dilation) else -1.0
    after = NormalizedAttentionNet(net.trunk, net.channels, classes=1, norm_bias=norm_bias)
    after.multi_dilation, after.classifier = net.multi_dilation, net.classifier
    return after


def _block(inside: int, outside: int, stride: int = 1) -> nn.Module:
    shortcut = None
    if stride > 1:
        shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
    return BasicBlock(inside, outside, stride, shortcut)
