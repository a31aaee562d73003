"""Answers to the exercises of notebook 02, right and wrong; see planted_01."""

import numpy as np
import torch
from torch.nn import functional as F

from tasnlib.attention import trilinear_attention


def maps_by_loops(relation, features):
    result = torch.zeros_like(features)
    for image in range(len(features)):
        for i in range(relation.shape[1]):
            for j in range(relation.shape[2]):
                result[image, i] += relation[image, i, j] * features[image, j]
    return result


def dead_by_relation(x):
    flat = x.flatten(2)
    table = (flat.softmax(2) @ flat.mT).softmax(2)
    dead = (flat.abs().sum((0, 2)) == 0).nonzero()[0, 0]
    return (table @ flat)[:, dead].view(len(x), *x.shape[2:])


def dead_by_loops(features):
    result = []
    for image in features:
        powers = [image[c].mean().exp() for c in range(len(image))]
        result.append(sum(power * one for power, one in zip(powers, image, strict=True)) / sum(powers))
    return torch.stack(result)


def two_by_loops(relation, features, channel):
    structure, detail = [], []
    for image in range(len(features)):
        mean, row = relation[image].mean(0), relation[image, channel[image]]
        structure.append(sum(mean[j] * features[image, j] for j in range(len(mean))))
        detail.append(sum(row[j] * features[image, j] for j in range(len(row))))
    return torch.stack(structure), torch.stack(detail)


def two_by_numpy(relation, features, channel):
    r, x = relation.numpy(), features.numpy()
    return np.einsum("bj,bjhw->bhw", r.mean(1), x), np.einsum("bj,bjhw->bhw", r[np.arange(len(x)), channel.numpy()], x)


def every_map_by_loop(relation, features, channel):
    maps = torch.stack([(relation[:, i, :, None, None] * features).sum(1) for i in range(features.shape[1])], dim=1)
    return maps.mean(1), maps[torch.arange(len(maps)), channel]


def every_map_added_up(relation, features, channel):
    total = torch.zeros_like(features[:, 0])
    for i in range(features.shape[1]):
        total += torch.einsum("bj,bjhw->bhw", relation[:, i], features)
    detail = torch.einsum("bj,bjhw->bhw", relation[torch.arange(len(features)), channel], features)
    return total / features.shape[1], detail


def last_axis_maps(r, x, channel):
    maps = torch.einsum("bij,bjhw->bhwi", r, x)
    return maps.mean(-1), maps[torch.arange(len(x)), :, :, channel]


def two(structure, detail):
    """Structure and detail map, from their rows of weights."""

    def answer(r, x, channel):
        rows = structure(r, channel), detail(r, channel)
        return tuple(torch.einsum("bj,bjhw->bhw", row, x) for row in rows)

    return answer


def mean_row(r, channel):
    return r.mean(1)


def own_row(r, channel):
    return r[torch.arange(len(r)), channel]


def attended_by_hand(features, scale):
    x = features.flatten(2)
    return (((scale * x).softmax(-1) @ x.mT).softmax(-1) @ x).view_as(features)


def attended_in_steps(maps, s):
    b, c, h, w = maps.shape
    keys = maps.reshape(b, c, h * w)
    query = torch.nn.functional.softmax(keys * s, dim=2)
    return torch.nn.functional.scaled_dot_product_attention(query, keys, keys, scale=1).reshape(b, c, h, w)


def attended(query, scale=1.0):
    def answer(features, s):
        x = features.flatten(2)
        return F.scaled_dot_product_attention(query(x, s), x, x, scale=scale).view_as(features)

    return answer


RIGHT = {
    "maps_from_relation": [
        maps_by_loops,
        lambda relation, features: torch.einsum("bij,bjhw->bihw", relation, features),
        lambda r, x: (r[..., None, None] * x[:, None]).sum(2),
        lambda r, x: np.matmul(r.numpy(), x.flatten(2).numpy()).reshape(x.shape),
    ],
    "map_of_a_dead_channel": [
        dead_by_relation,
        dead_by_loops,
        lambda x: torch.einsum("bc,bchw->bhw", x.mean((-1, -2)).softmax(1), x),
        lambda features: (features.flatten(2).mean(2).softmax(1)[:, None] @ features.flatten(2)).view_as(
            features[:, 0]
        ),
    ],
    "structure_and_detail": [
        two_by_loops,
        two_by_numpy,
        two(mean_row, own_row),
        lambda r, x, k: [(own[..., None, None] * x).sum(1) for own in (r.mean(1), r[range(len(k)), k])],
        lambda r, x, k: (
            (r.mean(1, keepdim=True) @ x.flatten(2)).view_as(x[:, 0]),
            (r.gather(1, k[:, None, None].expand(-1, 1, r.shape[2])) @ x.clone().flatten(2)).view_as(x[:, 0]),
        ),
    ],
    "attend_over_channels": [
        attended_in_steps,
        attended(lambda x, s: F.softmax(s * x, -1)),
        lambda x, s: (
            F.scaled_dot_product_attention(
                (s * x.flatten(2)).softmax(2)[:, None], *2 * (x.flatten(2)[:, None],), scale=1
            )
            .squeeze(1)
            .view_as(x)
        ),
    ],
}

WRONG = {
    "maps_from_relation": [
        ("used the columns", lambda r, x: torch.einsum("bji,bjhw->bihw", r, x)),
        ("cells are still on one axis", lambda r, x: torch.einsum("bij,bjx->bix", r, x.flatten(2))),
        ("", lambda r, x: (r[:1] @ x.flatten(2)).view_as(x)),
        ("", lambda r, x: (r @ x.mT.flatten(2)).view_as(x)),
        ("", lambda r, x: (r @ x.flatten(2)).view(*x.shape[:2], x.shape[3], x.shape[2])),
        ("", lambda r, x: (r @ x.flatten(2)).softmax(-1).view_as(x)),
        ("", lambda r, x: (r.softmax(-1) @ x.flatten(2)).view_as(x)),
        ("", lambda r, x: r.diagonal(dim1=1, dim2=2)[..., None, None] * x),
    ],
    "map_of_a_dead_channel": [
        ("plain mean", lambda x: x.sum(1) / x.shape[1]),
        ("summed over space", lambda x: torch.einsum("bc,bchw->bhw", x.flatten(2).sum(2).softmax(1), x)),
        ("", lambda x: torch.einsum("bc,bchw->bhw", x.mean((2, 3)), x)),
        ("", lambda x: torch.einsum("bc,bchw->bhw", x.amax((2, 3)).softmax(1), x)),
        ("", lambda x: torch.einsum("bc,bchw->bhw", x.mean((2, 3)).softmax(0), x)),
        ("", lambda x: torch.einsum("bc,bchw->bhw", F.normalize(x.mean((2, 3)), p=1, dim=1), x)),
        ("", lambda x: torch.einsum("c,bchw->bhw", x.mean((0, 2, 3)).softmax(0), x)),
        ("", lambda x: torch.zeros_like(x[:, 0])),
        ("", lambda x: trilinear_attention(x, 7.0)[:, (x.sum((0, 2, 3)) == 0).nonzero()[0, 0]]),
        ("", lambda x: torch.einsum("bc,bchw->bchw", x.mean((2, 3)).softmax(1), x)),
        ("", lambda x: torch.einsum("bc,bchw->bhw", x.mean((2, 3)).masked_fill(x.sum((2, 3)) == 0, -9).softmax(1), x)),
    ],
    "structure_and_detail": [
        ("", every_map_by_loop),
        ("", every_map_added_up),
        ("", last_axis_maps),
        ("", lambda r, x, k: ((r @ x.flatten(2)).mean(1).view_as(x[:, 0]), two(mean_row, own_row)(r, x, k)[1])),
        ("weighted by the channel's column", two(mean_row, lambda r, k: r[torch.arange(len(r)), :, k])),
        ("weights all channels equally", two(lambda r, k: torch.full_like(r[:, 0], 1 / r.shape[1]), own_row)),
        ("weights all channels equally", two(lambda r, k: r.mT.mean(1), own_row)),
        ("", two(lambda r, k: r.sum(1), own_row)),
        ("first image's channel", two(mean_row, lambda r, k: r[:, k[0]])),
        ("", two(own_row, mean_row)),
        ("", two(mean_row, lambda r, k: r[torch.arange(len(r)), torch.arange(len(r))])),
        ("", two(mean_row, lambda r, k: r[0, k])),
        ("", lambda r, x, k: torch.stack(two(mean_row, own_row)(r, x, k))),
        ("", lambda r, x, k: two(mean_row, own_row)(r, x, k)[0]),
    ],
    "attend_over_channels": [
        ("", attended_by_hand),
        ("", lambda x, s: trilinear_attention(x, s)),
        ("default scale", attended(lambda x, s: (s * x).softmax(-1), None)),
        ("query is X itself", attended(lambda x, s: x)),
        ("runs over channels", attended(lambda x, s: (s * x).softmax(1))),
        ("", attended(lambda x, s: x.softmax(-1))),
        ("", attended(lambda x, s: s * x)),
        ("", lambda x, s: attended(lambda y, _: y.softmax(-1), s)(x, s)),
        ("", attended(lambda x, s: s * x.softmax(-1))),
        ("", lambda x, s: attended(lambda y, _: (s * y).softmax(-1))(x, s).flatten(2)),
    ],
}
