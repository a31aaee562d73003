"""Exercises of notebook 06. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise
from tasnlib.course.exercises.random_inputs import uniform, whole


def _standard(values):
    """The same rows with mean 0 and sample deviation 1."""
    return (values - values.mean(-1, keepdim=True)) / values.std(-1, keepdim=True)


def _two_variants(generator, turn):
    """The seeds differ more than the variants do, so that pairing matters. The difference is not correlated with the
    seeds, so that the difference of the deviations is not the deviation of the differences. Also two seeds, a constant
    difference, and none."""
    seeds = 2 if turn % 6 == 3 else whole(4, 7, generator)
    ups = _standard(torch.randn(seeds, generator=generator))
    noise = torch.randn(seeds, generator=generator)
    noise = noise - noise.mean()
    noise = _standard(noise - ups * (noise @ ups) / (ups @ ups)) if seeds > 2 else ups
    its = uniform((), 70, 80, generator) + uniform((), 3, 5, generator) * ups
    shift = (2 * (turn % 2) - 1) * uniform((), 1, 3, generator)
    difference = (shift + uniform((), 1.3, 1.7, generator) * noise) * (turn % 6 != 5)
    return {"mine": its + (shift if turn % 6 == 4 else difference), "its": its}


def paired_difference(mine, its):
    differences = mine - its  # (seeds,)
    return differences.mean(), differences.std()  # std divides by n - 1


def _differences(generator, turn):
    """Deviations above 1 and below the root of n - 1, so a missing root is noticed; fewer variants than seeds, and as
    many; one variant, two seeds, no deviation at all."""
    seeds = whole(5, 8, generator)
    variants, seeds = ((2, seeds), (3, seeds), (1, seeds), (4, 2), (seeds, seeds), (2, seeds))[turn % 6]
    noise = uniform((variants, 1), 1.2, 1.6, generator) * _standard(torch.randn(variants, seeds, generator=generator))
    return {"differences": uniform((variants, 1), -3, 3, generator) + noise * (turn % 6 != 5)}


def standard_error(differences):
    seeds = differences.shape[1]
    return differences.std(dim=1) / seeds**0.5  # (v,)


def _variants_and_reference(generator, turn):
    """The reference has one lucky seed, far above its others. One variant ties once and loses once, and another one, in
    every third round, ties for all seeds; also one variant, and as many as seeds."""
    seeds = whole(5, 8, generator)
    variants = (2, 3, 1, seeds)[turn % 4]
    reference = uniform(seeds, 60, 61, generator)
    reference[0] += 20
    sign = torch.randint(-1, 2, (variants, seeds), generator=generator)
    sign[0] = 1
    sign[0, whole(0, 1, generator)] = 0
    sign[0, 2] = -1
    sign[-1] *= turn % 3 != 1
    accuracies = reference + sign * uniform((variants, seeds), 0.1, 0.5, generator)
    order = torch.randperm(seeds, generator=generator)
    rows = torch.randperm(variants, generator=generator)
    return {"accuracies": accuracies[rows][:, order], "reference": reference[order]}


def wins(accuracies, reference):
    better = (accuracies > reference).sum(dim=1)  # (v,), the reference beside every row
    equal = (accuracies == reference).sum(dim=1)
    return better + 0.5 * equal


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
        paired_difference,
        _two_variants,
        mistakes={
            "Your deviation is that of two unpaired groups: you added the variances. Subtract seed by seed first, then "
            "take the deviation of the differences.": lambda a, b: (a.mean() - b.mean(), (a.var() + b.var()).sqrt()),
            "Your deviation divides by n, as for a whole population. Seeds are a sample: divide by n - 1.": (
                lambda mine, its: ((mine - its).mean(), (mine - its).std(correction=0))
            ),
            "The sign is wrong: above 0 means that mine is better. Subtract its from mine.": lambda mine, its: (
                paired_difference(its, mine)
            ),
            "This is the standard error of the mean. Return the spread of the differences themselves.": (
                lambda mine, its: ((mine - its).mean(), (mine - its).std() / len(mine) ** 0.5)
            ),
        },
        hint="First mine - its; then the mean and the sample standard deviation of that.",
    ),
    Exercise(
        standard_error,
        _differences,
        mistakes={
            "This is the deviation over seeds. The mean of n seeds varies less than a single one: divide by √n.": (
                lambda differences: differences.std(1)
            ),
            "You took the population's deviation. Take the sample's, which divides by n - 1.": (
                lambda differences: differences.std(1, correction=0) / differences.shape[1] ** 0.5
            ),
            "You divided by √(n - 1). The n - 1 is in the sample deviation already; divide by √n.": (
                lambda differences: differences.std(1) / (differences.shape[1] - 1) ** 0.5
            ),
        },
        hint="The sample deviation over the seeds, divided by the root of the number of seeds.",
    ),
    Exercise(
        wins,
        _variants_and_reference,
        mistakes={
            "You ignored ties. Each counts half.": lambda accuracies, reference: (accuracies > reference).sum(1),
            "You counted ties as wins. Each counts half.": lambda mine, reference: (mine >= reference).sum(1),
            "You counted the reference's wins. Count the seeds for which the variant is more accurate.": (
                lambda accuracies, reference: wins(-accuracies, -reference)
            ),
        },
        hint="The number of seeds for which it is greater, plus half the number for which it is equal.",
    ),
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
            "You marked the beaten variants. True means: on the front.": lambda *given: ~pareto_front(*given),
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
