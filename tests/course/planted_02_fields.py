"""Answers to the exercises of notebook 02 on receptive fields, right and wrong; see planted_01."""

import torch
from torch.nn import functional as F


def block_by_modules(maps, weights, rates):
    total = 0
    for rate in rates:
        layer = torch.nn.Conv2d(*weights.shape[:2], 3, padding=rate, dilation=rate, bias=False)
        total = total + torch.relu(torch.func.functional_call(layer, {"weight": weights}, (maps,)))
    return total


def block_by_unfold(features, kernel, dilations):
    b, c, h, w = features.shape
    parts = []
    for d in dilations:
        patches = F.unfold(features, 3, dilation=d, padding=d)
        parts.append((kernel.flatten(1) @ patches).view(b, c, h, w).clamp(min=0))
    return torch.stack(parts).sum(0)


def convolved(x, k, d):
    return F.conv2d(x, k, padding=d, dilation=d)


def emptied(features, kernel, dilations):
    rest, total = list(dilations) if isinstance(dilations, tuple) else dilations, torch.zeros_like(features)
    while rest:
        total = total + convolved(features, kernel, rest.pop()).relu()
    return total


def in_numbers(features, kernel, dilations):
    total = torch.zeros_like(features)
    for d in dilations:
        total += torch.tensor(convolved(features, kernel, d).relu().tolist())
    return total


def without_record(features, kernel, dilations):
    with torch.no_grad():
        return sum(convolved(features, kernel, d).relu() for d in dilations)


def backwards(layers):
    width = 1
    for kernel, stride, dilation in reversed(layers):
        width = (width - 1) * stride + (kernel - 1) * dilation + 1
    return width


def by_recursion(layers):
    if not layers:
        return 1
    (kernel, stride, dilation), *rest = layers
    return (by_recursion(rest) - 1) * stride + (kernel - 1) * dilation + 1


def by_tensors(network):
    if not network:
        return torch.tensor(1)
    kernels, strides, dilations = torch.tensor(network).unbind(1)
    steps = torch.cat([torch.ones(1, dtype=torch.long), strides.cumprod(0)[:-1]])
    return 1 + ((kernels - 1) * dilations * steps).sum()


def popping(layers):
    width, step = 1, 1
    while layers:
        kernel, stride, dilation = layers.pop(0)
        width, step = width + (kernel - 1) * dilation * step, step * stride
    return width


def field(grow, start=1):
    """Widths added up layer by layer; `grow` is told kernel, stride, dilation and the step so far."""

    def answer(layers):
        width, step = start, 1
        for kernel, stride, dilation in layers:
            width += grow(kernel, stride, dilation, step)
            step *= stride
        return width

    return answer


def right_field(layers):
    return field(lambda k, s, d, step: (k - 1) * d * step)(layers)


RIGHT = {
    "multi_dilation": [
        block_by_modules,
        block_by_unfold,
        lambda features, kernel, dilations: sum(F.relu(F.conv2d(features, kernel, None, 1, d, d)) for d in dilations),
        lambda x, k, rates: torch.stack([convolved(x, k, d).relu() for d in rates]).sum(0),
    ],
    "receptive_field": [backwards, by_recursion, by_tensors],
}

WRONG = {
    "multi_dilation": [
        ("", emptied),
        ("", in_numbers),
        ("", without_record),
        ("", lambda x, k, ds: sum(convolved(x.detach(), k, d).relu() for d in ds)),
        ("", lambda x, k, ds: sum(convolved(x, k.detach(), d).relu() for d in ds[1:]) + convolved(x, k, ds[0]).relu()),
        ("ReLU after the sum", lambda x, k, ds: torch.stack([convolved(x, k, d) for d in ds]).sum(0).relu()),
        ("left out the ReLU", lambda x, k, ds: torch.stack([convolved(x, k, d) for d in ds]).sum(0)),
        ("", lambda x, k, ds: torch.stack([convolved(x, k, d).relu() for d in ds]).mean(0)),
        ("", lambda x, k, ds: sum(convolved(x, k, d).relu() for d in set(ds))),
        ("", lambda x, k, ds: sum(convolved(x, k, d).relu() for d in range(1, len(ds) + 1))),
        ("", lambda x, k, ds: sum(F.conv2d(x, k, dilation=d).relu() for d in ds)),
        ("", lambda x, k, ds: sum(convolved(x, k.mT, d).relu() for d in ds)),
        ("", lambda x, k, ds: sum(convolved(x, k.transpose(0, 1), d).relu() for d in ds)),
        ("same plain convolution", lambda x, k, ds: sum(F.conv2d(x, k, padding=1).relu() for _ in ds)),
        ("", lambda x, k, ds: x + sum(convolved(x, k, d).relu() for d in ds)),
        ("", lambda x, k, ds: sum(convolved(x, k, d).relu() for d in ds).relu() + convolved(x, k, 1).relu() * 0.1),
        ("", lambda x, k, ds: sum(F.leaky_relu(convolved(x, k, d)) for d in ds)),
    ],
    "receptive_field": [
        ("", popping),
        ("", lambda layers: min(right_field(layers), 224)),
        ("left out the strides", field(lambda k, s, d, step: (k - 1) * d)),
        ("left out the dilations", field(lambda k, s, d, step: (k - 1) * step)),
        ("stride to its own kernel", field(lambda k, s, d, step: (k - 1) * d * step * s)),
        ("started from 0", field(lambda k, s, d, step: (k - 1) * d * step, start=0)),
        ("", field(lambda k, s, d, step: k * d * step)),
        ("", field(lambda k, s, d, step: (k // 2) * 2 * d * step)),
        ("", field(lambda k, s, d, step: 2 * d * step)),
        ("", lambda layers: right_field(layers[::-1])),
        ("", lambda layers: right_field(layers) if layers else 0),
        ("", lambda layers: right_field(layers[:-1])),
        ("", field(lambda k, s, d, step: ((k - 1) * d + 1) * step)),
    ],
}
