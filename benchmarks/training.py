"""A whole step of training against its networks alone, its plain form, and a plain network on larger images."""

from dataclasses import replace

import torch

from benchmarks.limits import OperationCost, Rates, count_operations, limit_seconds
from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.steps import Step, attention_step, plain_step, tasn_step
from benchmarks.timing import compare
from tasnlib.training.recipes import Recipe


def measure(setting: Setting) -> list[Figure]:
    """Images a second of each recipe."""
    return [figure for name in setting.recipes for figure in _of_recipe(setting.recipe(name), setting)]


def _of_recipe(recipe: Recipe, setting: Setting) -> list[Figure]:
    batch, out_size = setting.batch(recipe), recipe.out_size
    alone = f"{recipe.attention_trunk} attention network alone"
    twice = f"{recipe.backbone} on twice the images"
    large = f"{recipe.backbone} at {2 * out_size} px, one image"
    costs = {
        "TASN": _costs(tasn_step(recipe, _eager(setting), batch)),
        alone: _costs(attention_step(recipe, _eager(setting), batch)),
        twice: _costs(plain_step(recipe, _eager(setting), 2 * batch, out_size)),
        large: _costs(plain_step(recipe, _eager(setting), batch, 2 * out_size)),
    }
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
    limits = {name: batch / limit_seconds(cost, rates) for name, cost in costs.items()}
    in_turn = ("its networks alone, one after the other", batch / (seconds[alone] + seconds[twice]))
    name = f"TASN, {recipe.name}, batch {batch}, {recipe.image_size} → {out_size}, {setting.words}"
    ours = ("training", name, speed["TASN"], "images/s")
    layers = ("layer by layer", limits["TASN"])
    rate = setting.goal(cuda=("value", 900)) if recipe.name == "paper" else None
    figures = [
        Figure(*ours, *in_turn, *layers, setting.goal(cuda=("ratio", 0.85))),
        Figure(*ours, large, speed[large], *layers, goal=rate),
    ]
    if "plain" in speed:
        figures.append(Figure(*ours, "float32, NCHW, not compiled", speed["plain"], *layers))
    with_norms = batch / limit_seconds(costs["TASN"], rates, with_norms=True)
    figures.append(Figure(*ours, *in_turn, "layer by layer, with batch norm", with_norms))
    figures += [
        Figure("training", other, speed[other], "images/s", "TASN", speed["TASN"], "layer by layer", limits[other])
        for other in (alone, twice, large)
    ]
    return [*figures, _arithmetic(recipe, costs, seconds, rates, (alone, twice))]


def _arithmetic(
    recipe: Recipe,
    costs: dict[str, list[OperationCost]],
    seconds: dict[str, float],
    rates: Rates,
    networks: tuple[str, str],
) -> Figure:
    """How much of the matrix rate a step reaches."""
    count = {name: sum(cost.multiply_adds for cost in cost_list) / 1e9 for name, cost_list in costs.items()}
    in_turn = sum(count[name] for name in networks) / sum(seconds[name] for name in networks)
    return Figure(
        *("training", f"TASN, {recipe.name}, arithmetic", count["TASN"] / seconds["TASN"], "G multiply-adds/s"),
        *("its networks alone, one after the other", in_turn, "matrix rate", rates.matrix / 1e9),
        note=f"{count['TASN']:.3g} G multiply-adds a step",
    )


def measure_curves(setting: Setting) -> list[Figure]:
    """Images a second by batch and by image size; the fastest batch."""
    return [figure for name in setting.recipes for figure in _curves(setting.recipe(name), setting)]


def _curves(recipe: Recipe, setting: Setting) -> list[Figure]:
    batch = setting.batch(recipe)
    # Counted once, at the usual batch: they grow with the batch, and the image size changes none of them.
    costs = _costs(tasn_step(recipe, _eager(setting), batch))
    batches = sorted({batch, *setting.batch_sizes})
    steps = {size: tasn_step(recipe, setting, size) for size in batches}
    by_batch = _curve(steps, dict(zip(batches, batches, strict=True)), batch, "batch", recipe, setting, costs)
    sizes = sorted({recipe.image_size, *setting.image_sizes})
    steps = {size: tasn_step(replace(recipe, image_size=size), setting, batch) for size in sizes}
    by_size = _curve(steps, dict.fromkeys(sizes, batch), recipe.image_size, "image size", recipe, setting, costs)
    return [*by_batch, *by_size]


def _curve(
    steps: dict[int, Step],
    images: dict[int, int],
    usual: int,
    axis: str,
    recipe: Recipe,
    setting: Setting,
    costs: list[OperationCost],
) -> list[Figure]:
    """One curve; where the memory does not suffice it ends."""
    for value in list(steps):
        try:
            steps[value]()
        except torch.OutOfMemoryError:
            steps = {smaller: step for smaller, step in steps.items() if smaller < value}
            if not steps:
                raise
            break
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    seconds, rates = compare({str(value): step for value, step in steps.items()}, setting, f"{recipe.name} by {axis}")
    limit = setting.batch(recipe) / limit_seconds(costs, rates)
    speed = {value: images[value] / seconds[str(value)] for value in steps}
    fastest = max(speed, key=speed.__getitem__)
    forget()
    return [
        Figure(
            *("curves", f"TASN, {recipe.name}, {axis} {value}", rate, "images/s"),
            *(f"{axis} {usual}", speed.get(usual), "layer by layer", limit),
            note="the fastest" if value == fastest and axis == "batch" else "",
        )
        for value, rate in speed.items()
    ]


def _costs(step: Step) -> list[OperationCost]:
    costs = count_operations(step)
    forget()
    return costs


def _eager(setting: Setting) -> Setting:
    """Operations are counted where they are not compiled into others."""
    return replace(setting, compile=None)


def forget() -> None:
    """Give a GPU's free memory back, and what was compiled for networks that are gone."""
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
