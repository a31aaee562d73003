"""Whether reading keeps up with training: images a second by number of worker processes, alone and with the steps."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from benchmarks.loading import make_photographs
from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.steps import Step, tasn_step
from benchmarks.training import forget
from tasnlib.data.batch import Batch
from tasnlib.data.images import ImageFiles
from tasnlib.training.loading import identity_collate
from tasnlib.training.recipes import Recipe

BUSY = 0.95  # of the speed of training on a batch that lies on the device already: at most 5 % of the time is waited


def measure(setting: Setting) -> list[Figure]:
    """The first recipe's, from JPEG files of CUB's usual size and from the cache of their pixels."""
    recipe = setting.recipe(setting.recipes[0])
    batch = setting.batch(recipe)
    step = tasn_step(recipe, setting, batch)
    augmentation = "modern" if recipe.augmentation == "none" else recipe.augmentation
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photographs(Path(folder), 5 * batch if setting.full else 2 * batch)
        data = ImageFiles(paths, [0] * len(paths), ["noise"], recipe.image_size, "noise")
        sources = {"JPEG": data, "cache": data.cached(folder, workers=os.cpu_count() or 1, progress=False)}
        alone = batch * _steps_a_second(step, _again(step, 12 if setting.full else 2), setting)
        counts = _worker_counts(setting)
        with tqdm(total=len(sources) * len(counts), desc="feeding", leave=False) as bar:
            for source, images in sources.items():
                training = images.augmented(augmentation, 0)
                reading, fed = {}, {}
                for workers in counts:
                    reading[workers], fed[workers] = _rates(step, training, batch, workers, setting)
                    bar.update()
                figures += _figures(source, recipe, batch, reading, fed, alone, setting)
    forget()
    return figures


def _figures(
    source: str,
    recipe: Recipe,
    batch: int,
    reading: dict[int, float],
    fed: dict[int, float],
    alone: float,
    setting: Setting,
) -> list[Figure]:
    """Reading beside reading in the training process; training beside training that waits for nothing."""
    few, most = min(reading), max(reading)
    figures = []
    for workers in reading:
        words = f"{source}, {workers} workers"
        # A worker is a process with one thread, so it reads as fast as the process that trains, or the machine is full.
        limit = max(1, workers) * reading[few] / max(1, few)
        figures.append(
            Figure(
                *("feeding", f"reading, {words}", reading[workers], "images/s"),
                *(f"{few} workers", reading[few], "as many times the first", limit),
            )
        )
        goal = setting.goal(cuda=("share", BUSY)) if workers == most else None
        waited = 1 - min(1.0, fed[workers] / alone)
        figures.append(
            Figure(
                *("feeding", f"training, {recipe.name}, batch {batch}, {words}", fed[workers], "images/s"),
                *(f"reading with {workers} workers", reading[workers], "the step alone", alone, goal),
                note=f"{waited:.0%} of the time waited",
            )
        )
    return figures


def _worker_counts(setting: Setting) -> tuple[int, ...]:
    if not setting.full:
        return (1,)
    cores = os.cpu_count() or 1
    return tuple(sorted({min(count, cores) for count in (1, 4, 8, cores)}))


def _rates(step: Step, data: ImageFiles, batch: int, workers: int, setting: Setting) -> tuple[float, float]:
    """Images a second that are read, and that are trained on while they are read."""
    batches = max(16, 6 * workers) if setting.full else 2
    # Training starts with every worker's first batch; what is timed is how it goes on.
    numbers = [n % len(data) for n in range(batch * (batches + workers))]
    loader = DataLoader(
        *(data, batch),
        sampler=numbers,
        drop_last=True,
        collate_fn=identity_collate,
        num_workers=workers,
        pin_memory=setting.device.type == "cuda",
    )
    speeds = []
    for training in (False, True):
        handed_out = iter(loader)
        for _ in range(workers):
            next(handed_out)
        if training:
            rate = _steps_a_second(step, _inputs(step, handed_out, setting), setting)
        else:
            started = time.perf_counter()
            rate = sum(1 for _ in handed_out) / (time.perf_counter() - started)
        speeds.append(batch * rate)
    return speeds[0], speeds[1]


def _inputs(step: Step, batches: Iterator[Batch], setting: Setting) -> Iterator[tuple[torch.Tensor, ...]]:
    """A step's inputs as training makes them of what the loader hands out."""
    for batch in batches:
        images = batch.images.to(setting.device, non_blocking=True).float() / 255
        yield images, step.inputs[1]


def _again(step: Step, times: int) -> Iterator[tuple[torch.Tensor, ...]]:
    for _ in range(times):
        yield step.inputs


def _steps_a_second(step: Step, inputs: Iterator[tuple[torch.Tensor, ...]], setting: Setting) -> float:
    step()  # what is done once is not timed
    setting.wait()
    started, taken = time.perf_counter(), 0
    for step.inputs in inputs:
        step()
        taken += 1
    setting.wait()
    return taken / (time.perf_counter() - started)
