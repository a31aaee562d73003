"""Exercises of notebook 06: costs and magnified parts. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise
from tasnlib.course.exercises.random_inputs import uniform, whole


def _accuracies_and_costs(generator, turn):
    """Accuracy rises with the cost, so the front is long; in few steps, so that many variants are equal in one or in
    both, or beaten in one or in both. Also one variant, and all alike."""
    number = (8, 12, 1, 10)[turn % 4]
    costs = torch.randint(1, 7, (number,), generator=generator)
    accuracies = costs + torch.randint(0, 4, (number,), generator=generator)
    if turn % 6 == 5:
        accuracies, costs = accuracies[:1].expand(number).clone(), costs[:1].expand(number).clone()
    return {"accuracies": 60 + 2.5 * accuracies, "costs": 1.5 * costs}


def pareto_front(accuracies, costs):
    as_accurate = accuracies >= accuracies[:, None]  # (v, v): is the other, the column, as accurate as me, the row?
    as_cheap = costs <= costs[:, None]
    better = (accuracies > accuracies[:, None]) | (costs < costs[:, None])
    beaten = (as_accurate & as_cheap & better).any(dim=1)  # by any other
    return ~beaten


def _positions(number, low, high, size, generator):
    """Sorted positions, also on each edge of the box that is not the image's, and just outside of it."""
    edges = [float(edge) for edge in (low - 0.25, low, high, high + 0.25) if 0 < edge < size]
    return torch.cat([uniform(number, 0, size, generator), torch.tensor(edges)]).sort().values


def _positions_and_box(generator, turn):
    """An image wider than high, or higher than wide. The box lies inside, in a corner, where in every sixth round there
    is no position, or is everything."""
    height, width = ((24, 40), (37, 30))[turn % 2]
    x0, y0 = whole(8, 15, generator), whole(3, 8, generator)
    corner = (width - 9, height - 7, width, height)
    box = ((x0, y0, x0 + 9, y0 + 12), corner, (0, 0, width, height))[turn % 3]
    x = _positions(13, box[0], box[2], width, generator)
    y = _positions(11, box[1], box[3], height, generator)
    return {"x": x * 0.7 if turn % 6 == 4 else x, "y": y, "box": box, "height": height, "width": width}


def part_magnification(x, y, box, height, width):
    x0, y0, x1, y1 = box
    columns = ((x >= x0) & (x < x1)).sum()
    rows = ((y >= y0) & (y < y1)).sum()
    share = columns * rows / (len(x) * len(y))  # of the sampled image
    plain = (x1 - x0) * (y1 - y0) / (width * height)  # of the image
    return share / plain


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


EXERCISES = [
    Exercise(
        pareto_front,
        _accuracies_and_costs,
        mistakes={
            "A variant leaves your front only if another is better in both. One that is equally accurate at a higher "
            "cost is beaten too: at least as good in both, better in one.": lambda accuracies, costs: (
                ~((accuracies > accuracies[:, None]) & (costs < costs[:, None])).any(dim=1)
            ),
            "Every variant beats itself here, so the front is empty. Require the other one to be better in one of the "
            "two.": lambda accuracies, costs: (
                ~((accuracies >= accuracies[:, None]) & (costs <= costs[:, None])).any(dim=1)
            ),
            "Your front prefers high costs. A lower cost is better: reverse that comparison.": (
                lambda accuracies, costs: pareto_front(accuracies, -costs)
            ),
            "You marked the beaten variants. True means: on the front.": lambda accuracies, costs: (
                ~pareto_front(accuracies, costs)
            ),
        },
        hint="Compare all pairs, (v, v): at least as accurate, at most as costly, better in one.",
    ),
    Exercise(
        part_magnification,
        _positions_and_box,
        mistakes={
            "This is the number of pixels that the part gets. Divide by the number that plain resizing gives it.": (
                lambda x, y, box, *size: part_magnification(x, y, box, len(y), len(x)) * _area(box)
            ),
            "This is the part's share of the sampled image. Divide by its share of the image.": (
                lambda x, y, box, *size: part_magnification(x, y, box, 1, 1) * _area(box)
            ),
            "You counted along x only. A pixel is in the part if both its x and its y are: multiply by y's ratio.": (
                lambda x, y, box, *size: part_magnification(x, y[:1], (box[0], -9, box[2], 99), 108, size[1])
            ),
            "You mixed up the axes of the box. It is (x0, y0, x1, y1): x lies between x0 and x1.": (
                lambda x, y, box, *size: part_magnification(x, y, (box[1], box[0], box[3], box[2]), *size)
            ),
        },
        hint="The part's share of the sampled pixels, divided by the box's share of the image's area.",
    ),
]
