"""Sizes and receptive fields of notebook 02's networks, by arithmetic."""

import torch
from torch import nn
from torchvision.models import resnet18

from tests.course.numbers import by_hand


def resnet():
    """Its layers on the way through, without the side branches: kernel and stride of each, and all with weights."""
    with torch.device("meta"):
        network = resnet18(weights=None)
    main = [layer for name, layer in network.named_modules() if "downsample" not in name]
    weighted = [layer for layer in main if isinstance(layer, nn.Conv2d | nn.Linear)]
    strides = [
        layer.stride if isinstance(layer.stride, int) else layer.stride[0]
        for layer in main
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d)
    ]
    return len(weighted), strides.count(2)


def cells_read():
    """By a kernel at dilations 1 and 2 and one at 1, 2 and 3: width, width, the square, and how many of it."""

    def reached(dilations):
        return {(i * d, j * d) for d in dilations for i in (-1, 0, 1) for j in (-1, 0, 1)}

    both = {(a + c, b + d) for a, b in reached((1, 2)) for c, d in reached((1, 2, 3))}
    width = max(a for a, _ in both) - min(a for a, _ in both) + 1
    return len(both), width, width, width**2


def small_field():
    """Pixels, along a side, that one cell of the small attention network sees."""
    sees, apart = 1, 1
    for layer in by_hand.tasn().attention_net.modules():
        if isinstance(layer, nn.Conv2d):
            sees, apart = sees + (layer.kernel_size[0] - 1) * apart, apart * layer.stride[0]
    return sees, by_hand.SMALL, sees * by_hand.SIZE // by_hand.SMALL, by_hand.SIZE
