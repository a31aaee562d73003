"""Exercises of notebook 06: many questions, and costs. Solutions are written as a student would write them."""

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


def _p_values(generator, turn):
    """Each is a little below its own limit, but one above it: none, the first, or one in the middle, where the rule
    must stop. Only the first is below Bonferroni's limit. In other rounds two at most are small, two are equal, or
    there is only one; never sorted."""
    m = 1 if turn % 6 == 5 else whole(4, 7, generator)
    limits = 0.05 / torch.arange(m, 0, -1, dtype=torch.float64)
    p_values = limits * uniform(m, 0.9, 0.98, generator)
    fails = (whole(1, max(m - 2, 1), generator), m, 0, 1)[turn % 4]
    if fails < m:
        p_values[fails] = 1.03 * limits[fails]
    if turn % 6 == 3:
        p_values[2:] = 0.3 + 0.1 * torch.arange(m - 2)
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


def _limits(p_values):
    return 0.05 / torch.arange(len(p_values), 0, -1)


EXERCISES = [
    Exercise(
        holm,
        _p_values,
        mistakes={
            "You asked 5 % / m of every p-value. That is Bonferroni's rule; by Holm's, each next one may be larger.": (
                lambda p_values: p_values <= 0.05 / len(p_values)
            ),
            "You did not correct for the number of questions. The smallest must be at most 5 % / m.": (
                lambda p_values: p_values <= 0.05
            ),
            "You compared each with its own limit and did not stop. After the first that fails, none is significant.": (
                lambda p_values: p_values <= _limits(p_values)[p_values.argsort().argsort()]
            ),
            "Your result is in the order of the sorted p-values. Return it in the order of the input.": (
                lambda p_values: holm(p_values.sort().values)
            ),
        },
        hint="Take the smallest first, then the next one; stop at the first that is above its limit.",
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
            "You marked the beaten variants. True means: on the front.": lambda accuracies, costs: (
                ~pareto_front(accuracies, costs)
            ),
        },
        hint="Compare all pairs, (v, v): at least as accurate, at most as costly, better in one.",
    ),
]
