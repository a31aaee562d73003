"""A run's folder with a small TASN in it, for tests of prediction: not trained, but with lively predictions."""

from dataclasses import replace
from pathlib import Path

import torch

from tasnlib.networks.build import build_model
from tasnlib.training.checkpoints import save_weights
from tasnlib.training.recipes import RECIPES

SMOKE = replace(RECIPES["smoke"], image_size=64)
NAMES = ["wren", "robin", "lark"]


def save_tiny_run(folder: Path) -> Path:
    torch.manual_seed(0)
    model = build_model("tasn", SMOKE, len(NAMES))
    torch.nn.init.normal_(model.classifier.weight, std=5.0)
    torch.nn.init.ones_(model.attention_net.norm.bias)  # nor is its attention 0 everywhere
    save_weights(folder / "tasn.safetensors", model, "tasn", SMOKE, NAMES)
    return folder
