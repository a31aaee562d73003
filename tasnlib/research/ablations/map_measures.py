"""How well a trained variant's maps localise the striped parts of test birds."""

import math

import torch
from torch import Tensor

from tasnlib.data.birds import Birds
from tasnlib.research.ablations.maps import RELATIONS
from tasnlib.research.ablations.variant_network import TASNVariant
from tasnlib.research.localization import area_share, attention_mass, coverage, diversity, magnification, pointing_game
from tasnlib.sampler import sampling_positions
from tasnlib.training.recipes import Recipe

IMAGES = 300
DRAWS = 8  # detail images per image, for the coverage


@torch.no_grad()
def measure_maps(model: TASNVariant, recipe: Recipe, birds: Birds) -> dict[str, float]:
    """Means over images. Of the structure map: "mass" (share of it in the parts' boxes), "pointing", "magnification".
    Of the channels' maps: "mass of single channels", "diversity" (0: all the same) and "coverage" (share of the parts
    that at least one of eight detail images magnifies twice or more). "partners": how many channels a map averages, the
    exponential of the entropy of a row of R. And "area": the mass of a uniform map.
    """
    model.eval()
    size, batches = recipe.image_size, []
    device = next(model.parameters()).device
    for start in range(0, min(IMAGES, len(birds)), 50):
        images = birds.images[start : start + 50].to(device).float() / 255
        boxes = birds.boxes[start : start + 50, :-1].to(device)  # the last is the whole bird

        def magnified(attention: Tensor, boxes: Tensor = boxes) -> Tensor:
            return magnification(*sampling_positions(attention, size, recipe.out_size, recipe.max_zoom), boxes, size)

        channel = torch.arange(len(images), device=device)
        drawn = [model(images, (channel + draw * 5) % model.attention_net.channels) for draw in range(DRAWS)]
        structure, features = drawn[0].structure, drawn[0].features
        relation = RELATIONS.get(model.variant.attention)
        maps, partners = torch.ones_like(features), torch.tensor(float("nan"))
        if relation:
            rows = relation(features.float(), recipe.scale)
            maps = (rows @ features.float().flatten(2)).view_as(features)
            partners = torch.special.entr(rows).sum(dim=2).exp().mean()  # NaN where rows are no distributions
        batches.append(
            {
                "mass": attention_mass(structure, boxes, size).sum(1).mean(),
                "mass of single channels": attention_mass(drawn[0].detail, boxes, size).sum(1).mean(),
                "pointing": pointing_game(structure, boxes, size).nanmean(),
                "magnification": magnified(structure).nanmean(),
                "diversity": diversity(maps).mean(),
                "partners": partners,
                "coverage": coverage(torch.stack([magnified(output.detail) for output in drawn]))[-1],
                "area": area_share(boxes, size).sum(1).mean(),
            }
        )
    means = {name: torch.stack([batch[name] for batch in batches]).mean().item() for name in batches[0]}
    if model.variant.sampler != "attention":  # they describe the attention sampler only
        del means["magnification"], means["coverage"]
    return {name: value for name, value in means.items() if math.isfinite(value)}
