"""Exercises of notebook 01. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake


def _features(generator):
    b, c, h, w = (int(torch.randint(2, 7, (), generator=generator)) for _ in range(4))
    return {"features": torch.randn(b, c, h, w + 1, generator=generator).relu()}


def _features_and_scale(generator):
    return _features(generator) | {"scale": float(torch.randint(2, 8, (), generator=generator))}


def _where_and_features(generator):
    features = _features(generator)["features"]
    return {"where": (2 * features).flatten(2).softmax(-1).view_as(features), "features": features}


def _relation_and_channel(generator):
    b, c = (int(torch.randint(4, 8, (), generator=generator)) for _ in range(2))
    # Each channel goes first with itself, then with the next one on a ring of all channels, drawn anew for each image;
    # the channel before it on the ring goes with it.
    partner = torch.zeros(b, c, c)
    for image in range(b):
        ring = torch.randperm(c, generator=generator)
        partner[image, ring, ring.roll(-1)] = 1
    relation = (torch.rand(b, c, c, generator=generator) + 4 * torch.eye(c) + 2 * partner).softmax(-1)
    return {"relation": relation, "channel": int(torch.randint(c, (), generator=generator))}


def _maps_and_cover(generator):
    maps = _features(generator)["features"] + 0.1
    maps[0, 0] = 0.0  # a silent channel
    maps[-1, -1] *= 0.1 / maps[-1, -1].sum()  # and one so quiet that a total kept above 1 shows
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


def _rows_sum_to_one(inputs, answer):
    return torch.allclose(answer.sum(-1), torch.ones(()), atol=1e-4)


EXERCISES = [
    Exercise(
        name="relation",
        solution=relation,
        inputs=_features,
        mistakes=[
            Mistake(
                "You compared places with places. Compare channels with channels: the answer is (b, c, c).",
                lambda features: features.flatten(2).transpose(1, 2) @ features.flatten(2),
            ),
            Mistake(
                "You summed over the batch as well. Every image has a relation of its own.",
                lambda features: (
                    (features.flatten(2) @ features.flatten(2).mT).sum(0, keepdim=True).expand(len(features), -1, -1)
                ),
            ),
        ],
        properties=[
            (
                "Channel i fires with channel j as much as j with i: the answer equals its transpose.",
                lambda inputs, answer: torch.allclose(answer, answer.mT, atol=1e-4),
            ),
        ],
        hint="Entry (i, j) is the sum over all places of channel i times channel j.",
    ),
    Exercise(
        name="where_it_fires",
        solution=where_it_fires,
        inputs=_features_and_scale,
        mistakes=[
            Mistake(
                "Your softmax runs along the width only, so every line of the map sums to 1. "
                "A channel's weights must sum to 1 over all its places: flatten height and width first.",
                lambda features, scale: (scale * features).softmax(-1),
            ),
            Mistake(
                "Your softmax runs over the channels. That asks which channel wins a place; "
                "here each channel must choose among its places.",
                lambda features, scale: (scale * features).softmax(1),
            ),
            Mistake(
                "Your weights do not depend on s. Multiply the features by s before the softmax.",
                lambda features, scale: features.flatten(2).softmax(-1).view_as(features),
            ),
        ],
        properties=[
            (
                "Each channel's weights sum to 1 over its places.",
                lambda inputs, answer: torch.allclose(answer.sum((2, 3)), torch.ones(()), atol=1e-4),
            ),
        ],
        hint="Flatten to (b, c, hw), multiply by s, softmax over the last axis, bring the shape back.",
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
                "You swapped the two: in row i channel i must say where, and the others what they do there. "
                "Multiply where by the transposed features, not features by the transposed where.",
                lambda where, features: (features.flatten(2) @ where.flatten(2).mT).softmax(-1),
            ),
            Mistake(
                "The outer softmax is missing: your rows do not sum to 1.",
                lambda where, features: where.flatten(2) @ features.flatten(2).mT,
            ),
        ],
        properties=[("Every row sums to 1.", _rows_sum_to_one)],
        hint="Entry (i, j) before the softmax is channel j's mean over all places, weighted by where channel i fires.",
    ),
    Exercise(
        name="strongest_partner",
        solution=strongest_partner,
        inputs=_relation_and_channel,
        mistakes=[
            Mistake(
                "You let the channel be its own partner. Leave it out before you take the largest.",
                lambda relation, channel: relation[:, channel].argmax(-1),
            ),
            Mistake(
                "You read a column. What channel i says about the others stands in row i: relation[:, channel].",
                lambda relation, channel: (relation - 9 * torch.eye(relation.shape[-1]))[:, :, channel].argmax(-1),
            ),
            Mistake(
                "You gave the weight. The answer is the partner's number: argmax, not max.",
                lambda relation, channel: (relation - 9 * torch.eye(relation.shape[-1]))[:, channel].amax(-1),
            ),
        ],
        hint="Take row `channel` of every image, rule out the entry of the channel itself, take the argmax.",
    ),
    Exercise(
        name="share_in_box",
        solution=share_in_box,
        inputs=_maps_and_cover,
        mistakes=[
            Mistake(
                "You did not divide by the map's total, so a loud channel gets a large answer. A share lies in 0 to 1.",
                lambda maps, cover: (maps * cover[:, None]).sum((2, 3)),
            ),
            Mistake(
                "You divided by the size of the box: that is the mean inside it. Divide by the map's own total.",
                lambda maps, cover: (maps * cover[:, None]).sum((2, 3)) / cover.sum((1, 2))[:, None],
            ),
            Mistake(
                "You averaged over the channels. Every channel has a share of its own: the answer is (b, c).",
                lambda maps, cover: share_in_box(maps, cover).mean(1),
            ),
        ],
        properties=[
            (
                "A channel that is silent everywhere has the share 0.",
                lambda inputs, answer: bool(answer[0, 0] == 0),
            ),
        ],
        hint="Multiply each map by the cover, sum over both axes of space, divide by the map's own sum.",
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
                "Your answer does not depend on s. Multiply the features by s inside the inner softmax.",
                lambda features, scale: (features.flatten(2).softmax(-1) @ features.flatten(2).mT).softmax(-1),
            ),
        ],
        properties=[("Every row sums to 1.", _rows_sum_to_one)],
        hint="Two lines: weights over space from s·X, then the softmax over channels of weights times Xᵀ.",
    ),
]
