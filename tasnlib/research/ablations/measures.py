"""Where a trained variant's maps lie, measured over the striped parts of test birds."""

import math

import torch
from torch import Tensor

from tasnlib.data.birds import Birds
from tasnlib.research.ablations.maps import RELATIONS
from tasnlib.research.ablations.networks import ChangedTASN
from tasnlib.research.localization import area_share, attention_mass, coverage, diversity, magnification, pointing_game
from tasnlib.sampler import sampling_positions
from tasnlib.training.recipes import Recipe

IMAGES = 300  # that are measured
DRAWS = 8  # detail images of each, for their coverage


@torch.no_grad()
def measure_maps(model: ChangedTASN, recipe: Recipe, birds: Birds) -> dict[str, float]:
    """Means over images. Of the map that the master sees: "mass" (share of it in the parts' boxes), "pointing",
    "magnification". Of single channels: "mass of single channels", "diversity" (0: all maps the same), and "coverage"
    (share of the parts that one of eight detail images magnifies twice or more). And "area", what a uniform map gets.
    """
    model.eval()
    size, found = recipe.image_size, []
    device = next(model.parameters()).device
    for start in range(0, min(IMAGES, len(birds)), 50):
        images = birds.images[start : start + 50].to(device).float() / 255
        boxes = birds.boxes[start : start + 50, :-1].to(device)  # the last is the whole bird

        def magnified(attention: Tensor, boxes: Tensor = boxes) -> Tensor:
            return magnification(*sampling_positions(attention, size, recipe.out_size, recipe.max_zoom), boxes, size)

        numbers = torch.arange(len(images), device=device)
        channels = model.attention_net.classifier.in_features
        drawn = [model(images, channel=(numbers + draw * 5) % channels) for draw in range(DRAWS)]
        structure, features = drawn[0].structure, drawn[0].features
        relation = RELATIONS.get(model.variant.attention)
        maps = torch.ones_like(features) if relation is None else (
            relation(features.float(), recipe.scale) @ features.float().flatten(2)).view_as(features)  # fmt: skip
        found.append(
            {
                "mass": attention_mass(structure, boxes, size).sum(1).mean(),
                "mass of single channels": attention_mass(drawn[0].detail, boxes, size).sum(1).mean(),
                "pointing": pointing_game(structure, boxes, size).nanmean(),
                "magnification": magnified(structure).nanmean(),
                "diversity": diversity(maps).mean(),
                "coverage": coverage(torch.stack([magnified(one.detail) for one in drawn]))[-1],
                "area": area_share(boxes, size).sum(1).mean(),
            }
        )
    means = {name: torch.stack([some[name] for some in found]).mean().item() for name in found[0]}
    if model.variant.sampler != "attention":  # a crop reads elsewhere than the attention sampler would
        del means["magnification"], means["coverage"]
    return {name: value for name, value in means.items() if math.isfinite(value)}
