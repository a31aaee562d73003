"""Exercises of notebook 07. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake, whole


def _map_and_box(generator):
    h = whole(4, 6, generator)
    w = h + whole(1, 3, generator)
    x0 = whole(0, 1, generator)
    y0 = x0 + 1  # not x0, so that swapping rows and columns is noticed
    box = (x0, y0, x0 + whole(1, 2, generator), y0 + 2)
    return {"attention": 0.6 * torch.rand(h, w, generator=generator, dtype=torch.float64) + 0.3, "box": box}


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


def _map_and_size(generator):
    """The largest value lies off the diagonal, in neither the first row nor the first column."""
    h = whole(4, 6, generator)
    w = h + whole(1, 3, generator)
    row = whole(1, h - 2, generator)
    attention = torch.rand(h, w, generator=generator, dtype=torch.float64)
    attention[row, row + 1] = 2.0
    pixels = whole(3, 6, generator)
    return {"attention": attention, "height": pixels * h, "width": (pixels + 1) * w}


def largest_place(attention, height, width):
    h, w = attention.shape
    row, column = divmod(attention.argmax().item(), w)  # argmax counts row by row
    return torch.tensor([(column + 0.5) * width / w, (row + 0.5) * height / h])


def _place(attention, height, width, half=0.5, columns=None):
    h, w = attention.shape
    row, column = divmod(attention.argmax().item(), columns or w)
    return torch.tensor([(column + half) * width / w, (row + half) * height / h])


def _logits(generator):
    logits = 2 * torch.rand(whole(3, 5, generator), whole(4, 6, generator), generator=generator)
    logits[:, -1] += 2  # the first class is never the best
    return {"logits": logits}


def margin(logits):
    first, second = logits.softmax(dim=1).topk(2, dim=1).values.unbind(1)
    return first - second


def _magnifications(generator):
    """Draws 0 to 2 reach one part each, draw 2 the same as draw 0; draw 3 reaches two; the rest is random."""
    parts = whole(4, 6, generator)
    draws = parts + whole(1, 3, generator)
    reached = torch.rand(draws, parts, generator=generator) < 0.3
    reached[:4] = False
    for draw, part in ((0, 0), (1, 1), (2, 0), (3, 0), (3, 2)):
        reached[draw, part] = True
    reached = reached[:, torch.randperm(parts, generator=generator)]
    at_least = 2.0 + 2 * float(torch.rand((), generator=generator))
    noise = torch.rand(draws, parts, generator=generator)
    return {
        "magnifications": torch.where(reached, at_least + 0.1 + noise, at_least - 0.1 - noise),
        "at_least": at_least,
    }


def share_reached(magnifications, at_least):
    best = magnifications.cummax(dim=0).values  # (draws, parts), the largest so far
    return (best >= at_least).float().mean(dim=1)


EXERCISES = [
    Exercise(
        name="mass_in_box",
        solution=mass_in_box,
        inputs=_map_and_box,
        mistakes=[
            Mistake(
                "This is the sum in the box. Divide by the sum over the whole map.",
                lambda attention, box: attention[box[1] : box[3], box[0] : box[2]].sum(),
            ),
            Mistake(
                "You used x for the row. A map is indexed attention[row, column]: the row is y.",
                lambda attention, box: attention[box[0] : box[2], box[1] : box[3]].sum() / attention.sum(),
            ),
            Mistake(
                "You counted the cells at x1 and y1. They are the first cells outside of the box.",
                lambda attention, box: attention[box[1] : box[3] + 1, box[0] : box[2] + 1].sum() / attention.sum(),
            ),
        ],
        hint="Two sums in one pass over all cells: of the cells with x0 <= column < x1 and y0 <= row < y1, and of all.",
    ),
    Exercise(
        name="largest_place",
        solution=largest_place,
        inputs=_map_and_size,
        mistakes=[
            Mistake(
                "You returned the cell's upper left corner. Its centre is half a cell further on.",
                lambda attention, height, width: _place(attention, height, width, half=0.0),
            ),
            Mistake(
                "You returned (y, x). x, the column, comes first.",
                lambda attention, height, width: _place(attention, height, width).flip(0),
            ),
            Mistake(
                "You counted cells, not pixels. A cell is width / w pixels wide and height / h pixels high.",
                lambda attention, height, width: _place(attention, *attention.shape),
            ),
        ],
        hint="argmax counts row by row; divmod by the number of columns gives row and column. Then take the centre.",
    ),
    Exercise(
        name="margin",
        solution=margin,
        inputs=_logits,
        mistakes=[
            Mistake(
                "This is the difference of the logits. Take the softmax first: the margin is between probabilities.",
                lambda logits: logits.topk(2, 1).values[:, 0] - logits.topk(2, 1).values[:, 1],
            ),
            Mistake(
                "This is the probability of the best class. Subtract that of the second best.",
                lambda logits: logits.softmax(1).amax(1),
            ),
            Mistake(
                "Your softmax runs over the birds. It belongs over the classes, dim=1: each row is one bird.",
                lambda logits: logits.softmax(0).topk(2, 1).values[:, 0] - logits.softmax(0).topk(2, 1).values[:, 1],
            ),
        ],
        hint="softmax over the classes, then topk(2).",
    ),
    Exercise(
        name="share_reached",
        solution=share_reached,
        inputs=_magnifications,
        mistakes=[
            Mistake(
                "You treated each draw alone. A part that was reached stays reached.",
                lambda magnifications, at_least: (magnifications >= at_least).float().mean(1),
            ),
            Mistake(
                "You counted a part every time it was reached, so the share exceeds 1. It counts once.",
                lambda magnifications, at_least: (magnifications >= at_least).float().mean(1).cumsum(0),
            ),
            Mistake(
                "You averaged over the draws. Return one number per draw: the mean over parts.",
                lambda magnifications, at_least: (magnifications >= at_least).float().mean(0),
            ),
        ],
        properties=[
            ("The share never falls.", lambda inputs, result: bool((result.diff() >= 0).all())),
            ("A share is at most 1.", lambda inputs, result: bool((result <= 1 + 1e-6).all())),
        ],
        hint="The largest magnification so far is cummax over the draws.",
    ),
]
