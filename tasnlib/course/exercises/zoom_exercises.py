"""Exercises of notebook 03, from the map to its zoom. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake, uniform, whole


def _zoom_and_interval(generator):
    size = whole(8, 14, generator)
    zoom = uniform(size, 0, 1, generator) ** 2 + 0.1
    left = whole(1, 3, generator)
    return {"zoom": zoom / zoom.mean(), "left": left, "right": left + whole(2, 4, generator)}


def magnification(zoom, left, right):
    return zoom[left:right].mean()


def _map(generator):
    h = whole(3, 6, generator)
    w = h + whole(1, 3, generator)
    return {"attention": 2 * torch.rand(h, w, generator=generator, dtype=torch.float64) + 1.1}


def marginal_zoom(attention):
    profile = attention.amax(dim=0)  # (w,): the maximum over the rows
    return profile / profile.mean()


def _zoom_and_cap(generator):
    """One pixel above the cap, and one so close below it that spreading the excess evenly lifts it above the cap."""
    size = whole(8, 12, generator)
    cap = 1.8 + 0.7 * float(torch.rand((), generator=generator))
    peak, below = cap + 1 + float(torch.rand((), generator=generator)), cap - 0.02
    rest = torch.rand(size - 2, generator=generator, dtype=torch.float64) + 0.1
    rest = rest / rest.sum() * (size - peak - below)  # so that the mean is 1
    zoom = torch.cat([torch.tensor([peak, below], dtype=torch.float64), rest])
    return {"zoom": zoom[torch.randperm(size, generator=generator)], "cap": cap}


def limit_zoom(zoom, cap):
    low, high = 0.0, cap  # d lies between them
    for _ in range(60):
        d = (low + high) / 2
        if (zoom + d).clamp(max=cap).mean() < 1:
            low = d
        else:
            high = d
    return (zoom + d).clamp(max=cap)


def _spread_over_the_others(zoom, cap):
    clipped = zoom.clamp(max=cap)
    under = zoom < cap
    return clipped + under * (zoom - clipped).sum() / under.sum()


EXERCISES = [
    Exercise(
        name="magnification",
        solution=magnification,
        inputs=_zoom_and_interval,
        mistakes=[
            Mistake(
                "You summed the zoom. That counts samples in units of plain resizing; divide by the number of pixels.",
                lambda zoom, left, right: zoom[left:right].sum(),
            ),
            Mistake(
                "You took the peak. All samples in the stretch count: take the mean.",
                lambda zoom, left, right: zoom[left:right].max(),
            ),
            Mistake(
                "You counted pixel `right` too. The stretch ends at the edge `right`, so its last pixel is right - 1.",
                lambda zoom, left, right: zoom[left : right + 1].mean(),
            ),
        ],
        hint="Plain resizing has a zoom of 1 everywhere, so the result is the mean of the zoom over the stretch.",
    ),
    Exercise(
        name="marginal_zoom",
        solution=marginal_zoom,
        inputs=_map,
        mistakes=[
            Mistake(
                "You summed over the rows. The paper takes the maximum, so faint cells cannot outweigh a bright one.",
                lambda attention: attention.sum(0) / attention.sum(0).mean(),
            ),
            Mistake(
                "You took the maximum along the wrong axis. Axis 0 is the rows; x needs one value per column.",
                lambda attention: attention.amax(1) / attention.amax(1).mean(),
            ),
            Mistake(
                "You divided by the sum, so the result sums to 1. A zoom has mean 1: divide by the mean.",
                lambda attention: attention.amax(0) / attention.amax(0).sum(),
            ),
            Mistake(
                "These are the plain maxima. Divide by their mean: a zoom has mean 1.",
                lambda attention: attention.amax(0),
            ),
        ],
        properties=[
            (
                "A zoom has mean 1.",
                lambda inputs, result: abs(float(result.mean()) - 1) < 1e-6,
            )
        ],
        hint="One maximum for each column, then divided by the mean of these maxima.",
    ),
    Exercise(
        name="limit_zoom",
        solution=limit_zoom,
        inputs=_zoom_and_cap,
        mistakes=[
            Mistake(
                "You only clipped. Give the excess to the other pixels, so that the mean stays 1.",
                lambda zoom, cap: zoom.clamp(max=cap),
            ),
            Mistake(
                "You clipped and then divided by the mean, which lifts the clipped pixels above the cap again.",
                lambda zoom, cap: zoom.clamp(max=cap) / zoom.clamp(max=cap).mean(),
            ),
            Mistake(
                "You spread the excess over all pixels, the clipped ones too: they end above the cap. (The authors' "
                "code does this once per round.)",
                lambda zoom, cap: zoom.clamp(max=cap) + 1 - zoom.clamp(max=cap).mean(),
            ),
            Mistake(
                "You spread the excess evenly over the pixels below the cap, which lifts one of them above it. It must "
                "stop at the cap, and the others take the rest.",
                _spread_over_the_others,
            ),
        ],
        properties=[
            ("No value is above the cap.", lambda inputs, result: float(result.max()) <= inputs["cap"] + 1e-6),
            ("The mean is still 1.", lambda inputs, result: abs(float(result.mean()) - 1) < 1e-4),
        ],
        hint="Bisect the interval that contains d until the mean of min(u + d, cap) is 1.",
    ),
]
