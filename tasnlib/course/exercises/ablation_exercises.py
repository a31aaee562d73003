"""Exercises of notebook 06. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise
from tasnlib.course.exercises.random_inputs import uniform, whole


def _standard(values):
    """The same rows with mean 0 and sample deviation 1."""
    return (values - values.mean(-1, keepdim=True)) / values.std(-1, keepdim=True)


def _two_variants(generator, turn):
    """The seeds differ more than the variants do, so that pairing matters. The difference is not correlated with the
    seeds, so that the difference of the deviations is not the deviation of the differences. In two of six rounds the
    shift is so small that either variant wins for some seed. Also two seeds, a constant difference, and none."""
    seeds = 2 if turn % 6 == 3 else whole(4, 7, generator)
    ups = _standard(torch.randn(seeds, generator=generator))
    noise = torch.randn(seeds, generator=generator)
    noise = noise - noise.mean()
    noise = _standard(noise - ups * (noise @ ups) / (ups @ ups)) if seeds > 2 else ups
    its = uniform((), 70, 80, generator) + uniform((), 3, 5, generator) * ups
    shift = (2 * (turn % 2) - 1) * uniform((), 1, 3, generator) / (10 if turn % 6 < 2 else 1)
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
    both, or beaten in one or in both. Also one variant, all alike, and one that alone beats each of the others."""
    number = (8, 12, 1, 10)[turn % 4]
    costs = torch.randint(1, 7, (number,), generator=generator)
    accuracies = costs + torch.randint(0, 4, (number,), generator=generator)
    if turn % 6 == 5:
        accuracies, costs = accuracies[:1].expand(number).clone(), costs[:1].expand(number).clone()
    if turn % 6 == 3:
        accuracies, costs = torch.tensor([3, 5, 2, 5]), torch.tensor([4, 2, 2, 5])  # in both, in one
    return {"accuracies": 60 + 2.5 * accuracies, "costs": 1.5 * costs}


def pareto_front(accuracies, costs):
    as_accurate = accuracies >= accuracies[:, None]  # (v, v): is the other, the column, as accurate as me, the row?
    as_cheap = costs <= costs[:, None]
    better = (accuracies > accuracies[:, None]) | (costs < costs[:, None])
    beaten = (as_accurate & as_cheap & better).any(dim=1)  # by any other
    return ~beaten


def _p_values(generator, turn):
    """Each is a little below its own limit, but one above it: none, the first, or one in the middle, where the rule
    must stop. Only the first is below Bonferroni's limit. In other rounds two at most are small and a third is below
    5 %, two are equal, or there is only one; never sorted."""
    m = 1 if turn % 6 == 5 else whole(4 + (turn % 6 == 3), 7, generator)
    limits = 0.05 / torch.arange(m, 0, -1)
    p_values = limits * uniform(m, 0.9, 0.98, generator)
    fails = (whole(1, max(m - 2, 1), generator), m, 0, 1)[turn % 4]
    if fails < m:
        p_values[fails] = 1.03 * limits[fails]
    if turn % 6 == 3:
        p_values[2:] = 0.045 + 0.2 * torch.arange(m - 2)
    if turn % 6 == 4:
        p_values[2] = p_values[1]
    return {"p_values": p_values[torch.randperm(m, generator=generator)]}


def holm(p_values):
    significant = torch.zeros(len(p_values), dtype=torch.bool)
    for rank, place in enumerate(p_values.argsort()):  # the smallest first
        if p_values[place] > 0.05 / (len(p_values) - rank):
            break
        significant[place] = True
    return significant


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
            "The sign is wrong: above 0, mine is better. Subtract its from mine.": lambda a, b: paired_difference(b, a),
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
            "This is the deviation over seeds. The mean of n seeds varies less: divide by √n.": lambda d: d.std(1),
            "You took the population's deviation. Take the sample's, which divides by n - 1.": (
                lambda differences: differences.std(1, correction=0) / differences.shape[1] ** 0.5
            ),
            "You divided by √(n - 1). The n - 1 is in the sample deviation already; divide by √n.": (
                lambda d: d.std(1) / (d.shape[1] - 1) ** 0.5
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
            "You counted the reference's wins. Count the seeds where the variant wins.": lambda a, r: wins(-a, -r),
        },
        hint="The number of seeds for which it is greater, plus half the number for which it is equal.",
    ),
    Exercise(
        holm,
        _p_values,
        mistakes={
            "You asked 5 % / m of every p-value. That is Bonferroni's rule; by Holm's, each next one may be larger.": (
                lambda p: p <= 0.05 / len(p)
            ),
            "You did not correct for the number of questions. Ask 5 % / m of the smallest.": lambda p: p <= 0.05,
            "You compared each with its own limit and did not stop. After the first that fails, none is significant.": (
                lambda p: p <= 0.05 / (len(p) - p.argsort().argsort())
            ),
            "Your result is in the order of the sorted p-values, not of the input.": lambda p: holm(p.sort().values),
        },
        hint="Take the smallest first, then the next one; stop at the first that is above its limit.",
    ),
    Exercise(
        pareto_front,
        _accuracies_and_costs,
        mistakes={
            "Your front loses a variant only to one better in both. Better in one, as good in the other, is enough.": (
                lambda accuracies, costs: ~((accuracies > accuracies[:, None]) & (costs < costs[:, None])).any(dim=1)
            ),
            "Every variant beats itself, so the front is empty. The other one must be better in one of the two.": (
                lambda accuracies, costs: ~((accuracies >= accuracies[:, None]) & (costs <= costs[:, None])).any(dim=1)
            ),
            "Your front prefers high costs. Lower is better: reverse the comparison.": lambda a, c: pareto_front(a, -c),
            "You marked the beaten variants. True means: on the front.": lambda *given: ~pareto_front(*given),
        },
        hint="Compare all pairs, (v, v): at least as accurate, at most as costly, better in one.",
    ),
]
