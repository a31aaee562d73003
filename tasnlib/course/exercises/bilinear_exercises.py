"""Exercises of notebook 01. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake, whole


def _features(generator):
    b, c, h, w = (whole(2, 6, generator) for _ in range(4))
    return {"features": torch.randn(b, c, h, w + 1, generator=generator).relu()}


def _features_and_scale(generator):
    return _features(generator) | {"scale": float(whole(2, 7, generator))}


def _where_and_features(generator):
    features = _features(generator)["features"]
    return {"where": (2 * features).flatten(2).softmax(-1).view_as(features), "features": features}


def _relation_and_channel(generator):
    b, c = whole(4, 7, generator), whole(4, 7, generator)
    # Each channel's strongest partner is the next one on a random ring, so rows and columns give different partners.
    partner = torch.zeros(b, c, c)
    for image in range(b):
        ring = torch.randperm(c, generator=generator)
        partner[image, ring, ring.roll(-1)] = 1
    relation = (torch.rand(b, c, c, generator=generator) + 4 * torch.eye(c) + 2 * partner).softmax(-1)
    return {"relation": relation, "channel": whole(0, c - 1, generator)}


def _maps_and_cover(generator):
    maps = _features(generator)["features"] + 0.1
    maps[0, 0] = 0.0  # a dead channel
    maps[-1, -1] *= 0.1 / maps[-1, -1].sum()  # and one so quiet that a total clamped at 1 is noticed
    b, _, h, w = maps.shape
    cover = torch.rand(b, h, w, generator=generator) * 0.8 + 0.1
    return {"maps": maps, "cover": cover}


def relation(features):
    x = features.flatten(2)  # (b, c, hw)
    return x @ x.transpose(1, 2)  # (b, c, c)


def where_it_fires(features, scale):
    x = features.flatten(2)  # (b, c, hw)
    where = (scale * x).softmax(dim=-1)  # sums to 1 over all places of a channel
    return where.view_as(features)  # (b, c, h, w)


def fires_there_too(where, features):
    together = where.flatten(2) @ features.flatten(2).transpose(1, 2)  # (b, c, c)
    return together.softmax(dim=-1)  # every row sums to 1


def strongest_partner(relation, channel):
    row = relation[:, channel].clone()  # (b, c)
    row[:, channel] = -1  # not with itself
    return row.argmax(dim=-1)  # (b,)


def share_in_box(maps, cover):
    inside = (maps * cover[:, None]).sum(dim=(2, 3))  # (b, c)
    total = maps.sum(dim=(2, 3))  # (b, c)
    return inside / total.clamp_min(1e-12)  # a silent channel: 0


def bilinear(features, scale):
    x = features.flatten(2)  # (b, c, hw)
    where = (scale * x).softmax(dim=-1)  # (b, c, hw)
    return (where @ x.transpose(1, 2)).softmax(dim=-1)  # (b, c, c)


def _rows_sum_to_one(inputs, result):
    return torch.allclose(result.sum(-1), torch.ones((), dtype=torch.float64), atol=1e-4)


EXERCISES = [
    Exercise(
        name="relation",
        solution=relation,
        inputs=_features,
        mistakes=[
            Mistake(
                "You compared cells with cells. Compare channels with channels: the result is (b, c, c).",
                lambda features: features.flatten(2).transpose(1, 2) @ features.flatten(2),
            ),
            Mistake(
                "You summed over the batch too. Each image has its own relation.",
                lambda features: (
                    (features.flatten(2) @ features.flatten(2).mT).sum(0, keepdim=True).expand(len(features), -1, -1)
                ),
            ),
        ],
        properties=[
            (
                "Channel i fires with j as much as j with i: the result equals its transpose.",
                lambda inputs, result: torch.allclose(result, result.mT, atol=1e-4),
            ),
        ],
        hint="Entry (i, j) is the sum over all cells of channel i times channel j.",
    ),
    Exercise(
        name="where_it_fires",
        solution=where_it_fires,
        inputs=_features_and_scale,
        mistakes=[
            Mistake(
                "Your softmax runs along the width only, so each row of the map sums to 1. "
                "A channel's weights must sum to 1 over all cells: flatten height and width first.",
                lambda features, scale: (scale * features).softmax(-1),
            ),
            Mistake(
                "Your softmax runs over the channels. That lets channels compete for a cell; "
                "here the cells compete for each channel.",
                lambda features, scale: (scale * features).softmax(1),
            ),
            Mistake(
                "Your weights do not depend on s. Multiply the features by s before the softmax.",
                lambda features, scale: features.flatten(2).softmax(-1).view_as(features),
            ),
        ],
        properties=[
            (
                "Each channel's weights sum to 1 over all cells.",
                lambda inputs, result: torch.allclose(
                    result.sum((2, 3)), torch.ones((), dtype=torch.float64), atol=1e-4
                ),
            ),
        ],
        hint="Flatten to (b, c, hw), multiply by s, softmax over the last axis, restore the shape.",
    ),
    Exercise(
        name="fires_there_too",
        solution=fires_there_too,
        inputs=_where_and_features,
        mistakes=[
            Mistake(
                "Your columns sum to 1, not your rows. Row i belongs to channel i: softmax over the last axis.",
                lambda where, features: (where.flatten(2) @ features.flatten(2).mT).softmax(1),
            ),
            Mistake(
                "You swapped the factors: row i weights all channels by where channel i fires. "
                "Multiply where by the transposed features, not features by the transposed where.",
                lambda where, features: (features.flatten(2) @ where.flatten(2).mT).softmax(-1),
            ),
            Mistake(
                "The outer softmax is missing: your rows do not sum to 1.",
                lambda where, features: where.flatten(2) @ features.flatten(2).mT,
            ),
        ],
        properties=[("Every row sums to 1.", _rows_sum_to_one)],
        hint="Entry (i, j) before the softmax is channel j's mean over all cells, weighted by where channel i fires.",
    ),
    Exercise(
        name="strongest_partner",
        solution=strongest_partner,
        inputs=_relation_and_channel,
        mistakes=[
            Mistake(
                "Your channel can be its own partner. Exclude it before you take the argmax.",
                lambda relation, channel: relation[:, channel].argmax(-1),
            ),
            Mistake(
                "You read a column. The weights of channel i are in row i: relation[:, channel].",
                lambda relation, channel: (relation - 9 * torch.eye(relation.shape[-1]))[:, :, channel].argmax(-1),
            ),
            Mistake(
                "You returned the weight. Return the partner's number: argmax, not max.",
                lambda relation, channel: (relation - 9 * torch.eye(relation.shape[-1]))[:, channel].amax(-1),
            ),
        ],
        hint="Take row `channel` of every image, exclude the channel's own entry, take the argmax.",
    ),
    Exercise(
        name="share_in_box",
        solution=share_in_box,
        inputs=_maps_and_cover,
        mistakes=[
            Mistake(
                "You did not divide by the map's total, so loud channels get a large result. A share is at most 1.",
                lambda maps, cover: (maps * cover[:, None]).sum((2, 3)),
            ),
            Mistake(
                "You divided by the size of the box: that gives the mean inside it. Divide by the map's own total.",
                lambda maps, cover: (maps * cover[:, None]).sum((2, 3)) / cover.sum((1, 2))[:, None],
            ),
            Mistake(
                "You averaged over the channels. Each channel has its own share: the result is (b, c).",
                lambda maps, cover: share_in_box(maps, cover).mean(1),
            ),
        ],
        properties=[
            (
                "A dead channel has a share of 0.",
                lambda inputs, result: bool(result[0, 0] == 0),
            ),
        ],
        hint="Multiply each map by the cover, sum over both spatial axes, divide by the map's own sum.",
    ),
    Exercise(
        name="bilinear",
        solution=bilinear,
        inputs=_features_and_scale,
        mistakes=[
            Mistake(
                "The inner softmax is missing: you normalised X Xᵀ only once. "
                "First turn s·X into weights over space, then multiply by Xᵀ.",
                lambda features, scale: (scale * features.flatten(2) @ features.flatten(2).mT).softmax(-1),
            ),
            Mistake(
                "The outer softmax is missing: your rows do not sum to 1.",
                lambda features, scale: (scale * features.flatten(2)).softmax(-1) @ features.flatten(2).mT,
            ),
            Mistake(
                "Your result does not depend on s. Multiply the features by s inside the inner softmax.",
                lambda features, scale: (features.flatten(2).softmax(-1) @ features.flatten(2).mT).softmax(-1),
            ),
        ],
        properties=[("Every row sums to 1.", _rows_sum_to_one)],
        hint="Two lines: weights over space from s·X, then the softmax over channels of weights times Xᵀ.",
    ),
]
