"""Prediction in images per second: attention network, sampler, master."""

from dataclasses import replace

import torch

from benchmarks.alternatives import plain_network
from benchmarks.limits import count_operations, limit_seconds
from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.steps import images_on_device, tasn
from benchmarks.timing import compare
from benchmarks.training import forget
from tasnlib.training.recipes import Recipe


def measure(setting: Setting) -> list[Figure]:
    """Of each recipe."""
    return [figure for name in setting.recipes for figure in _of_recipe(setting.recipe(name), setting)]


@torch.no_grad()
def _of_recipe(recipe: Recipe, setting: Setting) -> list[Figure]:
    batch, out_size = setting.batch(recipe), recipe.out_size
    images = images_on_device(setting, batch, recipe.image_size, torch.contiguous_format)
    eager = tasn(recipe, replace(setting, compile=None)).eval()
    model, plain = tasn(recipe, setting).eval(), setting.place(plain_network(recipe, setting.classes(recipe))).eval()
    if setting.compile:
        plain.compile(mode=setting.compile, dynamic=False)
    named = {
        f"{recipe.backbone} alone at {size} px": images_on_device(setting, batch, size, setting.memory_format)
        for size in (out_size, 2 * out_size)
    }

    def predict(with_model=model):
        with setting.autocast():
            return with_model.predict(images)

    def classify(seen):
        with setting.autocast():
            return plain(seen)

    works = {"TASN": predict} | {name: lambda seen=seen: classify(seen) for name, seen in named.items()}
    costs = count_operations(lambda: predict(eager))
    seconds, rates = compare(works, setting, f"inference, {recipe.name}")
    forget()
    name = f"TASN, {recipe.name}, master only, batch {batch}, {recipe.image_size} → {out_size}, {setting.words}"
    limit = batch / limit_seconds(costs, rates)
    return [
        Figure(
            *("inference", name, batch / seconds["TASN"], "images/s", other, batch / seconds[other]),
            *("layer by layer", limit),
        )
        for other in named
    ]
