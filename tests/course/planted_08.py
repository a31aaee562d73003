"""Answers to the exercises of notebook 08, right and wrong; see planted_01."""

import math
import statistics

import numpy as np
import torch


def gain_by_loops(mine, its):
    differences = [100 * (int(a) - int(b)) for a, b in zip(mine.tolist(), its.tolist(), strict=True)]
    return statistics.mean(differences), statistics.stdev(differences) / math.sqrt(len(differences))


def gain_by_counts(mine, its):
    """As McNemar's test counts: only the photographs on which they differ matter."""
    n, won, lost = len(mine), int((mine & ~its).sum()), int((its & ~mine).sum())
    mean = (won - lost) / n
    variance = ((won + lost) / n - mean**2) * n / (n - 1)
    return 100 * mean, 100 * math.sqrt(max(variance, 0) / n)


def gain(mean=lambda d: d.mean(), error=lambda d: d.std() / len(d) ** 0.5):
    def answer(mine, its):
        d = 100 * (mine.double() - its.double())
        return mean(d), error(d)

    return answer


def unpaired(mine, its):
    p, q, n = mine.float().mean(), its.float().mean(), len(mine)
    both = mine.float().var() + its.float().var()
    return 100 * (p - q), 100 * (both / n).sqrt()


def views_by_loops(plain, sampled):
    result = torch.zeros_like(plain)
    for logits in (plain, sampled):
        for row, values in enumerate(logits):
            powers = (values - values.max()).exp()
            result[row] += powers / powers.sum() / 2
    return result


def views(combine, dim=1):
    return lambda plain, sampled: combine(plain.softmax(dim), sampled.softmax(dim))


RIGHT = {
    "gain_and_error": [
        gain_by_loops,
        gain_by_counts,
        lambda a, b: torch.stack([gain()(a, b)[0], gain()(a, b)[1]]),
        lambda a, b: (
            (a.numpy().mean() - b.numpy().mean()) * 100,
            np.std(100.0 * a.numpy() - 100.0 * b.numpy(), ddof=1) / np.sqrt(a.numel()),
        ),
    ],
    "two_views": [
        views_by_loops,
        views(lambda p, q: torch.stack([p, q]).mean(0)),
        lambda plain, sampled: torch.cat([plain, sampled]).softmax(-1).view(2, *plain.shape).mean(0),
        lambda p, q: 0.5 * torch.log_softmax(p, 1).exp() + 0.5 * torch.log_softmax(q, 1).exp(),
    ],
}

WRONG = {
    "gain_and_error": [
        ("on different photographs", unpaired),
        ("divide by the root", gain(error=lambda d: d.std())),
        ("sign is wrong", lambda a, b: gain_by_loops(b, a)),
        ("factor of 100", lambda a, b: [value / 100 for value in gain_by_loops(a, b)]),
        ("already divides by n - 1", gain(error=lambda d: d.std() / (len(d) - 1) ** 0.5)),
        ("", gain(error=lambda d: d.std(unbiased=False) / len(d) ** 0.5)),
        ("", gain(error=lambda d: d.var() / len(d))),
        ("", gain(error=lambda d: 1.96 * d.std() / len(d) ** 0.5)),
        ("", gain(mean=lambda d: d.abs().mean())),
        ("", gain(mean=lambda d: d.sum())),
        ("", gain(mean=lambda d: d.median())),
        ("", lambda a, b: gain()(a, b)[::-1]),
        ("", lambda a, b: gain()(a, b)[0]),
        ("", lambda a, b: a.float() - b.float()),
    ],
    "two_views": [
        ("averaged the logits", lambda p, q: torch.stack([p, q]).mean(0).softmax(-1)),
        ("multiplied the probabilities", lambda p, q: (p.log_softmax(1) + q.log_softmax(1)).softmax(1)),
        ("runs over the images", views(lambda p, q: (p + q) / 2, dim=0)),
        ("sums to 2", views(torch.add)),
        ("more certain view", views(lambda p, q: p.maximum(q))),
        ("", views(lambda p, q: p * q)),
        ("", views(lambda p, q: (p * q).sqrt())),
        ("", views(lambda p, q: p)),
        ("", views(lambda p, q: q)),
        ("", lambda p, q: (p.exp() / p.exp().sum(1, True) + q.exp() / q.exp().sum(1, True)) / 2),
        ("", lambda p, q: torch.cat([p, q], 1).softmax(1).view(len(p), 2, -1).sum(1)),
        ("", views(lambda p, q: ((p + q) / 2).log())),
        ("", lambda p, q: p.sigmoid() / 2 + q.sigmoid() / 2),
    ],
}
