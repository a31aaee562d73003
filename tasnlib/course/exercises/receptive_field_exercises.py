"""Exercises of notebook 02 on receptive fields. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import Exercise, Mistake, whole


def multi_dilation(features, kernel, dilations):
    total = torch.zeros_like(features)
    for d in dilations:
        total = total + F.conv2d(features, kernel, padding=d, dilation=d).relu()
    return total


def _features_kernel_dilations(generator):
    b, c, size = whole(1, 3, generator), whole(2, 4, generator), whole(7, 9, generator)
    dilations = [(1, 2), (1, 2, 3), (1, 3)][whole(0, 2, generator)]
    return {
        "features": torch.randn(b, c, size, size + 1, generator=generator),
        "kernel": torch.randn(c, c, 3, 3, generator=generator),
        "dilations": dilations,
    }


def _one_after_another(features, kernel, dilations):
    for d in dilations:
        features = F.conv2d(features, kernel, padding=d, dilation=d).relu()
    return features


DILATION = Exercise(
    name="multi_dilation",
    solution=multi_dilation,
    inputs=_features_kernel_dilations,
    mistakes=[
        Mistake(
            "You applied the ReLU after the sum. It comes after each convolution, or the dilations cancel each other.",
            lambda features, kernel, dilations: sum(
                (F.conv2d(features, kernel, padding=d, dilation=d) for d in dilations), torch.zeros_like(features)
            ).relu(),
        ),
        Mistake(
            "You left out the ReLU. It comes after each convolution, before the sum.",
            lambda features, kernel, dilations: sum(
                F.conv2d(features, kernel, padding=d, dilation=d) for d in dilations
            ),
        ),
        Mistake(
            "You applied the dilations one after another. Apply each to the block's input, and sum the results.",
            _one_after_another,
        ),
        Mistake(
            "You applied the same plain convolution for every d. Pass dilation=d, and padding=d to keep the size.",
            lambda features, kernel, dilations: F.conv2d(features, kernel, padding=1).relu() * len(dilations),
        ),
    ],
    properties=[
        (
            "A sum of ReLUs is not negative.",
            lambda inputs, result: bool((result >= 0).all()),
        ),
    ],
    hint="Padding d keeps the size of a 3×3 convolution at dilation d; apply ReLU to each result, then add them.",
)


def receptive_field(layers):
    width, step = 1, 1  # pixels seen by one cell; pixels between neighbouring cells
    for kernel, stride, dilation in layers:
        width = width + (kernel - 1) * dilation * step
        step = step * stride
    return width


def _field(layers, dilate=True, stride=True, early=False, minus=1, start=1):
    width, step = start, 1
    for kernel, by, dilation in layers:
        step = step * by if early and stride else step
        width += (kernel - minus) * (dilation if dilate else 1) * step
        step = step * by if stride and not early else step
    return width


_WRONG_FIELDS: list[dict] = [{"stride": False}, {"dilate": False}, {"early": True}, {"minus": 0}, {"start": 0}]


def _layers(generator):
    while True:
        layers = [
            (1 + 2 * whole(1, 2, generator), whole(1, 2, generator), whole(1, 3, generator))
            for _ in range(whole(3, 5, generator))
        ]
        # Skip layers for which two mistakes, or a mistake and the solution, agree.
        widths = [_field(layers), *(_field(layers, **wrong) for wrong in _WRONG_FIELDS)]
        if len(set(widths)) == len(widths):
            return {"layers": layers}


FIELD = Exercise(
    name="receptive_field",
    solution=receptive_field,
    inputs=_layers,
    mistakes=[
        Mistake(
            "You left out the strides. After a stride of 2, neighbouring cells lie twice as many pixels apart.",
            lambda layers: _field(layers, stride=False),
        ),
        Mistake(
            "You left out the dilations. A kernel of 3 at dilation d spans 2·d steps, not 2.",
            lambda layers: _field(layers, dilate=False),
        ),
        Mistake(
            "You applied a layer's stride to its own kernel. It acts on the layers after it: widen first.",
            lambda layers: _field(layers, early=True),
        ),
        Mistake(
            "You started from 0. Before the first layer a cell sees one pixel: start from 1.",
            lambda layers: _field(layers, start=0),
        ),
    ],
    hint="Layer by layer: add (kernel - 1) · dilation · step to the width, then multiply the step by the stride.",
)

EXERCISES = [DILATION, FIELD]
