"""The order of the images in training, the learning rate, and the optimiser."""

import math
from collections.abc import Collection, Iterator

import torch
from torch import nn
from torch.utils.data import Sampler

from tasnlib.training.recipes import Recipe


class EpochOrder(Sampler[int]):
    """A shuffle for every epoch, determined by seed and epoch alone, of numbers epoch * size + image, see `Batch`.

    Before an epoch, set `epoch`. `left_out` are images that cannot be read. Raises ValueError for a seed out of range.

    >>> sorted(EpochOrder(size=4, seed=0, left_out={2}))
    [0, 1, 3]
    """

    def __init__(self, size: int, seed: int, left_out: Collection[int] = ()):
        if not 0 <= seed < 2**31:
            raise ValueError(f"seed is {seed}; it must be from 0 to {2**31 - 1}")
        self.size, self.seed, self.epoch = size, seed, 0
        self.left_out = frozenset(left_out)

    def __len__(self) -> int:
        return self.size - len(self.left_out)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        shuffled = torch.randperm(self.size, generator=generator).tolist()
        return iter([self.epoch * self.size + image for image in shuffled if image not in self.left_out])


def learning_rate_at(recipe: Recipe, done: float) -> float:
    """The learning rate after this fraction of all steps."""
    if done < recipe.warmup:
        return recipe.learning_rate * done / recipe.warmup
    if recipe.milestones:
        return recipe.learning_rate * 0.1 ** sum(done >= milestone for milestone in recipe.milestones)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - recipe.warmup) / (1 - recipe.warmup)))


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser. Its learning rate, times a group's "multiplier", is set at every step.

    Biases and norms, whose weights have one dimension, are not decayed: decay would undo a norm bias that starts at -1.
    Layers that start from random beside pretrained ones learn faster, by the recipe's fresh_multiplier."""
    named = {"attention_net.trunk.": recipe.attention_trunk, "backbone.": recipe.backbone}
    pretrained = tuple(part for part, network in named.items() if recipe.weights and network != "small")
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        decay = recipe.weight_decay if weight.ndim > 1 else 0.0
        multiplier = recipe.fresh_multiplier if recipe.weights and not name.startswith(pretrained) else 1.0
        groups.setdefault((decay, multiplier), []).append(weight)
    options = [{"params": own, "weight_decay": decay, "multiplier": by} for (decay, by), own in groups.items()]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(options, recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    return torch.optim.AdamW(options, recipe.learning_rate)
