"""What a prediction costs, row by row of the comparison on photographs: milliseconds and multiply-adds an image.

    python -m benchmarks.photographs [--size small|full] [--json FILE]

On one thread of a CPU, for one image at a time and for 16, all rows in turns. Random weights: they cost the same.
"""

import argparse
import json
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.report import Figure, json_file, surroundings, table
from benchmarks.setting import Setting
from benchmarks.timing import compare
from tasnlib.research.ablations.variant_network import TASNVariant, build_variant
from tasnlib.research.ablations.variants import PHOTOGRAPHS
from tasnlib.research.cost import cost_by_part
from tasnlib.training.recipes import RECIPES, Recipe

CLASSES = 24


def predict(model: nn.Module, images: Tensor) -> Tensor:
    if isinstance(model, TASNVariant):
        return model(images, torch.zeros(len(images), dtype=torch.int64)).logits["master"]
    return next(iter(model(images).logits.values()))


def measure(recipe: Recipe, setting: Setting, batch: int) -> list[Figure]:
    rows = {}
    for row in PHOTOGRAPHS:
        variant = row.predicting()
        rows[row.title] = build_variant(variant, variant.recipe(recipe), CLASSES).eval()
    images = torch.rand(batch, 3, recipe.image_size, recipe.image_size)
    works = {title: partial(predict, model, images) for title, model in rows.items()}
    with torch.no_grad():
        seconds, _ = compare(works, setting, f"batches of {batch}")
    base = next(iter(rows))
    return [
        Figure(
            *("photographs", f"{title}, batches of {batch}", 1e3 * seconds[title] / batch, "ms"),
            *(base, 1e3 * seconds[base] / batch),
            note=f"{cost_by_part(model, recipe.image_size)['total'] / 1e6:.0f} M multiply-adds",
        )
        for title, model in rows.items()
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs", description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=("small", "full"), default="full", help="small only shows that it runs")
    parser.add_argument("--json", type=json_file, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    setting = Setting(torch.device("cpu"), options.size)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe = replace(RECIPES["photos"], weights=None)
    figures = [one for batch in ((1, 16) if setting.full else (1,)) for one in measure(recipe, setting, batch)]
    about = surroundings(setting)
    torch.set_num_threads(before)
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(about | {"figures": [one.as_dict() for one in figures]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
