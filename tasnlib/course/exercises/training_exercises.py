"""Exercises of notebook 05. Solutions are written as a student would write them."""

import math

import torch

from tasnlib.course.exercises.checking import Exercise, Mistake, whole


def _sizes(generator):
    batch_size = whole(2, 8, generator)
    return {
        "images": batch_size * whole(1, 9, generator) + whole(0, batch_size - 1, generator),
        "batch_size": batch_size,
        "epochs": whole(2, 9, generator),
    }


def optimisation_steps(images, batch_size, epochs):
    return images // batch_size * epochs  # an incomplete batch is left out


def _moment(generator):
    """Also without a warm-up, and at its very end."""
    warmup = whole(0, 4, generator) / 10
    done = warmup if whole(0, 4, generator) == 0 else whole(0, 99, generator) / 100
    return {"done": done, "peak": whole(1, 9, generator) / 10, "warmup": warmup}


def learning_rate(done, peak, warmup):
    if done < warmup:
        return peak * done / warmup
    left = (done - warmup) / (1 - warmup)  # from 0 at the peak to 1 at the end
    return peak * 0.5 * (1 + math.cos(math.pi * left))


def _half_right(generator, parts):
    """Labels, and predictions of which about half have the right genus; now and then none has."""
    species, count = 2**parts, whole(6, 12, generator)
    labels = torch.randint(4 * species, (count,), generator=generator)
    shift = torch.randint(0 if whole(0, 4, generator) else 1, 2, (count,), generator=generator)
    guessed = torch.randint(species, (count,), generator=generator)
    predictions = ((labels // species + shift) % 4) * species + guessed
    predictions[0] = labels[0] if shift.min() == 0 else predictions[0]
    return {"predictions": predictions, "labels": labels}


def _with_species(generator):
    parts = whole(1, 3, generator)
    return _half_right(generator, parts) | {"species": 2**parts}


def genus_and_species(predictions, labels, species):
    genus_right = predictions // species == labels // species
    both_right = predictions == labels
    return genus_right.float().mean(), both_right.sum() / genus_right.sum().clamp_min(1)


def _with_parts(generator):
    parts = whole(2, 4, generator)
    return _half_right(generator, parts) | {"parts": parts}


def parts_read(predictions, labels, parts):
    shares = []
    for part in range(parts):  # one binary digit of the species for each part
        same = (predictions >> part) % 2 == (labels >> part) % 2
        shares.append(same.float().mean())
    return torch.stack(shares)


EXERCISES = [
    Exercise(
        name="optimisation_steps",
        solution=optimisation_steps,
        inputs=_sizes,
        mistakes=[
            Mistake(
                "You counted the incomplete batch of each epoch. It is left out.",
                lambda images, batch_size, epochs: -(-images // batch_size) * epochs,
            ),
            Mistake(
                "You joined the epochs before dividing. Images left over in one epoch do not wait for the next.",
                lambda images, batch_size, epochs: images * epochs // batch_size,
            ),
        ],
        hint="Whole batches of one epoch, times the epochs.",
    ),
    Exercise(
        name="learning_rate",
        solution=learning_rate,
        inputs=_moment,
        mistakes=[
            Mistake(
                "Your cosine runs over the whole training. It begins where the warm-up ends.",
                lambda done, peak, warmup: (
                    peak * done / warmup if done < warmup else peak * 0.5 * (1 + math.cos(math.pi * done))
                ),
            ),
            Mistake("There is no warm-up in yours.", lambda done, peak, warmup: learning_rate(done, peak, 0)),
        ],
        hint="Before `warmup` a straight line; after it, what share of the rest is done?",
    ),
    Exercise(
        name="genus_and_species",
        solution=genus_and_species,
        inputs=_with_species,
        mistakes=[
            Mistake(
                "Your second number is a share of all images. It is of those whose genus is right.",
                lambda predictions, labels, species: (
                    genus_and_species(predictions, labels, species)[0],
                    (predictions == labels).float().mean(),
                ),
            ),
            Mistake(
                "You compared the remainders, which are the species. The genus is what the division gives.",
                lambda predictions, labels, species: (
                    (predictions % species == labels % species).float().mean(),
                    genus_and_species(predictions, labels, species)[1],
                ),
            ),
        ],
        hint="Class = genus · species + species within the genus.",
    ),
    Exercise(
        name="parts_read",
        solution=parts_read,
        inputs=_with_parts,
        mistakes=[
            Mistake(
                "Your parts are in reverse order. Part 0 is the lowest binary digit.",
                lambda predictions, labels, parts: parts_read(predictions, labels, parts).flip(0),
            ),
            Mistake(
                "You asked whether the whole rest of the number agrees. Compare one digit at a time.",
                lambda predictions, labels, parts: torch.stack(
                    [(predictions >> part == labels >> part).float().mean() for part in range(parts)]
                ),
            ),
        ],
        hint="`number >> part` drops the lower digits; `% 2` leaves one.",
    ),
]
