"""Running ablations: each run is trained, tested, measured, and kept as soon as it is done."""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import Tensor
from tqdm import tqdm

from tasnlib.data.birds import Birds, BirdsBatch, BirdsConfig
from tasnlib.data.files import read_json, write_atomically
from tasnlib.research.ablations.measures import measure_maps
from tasnlib.research.ablations.networks import ChangedTASN, build_variant
from tasnlib.research.ablations.plan import Run
from tasnlib.research.cost import cost_by_part
from tasnlib.sampler import attention_sample
from tasnlib.training.devices import end_with, make_accelerator
from tasnlib.training.evaluation import accuracies, evaluate
from tasnlib.training.fit import fit
from tasnlib.training.recipes import Recipe

WATCHED = 200  # images that the accuracy after each epoch is measured on; at the end it is all


def study(runs: Sequence[Run], folder: Path, data_folder: Path, processes: int = 1) -> list[dict[str, Any]]:
    """The results of all runs, in their order: read where they are kept, trained where not.

    Args:
        folder: where results are kept, one small JSON a run.
        data_folder: where the drawn birds are kept.
        processes: how many runs at a time, each on one thread. On a GPU: 1.
    """
    missing = [run for run in runs if not (folder / run.file_name).is_file()]
    if missing:
        started = time.perf_counter()
        with tqdm(total=len(missing), desc="ablations", unit="run", file=sys.stdout, mininterval=5) as bar:
            for run in _trained(missing, folder, data_folder, processes):
                bar.set_postfix_str(f"{run.dataset}, {run.variant.title}, seed {run.seed}", refresh=False)
                bar.update()
        print(f"{len(missing)} runs in {(time.perf_counter() - started) / 60:.0f} minutes")
    return [_kept(run, folder / run.file_name) for run in runs]


def _kept(run: Run, path: Path) -> dict[str, Any]:
    """A result, made sure to be one, and this run's."""
    try:
        result = read_json(path)
        for name, value in (("dataset", run.dataset), ("split", run.split), ("seed", run.seed)):
            if result.get(name) != value:
                raise ValueError(f"{name} is {result.get(name)!r}, not {value!r}")
        shares = [*result["accuracy"].values()]
        if not all(isinstance(share, float | int) and 0 <= share <= 1 for share in shares):
            raise ValueError(f"accuracy is {result['accuracy']!r}")
    except (ValueError, KeyError, AttributeError) as reason:
        raise ValueError(f"{path} is no result of this run: {reason!r}. Delete it, and it is trained anew") from reason
    return result


def _trained(runs: Sequence[Run], folder: Path, data_folder: Path, processes: int) -> Iterable[Run]:
    if processes == 1:
        for run in runs:
            train_run(run, folder, data_folder)
            yield run
        return
    # Threads that share a core wait for each other by spinning, so each process has one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(os.getpid(),)) as pool:
        waiting = {pool.submit(train_run, run, folder, data_folder): run for run in runs}
        for done in as_completed(waiting):
            done.result()
            yield waiting[done]


def _begin(parent: int) -> None:
    end_with(parent)
    torch.set_num_threads(1)


def train_run(run: Run, folder: Path, data_folder: Path) -> dict[str, Any]:
    """Train one variant, test it, measure its attention, and keep the result."""
    train_set, test_set = _data(run, data_folder)
    accelerator = make_accelerator(run.precision)
    set_seed(run.seed)
    model = build_variant(run.variant, run.recipe, test_set.classes)
    cost = cost_by_part(model, test_set.images.shape[-1])["total"]
    with tempfile.TemporaryDirectory() as state:
        seen = BirdsBatch(test_set.images[:WATCHED], test_set.labels[:WATCHED], test_set.boxes[:WATCHED])
        watched = Birds(seen, test_set.config)
        history = fit(model, train_set, watched, run.recipe, run.seed, Path(state) / "state", accelerator)
    answers = evaluate(model, test_set, run.recipe.batch_size, accelerator)
    result = {
        "title": run.variant.title,
        "dataset": run.dataset,
        "split": run.split,
        "seed": run.seed,
        "accuracy": accuracies(answers, test_set.labels),
        "by_epoch": [entry["accuracy"] for entry in history],
        "multiply_adds": cost,
        "seconds": round(sum(entry["seconds"] for entry in history), 1),
        "epochs": run.recipe.epochs,
        "attention": measure_maps(model, run.recipe, test_set) if isinstance(model, ChangedTASN) else None,
        "test_images": len(test_set),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "torch": torch.__version__,
    }
    write_atomically(folder / run.file_name, json.dumps(result, indent=1).encode())
    return result


@lru_cache(maxsize=2)
def _birds(style: BirdsConfig, split: str, count: int, folder: Path) -> Birds:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Birds.load(style, split, count, folder=folder, device=device, progress=False)


def _data(run: Run, folder: Path) -> tuple[Birds, Birds]:
    train_set = _birds(run.style, "train", run.recipe.train_images, folder)
    test_set = _birds(run.style, run.split, run.recipe.test_images, folder)
    if run.variant.sampler != "boxes":
        return train_set, test_set
    return _sampled_at_boxes(train_set, run.recipe), _sampled_at_boxes(test_set, run.recipe)


def _sampled_at_boxes(birds: Birds, recipe: Recipe) -> Birds:
    """The structure images that attention sampling would make, did attention know the parts."""
    small = []
    for start in range(0, len(birds), 64):
        images, boxes = birds.images[start : start + 64], birds.boxes[start : start + 64, :-1]  # the last is the bird
        attention = inside_boxes(boxes, recipe.image_size)
        sampled = attention_sample(images.float() / 255, attention, recipe.out_size, recipe.max_zoom, recipe.antialias)
        small.append((sampled * 255).round().to(torch.uint8))
    return Birds(BirdsBatch(torch.cat(small), birds.labels, birds.boxes), birds.config)


def inside_boxes(boxes: Tensor, size: int) -> Tensor:
    """1 where a pixel's centre lies in any of an image's boxes (b, p, 4), 0 elsewhere: (b, size, size)."""
    centres = torch.arange(size, device=boxes.device) + 0.5
    x = (centres >= boxes[..., 0, None]) & (centres < boxes[..., 2, None])  # (b, p, size)
    y = (centres >= boxes[..., 1, None]) & (centres < boxes[..., 3, None])
    return (y[..., :, None] & x[..., None, :]).any(dim=1).float()
