"""Exercises of notebook 03, from the zoom to the sampled image. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import ROWS_SUM_TO_ONE, Exercise, without_loop
from tasnlib.course.exercises.random_inputs import uniform, whole

NO_LOOP = {"Do it without a loop: torch computes all positions at once.": without_loop}


def _zoom_and_size(generator, turn):
    """Sizes that divide, so that even zoom has positions on edges, and that do not; one position; more positions than
    pixels; pixels that are never read. The first level often falls into the first pixel, where a missing edge at 0 is
    noticed."""
    size, out_size = ((12, 4), (9, 4), (7, 1), (5, 11), (10, 5), (8, 3))[turn % 6]
    zoom = uniform(size, 0, 1, generator) ** 2 + 0.1
    if turn % 3 == 0:
        zoom[0] += zoom.sum() / out_size
    if turn % 3 == 1:
        zoom[whole(1, size - 2, generator)] = 0
    return {"zoom": torch.ones(size) if turn % 4 == 2 else zoom / zoom.mean(), "out_size": out_size}


def _inverse(zoom, quantiles):
    at_edges = F.pad(zoom.cumsum(0), (1, 0))
    levels = quantiles * at_edges[-1]
    pixel = torch.searchsorted(at_edges[1:].contiguous(), levels).clamp(max=len(zoom) - 1)
    return pixel + (levels - at_edges[pixel]) / zoom[pixel]


def positions_of(zoom, out_size):
    at_edges = F.pad(zoom.cumsum(0), (1, 0))  # F at every pixel edge, 0 first
    levels = (torch.arange(out_size) + 0.5) / out_size * at_edges[-1]
    pixel = torch.searchsorted(at_edges[1:], levels)  # the first pixel whose right edge reaches the level
    return pixel + (levels - at_edges[pixel]) / zoom[pixel]


def _row_and_positions(generator, turn):
    """Positions anywhere, on centres, on edges, at both ends, beyond the outermost centres; in order or not; a line of
    one pixel; values as large as colours."""
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
        positions_of,
        _zoom_and_size,
        mistakes={
            "You used the levels i/n, the left edges of the output pixels. Take their centres, (i + ½)/n.": (
                lambda zoom, out_size: _inverse(zoom, torch.arange(out_size) / out_size)
            ),
            "Your levels include both 0 and 1. Take the centres of n equal steps, (i + ½)/n.": (
                lambda zoom, out_size: _inverse(zoom, torch.linspace(0, 1, out_size))
            ),
            "You returned the pixel that each level falls into. Interpolate within it: F is linear inside a pixel.": (
                lambda zoom, out_size: positions_of(zoom, out_size).floor()
            ),
            "These are the positions of plain resizing. Use the zoom: invert its cumulative sum.": (
                lambda zoom, out_size: (torch.arange(out_size) + 0.5) / out_size * len(zoom)
            ),
        },
        properties={"Positions increase from left to right.": lambda inputs, result: bool((result.diff() > 0).all())},
        rules=NO_LOOP,
        hint="F at the edges is the cumulative sum with a 0 before it; find the pixel of each level, then interpolate.",
    ),
    Exercise(
        read_row,
        _row_and_positions,
        mistakes={
            "You took pixel j's centre to be at j. It is at j + ½: subtract ½ from the positions first.": (
                lambda values, positions: read_row(values, positions + 0.5)
            ),
            "Beyond the outermost centres you read 0, which darkens the border. Repeat the border pixel.": (
                lambda values, positions: (
                    (1 - (positions[:, None] - 0.5 - torch.arange(len(values))).abs()).clamp(min=0) @ values
                )
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
                lambda positions, size: reading_matrix(positions + 0.5, size)
            ),
            "Rows beyond the outermost centres sum to less than 1, which darkens the border. Clamp the positions to "
            "the first and last centre.": lambda positions, size: (
                1 - (positions[:, None] - 0.5 - torch.arange(size)).abs()
            ).clamp(min=0),
            "Every row has a single 1: that reads the nearest pixel only. Mix the two nearest centres.": (
                lambda positions, size: F.one_hot(positions.long().clamp(max=size - 1), size)
            ),
        },
        properties=ROWS_SUM_TO_ONE,
        rules=NO_LOOP,
        hint="Weight of pixel j at position x: 1 minus the distance between x and its centre, but not below 0.",
    ),
]
