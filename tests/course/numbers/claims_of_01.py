"""Every number that a sentence of notebook 01 states: recomputed, or taken from where it is defined."""

import math

import torch

from tasnlib.data.birds import EASY
from tasnlib.training.recipes import RECIPES
from tests.course.numbers import by_hand
from tests.course.numbers.by_hand import boxes, cover, relation
from tests.course.numbers.claims import Claims, all_code
from tests.course.numbers.prose import read

BOOK = read("01")
CODE = all_code(BOOK)
TINY = torch.tensor([[3.0, 1, 0, 0, 0, 0], [2, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 2]])
LOUD = TINY * torch.tensor([[1.0], [1], [10]])
GRAM, LOUD_GRAM = TINY @ TINY.T, LOUD @ LOUD.T


def x():
    return by_hand.features()[:100]


def box(part):
    return boxes(part)[:100]


def contrast(seen):
    """Standard deviation of the brightness in the middle of the wing, mean over the birds."""
    found = []
    for picture, (x0, y0, x1, y1) in zip(seen, (box("wing") * seen.shape[-1] / 144).tolist(), strict=True):
        columns = slice(int(x0 + (x1 - x0) / 4), int(x1 - (x1 - x0) / 4) + 1)
        rows = slice(int(y0 + (y1 - y0) / 4), int(y1 - (y1 - y0) / 4) + 1)
        found.append(picture.mean(0)[rows, columns].std())
    return torch.stack(found).mean()


def of_contrast_is_left():
    large = by_hand.images()[:100]
    return (contrast(by_hand.antialiased(large)) / contrast(large)).item()


def share(channel, part):
    """Of all that a channel fires over the birds, in percent inside the part's box."""
    return 100 * ((x()[:, channel] * cover(box(part))).sum() / x()[:, channel].sum()).item()


def area(part):
    return 100 * cover(box(part)).mean().item()


def on_bird(maps, chosen):
    """In percent: of single maps, the mean over the chosen channels, and of the mean map."""
    inside = cover(box("bird"))
    single = (maps * inside[:, None]).sum(-1) / maps.sum(-1).clamp_min(1e-12)
    mean = maps.mean(1)
    return 100 * single[chosen].mean().item(), 100 * ((mean * inside).sum(-1) / mean.sum(-1)).mean().item()


def by_gram(features):
    return features @ features.mT @ features


def by_relation(features, s=7.0):
    return relation(features, s) @ features


def mixed_equally_well():
    fires = x().sum(-1) > 0
    gram = on_bird(by_gram(x()), fires)
    others = [on_bird(by_relation(x(), s), fires) for s in (1.0, 7.0)]
    return all(abs(one - two) < 2 for other in others for one, two in zip(gram, other, strict=True))


def gained_by_mixing():
    fires = x().sum(-1) > 0
    return [on_bird(mix(x()), fires)[0] - on_bird(x(), fires)[0] for mix in (by_gram, by_relation)]


def partners_of_the_head_channel():
    """On bird 14: the strongest at s = 1 and at s = 7, and how the channel's weight concentrates."""
    seen = x()[14]
    spread, sharp = ((s * seen[14]).softmax(-1).max() for s in (1.0, 7.0))
    strongest = [relation(seen, s)[14].argmax().item() for s in (1.0, 7.0)]
    return strongest == [14, 13] and spread < 0.6 and sharp > 0.9


def hum(v, mix):
    humming, others = x().clone(), (x().sum(-1) > 0) & (torch.arange(32) != 17)
    humming[:, 17] = v
    return on_bird(mix(humming), others)


def rows_won_by_the_hum(table):
    humming = x().clone()
    humming[:, 17] = 4
    return (table(humming).argmax(-1) == 17).double().mean().item()


def hum_wins_a_fifth():
    shares = (rows_won_by_the_hum(lambda humming: humming @ humming.mT), rows_won_by_the_hum(relation))
    return all(0.15 < one < 0.25 for one in shares)


def singles_hold_out_until_ten():
    gains = [hum(v, by_relation)[0] - hum(v, by_gram)[0] for v in (4, 6, 8, 10)]
    return min(gains) > 10 and hum(15, by_relation)[0] < 1.5 * area("bird")


def mean_map_is_worse_from_three():
    falls = {v: hum(v, by_gram)[1] - hum(v, by_relation)[1] for v in (1, 2, 3, 4, 5, 6)}
    return all(falls[v] > 4 for v in (3, 4, 5, 6)) and falls[2] < 4 and falls[1] < 4


def within_a_factor_of_two():
    volumes = x().mean(dim=(0, 2)).sort().values
    return (volumes[2:] >= volumes[-1] / 2).sum().item(), len(volumes)


def turned_up():
    louder = x().clone()
    louder[:, 14] *= 10
    return louder


def loudest_map_to_median(mix):
    volumes = mix(turned_up()).sum(-1)
    return (volumes.amax(1) / volumes.median(1).values).mean().item()


def share_of_mean_map(table):
    """What the head channel, turned up ten times, gives to all maps together."""
    given = table.sum(1) * turned_up().sum(-1)  # (100, 32)
    return (given[:, 14] / given.sum(1)).mean().item()


def half_of_the_mean_map_and_more_than_else():
    by_r, by_gram, unmixed = (
        share_of_mean_map(table) for table in (relation(turned_up()), turned_up() @ turned_up().mT, torch.eye(32)[None])
    )
    return by_r > by_gram > 2 * unmixed and (by_r, 100 * by_gram, 100 * unmixed)


CLAIMS: Claims = {
    "There are 16 classes": lambda: (EASY.classes,),
    "144 × 144": lambda: (EASY.image_size,) * 2,
    "48 × 48": lambda: (RECIPES["laptop"].attention_size, RECIPES["laptop"].out_size),
    "100 birds": lambda: "range(100)" in CODE,
    "100 *validation* birds": lambda: 'split="val", indices=range(100)' in CODE,
    "100 *test* birds": lambda: 'split="test", indices=range(100)' in CODE,
    "32 channels": lambda: (x().shape[1],),
    "12 × 12": lambda: (math.isqrt(x().shape[2]), EASY.image_size // math.isqrt(x().shape[2])),
    # Section 1
    "Our stripes are 3.5 pixels wide": lambda: (EASY.stripe_period,),
    "forward by 3 / 3.5 = 6/7 of a stripe, which looks exactly like moving *back* by 1/7": lambda: (
        math.isclose(3 / EASY.stripe_period, 6 / 7) and math.isclose(1 - 6 / 7, 1 / 7)
    ),
    "After 7 new pixels we are back where we began: the false stripe is 7 new pixels wide, which is 21 old ones": (
        lambda: (period := next(n for n in range(1, 99) if (3 * n / 3.5).is_integer()), period, 3 * period)
    ),
    "leaves about a tenth of the contrast": lambda: (of_contrast_is_left(),),
    # Sections 2 and 3
    "3 channels of 2 × 3 cells": lambda: (len(TINY), 2, TINY.shape[1] / 2),
    "A cell may lie half inside": lambda: ((cover(box("head")) - 0.5).abs() < 0.05).any(),
    "the best of 32 looks better": lambda: (x().shape[1],),
    "A quarter of the first channel's activation lies in a box that covers about 1 % of the image": lambda: (
        share(14, "head") / 100,
        area("head"),
    ),
    "three quarters lie elsewhere": lambda: (1 - share(14, "head") / 100,),
    # Sections 4 and 5
    "here 3 × 6": lambda: tuple(TINY.shape),
    "3·2 + 1·1 = 7": lambda: (TINY[0, 0], TINY[1, 0], GRAM[0, 1]),
    "Doubling the features multiplies the table by 4": lambda: ((2 * TINY @ (2 * TINY).T / GRAM).max(),),
    "channel 0 goes with itself (10), with channel 1 (7), and hardly": lambda: (GRAM[0, 0], GRAM[0, 1]),
    "ten times as": lambda: "loud[:, 2] *= 10" in CODE and "turned_up[:, head_channel] *= 10" in CODE,
    "channel 0 (7 against 1). Now it is channel 2 (10 against 7)": lambda: (
        GRAM[1, 0],
        LOUD_GRAM[1, 2],
        LOUD_GRAM[1, 0],
    ),
    "A loud channel enters this product three times": lambda: (
        math.log10(by_gram(10 * TINY[:1]).sum() / by_gram(TINY[:1]).sum()),
    ),
    # Sections 6 and 7
    "e³ = 20.1, e¹ = 2.7, and four times e⁰ = 1. The sum is 26.8, so the first cell gets 20.1 / 26.8 = 0.75": lambda: (
        *(math.e**3, math.e, (TINY[0] == 0).sum(), math.e**3 + math.e + 4),
        *(math.e**3, math.e**3 + math.e + 4, math.e**3 / (math.e**3 + math.e + 4)),
    ),
    "channel 0 itself has 3, channel 1 has 2, channel 2 has 0. After the softmax: 71 % for itself, 26 % for channel 1, "
    "4 % for channel 2": lambda: (TINY[0, 0], TINY[1, 0], *(100 * relation(TINY)[0]).tolist()),
    "holds 32 numbers": lambda: (relation(x()).shape[-1],),
    "about 3 % everywhere": lambda: (100 / 32,),
    "32 when all hold the same": lambda: (math.exp(-32 * (1 / 32) * math.log(1 / 32)),),
    "At s = 1 this channel looks at several cells and is its own strongest partner. At s = 7 it looks only at its "
    "strongest cell, which lies between head and wing, and channel 13": partners_of_the_head_channel,
    # Section 8
    "covers 10 % of the image": lambda: (area("bird"),),
    "32 maps": lambda: (by_relation(x()).shape[1],),
    "it gains more than ten points": lambda: min(gained_by_mixing()) > 10,
    "within two points": mixed_equally_well,
    "Thirty of the 32 channels lie within a factor of two": within_a_factor_of_two,
    "has twice the volume of the median one, with X Xᵀ 42 times": lambda: (
        loudest_map_to_median(by_relation),
        loudest_map_to_median(by_gram),
    ),
    "half of the mean map comes from it: more than with X Xᵀ (44 %), and far more than without any mixing (19 %)": (
        half_of_the_mean_map_and_more_than_else
    ),
    "the other 31 channels": lambda: (x().shape[1] - 1,),
    "R's single maps hold out longer, up to a hum of about 10; at 15 they are lost too": singles_hold_out_until_ten,
    "the largest activation is 20": lambda: (x().max(),),
    "clearly worse from 3 on": mean_map_is_worse_from_three,
    "wins about a fifth of the rows": hum_wins_a_fifth,
    "nonzero in all 144 cells": lambda: (x().shape[2],),
    # The box, and the summary
    "turned up ten times, one channel made half of the mean map": lambda: (
        *((turned_up()[:, 14] / x()[:, 14]).nanmean(), share_of_mean_map(relation(turned_up()))),
    ),
    "the authors' MXNet code multiplies the features by 7": lambda: (RECIPES["official"].scale,),
    "the saved model uses 7": lambda: (by_hand.tasn().scale,),
    "25 % and 31 % of their activation into boxes that cover 1 to 2 % of the image": lambda: (
        *(share(14, "head"), share(24, "wing")),
        *(area("head"), area("wing")),
    ),
}
FROM_ELSEWHERE = {
    "the unfinished PyTorch port by 2": "the authors' PyTorch port",
    "a ResNet-18 with 28 × 28 cells and 512 channels": "the authors' MXNet code, on images of 224 px",
}
