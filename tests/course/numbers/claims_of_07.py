"""Every number that a sentence of notebook 07 states: recomputed, or taken from where it is defined."""

import inspect
import json
import math
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import nn

from tasnlib.course.widgets.wall import Channels
from tasnlib.data.birds import EASY
from tasnlib.runs.run_folder import saved_run
from tasnlib.training.checkpoints import load_model
from tests.course.numbers import by_hand
from tests.course.numbers.by_hand import SIZE, SMALL, boxes, cover, mass, points_into, times_the_pixels
from tests.course.numbers.claims import Claims, all_code
from tests.course.numbers.prose import read

BOOK = read("07")
CODE = all_code(BOOK)
PARTS = ("head", "wing")
HEAD, WING = 1, 2  # the binary digit of a class that tells the direction of the part's stripes


def structure():
    return by_hand.squared(by_hand.maps())


@torch.no_grad()
def confidence(picture, max_zoom=4.0):
    """Probabilities of a picture without a bird, (3, 144, 144) from 0 to 1."""
    x = by_hand.tasn().attention_net(by_hand.antialiased(picture[None]))[1].flatten(2)
    seen = by_hand.sampled(picture[None], by_hand.squared(by_hand.relation(x) @ x), max_zoom)
    return by_hand.tasn().classifier(by_hand.tasn().backbone(seen)).softmax(1)[0]


def of_pictures_without_a_bird_and_of_bird_14():
    blue = torch.tensor(ImageColor.getrgb("steelblue")).view(3, 1, 1).expand(3, SIZE, SIZE) / 255
    row = np.where(np.arange(200) // 20 % 2, 255, 60).astype(np.uint8)
    broad = Image.fromarray(np.tile(row, (150, 1))).resize((192, SIZE), Image.Resampling.BILINEAR)
    stripes = torch.from_numpy(np.array(broad)[:, 24:168].copy()).expand(3, SIZE, SIZE) / 255
    return tuple(
        100 * shares.max() for shares in (confidence(blue), confidence(stripes), by_hand.master()[14].softmax(0))
    )


def without_zoom_genus_right_and_head_misread():
    label = by_hand.birds().labels[5].item()
    return confidence(by_hand.images()[5], max_zoom=1.0).argmax().item() == label ^ HEAD


def three_kinds_of_locations():
    """Bird 5: a cell on the wing, one beside it on the shoulder, and two channels with half of their map elsewhere."""
    cells = {channel: divmod(place, 12) for channel, place in enumerate(by_hand.maps()[5].argmax(-1).tolist())}
    on_bird = mass(by_hand.maps()[5], boxes("bird")[5:6].expand(32, 4))
    wing, shoulder = ({cells[channel] for channel in some} for some in ((25, 26, 9), (16, 0, 6)))
    few = len(set(cells.values())) == 3 and len(wing) == len(shoulder) == 1 and wing != shoulder
    return few and set(on_bird.argsort()[:2].tolist()) == {28, 15} and len(cells) == 32


@torch.no_grad()
def doubt_of_channel_6():
    """Percent that the part net gives the class with other wing stripes, bird 5."""
    seen = by_hand.sampled(by_hand.images()[5:6], by_hand.maps()[5, 6][None])
    shares = by_hand.tasn().classifier(by_hand.tasn().backbone(seen)).softmax(1)[0]
    label = by_hand.birds().labels[5].item()
    return (100 * shares[label ^ WING],) if shares.argmax() == label else False


def birds_per_class():
    counts = torch.bincount(by_hand.birds().labels, minlength=EASY.classes)
    return counts.min(), counts.max()


def one_bird_accounts_for_most():
    labels, shares = by_hand.birds().labels, by_hand.master().softmax(1)
    given = torch.stack([shares[labels == truth].mean(0) for truth in range(16)]).fill_diagonal_(0)
    four = given.flatten().argsort(descending=True)[:4].tolist()
    doubts = [shares[labels == pair // 16, pair % 16] for pair in four]
    return all(of_birds.max() > of_birds.sum() / 2 for of_birds in doubts)


@cache
def has_a_sliver():
    """(300, 2): does head, or wing, get less than 1.5 times the columns or the rows of plain resizing?"""
    found = torch.zeros(300, 2, dtype=torch.bool)
    for axis, zoom in enumerate(by_hand.zooms(structure())):
        for n, part in enumerate(PARTS):
            low, high, at = boxes(part)[:, axis], boxes(part)[:, axis + 2], by_hand.positions(zoom)
            inside = ((at > low[:, None]) & (at < high[:, None])).sum(1)
            found[:, n] |= inside < 1.5 * (high - low) * SMALL / SIZE
    return found


def margins():
    best = by_hand.master().softmax(1).topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


def slivers():
    """Of the five least certain birds: the part that is a sliver, if one is, where the doubt is about this part."""
    order, found = by_hand.master().topk(2, dim=1).indices, []
    for bird in margins().argsort()[:5].tolist():
        doubt = order[bird, 0] ^ order[bird, 1]
        found += [part for n, part in enumerate(PARTS) if has_a_sliver()[bird, n] and doubt == (HEAD, WING)[n]]
    return found


def percent(values):
    return 100 * values.double().mean().item()


def on_parts():
    """Percent of the attention on head, wing and bird."""
    return [percent(mass(structure(), boxes(part))) for part in EASY.parts]


def areas():
    return [percent(cover(boxes(part))) for part in EASY.parts]


def into_a_part():
    return percent(sum(points_into(structure(), boxes(part)) for part in PARTS) > 0)


def single_channels_beside_the_mean():
    """Magnification of head and wing by the maps of the channels drawn in section 7, and by the mean map."""
    drawn = torch.randint(32, (300,), generator=torch.Generator().manual_seed(0))
    both = by_hand.maps()[torch.arange(300), drawn], by_hand.maps().mean(1)
    on = [[percent(mass(found, boxes(part))) for part in PARTS] for found in both]
    assert all(abs(single - mean) < 1 for single, mean in zip(*on, strict=True))  # about the same mass
    return (*magnified(both[0]).mean(0), *magnified(both[1]).mean(0))


def magnified(maps):
    return torch.stack([times_the_pixels(maps, boxes(part)) for part in PARTS], -1)


def reached(draws, times=4):
    """Percent of the parts that are magnified so many times in one of the detail images of so many drawn channels."""
    generator, best = torch.Generator().manual_seed(0), torch.zeros(300, 2)
    for _ in range(draws):
        drawn = torch.randint(32, (300,), generator=generator)
        best = torch.maximum(best, magnified(by_hand.maps()[torch.arange(300), drawn]))
    return percent(best >= times)


def diversity(maps):
    """The mean total variation distance between two channels' maps of one image; zeros count as uniform."""
    maps = torch.where(maps.sum(-1, keepdim=True) > 0, maps, 1.0)
    shares = maps / maps.sum(-1, keepdim=True)
    return torch.cdist(shares, shares, p=1).sum() / 2 / (len(maps) * 32 * 31)


@cache
@torch.no_grad()
def activation_maps():
    """Class activation maps of the plain network for 100 birds, (100, 36 · 36)."""
    plain = load_model(saved_run() / "full.safetensors")[0].eval()
    found = plain.backbone[:-2](by_hand.images()[:100]).flatten(2)
    best = plain.classifier(found.amax(-1)).argmax(1)
    return (plain.classifier.weight[best][:, None] @ found)[:, 0].clamp_min(0)


def off_the_bird(maps):
    return 100 - percent(mass(maps[:100], boxes("bird")[:100]))


def brightest_in(part):
    return percent(points_into(activation_maps(), boxes(part)[:100]))


def multiply_adds(network, side):
    """In millions, of the convolutions and linear layers, for one image."""
    counted = []

    def count(layer, _, output):
        counted.append(layer.weight[0].numel() * output.numel())

    hooks = [one.register_forward_hook(count) for one in network.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return sum(counted) / 1e6


def cost_of_both():
    plain = load_model(saved_run() / "full.safetensors")[0].eval()
    return multiply_adds(plain, SIZE), multiply_adds(by_hand.tasn().attention_net, SMALL)


def right_of_1000():
    """By the measurement that was kept beside the saved run."""
    kept = json.loads((saved_run() / "result.json").read_text())
    return (kept["accuracy"]["full"] * kept["test_images"],)


CLAIMS: Claims = {
    # Sections 1 to 4
    "| (3, 144, 144) |": lambda: (3, SIZE, SIZE),
    "| (32, 12, 12) |": lambda: (by_hand.maps().shape[1], 12, math.isqrt(by_hand.maps().shape[2])),
    "| (12, 12) |": lambda: (by_hand.CELLS, math.isqrt(structure().shape[1])),
    "| (3, 48, 48) |": lambda: by_hand.sampled(by_hand.images()[:1], structure()[:1]).shape[1:],
    "| (16,) |": lambda: (by_hand.master().shape[1],),
    "distributes 100 % among the classes": lambda: (100 * by_hand.master()[0].softmax(0).sum(),),
    "38 % and 31 % with the saved run, where the bird gets 99.7 %": of_pictures_without_a_bird_and_of_bird_14,
    "the first 64 are shown": lambda: (inspect.signature(Channels).parameters["most"].default,),
    "there are 32 maps": lambda: (by_hand.maps().shape[1],),
    "the 32 channels look at three kinds of locations: the wing (25, 26, 9, …), the shoulder between wing and head "
    "(16, 0, 6, …), and the whole bird with something at the borders (28, 15)": three_kinds_of_locations,
    "12 % of the probability goes to the class whose *wing* stripes run the other way": doubt_of_channel_6,
    'The stripes are misread, "head along" for "head across": at 48 × 48': without_zoom_genus_right_and_head_misread,
    "without zoom a period of the stripes has fewer than two pixels": lambda: EASY.stripe_period / (SIZE / SMALL) < 2,
    "**Temperature 10**": lambda: '"temperature": 10}' in CODE,
    # Section 5
    "300 birds from the test split": lambda: 'split="test", indices=range(300)' in CODE,
    "means over 18 or 19 birds per class": birds_per_class,
    "one doubtful bird accounts for most of each": one_bird_accounts_for_most,
    "In four of them, all but the fourth, one part is a sliver at the border: the head in three, the wing in one": (
        lambda: slivers() == ["head", "head", "head", "wing"]
    ),
    "in four of the five least certain birds": lambda: (len(slivers()),),
    "gets less than 1.5 times the pixels of plain resizing along one of the two axes (1.5 is our choice)": lambda: (
        "(torch.minimum(*times) < 1.5)" in CODE
    ),
    "rare among all birds": lambda: percent(has_a_sliver().any(1)) < 15,
    "most birds with a sliver are read without doubt": lambda: percent(margins()[has_a_sliver().any(1)] > 0.9) > 80,
    # Section 7
    "a map of 2 × 2 cells over an image of 4 × 4 pixels, and a box from x = 1 to 4 and y = 0 to 2. The box covers half "
    "of the first cell": lambda: (2, 2, 4, 4, 4, 2, cover(torch.tensor([[1.0, 0, 4, 2]]), cells=2, size=4)[0, 0]),
    "0.375 of the image": lambda: (cover(torch.tensor([[1.0, 0, 4, 2]]), cells=2, size=4).mean(),),
    "the heads cover 1.3 % of the image": lambda: (areas()[0],),
    "magnified at least 4 times (as in notebook 03)": lambda: (
        "at_least=4.0" in CODE and ">= 4)" in all_code(read("03"))
    ),
    "300 drawn birds": lambda: 'split="test", indices=range(300)' in CODE,
    "heads get 17 % of the attention on 1.3 % of the area, and wings 21 % on 1.7 %; but nearly half of all "
    "attention lies elsewhere on the bird, and 15 % off the bird": lambda: (
        *(on_parts()[0], areas()[0], on_parts()[1], areas()[1]),
        *((on_parts()[2] - on_parts()[0] - on_parts()[1]) / 100, 100 - on_parts()[2]),
    ),
    "the brightest cell is on the bird for 97 % of the birds, but in a part's box for only 35 %": lambda: (
        *(percent(points_into(structure(), boxes("bird"))), into_a_part()),
    ),
    "a head or a wing gets 9 to 10 times the pixels": lambda: tuple(sorted(magnified(structure()).mean(0).tolist())),
    "(9.0 and 8.5 times against 8.7 and 8.3)": single_channels_beside_the_mean,
    "one random detail image magnifies 84 % of the parts at least 4 times, and the structure image 98 %; four draws "
    "together reach 99 %": lambda: (reached(1), 4, percent(magnified(structure()) >= 4), reached(4)),
    "the maps of one image differ by 0.31, the raw features by 0.70": lambda: (
        *(diversity(by_hand.maps()), diversity(by_hand.features())),
    ),
    # Section 8
    "images of 144 × 144 pixels, nine times as many as TASN's networks see": lambda: (SIZE, SIZE, SIZE**2 / SMALL**2),
    "every one of 1,000 test birds right when it was tested": right_of_1000,
    "on the head for 61 % and on the wing for 39 %": lambda: (brightest_in("head"), brightest_in("wing")),
    "Not squared, 37 % of the class activation map lies off the bird, against 21 % of the mean map; squared, 7 %, "
    "against 15 % of the structure map": lambda: (
        *(off_the_bird(activation_maps()), off_the_bird(by_hand.maps().mean(1))),
        *(off_the_bird(activation_maps() ** 2), off_the_bird(structure())),
    ),
    "it takes 171 million multiply-adds, TASN's attention network 1 million": cost_of_both,
    "* 32 channels look at": lambda: (by_hand.maps().shape[1],),
}
FROM_ELSEWHERE = {"[08 · Photographs": "a link"}
