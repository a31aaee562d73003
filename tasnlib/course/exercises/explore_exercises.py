"""Exercises of notebook 07. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise
from tasnlib.course.exercises.random_inputs import uniform, whole

SHAPES = ((4, 7), (6, 3), (5, 5), (3, 8))  # of maps: wide, high, square


def _map_and_box(generator, turn):
    """Boxes inside, at the last row and column, of a single cell, of everything, and empty; a map with zeros."""
    h, w = SHAPES[turn % 4]
    box = ((0, 1, 2, 3), (1, 2, w, h), (2, 0, 3, 1), (0, 0, w, h), (1, 1, 1, 3), (0, 1, w, 3))[turn % 6]
    attention = uniform((h, w), 0.3, 22.8 if turn % 6 == 1 else 0.9, generator)
    return {"attention": attention * (uniform((h, w), 0, 1, generator) > 0.3 * (turn % 2)), "box": box}


def mass_in_box(attention, box):
    x0, y0, x1, y1 = box
    inside, total = 0.0, 0.0
    for row in range(attention.shape[0]):
        for column in range(attention.shape[1]):
            value = attention[row, column].item()
            total += value
            if x0 <= column < x1 and y0 <= row < y1:
                inside += value
    return inside / total


def _map_and_size(generator, turn):
    """The largest value lies anywhere, and in corners; the image's sides are multiples of the map's, or not."""
    h, w = SHAPES[turn % 4]
    row, column = ((whole(0, h - 1, generator), whole(0, w - 1, generator)), (0, w - 1), (h - 1, 0))[turn % 3]
    attention = uniform((h, w), 0, 1, generator)
    attention[row, column] = 2.0
    height, width = (16 * h, 20 * w) if turn % 2 else (whole(50, 99, generator), whole(100, 150, generator))
    return {"attention": attention, "height": height, "width": width}


def brightest_cell(attention, height, width):
    h, w = attention.shape
    row, column = divmod(attention.argmax().item(), w)  # argmax counts row by row
    return torch.tensor([(column + 0.5) * width / w, (row + 0.5) * height / h])


def _logits(generator, turn):
    """One bird, two classes, two best classes, logits as large as a trained network's."""
    shape = ((3, 6), (1, 5), (5, 2), (5, 5))[turn % 4]
    logits = (8 if turn % 3 == 1 else 2) * torch.randn(shape, generator=generator)
    if turn % 3 == 2:
        logits[0, 0] = logits[0, 1:].max()
    return {"logits": logits}


def margin(logits):
    first, second = logits.softmax(dim=1).topk(2, dim=1).values.unbind(1)
    return first - second


def _magnifications(generator, turn):
    """Values below, above and at the limit. Most draws reach few parts, a later draw often fewer than an earlier one;
    in some rounds none reaches any; also one draw, one part."""
    draws, parts = ((6, 4), (5, 5), (1, 4), (7, 1))[turn % 4]
    at_least = 1 + whole(2, 6, generator) / 2
    times = torch.randint(-8, 3, (draws, parts), generator=generator)
    times[0] = -1
    times[1:2, 0], times[3:4, -1] = 0, 2
    return {"magnifications": at_least + (times - 3 * (turn % 6 == 5)) / 4, "at_least": at_least}


def share_reached(magnifications, at_least):
    best = magnifications.cummax(dim=0).values  # (draws, parts), the largest so far
    return (best >= at_least).float().mean(dim=1)


EXERCISES = [
    Exercise(
        mass_in_box,
        _map_and_box,
        mistakes={
            "This is the sum in the box. Divide by the map's sum.": lambda a, b: a[b[1] : b[3], b[0] : b[2]].sum(),
            "You used x for the row. Index attention[row, column]: the row is y.": lambda a, box: mass_in_box(a.T, box),
            "You counted the cells at x1 and y1. They are the first cells outside of the box.": lambda attention, box: (
                attention[box[1] : box[3] + 1, box[0] : box[2] + 1].sum() / attention.sum()
            ),
        },
        rules={"Use loops.": lambda inputs, record: record.loops},
        hint="Two sums in one pass over all cells: of the cells with x0 <= column < x1 and y0 <= row < y1, and of all.",
    ),
    Exercise(
        brightest_cell,
        _map_and_size,
        mistakes={
            "You returned the cell's upper left corner. Its centre is half a cell further on.": (
                lambda a, *size: brightest_cell(a, *size) - (torch.tensor(size) / torch.tensor(a.shape)).flip(0) / 2
            ),
            "You returned (y, x). x, the column, comes first.": lambda *given: brightest_cell(*given).flip(0),
            "You counted cells, not pixels. A cell is width / w pixels wide and height / h pixels high.": (
                lambda a, *_: brightest_cell(a, *a.shape)
            ),
        },
        hint="argmax counts row by row; divmod by the number of columns gives row and column. Then take the centre.",
    ),
    Exercise(
        margin,
        _logits,
        mistakes={
            "This is the difference of the logits. Take the softmax first: the margin is between probabilities.": (
                lambda logits: -logits.topk(2, 1).values.diff(dim=1)[:, 0]
            ),
            "This is the probability of the best class. Subtract that of the second best.": (
                lambda logits: logits.softmax(1).amax(1)
            ),
            "Your softmax runs over the birds. It belongs over the classes, dim=1: each row is one bird.": (
                lambda logits: -logits.softmax(0).topk(2, 1).values.diff(dim=1)[:, 0]
            ),
        },
        hint="softmax over the classes, then topk(2).",
    ),
    Exercise(
        share_reached,
        _magnifications,
        mistakes={
            "You treated each draw alone. A part once reached stays reached.": lambda m, k: (m >= k).float().mean(1),
            "You counted a part every time it was reached, not once.": lambda m, k: (m >= k).float().mean(1).cumsum(0),
        },
        properties={
            "The share never falls.": lambda inputs, result: bool((result.diff() >= 0).all()),
            "A share is at most 1.": lambda inputs, result: bool((result <= 1 + 1e-6).all()),
        },
        hint="The largest magnification so far is cummax over the draws.",
    ),
]
