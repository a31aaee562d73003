"""Settings of a benchmark: device, size, precision, memory format, compilation, recipes, batch."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import nn

from tasnlib.training.recipes import RECIPES, Recipe

SIZES = ("small", "full")  # small takes seconds and only shows that everything runs
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
GPU_BATCH = 96  # for the paper's networks, whatever the recipe's own


@dataclass(frozen=True)
class Setting:
    """Everything that decides a figure, except the machine.

    >>> setting = Setting(torch.device("cpu"), "full")
    >>> setting.repeats, setting.batch(setting.recipe("laptop")), setting.batch(setting.recipe("paper"))
    (9, 32, 96)
    """

    device: torch.device
    size: str
    precision: str = "float32"  # or "bfloat16": of convolutions and matrix products, by autocast
    channels_last: bool = False
    compile: str | None = None  # a mode of torch.compile
    recipes: tuple[str, ...] = ("laptop",)
    batch_size: int | None = None

    @property
    def full(self) -> bool:
        return self.size == "full"

    @property
    def repeats(self) -> int:
        return 9 if self.full else 2

    @property
    def turn_seconds(self) -> float:
        """Minimal length of a turn: short work is repeated."""
        return 0.02 if self.full else 0.0

    @property
    def dtype(self) -> torch.dtype:
        return getattr(torch, self.precision)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def words(self) -> str:
        """For labels: "bfloat16, channels_last, compiled"."""
        words = [self.precision, "channels_last" if self.channels_last else "NCHW"]
        return ", ".join([*words, f"compiled ({self.compile})"] if self.compile else words)

    def plain(self) -> "Setting":
        """Without optimisations."""
        return replace(self, precision="float32", channels_last=False, compile=None)

    def recipe(self, name: str) -> Recipe:
        """A recipe with random weights, with small images at size small."""
        recipe = replace(RECIPES[name], weights=None)
        if self.full or recipe.image_size <= 144:
            return recipe
        return replace(recipe, image_size=96, attention_size=32, out_size=32)

    def classes(self, recipe: Recipe) -> int:
        return 16 if recipe.backbone == "small" else 200

    def batch(self, recipe: Recipe) -> int:
        if self.batch_size:
            return self.batch_size
        if not self.full:
            return 4
        return recipe.batch_size if recipe.backbone == "small" else GPU_BATCH

    def goal(
        self, cpu: tuple[str, float] | None = None, cuda: tuple[str, float] | None = None
    ) -> tuple[str, float] | None:
        """The goal on this device, as ("ratio", minimum); for the full size only."""
        return {"cpu": cpu, "cuda": cuda}.get(self.device.type) if self.full else None

    def autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def place(self, model: nn.Module) -> nn.Module:
        """A network on the device, its weights in the memory format."""
        return model.to(self.device, memory_format=self.memory_format)

    def wait(self) -> None:
        """Wait for the GPU, which works asynchronously."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
