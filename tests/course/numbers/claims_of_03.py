"""Every number that a sentence of notebook 03 states: recomputed, or taken from where it is defined."""

import inspect
import math
from functools import cache

import numpy as np
import torch

from tasnlib.data.birds import EASY
from tasnlib.research.authors_sampler import ROUNDS
from tasnlib.sampler import attention_sample
from tasnlib.training.recipes import RECIPES
from tests.course.numbers import by_hand
from tests.course.numbers.by_hand import SIZE, SMALL, boxes, positions, times_the_pixels, zooms
from tests.course.numbers.claims import Claims, all_code
from tests.course.numbers.prose import read

BOOK = read("03")
CODE = all_code(BOOK)
LINE = np.array([0.5, 0.5, 1, 2, 2.5, 1, 0.25, 0.25])  # the zoom of the eight pixels
RUNNING = np.array([0, *LINE.cumsum()])
BEFORE, CAP = np.array([2.2, 1.4, 0.3, 0.1]), 1.5


def places(heights, running=RUNNING):
    """Where the running sum reaches these heights."""
    return np.interp(heights, running, np.arange(len(running)))


def spacing(zoom):
    """Between 48 positions in a region of this zoom that takes up a tenth of a line."""
    line = np.full(10_000, (10 - zoom) / 9)
    line[:1000] = zoom
    running = np.array([0, *line.cumsum()])
    # A hundred times as many, so that two lie in any region; their distance in pixels of the image is then 1/100.
    return np.diff(places((np.arange(2) + 0.5) / (100 * SMALL) * running[-1], running))[0] * SIZE / 10_000 * 100


def once_given_away():
    clipped = np.minimum(BEFORE, CAP)
    each = (4 - clipped.sum()) / 3
    return each, BEFORE[1], BEFORE[1] + each


def weights_at(position):
    """Linear weights of the eight pixels."""
    return np.maximum(0, 1 - abs(np.arange(8) + 0.5 - position))


@cache
def magnified():
    """Of 100 birds, how many times the pixels head and wing get, in the structure image (100, 2), in the same without
    the square, and in the detail image of every channel (100, 32, 2)."""
    maps = by_hand.maps()[:100]
    parts = [boxes(part)[:100] for part in ("head", "wing")]
    structure = torch.stack([times_the_pixels(by_hand.squared(maps), box) for box in parts], -1)
    plain = torch.stack([times_the_pixels(maps.mean(1), box) for box in parts], -1)
    details = [times_the_pixels(maps.flatten(0, 1), box.repeat_interleave(32, 0)).view(100, 32) for box in parts]
    return structure, plain, torch.stack(details, -1)


@cache
def moved():
    """How many times the pixels head and wing get (100, 8, 2) if the structure map is moved by a cell, in 8
    directions."""
    grid = by_hand.squared(by_hand.maps()[:100]).view(100, 12, 12)
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    there = torch.zeros(100, 8, 12, 12)
    for n, (y, x) in enumerate(steps):
        to_y, to_x = (slice(max(step, 0), 12 + min(step, 0)) for step in (y, x))
        from_y, from_x = (slice(max(-step, 0), 12 + min(-step, 0)) for step in (y, x))
        there[:, n, to_y, to_x] = grid[:, from_y, from_x]
    parts = [boxes(part)[:100].repeat_interleave(8, 0) for part in ("head", "wing")]
    return torch.stack([times_the_pixels(there.view(-1, 144), box).view(100, 8) for box in parts], -1)


def wins(times):
    return times > 1.25 * magnified()[0][:, None]


def one_channel_wins():
    return tuple(wins(magnified()[2]).double().mean((0, 1)).tolist())


def one_channel_wins_more_often_than_a_moved_map():
    return (wins(magnified()[2]).double().mean((0, 1)) > 1.3 * wins(moved()).double().mean((0, 1))).all()


def some_channel_wins():
    """Of ten birds, for head and wing; and some moved map."""
    return 10 * wins(magnified()[2]).any(1).double().mean(0), 10 * wins(moved()).any(1).double().mean(0)


def some_moved_map_wins_as_often():
    channels, maps = some_channel_wins()
    return ((channels - maps).abs() <= 0.2).all()


def about_the_mean_map_and_less_than_the_structure_map():
    structure, plain, detail = (times.flatten(0, -2).mean(0) for times in magnified())
    return (detail < 0.95 * structure).all() and ((detail - plain).abs() < 0.4).all()


def few_parts_are_uncovered():
    structure, _, detail = magnified()
    everywhere = (detail >= 4).any(1).all() and (moved() >= 4).any(1).all()
    return (structure < 4).double().mean() < 0.05 and everywhere


def finest_true_period(step):
    """The shortest whole period that samples so far apart do not turn into a longer one."""
    places = step * np.arange(240)

    def seen(period):
        spectrum = abs(np.fft.rfft(np.sin(2 * np.pi * places / period + 0.3)))
        return 240 * step / max(1, spectrum.argmax())

    return next(period for period in range(3, 99) if abs(seen(period) / period - 1) < 0.05)


def contrast_in_squeezed_columns():
    """Read, and averaged over the intervals."""
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (np.arange(SIZE) + 0.5) / EASY.stripe_period)
    areas = np.array([0, *wave.cumsum()])
    zoom = zooms(by_hand.squared(by_hand.maps()[:100]))[0]
    middle, start = positions(zoom).numpy(), positions(zoom, shift=0.0).numpy()
    edges = np.concatenate([start, np.full((100, 1), float(SIZE))], 1)
    read_there = np.interp(middle, np.arange(SIZE) + 0.5, wave)
    averaged = np.diff(np.interp(edges, np.arange(SIZE + 1), areas), axis=1) / np.diff(edges, axis=1)
    wide = np.diff(middle, axis=1, prepend=middle[:, :1]) > EASY.stripe_period
    return read_there[wide].std(), read_there[~wide].std(), averaged[wide].std(), averaged[~wide].std()


def antialiasing_removes_the_false_contrast():
    rough, rough_elsewhere, smooth, smooth_elsewhere = contrast_in_squeezed_columns()
    return smooth < rough / 3 and smooth_elsewhere > 0.9 * rough_elsewhere


CLAIMS: Claims = {
    "144 × 144": lambda: (EASY.image_size,) * 2,
    "48 × 48": lambda: (RECIPES["laptop"].out_size,) * 2,
    "100 birds": lambda: 'split="test", indices=range(100)' in CODE,
    # Sections 1 and 2
    "A zoom of 3 means *three times as many pixels here*: the sampling positions lie three times as close": lambda: (
        *(3, spacing(1) / spacing(3), spacing(1) / spacing(3)),
    ),
    "Where the zoom is ½, they lie twice as far apart": lambda: (spacing(0.5) / spacing(1),),
    "one line of 8 pixels, from which we read 4 values": lambda: (len(LINE), len(places([1, 3, 5, 7]))),
    "the whole line covers 0 to 8": lambda: (len(LINE),),
    "Our tiny map is 8 × 8": lambda: np.outer(LINE, LINE).shape,
    "fewer (12 for 144)": lambda: (by_hand.CELLS, SIZE),
    # Section 4
    "(4 by default)": lambda: (inspect.signature(attention_sample).parameters["max_zoom"].default,),
    "with a cap of 1.5": lambda: "cap = torch.tensor([2.2, 1.4, 0.3, 0.1]), 1.5" in CODE,
    "Clip only: (1.5, 1.4, 0.3, 0.1), sum 3.3 instead of 4. There is 0.7 left": lambda: (
        *(*np.minimum(BEFORE, CAP), np.minimum(BEFORE, CAP).sum(), BEFORE.sum(), 4 - np.minimum(BEFORE, CAP).sum()),
    ),
    "each gets 0.233, but then 1.4 becomes 1.633": once_given_away,
    "They had 0.4, so each gets $d = 0.3$": lambda: math.isclose((1 - 0.4) / 2, 0.3) and (BEFORE[2:].sum(),),
    # Sections 5 to 8
    "we read 2.5 times as densely where the zoom is 2.5": lambda: (spacing(1) / spacing(2.5), 2.5),
    "$F$ climbs to 8": lambda: (RUNNING[-1],),
    "each stands for a step of 2": lambda: (RUNNING[-1] / 4,),
    "at the heights 1, 3, 5, 7": lambda: tuple((np.arange(1, 4) + 0.5) / 4 * RUNNING[-1]),
    "where does the height 3 come down?": lambda: (1.5 / 4 * RUNNING[-1],),
    "for the height 5: $F(4) = 4$ and $F(5) = 6.5$, so this height meets $F$ inside pixel 4": lambda: (
        5,
        int(places(5)),
    ),
    "$F$ climbs 2.5 per pixel there": lambda: (LINE[4],),
    "Position 4.4 is inside pixel 4, just left of its centre at 4.5": lambda: (places(5), int(places(5)), 4 + 0.5),
    "the centre 3.5 is 0.9 away, the centre 4.5 only 0.1": lambda: (3.5, places(5) - 3.5, 4.5, 4.5 - places(5)),
    "Find the position 4.4 in $A_x^\\top$: the third column, with 0.1 and 0.9": lambda: (
        *(places([1, 3, 5, 7])[2], *weights_at(4.4)[3:5]),
    ),
    "4 random positions, 5,000 times, and with the 4 quantiles": lambda: (
        (4, 5000, 4) if "view(5000, 4)" in CODE else False
    ),
    # Section 9
    "A zoom of 4 along both axes gives 16": lambda: (4, (spacing(1) / spacing(4)) ** 2),
    "100 test birds": lambda: 'split="test", indices=range(100)' in CODE,
    "Where this number is at least 4": lambda: CODE.count(">= 4)") == 4 and (4,),
    "all 32 channels": lambda: (by_hand.maps().shape[1],),
    "by at least a quarter more than the structure map does": lambda: (
        (0.25,) if "enough = 0.9999 * 1.25 * in_structure" in CODE else False
    ),
    "the best of 32 tries": lambda: (by_hand.maps().shape[1],),
    "in each of the 8 directions": lambda: (moved().shape[1],),
    "a single channel magnifies a part **less** than the structure map does, and about as much as the mean map": (
        about_the_mean_map_and_less_than_the_structure_map
    ),
    "in a quarter of the draws for the head and in a fifth for the wing": one_channel_wins,
    "That is more often than a moved structure map": one_channel_wins_more_often_than_a_moved_map,
    "some channel wins for about six birds in ten": lambda: (some_channel_wins()[0].mean(),),
    "But so does some moved structure map, with only 8 tries": some_moved_map_wins_as_often,
    "The structure map leaves few parts uncovered. Each of these is covered by some channel, and by some moved map": (
        few_parts_are_uncovered
    ),
    "six birds in ten, some channel of the trained model magnifies a part by a quarter more": lambda: (
        *(some_channel_wins()[0].mean(), 1.25 - 1),
    ),
    "A structure map moved by a cell does so just as often, in the best of 8 directions": some_moved_map_wins_as_often,
    # Section 10
    "1 and 4 with the power 2; `max_zoom` 8 with the power 4 and a sharpened map; `max_zoom` 4 with the power 2": (
        lambda: "turns = [(1, 2, 0), (4, 2, 0), (8, 4, 2), (4, 2, -3)]" in CODE
    ),
    "The authors' code uses 2 on the structure map": lambda: (RECIPES["official"].structure_power,),
    # Section 12
    "the sampling positions lie four times as far apart as in plain resizing, here 12 image pixels": (
        lambda: (spacing(0.25) / spacing(1), spacing(0.25))
    ),
    "Stripes need two samples per period, so stripes with a period below 24 pixels": lambda: (finest_true_period(12),),
    "the heights 2, 4 and 6 come down at 3, 4 and 4.8": lambda: (2, 4, 6, *places([2, 4, 6])),
    "covers pixels 0 to 2, a third each; the last reaches from 4.8 to 8": lambda: (
        *(places(2) - 1, 1 / places(2), places(6), places(8)),
    ),
    "The stripes repeat every 3.5 pixels": lambda: (EASY.stripe_period,),
    "in the image it is 0.35": lambda: (np.std(0.5 * np.sin(2 * np.pi * (np.arange(144) + 0.5) / 3.5)),),
    "Antialiasing removes most of the false contrast in the squeezed columns and little elsewhere": (
        antialiasing_removes_the_false_contrast
    ),
    "Only here do we read 96 columns instead of 48, and limit the zoom to 2": lambda: (
        "attention_sample(stripes, attention_map, 96, 2, antialias=way)" in CODE and (96, SMALL, 2)
    ),
    "more than half a stripe period apart": lambda: (1.75 / EASY.stripe_period,),
    "(3 at 48 × 48, 1.5 at the 96 × 96 of the crops below)": lambda: (SIZE / 48, 48, 48, SIZE / 96, 96, 96),
    # Section 13
    "which covers 2 to 3": lambda: (2, 3) if int(np.interp(4.4, range(9), RUNNING) / 2) == 2 else False,
    "carry two of its corners": lambda: (2,),
    # Section 14
    "five rounds of clipping": lambda: ROUNDS == 5,
    "half a pixel to the left": lambda: (0.5,),
    "how many of 255 brightness levels": lambda: (by_hand.birds().images.max(),),
    "an output pixel is 3 image pixels": lambda: (SIZE / SMALL,),
}
FROM_ELSEWHERE = {
    "limit 4 times the mean density in five rounds": "the authors' MXNet code",
    "about one image in twelve": "the authors' MXNet code: 12 images on each GPU, of which the first shows it",
    "since torch 1.3 it is half a pixel off": "the release notes of torch 1.3: align_corners became False by default",
}
