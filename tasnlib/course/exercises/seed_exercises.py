"""Exercises of notebook 06: differences between seeds. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake, uniform, whole


def _either_sign(generator):
    return 2 * whole(0, 1, generator) - 1


def _standard(values):
    """The same rows with mean 0 and sample deviation 1."""
    return (values - values.mean(-1, keepdim=True)) / values.std(-1, keepdim=True)


def _two_variants(generator):
    """The seeds differ more than the variants do, so that pairing matters. The difference is not correlated with the
    seeds, so that the difference of the deviations is not the deviation of the differences."""
    seeds = whole(4, 7, generator)
    ups = _standard(torch.randn(seeds, generator=generator, dtype=torch.float64))
    noise = torch.randn(seeds, generator=generator, dtype=torch.float64)
    noise = noise - noise.mean()
    noise = _standard(noise - ups * (noise @ ups) / (ups @ ups))
    its = uniform((), 70, 80, generator) + uniform((), 3, 5, generator) * ups
    shift = _either_sign(generator) * uniform((), 1, 3, generator)
    return {"mine": its + shift + uniform((), 1.3, 1.7, generator) * noise, "its": its}


def paired_difference(mine, its):
    differences = mine - its  # (seeds,)
    return differences.mean(), differences.std()  # std divides by n - 1


def _differences(generator):
    """Deviations above 1 and below the root of n - 1, so a missing root is noticed; fewer variants than seeds."""
    variants, seeds = whole(2, 3, generator), whole(5, 8, generator)
    noise = _standard(torch.randn(variants, seeds, generator=generator, dtype=torch.float64))
    means = uniform((variants, 1), -3, 3, generator)
    return {"differences": means + uniform((variants, 1), 1.2, 1.6, generator) * noise}


def standard_error(differences):
    seeds = differences.shape[1]
    return differences.std(dim=1) / seeds**0.5  # (v,)


def _variants_and_reference(generator):
    """The reference has one lucky seed, far above its others. One variant ties once and loses once."""
    variants, seeds = whole(2, 4, generator), whole(5, 8, generator)
    reference = uniform(seeds, 60, 61, generator)
    reference[0] += 20
    sign = torch.randint(-1, 2, (variants, seeds), generator=generator)
    sign[0] = 1
    sign[0, whole(0, 1, generator)] = 0
    sign[0, 2] = -1
    accuracies = reference + sign * uniform((variants, seeds), 0.1, 0.5, generator)
    order = torch.randperm(seeds, generator=generator)
    rows = torch.randperm(variants, generator=generator)
    return {"accuracies": accuracies[rows][:, order], "reference": reference[order]}


def wins(accuracies, reference):
    better = (accuracies > reference).sum(dim=1)  # (v,), the reference beside every row
    equal = (accuracies == reference).sum(dim=1)
    return better + 0.5 * equal


EXERCISES = [
    Exercise(
        name="paired_difference",
        solution=paired_difference,
        inputs=_two_variants,
        mistakes=[
            Mistake(
                "Your deviation is that of two unpaired groups: you added the variances. Subtract seed by seed first, "
                "then take the deviation of the differences.",
                lambda mine, its: (mine.mean() - its.mean(), (mine.var() + its.var()).sqrt()),
            ),
            Mistake(
                "Your deviation divides by n, as for a whole population. Seeds are a sample: divide by n - 1.",
                lambda mine, its: ((mine - its).mean(), (mine - its).std(correction=0)),
            ),
            Mistake(
                "The sign is wrong: above 0 means that mine is better. Subtract its from mine.",
                lambda mine, its: ((its - mine).mean(), (its - mine).std()),
            ),
            Mistake(
                "This is the standard error of the mean. Return the spread of the differences themselves.",
                lambda mine, its: ((mine - its).mean(), (mine - its).std() / len(mine) ** 0.5),
            ),
        ],
        hint="First mine - its; then the mean and the sample standard deviation of that.",
    ),
    Exercise(
        name="standard_error",
        solution=standard_error,
        inputs=_differences,
        mistakes=[
            Mistake(
                "This is the deviation over seeds. The mean of n seeds varies less than a single one: divide by √n.",
                lambda differences: differences.std(1),
            ),
            Mistake(
                "You divided by n. The error of a mean shrinks with the root of n.",
                lambda differences: differences.std(1) / differences.shape[1],
            ),
            Mistake(
                "You divided the variance by n and left out the root.",
                lambda differences: differences.var(1) / differences.shape[1],
            ),
            Mistake(
                "You took the population's deviation. Take the sample's, which divides by n - 1.",
                lambda differences: differences.std(1, correction=0) / differences.shape[1] ** 0.5,
            ),
            Mistake(
                "You divided by √(n - 1). The n - 1 is in the sample deviation already; divide by √n.",
                lambda differences: differences.std(1) / (differences.shape[1] - 1) ** 0.5,
            ),
            Mistake(
                "You divided by the root of the number of variants. n is the number of seeds, differences.shape[1].",
                lambda differences: differences.std(1) / len(differences) ** 0.5,
            ),
            Mistake(
                "Your deviation is over the variants. Take it over the seeds, dim=1: one number per variant.",
                lambda differences: differences.std(0) / len(differences) ** 0.5,
            ),
            Mistake(
                "You pooled all variants. Each has its own standard error: dim=1.",
                lambda differences: differences.std() / differences.numel() ** 0.5,
            ),
        ],
        hint="The sample deviation over the seeds, divided by the root of the number of seeds.",
    ),
    Exercise(
        name="wins",
        solution=wins,
        inputs=_variants_and_reference,
        mistakes=[
            Mistake(
                "You ignored ties. Each counts half.",
                lambda accuracies, reference: (accuracies > reference).sum(1),
            ),
            Mistake(
                "You counted ties as wins. Each counts half.",
                lambda accuracies, reference: (accuracies >= reference).sum(1),
            ),
            Mistake(
                "You counted the reference's wins. Count the seeds for which the variant is more accurate.",
                lambda accuracies, reference: (accuracies < reference).sum(1) + 0.5 * (accuracies == reference).sum(1),
            ),
            Mistake(
                "You counted over the variants. Count over the seeds, dim=1: one number per variant.",
                lambda accuracies, reference: (accuracies > reference).sum(0) + 0.5 * (accuracies == reference).sum(0),
            ),
        ],
        hint="The number of seeds for which it is greater, plus half the number for which it is equal.",
    ),
]
