"""Training steps on a batch that is already on the device: forward, loss, backward, optimiser."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.alternatives import plain_network
from benchmarks.setting import Setting
from tasnlib.distillation import tasn_loss
from tasnlib.model import TASN
from tasnlib.networks.build import build_attention_net, build_tasn
from tasnlib.training.recipes import Recipe
from tasnlib.training.schedule import build_optimizer


@dataclass
class Step:
    """A training step; call it to take it."""

    model: nn.Module
    inputs: tuple[Tensor, ...]
    loss: Callable[[Any], Tensor]
    optimizer: torch.optim.Optimizer
    setting: Setting

    def __call__(self) -> Tensor:
        if self.setting.compile:
            torch.compiler.cudagraph_mark_step_begin()
        with self.setting.autocast():
            output = self.model(*self.inputs)
        loss = self.loss(output)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def tasn_step(recipe: Recipe, setting: Setting, batch: int) -> Step:
    """A step of TASN. The channels of the detail maps are on the device, as a loader would send them with a batch.

    >>> setting = Setting(torch.device("cpu"), "small")
    >>> tasn_step(setting.recipe("smoke"), setting, batch=2)().shape
    torch.Size([])
    """
    model = tasn(recipe, setting).train()
    images = images_on_device(setting, batch, recipe.image_size, torch.contiguous_format)  # as a loader gives them
    channel = torch.arange(batch, device=setting.device) % model.attention_net.classifier.in_features
    labels = _labels(recipe, setting, batch)
    settings = (recipe.distillation_weight, recipe.temperature)
    return Step(
        *(model, (images, channel), lambda output: tasn_loss(output.logits, labels, None, *settings)),
        *(build_optimizer(model, recipe), setting),
    )


def attention_step(recipe: Recipe, setting: Setting, batch: int) -> Step:
    """The attention network's alone, on images that are downsampled already."""
    model = setting.place(build_attention_net(recipe, setting.classes(recipe))).train()
    _compile(model, setting)
    images = images_on_device(setting, batch, recipe.attention_size, setting.memory_format)
    labels = _labels(recipe, setting, batch)
    loss = lambda output: F.cross_entropy(output[0].float(), labels)  # noqa: E731
    return Step(model, (images,), loss, build_optimizer(model, recipe), setting)


def plain_step(recipe: Recipe, setting: Setting, batch: int, size: int) -> Step:
    """The recipe's backbone alone as a plain classifier of images of this size."""
    model = setting.place(plain_network(recipe, setting.classes(recipe))).train()
    _compile(model, setting)
    images = images_on_device(setting, batch, size, setting.memory_format)
    labels = _labels(recipe, setting, batch)
    loss = lambda output: F.cross_entropy(output.float(), labels)  # noqa: E731
    return Step(model, (images,), loss, build_optimizer(model, recipe), setting)


def tasn(recipe: Recipe, setting: Setting) -> TASN:
    """TASN on the device, compiled if requested."""
    model = setting.place(build_tasn(recipe, setting.classes(recipe)))
    _compile(model, setting)
    return model


def images_on_device(setting: Setting, batch: int, size: int, memory_format: torch.memory_format) -> Tensor:
    return torch.rand(batch, 3, size, size, device=setting.device).to(memory_format=memory_format)


def _labels(recipe: Recipe, setting: Setting, batch: int) -> Tensor:
    return torch.arange(batch, device=setting.device) % setting.classes(recipe)


def _compile(model: nn.Module, setting: Setting) -> None:
    if setting.compile:
        model.compile(mode=setting.compile, dynamic=False)
