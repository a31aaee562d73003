"""Exercises of notebook 06. Solutions are written as a student would write them."""

import torch

from tasnlib.exercises.checking import Exercise, Mistake


def _whole(low, high, generator):
    return int(torch.randint(low, high + 1, (), generator=generator))


def _uniform(shape, low, high, generator):
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def _either_sign(generator):
    return 2 * _whole(0, 1, generator) - 1


def _standard(values):
    """The same rows with mean 0 and sample deviation 1."""
    return (values - values.mean(-1, keepdim=True)) / values.std(-1, keepdim=True)


# 1. paired_difference


def _two_variants(generator):
    """The seeds differ more than the variants do, so that pairing shows. The difference does not follow the seeds' ups
    and downs, so that the difference of the deviations is not the deviation of the differences."""
    seeds = _whole(4, 7, generator)
    ups = _standard(torch.randn(seeds, generator=generator, dtype=torch.float64))
    noise = torch.randn(seeds, generator=generator, dtype=torch.float64)
    noise = noise - noise.mean()
    noise = _standard(noise - ups * (noise @ ups) / (ups @ ups))
    its = _uniform((), 70, 80, generator) + _uniform((), 3, 5, generator) * ups
    shift = _either_sign(generator) * _uniform((), 1, 3, generator)
    return {"mine": its + shift + _uniform((), 1.3, 1.7, generator) * noise, "its": its}


def paired_difference(mine, its):
    differences = mine - its  # (seeds,)
    return differences.mean(), differences.std()  # std divides by n - 1


# 2. standard_error


def _differences(generator):
    """Deviations above 1 and below the root of n - 1, so that a forgotten root shows; fewer variants than seeds."""
    variants, seeds = _whole(2, 3, generator), _whole(5, 8, generator)
    noise = _standard(torch.randn(variants, seeds, generator=generator, dtype=torch.float64))
    means = _uniform((variants, 1), -3, 3, generator)
    return {"differences": means + _uniform((variants, 1), 1.2, 1.6, generator) * noise}


def standard_error(differences):
    seeds = differences.shape[1]
    return differences.std(dim=1) / seeds**0.5  # (v,)


# 3. wins


def _variants_and_reference(generator):
    """The reference has one lucky seed, far above its others. One variant ties with it once and loses once."""
    variants, seeds = _whole(2, 4, generator), _whole(5, 8, generator)
    reference = _uniform(seeds, 60, 61, generator)
    reference[0] += 20
    sign = torch.randint(-1, 2, (variants, seeds), generator=generator)
    sign[0] = 1
    sign[0, _whole(0, 1, generator)] = 0
    sign[0, 2] = -1
    accuracies = reference + sign * _uniform((variants, seeds), 0.1, 0.5, generator)
    order = torch.randperm(seeds, generator=generator)
    rows = torch.randperm(variants, generator=generator)
    return {"accuracies": accuracies[rows][:, order], "reference": reference[order]}


def wins(accuracies, reference):
    better = (accuracies > reference).sum(dim=1)  # (v,), the reference beside every row
    equal = (accuracies == reference).sum(dim=1)
    return better + 0.5 * equal


# 4. pareto_front


def _accuracies_and_costs(generator):
    """Three variants on the front, one of them twice; one as accurate as the first but dearer; one as costly as the
    last but less accurate; and some that are beaten in both, the dearest of them more accurate than the next cheaper.
    """
    cost = 2 + _uniform(3, 2, 5, generator).cumsum(0)
    accuracy = 50 + _uniform(3, 3, 8, generator).cumsum(0)
    twin = _whole(0, 1, generator)
    share = _uniform(2, 0.2, 0.8, generator)
    others = _whole(0, 2, generator)
    points = [
        torch.stack([accuracy, cost], dim=1),
        torch.stack([accuracy[twin], cost[twin]])[None],
        torch.stack([accuracy[0], torch.lerp(cost[0], cost[1], share[0])])[None],
        torch.stack([torch.lerp(accuracy[1], accuracy[2], share[1]), cost[2]])[None],
        torch.stack([accuracy[1] - _uniform(others, 1, 8, generator), cost[1] + _uniform(others, 0, 1, generator)], 1),
        torch.stack([accuracy[0] - _uniform((), 1, 3, generator), cost[2] + _uniform((), 1, 2, generator)])[None],
        torch.stack([accuracy[1] - _uniform((), 1, 2, generator), cost[2] + _uniform((), 3, 5, generator)])[None],
    ]
    accuracies, costs = torch.cat(points)[torch.randperm(8 + others, generator=generator)].unbind(1)
    return {"accuracies": accuracies.contiguous(), "costs": costs.contiguous()}


def pareto_front(accuracies, costs):
    as_accurate = accuracies >= accuracies[:, None]  # (v, v): is the other, the column, as accurate as me, the row?
    as_cheap = costs <= costs[:, None]
    better = (accuracies > accuracies[:, None]) | (costs < costs[:, None])
    beaten = (as_accurate & as_cheap & better).any(dim=1)  # by any other
    return ~beaten


def _against_the_next_cheaper(accuracies, costs):
    order = costs.argsort(stable=True)
    kept = torch.ones(len(costs), dtype=torch.bool)
    kept[order[1:]] = accuracies[order].diff() > 0
    return kept


def _better_than_nobody(accuracies, costs):
    as_good = (accuracies >= accuracies[:, None]) & (costs <= costs[:, None])
    better = (accuracies > accuracies[:, None]) | (costs < costs[:, None])
    return ~(as_good & better).any(dim=0)


def _kept_by_twins_only(accuracies, costs):
    as_good = (accuracies >= accuracies[:, None]) & (costs <= costs[:, None])
    return ~(as_good & ~torch.eye(len(costs), dtype=torch.bool)).any(dim=1)


def _alike_go_together(inputs, answer):
    accuracies, costs = inputs["accuracies"], inputs["costs"]
    alike = (accuracies == accuracies[:, None]) & (costs == costs[:, None])
    return bool((answer == answer[:, None])[alike].all())


def _best_and_cheapest(inputs):
    """The cheapest of the most accurate variants."""
    accuracies, costs = inputs["accuracies"], inputs["costs"]
    return costs.masked_fill(accuracies < accuracies.max(), float("inf")).argmin()


# 5. part_magnification


def _positions(low, high, size, inside, outside, generator):
    """Sorted positions on an axis: so many inside of (low, high), so many in the rest of (0, size)."""
    within = _uniform(inside, low + 0.1, high - 0.1, generator)
    beside = _uniform(outside, 0, size - (high - low) - 0.2, generator)
    beside = torch.where(beside < low - 0.1, beside, beside + (high - low) + 0.2)
    return torch.cat([within, beside]).sort().values


def _positions_and_box(generator):
    """An image wider than high, the box in its right part: mixed-up axes find no position of y in it. The numbers of
    positions are primes, so that they do not cancel with the sides of the box."""
    height, width = _whole(24, 26, generator), _whole(40, 44, generator)
    x0, y0 = _whole(26, 28, generator), _whole(4, 8, generator)
    x1, y1 = x0 + _whole(8, 10, generator), y0 + _whole(5, 7, generator)
    across = _whole(5, 7, generator)
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
                "Your deviation is that of mine alone. Subtract first, then take the deviation of the differences.",
                lambda mine, its: (mine.mean() - its.mean(), mine.std()),
            ),
            Mistake(
                "You subtracted one deviation from the other. Subtract the accuracies, seed by seed, then take the "
                "deviation.",
                lambda mine, its: (mine.mean() - its.mean(), mine.std() - its.std()),
            ),
            Mistake(
                "Your deviation divides by n: that is the population's. A few seeds are a sample: divide by n - 1.",
                lambda mine, its: ((mine - its).mean(), (mine - its).std(correction=0)),
            ),
            Mistake(
                "Your sign is turned round: above 0 must mean that mine is better. Subtract its from mine.",
                lambda mine, its: ((its - mine).mean(), (its - mine).std()),
            ),
            Mistake(
                "You gave the variance. The deviation is its root, and is in percent like the accuracies.",
                lambda mine, its: ((mine - its).mean(), (mine - its).var()),
            ),
            Mistake(
                "You gave the standard error. Here the spread of the differences themselves is asked for.",
                lambda mine, its: ((mine - its).mean(), (mine - its).std() / len(mine) ** 0.5),
            ),
        ],
        properties=[
            (
                "The mean of the differences is the difference of the means.",
                lambda inputs, answer: (
                    abs(float(answer[0]) - float(inputs["mine"].mean() - inputs["its"].mean())) < 1e-3
                ),
            ),
            ("A deviation is never below 0.", lambda inputs, answer: float(answer[1]) >= 0),
        ],
        hint="First mine - its; then the mean and the sample standard deviation of that.",
    ),
    Exercise(
        name="standard_error",
        solution=standard_error,
        inputs=_differences,
        mistakes=[
            Mistake(
                "This is the deviation over seeds. The mean of n seeds is surer than one of them: divide by √n.",
                lambda differences: differences.std(1),
            ),
            Mistake(
                "You divided by n. The error of a mean shrinks with the root of n.",
                lambda differences: differences.std(1) / differences.shape[1],
            ),
            Mistake(
                "You divided the variance by n and took no root.",
                lambda differences: differences.var(1) / differences.shape[1],
            ),
            Mistake(
                "You started from the population's deviation. Take the sample's, which divides by n - 1.",
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
                "Your deviation is over the variants, one number a seed. Take it over the seeds, dim=1.",
                lambda differences: differences.std(0) / len(differences) ** 0.5,
            ),
            Mistake(
                "You threw all variants together. Each has a standard error of its own: dim=1.",
                lambda differences: differences.std() / differences.numel() ** 0.5,
            ),
        ],
        properties=[
            (
                "The error of the mean is smaller than the deviation over seeds.",
                lambda inputs, answer: bool((answer < inputs["differences"].std(1)).all()),
            ),
        ],
        hint="The sample deviation over the seeds, divided by the root of their number.",
    ),
    Exercise(
        name="wins",
        solution=wins,
        inputs=_variants_and_reference,
        mistakes=[
            Mistake(
                "Ties count for nothing in your answer. Each counts half.",
                lambda accuracies, reference: (accuracies > reference).sum(1),
            ),
            Mistake(
                "Ties count as wins in your answer. Each counts half.",
                lambda accuracies, reference: (accuracies >= reference).sum(1),
            ),
            Mistake(
                "You compared with the reference's mean. Compare within a seed: both saw the same images there.",
                lambda accuracies, reference: (accuracies > reference.mean()).sum(1),
            ),
            Mistake(
                "You counted the reference's wins. Count where the variant's accuracy is the higher one.",
                lambda accuracies, reference: (accuracies < reference).sum(1) + 0.5 * (accuracies == reference).sum(1),
            ),
            Mistake(
                "You took the losses away from the wins. Count the wins alone, and half of the ties.",
                lambda accuracies, reference: (accuracies - reference).sign().sum(1),
            ),
            Mistake(
                "You gave the share of the seeds. Give their number: a sum, not a mean.",
                lambda accuracies, reference: wins(accuracies, reference) / len(reference),
            ),
            Mistake(
                "You counted over the variants, one number a seed. Count over the seeds, dim=1.",
                lambda accuracies, reference: (accuracies > reference).sum(0) + 0.5 * (accuracies == reference).sum(0),
            ),
            Mistake(
                "You counted over all variants together. Give one number a variant: dim=1.",
                lambda accuracies, reference: wins(accuracies, reference).sum(),
            ),
        ],
        properties=[
            (
                "No variant wins fewer than 0 seeds, or more than there are.",
                lambda inputs, answer: bool(((answer >= 0) & (answer <= len(inputs["reference"]))).all()),
            ),
        ],
        hint="The number of seeds where it is greater, plus half the number where it is equal.",
    ),
    Exercise(
        name="pareto_front",
        solution=pareto_front,
        inputs=_accuracies_and_costs,
        mistakes=[
            Mistake(
                "A variant stays on your front unless another is better in both. One that is as accurate at a higher "
                "cost is beaten too: at least as good in both, better in one.",
                lambda accuracies, costs: ~((accuracies > accuracies[:, None]) & (costs < costs[:, None])).any(dim=1),
            ),
            Mistake(
                "A variant that is as accurate as a cheaper one stays on your front. It is beaten: at least as good in "
                "both, better in one of the two, whichever.",
                lambda accuracies, costs: ~((accuracies > accuracies[:, None]) & (costs <= costs[:, None])).any(dim=1),
            ),
            Mistake(
                "A variant that costs as much as a more accurate one stays on your front. It is beaten: at least as "
                "good in both, better in one of the two, whichever.",
                lambda accuracies, costs: ~((accuracies >= accuracies[:, None]) & (costs < costs[:, None])).any(dim=1),
            ),
            Mistake(
                "In your answer each variant is beaten by itself, so the front is empty. Ask also that the other is "
                "better in one of the two.",
                lambda accuracies, costs: ~((accuracies >= accuracies[:, None]) & (costs <= costs[:, None])).any(dim=1),
            ),
            Mistake(
                "Two variants that are alike in both beat each other in your answer. The other must be better in one.",
                _kept_by_twins_only,
            ),
            Mistake(
                "Your front is that of the costliest. A lower cost is the better one: turn that comparison round.",
                lambda accuracies, costs: pareto_front(accuracies, -costs),
            ),
            Mistake(
                "You marked those that are beaten. True must stand for those on the front.",
                lambda accuracies, costs: ~pareto_front(accuracies, costs),
            ),
            Mistake(
                "You marked those that beat nobody: your `any` runs over the wrong axis. Ask, for each variant, over "
                "all others.",
                _better_than_nobody,
            ),
            Mistake(
                "You compared each variant with the next cheaper one only. Compare with every other, cheaper or not.",
                _against_the_next_cheaper,
            ),
        ],
        properties=[
            (
                "The most accurate variant, at its lowest cost, is on the front.",
                lambda inputs, answer: bool(answer[_best_and_cheapest(inputs)]),
            ),
            ("Two variants that are alike in both are both on the front, or both off it.", _alike_go_together),
        ],
        hint="Compare all pairs, (v, v): as accurate, as cheap, and better in one. Beaten by any: not on the front.",
    ),
    Exercise(
        name="part_magnification",
        solution=part_magnification,
        inputs=_positions_and_box,
        mistakes=[
            Mistake(
                "This is the number of pixels that the part gets. Divide by how many plain resizing gives it.",
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
                "You divided by the area of the box in pixels. Plain resizing gives the part n_w · n_h pixels times "
                "the box's share of the image.",
                lambda x, y, box, height, width: _along(x, box[0], box[2], len(x)) * _along(y, box[1], box[3], len(y)),
            ),
            Mistake(
                "You counted along x only. A pixel is in the part when both its x and its y are: multiply by y's.",
                lambda x, y, box, height, width: _along(x, box[0], box[2], width),
            ),
            Mistake(
                "You averaged the magnifications along x and along y. Pixels are rows times columns: multiply them.",
                lambda x, y, box, height, width: (
                    (_along(x, box[0], box[2], width) + _along(y, box[1], box[3], height)) / 2
                ),
            ),
            Mistake(
                "You mixed up the axes of the box. It is (x0, y0, x1, y1): x lies between x0 and x1.",
                lambda x, y, box, height, width: _along(x, box[1], box[3], width) * _along(y, box[0], box[2], height),
            ),
            Mistake(
                "You divided where you must multiply: this is how much smaller the part is drawn. Turn it round.",
                lambda **given: 1 / part_magnification(**given),
            ),
        ],
        properties=[("A magnification is never below 0.", lambda inputs, answer: float(answer) >= 0)],
        hint="The part's share of the sampled pixels, over the box's share of the image's area.",
    ),
]
