"""Exercises of notebook 02. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.exercises.checking import Exercise, Mistake


def _whole(generator: torch.Generator, low: int, high: int) -> int:
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def _features(generator: torch.Generator, batch: int = 2) -> torch.Tensor:
    """Sparse, as after a ReLU; with more channels than images and all four sizes different."""
    b, c = _whole(generator, batch, 3), _whole(generator, 4, 6)
    h = _whole(generator, 2, 3)
    return 2 * torch.rand(b, c, h, 7, generator=generator) * (torch.rand(b, c, h, 7, generator=generator) > 0.4)


# --------------------------------------------------------------------------------------------------------------------


def maps_from_relation(relation, features):
    maps = relation @ features.flatten(2)  # (b, c, c) times (b, c, hw) gives (b, c, hw)
    return maps.view_as(features)  # (b, c, h, w)


def _relation_and_features(generator):
    features = _features(generator)
    b, c = features.shape[:2]
    return {"relation": (3 * torch.rand(b, c, c, generator=generator)).softmax(-1), "features": features}


MAPS = Exercise(
    name="maps_from_relation",
    solution=maps_from_relation,
    inputs=_relation_and_features,
    mistakes=[
        Mistake(
            "You used the columns of the relation. The weights of channel i's map are row i: drop the transpose.",
            lambda relation, features: (relation.mT @ features.flatten(2)).view_as(features),
        ),
        Mistake(
            "The numbers are right, but the places are still in one line. Give them back their height and width.",
            lambda relation, features: relation @ features.flatten(2),
        ),
        Mistake(
            "You divided by the number of channels. The weights of a row sum to 1 already: the sum is the mean.",
            lambda relation, features: (relation @ features.flatten(2)).view_as(features) / features.shape[1],
        ),
        Mistake(
            "You took only each channel's weight for itself. Sum over all channels j, not only j = i.",
            lambda relation, features: relation.diagonal(dim1=1, dim2=2)[..., None, None] * features,
        ),
    ],
    properties=[
        (
            "A mean lies between the smallest and the largest of what it averages, at every place.",
            lambda inputs, answer: bool(
                (answer <= inputs["features"].amax(1, keepdim=True) + 1e-4).all()
                and (answer >= inputs["features"].amin(1, keepdim=True) - 1e-4).all()
            ),
        ),
    ],
    hint="Map i at a place is the sum over j of relation[i, j] times features[j] at that place.",
)

# --------------------------------------------------------------------------------------------------------------------


def map_of_a_dead_channel(features):
    strength = features.mean(dim=(2, 3))  # (b, c): a uniform softmax over space gives the plain mean
    weights = strength.softmax(dim=-1)
    return (weights[:, :, None, None] * features).sum(dim=1)  # (b, h, w)


def _features_with_a_dead_channel(generator):
    features = 2 * _features(generator)
    features[:, _whole(generator, 0, features.shape[1] - 1)] = 0
    # One channel fires everywhere, so that the weights are never nearly equal.
    features[:, features.sum((0, 2, 3)).argmax()] += 1
    return {"features": features}


DEAD = Exercise(
    name="map_of_a_dead_channel",
    solution=map_of_a_dead_channel,
    inputs=_features_with_a_dead_channel,
    mistakes=[
        Mistake(
            "You gave the plain mean of all maps. Channels that fire more weigh more: softmax their means over space.",
            lambda features: features.mean(1),
        ),
        Mistake(
            "You summed over space. A uniform softmax over space gives each cell the weight 1/hw: take the mean.",
            lambda features: (features.sum((2, 3)).softmax(-1)[:, :, None, None] * features).sum(1),
        ),
        Mistake(
            "You divided the means by their sum. The outer softmax exponentiates them first.",
            lambda features: (
                (features.mean((2, 3)) / features.mean((2, 3)).sum(1, keepdim=True))[:, :, None, None] * features
            ).sum(1),
        ),
        Mistake(
            "The outer softmax is missing: your weights do not sum to 1.",
            lambda features: (features.mean((2, 3))[:, :, None, None] * features).sum(1),
        ),
        Mistake(
            "You took each channel's largest value. A dead channel asks all cells alike, so take the mean over space.",
            lambda features: (features.amax((2, 3)).softmax(-1)[:, :, None, None] * features).sum(1),
        ),
        Mistake(
            "Your map is 0: that is the raw map of the dead channel. Its trilinear map is made of the other channels.",
            lambda features: torch.zeros_like(features[:, 0]),
        ),
    ],
    properties=[
        (
            "A mean lies between the smallest and the largest of what it averages, at every place.",
            lambda inputs, answer: bool(
                (answer <= inputs["features"].amax(1) + 1e-4).all()
                and (answer >= inputs["features"].amin(1) - 1e-4).all()
            ),
        ),
    ],
    hint="The inner softmax of zeros is uniform, so the channel's row of R is the softmax of the channels' means.",
)

# --------------------------------------------------------------------------------------------------------------------


def structure_and_detail(relation, features, channel):
    b, _, h, w = features.shape
    mean_row = relation.mean(dim=1)  # (b, c)
    chosen_row = relation[torch.arange(b), channel]  # (b, c)
    weights = torch.stack([mean_row, chosen_row], dim=1)  # (b, 2, c)
    maps = (weights @ features.flatten(2)).view(b, 2, h, w)
    return maps[:, 0], maps[:, 1]


def _relation_features_channel(generator):
    inputs = _relation_and_features(generator)
    b, c = inputs["features"].shape[:2]
    # Never the same channel for two images, and never the image's own number.
    channel = c - 1 - torch.arange(b)
    return {**inputs, "channel": channel}


def _all_maps(relation, features):
    return (relation @ features.flatten(2)).view_as(features)


STRUCTURE = Exercise(
    name="structure_and_detail",
    solution=structure_and_detail,
    inputs=_relation_features_channel,
    mistakes=[
        Mistake(
            "Your detail map is weighted by the channel's column. Its weights are the row relation[b, channel].",
            lambda relation, features, channel: (
                _all_maps(relation, features).mean(1),
                _all_maps(relation.mT, features)[torch.arange(len(features)), channel],
            ),
        ),
        Mistake(
            "Your structure map weighs all channels equally. Its weights are the mean of the rows of R (dim=1).",
            lambda relation, features, channel: (
                features.mean(1),
                _all_maps(relation, features)[torch.arange(len(features)), channel],
            ),
        ),
        Mistake(
            "Your structure map is the sum over the channels. It is their mean.",
            lambda relation, features, channel: (
                _all_maps(relation, features).sum(1),
                _all_maps(relation, features)[torch.arange(len(features)), channel],
            ),
        ),
        Mistake(
            "Your detail map is the raw feature map of the channel. Make it with the channel's row of the relation.",
            lambda relation, features, channel: (
                _all_maps(relation, features).mean(1),
                features[torch.arange(len(features)), channel],
            ),
        ),
        Mistake(
            "You took the first image's channel for all images. Every image has a channel of its own.",
            lambda relation, features, channel: (
                _all_maps(relation, features).mean(1),
                _all_maps(relation, features)[:, channel[0]],
            ),
        ),
    ],
    hint="The mean of the maps is weighted by the mean of the rows; `relation[torch.arange(b), channel]` picks a row.",
)

# --------------------------------------------------------------------------------------------------------------------


def attend_over_channels(features, scale):
    x = features.flatten(2)  # (b, c, hw)
    query = (scale * x).softmax(dim=-1)
    return F.scaled_dot_product_attention(query, x, x, scale=1.0).view_as(features)


def _features_and_scale(generator):
    return {"features": 2 * _features(generator), "scale": float(_whole(generator, 2, 4))}


def _attend(query, key, value, like, scale=1.0):
    return F.scaled_dot_product_attention(query, key, value, scale=scale).view_as(like)


ATTEND = Exercise(
    name="attend_over_channels",
    solution=attend_over_channels,
    inputs=_features_and_scale,
    mistakes=[
        Mistake(
            "You left PyTorch's own scale, one over the square root of the number of places. Pass scale=1.0.",
            lambda features, scale: _attend(
                (scale * features.flatten(2)).softmax(-1), features.flatten(2), features.flatten(2), features, None
            ),
        ),
        Mistake(
            "You gave the inner scale s to the attention as well. It belongs inside the softmax over space only.",
            lambda features, scale: _attend(
                (scale * features.flatten(2)).softmax(-1), features.flatten(2), features.flatten(2), features, scale
            ),
        ),
        Mistake(
            "Your query is X itself. It must be the softmax over space of s·X, so that loud channels do not shout.",
            lambda features, scale: _attend(features.flatten(2), features.flatten(2), features.flatten(2), features),
        ),
        Mistake(
            "Your query is a softmax over channels. The inner one is over space: the last axis of (b, c, hw).",
            lambda features, scale: _attend(
                (scale * features.flatten(2)).softmax(1), features.flatten(2), features.flatten(2), features
            ),
        ),
        Mistake(
            "Your key is the softmax too. Only the query is: key and value are X.",
            lambda features, scale: _attend(
                (scale * features.flatten(2)).softmax(-1),
                (scale * features.flatten(2)).softmax(-1),
                features.flatten(2),
                features,
            ),
        ),
        Mistake(
            "You attend over places. Here the sequence is the channels: pass (b, c, hw), not its transpose.",
            lambda features, scale: F.scaled_dot_product_attention(
                (scale * features.flatten(2)).softmax(-1).mT, features.flatten(2).mT, features.flatten(2).mT, scale=1.0
            ).mT.reshape(features.shape),
        ),
    ],
    hint="query softmax(sX), key X, value X, scale 1, each of shape (b, c, hw); then back to (b, c, h, w).",
)

# --------------------------------------------------------------------------------------------------------------------


def multi_dilation(features, kernel, dilations):
    total = torch.zeros_like(features)
    for d in dilations:
        total = total + F.conv2d(features, kernel, padding=d, dilation=d).relu()
    return total


def _features_kernel_dilations(generator):
    b, c, size = _whole(generator, 1, 3), _whole(generator, 2, 4), _whole(generator, 7, 9)
    dilations = [(1, 2), (1, 2, 3), (1, 3)][_whole(generator, 0, 2)]
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
            "You applied the ReLU after the sum. It comes after each convolution, or one dilation cancels another.",
            lambda features, kernel, dilations: sum(
                (F.conv2d(features, kernel, padding=d, dilation=d) for d in dilations), torch.zeros_like(features)
            ).relu(),
        ),
        Mistake(
            "You left the ReLU out. It comes after each convolution, before the sum.",
            lambda features, kernel, dilations: sum(
                F.conv2d(features, kernel, padding=d, dilation=d) for d in dilations
            ),
        ),
        Mistake(
            "You took the mean over the dilations. This block sums.",
            lambda features, kernel, dilations: multi_dilation(features, kernel, dilations) / len(dilations),
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
            "After ReLUs and a sum nothing is negative.",
            lambda inputs, answer: bool((answer >= 0).all()),
        ),
    ],
    hint="Padding d keeps the size of a 3×3 convolution at dilation d; apply ReLU to each result, then add them.",
)

# --------------------------------------------------------------------------------------------------------------------


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
            (1 + 2 * _whole(generator, 1, 2), _whole(generator, 1, 2), _whole(generator, 1, 3))
            for _ in range(_whole(generator, 3, 5))
        ]
        # Not the layers for which two mistakes, or a mistake and the right answer, agree.
        answers = [_field(layers), *(_field(layers, **wrong) for wrong in _WRONG_FIELDS)]
        if len(set(answers)) == len(answers):
            return {"layers": layers}


FIELD = Exercise(
    name="receptive_field",
    solution=receptive_field,
    inputs=_layers,
    mistakes=[
        Mistake(
            "You left the strides out. After a stride of 2, neighbouring cells lie twice as many pixels apart.",
            lambda layers: _field(layers, stride=False),
        ),
        Mistake(
            "You left the dilations out. A kernel of 3 at dilation d spans 2·d steps, not 2.",
            lambda layers: _field(layers, dilate=False),
        ),
        Mistake(
            "You applied a layer's stride to its own kernel. The kernel reads the cells before it: widen first.",
            lambda layers: _field(layers, early=True),
        ),
        Mistake(
            "You added the whole kernel. A kernel of 3 adds 2 cells to the one that was there: kernel - 1.",
            lambda layers: _field(layers, minus=0),
        ),
        Mistake(
            "You started from 0. Before any layer a cell sees its own pixel: start from 1.",
            lambda layers: _field(layers, start=0),
        ),
    ],
    properties=[("A receptive field is at least one pixel wide.", lambda inputs, answer: answer >= 1)],
    hint="Layer by layer: add (kernel - 1) · dilation · step to the width, then multiply the step by the stride.",
)

EXERCISES = [MAPS, DEAD, STRUCTURE, ATTEND, DILATION, FIELD]
