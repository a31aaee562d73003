"""Exercises of notebook 03, from the map to its zoom. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, without
from tasnlib.course.exercises.random_inputs import uniform, whole


def _zoom_and_interval(generator, turn):
    """The stretch lies inside, at either end, or is a single pixel or the whole line; the last zoom is even."""
    size = whole(8, 14, generator)
    left, right = whole(1, 3, generator), whole(5, 7, generator)
    left, right = ((left, right), (0, right), (left, size), (left, left + 1), (0, size), (left, right))[turn % 6]
    zoom = uniform(size, 0.3, 1, generator) ** 2 if turn % 6 < 5 else torch.ones(size)
    return {"zoom": zoom / zoom.mean(), "left": left, "right": right}


def magnification(zoom, left, right):
    return zoom[left:right].mean()


def _map(generator, turn):
    """Wide, high, of one row, square; with columns of zeros, and uniform."""
    h, w = ((4, 6), (7, 3), (1, 5), (5, 5))[turn % 4]
    attention = uniform((h, w), 0.1, 3, generator)
    if turn % 3 == 1:
        attention[:, :2] = 0
    return {"attention": torch.full((h, w), 22.8) if turn % 6 == 5 else attention}


def marginal_zoom(attention):
    profile = attention.amax(dim=0)  # (w,): the maximum over the rows
    return profile / profile.mean()


def _zoom_and_cap(generator, turn):
    """One pixel above the cap, and one so close below it that spreading the excess evenly lifts it above; nothing above
    the cap; the cap at the peak; near 1 and at 1, all but a few pixels clipped; all attention in one pixel; even."""
    size = whole(8, 12, generator)
    cap = float(uniform((), 1.8, 2.5, generator))
    rest = uniform(size - 2, 0.1, 1, generator)
    rest *= (size - 2 * cap - 1) / rest.sum()  # so that the mean is 1
    zoom = torch.cat([torch.tensor([cap + 1.02, cap - 0.02]), rest])[torch.randperm(size, generator=generator)]
    peak = torch.nn.functional.one_hot(torch.tensor(whole(0, size - 1, generator)), size) * float(size)
    other = [(zoom, cap + 1.5), (zoom, zoom.max().item()), (zoom, 1.05), (zoom, 1.0), (peak, 4.0), (peak * 0 + 1, cap)]
    zoom, cap = other[turn // 2] if turn % 2 else (zoom, cap)
    return {"zoom": zoom, "cap": cap}


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
        magnification,
        _zoom_and_interval,
        mistakes={
            "You summed the zoom. That counts samples in units of plain resizing; divide by the number of pixels.": (
                lambda zoom, left, right: zoom[left:right].sum()
            ),
            "You counted pixel `right` too. The stretch ends at the edge `right`, so its last pixel is right - 1.": (
                lambda zoom, left, right: zoom[left : right + 1].mean()
            ),
        },
        hint="Plain resizing has a zoom of 1 everywhere, so the result is the mean of the zoom over the stretch.",
    ),
    Exercise(
        marginal_zoom,
        _map,
        mistakes={
            "You summed over the rows. The paper takes the maximum, so faint cells cannot outweigh a bright one.": (
                lambda attention: attention.sum(0) / attention.sum(0).mean()
            ),
            "You took the maximum along the wrong axis. Axis 0 is the rows; x needs one value per column.": (
                lambda attention: marginal_zoom(attention.T)
            ),
        },
        properties={"A zoom has mean 1.": lambda inputs, result: abs(float(result.mean()) - 1) < 1e-5},
        hint="One maximum for each column, then divided by the mean of these maxima.",
    ),
    Exercise(
        limit_zoom,
        _zoom_and_cap,
        mistakes={
            "You only clipped. Give the excess to the other pixels, so that the mean stays 1.": (
                lambda zoom, cap: zoom.clamp(max=cap)
            ),
            "You spread the excess over all pixels, the clipped ones too: they end above the cap. (The authors' code "
            "does this once per round.)": lambda zoom, cap: zoom.clamp(max=cap) + 1 - zoom.clamp(max=cap).mean(),
            "You spread the excess evenly over the pixels below the cap, which lifts one of them above it. It must "
            "stop at the cap, and the others take the rest.": _spread_over_the_others,
        },
        properties={
            "No value is above the cap.": lambda inputs, result: float(result.max()) <= inputs["cap"] + 1e-5,
            "The mean is still 1.": lambda inputs, result: abs(float(result.mean()) - 1) < 1e-4,
        },
        rules={"Do it without sorting.": without("sort", "argsort", "sorted", "topk")},
        hint="Bisect the interval that contains d until the mean of min(u + d, cap) is 1.",
    ),
]
