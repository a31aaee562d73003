"""Exercises of notebook 06: costs and magnified parts. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake, uniform, whole


def _accuracies_and_costs(generator):
    """Three variants on the front, one of them twice; one as accurate as the first at a higher cost; one as costly as
    the last but less accurate; and some that are beaten in both."""
    cost = 2 + uniform(3, 2, 5, generator).cumsum(0)
    accuracy = 50 + uniform(3, 3, 8, generator).cumsum(0)
    twin = whole(0, 1, generator)
    between = uniform(2, 0.2, 0.8, generator)
    others = whole(0, 2, generator)
    points = [
        torch.stack([accuracy, cost], dim=1),
        torch.stack([accuracy[twin], cost[twin]])[None],
        torch.stack([accuracy[0], torch.lerp(cost[0], cost[1], between[0])])[None],
        torch.stack([torch.lerp(accuracy[1], accuracy[2], between[1]), cost[2]])[None],
        torch.stack([accuracy[1] - uniform(others, 1, 8, generator), cost[1] + uniform(others, 0, 1, generator)], 1),
        torch.stack([accuracy[0] - uniform((), 1, 3, generator), cost[2] + uniform((), 1, 2, generator)])[None],
        torch.stack([accuracy[1] - uniform((), 1, 2, generator), cost[2] + uniform((), 3, 5, generator)])[None],
    ]
    accuracies, costs = torch.cat(points)[torch.randperm(8 + others, generator=generator)].unbind(1)
    return {"accuracies": accuracies.contiguous(), "costs": costs.contiguous()}


def pareto_front(accuracies, costs):
    as_accurate = accuracies >= accuracies[:, None]  # (v, v): is the other, the column, as accurate as me, the row?
    as_cheap = costs <= costs[:, None]
    better = (accuracies > accuracies[:, None]) | (costs < costs[:, None])
    beaten = (as_accurate & as_cheap & better).any(dim=1)  # by any other
    return ~beaten


def _positions(low, high, size, inside, outside, generator):
    """Sorted positions on an axis, `inside` of them in (low, high) and `outside` in the rest of (0, size)."""
    within = uniform(inside, low + 0.1, high - 0.1, generator)
    beside = uniform(outside, 0, size - (high - low) - 0.2, generator)
    beside = torch.where(beside < low - 0.1, beside, beside + (high - low) + 0.2)
    return torch.cat([within, beside]).sort().values


def _positions_and_box(generator):
    """An image wider than high, the box in its right part: with the axes swapped no position of y lies in it."""
    height, width = whole(24, 26, generator), whole(40, 44, generator)
    x0, y0 = whole(26, 28, generator), whole(4, 8, generator)
    x1, y1 = x0 + whole(8, 10, generator), y0 + whole(5, 7, generator)
    across = whole(5, 7, generator)
    return {
        "x": _positions(x0, x1, width, across, 13 - across, generator),
        "y": _positions(y0, y1, height, 4, 7, generator),
        "box": (x0, y0, x1, y1),
        "height": height,
        "width": width,
    }


def part_magnification(x, y, box, height, width):
    x0, y0, x1, y1 = box
    columns = ((x >= x0) & (x < x1)).sum()
    rows = ((y >= y0) & (y < y1)).sum()
    share = columns * rows / (len(x) * len(y))  # of the sampled image
    plain = (x1 - x0) * (y1 - y0) / (width * height)  # of the image
    return share / plain


def _along(positions, low, high, size):
    share = ((positions >= low) & (positions < high)).double().mean()
    return share / (high - low) * size


EXERCISES = [
    Exercise(
        name="pareto_front",
        solution=pareto_front,
        inputs=_accuracies_and_costs,
        mistakes=[
            Mistake(
                "A variant leaves your front only if another is better in both. One that is equally accurate at a "
                "higher cost is beaten too: at least as good in both, better in one.",
                lambda accuracies, costs: ~((accuracies > accuracies[:, None]) & (costs < costs[:, None])).any(dim=1),
            ),
            Mistake(
                "Every variant beats itself here, so the front is empty. Require the other one to be better in one "
                "of the two.",
                lambda accuracies, costs: ~((accuracies >= accuracies[:, None]) & (costs <= costs[:, None])).any(dim=1),
            ),
            Mistake(
                "Your front prefers high costs. A lower cost is better: reverse that comparison.",
                lambda accuracies, costs: pareto_front(accuracies, -costs),
            ),
            Mistake(
                "You marked the beaten variants. True means: on the front.",
                lambda accuracies, costs: ~pareto_front(accuracies, costs),
            ),
        ],
        hint="Compare all pairs, (v, v): at least as accurate, at most as costly, better in one.",
    ),
    Exercise(
        name="part_magnification",
        solution=part_magnification,
        inputs=_positions_and_box,
        mistakes=[
            Mistake(
                "This is the number of pixels that the part gets. Divide by the number that plain resizing gives it.",
                lambda x, y, box, height, width: (
                    ((x >= box[0]) & (x < box[2])).sum() * ((y >= box[1]) & (y < box[3])).sum()
                ),
            ),
            Mistake(
                "This is the part's share of the sampled image. Divide by its share of the image.",
                lambda x, y, box, height, width: (
                    _along(x, box[0], box[2], box[2] - box[0]) * _along(y, box[1], box[3], box[3] - box[1])
                ),
            ),
            Mistake(
                "You counted along x only. A pixel is in the part if both its x and its y are: multiply by y's ratio.",
                lambda x, y, box, height, width: _along(x, box[0], box[2], width),
            ),
            Mistake(
                "You mixed up the axes of the box. It is (x0, y0, x1, y1): x lies between x0 and x1.",
                lambda x, y, box, height, width: _along(x, box[1], box[3], width) * _along(y, box[0], box[2], height),
            ),
        ],
        hint="The part's share of the sampled pixels, divided by the box's share of the image's area.",
    ),
]
