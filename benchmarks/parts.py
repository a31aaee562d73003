"""A step of training part by part: where its time goes."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from benchmarks.limits import CountOperations, OperationCost, bytes_of, limit_seconds
from benchmarks.report import Figure
from benchmarks.sampler import bytes_to_move
from benchmarks.setting import Setting
from benchmarks.steps import Step, tasn_step
from benchmarks.timing import compare
from benchmarks.training import forget
from tasnlib.distillation import tasn_loss
from tasnlib.model import downsample
from tasnlib.training.recipes import Recipe

SAMPLER, OPTIMISER = "sampler, twice", "optimiser"


def run_in_parts(step: Step, recipe: Recipe, lap: Callable[[str], None]) -> None:
    """The same step, written out; `lap` is told the name of each part when it is over.

    The maps carry no gradient, so the backward pass falls into those of the two networks.
    """
    model, (images, channel), setting = step.model, step.inputs, step.setting
    if setting.compile:
        torch.compiler.cudagraph_mark_step_begin()
    with setting.autocast():
        seen = downsample(images, model.attention_size)
        lap("downsampling")
        attention_logits, features = model.attention_net(seen)
        lap("attention network, forward")
        structure, detail, _ = model.attend(features, channel)
        lap("attention maps")
        sampled = torch.cat([model.sample(images, structure), model.sample(images, detail)])
        lap(SAMPLER)
        master, part = model.classifier(model.backbone(sampled)).chunk(2)
        lap("backbone, forward")
    labels = torch.arange(len(images), device=images.device) % master.shape[1]
    settings = (recipe.distillation_weight, recipe.temperature, recipe.teacher_gradient)
    backbone_loss = tasn_loss({"master": master, "part": part}, labels, None, *settings)
    attention_loss = tasn_loss({"attention": attention_logits}, labels)
    lap("losses")
    step.optimizer.zero_grad()
    backbone_loss.backward()
    lap("backbone, backward")
    attention_loss.backward()
    lap("attention network, backward")
    step.optimizer.step()
    lap(OPTIMISER)


class Stopwatch:
    """Seconds of each part, lap by lap."""

    def __init__(self, setting: Setting):
        self.setting, self.laps = setting, {}

    def start(self) -> None:
        self.setting.wait()
        self.before = time.perf_counter()

    def lap(self, part: str) -> None:
        self.setting.wait()
        now = time.perf_counter()
        self.laps.setdefault(part, []).append(now - self.before)
        self.before = now

    def medians(self, last: int) -> dict[str, float]:
        """Of the last laps: those before were for warming up."""
        return {part: statistics.median(taken[-last:]) for part, taken in self.laps.items()}


def costs_of_parts(step: Step, recipe: Recipe) -> dict[str, list[OperationCost]]:
    """The operations of each part of a step that is not compiled."""
    costs: dict[str, list[OperationCost]] = {}
    with CountOperations() as counter:

        def lap(part: str) -> None:
            costs[part], counter.costs = counter.costs, []

        run_in_parts(step, recipe, lap)
    return costs


def measure(setting: Setting) -> list[Figure]:
    """The share of each part of each recipe's step."""
    return [figure for name in setting.recipes for figure in _of_recipe(setting.recipe(name), setting)]


def _of_recipe(recipe: Recipe, setting: Setting) -> list[Figure]:
    # Without a minimal turn every call is a turn, and every turn has its laps.
    batch, watch = setting.batch(recipe), Stopwatch(setting)
    eager, step = (tasn_step(recipe, replace(setting, compile=mode), batch) for mode in (None, setting.compile))

    def parts() -> None:
        watch.start()
        run_in_parts(step, recipe, watch.lap)

    costs = costs_of_parts(eager, recipe)
    seconds, rates = compare({"whole": step, "parts": parts}, setting, f"parts, {recipe.name}")
    medians = watch.medians(setting.repeats)
    limits = {part: limit_seconds(cost, rates) for part, cost in costs.items()}
    limits[SAMPLER] = 2 * _sampler_bytes(eager, recipe) / rates.copy
    limits[OPTIMISER] = _optimiser_bytes(eager) / rates.copy
    forget()
    total = sum(medians.values())
    whole = ("the whole step", 1e3 * seconds["whole"])
    figures = []
    for part, taken in medians.items():
        limit = ("bytes" if part in (SAMPLER, OPTIMISER) else "layer by layer", 1e3 * limits[part])
        figure = Figure("parts", f"{recipe.name}: {part}", 1e3 * taken, "ms", *whole, *(limit if limits[part] else ()))
        figures.append(replace(figure, note=f"{taken / total:.1%} of the step"))
    every = Figure(
        *("parts", f"{recipe.name}: all parts, batch {batch}, {setting.words}", 1e3 * total, "ms", *whole),
        *("their limits", 1e3 * sum(limits.values())),
        note="waiting after each part",
    )
    return [*figures, every]


@torch.no_grad()
def _sampler_bytes(step: Step, recipe: Recipe) -> int:
    """Of one of the two images, at the structure maps."""
    model, (images, channel) = step.model, step.inputs
    _, features = model.attention_net(downsample(images, model.attention_size))
    return bytes_to_move(images, model.attend(features, channel).structure, recipe.out_size)


def _optimiser_bytes(step: Step) -> int:
    """Weights and state are read and written, gradients read."""
    states = [value for state in step.optimizer.state.values() for value in state.values()]
    weights = list(step.model.parameters())
    return 2 * bytes_of(weights) + 2 * bytes_of(states) + bytes_of(weight.grad for weight in weights)
