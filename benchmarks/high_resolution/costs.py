"""What a prediction costs: multiply-adds, and milliseconds on one thread, all methods in turns.

Both begin with the 8-bit image in memory and end with logits. Multiply-adds are those of convolutions and matrix
products: resizing has none, but takes time, and at 2048 px it takes most of it.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.high_resolution.drawings import FIXED, birds_at
from benchmarks.high_resolution.methods import Full, Pictures
from benchmarks.high_resolution.runs import VERSION, Plan, methods_at
from benchmarks.report import surroundings
from benchmarks.setting import Setting
from benchmarks.timing import compare
from tasnlib.data.birds import draw_birds
from tasnlib.data.files import read_json, write_atomically
from tasnlib.research.cost import multiply_adds

FILE = "costs.json"
TILES = "tiles"  # FULL, tile by tile


@torch.no_grad()
def measure(size: int, setting: Setting) -> dict[str, dict[str, float]]:
    """Multiply-adds and milliseconds of one image of this size, by title. Random weights: they cost the same."""
    image = draw_birds(birds_at(FIXED, size), 0, "val", [0]).images[0]
    works: dict[str, Callable[[], object]] = {}
    for title, method in methods_at(size).items():
        model = method.build(classes=16).eval().to(memory_format=torch.channels_last)
        works[title] = lambda model=model: model(Pictures([image]))
        if isinstance(model, Full):
            works[TILES] = partial(model.by_tiles, image)
    counts = {title: multiply_adds(work) for title, work in works.items()}
    seconds, _ = compare(works, setting, f"{size} px")
    return {title: {"multiply_adds": counts[title], "milliseconds": 1e3 * seconds[title]} for title in works}


def costs(plan: Plan, folder: Path, setting: Setting | None = None) -> dict[str, Any]:
    """The costs at every size of the plan, measured unless they are in the folder. On one thread."""
    path = folder / FILE
    if path.is_file():
        found = read_json(path)
        if found["version"] == VERSION and set(map(str, plan.sizes)) <= set(found["sizes"]):
            return found
    setting = setting or Setting(torch.device("cpu"), "full")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    sizes = {str(size): measure(size, setting) for size in plan.sizes}
    found = json.loads(json.dumps(surroundings(setting) | {"version": VERSION, "sizes": sizes}))
    torch.set_num_threads(before)
    write_atomically(path, json.dumps(found, indent=1).encode())
    return found


def cost_title(title: str) -> str:
    """Under which title a row of the table has its cost."""
    return TILES if title.startswith(TILES) else title
