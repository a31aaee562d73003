"""Every number that a sentence of notebook 02 states: recomputed, or taken from where it is defined."""

import math
from functools import cache

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from tasnlib.course.plots.raw_and_trilinear import explain_channel
from tasnlib.data.birds import EASY, HARD, draw_birds
from tasnlib.research.ablations.attention_nets import narrow_attention_net
from tasnlib.research.ablations.variants import FEATURES
from tasnlib.runs.run_folder import saved_run
from tasnlib.training.recipes import RECIPES
from tests.course.numbers import by_hand
from tests.course.numbers.by_hand import boxes, mass, relation
from tests.course.numbers.claims import Claims, all_code
from tests.course.numbers.prose import read
from tests.course.numbers.receptive_fields import cells_read, resnet, small_field

BOOK = read("02")
CODE = all_code(BOOK)
TINY = torch.tensor([[2.0, 0, 0, 0], [2, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
BIRD, VICTIM = torch.arange(200), torch.arange(200) % 32


def x():
    return by_hand.features()[:200]


def on_bird(maps, birds=200):
    return 100 * mass(maps, boxes("bird")[:birds])


@cache
def repaired(kind):
    """Percent of a damaged channel's map on the bird, before and after."""
    gaussian = torch.randn(200, 12, 12, generator=torch.Generator().manual_seed(0)).flatten(1).abs()
    damaged = x().clone()
    damaged[BIRD, VICTIM] = x()[BIRD, VICTIM] * (kind != "dead") + gaussian * (kind == "noisy")
    row = relation(damaged)[BIRD, VICTIM]  # (200, 32)
    after = (row[:, None] @ damaged)[:, 0]
    return tuple(on_bird(maps).mean().item() for maps in (damaged[BIRD, VICTIM], after))


def without_softmaxes(features):
    return features @ features.T @ features


def of_doubled_features():
    return (without_softmaxes(2 * TINY).sum() / without_softmaxes(TINY).sum()).item()


def own_weight(value):
    return math.exp(value) / (math.exp(value) + 31)


def moved(before, after):
    before, after = (torch.where(maps.sum(-1, keepdim=True) > 0, maps, 1.0) for maps in (before, after))
    before, after = (maps / maps.sum(-1, keepdim=True) for maps in (before, after))
    return ((before - after).abs().sum(-1) / 2).mean().item()


def moved_by_the_trilinear_step():
    maps = relation(x()) @ x()
    return 100 * moved(x(), maps), 100 * moved(x().mean(1), maps.mean(1))


def diverse(maps):
    """Mean of the mass moved between two channels, over birds and pairs."""
    c = maps.shape[1]
    return sum(moved(maps[:, i], maps[:, j]) for i in range(c) for j in range(i)) / (c * (c - 1) / 2)


def loudest_to_median():
    volumes = (relation(x()[:100]) @ x()[:100]).sum(-1)
    return (volumes.amax(1) / volumes.median(1).values).mean()


def means_on_100_birds():
    few = x()[:100]
    return on_bird((relation(few) @ few).mean(1), 100).mean(), on_bird(few.mean(1), 100).mean(), len(few)


def two_rows_are_enough():
    rows, drawn = relation(x()), 9
    maps = rows @ x()
    two = torch.stack([rows.mean(1), rows[:, drawn]], dim=1) @ x()
    return torch.allclose(two, torch.stack([maps.mean(1), maps[:, drawn]], dim=1), atol=1e-4)


def sides_of(part):
    box = boxes(part)[:200]
    return ((box[:, 2] - box[:, 0]).mean() + (box[:, 3] - box[:, 1]).mean()) / 2


def step_above(number):
    """From this number to the next one in bfloat16."""
    at = torch.tensor(float(number), dtype=torch.bfloat16)
    return ((at.view(torch.int16) + 1).view(torch.bfloat16) - at).item()


@cache
def narrow():
    """The paper's attention network at an eighth of its width, and its features of 100 hard birds, before the norm."""
    net = narrow_attention_net(stages=4, classes=HARD.classes).eval()
    net.load_state_dict(load_file(saved_run() / "paper_attention_net.safetensors"))
    hard = draw_birds(HARD, seed=0, split="test", indices=range(100)).images.float() / 255
    shrinking = by_hand.triangle(HARD.image_size, 72)
    with torch.no_grad():
        return net, net(shrinking @ hard @ shrinking.T)[1]


@cache
def both_places():
    """X before and after the norm, (100, 64, 81) each."""
    net, found = narrow()
    with torch.no_grad():
        return {"before": found.flatten(2), "after": F.relu(net.norm(found)).flatten(2)}


def partners_after_the_norm():
    """Mean of the numbers at s = 1 and s = 7."""
    rows = torch.stack([relation(both_places()["after"], s) for s in (1.0, 7.0)])
    return torch.exp(-(rows * rows.clamp_min(1e-30).log()).sum(-1)).mean()


def share_in_four_parts(maps):
    """Percent, mean over the hard birds."""
    parts = draw_birds(HARD, seed=0, split="test", indices=range(100)).boxes[:, :-1].unbind(1)
    found = maps / maps.sum(-1, keepdim=True)
    return 100 * sum((found * by_hand.cover(box, cells=9)).sum(-1) for box in parts).mean().item()


def mean_maps_in_four_parts():
    uniform = share_in_four_parts(torch.ones(100, 81))
    shares = [share_in_four_parts((relation(x) @ x).mean(1)) for x in both_places().values()]
    return all(1.7 < share / uniform < 2.5 for share in shares) and (2, uniform, *shares)


def the_mean_map_stays_within_two_points():
    gains = [
        share_in_four_parts((relation(x) @ x).mean(1)) - share_in_four_parts(x.mean(1)) for x in both_places().values()
    ]
    return max(map(abs, gains)) < 2


def single_maps_lose_more_than_half():
    some = {name: x[:20] for name, x in both_places().items()}
    return all(diverse(relation(x) @ x) < 0.5 * diverse(x) for x in some.values())


def axis_ends_at():
    """For rows of R without and with a large weight."""
    channels = torch.eye(8).view(8, 2, 4)
    for loudness in (1.0, 9.0):
        figure = explain_channel(torch.rand(3, 8, 8), loudness * channels, 0, 7.0, torch.tensor([0.0, 0, 4, 4]))
        yield figure.axes[1].get_ylim()[1]


def dilations_in_the_text():
    return 'f"dilation {d}": block(d) for d in (1, 2, 3)' in CODE and "Sequential(block(1, 2), block(1, 2, 3))" in CODE


CLAIMS: Claims = {
    "12×12": lambda: (math.isqrt(x().shape[2]),) * 2,
    "144×144": lambda: (EASY.image_size,) * 2,
    "four of the 32 channels": lambda: (4, x().shape[1]) if "channels, bird = [0, 9, 15, 17], 87" in CODE else False,
    "0.6 in its brightest cell, where other channels reach up to 17 in theirs": lambda: (
        x()[87, 15].max(),
        x()[87].max(),
    ),
    "We use 7, as the authors' code does": lambda: (
        by_hand.tasn().scale == RECIPES["official"].scale and (RECIPES["official"].scale,)
    ),
    # Section 3
    "an image of 2×2 cells": lambda: (math.isqrt(TINY.shape[1]),) * 2,
    "A, B, C, D have the values 2, 2, 0, 0": lambda: tuple(TINY[TINY[:, 0] > 0, 0]),
    "it takes 6 % of C": lambda: (100 * relation(TINY)[0, 2],),
    "$X$ occurs three times": lambda: (math.log2(of_doubled_features()),),
    "doubling all three multiplies it by 8": lambda: (of_doubled_features(),),
    "only 1.3 times the volume of the median one": lambda: (loudest_to_median(),),
    # Section 4
    "200 test birds": lambda: 'split="test", indices=range(200)' in CODE,
    "200 birds": lambda: 'split="test", indices=range(200)' in CODE,
    "every channel is used at least six times": lambda: (torch.bincount(VICTIM).min(),),
    "one in twenty in notebook 01": lambda: (1 / (x()[:100].sum(-1) == 0).float().mean(),),
    "Their axis ends at 0.4, or at 1 if a weight is larger": lambda: list(axis_ends_at()) == [0.4, 1.0],
    "Try channel 17 (dead), 15 (noisy), 0 and 9. Then lower $s$ to 0.1": lambda: (
        (15, 9, 0.1) if "(17, 7.0), (15, 7.0), (9, 7.0), (9, 0.1)" in CODE else False
    ),
    "this channel has the value $v$ there, and the 31 others are silent. The softmax of $v$ and 31 zeros": lambda: (
        *(x().shape[1] - 1, x().shape[1] - 1),
    ),
    "From 4 on it keeps more than half": lambda: own_weight(3) < 0.5 < own_weight(4),
    "We keep the 7 of the authors' code": lambda: (RECIPES["official"].scale,),
    # Section 5
    "does not use 32 maps, or 512": lambda: (x().shape[1], 512),
    "(79 and 78 % on its 100 birds)": means_on_100_birds,
    "Half the sum of the absolute differences": lambda: moved(torch.eye(2)[:1], torch.eye(2)[1:]) == 1,
    "39 % of the mass of a single map, and 5 % of that of the mean": moved_by_the_trilinear_step,
    "Within one point, the mean of the raw maps puts as much on the bird": lambda: (
        abs(on_bird(x().mean(1)).mean() - on_bird((relation(x()) @ x()).mean(1)).mean()) < 1
    ),
    "512 channels on 28×28 = 784 cells": lambda: (512, 28, 28, 28 * 28),
    "two rows of weights": two_rows_are_enough,
    "becomes 256 times cheaper": lambda: (512 * 512 * 784 / (2 * 512 * 784),),
    # Section 7
    "a cell with half the attention of the peak is left with a quarter": lambda: (
        0.5,
        0.5 ** by_hand.tasn().structure_power,
    ),
    "The model loaded above uses 2": lambda: (by_hand.tasn().structure_power,),
    # Section 8
    "a well-known network with 18 weight layers": lambda: resnet()[:1],
    "A layer with a *stride* of 2 skips every": lambda: (
        nn.Conv2d(1, 1, 1, stride=2)(torch.ones(1, 1, 8, 8)).shape[2] == 4
    ),
    "ResNet-18 does this five times": lambda: resnet()[1:],
    "The usual network turns 224×224 pixels into 7×7 cells": lambda: (224, 224, 224 / 2 ** resnet()[1], 224 / 2**5),
    "over blocks of 2×2 and 4×4 cells": lambda: "for side in (12, 6, 3)" in CODE and (12 / 6, 12 / 6, 12 / 3, 12 / 3),
    "At 6×6": lambda: (12 / 2, 12 / 2),
    "At 3×3": lambda: (12 / 4, 12 / 4),
    "how wide is the field of one 3×3 kernel at dilation 1, 2, 3? Of a block with 1 and 2? Of that block followed by "
    "one with 1, 2 and 3?": dilations_in_the_text,
    "113 of 11 × 11 = 121 cells are read": cells_read,
    "Its cells see 7 of 48 pixels, which correspond to 21 of the image's 144": small_field,
    "A head is 16 and a wing 19 pixels across": lambda: (sides_of("head"), sides_of("wing")),
    "after 7×7": lambda: "widths = (1, 3, 5, 7)" in CODE,
    "an eighth of its width, 64 channels of 9×9 cells": lambda: (64 / 512, *narrow()[1].shape[1:]),
    "*hard* birds: 64 classes": lambda: (HARD.classes,),
    "It was trained for 24 epochs": lambda: (FEATURES["hard"][0].changes["epochs"],),
    "about thirty of 64 channels": lambda: (partners_after_the_norm(), 64),
    "lose more than half of their diversity": single_maps_lose_more_than_half,
    "within two points of the mean of the raw maps": the_mean_map_stays_within_two_points,
    "about twice the share of a uniform map in the parts (5 %): 11 % before the norm, which is how this network was "
    "trained, and 9 %": mean_maps_in_four_parts,
    "Two points from one network": the_mean_map_stays_within_two_points,
    "between 256 and 512 it counts in steps of 2, and a step of 2 going into a softmax is a factor of 7": lambda: (
        *(256, 512, step_above(256), step_above(510), math.e**2),
    ),
    # The box, and the summary
    "one kernel at dilations 1 and 2, and a second at 1, 2 and 3": lambda: (
        [block.dilations for block in narrow()[0].multi_dilation] == [(1, 2), (1, 2, 3)]
    ),
    "On 200 drawn birds": lambda: 'split="test", indices=range(200)' in CODE,
    "dead channels from 10 to 79 % on the bird, noisy ones (level 1) from 23 to 57 %, normal ones from 64 to 80 %": (
        lambda: (*repaired("dead"), *repaired("noisy"), *repaired("normal"))
    ),
}
FROM_ELSEWHERE = {
    "The paper's network, for photographs, has 28×28 cells": "the authors' MXNet code, on images of 224 px",
    "the port by 2": "the authors' PyTorch port",
    "resizes the sum to 512 × 512 pixels": "the authors' MXNet code",
}
