"""Answers to the exercises of notebook 01: right ones in several styles, and wrong ones as students make them.

A wrong answer stands beside a piece of the message that names its mistake, or "" where no known mistake is to be named.
"""

import numpy as np
import torch
from torch.nn import functional as F

from tasnlib.attention import bilinear_attention


def relation_by_loops(feats):
    b, c = feats.shape[:2]
    result = torch.zeros(b, c, c)
    for image in range(b):
        for i in range(c):
            for j in range(c):
                result[image, i, j] = (feats[image, i] * feats[image, j]).sum()
    return result


def where_by_loops(x, s):
    return torch.stack([torch.stack([(s * one).flatten().softmax(0).view_as(one) for one in image]) for image in x])


def partner_by_loops(table, i):
    found = []
    for rows in table.tolist():
        others = [(weight, -j) for j, weight in enumerate(rows[i]) if j != i]
        found.append(-max(others)[1])
    return found


def partner_by_deletion(relation, channel):
    others = torch.cat([relation[:, channel, :channel], relation[:, channel, channel + 1 :]], dim=1).argmax(1)
    return others + (others >= channel)


def partner_without_shift(relation, channel):
    return torch.cat([relation[:, channel, :channel], relation[:, channel, channel + 1 :]], dim=1).argmax(1)


def partner_in_place(relation, channel):
    relation[:, channel, channel] = -1
    return relation[:, channel].argmax(-1)


def share_in_box_by_loops(heat, inside):
    result = np.zeros(heat.shape[:2])
    for image, maps in enumerate(heat.numpy()):
        for channel, one in enumerate(maps):
            one = one if one.any() else np.ones_like(one)
            result[image, channel] = (one * inside[image].numpy()).sum() / one.sum()
    return result


def relation_of(features, s):
    x = features.flatten(2)
    return ((s * x).softmax(-1) @ x.mT).softmax(-1)


def share_by_silencing(features, scale):
    """Each channel alone, through all rows."""
    table, x = relation_of(features, scale), features.flatten(2)
    total = (table @ x).sum((1, 2))
    parts = [(table[:, :, j : j + 1] * x[:, j : j + 1]).sum((1, 2)) for j in range(x.shape[1])]
    return torch.stack(parts, dim=1) / (total[:, None] + (total == 0)[:, None])


def share_by_loops(features, scale):
    result = np.zeros(features.shape[:2])
    for image, x in enumerate(features.flatten(2)):
        table = ((scale * x).softmax(-1) @ x.T).softmax(-1)
        for i in range(len(x)):
            for j in range(len(x)):
                result[image, j] += (table[i, j] * x[j].sum()).item()
        result[image] /= result[image].sum() or 1
    return result


def of_its_sum(given):
    return given / given.sum(1, keepdim=True).clamp_min(1e-9)


RIGHT = {
    "relation": [
        relation_by_loops,
        lambda features: torch.einsum("bchw,bdhw->bcd", features, features),
        lambda maps: maps.flatten(2).numpy() @ maps.flatten(2).numpy().transpose(0, 2, 1),
        lambda features: torch.stack([x.flatten(1) @ x.flatten(1).T for x in features]),
    ],
    "where_it_fires": [
        where_by_loops,
        lambda maps, s: F.softmax(s * maps.reshape(*maps.shape[:2], -1), dim=2).reshape(maps.shape),
        lambda features, scale: (scale * features - (scale * features).flatten(2).logsumexp(2)[..., None, None]).exp(),
    ],
    "fires_there_too": [
        lambda where, features: torch.einsum("bihw,bjhw->bij", where, features).softmax(2),
        lambda a, b: F.softmax(torch.bmm(a.flatten(2), b.flatten(2).mT), dim=-1),
        lambda weights, x: torch.stack(
            [(w.flatten(1) @ f.flatten(1).T).softmax(1) for w, f in zip(weights, x, strict=True)]
        ),
        lambda where, features: (where[:, :, None] * features[:, None]).sum((3, 4)).softmax(-1),
    ],
    "strongest_partner": [
        partner_by_loops,
        partner_by_deletion,
        lambda r, k: r[:, k].masked_fill(torch.arange(r.shape[2]) == k, -torch.inf).argmax(1),
        lambda relation, channel: np.where(np.arange(relation.shape[1]) == channel, 0, relation[:, channel]).argmax(1),
    ],
    "share_in_box": [
        share_in_box_by_loops,
        lambda maps, cover: (torch.einsum("bchw,bhw->bc", maps, cover) / maps.sum((2, 3))).where(
            maps.any(3).any(2), cover.mean((1, 2))[:, None]
        ),
        lambda m, inside: ((m + 1e-9) * inside.unsqueeze(1)).flatten(2).sum(2) / (m + 1e-9).flatten(2).sum(2),
    ],
    "share_from": [
        share_by_silencing,
        share_by_loops,
        lambda x, s: of_its_sum((relation_of(x, s) @ x.flatten(2).sum(2).diag_embed()).sum(1)),
        lambda x, s: F.normalize(torch.einsum("bij,bjhw->bj", relation_of(x, s), x), p=1),
    ],
}

WRONG = {
    "relation": [
        ("cells with cells", lambda x: torch.einsum("bcx,bcy->bxy", x.flatten(2), x.flatten(2))),
        ("", lambda x: x.flatten(2) @ x.flatten(2).mT / x[0, 0].numel()),
        ("", lambda x: F.normalize(x.flatten(2), dim=2) @ F.normalize(x.flatten(2), dim=2).mT),
        ("", lambda x: x.squeeze().flatten(-2) @ x.squeeze().flatten(-2).mT),
        ("", lambda x: (x.flatten(2) @ x.flatten(2).mT)[:1].expand(len(x), -1, -1)),
        ("", lambda x: x.sum(-1) @ x.sum(-1).mT),
        ("", lambda x: x.flatten(2) @ x.mT.flatten(2).mT),
        ("summed over the batch", lambda x: torch.einsum("bihw,bjhw->ij", x, x).repeat(len(x), 1, 1)),
        ("", lambda x: (x.flatten(2) @ x.flatten(2).mT).softmax(-1)),
    ],
    "where_it_fires": [
        ("along the width only", lambda x, s: F.softmax(x * s, dim=3)),
        ("over the channels", lambda x, s: F.softmax(x * s, dim=1)),
        ("powers overflow", lambda x, s: torch.exp(s * x) / torch.exp(s * x).sum(dim=(2, 3), keepdim=True)),
        ("", lambda x, s: s * x.flatten(2).softmax(-1).view_as(x)),
        ("", lambda x, s: (s * x).softmax(2).softmax(3)),
        ("", lambda x, s: (s * x).flatten().softmax(0).view_as(x)),
        ("", lambda x, s: (s * x).flatten(2).softmax(-1)),
        ("", lambda x, s: (x / s).flatten(2).softmax(-1).view_as(x)),
        ("", lambda x, s: (7 * x).flatten(2).softmax(-1).view_as(x)),
        ("", lambda x, s: (s * x).flatten(2).softmax(-1).view(*x.shape[:2], x.shape[3], x.shape[2]).mT),
        ("", lambda x, s: x / x.sum((2, 3), keepdim=True)),
        ("", lambda x, s: x.flatten(2).mul_(s).softmax(-1).view_as(x)),
    ],
    "fires_there_too": [
        ("columns sum to 1", lambda where, x: (where.flatten(2) @ x.flatten(2).mT).softmax(-2)),
        ("swapped the factors", lambda where, x: torch.einsum("bihw,bjhw->bij", x, where).softmax(-1)),
        ("", lambda where, x: (where.flatten(2) @ where.flatten(2).mT).softmax(-1)),
        ("", lambda where, x: (x.flatten(2) @ x.flatten(2).mT).softmax(-1)),
        ("", lambda where, x: (where.flatten(2) @ x.flatten(2).mT).flatten(1).softmax(1).view(len(x), x.shape[1], -1)),
        ("", lambda where, x: F.normalize(where.flatten(2) @ x.flatten(2).mT, p=1, dim=-1)),
        ("", lambda where, x: (where.flatten(2) @ x.flatten(2).mT / x[0, 0].numel()).softmax(-1)),
        ("", lambda where, x: (where.flatten(2).mT @ x.flatten(2)).softmax(-1)),
        ("", lambda where, x: (where[0].flatten(1) @ x.flatten(2).mT).softmax(-1)),
        ("", lambda where, x: 1 / (1 + (-where.flatten(2) @ x.flatten(2).mT).exp())),
    ],
    "strongest_partner": [
        ("", lambda r, i: r[:, i].argsort(descending=True)[:, 1]),
        ("", lambda r, i: r[:, i].argsort()[:, -2]),
        ("its own partner", lambda r, i: r.argmax(-1)[:, i]),
        ("", partner_without_shift),
        ("", partner_in_place),
        ("", lambda r, i: r[0, i].masked_fill(torch.arange(r.shape[1]) == i, -1).argmax().expand(len(r))),
        ("", lambda r, i: (r - 9 * torch.eye(r.shape[1])).flatten(1).argmax(1) % r.shape[1]),
        ("", lambda r, i: (r[:, i].argmax(-1) + 1) % r.shape[-1]),
        ("", lambda r, i: r[:, i].masked_fill(torch.arange(r.shape[1]) == i, 9).argmin(1)),
        ("", lambda r, i: r[:, i].masked_fill(r[:, i] == r[:, i].amax(1, keepdim=True), -1).argmax(1)),
        ("read a column", lambda r, i: r[:, :, i].masked_fill(torch.arange(r.shape[1]) == i, -1).argmax(1)),
    ],
    "share_in_box": [
        ("", lambda m, cover: torch.einsum("bchw,bhw->bc", m, cover) / m.sum((2, 3))),
        ("", lambda m, cover: torch.einsum("bchw,bhw->bc", m, cover) / m.sum((2, 3)).clamp_min(1)),
        ("", lambda m, cover: torch.einsum("bchw,bhw->bc", m, cover) / (m.sum((2, 3)) + 0.01)),
        ("", lambda m, cover: torch.einsum("bchw,bhw->bc", m, cover) / m.sum().clamp_min(1e-9)),
        ("", lambda m, cover: torch.einsum("bchw,bhw->bc", m, (cover > 0.5).float()) / m.sum((2, 3)).clamp_min(1e-9)),
        ("", lambda m, cover: torch.einsum("bchw,hw->bc", m, cover[0]) / m.sum((2, 3)).clamp_min(1e-9)),
        ("", lambda m, cover: torch.einsum("bchw,bhw->bc", m, 1 - cover) / m.sum((2, 3)).clamp_min(1e-9)),
        ("size of the box", lambda m, cover: torch.einsum("bchw,bhw->bc", m, cover) / cover.sum((1, 2))[:, None]),
        ("", lambda m, cover: torch.einsum("bchw,bhw->bc", m, cover) / m.amax((2, 3)).clamp_min(1e-9)),
        ("", lambda m, cover: torch.nan_to_num((m * cover[:, None]).sum((2, 3)) / m.sum((2, 3)), nan=1.0)),
        ("", lambda m, cover: torch.nan_to_num((m * cover[:, None]).sum((2, 3)) / m.sum((2, 3)))),  # zeros count as 0
    ],
    "share_from": [
        ("", lambda x, s: of_its_sum(bilinear_attention(x, s).sum(1) * x.sum((2, 3)))),
        ("Take its column", lambda x, s: of_its_sum((relation_of(x, s) @ x.flatten(2)).sum(-1))),
        ("added up weights alone", lambda x, s: of_its_sum(relation_of(x, s).sum(1))),
        ("no effect", lambda x, s: of_its_sum(x.sum((2, 3)))),
        ("", lambda x, s: of_its_sum(relation_of(x, s).sum(2) * x.amax((2, 3)))),
        ("", lambda x, s: relation_of(x, s).sum(1) * x.sum((2, 3))),
        ("", lambda x, s: of_its_sum(relation_of(x, 1).sum(1) * x.sum((2, 3)))),
        ("", lambda x, s: of_its_sum((x.flatten(2) @ x.flatten(2).mT).sum(1) * x.sum((2, 3)))),
        ("", lambda x, s: (given := relation_of(x, s).sum(1) * x.sum((2, 3))) / given.sum().clamp_min(1e-9)),
        ("", lambda x, s: relation_of(x, s).sum(1) * x.sum((2, 3)) / x.sum((1, 2, 3))[:, None].clamp_min(1e-9)),
        ("", lambda x, s: of_its_sum(torch.diagonal(relation_of(x, s), dim1=1, dim2=2) * x.sum((2, 3)))),
    ],
}
