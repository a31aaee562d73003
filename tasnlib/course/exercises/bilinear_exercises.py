"""Exercises of notebook 01. Solutions are written as a student would write them."""

import torch
from torch.nn.functional import normalize

from tasnlib.course.exercises.checking import ROWS_SUM_TO_ONE, Exercise
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
    maps = torch.where(maps.sum(dim=(2, 3), keepdim=True) > 0, maps, 1.0)  # a map of zeros: uniform
    return (maps * cover[:, None]).sum(dim=(2, 3)) / maps.sum(dim=(2, 3))  # (b, c)


def share_from(features, scale):
    relation = fires_there_too(where_it_fires(features, scale), features)  # (b, c, c)
    given = relation.sum(dim=1) * features.sum(dim=(2, 3))  # (b, c): what channel j gives to all maps together
    return given / given.sum(dim=1, keepdim=True).clamp_min(1e-12)


EXERCISES = [
    Exercise(
        relation,
        _features,
        mistakes={
            "You compared cells with cells. Compare channels: (b, c, c).": lambda x: x.flatten(2).mT @ x.flatten(2),
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
            "Your weights do not depend on s. Multiply the features by s first.": lambda x, s: where_it_fires(x, 1),
            "Your powers overflow: exp(7 · 22) is infinite in float32. Use `softmax`, or subtract the largest first.": (
                lambda x, s: (s * x).exp() / (s * x).exp().sum((2, 3), keepdim=True)
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
            "Your channel can be its own partner. Exclude it before the argmax.": lambda r, i: r[:, i].argmax(-1),
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
        hint="Sum each map times the cover over space, divide by the map's own sum. Zeros count as uniform.",
    ),
    Exercise(
        share_from,
        features_and_scale,
        mistakes={
            "That is the share of each channel's own map. Take its column of R, which feeds all maps, not its row.": (
                lambda x, s: normalize((fires_there_too(where_it_fires(x, s), x) @ x.flatten(2)).sum(2), p=1)
            ),
            "You added up weights alone. A weight multiplies a channel: the louder it is, the more it gives.": (
                lambda x, s: fires_there_too(where_it_fires(x, s), x).mean(1)
            ),
            "R has no effect here: its rows sum to 1. Sum its columns.": lambda x, s: normalize(x.sum((2, 3)), p=1),
        },
        hint="Channel j gives its volume times the sum of column j of R; divide by what all channels give.",
    ),
]
