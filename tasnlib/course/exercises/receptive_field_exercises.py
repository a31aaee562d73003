"""Exercises of notebook 02 on receptive fields. Solutions are written as a student would write them."""

from functools import reduce

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import Exercise
from tasnlib.course.exercises.random_inputs import whole


def multi_dilation(features, kernel, dilations):
    total = torch.zeros_like(features)
    for d in dilations:
        total = total + F.conv2d(features, kernel, padding=d, dilation=d).relu()
    return total


def _features_kernel_dilations(generator, turn):
    """Also a single dilation, one that occurs twice, a list, and maps smaller than the dilated kernel."""
    b, c, h = whole(1, 3, generator), whole(2, 4, generator), whole(4, 8, generator)
    return {
        "features": torch.randn(b, c, h, h + whole(1, 2, generator), generator=generator),
        "kernel": torch.randn(c, c, 3, 3, generator=generator),
        "dilations": ((1, 2), (1, 2, 3), (3, 1), (2,), (2, 2), [1, 2, 3])[turn % 6],
    }


def _convolved(features, kernel, d):
    return F.conv2d(features, kernel, padding=d, dilation=d)


DILATION = Exercise(
    multi_dilation,
    _features_kernel_dilations,
    mistakes={
        "You applied the ReLU after the sum. It comes after each convolution, or the dilations cancel each other.": (
            lambda features, kernel, dilations: sum(_convolved(features, kernel, d) for d in dilations).relu()
        ),
        "You left out the ReLU after each convolution.": lambda x, k, ds: sum(_convolved(x, k, d) for d in ds),
        "You applied the dilations one after another. Apply each to the block's input, and sum the results.": (
            lambda x, kernel, dilations: reduce(lambda x, d: _convolved(x, kernel, d).relu(), dilations, x)
        ),
        "You applied the same plain convolution for every d. Pass dilation=d, and padding=d to keep the size.": (
            lambda features, kernel, dilations: _convolved(features, kernel, 1).relu() * len(dilations)
        ),
    },
    properties={"A sum of ReLUs is not negative.": lambda inputs, result: bool((result >= 0).all())},
    gradients={
        "features": "The layers before it learn through this block: let the gradient pass to the features.",
        "kernel": "The kernel is learnt: let the gradient pass to it from every dilation.",
    },
    hint="Padding d keeps the size of a 3×3 convolution at dilation d; apply ReLU to each result, then add them.",
)


def receptive_field(layers):
    width, step = 1, 1  # pixels seen by one cell; pixels between neighbouring cells
    for kernel, stride, dilation in layers:
        width = width + (kernel - 1) * dilation * step
        step = step * stride
    return width


def _resnet18(strides):
    first = [(7, 2, 1), (3, 2, 1)]
    return first + [(3, stride if number == 0 else 1, 1) for stride in strides for number in range(4)]


def _layers(generator, turn):
    """The two ResNet-18s, no layer, one layer, a kernel of 1, an even kernel, a stride of 3; and random ones."""
    special = [_resnet18((1, 2, 2, 2)), _resnet18((1, 1, 2, 1)), [], [(5, 2, 3)], [(1, 3, 2), (4, 1, 1), (3, 3, 2)]]
    if turn % 2:
        return {"layers": special[turn // 2 % len(special)]}
    layers = [(whole(2, 5, generator), whole(1, 3, generator), whole(1, 3, generator)) for _ in range(4)]
    return {"layers": [(3, 2, 2), *layers]}


FIELD = Exercise(
    receptive_field,
    _layers,
    mistakes={
        "You left out the strides. After a stride of 2, neighbouring cells lie twice as many pixels apart.": (
            lambda layers: receptive_field([(kernel, 1, dilation) for kernel, _, dilation in layers])
        ),
        "You left out the dilations. A kernel of 3 at dilation d spans 2·d steps, not 2.": (
            lambda layers: receptive_field([(kernel, stride, 1) for kernel, stride, _ in layers])
        ),
        "You applied a layer's stride to its own kernel. It acts on the layers after it: widen first.": (
            lambda layers: receptive_field([(kernel, stride, dilation * stride) for kernel, stride, dilation in layers])
        ),
        "You started from 0. Before any layer a cell sees one pixel: start from 1.": lambda x: receptive_field(x) - 1,
    },
    hint="Layer by layer: add (kernel - 1) · dilation · step to the width, then multiply the step by the stride.",
)

EXERCISES = [DILATION, FIELD]
