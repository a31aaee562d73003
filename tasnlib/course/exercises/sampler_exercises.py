"""Exercises of notebook 03. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import ROWS_SUM_TO_ONE, Exercise, without, without_loop
from tasnlib.course.exercises.random_inputs import uniform, whole

NO_LOOP = {"Do it without a loop: torch computes all positions at once.": without_loop}


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
    """Wide, high, of one row, square; with columns of zeros, uniform, and with one column far above a limit of 4."""
    h, w = ((4, 6), (7, 3), (1, 5), (5, 5))[turn % 4]
    attention = uniform((h, w), 0.1, 3, generator)
    if turn % 3 == 1:
        attention[:, :2] = 0
    attention[:, 1:] /= 100 if turn == 8 else 1
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


def _zoom_and_positions(generator, turn):
    """Positions inside pixels, on edges, at the ends, in any order; a pixel of zoom 0; few output pixels, and many."""
    size, out_size = ((12, 4), (9, 4), (7, 1), (5, 11), (10, 5), (8, 3))[turn % 6]
    zoom = uniform(size, 0, 1, generator) ** 2 + 0.1
    if turn % 3 == 1:
        zoom[whole(1, size - 2, generator)] = 0
    zoom = torch.ones(size) if turn % 4 == 2 else zoom / zoom.mean()
    inside = uniform(5, 0, size, generator)
    ends = torch.tensor([0.0, float(size)])
    positions = torch.cat([inside.floor() if turn % 3 == 2 else inside, ends])
    return {"zoom": zoom, "positions": positions[torch.randperm(7, generator=generator)], "out_size": out_size}


def to_sampled(zoom, positions, out_size):
    at_edges = F.pad(zoom.cumsum(0), (1, 0))  # F at every pixel edge, 0 first
    pixel = positions.long().clamp(max=len(zoom) - 1)  # the right border belongs to the last pixel
    heights = at_edges[pixel] + (positions - pixel) * zoom[pixel]
    return out_size * heights / at_edges[-1]


def _row_and_positions(generator, turn):
    """Positions anywhere, also beyond the outermost centres, in any order; a line of one pixel; values like colours."""
    size = 1 if turn % 6 == 5 else whole(5, 10, generator)
    inside = uniform(whole(3, 6, generator), 0, size, generator)
    inside = (inside, inside.floor(), inside.floor() + 0.5)[turn % 3]
    ends = torch.tensor([0.0, 0.2, size - 0.2, float(size)])
    positions = torch.cat([inside, ends])[torch.randperm(len(inside) + 4, generator=generator)]
    values = uniform(size, 0.5, (1.5, 255)[turn % 2], generator)
    return {"values": values, "positions": positions.sort().values if turn % 4 else positions}


def read_row(values, positions):
    centred = (positions - 0.5).clamp(0, len(values) - 1)  # pixel j's centre is at j + ½
    first = centred.floor().long()
    second = (first + 1).clamp(max=len(values) - 1)
    share = centred - first
    return (1 - share) * values[first] + share * values[second]


def _positions_and_size(generator, turn):
    inputs = _row_and_positions(generator, turn)
    return {"positions": inputs["positions"], "size": len(inputs["values"])}


def reading_matrix(positions, size):
    centred = (positions - 0.5).clamp(0, size - 1)
    distance = (centred[:, None] - torch.arange(size)).abs()  # (n, size), to every pixel's centre
    return (1 - distance).clamp(min=0)


EXERCISES = [
    Exercise(
        magnification,
        _zoom_and_interval,
        mistakes={
            "You summed the zoom. That counts samples in units of plain resizing; divide by the number of pixels.": (
                lambda zoom, a, b: zoom[a:b].sum()
            ),
            "You counted pixel `right` too. The last one is right - 1.": lambda zoom, a, b: zoom[a : b + 1].mean(),
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
            "Your maximum is along the wrong axis. x needs one value per column: axis 0.": lambda a: marginal_zoom(a.T),
        },
        properties={"A zoom has mean 1.": lambda inputs, result: abs(float(result.mean()) - 1) < 1e-5},
        hint="One maximum for each column, then divided by the mean of these maxima.",
    ),
    Exercise(
        limit_zoom,
        _zoom_and_cap,
        mistakes={
            "You only clipped. Give the excess to the others: the mean stays 1.": lambda zoom, cap: zoom.clamp(max=cap),
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
    Exercise(
        to_sampled,
        _zoom_and_positions,
        mistakes={
            "You returned the height F(x). Divide it by F(W) and multiply it by the number of output pixels.": (
                lambda zoom, positions, out_size: to_sampled(zoom, positions, len(zoom))
            ),
            "You took F at the left edge of each position's pixel. F is linear inside a pixel: go as far as it says.": (
                lambda zoom, positions, out_size: to_sampled(zoom, positions.floor(), out_size)
            ),
            "You subtracted ½. The result is in pixel-edge units too, in which output pixel i covers i to i + 1.": (
                lambda zoom, positions, out_size: to_sampled(zoom, positions, out_size) - 0.5
            ),
            "This is right for plain resizing only. Use the zoom's cumulative sum.": lambda u, x, n: n * x / len(u),
        },
        rules=NO_LOOP,
        hint="F at the edges is the cumulative sum with a 0 before it; add the way into the pixel, then scale.",
    ),
    Exercise(
        read_row,
        _row_and_positions,
        mistakes={
            "You took pixel j's centre to be at j. It is at j + ½: subtract ½ from the positions first.": (
                lambda v, x: read_row(v, x + 0.5)
            ),
            "Beyond the outermost centres you read 0, which darkens the border. Repeat the border pixel.": (
                lambda v, x: (1 - (x[:, None] - 0.5 - torch.arange(len(v))).abs()).clamp(min=0) @ v
            ),
            "You read the pixel that each position falls into. Mix the two nearest centres by their distances.": (
                lambda values, positions: values[positions.long().clamp(max=len(values) - 1)]
            ),
        },
        rules=NO_LOOP,
        hint="Subtract ½, clamp to the first and last centre, then mix the two neighbours.",
    ),
    Exercise(
        reading_matrix,
        _positions_and_size,
        mistakes={
            "You took pixel j's centre to be at j. It is at j + ½: subtract ½ from the positions first.": (
                lambda x, w: reading_matrix(x + 0.5, w)
            ),
            "Rows beyond the outermost centres sum to less than 1, which darkens the border. Clamp the positions.": (
                lambda x, w: (1 - (x[:, None] - 0.5 - torch.arange(w)).abs()).clamp(min=0)
            ),
            "Every row has a single 1: that reads the nearest pixel only. Mix the two nearest centres.": (
                lambda positions, size: F.one_hot(positions.long().clamp(max=size - 1), size)
            ),
        },
        properties=ROWS_SUM_TO_ONE,
        rules=NO_LOOP,
        hint="Weight of pixel j at position x: 1 minus the distance between x and its centre, but not below 0.",
    ),
]
