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


def holm_by_loops(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    found = [False] * len(p_values)
    for k, i in enumerate(order):
        if p_values[i] <= 0.05 / (len(p_values) - k):
            found[i] = True
        else:
            return found
    return found


def holm_by_cumprod(p):
    order = p.argsort()
    passed = p[order] * torch.arange(len(p), 0, -1) <= 0.05
    return passed.cumprod(0)[order.argsort()].bool()


def holm_by_adjusted(p):
    p = p.numpy()
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    result = np.empty(len(p), dtype=bool)
    result[order] = adjusted <= 0.05
    return result


def holm_with(limits, stop=True, back=True):
    """Holm's rule with other limits, without its stop, or in the order of the sorted p-values."""

    def answer(p):
        order = p.argsort()
        passed = p[order] <= limits(len(p), torch.arange(len(p)))
        passed = passed.cumprod(0).bool() if stop else passed
        return passed[order.argsort()] if back else passed

    return answer


def from_the_largest(p):
    order = p.argsort()
    passed = p[order] <= 0.05 / torch.arange(len(p), 0, -1)
    return passed.flip(0).cummax(0).values.flip(0)[order.argsort()]


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
    "holm": [holm_by_loops, holm_by_cumprod, holm_by_adjusted, holm_with(lambda m, k: 0.05 / (m - k))],
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
    "holm": [
        ("Bonferroni", lambda p: p <= 0.05 / len(p)),
        ("did not correct", lambda p: p <= 0.05),
        ("did not stop", holm_with(lambda m, k: 0.05 / (m - k), stop=False)),
        ("sorted p-values", holm_with(lambda m, k: 0.05 / (m - k), back=False)),
        ("", from_the_largest),
        ("", lambda p: ~torch.tensor(holm_by_loops(p))),
        ("", holm_with(lambda m, k: 0.05 * (k + 1) / m)),
        ("", holm_with(lambda m, k: 5 / (m - k))),
        ("", holm_with(lambda m, k: 0.05 / (k + 1))),
        ("", holm_with(lambda m, k: 0.05 / (m - k + 1))),
        ("", lambda p: torch.tensor(holm_by_loops(p)).sum()),
        ("", lambda p: p.argsort()[torch.tensor(holm_by_loops(p))[p.argsort()]]),
        ("", lambda p: torch.tensor([one <= 0.05 / (len(p) - k) for k, one in enumerate(p)])),
    ],
}
