"""Exercises of notebook 01. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import ROWS_SUM_TO_ONE, Exercise, without_loop
from tasnlib.course.exercises.random_inputs import feature_maps, features_and_scale, uniform, whole


def _features(generator, turn):
    return {"features": feature_maps(generator, turn)}


def _where_and_features(generator, turn):
    features = feature_maps(generator, turn)
    return {"where": (2 * features).flatten(2).softmax(-1).view_as(features), "features": features}


def _relation_and_channel(generator, turn):
    """Each channel's strongest partner is the next one on a random ring, so rows and columns give different partners.
    The channel's own entry is the largest of its row, or a middle one, or equal to the partner's."""
    b, c = whole(2, 4, generator), whole(4, 7, generator)
    relation = uniform((b, c, c), 0.1, 1, generator)
    for image in range(b):
        ring = torch.randperm(c, generator=generator)
        relation[image, ring, ring.roll(-1)] += 1
    channels = torch.arange(c)
    relation[:, channels, channels] = (3, 0.5, relation.amax(-1))[turn % 3]
    relation = relation / relation.sum(-1, keepdim=True)
    return {"relation": relation, "channel": (0, c // 2, c - 1)[turn // 4]}


def _maps_and_cover(generator, turn):
    """A dead map, and one so quiet that a total clamped at 1 is noticed; boxes of whole cells, of everything, of none.
    The dead and the quiet map are of different images, where there are two."""
    maps = feature_maps(generator, turn) + 0.1
    maps[0, 0] = 0
    maps[-1, -1] *= 0.1 / maps[-1, -1].sum()
    b, _, h, w = maps.shape
    cover = uniform((b, h, w), 0, 1, generator)
    return {"maps": maps, "cover": (cover, cover.round(), torch.ones_like(cover), torch.zeros_like(cover))[turn // 3]}


def relation(features):
    x = features.flatten(2)  # (b, c, hw)
    return x @ x.transpose(1, 2)  # (b, c, c)


def where_it_fires(features, scale):
    x = features.flatten(2)  # (b, c, hw)
    where = (scale * x).softmax(dim=-1)  # sums to 1 over all cells of a channel
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
    return inside / total.clamp_min(1e-12)  # a dead channel: 0


def bilinear(features, scale):
    x = features.flatten(2)  # (b, c, hw)
    where = (scale * x).softmax(dim=-1)  # (b, c, hw)
    return (where @ x.transpose(1, 2)).softmax(dim=-1)  # (b, c, c)


EXERCISES = [
    Exercise(
        relation,
        _features,
        mistakes={
            "You compared cells with cells. Compare channels with channels: the result is (b, c, c).": lambda x: (
                x.flatten(2).mT @ x.flatten(2)
            ),
            "You summed over the batch too. Each image has its own relation.": lambda x: (
                relation(x).sum(0, keepdim=True).expand(len(x), -1, -1)
            ),
        },
        hint="Entry (i, j) is the sum over all cells of channel i times channel j.",
    ),
    Exercise(
        where_it_fires,
        features_and_scale,
        mistakes={
            "Your softmax runs along the width only, so each row of the map sums to 1. A channel's weights must sum to "
            "1 over all cells: flatten height and width first.": lambda x, s: (s * x).softmax(-1),
            "Your softmax runs over the channels. That lets channels compete for a cell; here the cells compete for "
            "each channel.": lambda x, s: (s * x).softmax(1),
            "Your weights do not depend on s. Multiply the features by s before the softmax.": lambda x, s: (
                where_it_fires(x, 1)
            ),
            "Your powers overflow: the features reach 22, times s = 7, and exp(160) is infinite in float32. Use "
            "`softmax`, or subtract the largest number first.": lambda x, s: (
                (s * x).exp() / (s * x).exp().sum((2, 3), keepdim=True)
            ),
        },
        hint="Flatten to (b, c, hw), multiply by s, softmax over the last axis, restore the shape.",
    ),
    Exercise(
        fires_there_too,
        _where_and_features,
        mistakes={
            "Your columns sum to 1, not your rows. Row i belongs to channel i: softmax over the last axis.": (
                lambda where, x: (where.flatten(2) @ x.flatten(2).mT).softmax(1)
            ),
            "You swapped the factors: row i weights all channels by where channel i fires. Multiply `where` by the "
            "transposed features, not the features by the transposed `where`.": lambda w, x: fires_there_too(x, w),
        },
        properties=ROWS_SUM_TO_ONE,
        hint="Entry (i, j) before the softmax is channel j's mean over all cells, weighted by where channel i fires.",
    ),
    Exercise(
        strongest_partner,
        _relation_and_channel,
        mistakes={
            "Your channel can be its own partner. Exclude it before you take the argmax.": lambda relation, channel: (
                relation[:, channel].argmax(-1)
            ),
            "You read a column. The weights of channel i are in row i: relation[:, channel].": lambda relation, i: (
                relation - 9 * torch.eye(relation.shape[-1])
            )[:, :, i].argmax(-1),
        },
        hint="Take row `channel` of every image, exclude its own entry, whether or not it is the largest; then argmax.",
    ),
    Exercise(
        share_in_box,
        _maps_and_cover,
        mistakes={
            "You did not divide by the map's total, so loud channels get a large result. A share is at most 1.": (
                lambda maps, cover: (maps * cover[:, None]).sum((2, 3))
            ),
            "You divided by the size of the box: that gives the mean inside it. Divide by the map's own total.": (
                lambda maps, cover: (maps * cover[:, None]).sum((2, 3)) / cover.sum((1, 2))[:, None]
            ),
        },
        properties={"A dead channel has a share of 0.": lambda inputs, result: bool(result[0, 0] == 0)},
        hint="Multiply each map by the cover, sum over both spatial axes, divide by the map's own sum.",
    ),
    Exercise(
        bilinear,
        features_and_scale,
        mistakes={
            "The inner softmax is missing: you normalised X Xᵀ only once. First turn s·X into weights over space, then "
            "multiply by Xᵀ.": lambda x, s: (s * x.flatten(2) @ x.flatten(2).mT).softmax(-1),
            "Your result does not depend on s. Multiply the features by s inside the inner softmax.": lambda x, s: (
                bilinear(x, 1)
            ),
        },
        properties=ROWS_SUM_TO_ONE,
        rules={"No loops: a matrix product does it for all channels at once.": without_loop},
        hint="Weights over space from s·X, then the softmax over channels of weights times Xᵀ.",
    ),
]
