"""Running ablations: each run is trained, tested and measured, and its result is saved at once."""

import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import Tensor
from tqdm import tqdm

from tasnlib.data.birds import Birds, BirdsBatch, BirdsConfig
from tasnlib.data.files import read_json, write_atomically
from tasnlib.data.grocery import load_grocery
from tasnlib.research.ablations.map_measures import measure_maps
from tasnlib.research.ablations.plan import VERSION, Run
from tasnlib.research.ablations.variant_network import TASNVariant, build_variant
from tasnlib.research.cost import cost_by_part
from tasnlib.sampler import attention_sample
from tasnlib.training.devices import end_with, make_accelerator
from tasnlib.training.evaluation import accuracies, accuracies_by_class, evaluate
from tasnlib.training.fit import fit
from tasnlib.training.recipes import Recipe

VALIDATED = 200  # images for the accuracy after each epoch; the final one is over all


def study(
    runs: Sequence[Run], folder: Path, data_folder: Path, processes: int = 1, weights: Path | None = None
) -> list[dict[str, Any]]:
    """The results of all runs, in their order; those that are not in the folder are trained.

    Args:
        folder: of the results, one small JSON file per run.
        data_folder: of the drawn birds or photographs.
        weights: a folder with the files of pretrained networks; None: they are downloaded.
        processes: how many runs at a time, each on one thread. On a GPU: 1.

    Raises:
        ValueError: for a file that is not this run's result, naming it.
    """
    missing = [run for run in runs if not (folder / run.file_name).is_file()]
    if missing:
        train = partial(train_run, folder=folder, data_folder=data_folder, weights=weights)
        bar = tqdm(total=len(missing), desc="ablations", unit="run", file=sys.stdout, mininterval=5)
        with bar, workers(processes) as pool:
            for run, _ in each(train, missing, pool):
                bar.set_postfix_str(f"{run.dataset}, {run.variant.title}, seed {run.seed}", refresh=False)
                bar.update()
    return [_read_result(run, folder / run.file_name) for run in runs]


def _read_result(run: Run, path: Path) -> dict[str, Any]:
    """The result of a run, validated."""
    try:
        result = read_json(path)
        for name, value in (("dataset", run.dataset), ("split", run.split), ("seed", run.seed)):
            if result.get(name) != value:
                raise ValueError(f"{name} is {result.get(name)!r}, not {value!r}")
        if not all(0 <= share <= 1 for share in result["accuracy"].values()):
            raise ValueError(f"accuracy is {result['accuracy']!r}")
    except (ValueError, KeyError, AttributeError, TypeError) as reason:
        raise ValueError(f"{path} is not this run's result: {reason!r}. Delete it to train it again") from reason
    return result


def workers(count: int) -> AbstractContextManager[Executor | None]:
    """Processes that end with this one; None for 1. One thread each, since threads that share a core busy-wait."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, context, _start_worker, (os.getpid(),)) if count > 1 else nullcontext()


def each(work: Callable[[Any], Any], items: Iterable[Any], pool: Executor | None) -> Iterator[tuple[Any, Any]]:
    """Every item with the result of its work: in their order without a pool, otherwise as they are finished."""
    if pool is None:
        yield from ((item, work(item)) for item in items)
        return
    pending = {pool.submit(work, item): item for item in items}
    for finished in as_completed(pending):
        yield pending[finished], finished.result()


def _start_worker(parent: int) -> None:
    end_with(parent)
    torch.set_num_threads(1)


def train_run(run: Run, folder: Path, data_folder: Path, weights: Path | None = None) -> dict[str, Any]:
    """Train and test one variant, measure its attention, and save the result."""
    train_set, test_set = _data(run, data_folder)
    accelerator = make_accelerator(run.precision)
    set_seed(run.seed)
    recipe = replace(run.recipe, weights=str(weights)) if weights and run.recipe.weights else run.recipe
    model = build_variant(run.variant, recipe, test_set.classes)
    cost = cost_by_part(model, test_set.take([0]).images.shape[-1])["total"]
    drawn = isinstance(test_set, Birds)
    some = test_set if drawn else test_set.subset(min(VALIDATED, len(test_set)))
    if drawn:
        some = Birds(BirdsBatch(*(part[:VALIDATED] for part in (some.images, some.labels, some.boxes))), some.config)
    with tempfile.TemporaryDirectory() as state:
        history, _ = fit(model, train_set, some, recipe, run.seed, Path(state) / "state", accelerator)
    predictions = evaluate(model, test_set, run.recipe.batch_size, accelerator)
    by_class = {net: accuracies_by_class(p, test_set.labels, test_set.class_names) for net, p in predictions.items()}
    result = {
        "title": run.variant.title,
        "dataset": run.dataset,
        "split": run.split,
        "seed": run.seed,
        "accuracy": accuracies(predictions, test_set.labels),
        "by_epoch": [entry["accuracy"] for entry in history],
        "multiply_adds": cost,
        "seconds": round(sum(entry["seconds"] for entry in history), 1),
        "epochs": run.recipe.epochs,
        "attention": measure_maps(model, run.recipe, test_set) if drawn and isinstance(model, TASNVariant) else None,
        "by_class": {} if drawn else by_class,
        "test_images": len(test_set),
        "version": VERSION,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "torch": torch.__version__,
    }
    write_atomically(folder / run.file_name, json.dumps(result, indent=1).encode())
    return result


@lru_cache(maxsize=2)
def _birds(style: BirdsConfig, split: str, count: int, folder: Path) -> Birds:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Birds.load(style, split, count, folder=folder, device=device, progress=False)


def _data(run: Run, folder: Path) -> tuple[Any, Any]:
    if run.style is None:
        look_alikes = run.dataset == "grocery_look_alikes"
        train, test = (load_grocery(folder, s, run.recipe.image_size, look_alikes) for s in ("train", run.split))
        return train.augmented(run.recipe.augmentation, run.seed), test
    train_set = _birds(run.style, "train", run.recipe.train_images, folder)
    test_set = _birds(run.style, run.split, run.recipe.test_images, folder)
    if run.variant.sampler != "boxes":
        return train_set, test_set
    return _sampled_at_boxes(train_set, run.recipe), _sampled_at_boxes(test_set, run.recipe)


def _sampled_at_boxes(birds: Birds, recipe: Recipe) -> Birds:
    """The images that attention sampling makes of the true part boxes as attention."""
    small = []
    for start in range(0, len(birds), 64):
        images = birds.images[start : start + 64].float() / 255
        attention = inside_boxes(birds.boxes[start : start + 64, :-1], recipe.image_size)  # the last is the whole bird
        sampled = attention_sample(images, attention, recipe.out_size, recipe.max_zoom, recipe.antialias)
        small.append((sampled * 255).round().to(torch.uint8))
    return Birds(BirdsBatch(torch.cat(small), birds.labels, birds.boxes), birds.config)


def inside_boxes(boxes: Tensor, size: int) -> Tensor:
    """1 where a pixel's centre lies in any of the boxes (b, p, 4), else 0: (b, size, size)."""
    centres = torch.arange(size, device=boxes.device) + 0.5
    x = (centres >= boxes[..., 0, None]) & (centres < boxes[..., 2, None])  # (b, p, size)
    y = (centres >= boxes[..., 1, None]) & (centres < boxes[..., 3, None])
    return (y[..., :, None] & x[..., None, :]).any(dim=1).float()
