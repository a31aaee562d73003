"""Exercises of notebook 08. Solutions are written as a student would write them."""

import torch

from tasnlib.course.exercises.checking import ROWS_SUM_TO_ONE, Exercise
from tasnlib.course.exercises.random_inputs import LOUDEST, whole


def _right_and_wrong(generator, turn):
    """Two networks that are often right about the same photographs, so that pairing matters. Also two that agree about
    every one, one that is right wherever the other is, one that is never right, and two photographs."""
    images = 2 if turn % 6 == 3 else whole(30, 80, generator)
    its = torch.rand(images, generator=generator) < 0.7
    mine = its ^ (torch.rand(images, generator=generator) < 0.2)
    if turn % 6 == 5:
        mine = its.clone()
    if turn % 6 == 4:
        mine = its | mine
    if turn % 6 == 2:
        its = torch.zeros(images, dtype=torch.bool)
    return {"mine": mine, "its": its}


def gain_and_error(mine, its):
    differences = 100 * (mine.float() - its.float())  # 100, 0 or -100 for each photograph
    return differences.mean(), differences.std() / len(mine) ** 0.5


def _unpaired_error(mine, its):
    return (mine.float().var() + its.float().var()).sqrt() * 100 / len(mine) ** 0.5


def _two_views(generator, turn):
    """Logits as loud as a trained network's, where a softmax by hand overflows, so loud that one view is certain; of
    one image, of two classes, of as many images as classes; two views that agree."""
    images, classes = ((5, 4), (1, 6), (4, 4), (6, 2), (3, 5), (2, 8))[turn % 6]
    spread = LOUDEST * 7 if turn % 3 == 1 else 3.0
    plain, sampled = spread * torch.randn(2, images, classes, generator=generator)
    return {"plain_logits": plain, "sampled_logits": plain.clone() if turn % 6 == 5 else sampled}


def two_views(plain_logits, sampled_logits):
    return (plain_logits.softmax(dim=1) + sampled_logits.softmax(dim=1)) / 2


EXERCISES = [
    Exercise(
        gain_and_error,
        _right_and_wrong,
        mistakes={
            "This is the error of two networks on different photographs. Yours saw the same ones: subtract first, "
            "photograph by photograph.": lambda mine, its: (gain_and_error(mine, its)[0], _unpaired_error(mine, its)),
            "Your second number is the deviation of single photographs. For their mean, divide by the root of n.": (
                lambda mine, its: (gain_and_error(mine, its)[0], gain_and_error(mine, its)[1] * len(mine) ** 0.5)
            ),
            "The sign is wrong: where yours alone is right, it is a gain.": lambda a, b: gain_and_error(b, a),
            "You are off by a factor of 100: points are hundredths.": lambda mine, its: tuple(
                value / 100 for value in gain_and_error(mine, its)
            ),
            "You divided by √(n - 1). The deviation already divides by n - 1; the error of the mean, by √n.": (
                lambda a, b: (gain_and_error(a, b)[0], gain_and_error(a, b)[1] * (len(a) / (len(a) - 1)) ** 0.5)
            ),
        },
        hint="One difference a photograph: 100, 0 or -100. Then their mean, and their deviation over √n.",
    ),
    Exercise(
        two_views,
        _two_views,
        mistakes={
            "You averaged the logits. A view that is certain then outvotes the other one, however wrong it is; average "
            "the probabilities.": lambda plain, sampled: ((plain + sampled) / 2).softmax(dim=1),
            "You multiplied the probabilities (or added their logs). Average them.": lambda p, q: (p + q).softmax(1),
            "Your softmax runs over the images, not the classes.": lambda p, q: (p.softmax(0) + q.softmax(0)) / 2,
            "Each row sums to 2. Take the mean, not the sum.": lambda plain, sampled: 2 * two_views(plain, sampled),
            "You took the more certain view. Take the mean of both.": lambda p, q: p.softmax(1).maximum(q.softmax(1)),
        },
        properties=ROWS_SUM_TO_ONE,
        hint="A softmax for each view, then their mean.",
    ),
]
