"""Exercises of notebook 03, from the zoom to the sampled image. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import Exercise, Mistake, uniform, whole


def _zoom_and_size(generator):
    size = 2 * whole(3, 6, generator) + 1  # odd: no position of plain resizing lies on an edge
    zoom, out_size = uniform(size, 0, 1, generator) ** 2 + 0.1, whole(3, 5, generator)
    # The first level falls into the first pixel, where a missing edge at 0 is noticed.
    first = (0.6 + 0.3 * float(torch.rand((), generator=generator))) / out_size
    zoom[0] = zoom[1:].sum() * first / (1 - first)
    return {"zoom": zoom / zoom.mean(), "out_size": out_size}


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


def _row_and_positions(generator):
    size = whole(5, 10, generator)
    inside = torch.rand(whole(3, 6, generator), generator=generator, dtype=torch.float64) * (size - 1.2) + 0.6
    border = torch.tensor([0.2, size - 0.2], dtype=torch.float64)  # beyond the outermost centres
    values = torch.rand(size, generator=generator, dtype=torch.float64) + 0.5
    return {"values": values, "positions": torch.cat([inside, border]).sort().values}


def read_row(values, positions):
    centred = (positions - 0.5).clamp(0, len(values) - 1)  # pixel j's centre is at j + ½
    first = centred.floor().long()
    second = (first + 1).clamp(max=len(values) - 1)
    share = centred - first
    return (1 - share) * values[first] + share * values[second]


def _read_without_half(values, positions):
    centred = positions.clamp(0, len(values) - 1)
    first = centred.floor().long()
    second = (first + 1).clamp(max=len(values) - 1)
    return torch.lerp(values[first], values[second], centred - first)


def _read_zero_outside(values, positions):
    padded = F.pad(values, (1, 1))
    centred = positions + 0.5
    first = centred.floor().long()
    return torch.lerp(padded[first], padded[first + 1], centred - first)


def _positions_and_size(generator):
    inputs = _row_and_positions(generator)
    return {"positions": inputs["positions"], "size": len(inputs["values"])}


def reading_matrix(positions, size):
    centred = (positions - 0.5).clamp(0, size - 1)
    distance = (centred[:, None] - torch.arange(size)).abs()  # (n, size), to every pixel's centre
    return (1 - distance).clamp(min=0)


EXERCISES = [
    Exercise(
        name="positions_of",
        solution=positions_of,
        inputs=_zoom_and_size,
        mistakes=[
            Mistake(
                "You used the levels i/n, the left edges of the output pixels. Take their centres, (i + ½)/n.",
                lambda zoom, out_size: _inverse(zoom, torch.arange(out_size) / out_size),
            ),
            Mistake(
                "Your levels include both 0 and 1. Take the centres of n equal steps, (i + ½)/n.",
                lambda zoom, out_size: _inverse(zoom, torch.linspace(0, 1, out_size, dtype=zoom.dtype)),
            ),
            Mistake(
                "You returned the pixel that each level falls into. Interpolate within it: F is linear inside a pixel.",
                lambda zoom, out_size: _inverse(zoom, (torch.arange(out_size) + 0.5) / out_size).floor(),
            ),
            Mistake(
                "These are the positions of plain resizing. Use the zoom: invert its cumulative sum.",
                lambda zoom, out_size: (torch.arange(out_size) + 0.5) / out_size * len(zoom),
            ),
        ],
        properties=[
            (
                "Positions increase from left to right.",
                lambda inputs, result: bool((result.diff() > 0).all()),
            )
        ],
        hint="F at the edges is the cumulative sum with a 0 before it; find the pixel of each level, then interpolate.",
    ),
    Exercise(
        name="read_row",
        solution=read_row,
        inputs=_row_and_positions,
        mistakes=[
            Mistake(
                "You took pixel j's centre to be at j. It is at j + ½: subtract ½ from the positions first.",
                _read_without_half,
            ),
            Mistake(
                "Beyond the outermost pixels you read 0, which darkens the border. Repeat the border pixel.",
                _read_zero_outside,
            ),
            Mistake(
                "You read the pixel that each position falls into. Mix the two nearest centres by their distances.",
                lambda values, positions: values[positions.long().clamp(max=len(values) - 1)],
            ),
        ],
        hint="Subtract ½, clamp to the first and last centre, then mix the two neighbours.",
    ),
    Exercise(
        name="reading_matrix",
        solution=reading_matrix,
        inputs=_positions_and_size,
        mistakes=[
            Mistake(
                "You took pixel j's centre to be at j. It is at j + ½: subtract ½ from the positions first.",
                lambda positions, size: (1 - (positions.clamp(0, size - 1)[:, None] - torch.arange(size)).abs()).clamp(
                    min=0
                ),
            ),
            Mistake(
                "Rows beyond the outermost centres sum to less than 1, which darkens the border. Clamp the positions "
                "to the first and last centre.",
                lambda positions, size: (1 - (positions[:, None] - 0.5 - torch.arange(size)).abs()).clamp(min=0),
            ),
            Mistake(
                "Every row has a single 1: that reads the nearest pixel only. Mix the two nearest centres.",
                lambda positions, size: F.one_hot(positions.long(), size).to(positions.dtype),
            ),
            Mistake(
                "This is the transpose. Each row is a position, each column a pixel.",
                lambda positions, size: reading_matrix(positions, size).T,
            ),
        ],
        properties=[
            (
                "Every row sums to 1: a constant image stays constant.",
                lambda inputs, result: torch.allclose(result.sum(1), torch.ones((), dtype=torch.float64)),
            ),
        ],
        hint="Weight of pixel j at position x: 1 minus the distance between x and its centre, but not below 0.",
    ),
]
