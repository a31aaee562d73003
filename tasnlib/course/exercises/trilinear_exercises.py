"""Exercises of notebook 02 on trilinear attention. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import Exercise, Mistake, whole


def _features(generator: torch.Generator, batch: int = 2) -> torch.Tensor:
    """Sparse, as after a ReLU; more channels than images, all four sizes different."""
    b, c = whole(batch, 3, generator), whole(4, 6, generator)
    h = whole(2, 3, generator)
    return 2 * torch.rand(b, c, h, 7, generator=generator) * (torch.rand(b, c, h, 7, generator=generator) > 0.4)


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
            "The numbers are right, but the cells are still on one axis. Restore height and width.",
            lambda relation, features: relation @ features.flatten(2),
        ),
    ],
    hint="Map i in a cell is the sum over j of relation[i, j] times features[j] in that cell.",
)


def map_of_a_dead_channel(features):
    strength = features.mean(dim=(2, 3))  # (b, c): a uniform softmax over space gives the plain mean
    weights = strength.softmax(dim=-1)
    return (weights[:, :, None, None] * features).sum(dim=1)  # (b, h, w)


def _features_with_a_dead_channel(generator):
    features = 2 * _features(generator)
    features[:, whole(0, features.shape[1] - 1, generator)] = 0
    # One channel fires everywhere, so that the weights are never nearly equal.
    features[:, features.sum((0, 2, 3)).argmax()] += 1
    return {"features": features}


DEAD = Exercise(
    name="map_of_a_dead_channel",
    solution=map_of_a_dead_channel,
    inputs=_features_with_a_dead_channel,
    mistakes=[
        Mistake(
            "You took the plain mean of all maps. The weights are the softmax of the channels' means over space.",
            lambda features: features.mean(1),
        ),
        Mistake(
            "You summed over space. A uniform softmax over space gives each cell the weight 1/hw: take the mean.",
            lambda features: (features.sum((2, 3)).softmax(-1)[:, :, None, None] * features).sum(1),
        ),
        Mistake(
            "The outer softmax is missing: your weights do not sum to 1.",
            lambda features: (features.mean((2, 3))[:, :, None, None] * features).sum(1),
        ),
    ],
    hint="The inner softmax of zeros is uniform, so the channel's row of R is the softmax of the channels' means.",
)


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
    # No two images have the same channel, none has its own index.
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
            "Your structure map weights all channels equally. Its weights are the mean of the rows of R (dim=1).",
            lambda relation, features, channel: (
                features.mean(1),
                _all_maps(relation, features)[torch.arange(len(features)), channel],
            ),
        ),
        Mistake(
            "Your detail map is the channel's raw feature map. Use the channel's row of the relation.",
            lambda relation, features, channel: (
                _all_maps(relation, features).mean(1),
                features[torch.arange(len(features)), channel],
            ),
        ),
        Mistake(
            "You used the first image's channel for all images. Each image has its own.",
            lambda relation, features, channel: (
                _all_maps(relation, features).mean(1),
                _all_maps(relation, features)[:, channel[0]],
            ),
        ),
    ],
    hint="The mean of the maps is weighted by the mean of the rows; `relation[torch.arange(b), channel]` picks a row.",
)


def attend_over_channels(features, scale):
    x = features.flatten(2)  # (b, c, hw)
    query = (scale * x).softmax(dim=-1)
    return F.scaled_dot_product_attention(query, x, x, scale=1.0).view_as(features)


def _features_and_scale(generator):
    return {"features": 2 * _features(generator), "scale": float(whole(2, 4, generator))}


def _attend(query, key, value, like, scale=1.0):
    return F.scaled_dot_product_attention(query, key, value, scale=scale).view_as(like)


ATTEND = Exercise(
    name="attend_over_channels",
    solution=attend_over_channels,
    inputs=_features_and_scale,
    mistakes=[
        Mistake(
            "You kept PyTorch's default scale, one over the square root of the number of cells. Pass scale=1.0.",
            lambda features, scale: _attend(
                (scale * features.flatten(2)).softmax(-1), features.flatten(2), features.flatten(2), features, None
            ),
        ),
        Mistake(
            "Your query is X itself. It must be the softmax over space of s·X, or loud channels dominate.",
            lambda features, scale: _attend(features.flatten(2), features.flatten(2), features.flatten(2), features),
        ),
        Mistake(
            "Your query's softmax runs over channels. It belongs over space: the last axis of (b, c, hw).",
            lambda features, scale: _attend(
                (scale * features.flatten(2)).softmax(1), features.flatten(2), features.flatten(2), features
            ),
        ),
        Mistake(
            "You attend over cells. Here the channels are the sequence: pass (b, c, hw), not its transpose.",
            lambda features, scale: F.scaled_dot_product_attention(
                (scale * features.flatten(2)).softmax(-1).mT, features.flatten(2).mT, features.flatten(2).mT, scale=1.0
            ).mT.reshape(features.shape),
        ),
    ],
    hint="query softmax(sX), key X, value X, scale 1, each of shape (b, c, hw); then back to (b, c, h, w).",
)

EXERCISES = [MAPS, DEAD, STRUCTURE, ATTEND]
