"""Training in a second: a few small birds, and models that learn them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tasnlib.data.birds import Birds, BirdsBatch, BirdsConfig
from tasnlib.networks.build import build_model
from tasnlib.training.devices import make_accelerator
from tasnlib.training.fit import fit
from tasnlib.training.recipes import RECIPES, Recipe

STYLE = BirdsConfig(image_size=48, head_colours=1, wing_colours=2, striped_parts=("head",))
TINY = replace(RECIPES["smoke"], image_size=48, batch_size=8, epochs=3, train_images=26, test_images=11)
STEPS = 3  # 26 images in batches of 8; the last two are left out


def new_model(kind: str = "downsampled", seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(kind, TINY, STYLE.classes)


def with_dropout(seed: int = 0) -> nn.Module:
    model = new_model(seed=seed)
    model.backbone = nn.Sequential(model.backbone, nn.Dropout(0.5))
    return model


def run(folder: Path, birds, model: nn.Module, recipe: Recipe = TINY, seed: int = 0, **options) -> list[dict]:
    """Train; the history without its times."""
    torch.manual_seed(np.random.default_rng().integers(2**31))  # no run may depend on the global state
    history, _ = fit(model, *birds, recipe, seed, folder / "state.safetensors", make_accelerator(), **options)
    return [{name: value for name, value in entry.items() if "second" not in name} for entry in history]


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Interrupted(Exception):
    pass


def interrupt_after(epoch: int):
    """A `report` that stops the training after that epoch."""

    def report(entry):
        if entry["epoch"] == epoch:
            raise Interrupted

    return report


def like(kind: type[Birds], birds: Birds) -> Birds:
    """The same birds as another kind of data set."""
    return kind(BirdsBatch(birds.images, birds.labels, birds.boxes), birds.config)
