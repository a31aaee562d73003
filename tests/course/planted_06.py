"""Answers to the exercises of notebook 06, right and wrong; see planted_01."""

import math
import statistics

import numpy as np
import torch


def paired_by_loops(a, b):
    differences = [x - y for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    return statistics.mean(differences), statistics.stdev(differences)


def paired_by_covariance(mine, its):
    cov = np.cov(np.stack([mine.double().numpy(), its.double().numpy()]))
    return mine.mean() - its.mean(), math.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 0))


def pair(mean=lambda d: d.mean(), spread=lambda d: d.std()):
    return lambda mine, its: (mean(mine - its), spread(mine - its))


def error_by_loops(rows):
    return torch.tensor([statistics.stdev(row) / math.sqrt(len(row)) for row in rows.tolist()])


def error_by_squares(differences):
    away = differences - differences.mean(1, keepdim=True)
    n = differences.size(1)
    return (away.square().sum(1) / (n * (n - 1))).sqrt()


def wins_by_loops(accuracies, reference):
    result = []
    for row in accuracies.tolist():
        result.append(sum(1 if a > r else 0.5 if a == r else 0 for a, r in zip(row, reference.tolist(), strict=True)))
    return result


def front_by_loops(accuracies, costs):
    points = list(zip(accuracies.tolist(), costs.tolist(), strict=True))
    return torch.tensor([not any(a >= p and c <= k and (a, c) != (p, k) for a, c in points) for p, k in points])


def front_by_sorting(accuracies, costs):
    front = torch.zeros(len(costs), dtype=torch.bool)
    for cost in costs.unique():
        best = accuracies[costs == cost].max()
        if not (costs < cost).any() or best > accuracies[costs < cost].max():
            front |= (costs == cost) & (accuracies == best)
    return front


def front_by_numpy(a, k):
    a, k = a.numpy(), k.numpy()
    better = (a[None] >= a[:, None]) & (k[None] <= k[:, None]) & ((a[None] != a[:, None]) | (k[None] != k[:, None]))
    return ~better.any(1)


def front(beats):
    return lambda a, k: ~beats(a, a[:, None], k, k[:, None]).any(1)


def only_first_of_twins(accuracies, costs):
    points = list(zip(accuracies.tolist(), costs.tolist(), strict=True))
    return front_by_loops(accuracies, costs) & torch.tensor([one not in points[:i] for i, one in enumerate(points)])


def inside(low=lambda p, edge: p >= edge, high=lambda p, edge: p < edge):
    """The exercise's answer, with these comparisons at the edges."""

    def answer(x, y, box, height, width):
        columns = (low(x, box[0]) & high(x, box[2])).float().mean()
        rows = (low(y, box[1]) & high(y, box[3])).float().mean()
        return columns * rows * width * height / ((box[2] - box[0]) * (box[3] - box[1]))

    return answer


def magnified_by_loops(x, y, box, height, width):
    x0, y0, x1, y1 = box
    count = sum(1 for column in x.tolist() for row in y.tolist() if x0 <= column < x1 and y0 <= row < y1)
    return count / (len(x) * len(y)) / ((x1 - x0) * (y1 - y0) / (height * width))


def magnified_by_search(x, y, box, h, w):
    edges = torch.tensor(box, dtype=torch.float).view(2, 2).T.contiguous()
    found = [torch.searchsorted(p, edge).diff().item() for p, edge in zip((x, y), edges, strict=True)]
    return found[0] / len(x) * w / (box[2] - box[0]) * found[1] / len(y) * h / (box[3] - box[1])


RIGHT = {
    "paired_difference": [
        paired_by_loops,
        paired_by_covariance,
        lambda mine, its: torch.stack([(mine - its).mean(), (mine - its).std()]),
        lambda a, b: [np.mean((a - b).numpy()), np.std((a - b).numpy(), ddof=1)],
    ],
    "standard_error": [
        error_by_loops,
        error_by_squares,
        lambda d: d.numpy().std(axis=1, ddof=1) / np.sqrt(d.shape[1]),
    ],
    "wins": [
        wins_by_loops,
        lambda accuracies, reference: ((accuracies - reference).sign() + 1).sum(1) / 2,
        lambda a, r: np.where(a.numpy() > r.numpy(), 1, np.where(a.numpy() == r.numpy(), 0.5, 0)).sum(axis=1),
    ],
    "pareto_front": [front_by_loops, front_by_sorting, front_by_numpy],
    "part_magnification": [magnified_by_loops, magnified_by_search, inside()],
}

WRONG = {
    "paired_difference": [
        ("two unpaired groups", lambda a, b: (a.mean() - b.mean(), (a.std() ** 2 + b.std() ** 2) ** 0.5)),
        ("divides by n", pair(spread=lambda d: ((d - d.mean()) ** 2).mean() ** 0.5)),
        ("sign is wrong", lambda a, b: paired_by_loops(b, a)),
        ("standard error", pair(spread=lambda d: d.std() / math.sqrt(len(d)))),
        ("", lambda a, b: (a.mean() - b.mean(), a.std() - b.std())),
        ("", pair(mean=lambda d: d.median())),
        ("", pair(spread=lambda d: d.var())),
        ("", pair(mean=lambda d: d.abs().mean())),
        ("", pair(spread=lambda d: d.amax() - d.amin())),
        ("", lambda a, b: pair()(a, b)[::-1]),
        ("", lambda a, b: (a - b).mean()),
        ("", pair(spread=lambda d: d.abs().std())),
    ],
    "standard_error": [
        ("deviation over seeds", lambda d: d.var(1).sqrt()),
        ("", lambda d: error_by_squares(d) / d.shape[1] ** 0.5),
        ("the population's", lambda d: d.std(1, unbiased=False) / math.sqrt(d.shape[1])),
        ("", lambda d: d.var(1) / d.shape[1]),
        ("√(n - 1)", lambda d: d.std(1) / (d.shape[1] - 1) ** 0.5),
        ("", lambda d: d.std(1) / math.sqrt(len(d))),
        ("", lambda d: d.std(0) / math.sqrt(len(d))),
        ("", lambda d: d.std() / d.numel() ** 0.5),
        ("", lambda d: d.mean(1) / error_by_squares(d)),
        ("", lambda d: d.abs().mean(1) / d.shape[1] ** 0.5),
        ("", lambda d: error_by_squares(d) * 1.96),
        ("", lambda d: error_by_squares(d).mean()),
        ("", lambda d: error_by_squares(d[:, :5]) * (min(5, d.shape[1]) / d.shape[1]) ** 0.5),
    ],
    "wins": [
        ("ignored ties", lambda a, r: (a > r).float().sum(1)),
        ("ties as wins", lambda a, r: (a >= r).float().sum(1)),
        ("reference's wins", lambda a, r: a.shape[1] - torch.tensor(wins_by_loops(a, r))),
        ("", lambda a, r: (a > r).sum(0) + (a == r).sum(0) / 2),
        ("", lambda a, r: ((a > r).sum(1) + 0.5 * (a == r).sum(1)) / a.shape[1]),
        ("", lambda a, r: (a > r.mean()).sum(1) + 0.5 * (a == r).sum(1)),
        ("", lambda a, r: (a.mean(1) > r.mean()).float()),
        ("", lambda a, r: (a > r).sum(1) - (a < r).sum(1)),
        ("", lambda a, r: (a > r + 0.2).sum(1) + 0.5 * ((a - r).abs() <= 0.2).sum(1)),
        ("", lambda a, r: (a > r).sum(1) + (a == r).sum(1) // 2),
        ("", lambda a, r: ((a > r).sum(1) + 0.5 * (a == r).sum(1)).round()),
        ("", lambda a, r: ((a > r).sum(1) + 0.5 * (a == r).sum(1)).sum()),
    ],
    "pareto_front": [
        ("better in both", front(lambda a, me, k, cost: (a > me) & (k < cost))),
        ("beats itself", front(lambda a, me, k, cost: (a >= me) & (k <= cost))),
        ("prefers high costs", lambda a, k: front_by_numpy(a, -k)),
        ("marked the beaten", lambda a, k: ~front_by_numpy(a, k)),
        ("", front(lambda a, me, k, cost: (a > me) & (k <= cost))),
        ("", front(lambda a, me, k, cost: (a >= me) & (k < cost))),
        ("", front(lambda a, me, k, cost: (a > me) | (k < cost))),
        ("", only_first_of_twins),
        ("", lambda a, k: front_by_numpy(-a, k)),
        ("", lambda a, k: (a == a.max()) | (k == k.min())),
        ("", lambda a, k: a / k >= (a / k).quantile(0.7)),
        ("", lambda a, k: front_by_numpy(a, k).nonzero().flatten()),
        ("", lambda a, k: a >= a[k.argsort()].cummax(0).values),
    ],
    "part_magnification": [
        ("number of pixels", lambda x, y, box, h, w: inside()(x, y, box, len(y), len(x)) * area(box)),
        ("share of the sampled image", lambda x, y, box, h, w: inside()(x, y, box, 1, 1) * area(box)),
        ("", lambda x, y, box, h, w: inside()(x, y, box, 1, w)),
        ("along x only", lambda x, y, box, h, w: inside()(x, y, (box[0], -1, box[2], h + 1), h, w) * (h + 2) / h),
        ("mixed up the axes", lambda x, y, box, h, w: inside()(x, y, (box[1], box[0], box[3], box[2]), h, w)),
        ("", inside(high=lambda p, edge: p <= edge)),
        ("", inside(low=lambda p, edge: p > edge)),
        ("", inside(low=lambda p, edge: p > edge, high=lambda p, edge: p <= edge)),
        ("", inside(low=lambda p, edge: p >= edge - 0.5)),
        ("", lambda x, y, box, h, w: inside()(x, y, box, h, w) ** 0.5),
        ("", lambda x, y, box, h, w: 1 / inside()(x, y, box, h, w).clamp_min(1e-3)),
        ("", lambda x, y, box, h, w: inside()(x, y, box, 40, 40)),
        ("", lambda x, y, box, h, w: inside()(x, y, (*box[:2], box[0] + box[2], box[1] + box[3]), h, w)),
        ("", lambda x, y, box, h, w: inside()(x[:13], y[:13], box, h, w)),
        ("", lambda x, y, box, h, w: inside()(x, y, box, h, w).clamp_min(0.1)),
    ],
}


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])
