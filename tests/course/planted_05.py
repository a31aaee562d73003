"""Answers to the exercises of notebook 05, right and wrong; see planted_01."""

import math

import numpy as np
import torch
from torch.nn import functional as F


def steps_counted(images, batch_size, epochs):
    steps = 0
    for _ in range(epochs):
        left = images
        while left >= batch_size:
            left, steps = left - batch_size, steps + 1
    return steps


def rate_by_tensors(progress, highest, share):
    progress, start = torch.tensor(progress), torch.tensor(share)
    falling = highest * (1 + torch.cos(torch.pi * (progress - start) / (1 - start))) / 2
    return torch.where(progress < start, highest * progress / start.clamp_min(1e-9), falling)


def rate_by_sine(done, peak, warmup):
    if warmup > 0 and done <= warmup:
        return done / warmup * peak
    return peak * math.sin(math.pi / 2 * (1 - done) / (1 - warmup)) ** 2


def rate(
    rising=lambda d, w: d / w, falling=lambda d, w: 0.5 * (1 + math.cos(math.pi * (d - w) / (1 - w))), at_end=False
):
    def answer(done, peak, warmup):
        early = done <= warmup if at_end else done < warmup
        return peak * (rising(done, warmup) if early else falling(done, warmup))

    return answer


def counted(predictions, labels, species):
    genus = both = 0
    for guess, true in zip(predictions.tolist(), labels.tolist(), strict=True):
        genus += guess // species == true // species
        both += guess == true
    return genus / len(labels), both / genus if genus else 0.0


def by_index(guesses, truths, number):
    right = torch.div(guesses, number, rounding_mode="floor") == torch.div(truths, number, rounding_mode="floor")
    species = (guesses[right] == truths[right]).float()
    return torch.stack([right.double().mean(), species.mean().double() if len(species) else torch.tensor(0.0).double()])


def by_numpy(predictions, labels, species):
    right = predictions.numpy() // species == labels.numpy() // species
    same = predictions.numpy() % species == labels.numpy() % species
    return right.mean(), (right & same).sum() / max(right.sum(), 1)


def both(first=lambda p, y, s: counted(p, y, s)[0], second=lambda p, y, s: counted(p, y, s)[1]):
    return lambda p, y, s: (first(p, y, s), second(p, y, s))


def share(same):
    return float(same.float().mean())


def digits_by_xor(predictions, labels, parts):
    return 1 - ((predictions ^ labels)[:, None] >> torch.arange(parts) & 1).float().mean(0)


def digits_by_words(predictions, labels, parts):
    pairs = [(f"{p:09b}"[::-1], f"{y:09b}"[::-1]) for p, y in zip(predictions.tolist(), labels.tolist(), strict=True)]
    return [sum(p[part] == y[part] for p, y in pairs) / len(pairs) for part in range(parts)]


def digits_by_numpy(guesses, truths, number):
    digits = [np.stack([x.numpy() // 2**part % 2 for part in range(number)]) for x in (guesses, truths)]
    return (digits[0] == digits[1]).mean(1)


def read(same):
    return lambda p, y, parts: torch.stack([same(p, y, part).float().mean() for part in range(parts)])


RIGHT = {
    "optimisation_steps": [
        steps_counted,
        lambda images, batch_size, epochs: math.floor(images / batch_size) * epochs,
        lambda n, b, e: sum(len(range(b, n + 1, b)) for _ in range(e)),
    ],
    "learning_rate_at": [rate_by_tensors, rate_by_sine, rate(at_end=False)],
    "genus_and_species": [counted, by_index, by_numpy],
    "parts_read": [digits_by_xor, digits_by_words, digits_by_numpy],
}

WRONG = {
    "optimisation_steps": [
        ("counted the incomplete batch", lambda n, b, e: (n + b - 1) // b * e),
        ("joined the epochs", lambda n, b, e: int(n * e / b)),
        ("", lambda n, b, e: (n // b + 1) * e),
        ("", lambda n, b, e: n // b),
        ("", lambda n, b, e: n / b * e),
        ("", lambda n, b, e: round(n / b) * e),
        ("", lambda n, b, e: max(n // b, 1) * e),
        ("", lambda n, b, e: -(-n * e // b)),
        ("", lambda n, b, e: n // (b * e)),
        ("", lambda n, b, e: (n - 1) // b * e),
    ],
    "learning_rate_at": [
        ("cosine runs over the whole", rate(falling=lambda d, w: 0.5 * (1 + math.cos(math.pi * d)))),
        ("no warm-up", lambda done, peak, warmup: peak * 0.5 * (1 + math.cos(math.pi * done))),
        ("", rate(at_end=True)),
        ("", rate(rising=lambda d, w: d)),
        ("", rate(rising=lambda d, w: 1.0)),
        ("", rate(falling=lambda d, w: 1 - (d - w) / (1 - w))),
        ("", rate(falling=lambda d, w: math.cos(math.pi / 2 * (d - w) / (1 - w)))),
        ("", rate(falling=lambda d, w: 0.5 * (1 + math.cos(math.pi * (d - w))))),
        ("", rate(falling=lambda d, w: 0.5 * (1 + math.cos((d - w) / (1 - w))))),
        ("", rate(falling=lambda d, w: 1 + math.cos(math.pi * (d - w) / (1 - w)))),
        ("", rate(falling=lambda d, w: 0.5 * (1 + math.cos(math.pi * (d - w) / (1 - w))) * 0.99 + 0.01)),
        ("", lambda done, peak, warmup: rate()(done, 1.0, warmup)),
        ("", rate(rising=lambda d, w: 0.5 * (1 - math.cos(math.pi * d / w)))),
    ],
    "genus_and_species": [
        ("share of all images", both(second=lambda p, y, s: share(p == y))),
        ("compared the remainders", both(first=lambda p, y, s: share(p % s == y % s))),
        ("", both(second=lambda p, y, s: share(p % s == y % s))),
        ("", both(second=lambda p, y, s: share((p == y)[p // s == y // s]))),
        ("", lambda p, y, s: counted(p, y, s)[::-1]),
        ("", both(first=lambda p, y, s: share(p // 4 == y // 4))),
        ("", lambda p, y, s: counted(p, y, 4)),
        ("", both(first=lambda p, y, s: share(p // s == y // s) * len(y))),
        ("", both(first=lambda p, y, s: share(p == y))),
        ("", both(second=lambda p, y, s: counted(p, y, s)[1] if (p // s == y // s).any() else 1.0)),
        ("", lambda p, y, s: counted(p, y, s)[0]),
        ("", both(second=lambda p, y, s: share((p % s == y % s)[p // s != y // s]) if (p // s != y // s).any() else 0)),
    ],
    "parts_read": [
        ("reverse order", lambda p, y, parts: digits_by_xor(p, y, parts).flip(0)),
        ("whole rest", read(lambda p, y, part: p // 2**part == y // 2**part)),
        ("", read(lambda p, y, part: p % 2 ** (part + 1) == y % 2 ** (part + 1))),
        ("", read(lambda p, y, part: (p >> (part + 1)) % 2 == (y >> (part + 1)) % 2)),
        ("", read(lambda p, y, part: p % (part + 2) == y % (part + 2))),
        ("", read(lambda p, y, part: p == y)),
        ("", read(lambda p, y, part: (p & part) == (y & part))),
        ("", read(lambda p, y, part: (p & y & 2**part) > 0)),
        ("", lambda p, y, parts: digits_by_xor(p, y, parts).mean()),
        ("", lambda p, y, parts: digits_by_xor(p, y, parts) * len(y)),
        ("", lambda p, y, parts: 1 - digits_by_xor(p, y, parts)),
        ("", lambda p, y, parts: digits_by_xor(p, y, parts + 1)),
        ("", lambda p, y, parts: digits_by_xor(p, y, 2)),
        ("", lambda p, y, parts: F.pad(digits_by_xor(p, y, parts)[1:], (0, 1))),
    ],
}
