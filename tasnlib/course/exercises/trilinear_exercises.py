"""Exercises of notebook 02 on trilinear attention. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import Exercise
from tasnlib.course.exercises.random_inputs import feature_maps, features_and_scale, uniform, whole


def _relation_and_features(generator, turn):
    features = feature_maps(generator, turn)
    b, c = features.shape[:2]
    return {"relation": uniform((b, c, c), 0, 3, generator).softmax(-1), "features": features}


def maps_from_relation(relation, features):
    maps = relation @ features.flatten(2)  # (b, c, c) times (b, c, hw) gives (b, c, hw)
    return maps.view_as(features)  # (b, c, h, w)


MAPS = Exercise(
    maps_from_relation,
    _relation_and_features,
    mistakes={
        "You used the columns of the relation. The weights of channel i's map are row i: drop the transpose.": (
            lambda relation, features: maps_from_relation(relation.mT, features)
        ),
        "The numbers are right, but the cells are still on one axis. Restore h and w.": lambda r, x: r @ x.flatten(2),
    },
    hint="Map i in a cell is the sum over j of relation[i, j] times features[j] in that cell.",
)


def _features_with_a_dead_channel(generator, turn):
    """One channel fires everywhere, so that the weights are never nearly equal; in every fourth round all are dead."""
    features = feature_maps(generator, turn)
    dead, everywhere = torch.randperm(features.shape[1], generator=generator)[:2]
    features[:, everywhere] += 1
    features[:, dead] = 0
    return {"features": features * (turn % 4 < 3)}


def map_of_a_dead_channel(features):
    strength = features.mean(dim=(2, 3))  # (b, c): a uniform softmax over space gives the plain mean
    weights = strength.softmax(dim=-1)
    return (weights[:, :, None, None] * features).sum(dim=1)  # (b, h, w)


def _weighted(weights, features):
    return (weights[:, :, None, None] * features).sum(1)


DEAD = Exercise(
    map_of_a_dead_channel,
    _features_with_a_dead_channel,
    mistakes={
        "You took the plain mean of all maps. The weights are the softmax of the channels' means.": lambda x: x.mean(1),
        "You summed over space. A uniform softmax over space gives each cell the weight 1/hw: take the mean.": (
            lambda features: _weighted(features.sum((2, 3)).softmax(-1), features)
        ),
    },
    hint="The inner softmax of zeros is uniform, so the channel's row of R is the softmax of the channels' means.",
)


def structure_and_detail(relation, features, channel):
    b, _, h, w = features.shape
    mean_row = relation.mean(dim=1)  # (b, c)
    chosen_row = relation[torch.arange(b), channel]  # (b, c)
    weights = torch.stack([mean_row, chosen_row], dim=1)  # (b, 2, c)
    maps = (weights @ features.flatten(2)).view(b, 2, h, w)
    return maps[:, 0], maps[:, 1]


def _relation_features_channel(generator, turn):
    """None has the channel of its own index, the last channel is never drawn; every third round draws one for all."""
    inputs = _relation_and_features(generator, turn)
    b, c = inputs["features"].shape[:2]
    channel = (torch.arange(b) + whole(1, c - 2, generator)) % (c - 1)
    return {**inputs, "channel": channel if turn % 3 < 2 else channel[:1].expand(b).clone()}


def _only_two_maps(inputs, record):
    """None of the results on the way is the last channel's map, neither alone nor among others."""
    last = maps_from_relation(inputs["relation"], inputs["features"])[-1, -1].flatten()
    for values in record.tensors:
        if values.ndim and values.is_floating_point() and values.numel() % len(last) == 0 and last.any():
            # In its cells, first to last, or last to first: (..., h, w) or (b, h, w, c).
            for rows in (values, values.reshape(-1, values.shape[-1]).T):
                if torch.isclose(rows.reshape(-1, len(last)), last.to(rows.dtype), rtol=1e-4).all(dim=1).any():
                    return False
    return True


def _own(rows, channel):
    return rows[torch.arange(len(rows)), channel]


STRUCTURE = Exercise(
    structure_and_detail,
    _relation_features_channel,
    mistakes={
        "Your detail map is weighted by the channel's column. Its weights are the row relation[b, channel].": (
            lambda relation, x, k: (_weighted(relation.mean(1), x), _weighted(_own(relation.mT, k), x))
        ),
        "Your mean map weights all channels equally. Its weights are the mean of the rows of R (dim=1).": (
            lambda relation, x, k: (x.mean(1), _weighted(_own(relation, k), x))
        ),
        "Your detail map is the channel's raw feature map. Use the channel's row of the relation.": (
            lambda relation, x, k: (_weighted(relation.mean(1), x), _own(x, k))
        ),
        "You used the first image's channel for all images. Each image has its own.": (
            lambda relation, x, k: (_weighted(relation.mean(1), x), _weighted(relation[:, k[0]], x))
        ),
    },
    rules={"Do not build the maps of all channels: two rows of weights times X are enough.": _only_two_maps},
    hint="The mean of the maps is weighted by the mean of the rows; `relation[torch.arange(b), channel]` picks a row.",
)


def attend_over_channels(features, scale):
    x = features.flatten(2)  # (b, c, hw)
    query = (scale * x).softmax(dim=-1)
    return F.scaled_dot_product_attention(query, x, x, scale=1.0).view_as(features)


def _attend(query, features, scale=1.0):
    x = features.flatten(2)
    return F.scaled_dot_product_attention(query.flatten(2), x, x, scale=scale).view_as(features)


ATTEND = Exercise(
    attend_over_channels,
    features_and_scale,
    mistakes={
        "You kept PyTorch's default scale, one over the square root of the number of cells. Pass scale=1.0.": (
            lambda features, s: _attend((s * features.flatten(2)).softmax(-1), features, None)
        ),
        "Your query is X itself. Take softmax(s·X) over space, or loud channels dominate.": lambda x, s: _attend(x, x),
        "Your query's softmax runs over channels. It belongs over space: the last axis of (b, c, hw).": (
            lambda features, s: _attend((s * features).softmax(1), features)
        ),
    },
    rules={
        "Call F.scaled_dot_product_attention: it does the rest.": lambda inputs, record: (
            "scaled_dot_product_attention" in record.names
        )
    },
    hint="query softmax(sX), key X, value X, scale 1, each of shape (b, c, hw); then back to (b, c, h, w).",
)

EXERCISES = [MAPS, DEAD, STRUCTURE, ATTEND]
