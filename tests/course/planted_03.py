"""Answers to the exercises of notebook 03 from the map to its zoom, right and wrong; see planted_01."""

import numpy as np
import torch


def limited_by_sorting(zoom, cap):
    order = zoom.sort(descending=True).values
    for clipped in range(len(zoom)):
        rest = order[clipped:]
        d = (len(zoom) - clipped * cap - rest.sum()) / len(rest)
        if rest[0] + d <= cap + 1e-6:
            return (zoom + d).clamp(max=cap)
    return torch.full_like(zoom, cap)


def limited_by_rounds(u, limit):
    u = u.clone().clamp(max=limit)
    for _ in range(60):
        u = torch.where(u < limit, u + (1 - u.mean()) * len(u) / max(int((u < limit).sum()), 1), u).clamp(max=limit)
    return u


def limited_by_newton(zoom, cap):
    d = torch.tensor(0.0)
    for _ in range(len(zoom) + 5):
        free = zoom + d < cap
        d = d + (1 - (zoom + d).clamp(max=cap).mean()) * len(zoom) / free.sum().clamp_min(1)
    return (zoom + d).clamp(max=cap)


def limited_by_numpy(zoom, cap):
    u, low, high = zoom.numpy(), 0.0, float(cap)
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.minimum(u + middle, cap).mean() < 1 else (low, middle)
    return np.minimum(u + high, cap)


def limited_wildly(zoom, cap):
    low, high = 0.0, 1.0
    for _ in range(60):
        d = (low + high) / 2
        low, high = (d, high) if (zoom + d).clamp(max=cap).mean() < 1 else (low, d)
    return zoom + d


def two_are_clipped(zoom, cap):
    clipped = zoom.clamp(max=cap)
    free = zoom < zoom.topk(2).values[-1]
    d = (1 - clipped.mean()) * len(zoom) / free.sum()
    return torch.where(free, clipped + d, torch.full_like(zoom, cap))


def once_more(zoom, cap):
    for _ in range(2):
        zoom = zoom.clamp(max=cap)
        zoom = zoom + (zoom < cap) * (1 - zoom.mean()) * len(zoom) / (zoom < cap).sum()
    return zoom


def never_ends(zoom, cap):
    """With nothing to clip, or everything, its condition is never met."""
    low, high = 0.0, cap
    for _ in range(20):
        d = (low + high) / 2
        low, high = (d, high) if (zoom + d).clamp(max=cap).mean() < 0.99 else (low, d)
    return (zoom + d).clamp(max=cap)


def largest_of_columns(heat):
    profile = [max(heat[row, column].item() for row in range(heat.shape[0])) for column in range(heat.shape[1])]
    return torch.tensor(profile) * len(profile) / sum(profile)


RIGHT = {
    "magnification": [
        lambda zoom, left, right: sum(zoom[i] for i in range(left, right)) / (right - left),
        lambda u, start, end: (u.cumsum(0)[end - 1] - u.cumsum(0)[left_of(start)] * (start > 0)) / (end - start),
        lambda zoom, left, right: np.mean(zoom.numpy()[left:right]),
        lambda zoom, left, right: zoom[left:right].sum() / zoom.sum() * len(zoom) / (right - left),
    ],
    "marginal_zoom": [
        largest_of_columns,
        lambda attention: attention.max(0).values / attention.max(0).values.sum() * attention.shape[1],
        lambda heat: heat.numpy().max(axis=0) / heat.numpy().max(axis=0).mean(),
    ],
    "limit_zoom": [limited_by_rounds, limited_by_newton, limited_by_numpy],
}


def left_of(edge):
    return max(edge - 1, 0)


WRONG = {
    "magnification": [
        ("summed the zoom", lambda zoom, left, right: zoom[left:right].sum()),
        ("", lambda zoom, left, right: zoom[left:right].amax()),
        ("counted pixel `right`", lambda zoom, left, right: zoom[left : right + 1].mean()),
        ("", lambda zoom, left, right: zoom[left:right].sum() / len(zoom)),
        ("", lambda zoom, left, right: zoom[left:right].sum() / (right - left + 1)),
        ("", lambda zoom, left, right: zoom[left + 1 : right].sum() / (right - left)),
        ("", lambda zoom, left, right: zoom[left:right].median()),
        ("", lambda zoom, left, right: (zoom.cumsum(0)[right - 1] - zoom.cumsum(0)[left - 1]) / (right - left)),
        ("", lambda zoom, left, right: (zoom[left] + zoom[right - 1]) / 2),
        ("", lambda zoom, left, right: (zoom[left:right] ** 2).mean()),
    ],
    "marginal_zoom": [
        ("summed over the rows", lambda a: a.mean(0) / a.mean()),
        ("wrong axis", lambda a: a.max(1).values / a.max(1).values.mean()),
        ("", lambda a: a.amax(0) / a.amax(0).sum()),
        ("", lambda a: a.max(dim=0).values),
        ("", lambda a: a.amax(0) / a.amax(0).max()),
        ("", lambda a: a.amax(0) / a.mean()),
        ("", lambda a: (a.amax(0) + 1e-2) / (a.amax(0) + 1e-2).mean()),
        ("", lambda a: a.amax(0).softmax(0) * a.shape[1]),
        ("", lambda a: a.amax(0) / a.amax(0).mean().clamp_min(2.5)),
        ("", lambda a: a.amax(0) / a.amax(0).median()),
        ("", lambda a: (a.amax(0) / a.amax(0).mean()).clamp(max=1.5)),
    ],
    "limit_zoom": [
        ("", limited_by_sorting),
        ("", limited_wildly),
        ("", two_are_clipped),
        ("", once_more),
        ("", never_ends),
        ("only clipped", lambda zoom, cap: torch.where(zoom > cap, cap, zoom)),
        ("", lambda u, cap: u.clamp(max=cap) / u.clamp(max=cap).sum() * len(u)),
        ("spread the excess over all", lambda u, cap: u.clamp(max=cap) + (u - cap).clamp(min=0).mean()),
        ("", lambda u, cap: limited_by_newton(u, 2.0)),
        ("", lambda u, cap: limited_by_newton(u, cap) if (u > cap).any() else u / u.max() * cap),
        ("", lambda u, cap: limited_by_newton(u, min(cap, 1.04))),
        ("", lambda u, cap: limited_by_newton(u, cap) if cap > 1 else u),
        ("", lambda u, cap: (u / u.max() * cap).clamp(max=cap)),
        ("", lambda u, cap: u.clamp(max=cap) + (u == u.min()) * (u - cap).clamp(min=0).sum()),
    ],
}
