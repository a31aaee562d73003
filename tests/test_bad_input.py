"""Bad arguments and settings raise ValueError or TypeError, of which jaxtyping's TypeCheckError is one."""

import math
from dataclasses import replace

import pytest
import torch

from tasnlib.attention import AttentionNet, bilinear_attention, pool_maps, pooled_attention, trilinear_attention
from tasnlib.data.birds import EASY, BirdsConfig, draw_birds
from tasnlib.distillation import soft_target_cross_entropy, tasn_loss
from tasnlib.model import TASN
from tasnlib.networks.small import small_backbone, small_trunk
from tasnlib.research.localization import attention_mass, coverage, diversity, pointing_game
from tasnlib.runs.settings import Settings
from tasnlib.sampler import attention_sample, sampling_positions, zoom_profiles
from tasnlib.training.recipes import RECIPES

FEATURES, MAPS, IMAGES, LOGITS = torch.rand(2, 4, 3, 3), torch.rand(2, 3, 5), torch.rand(2, 3, 8, 8), torch.rand(2, 6)
LABELS, BOXES = torch.tensor([0, 5]), torch.tensor([[[0.0, 0.0, 4.0, 4.0]], [[2.0, 2.0, 6.0, 6.0]]])


def tasn(**numbers):
    backbone, features = small_backbone()
    net = AttentionNet(*small_trunk(), 6, dilations=())
    return TASN(net, backbone, torch.nn.Linear(features, 6), **({"attention_size": 16, "out_size": 16} | numbers))


ARGUMENTS = {
    "features: a list": lambda: bilinear_attention([[1.0, 2.0]]),
    "features: three axes": lambda: trilinear_attention(FEATURES[0]),
    "features: whole numbers": lambda: pooled_attention(FEATURES.long()),
    "features: NaN": lambda: bilinear_attention(FEATURES * math.nan),
    "features: infinite": lambda: pooled_attention(FEATURES / 0),
    "scale: 0": lambda: bilinear_attention(FEATURES, 0),
    "scale: infinite": lambda: trilinear_attention(FEATURES, math.inf),
    "scale: text": lambda: pooled_attention(FEATURES, "7"),
    "channel: too large": lambda: pooled_attention(FEATURES, 7.0, torch.tensor([0, 4])),
    "channel: negative": lambda: pooled_attention(FEATURES, 7.0, torch.tensor([-1, 0])),
    "channel: too many": lambda: pooled_attention(FEATURES, 7.0, torch.tensor([0, 1, 2])),
    "channel: a float": lambda: pooled_attention(FEATURES, 7.0, torch.tensor([0.0, 1.0])),
    "relation: other channels": lambda: pool_maps(
        torch.rand(2, 5, 5), FEATURES, torch.tensor([0, 1]), torch.rand(2, 5)
    ),
    "attention: negative": lambda: attention_sample(IMAGES, -MAPS, 4),
    "attention: NaN": lambda: sampling_positions(MAPS * math.nan, 8, 4),
    "attention: another batch": lambda: attention_sample(IMAGES, MAPS[:1], 4),
    "attention: four axes": lambda: zoom_profiles(MAPS[None], 8),
    "images: bytes": lambda: attention_sample((255 * IMAGES).byte(), MAPS, 4),
    "image_size: 0": lambda: sampling_positions(MAPS, 0, 4),
    "out_size: negative": lambda: attention_sample(IMAGES, MAPS, -4),
    "out_size: three numbers": lambda: attention_sample(IMAGES, MAPS, (4, 4, 4)),
    "max_zoom: below 1": lambda: attention_sample(IMAGES, MAPS, 4, max_zoom=0.5),
    "max_zoom: NaN": lambda: sampling_positions(MAPS, 8, 4, math.nan),
    "temperature: 0": lambda: soft_target_cross_entropy(LOGITS, LOGITS, 0),
    "temperature: negative": lambda: soft_target_cross_entropy(LOGITS, LOGITS, -1),
    "teacher_logits: other classes": lambda: soft_target_cross_entropy(LOGITS, LOGITS[:, :5]),
    "labels: too large": lambda: tasn_loss({"master": LOGITS}, LABELS + 1),
    "labels: negative": lambda: tasn_loss({"master": LOGITS}, LABELS - 1),
    "labels: another batch": lambda: tasn_loss({"master": LOGITS}, torch.tensor([0])),
    "attention_size: 0": lambda: tasn(attention_size=0),
    "structure_power: 0": lambda: tasn(structure_power=0.0),
    "images: one channel": lambda: tasn()(torch.rand(2, 1, 32, 32)),
    "images: an array": lambda: tasn().predict(torch.rand(2, 3, 32, 32).numpy()),
    "config: None": lambda: draw_birds(None, 0, "test", [0]),
    "split: unknown": lambda: draw_birds(EASY, 0, "tset", [0]),
    "indices: negative": lambda: draw_birds(EASY, 0, "test", [-1]),
    "seed: a float": lambda: draw_birds(EASY, 0.5, "test", [0]),
    "boxes: x0 > x1": lambda: attention_mass(MAPS, BOXES.flip(2), 8),
    "boxes: another batch": lambda: pointing_game(MAPS, BOXES[:1], 8),
    "magnifications: NaN": lambda: coverage(torch.full((3, 1, 2), math.nan)),
    "maps: one channel": lambda: diversity(MAPS[:, None]),
}


@pytest.mark.parametrize("call", ARGUMENTS.values(), ids=ARGUMENTS)
def test_bad_argument(call):
    with pytest.raises((ValueError, TypeError)):
        call()


WHOLE, NUMBER, TEXT = (2.5, "3", True, [1]), ("0.1", True, math.nan, math.inf), (3, True, ["birds"])
SETTINGS = {
    **dict.fromkeys(("epochs", "batch_size", "num_processes", "accumulate"), (0, -1, *WHOLE)),
    **dict.fromkeys(("train_images", "test_images"), (0, -1, *WHOLE)),
    **dict.fromkeys(("seed", "num_workers"), (-1, 2**40, *WHOLE)),
    "learning_rate": (0, -0.1, *NUMBER),
    **dict.fromkeys(("resume", "compiled", "baselines"), ("yes", 1, None)),
    "dataset": ("birdz", "", "folder", *TEXT),  # "folder" needs a data_folder
    "recipe": ("papper", "", *TEXT),
    "precision": ("float16", "", *TEXT),
    "track": ("tensorbord", "", *TEXT),
    "weights": ("DEFUALT", "no/such/folder", *TEXT),
    "backbone": ("", *TEXT[:2]),
    "attention_trunk": ("", *TEXT[:2]),
    "data_folder": ("", "a\0b", *TEXT),
    "output_folder": ("", "a\0b", *TEXT),
}
RECIPE = {
    **dict.fromkeys(("image_size", "attention_size", "out_size", "batch_size"), (0, -1, *WHOLE)),
    **dict.fromkeys(("scale", "structure_power", "temperature", "learning_rate"), (0, -1, *NUMBER)),
    **dict.fromkeys(("attention_weight", "part_weight", "distillation_weight", "weight_decay"), (-1, *NUMBER)),
    **dict.fromkeys(("momentum", "warmup"), (-0.1, 1, *NUMBER)),
    "max_zoom": (0.5, *NUMBER),
    "milestones": ((0.5, 0.2), (1.5,), ("a",)),
    "optimizer": ("adam", *TEXT),
    "augmentation": ("oficial", *TEXT),
    "backbone": (None, *TEXT),
    "antialias": ("no", None),
}
BIRDS = {
    "image_size": (0, 2**40, *WHOLE),
    "stripe_period": (2, *NUMBER),
    "head_colours": (0, 5, *WHOLE),
    "striped_parts": ((), ("beak",), ("head", "head")),
    "bird_size": ((0.5, 0.3), (0.0, 0.3), (0.3,)),
    "noise": (-0.1, *NUMBER),
}


def accepted(make, table):
    """The name and value of every bad field that does not raise an error that names it."""
    found = []
    for name, values in table.items():
        for value in values:
            try:
                make(**{name: value})
            except (ValueError, TypeError) as reason:
                if name in str(reason):
                    continue
            found.append((name, value))
    return found


def test_more_than_100_bad_settings():
    assert sum(map(len, SETTINGS.values())) >= 100
    assert accepted(Settings, SETTINGS) == []


def test_bad_recipes():
    assert accepted(lambda **change: replace(RECIPES["laptop"], **change), RECIPE) == []


def test_bad_birds():
    assert accepted(BirdsConfig, BIRDS) == []


@pytest.mark.parametrize(("make", "name"), [(Settings, "epocs"), (BirdsConfig, "imagesize")])
def test_unknown_names(make, name):
    with pytest.raises((ValueError, TypeError), match=name):
        make(**{name: 1})


def test_compiled_and_on_a_device_no_value_is_read():
    """Reading a value would split torch.compile's graph, make a GPU wait, and fail on the meta device."""
    model = tasn().eval()
    torch._dynamo.reset()
    explained = torch._dynamo.explain(model)(torch.rand(2, 3, 32, 32), torch.tensor([1, 2]))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0), explained.break_reasons
    output = model.to("meta")(torch.rand(2, 3, 32, 32, device="meta"), torch.tensor([1, 2], device="meta"))
    assert tasn_loss(output.logits, torch.tensor([0, 4], device="meta")).shape == ()
