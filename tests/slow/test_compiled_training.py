"""torch.compile changes how fast training is, and its results by rounding only."""

from dataclasses import replace

import pytest
import torch

from tasnlib.data.birds import EASY, Birds
from tasnlib.networks.build import build_model
from tasnlib.training.devices import make_accelerator
from tasnlib.training.fit import fit
from tasnlib.training.recipes import RECIPES

SMOKE = replace(RECIPES["smoke"], train_images=64, epochs=1, batch_size=16)


def test_compiled_training_gives_the_same_losses_to_rounding(tmp_path):
    style = replace(EASY, image_size=144)
    train, test = (Birds.load(style, split, count, progress=False) for split, count in (("train", 64), ("test", 16)))
    losses = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model, state = build_model("tasn", SMOKE, 16), tmp_path / f"{compiled}.safetensors"
        history, _ = fit(model, train, test, SMOKE, 0, state, make_accelerator(), compiled=compiled)
        losses.append(history[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
