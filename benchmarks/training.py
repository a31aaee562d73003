"""A training step beside its networks alone, its plain form, and a plain network on larger images."""

from dataclasses import replace

import torch

from benchmarks.limits import OperationCost, count_operations, limit_seconds
from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.steps import Step, attention_step, plain_step, tasn_step
from benchmarks.timing import compare
from tasnlib.training.recipes import Recipe


def measure(setting: Setting) -> list[Figure]:
    """Images per second of each recipe."""
    return [figure for name in setting.recipes for figure in _of_recipe(setting.recipe(name), setting)]


def _of_recipe(recipe: Recipe, setting: Setting) -> list[Figure]:
    batch, out_size = setting.batch(recipe), recipe.out_size
    alone = f"{recipe.attention_trunk} attention network alone"
    twice = f"{recipe.backbone} on twice the images"
    large = f"{recipe.backbone} at {2 * out_size} px, one image"
    costs = _costs(tasn_step(recipe, replace(setting, compile=None), batch))  # compiled, operations would merge
    works = {
        "TASN": tasn_step(recipe, setting, batch),
        alone: attention_step(recipe, setting, batch),
        twice: plain_step(recipe, setting, 2 * batch, out_size),
        large: plain_step(recipe, setting, batch, 2 * out_size),
    }
    if setting.plain() != setting:
        works["plain"] = tasn_step(recipe, setting.plain(), batch)
    seconds, rates = compare(works, setting, f"training, {recipe.name}")
    forget()

    speed = {name: batch / taken for name, taken in seconds.items()}
    in_turn = ("its networks alone, one after the other", batch / (seconds[alone] + seconds[twice]))
    name = f"TASN, {recipe.name}, batch {batch}, {recipe.image_size} → {out_size}, {setting.words}"
    ours = ("training", name, speed["TASN"], "images/s")
    layers = ("layer by layer", batch / limit_seconds(costs, rates))
    rate = setting.goal(cuda=("value", 900)) if recipe.name == "paper" else None
    figures = [
        Figure(*ours, *in_turn, *layers, setting.goal(cuda=("ratio", 0.85))),
        Figure(*ours, large, speed[large], *layers, goal=rate),
    ]
    if "plain" in speed:
        figures.append(Figure(*ours, "float32, NCHW, not compiled", speed["plain"], *layers))
    return figures


def _costs(step: Step) -> list[OperationCost]:
    costs = count_operations(step)
    forget()
    return costs


def forget() -> None:
    """Free the GPU memory and the compiled code of networks that are gone."""
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
