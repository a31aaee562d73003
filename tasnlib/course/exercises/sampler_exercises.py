"""Exercises of notebook 03, from the zoom to the sampled image. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import ROWS_SUM_TO_ONE, Exercise, without_loop
from tasnlib.course.exercises.random_inputs import uniform, whole

NO_LOOP = {"Do it without a loop: torch computes all positions at once.": without_loop}


def _zoom_and_positions(generator, turn):
    """Positions inside pixels and on edges, at both ends, in any order; a pixel of zoom 0; an even zoom; one output
    pixel, and more of them than pixels."""
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
            "This is right for plain resizing only. Use the zoom: take its cumulative sum.": (
                lambda zoom, positions, out_size: out_size * positions / len(zoom)
            ),
        },
        rules=NO_LOOP,
        hint="F at the edges is the cumulative sum with a 0 before it; add the way into the pixel, then scale.",
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
