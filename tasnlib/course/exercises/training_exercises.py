"""Exercises of notebook 05. Solutions are written as a student would write them."""

import math

import torch

from tasnlib.course.exercises.checking import Exercise
from tasnlib.course.exercises.random_inputs import whole


def _sizes(generator, turn):
    """Whole batches only, some images left over, fewer images than a batch."""
    batch_size, batches = whole(3, 8, generator), (whole(2, 9, generator), whole(2, 9, generator), 0)[turn % 3]
    left_over = 0 if turn % 3 == 0 else whole(2, batch_size - 1, generator)
    return {"images": batch_size * batches + left_over, "batch_size": batch_size, "epochs": whole(2, 9, generator)}


def optimisation_steps(images, batch_size, epochs):
    return images // batch_size * epochs  # an incomplete batch is left out


def _moment(generator, turn):
    """During the warm-up and after it, at its end, at both ends of the training, and without a warm-up."""
    warmup = 0.0 if turn % 6 > 3 else whole(1, 4, generator) / 10
    during, after = warmup * whole(1, 4, generator) / 10, warmup + whole(1, 5, generator) / 10
    done = (during, after, warmup, 1.0 if turn < 6 else 0.0, 0.0, 0.3)[turn % 6]
    return {"done": done, "peak": whole(1, 9, generator) / 10, "warmup": warmup}


def learning_rate_at(done, peak, warmup):
    if done < warmup:
        return peak * done / warmup
    left = (done - warmup) / (1 - warmup)  # from 0 at the peak to 1 at the end
    return peak * 0.5 * (1 + math.cos(math.pi * left))


def _half_right(generator, turn, parts):
    """Labels, and predictions of which about half have the right genus; in some rounds none, in others all."""
    species, count = 2**parts, whole(9, 14, generator)
    labels = torch.randint(4 * species, (count,), generator=generator)
    wrong = torch.randint(2, (count,), generator=generator) if turn % 4 else torch.ones(count, dtype=torch.long)
    guessed = torch.randint(species, (count,), generator=generator)
    predictions = (labels // species + wrong) % 4 * species + guessed
    predictions[0] = labels[0] if turn % 4 else predictions[0]
    return {"predictions": labels.clone() if turn % 6 == 5 else predictions, "labels": labels}


def _with_species(generator, turn):
    parts = turn % 3 + 1
    return _half_right(generator, turn, parts) | {"species": 2**parts}


def genus_and_species(predictions, labels, species):
    genus_right = predictions // species == labels // species
    both_right = predictions == labels
    return genus_right.float().mean(), both_right.sum() / genus_right.sum().clamp_min(1)


def _with_parts(generator, turn):
    parts = (2, 3, 1, 4)[turn % 4]
    return _half_right(generator, turn, parts) | {"parts": parts}


def parts_read(predictions, labels, parts):
    shares = []
    for part in range(parts):  # one binary digit of the species for each part
        same = (predictions >> part) % 2 == (labels >> part) % 2
        shares.append(same.float().mean())
    return torch.stack(shares)


EXERCISES = [
    Exercise(
        optimisation_steps,
        _sizes,
        mistakes={
            "You counted the incomplete batch of each epoch. It is left out.": lambda n, b, e: math.ceil(n / b) * e,
            "You joined the epochs before dividing. Images left over are dropped.": lambda n, b, e: n * e // b,
        },
        hint="Whole batches of one epoch, times the epochs.",
    ),
    Exercise(
        learning_rate_at,
        _moment,
        mistakes={
            "Your cosine runs over the whole training. It begins where the warm-up ends.": lambda done, peak, warmup: (
                peak * done / warmup if done < warmup else learning_rate_at(done, peak, 0)
            ),
            "There is no warm-up in yours.": lambda done, peak, warmup: learning_rate_at(done, peak, 0),
        },
        hint="Up to `warmup` a straight line; then half of 1 + cos(π · share), for the share of the rest that is done.",
    ),
    Exercise(
        genus_and_species,
        _with_species,
        mistakes={
            "Your second number is a share of all images. It is of those whose genus is right.": lambda p, y, species: (
                (genus_and_species(p, y, species)[0], (p == y).float().mean())
            ),
            "You compared the remainders, which are the species. The genus is what the division gives.": (
                lambda p, y, n: ((p % n == y % n).float().mean(), genus_and_species(p, y, n)[1])
            ),
        },
        hint="Class = genus · species + species within it. The share of right genera; among these, of right species.",
    ),
    Exercise(
        parts_read,
        _with_parts,
        mistakes={
            "Your parts are in reverse order. Part 0 is the lowest digit.": lambda p, y, n: parts_read(p, y, n).flip(0),
            "You asked whether the whole rest of the number agrees. Compare one digit at a time.": lambda p, y, parts: (
                torch.stack([(p >> part == y >> part).float().mean() for part in range(parts)])
            ),
        },
        hint="`number >> part` drops the lower digits; `% 2` leaves one.",
    ),
]
