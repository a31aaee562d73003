"""Exercises of notebook 03, from the map to its zoom. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake
from tasnlib.course.exercises.random_inputs import random_zoom, whole


def _zoom_and_interval(generator):
    size = whole(8, 14, generator)
    zoom = random_zoom(size, generator)
    left = whole(1, 3, generator)
    return {"zoom": zoom, "left": left, "right": left + whole(2, 4, generator)}


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
    """One pixel above the cap and one just below it, which any even spreading lifts above it."""
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
                "You took the peak. What counts is all the samples in the stretch: take the mean.",
                lambda zoom, left, right: zoom[left:right].max(),
            ),
            Mistake(
                "You counted pixel `right` too. The stretch ends at the edge `right`, so its last pixel is right - 1.",
                lambda zoom, left, right: zoom[left : right + 1].mean(),
            ),
        ],
        hint="Plain resizing has a zoom of 1 everywhere, so the answer is the mean of the zoom over the stretch.",
    ),
    Exercise(
        name="marginal_zoom",
        solution=marginal_zoom,
        inputs=_map,
        mistakes=[
            Mistake(
                "You summed over the rows. The paper takes the maximum, so that many faint cells cannot outvote one.",
                lambda attention: attention.sum(0) / attention.sum(0).mean(),
            ),
            Mistake(
                "You took the maximum along the wrong axis. Axis 0 counts the rows; x needs one value a column.",
                lambda attention: attention.amax(1) / attention.amax(1).mean(),
            ),
            Mistake(
                "You divided by the sum, so the answer sums to 1. A zoom has mean 1: divide by the mean.",
                lambda attention: attention.amax(0) / attention.amax(0).sum(),
            ),
            Mistake(
                "These are the plain maxima. Divide by their mean, so that the budget is kept.",
                lambda attention: attention.amax(0),
            ),
        ],
        properties=[
            (
                "A zoom has mean 1.",
                lambda inputs, answer: abs(float(answer.mean()) - 1) < 1e-6,
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
                "You only clipped. What was cut must be given to the other pixels, or samples are lost: the mean is 1.",
                lambda zoom, cap: zoom.clamp(max=cap),
            ),
            Mistake(
                "You clipped and then multiplied until the mean was 1, which lifts the clipped pixels above the cap.",
                lambda zoom, cap: zoom.clamp(max=cap) / zoom.clamp(max=cap).mean(),
            ),
            Mistake(
                "You spread what was cut over all pixels, the clipped ones too: they end above the cap. (This is one "
                "round of the authors' code.)",
                lambda zoom, cap: zoom.clamp(max=cap) + 1 - zoom.clamp(max=cap).mean(),
            ),
            Mistake(
                "You spread what was cut over the pixels under the cap, and that lifted one of them above it. It must "
                "stop at the cap, and the others take its share.",
                _spread_over_the_others,
            ),
        ],
        properties=[
            ("No zoom is above the cap.", lambda inputs, answer: float(answer.max()) <= inputs["cap"] + 1e-6),
            ("The mean is still 1.", lambda inputs, answer: abs(float(answer.mean()) - 1) < 1e-4),
        ],
        hint="Halve the interval in which d lies until the mean of min(u + d, cap) is 1.",
    ),
]
